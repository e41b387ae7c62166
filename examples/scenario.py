"""What a scenario of an example is: one run, driven to an end that is known beforehand.

The expected end is data, so that tests, and anyone who shows the runs, can compare it with what
a server, a trace or a report says.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import FailureError


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ends, and what it took."""

    status: str
    """Name of the execution status: `COMPLETED`, `FAILED` or `RUNNING` (a stuck run)."""
    outcome: str | None = None
    """Field `outcome` of the result; None when the run has no result."""
    failure: str | None = None
    """Type of the innermost failure of a failed or stuck run."""
    attempts: Mapping[str, int] = field(default_factory=dict)
    """Attempts of the most-tried step per activity type; a type not listed took one each."""
    runs: int = 1
    """Runs in the chain; more than one after a continue-as-new."""
    model_calls: Mapping[str, int] = field(default_factory=dict)
    """HTTP requests per requested model, failed ones included."""


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """What one execution did, as its driver saw it."""

    workflow_id: str
    run_id: str
    """The first run of the chain."""
    status: str
    outcome: str | None
    failure: str | None
    notes: tuple[str, ...] = ()
    """Remarks in the order they happened, such as a refused update."""


type Drive = Callable[[Client, str, str], Awaitable[ScenarioResult]]
"""Starts and drives one execution: client, workflow id, task queue."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named way to run an example."""

    name: str
    title: str
    """One line for people."""
    drive: Drive
    expected: Ending
    expected_faulty: Ending | None = None
    """End under the faulty workflow; None means the same."""

    def expected_from(self, *, faulty: bool) -> Ending:
        """The end that the healthy or the faulty workflow comes to."""
        return self.expected_faulty or self.expected if faulty else self.expected

    async def run(self, client: Client, prefix: str, *, task_queue: str) -> ScenarioResult:
        """Drive one execution to its end; its workflow id is `{prefix}-{name}`."""
        return await self.drive(client, f"{prefix}-{self.name}", task_queue)


async def run_side_by_side(
    client: Client, scenarios: Sequence[Scenario], prefix: str, *, task_queue: str
) -> dict[str, ScenarioResult]:
    """Run scenarios at the same time; results by name of the scenario."""
    results = await asyncio.gather(
        *(scenario.run(client, prefix, task_queue=task_queue) for scenario in scenarios)
    )
    return {scenario.name: result for scenario, result in zip(scenarios, results, strict=True)}


async def finish(
    handle: WorkflowHandle[Any, Any], *, notes: tuple[str, ...] = ()
) -> ScenarioResult:
    """Wait for the end of a chain of runs and describe it."""
    status, outcome, failure = "COMPLETED", None, None
    try:
        outcome = (await handle.result()).outcome
    except WorkflowFailureError as error:
        status = "FAILED"
        failure = innermost(error.cause)
    return ScenarioResult(handle.id, first_run_id(handle), status, outcome, failure, notes)


def innermost(error: BaseException) -> str:
    """Type of the failure at the bottom of a chain of causes."""
    while isinstance(error, FailureError) and error.cause is not None:
        error = error.cause
    return getattr(error, "type", None) or type(error).__name__


def first_run_id(handle: WorkflowHandle[Any, Any]) -> str:
    """The run that `start_workflow` created."""
    run_id = handle.first_execution_run_id
    if run_id is None:
        raise ValueError(f"{handle.id}: the handle does not come from start_workflow")
    return run_id


async def until_event(
    handle: WorkflowHandle[Any, Any], matches: Callable[[HistoryEvent], bool]
) -> HistoryEvent:
    """Wait until the current run has an event.

    Raises:
        RuntimeError: The run closed without it.
    """
    async for event in handle.fetch_history_events(wait_new_event=True):
        if matches(event):
            return event
    raise RuntimeError(f"{handle.id}: closed before the awaited event")


async def until_timer(handle: WorkflowHandle[Any, Any], summary: str) -> None:
    """Wait until the run has started the timer with this summary."""
    label = json.dumps(summary).encode()
    await until_event(
        handle,
        lambda event: (
            event.HasField("timer_started_event_attributes")
            and event.user_metadata.summary.data == label
        ),
    )
