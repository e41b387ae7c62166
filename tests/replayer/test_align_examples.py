"""Healthy and faulty pairs of every example: the first divergence is the line that differs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

import examples.cargo_release.worker as cargo_worker
import examples.kyc_review.worker as kyc_worker
import examples.support_triage.worker as triage_worker
from examples.cargo_release import scenarios as cargo
from examples.cargo_release.customs_server import CustomsServer
from examples.kyc_review import scenarios as kyc
from examples.model_server import ModelServer
from examples.scenario import Scenario, run_side_by_side
from examples.support_triage import scenarios as triage
from replayer.alignment import Because, Comparison, Verdict, align, compare, side_of
from replayer.history import RunHistory, from_server
from replayer.tape import open_tape, record_here
from tracer.identity import RunKey

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

_CHOSEN = {
    "auto-approved",
    "human-approved",
    "approval-expired",
    "stuck",
    "late-order",
    "refund-paid",
    "refund-blocked",
    "all-released",
    "carrier-refuses",
    "all-refused",
    "cancelled",
}


def chosen(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Scenarios whose course does not depend on how fast the machine is."""
    return [scenario for scenario in scenarios if scenario.name in _CHOSEN]


_EXAMPLES = {
    "kyc": (chosen(kyc.SCENARIOS), kyc_worker.TASK_QUEUE, kyc_worker.FAULTY_TASK_QUEUE),
    "triage": (chosen(triage.SCENARIOS), triage_worker.TASK_QUEUE, triage_worker.FAULTY_TASK_QUEUE),
    "cargo": (chosen(cargo.SCENARIOS), cargo_worker.TASK_QUEUE, cargo_worker.FAULTY_TASK_QUEUE),
}
_CHANGED = {
    ("kyc", "human-approved"),
    ("kyc", "approval-expired"),
    ("triage", "refund-blocked"),
    ("cargo", "carrier-refuses"),
    ("cargo", "all-refused"),
    ("cargo", "cancelled"),
}
"""Scenarios in which the fault makes a difference; in the others both do the same."""


@dataclass(frozen=True)
class Runs:
    """Every run of every example: healthy, healthy again, and faulty."""

    by_name: Mapping[str, RunHistory]
    """The first run by workflow id, such as `good-kyc-stuck`."""
    by_run_id: Mapping[str, RunHistory]

    def find(self, key: RunKey) -> RunHistory | None:
        return self.by_run_id.get(key.run_id)

    def compared(self, example: str, scenario: str, other: str) -> Comparison:
        left = self.by_name[f"good-{example}-{scenario}"]
        right = self.by_name[f"{other}-{example}-{scenario}"]
        return compare(side_of(left, self.find), side_of(right, self.find))


