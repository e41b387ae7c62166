"""What a change leads to: the steps that follow from it, and nothing else."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from replayer.fork import (
    AnswerSource,
    Changes,
    Fork,
    Forker,
    ForkRequest,
    ForkSpecError,
    StopReason,
    parse_fail,
    parse_set,
    parse_signal,
)
from replayer.history import RunHistory
from tests.replayer import forked_workflows
from tests.replayer.fork_lab import data_of, history_of, model_of, start, worker

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

CODE = ("tests.replayer.forked_workflows:Review",)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def review(temporal_address: str) -> AsyncIterator[RunHistory]:
    """Not sure enough: approved by Ann, then published."""
    async with worker(temporal_address) as client:
        handle = await start(client, "Review", {"text": "a contract", "sure": 0.9})
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.HasField("timer_started_event_attributes"):
                break
        await handle.signal("approve", "ann")
        await handle.result()
        yield await history_of(client, handle)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forker() -> AsyncIterator[Forker]:
    async with Forker() as forker:
        yield forker


async def forked(
    forker: Forker,
    review: RunHistory,
    *sets: str,
    at: str | None = None,
    model: str | None = None,
    signals: tuple[str, ...] = (),
    fail: str | None = None,
    **options: Any,
) -> Fork:
    changes = Changes(
        tuple(map(parse_set, sets)),
        model,
        tuple(map(parse_signal, signals)),
        parse_fail(fail) if fail else None,
    )
    return await forker.fork(review, ForkRequest(CODE, at, changes, **options))


def told(fork: Fork) -> list[tuple[str, str, str]]:
    return [(row.name, row.answer.value, row.outcome) for row in fork.report.rows]


def stubs(folder: Path, **answers: Any) -> Path:
    path = folder / "stubs.json"
    path.write_text(json.dumps(answers))
    return path


async def test_more_confidence_takes_the_other_branch(
    forker: Forker, review: RunHistory, tmp_path: Path
) -> None:
    fork = await forked(
        forker,
        review,
        "output.confidence=0.99",
        at="classify",
        stub=stubs(tmp_path, publish={"result": "published"}),
    )
    assert told(fork) == [("classify", "changed", "completed"), ("publish", "stubbed", "completed")]
    assert fork.report.stopped is StopReason.CLOSED
    # Nobody was asked, so nobody answered.
    assert "approve" in fork.report.notes[0]
    run = model_of(fork.history)
    assert data_of(run.result) == [b'"published"']
    assert [data_of(step.input) for step in run.steps][1] == [b'"contract"', b"0.99"]
    assert not run.signals


async def test_a_step_that_nobody_can_answer_stops_the_fork(
    forker: Forker, review: RunHistory
) -> None:
    fork = await forked(forker, review, "output.confidence=0.99", at="classify")
    assert fork.report.stopped is StopReason.UNANSWERED
    assert not fork.report.is_whole
    [row] = fork.report.unanswered
    assert (row.name, row.input) == ("publish", '"contract", 0.99')
    assert fork.report.status == model_of(fork.history).status == "RUNNING"


async def test_a_decision_stands_for_the_step_that_it_looked_at(
    forker: Forker, review: RunHistory
) -> None:
    lines = Path(forked_workflows.__file__).read_text().splitlines()
    line = 1 + next(n for n, text in enumerate(lines) if 'found["confidence"] >=' in text)
    for where in ("replayer/forked_workflows.py", "Review.run", "run"):
        fork = await forked(forker, review, "output.confidence=1", at=f"{where}:{line}")
        assert told(fork)[0] == ("classify", "changed", "completed")
    with pytest.raises(ForkSpecError, match=rf"it decides at .*forked_workflows\.py:{line}"):
        await forked(forker, review, at="forked_workflows.py:1")
    with pytest.raises(ForkSpecError, match="it was decided 1 times"):
        await forked(forker, review, at=f"run:{line}#2")


async def test_another_signal(forker: Forker, review: RunHistory) -> None:
    fork = await forked(forker, review, 'signal="no"', at="approve")
    assert [row[:2] for row in told(fork)] == [
        ("classify", "recorded"),
        ("1", "clock"),
        ("approve", "changed"),
        ("file_away", "unanswered"),
    ]


async def test_a_signal_that_was_never_sent(forker: Forker, review: RunHistory) -> None:
    fork = await forked(forker, review, at="classify", signals=('approve="no"',))
    answers = {row.name: row.answer for row in fork.report.rows}
    assert answers["file_away"] is AnswerSource.UNANSWERED
    assert [data_of(signal.input) for signal in model_of(fork.history).signals] == [[b'"no"']]


async def test_another_input(forker: Forker, review: RunHistory) -> None:
    fork = await forked(forker, review, "input.sure=0.5")
    assert told(fork)[0] == ("classify", "recorded", "completed")
    # It asks for the same publication, only without waiting for Ann.
    assert told(fork)[-1] == ("publish", "recorded", "completed")
    assert fork.report.parted_at.startswith("asked for activity publish")
    assert not model_of(fork.history).signals


async def test_another_model_has_no_recorded_answer(
    forker: Forker, review: RunHistory, tmp_path: Path
) -> None:
    fork = await forked(forker, review, model="large-2", at="classify")
    assert told(fork) == [("classify", "unanswered", "open")]
    assert fork.report.unanswered[0].input == '{"model": "large-2", "text": "a contract"}'
    found = {"label": "contract", "confidence": 0.95, "model": "large-2"}
    path = stubs(tmp_path, classify={"result": found}, publish={"result": "ok"})
    fork = await forked(forker, review, model="large-2", at="classify", stub=path)
    assert told(fork) == [("classify", "stubbed", "completed"), ("publish", "stubbed", "completed")]
    [step, _] = model_of(fork.history).steps
    assert json.loads(data_of(step.input)[0])["model"] == "large-2"


async def test_a_step_that_fails(forker: Forker, review: RunHistory) -> None:
    fork = await forked(forker, review, at="publish", fail="Outage:the press is down")
    run = model_of(fork.history)
    assert run.status == fork.report.status == "FAILED"
    assert run.failure is not None
    assert (run.failure.root.type, run.failure.root.message) == ("Outage", "the press is down")
    assert told(fork)[-1] == ("publish", "changed", "failed")


async def test_stubs_fail_and_take_turns(
    forker: Forker, review: RunHistory, tmp_path: Path
) -> None:
    failure = {"failure": {"type": "Outage", "message": "gone"}}
    path = stubs(tmp_path, publish=[failure, {"result": "never"}])
    fork = await forked(forker, review, "output.confidence=1", at="classify", stub=path)
    assert fork.report.status == "FAILED"


async def test_stubs_in_python(forker: Forker, review: RunHistory, tmp_path: Path) -> None:
    path = tmp_path / "stubs.py"
    path.write_text("STUBS = {'publish': lambda label, confidence: f'{label}/{confidence}'}\n")
    fork = await forked(forker, review, "output.confidence=1", at="classify", stub=path)
    assert data_of(model_of(fork.history).result) == [b'"contract/1"']


async def test_real_activities(forker: Forker, review: RunHistory) -> None:
    fork = await forked(
        forker,
        review,
        "output.confidence=0.95",
        at="classify",
        activities="tests.replayer.forked_workflows:LIVE",
    )
    assert told(fork)[-1] == ("publish", "live", "completed")
    assert data_of(model_of(fork.history).result) == [b'"contract published at 0.95"']


async def test_timers_cost_nothing(forker: Forker, review: RunHistory) -> None:
    """Three days pass where nobody approves."""
    fork = await forked(forker, review, 'signal="no"', at="approve")
    assert fork.report.rows
    open_review = RunHistory(
        review.key,
        review.key_source,
        review.origin,
        tuple(e for e in review.events if e.event_id <= _before_the_signal(review)),
        b"",
    )
    fork = await forked(forker, open_review)
    assert fork.report.stopped is StopReason.RECORDING_ENDS
    fork = await forked(forker, open_review, "output.confidence=0.71", at="classify")
    run = model_of(fork.history)
    timer = next(step for step in run.steps if step.kind == "timer")
    assert timer.closed_at is not None
    assert timer.closed_at - timer.scheduled_at == 3 * 24 * 3600 * 10**9
    assert fork.report.unanswered[0].name == "file_away"


def _before_the_signal(review: RunHistory) -> int:
    signal = next(
        e for e in review.events if e.HasField("workflow_execution_signaled_event_attributes")
    )
    return signal.event_id - 1


@pytest.mark.parametrize(
    ("sets", "options", "message"),
    [
        (("output.confidence=1",), {}, "needs a step"),
        (("output.confidence=1",), {"at": "nothing"}, "nothing in this run is called 'nothing'"),
        (("output.confidence=1",), {"at": "9999999999999999999"}, "events 1 to"),
        (("signal=1",), {"at": "classify"}, "needs a signal"),
        ((), {"at": "approve", "model": "x"}, "needs a step with a model"),
        ((), {"at": "classify#2", "fail": "X"}, "happened 1 times"),
    ],
)
async def test_what_does_not_fit_is_refused(
    forker: Forker, review: RunHistory, sets: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ForkSpecError, match=message):
        await forked(forker, review, *sets, **options)


async def test_a_path_that_leads_nowhere_says_what_is_there(
    forker: Forker, review: RunHistory
) -> None:
    with pytest.raises(ForkSpecError, match=r"the run's input has no \.shure: it has sure, text"):
        await forked(forker, review, "input.shure=1")
