"""Runs of a server into files, so that an export that was stopped can go on where it was.

A file appears under its name only when it is whole, and its path tells the run's key
(`replayer.history.export_path`). A closed run whose file ends with the run's end is complete: it is
not fetched again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from google.protobuf import json_format
from temporalio.api.history.v1 import History
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from analytics.files import write_whole
from replayer.history import (
    HistoryError,
    HistoryUnavailable,
    Rejected,
    RunHistory,
    export_path,
    from_server,
    read_histories,
)
from tracer.identity import RunKey
from tracer.model import run_from_events


class FileFormat(StrEnum):
    """How a history is written."""

    JSON = "json"
    """As `temporal workflow show -o json` writes it: every tool reads it."""
    PROTOBUF = "pb"
    """A serialized `History`: a quarter of the size, and many times faster to read."""


@dataclass(frozen=True, slots=True)
class Target:
    """A run to export."""

    key: RunKey
    is_closed: bool


@dataclass(frozen=True, slots=True)
class Skipped:
    """A run that needs no fetching: everything about it is there already."""

    key: RunKey


class Pace:
    """Lets something begin at most so many times a second, evenly spaced."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until it is this one's turn."""
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + self._interval
        await asyncio.sleep(at - now)


type Outcome = RunHistory | Rejected | Skipped


async def listed(client: Client, query: str | None, limit: int | None) -> AsyncIterator[Target]:
    """The runs that a visibility query finds.

    Raises:
        HistoryUnavailable: The query is refused, or the server cannot be asked.
    """
    try:
        async for execution in client.list_workflows(query, limit=limit):
            yield _target(client, execution)
    except RPCError as error:
        reason = f"cannot list {query or 'all runs'}: {error.message}"
        raise HistoryUnavailable(client.namespace, reason) from error


async def named(client: Client, texts: tuple[str, ...]) -> AsyncIterator[Target]:
    """The runs that `workflow_id` or `workflow_id:run_id` name.

    Raises:
        HistoryUnavailable: There is no such run, or the server cannot be asked.
    """
    for text in texts:
        yield await _described(client, text)


async def fetched(
    client: Client,
    targets: AsyncIterator[Target],
    *,
    is_complete: Callable[[Target], bool],
    concurrency: int,
    pace: Pace | None = None,
) -> AsyncGenerator[Outcome]:
    """Fetch runs, at most `concurrency` at a time, in the order of `targets`.

    Args:
        client: Connected to the namespace of the runs.
        targets: What to fetch.
        is_complete: Whether a run needs no fetching.
        concurrency: Histories that are fetched and held at once.
        pace: How often a fetch may begin; as fast as they come when `None`.
    """
    waiting: list[asyncio.Task[Outcome]] = []
    try:
        async for target in targets:
            if await asyncio.to_thread(is_complete, target):
                yield Skipped(target.key)
                continue
            if pace is not None:
                await pace.turn()
            waiting.append(asyncio.create_task(_fetch(client, target.key)))
            if len(waiting) >= concurrency:
                yield await waiting.pop(0)
        while waiting:
            yield await waiting.pop(0)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def write_history(folder: Path, history: RunHistory, form: FileFormat) -> Path:
    """Write one run, whole or not at all.

    Raises:
        OSError: The folder cannot be written.
    """
    path = folder / export_path(history.key, f".{form.value}")
    path.parent.mkdir(parents=True, exist_ok=True)
    message = History(events=history.events)
    data = (
        message.SerializeToString()
        if form is FileFormat.PROTOBUF
        else json_format.MessageToJson(message).encode()
    )
    write_whole(path, data, is_private=True)
    return path


def has_whole_file(folder: Path, target: Target, form: FileFormat) -> bool:
    """Whether the run is closed and its file tells so."""
    path = folder / export_path(target.key, f".{form.value}")
    if not target.is_closed or not path.exists():
        return False
    for found in read_histories([path]):
        if isinstance(found, RunHistory):
            return run_from_events(found.key, found.events).is_closed
    return False


async def _described(client: Client, text: str) -> Target:
    head, colon, tail = text.rpartition(":")
    # A workflow id may contain a colon itself: the text as a whole is tried first.
    choices = [(text, None), (head, tail)] if colon else [(text, None)]
    for workflow_id, run_id in choices:
        try:
            handle = client.get_workflow_handle(workflow_id, run_id=run_id)
            return _target(client, await handle.describe())
        except RPCError as error:
            problem = error.message
    raise HistoryUnavailable(f"{client.namespace}/{text}", f"cannot be fetched: {problem}")


def _target(client: Client, execution: WorkflowExecution) -> Target:
    key = RunKey(client.namespace, execution.id, execution.run_id)
    return Target(key, execution.close_time is not None)


async def _fetch(client: Client, key: RunKey) -> Outcome:
    try:
        return await from_server(client, key.workflow_id, key.run_id)
    except HistoryError as error:
        return Rejected(error.uri, error)