async def work(stack: AsyncExitStack, client: Client) -> None:
    for worker in (kyc_worker, triage_worker):
        models = await stack.enter_async_context(ModelServer(worker.SCRIPT))
        for workflow, queue in (
            (worker.WORKFLOW, worker.TASK_QUEUE),
            (worker.FAULTY_WORKFLOW, worker.FAULTY_TASK_QUEUE),
        ):
            await stack.enter_async_context(
                worker.worker(
                    client, model_url=models.base_url, workflow_class=workflow, task_queue=queue
                )
            )
    for workflows, queue in (
        (cargo_worker.WORKFLOWS, cargo_worker.TASK_QUEUE),
        (cargo_worker.FAULTY_WORKFLOWS, cargo_worker.FAULTY_TASK_QUEUE),
    ):
        port = stack.enter_context(CustomsServer(cargo.RULES))
        await stack.enter_async_context(
            cargo_worker.worker(client, customs_url=port.url, workflows=workflows, task_queue=queue)
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runs(temporal_address: str) -> AsyncIterator[Runs]:
    # Stuck runs log a traceback per attempt of their workflow task.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    client = await Client.connect(temporal_address)
    async with AsyncExitStack() as stack:
        await work(stack, client)
        results = await asyncio.gather(
            *(
                run_side_by_side(client, scenarios, f"{name}-{example}", task_queue=queue)
                for example, (scenarios, healthy, faulty) in _EXAMPLES.items()
                for name, queue in (("good", healthy), ("again", healthy), ("bad", faulty))
            )
        )
        ended = [result for group in results for result in group.values()]
        firsts = {
            result.workflow_id: await from_server(client, result.workflow_id, result.run_id)
            for result in ended
        }
        everything = [
            await from_server(client, found.id, found.run_id)
            async for found in client.list_workflows()
            if found.id.startswith(("good-", "again-", "bad-"))
        ]
    yield Runs(firsts, {history.key.run_id: history for history in everything})


def names() -> list[tuple[str, str]]:
    return [(name, s.name) for name, (scenarios, *_) in _EXAMPLES.items() for s in scenarios]


@pytest.mark.parametrize(("example", "scenario"), names())
async def test_the_same_code_does_the_same(runs: Runs, example: str, scenario: str) -> None:
    found = runs.compared(example, scenario, "again")
    assert not [row for row in found.rows if row.is_difference]


@pytest.mark.parametrize(("example", "scenario"), names())
async def test_the_fault_shows_where_it_matters(runs: Runs, example: str, scenario: str) -> None:
    found = runs.compared(example, scenario, "bad")
    assert (found.cause is not None) == ((example, scenario) in _CHANGED)
    if found.cause is not None:
        assert found.cause.because is Because.CODE


@pytest.mark.parametrize(
    ("example", "scenario", "verdict", "name"),
    [
        ("kyc", "human-approved", Verdict.ONLY_LEFT, "approval: first line"),
        ("kyc", "approval-expired", Verdict.ONLY_LEFT, "approval: first line"),
        ("triage", "refund-blocked", Verdict.ONLY_LEFT, "ask_model"),
        ("cargo", "carrier-refuses", Verdict.MOVED, "cancel_customs"),
        ("cargo", "all-refused", Verdict.MOVED, "cancel_customs"),
        ("cargo", "cancelled", Verdict.MOVED, "cancel_customs"),
    ],
)
async def test_they_part_at_the_first_step_that_the_fault_changes(
    runs: Runs, example: str, scenario: str, verdict: Verdict, name: str
) -> None:
    found = runs.compared(example, scenario, "bad")
    assert found.cause is not None
    row = found.rows[found.cause.divergence]
    assert (row.verdict, row.entry.name) == (verdict, name)


_LINES = [
    ("kyc-human-approved", kyc_worker.WORKFLOW, kyc_worker.FAULTY_WORKFLOW),
    ("kyc-approval-expired", kyc_worker.WORKFLOW, kyc_worker.FAULTY_WORKFLOW),
    ("triage-refund-blocked", triage_worker.WORKFLOW, triage_worker.FAULTY_WORKFLOW),
    *(
        (f"cargo-{name}", cargo_worker.WORKFLOWS[1], cargo_worker.FAULTY_WORKFLOWS[1])
        for name in ("carrier-refuses-SHP-302", "all-refused-SHP-401", "cancelled-SHP-501")
    ),
]


@pytest.mark.parametrize(("name", "healthy", "faulty"), _LINES)
async def test_with_tapes_the_origin_is_the_line_that_differs(
    runs: Runs, name: str, healthy: type, faulty: type, tmp_path: Path
) -> None:
    histories = {history.key.workflow_id: history for history in runs.by_run_id.values()}
    pair = [histories[f"{which}-{name}"] for which in ("good", "bad")]
    paths = [tmp_path / "good.tape", tmp_path / "bad.tape"]
    for history, workflow, path in zip(pair, (healthy, faulty), paths, strict=True):
        await asyncio.to_thread(record_here, history, [workflow], path)
    with open_tape(paths[0]) as left, open_tape(paths[1]) as right:
        found = compare(side_of(pair[0]), side_of(pair[1]), (left, right))
        sources = [left.source("workflow.py"), right.source("workflow_faulty.py")]
    assert found.origin is not None
    told = (found.origin.left.line, found.origin.left.text, found.origin.right.text)
    texts = [source.text.splitlines() for source in sources if source is not None]
    [differing] = [
        (number, ours.strip(), theirs.strip())
        for number, (ours, theirs) in enumerate(zip(*texts, strict=True), 1)
        if ours != theirs
    ]
    assert told == differing
    if "cargo" not in name:  # a `for` decides nothing
        assert found.cause is not None
        assert found.cause.because is Because.BRANCH
        assert found.cause.explanation is not None
        decision = found.rows[found.cause.explanation].entry.decision
        assert decision is not None
        assert decision.line in (differing[0], differing[0] + 1)
        assert decision.values


async def test_every_run_equals_itself(runs: Runs) -> None:
    for history in runs.by_run_id.values():
        side = side_of(history, runs.find)
        assert {row.verdict for row in align(side, side)} == {Verdict.EQUAL}
