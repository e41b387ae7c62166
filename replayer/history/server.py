"""Histories straight from a Temporal server. Their keys are certain: the server said them.

A run is pinned by its run id before its history is asked for, so that a run that continues as new
in between cannot be read under the wrong id. Payloads stay as recorded: no codec is applied.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING

from temporalio.api.history.v1 import History
from temporalio.service import RPCError

from replayer.history.checks import ordered_history
from replayer.history.errors import HistoryError, HistoryUnavailable, Malformed
from replayer.history.model import KeySource, Origin, Rejected, RunHistory
from tracer.identity import RunKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from temporalio.client import Client

__all__ = ["from_server", "runs_from_server"]


async def from_server(client: Client, workflow_id: str, run_id: str | None = None) -> RunHistory:
    """Fetch one run.

    Args:
        client: Connected to the run's namespace.
        workflow_id: Of the run.
        run_id: Of the run; the latest run of the workflow id when None.

    Raises:
        HistoryUnavailable: There is no such run, or the server cannot be asked.
        HistoryError: The server's history is not whole.
    """
    uri = f"{client.namespace}/{workflow_id}" + (f":{run_id}" if run_id else "")
    try:
        if run_id is None:
            latest = await client.get_workflow_handle(workflow_id).describe()
            run_id = latest.run_id
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        fetched = [event async for event in handle.fetch_history_events()]
    except RPCError as error:
        raise HistoryUnavailable(uri, f"cannot be fetched: {error.message}") from error
    try:
        events = ordered_history(fetched)
    except Malformed as error:
        raise HistoryError(uri, str(error)) from None
    key = RunKey(client.namespace, workflow_id, run_id)
    raw = History(events=events).SerializeToString()
    origin = Origin(str(key), "server", sha256(raw).hexdigest(), len(raw))
    return RunHistory(key, KeySource.SERVER, origin, events, raw)


async def runs_from_server(
    client: Client, query: str | None = None, *, concurrency: int = 5, limit: int | None = None
) -> AsyncIterator[RunHistory | Rejected]:
    """Fetch every run that a visibility query finds, in the query's order.

    Args:
        client: Connected to the runs' namespace.
        query: A visibility list filter, such as `WorkflowType = 'Kyc'`; all runs when None.
        concurrency: Histories that are fetched, and held, at the same time.
        limit: The most runs to fetch.

    Yields:
        Each run, or the reason why it could not be had: it may be deleted after it was listed.

    Raises:
        HistoryUnavailable: The query itself is refused, or the server cannot be asked.
    """
    waiting: list[asyncio.Task[RunHistory | Rejected]] = []
    try:
        async for workflow_id, run_id in _listed(client, query, limit):
            waiting.append(asyncio.create_task(_fetched(client, workflow_id, run_id)))
            if len(waiting) >= concurrency:
                yield await waiting.pop(0)
        while waiting:
            yield await waiting.pop(0)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _listed(
    client: Client, query: str | None, limit: int | None
) -> AsyncIterator[tuple[str, str]]:
    try:
        async for execution in client.list_workflows(query, limit=limit):
            yield execution.id, execution.run_id
    except RPCError as error:
        reason = f"cannot list {query or 'all runs'}: {error.message}"
        raise HistoryUnavailable(client.namespace, reason) from error


async def _fetched(client: Client, workflow_id: str, run_id: str) -> RunHistory | Rejected:
    try:
        return await from_server(client, workflow_id, run_id)
    except HistoryError as error:
        return Rejected(error.uri, error)
