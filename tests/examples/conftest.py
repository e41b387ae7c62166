"""A real Temporal dev server for the whole session, and what tests of examples have in common."""

import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from examples.instrumentation import instrument_models, uninstrument_models
from tests.conftest import PROMPT_TIMERS


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal_client() -> AsyncIterator[Client]:
    """A client of an embedded dev server."""
    server = Path(sys.executable).with_name("temporal")
    # Stuck runs log a traceback per attempt of their workflow task.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_extra_args=PROMPT_TIMERS
    ) as env:
        yield env.client


@pytest.fixture
def model_spans() -> Iterator[InMemorySpanExporter]:
    """Spans of the model calls made during the test."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument_models(provider)
    yield exporter
    uninstrument_models()
    provider.shutdown()


@pytest.fixture(scope="session")
def differing_lines() -> Callable[[Path, Path], list[tuple[str, str]]]:
    """Compares two files line by line."""

    def differing(left: Path, right: Path) -> list[tuple[str, str]]:
        pairs = zip(
            left.read_text(encoding="utf-8").splitlines(),
            right.read_text(encoding="utf-8").splitlines(),
            strict=True,
        )
        return [(a.strip(), b.strip()) for a, b in pairs if a != b]

    return differing
