"""Why there was an attempt before this one.

A worker is not told. It remembers what failed on itself; of what failed elsewhere, or ended because
a worker died, the server tells while the attempt runs. Asking costs one call for a retry whose past
is unknown here, few of them at a time, and nothing ever waits for the answer but the span.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import temporalio.activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from tracer.model.failures import failure_from
from tracer.model.words import Failure

_REMEMBERED: Final = 10_000
_AT_ONCE: Final = 4
_PATIENCE: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Previous:
    """How the attempt before ended."""

    failure: Failure | None
    ended_at: float
    """Seconds since the epoch; 0 if unknown."""


class FailureMemory:
    """The failed attempts of this process whose retry may come here too."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[int, Previous]] = OrderedDict()
        self._asking = 0
        self.pending: set[asyncio.Task[None]] = set()
        """Spans that wait for an answer."""

    def remember(self, info: temporalio.activity.Info, previous: Previous) -> None:
        """Note that an attempt failed."""
        key = _key(info)
        self._known[key] = info.attempt, previous
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def recall(self, info: temporalio.activity.Info) -> Previous | None:
        """What is known of the attempt before; it is forgotten."""
        number, previous = self._known.pop(_key(info), (0, None))
        return previous if number == info.attempt - 1 else None

    def ask(
        self,
        client: Client,
        info: temporalio.activity.Info,
        learned: Callable[[Previous], None],
    ) -> asyncio.Task[None] | None:
        """Ask the server, unless enough questions are open."""
        if self._asking >= _AT_ONCE:
            return None
        self._asking += 1
        task = asyncio.create_task(self._ask(client, info, learned))
        self.pending.add(task)
        task.add_done_callback(self.pending.discard)
        return task

    async def settled(self) -> None:
        """Wait until no span waits any more."""
        while self.pending:
            await asyncio.wait(self.pending)

    async def _ask(
        self,
        client: Client,
        info: temporalio.activity.Info,
        learned: Callable[[Previous], None],
    ) -> None:
        try:
            with contextlib.suppress(RPCError):
                previous = await _told_by_server(client, info)
                if previous is not None:
                    learned(previous)
        finally:
            self._asking -= 1


async def _told_by_server(client: Client, info: temporalio.activity.Info) -> Previous | None:
    answer = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(
                workflow_id=info.workflow_id or "", run_id=info.workflow_run_id or ""
            ),
        ),
        timeout=_PATIENCE,
    )
    for pending in answer.pending_activities:
        if (pending.activity_id, pending.attempt) == (info.activity_id, info.attempt):
            ended_at = pending.last_attempt_complete_time
            return Previous(
                failure_from(pending.last_failure), ended_at.seconds + ended_at.nanos / 1e9
            )
    return None


def _key(info: temporalio.activity.Info) -> tuple[str, str]:
    run_id = info.workflow_run_id or getattr(info, "activity_run_id", None) or ""
    return run_id, info.activity_id
