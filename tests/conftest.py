"""What tests of every room share: a real Temporal server, and the corpus where there is one."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import settings

from replayer.embedded import TemporalServer

_ROOT = Path(__file__).parent.parent

# The server otherwise lets timers and retries be late by up to a second, whatever was asked for.
PROMPT_TIMERS = ("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="20ms"')

# How long an example takes says more of the machine than of the code.
settings.register_profile("retrospan", deadline=None)
settings.load_profile("retrospan")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, so that none of them is still at work when all else is.

    Those are the ones whose tests may take longer than others, then those with many slow tests.
    """
    files: defaultdict[Path, list[pytest.Item]] = defaultdict(list)
    for item in items:
        files[item.path].append(item)
    items[:] = chain.from_iterable(sorted(files.values(), key=_length, reverse=True))


def _length(tests: Iterable[pytest.Item]) -> tuple[float, int]:
    tests = list(tests)
    limits = [marker.args[0] for test in tests for marker in test.iter_markers("timeout")]
    return max(limits, default=0), sum(1 for test in tests if test.get_closest_marker("slow"))


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Histories that other programs wrote; a user's checkout has none."""
    folder = _ROOT.parent / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("no ../shared/corpus here")
    return folder


@pytest.fixture(scope="session")
def temporal_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`HOST:PORT` of a development server that lives as long as this test process.

    It runs in a thread with a loop of its own, so that tests may have a loop each.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="temporal-server")
    thread.start()
    context = TemporalServer.start(
        log_dir=tmp_path_factory.mktemp("temporal"), extra_args=PROMPT_TIMERS
    )
    server = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(60)
    try:
        yield server.address
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
