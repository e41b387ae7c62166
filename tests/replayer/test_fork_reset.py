"""The reset preview, and what a real server does when it is asked to."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from replayer.fork import Fate, ForkSpecError, SideEffect, reset_preview
from replayer.fork.side_effects import side_effect_of
from replayer.history import RunHistory, from_server, read_bytes
from tests.replayer.fork_lab import history_of, model_of, start, worker
from tests.tui.histories import HistoryMaker, review_history
from tracer.model import Step, StepKind


def read(maker: HistoryMaker) -> RunHistory:
    [history] = read_bytes(maker.bytes(), uri="made.pb")
    assert isinstance(history, RunHistory)
    return history


def test_what_runs_again_and_what_is_sent_again() -> None:
    maker = HistoryMaker()
    maker.start()
    maker.activity("fetch_customer")
    maker.activity("ask", result=_completion())
    point = len(maker.events)
    maker.activity("send_letter")
    maker.signal("approve")
    maker.activity("ask", result=_completion())
    maker.complete()
    preview = reset_preview(read(maker), str(point))
    assert [(step.name, step.fate) for step in preview.steps] == [
        ("fetch_customer", Fate.KEPT),
        ("ask", Fate.KEPT),
        ("send_letter", Fate.AGAIN),
        ("ask", Fate.AGAIN),
    ]
    assert [step.side_effect for step in preview.again] == [SideEffect.LIKELY, SideEffect.NO]
    assert preview.tokens == 1100
    assert preview.cost_usd is not None
    assert 0 < preview.cost_usd < 0.01
    assert [(m.name, m.fate) for m in preview.messages] == [("approve", Fate.REAPPLIED)]
    assert preview.document()["totals"]["again"] == 2


def _completion() -> bytes:
    return (
        b'{"object": "chat.completion", "model": "gpt-4o-mini", "choices": [],'
        b' "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}}'
    )


def test_only_events_of_workflow_tasks_are_reset_points() -> None:
    history = read(review_history())
    legal = {e.event_id for e in history.events if "WORKFLOW_TASK" in _type(e)} - {
        e.event_id for e in history.events if _type(e).endswith("TASK_SCHEDULED")
    }
    assert legal
    for event in history.events:
        if event.event_id in legal:
            assert reset_preview(history, str(event.event_id)).event_id == event.event_id
            continue
        with pytest.raises(ForkSpecError, match="the nearest are") as refusal:
            reset_preview(history, str(event.event_id))
        named = [i for i in legal if f" {i} (" in str(refusal.value)]
        near = [i for i in sorted(legal) if i < event.event_id][-1:]
        near += [i for i in sorted(legal) if i > event.event_id][:1]
        assert sorted(named) == near
    for text in ("0", "999", "", "x", "-1", "9" * 400):
        with pytest.raises(ForkSpecError, match="there is no event"):
            reset_preview(history, text)


def _type(event: Any) -> str:
    return str(event.WhichOneof("attributes")).upper().removesuffix("_EVENT_ATTRIBUTES")


def test_a_later_point_never_runs_more_again() -> None:
    history = read(review_history())
    counts = []
    for event in history.events:
        try:
            counts.append(len(reset_preview(history, str(event.event_id)).again))
        except ForkSpecError:
            continue
    assert all(earlier >= later for earlier, later in pairwise(counts))
    assert counts[0] == len(model_of(history).steps)


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("sendLetter", SideEffect.LIKELY),
        ("charge_card", SideEffect.LIKELY),
        ("HTTPGetStatus", SideEffect.NO),
        ("list_tools", SideEffect.NO),
        ("invoke_model_activity", SideEffect.NO),
        ("frobnicate", SideEffect.POSSIBLE),
    ],
)
def test_side_effects_are_guessed_from_names(name: str, verdict: SideEffect) -> None:
    step = Step(StepKind.ACTIVITY, name, "1", 1, 1, 0)
    assert side_effect_of(step).verdict is verdict


def task_completions(history: RunHistory) -> Iterator[int]:
    for event in history.events:
        if event.HasField("workflow_task_completed_event_attributes"):
            yield event.event_id


@pytest.mark.slow
async def test_a_real_reset_does_what_the_preview_says(temporal_address: str) -> None:
    async with worker(temporal_address) as client:
        handle = await start(client, "Review", {"text": "a contract", "sure": 0.9})
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.HasField("timer_started_event_attributes"):
                break
        await handle.signal("approve", "ann")
        await handle.result()
        history = await history_of(client, handle)
        point = next(task_completions(history))
        preview = reset_preview(history, str(point))
        answer = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(
                    workflow_id=handle.id, run_id=history.key.run_id
                ),
                reason="to see",
                workflow_task_finish_event_id=point,
                request_id="one",
            )
        )
        again = client.get_workflow_handle(handle.id, run_id=answer.run_id)
        await asyncio.wait_for(again.result(), 30)
        after = model_of(await from_server(client, handle.id, answer.run_id))
    assert {step.name for step in preview.again} >= {
        s.name for s in after.steps if s.kind != "timer"
    }
    assert [m.name for m in preview.messages if m.fate is Fate.REAPPLIED] == [
        s.name for s in after.signals
    ]
