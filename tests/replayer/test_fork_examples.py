"""Every run of the examples: an unchanged fork is the run, and the KYC review takes another way."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from examples.cargo_release import scenarios as cargo
from examples.cargo_release import worker as cargo_worker
from examples.cargo_release.customs_server import CustomsServer
from examples.kyc_review import scenarios as kyc
from examples.kyc_review import worker as kyc_worker
from examples.model_server import ModelServer
from examples.scenario import Scenario, run_side_by_side
from examples.support_triage import scenarios as triage
from examples.support_triage import worker as triage_worker
from replayer.alignment import Because, EntryKind, Reason, Verdict, compare, side_of
from replayer.fork import Changes, FailStep, Forker, ForkRequest, StopReason, parse_set
from replayer.history import RunHistory, from_server
from replayer.tape import open_tape, record_here
from tests.replayer.fork_lab import data_of, differences, model_of
from tracer.model import Step, StepKind

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

CODE = {
    "kyc": ("examples.kyc_review.workflow:KycReview",),
    "triage": ("examples.support_triage.workflow:SupportTriage",),
    "cargo": ("examples.cargo_release.workflow",),
}
SCENARIOS: dict[str, tuple[Scenario, ...]] = {
    "kyc": kyc.SCENARIOS,
    "triage": triage.SCENARIOS,
    "cargo": cargo.SCENARIOS,
}
QUEUES = {
    "kyc": kyc_worker.TASK_QUEUE,
    "triage": triage_worker.TASK_QUEUE,
    "cargo": cargo_worker.TASK_QUEUE,
}
NAMES = [f"{example}-{s.name}" for example, all_of in SCENARIOS.items() for s in all_of]

type Recordings = Mapping[str, RunHistory]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recordings(temporal_address: str) -> AsyncIterator[Recordings]:
    """The first run of each scenario, and the children of cargo releases."""
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    client = await Client.connect(temporal_address)
    found: dict[str, RunHistory] = {}
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(ModelServer(kyc_worker.SCRIPT))
        agents = await stack.enter_async_context(ModelServer(triage_worker.SCRIPT))
        customs = stack.enter_context(CustomsServer(cargo.RULES))
        for running in (
            kyc_worker.worker(client, model_url=models.base_url),
            triage_worker.worker(client, model_url=agents.base_url),
            cargo_worker.worker(client, customs_url=customs.url),
        ):
            await stack.enter_async_context(running)
        for example, scenarios in SCENARIOS.items():
            ends = await run_side_by_side(client, scenarios, example, task_queue=QUEUES[example])
            for name, end in ends.items():
                history = await from_server(client, end.workflow_id, end.run_id)
                found[f"{example}-{name}"] = history
        for step in model_of(found["cargo-carrier-refuses"]).steps:
            found[step.id] = await from_server(client, step.id, step.child_run_id)
    yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forker() -> AsyncIterator[Forker]:
    async with Forker() as forker:
        yield forker


@pytest.mark.parametrize("name", NAMES)
async def test_an_unchanged_fork_is_the_run(
    recordings: Recordings, forker: Forker, name: str
) -> None:
    recording = recordings[name]
    fork = await forker.fork(recording, ForkRequest(CODE[name.partition("-")[0]]))
    assert differences(fork.history, recording) == []
    assert fork.report.parted_at == ""
    assert not compare(side_of(recording), side_of(fork.history)).differs
    expected = {
        "kyc-stuck": StopReason.TASK_FAILED,
        "triage-late-order": StopReason.CONTINUED_AS_NEW,
    }
    assert fork.report.stopped is expected.get(name, StopReason.CLOSED)


@pytest.mark.parametrize("name", NAMES)
async def test_the_first_difference_of_a_fork_is_the_fork_point(
    recordings: Recordings, forker: Forker, name: str
) -> None:
    recording = recordings[name]
    changed = last_answer(recording)
    changes = Changes(fail=FailStep("Changed", "as the fork has it"))
    request = ForkRequest(CODE[name.partition("-")[0]], str(changed.closed_event_id), changes)
    fork = await forker.fork(recording, request)
    comparison = compare(side_of(recording), side_of(fork.history))
    first = next(row for row in comparison.rows if row.is_difference)
    assert first.left is not None
    assert (first.left.kind, first.left.id) == (changed.kind.value, changed.id)
    assert first.left.answer_event_id == changed.closed_event_id
    assert Reason.OUTCOME in first.reasons
    # What the fork did otherwise, if anything, is told to come from there.
    assert comparison.cause is not None
    assert comparison.cause.explanation is not None
    assert comparison.rows[comparison.cause.explanation] is first


def last_answer(recording: RunHistory) -> Step:
    """The activity or child that was answered last, of those that were."""
    kinds = (StepKind.ACTIVITY, StepKind.CHILD_WORKFLOW)
    steps = [step for step in model_of(recording).steps if step.kind in kinds and step.outcome]
    return max(steps, key=lambda step: step.closed_event_id or 0)


async def test_with_tapes_a_fork_parts_at_the_decision_that_went_the_other_way(
    recordings: Recordings, forker: Forker, tmp_path: Path
) -> None:
    recording = recordings["kyc-auto-approved"]
    change = Changes((parse_set("output.score=0.99"),))
    fork = await forker.fork(recording, ForkRequest(CODE["kyc"], "assess_risk", change))
    paths = [tmp_path / "recorded.tape", tmp_path / "forked.tape"]
    for history, path in zip((recording, fork.history), paths, strict=True):
        record_here(history, [kyc_worker.WORKFLOW], path)
    with open_tape(paths[0]) as left, open_tape(paths[1]) as right:
        comparison = compare(side_of(recording), side_of(fork.history), (left, right))
    assert comparison.cause is not None
    assert comparison.cause.because is Because.BRANCH
    row = comparison.rows[comparison.cause.explanation or 0]
    decided = [e.decision for e in (row.left, row.right) if e is not None and e.decision]
    assert [decision.outcome for decision in decided] == [True, False]
    assert decided[1].because == "not self._risk.score < limit"
    assert comparison.origin is not None
    assert "self._risk = await self._assess(documents)" in comparison.origin.left.text


async def test_unchanged_forks_of_children_are_the_children(
    recordings: Recordings, forker: Forker
) -> None:
    for step in model_of(recordings["cargo-carrier-refuses"]).steps:
        fork = await forker.fork(recordings[step.id], ForkRequest(CODE["cargo"]))
        assert differences(fork.history, recordings[step.id]) == []


async def test_kyc_with_a_higher_confidence_takes_the_other_branch(
    recordings: Recordings, forker: Forker, tmp_path: Path
) -> None:
    """A passport that is hardly readable needs a person; one that is read well does not."""
    doubtful = await forked(
        forker,
        recordings["kyc-auto-approved"],
        tmp_path,
        "output.confidence=0.5",
        at="classify_document#1",
        assess_risk={"result": {"score": 0.08, "rationale": "low"}},
        escalate_approval={"result": None},
        record_audit={"result": "audit-1"},
    )
    assert json.loads(data_of(model_of(doubtful).result)[0])["outcome"] == "expired"
    sure = await forked(
        forker,
        doubtful,
        tmp_path,
        "output.confidence=0.99",
        at="classify_document#1",
        assess_risk={"result": {"score": 0.08, "rationale": "low"}},
        record_audit={"result": "audit-2"},
    )
    run = model_of(sure)
    assert json.loads(data_of(run.result)[0])["outcome"] == "auto_approved"
    rows = compare(side_of(doubtful), side_of(sure)).rows
    changed = [
        (row.verdict, entry.kind, entry.name)
        for row in rows
        if row.is_difference and (entry := row.left or row.right) is not None
    ]
    steps = [(verdict, name) for verdict, kind, name in changed if kind is EntryKind.ACTIVITY]
    # What was not touched by it is equal: the other document, and the screening.
    assert steps == [
        (Verdict.CHANGED, "classify_document"),
        (Verdict.CHANGED, "assess_risk"),
        (Verdict.ONLY_LEFT, "escalate_approval"),
        (Verdict.CHANGED, "record_audit"),
    ]
    timers = [(v, name) for v, kind, name in changed if kind is EntryKind.TIMER]
    assert timers == [
        (Verdict.ONLY_LEFT, "approval: first line"),
        (Verdict.ONLY_LEFT, "approval: second line"),
    ]


async def forked(
    forker: Forker, recording: RunHistory, folder: Path, change: str, *, at: str, **stubs: Any
) -> RunHistory:
    path = folder / "stubs.json"
    path.write_text(json.dumps(stubs))
    request = ForkRequest(CODE["kyc"], at, Changes((parse_set(change),)), stub=path)
    fork = await forker.fork(recording, request)
    assert fork.report.stopped is StopReason.CLOSED, fork.report
    return fork.history
