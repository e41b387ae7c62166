"""Which runs a demo made: found by following them, not by asking an index that may lag."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from temporalio.client import Client

from examples.scenario import ScenarioResult
from replayer.history import RunHistory, from_server
from tracer.model import run_from_events


async def histories(client: Client, results: Iterable[ScenarioResult]) -> AsyncIterator[RunHistory]:
    """The runs of these executions: the whole chain of each, and all children."""
    waiting = [(result.workflow_id, result.run_id) for result in results]
    seen = set(waiting)
    while waiting:
        history = await from_server(client, *waiting.pop(0))
        yield history
        for found in _related(history):
            if found not in seen:
                seen.add(found)
                waiting.append(found)


def _related(history: RunHistory) -> Iterable[tuple[str, str]]:
    run = run_from_events(history.key, history.events)
    if run.continued_to_run_id:
        yield history.key.workflow_id, run.continued_to_run_id
    for step in run.steps:
        if step.child_run_id:
            yield step.id, step.child_run_id
