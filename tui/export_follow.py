"""What an export that follows a server looks at again, and when it ends.

Every pass lists what can have changed: open runs, and those that were closed since shortly before
the pass before; the list of runs follows the runs with some delay. An open run is fetched again
only when its history has grown.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from tracer.identity import RunKey
from tui.export_files import Target

_OVERLAP = timedelta(minutes=5)
_ORDER_BY = re.compile(r"\border\s+by\b", re.IGNORECASE)


class Followed:
    """Which runs need no fetching, because nothing about them is new."""

    def __init__(self) -> None:
        self._done: set[RunKey] = set()
        self._lengths: dict[RunKey, int] = {}
        self._seen: dict[RunKey, int] = {}

    async def changed(
        self, client: Client, targets: AsyncIterator[Target]
    ) -> AsyncIterator[Target]:
        """Those of the targets that have something new since `exported` was told of them."""
        async for target in targets:
            if target.key in self._done:
                continue
            if target.is_closed:
                yield target
                continue
            length = await _history_length(client, target.key)
            if length is None or length != self._lengths.get(target.key):
                self._seen[target.key] = length or 0
                yield target

    def exported(self, key: RunKey, *, is_closed: bool) -> None:
        """A run is stored, as far as it went when it was looked at."""
        length = self._seen.pop(key, None)
        if is_closed:
            self._done.add(key)
            self._lengths.pop(key, None)
        elif length:
            self._lengths[key] = length


async def _history_length(client: Client, key: RunKey) -> int | None:
    handle = client.get_workflow_handle(key.workflow_id, run_id=key.run_id)
    try:
        return (await handle.describe()).history_length
    except RPCError:  # Fetching it will tell why.
        return None


def can_follow(query: str | None) -> bool:
    """Whether a filter can be narrowed to what is new."""
    return query is None or _ORDER_BY.search(query) is None


def narrowed(query: str | None, since: datetime | None) -> str | None:
    """The same filter for what can have changed since a pass began; all of it for the first."""
    if since is None:
        return query
    moment = (since.astimezone(UTC) - _OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")
    new = f"(ExecutionStatus = 'Running' OR CloseTime >= '{moment}')"
    return new if query is None else f"({query}) AND {new}"


def now() -> datetime:
    """When a pass begins."""
    return datetime.now(UTC)


@contextmanager
def until_interrupted() -> Iterator[asyncio.Event]:
    """An event that is set by Ctrl-C or a service manager; a second Ctrl-C stops at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    handled: list[signal.Signals] = []

    def end() -> None:
        stop.set()
        release()

    def release() -> None:
        while handled:
            loop.remove_signal_handler(handled.pop())

    # Windows has no handlers on loops, and other threads than the main one may set none.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end)
            handled.append(number)
    try:
        yield stop
    finally:
        release()


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait for the next pass, or for the end."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
