"""Every example run on a tape: the same decisions as live, and the same state at the end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

import examples.cargo_release.worker as cargo_worker
import examples.kyc_review.worker as kyc_worker
import examples.support_triage.worker as triage_worker
from examples.cargo_release import scenarios as cargo
from examples.cargo_release.customs_server import CustomsServer
from examples.kyc_review import models as kyc_models
from examples.kyc_review import scenarios as kyc
from examples.model_server import ModelServer
from examples.scenario import run_side_by_side
from examples.support_triage import models as triage_models
from examples.support_triage import scenarios as triage
from replayer.history import RunHistory, from_server
from replayer.tape import Kind, State, StopKind, Tape, open_tape
from tests.replayer.taping import plain, taped, workflow_value
from tests.tracer.test_branches_live import Observatory
from tracer.branches import BranchKind, process_watch
from tracer.model import RunStatus, run_from_events

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

type Decision = tuple[str, int, bool | str | int | float, str]


class Ran:
    """An example run, as it was live."""

    def __init__(
        self, history: RunHistory, decisions: set[Decision], answer: dict[str, Any] | None
    ) -> None:
        self.history = history
        self.decisions = decisions
        self.answer = answer
        """What the `status` query said at the end; None for workflows without one."""

    @property
    def workflow(self) -> type:
        started = self.history.events[0].workflow_execution_started_event_attributes
        return WORKFLOWS[started.workflow_type.name, started.task_queue.name]


WORKFLOWS: dict[tuple[str, str], type] = {
    ("KycReview", kyc_worker.TASK_QUEUE): kyc_worker.WORKFLOW,
    ("KycReview", kyc_worker.FAULTY_TASK_QUEUE): kyc_worker.FAULTY_WORKFLOW,
    ("SupportTriage", triage_worker.TASK_QUEUE): triage_worker.WORKFLOW,
    ("SupportTriage", triage_worker.FAULTY_TASK_QUEUE): triage_worker.FAULTY_WORKFLOW,
    ("CargoRelease", cargo_worker.TASK_QUEUE): cargo_worker.WORKFLOWS[0],
    ("ShipmentRelease", cargo_worker.TASK_QUEUE): cargo_worker.WORKFLOWS[1],
    ("CargoRelease", cargo_worker.FAULTY_TASK_QUEUE): cargo_worker.FAULTY_WORKFLOWS[0],
    ("ShipmentRelease", cargo_worker.FAULTY_TASK_QUEUE): cargo_worker.FAULTY_WORKFLOWS[1],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ran(temporal_address: str) -> AsyncIterator[list[Ran]]:
    """All scenarios of all examples, on the healthy and on the faulty workflows."""
    # Stuck runs log a traceback per attempt of their workflow task.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    client = await Client.connect(temporal_address)
    observatory = Observatory(process_watch())
    async with AsyncExitStack() as stack:
        await work(stack, client, observatory)
        await asyncio.gather(
            *(
                run_side_by_side(client, scenarios, f"taped-{queue}", task_queue=queue)
                for scenarios, queues in (
                    (kyc.SCENARIOS, (kyc_worker.TASK_QUEUE, kyc_worker.FAULTY_TASK_QUEUE)),
                    (triage.SCENARIOS, (triage_worker.TASK_QUEUE, triage_worker.FAULTY_TASK_QUEUE)),
                    (cargo.SCENARIOS, (cargo_worker.TASK_QUEUE, cargo_worker.FAULTY_TASK_QUEUE)),
                )
                for queue in queues
            )
        )
        yield [found async for found in everything(client, observatory)]


async def work(stack: AsyncExitStack, client: Client, observatory: Observatory) -> None:
    """Run the workers of all examples, watched."""
    outside = stack.enter_context(ExitStack())
    customs = outside.enter_context(CustomsServer(cargo.RULES))
    runners = observatory.runners
    for module in (kyc_worker, triage_worker):
        models = outside.enter_context(ModelServer(module.SCRIPT))
        for workflow, queue in (
            (module.WORKFLOW, module.TASK_QUEUE),
            (module.FAULTY_WORKFLOW, module.FAULTY_TASK_QUEUE),
        ):
            await stack.enter_async_context(
                module.worker(
                    client,
                    model_url=models.base_url,
                    workflow_class=workflow,
                    task_queue=queue,
                    **runners,
                )
            )
    for workflows, queue in (
        (cargo_worker.WORKFLOWS, cargo_worker.TASK_QUEUE),
        (cargo_worker.FAULTY_WORKFLOWS, cargo_worker.FAULTY_TASK_QUEUE),
    ):
        await stack.enter_async_context(
            cargo_worker.worker(
                client, customs_url=customs.url, workflows=workflows, task_queue=queue, **runners
            )
        )


async def everything(client: Client, observatory: Observatory) -> AsyncIterator[Ran]:
    async for run in client.list_workflows('WorkflowId STARTS_WITH "taped-"'):
        history = await from_server(client, run.id, run.run_id)
        instances = observatory.seen[run.run_id]
        decisions = {
            (branch.point.id, branch.occurrence, branch.outcome, branch.because)
            for activations in instances
            for found in activations
            for branch in found.branches
        }
        model = run_from_events(history.key, history.events)
        answer = None
        if run.workflow_type in ("KycReview", "SupportTriage") and not model.is_stuck:
            handle = client.get_workflow_handle(run.id, run_id=run.run_id)
            answer = asdict(await handle.query("status", result_type=ANSWERS[run.workflow_type]))
        yield Ran(history, decisions, answer)
    assert observatory.errors == []


ANSWERS: dict[str, Any] = {
    "KycReview": kyc_models.Status,
    "SupportTriage": triage_models.Status,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tapes")


def tapes(ran: list[Ran], folder: Path) -> Iterator[tuple[Ran, Tape]]:
    for each in ran:
        path = folder / f"{each.history.key.run_id}.tape"
        if path.exists():
            yield each, open_tape(path)
        else:
            recorded = taped(each.history, each.workflow, folder)
            recorded.path.rename(path)
            recorded.path = path
            yield each, recorded.open()


async def test_decisions_are_those_of_the_live_run(ran: list[Ran], folder: Path) -> None:
    assert len(ran) > 30
    assert sum(len(each.decisions) for each in ran) > 100
    for each, tape in tapes(ran, folder):
        with tape:
            decisions = [
                (found.branch.point.id, found.branch.occurrence, found.branch.outcome,
                 found.branch.because)
                for found in tape.branches()
            ]  # fmt: skip
            assert len(decisions) == len(set(decisions))
            assert set(decisions) == each.decisions, each.history.key
            for found in tape.branches():
                place = tape.at(found.position)
                point = found.branch.point
                assert (place.file, place.function) == (point.file, point.qualname)
                if point.kind in (BranchKind.IF, BranchKind.ELIF, BranchKind.WHILE):
                    assert point.line <= place.line <= point.end_line


async def test_the_state_at_the_end_is_what_the_query_answers(ran: list[Ran], folder: Path) -> None:
    asked = 0
    for each, tape in tapes(ran, folder):
        with tape:
            if each.answer is None:
                continue
            asked += 1
            state = tape.state_at(len(tape) - 1)
            told = SHOWN[each.workflow.__name__](state)
            assert told == each.answer, each.history.key
    assert asked > 10


def _review(state: State) -> dict[str, Any]:
    risk = workflow_value(state, "_risk")
    score = risk.child("score")
    return {
        "stage": plain(workflow_value(state, "_stage")),
        "risk": None if score is None else plain(score),
        "escalated": plain(workflow_value(state, "_escalated")),
    }


def _triage(state: State) -> dict[str, Any]:
    return {
        "stage": plain(workflow_value(state, "_stage")),
        "turns": plain(workflow_value(state, "_turns")),
        "messages": workflow_value(state, "_conversation").length,
    }


SHOWN = {"KycReview": _review, "SupportTriage": _triage}


async def test_a_tape_says_why_it_ends(ran: list[Ran], folder: Path) -> None:
    for each, tape in tapes(ran, folder):
        with tape:
            model = run_from_events(each.history.key, each.history.events)
            if model.is_stuck:
                assert tape.stop.kind is StopKind.FAILED
                assert tape.stop.text == "KeyError: 'XX'"
                raised = [at for at in range(len(tape)) if tape.at(at).kind is Kind.EXCEPTION]
                assert "AUTO_APPROVE_BELOW[" in line_at(tape, raised[-1])
            else:
                assert model.status is not RunStatus.RUNNING
                assert tape.stop.kind is StopKind.CLOSED


def line_at(tape: Tape, position: int) -> str:
    place = tape.at(position)
    source = tape.source(place.file)
    assert source is not None
    return source.text.splitlines()[place.line - 1]


async def test_every_command_of_a_closed_run_became_an_event(ran: list[Ran], folder: Path) -> None:
    for each, tape in tapes(ran, folder):
        with tape:
            if tape.stop.kind is not StopKind.CLOSED:
                continue
            commands = [command for act in tape.activations() for command in act.commands]
            withdrawn = {c.about for c in commands if c.name == "cancel_timer" and not c.event_id}
            lost = [
                command
                for command in commands
                if command.event_id is None
                and command.name not in ("cancel_timer", "request_cancel_local_activity")
                and not (command.name == "start_timer" and command.about in withdrawn)
            ]
            assert lost == [], each.history.key
            events = [c.event_id for c in commands if c.event_id and c.name != "set_patch_marker"]
            assert len(events) == len(set(events))
            assert set(events) <= {event.event_id for event in each.history.events}
