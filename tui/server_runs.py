"""Runs of a live Temporal server, as a source of the app.

Every question is a connection of its own, off the app's event loop: a server that went away is an
error of that question, and not of the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from replayer.history import Rejected, RunHistory, from_server
from tracer.identity import RunKey
from tracer.model import elapsed_ns
from tui.servers import connect
from tui.sources import RunRow, nothing_known

if TYPE_CHECKING:
    from temporalio.client import WorkflowExecution

    from replayer.alignment import Knowledge

_LISTED_RUNS = 5_000


class ServerRuns:
    """Runs of one namespace, the newest first; open ones can be followed."""

    is_live = True

    def __init__(self, address: str | None, namespace: str | None, query: str = "") -> None:
        self._address = address
        self._namespace = namespace
        self._query = query
        self._is_cut = False

    @property
    def name(self) -> str:
        """The server's address."""
        return f"{self._address or 'server'} {self._namespace or 'default'}"

    @property
    def note(self) -> str:
        """Whether older runs were left out."""
        return f"only the newest {_LISTED_RUNS:,} runs" if self._is_cut else ""

    def rows(self) -> Iterator[RunRow | Rejected]:
        """The newest runs, as the server's visibility tells of them."""
        found = asyncio.run(self._listed())
        self._is_cut = len(found) > _LISTED_RUNS
        yield from found[:_LISTED_RUNS]

    async def _listed(self) -> list[RunRow]:
        client = await connect(self._address, self._namespace)
        rows: list[RunRow] = []
        async for execution in client.list_workflows(self._query or None):
            rows.append(_row_of(execution, client.namespace))
            if len(rows) > _LISTED_RUNS:
                break
        return rows

    def load(self, key: RunKey) -> RunHistory:
        """The history as it is now."""
        return asyncio.run(self._fetched(key))

    async def _fetched(self, key: RunKey) -> RunHistory:
        client = await connect(self._address, self._namespace)
        return await from_server(client, key.workflow_id, key.run_id)

    def knowledge(self, key: RunKey) -> Knowledge:
        """A server tells nothing else."""
        return nothing_known()


def _row_of(execution: WorkflowExecution, namespace: str) -> RunRow:
    started = int(execution.start_time.timestamp() * 1e9)
    end = execution.close_time
    return RunRow(
        key=RunKey(namespace, execution.id, execution.run_id),
        workflow_type=execution.workflow_type,
        status=execution.status.name if execution.status is not None else "RUNNING",
        started_at=started,
        duration_ns=None if end is None else elapsed_ns(started, int(end.timestamp() * 1e9)),
        steps=None,
        attempts=None,
    )
