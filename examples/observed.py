"""What a server's history says of a scenario that ran, in the same words as its expected end."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from temporalio.client import Client, WorkflowHistory

from examples.model_server import Call
from examples.scenario import Ending, ScenarioResult


@dataclass(frozen=True, slots=True)
class Observed:
    """One execution of a scenario, as its server knows it."""

    result: ScenarioResult
    histories: tuple[WorkflowHistory, ...]
    """Of the chain of runs, from the first run to the last."""
    ending: Ending
    """What the scenario's expected end is to be compared with."""


async def observe(client: Client, result: ScenarioResult, calls: Sequence[Call]) -> Observed:
    """Look up what an execution did.

    Args:
        client: Of the server it ran on.
        result: What its driver saw.
        calls: Requests that the model server saw, of this and any other execution.
    """
    histories = await histories_of(client, result)
    models = Counter(call.model for call in calls if call.conversation == result.workflow_id)
    ending = Ending(
        status=result.status,
        outcome=result.outcome,
        failure=result.failure,
        attempts=attempts_of(histories),
        runs=len(histories),
        model_calls=dict(models),
    )
    return Observed(result, histories, ending)


async def histories_of(client: Client, result: ScenarioResult) -> tuple[WorkflowHistory, ...]:
    """Histories of a chain of runs, from the first run to the last."""
    histories = []
    run_id = result.run_id
    while run_id:
        handle = client.get_workflow_handle(result.workflow_id, run_id=run_id)
        history = await handle.fetch_history()
        histories.append(history)
        last = history.events[-1]
        run_id = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return tuple(histories)


def attempts_of(histories: Sequence[WorkflowHistory]) -> Mapping[str, int]:
    """Attempts of the most-tried step, per activity type that took more than one."""
    most: dict[str, int] = {}
    for history in histories:
        types: dict[int, str] = {}
        for event in history.events:
            if event.HasField("activity_task_scheduled_event_attributes"):
                scheduled = event.activity_task_scheduled_event_attributes
                types[event.event_id] = scheduled.activity_type.name
            elif event.HasField("activity_task_started_event_attributes"):
                started = event.activity_task_started_event_attributes
                name = types[started.scheduled_event_id]
                most[name] = max(most.get(name, 0), started.attempt)
    return {name: attempts for name, attempts in most.items() if attempts > 1}
