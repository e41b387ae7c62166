"""Decisions of real workflows on a real server, in the sandbox and without it."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.worker import (
    Replayer,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tests.tracer.branching_workflows import QUEUE, WORKFLOWS, Order, Sandboxed, Unsandboxed, review
from tracer.branches import ActivationBranches, Branch, BranchSettings, BranchWatch, RunBranches

pytestmark = pytest.mark.slow

KINDS = pytest.mark.parametrize("kind", [Sandboxed, Unsandboxed])


class Observatory:
    """Runners whose instances are watched, and what they saw."""

    def __init__(self, watch: BranchWatch, *, replays_count: bool = False) -> None:
        self.watch = watch
        self.replays_count = replays_count
        """Whether decisions are handed over while replaying, which only a test wants."""
        self.seen: dict[str, list[list[ActivationBranches]]] = {}
        """By run id, the activations of each instance."""
        self.errors: list[Exception] = []

    def note(self, place: str, error: Exception) -> None:
        self.errors.append(error)

    @property
    def runners(self) -> dict[str, Any]:
        return {
            "workflow_runner": WatchedRunner(SandboxedWorkflowRunner(), self),
            "unsandboxed_workflow_runner": WatchedRunner(UnsandboxedWorkflowRunner(), self),
        }

    def instances(self, handle: WorkflowHandle[Any, Any]) -> list[list[ActivationBranches]]:
        assert self.errors == []
        return self.seen[handle.result_run_id or ""]


class WatchedRunner(WorkflowRunner):
    def __init__(self, runner: WorkflowRunner, observatory: Observatory) -> None:
        self._runner = runner
        self._observatory = observatory

    def prepare_workflow(self, defn: Any) -> None:
        self._observatory.watch.include(defn.cls)
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = self._runner.create_instance(det)
        return cast("WorkflowInstance", WatchedInstance(instance, det, self._observatory))


class WatchedInstance:
    def __init__(
        self, instance: WorkflowInstance, det: WorkflowInstanceDetails, observatory: Observatory
    ) -> None:
        self._instance = instance
        self._observatory = observatory
        self._run = RunBranches(BranchSettings(capture_values=True), observatory.note)
        self._seen: list[ActivationBranches] = []
        observatory.seen.setdefault(det.info.run_id, []).append(self._seen)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def activate(self, act: Any) -> Any:
        watch = self._observatory.watch
        names = {job.WhichOneof("variant") for job in act.jobs}
        if names & {"query_workflow", "remove_from_cache"}:
            with watch.ignoring():
                return self._instance.activate(act)
        validates = any(job.do_update.run_validator for job in act.jobs)
        with watch.watching(
            self._run,
            at=act.timestamp.ToNanoseconds(),
            recording=self._observatory.replays_count or not act.is_replaying,
            is_read_only=workflow.unsafe.is_read_only if validates else None,
        ) as found:
            completion = self._instance.activate(act)
        self._seen.append(found)
        return completion


@pytest.fixture
def watch() -> Iterator[BranchWatch]:
    watch = BranchWatch()
    yield watch
    assert watch.disabled_reason == ""
    assert watch.unreadable == {}
    watch.close()


@asynccontextmanager
async def working(address: str, observatory: Observatory, **options: Any) -> AsyncIterator[Client]:
    client = await Client.connect(address)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=WORKFLOWS,
        activities=[review],
        **observatory.runners,
        **options,
    ):
        yield client


async def drive(client: Client, kind: Any, amount: int = 2000) -> WorkflowHandle[Any, Any]:
    handle = await client.start_workflow(
        kind.run, Order(amount), id=f"branching-{uuid.uuid4()}", task_queue=QUEUE
    )
    assert await handle.query("waiting") == "waiting"
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("approve", "")
    assert await handle.query("waiting") == "waiting"
    assert await handle.execute_update("approve", "ada") == "ada"
    await handle.result()
    return handle


def branches_of(activations: list[ActivationBranches]) -> list[Branch]:
    return [branch for found in activations for branch in found.branches]


def told(branches: list[Branch]) -> list[tuple[str, str, object, int]]:
    return [
        (
            branch.point.qualname.rpartition(".")[2],
            branch.point.condition,
            branch.outcome,
            branch.occurrence,
        )
        for branch in branches
    ]


@KINDS
async def test_workflow_code_is_told_and_nothing_else(
    temporal_address: str, watch: BranchWatch, kind: Any
) -> None:
    observatory = Observatory(watch)
    async with working(temporal_address, observatory) as client:
        handle = await drive(client, kind)

    branches = branches_of(observatory.instances(handle)[0])

    assert sorted(told(branches)) == sorted([
        ("__init__", "not self.approved_by", True, 1),
        ("decide", 'order.amount > 100 and order.country != "XX"', True, 1),
        ("decide", "checked < 3", True, 1),
        ("decide", "checked < 3", False, 4),
        ("approve", "who", True, 1),
        ("decide", 'case "refused"', False, 1),
        ("decide", 'case text if text.startswith("reviewed")', True, 1),
        ("tier", "order.amount > 1000", True, 1),
        ("is_done", "self.approved_by", True, 1),
    ])  # fmt: skip
    assert {branch.point.file for branch in branches} == {"tests/tracer/branching_workflows.py"}
    first = next(
        branch for branch in branches if branch.point.condition.startswith("order.amount > 100 ")
    )
    assert first.because == 'order.country != "XX"'
    assert first.values == (("order.amount", "2000"), ("order.country", "'FR'"))
    loops: Counter[str] = Counter()
    for found in observatory.instances(handle)[0]:
        loops.update({point.condition: rounds for point, rounds in found.loops.items()})
    assert loops == {"checked < 3": 3, "_ in range(4)": 4}


@KINDS
async def test_replays_come_to_the_same_decisions(
    temporal_address: str, watch: BranchWatch, kind: Any
) -> None:
    live = Observatory(watch)
    async with working(temporal_address, live) as client:
        handle = await drive(client, kind)
        history = await handle.fetch_history()
    replayed = [Observatory(watch, replays_count=True) for _ in range(2)]
    for observatory in replayed:
        await Replayer(workflows=WORKFLOWS, **observatory.runners).replay_workflow(history)

    expected = [
        (branch.point, branch.outcome, branch.occurrence, branch.because)
        for branch in branches_of(live.instances(handle)[0])
    ]
    assert len(expected) == 9
    for observatory in replayed:
        (activations,) = observatory.seen.values()
        assert observatory.errors == []
        assert expected == [
            (branch.point, branch.outcome, branch.occurrence, branch.because)
            for branch in branches_of(activations[0])
        ]


@KINDS
async def test_instances_that_replay_after_eviction_go_on_counting(
    temporal_address: str, watch: BranchWatch, kind: Any
) -> None:
    observatory = Observatory(watch)
    async with working(temporal_address, observatory, max_cached_workflows=0) as client:
        handle = await drive(client, kind)

    instances = observatory.instances(handle)

    assert len(instances) > 3
    # A task may be handed out again before its answer has arrived. What it decides is then told
    # twice, by two instances, and must be known as the same.
    decisions = {
        (branch.point.id, branch.occurrence, branch.outcome, branch.because)
        for activations in instances
        for branch in branches_of(activations)
    }
    assert len(decisions) == len({decision[:2] for decision in decisions}) == 9


@KINDS
async def test_runs_at_the_same_time_do_not_mix(
    temporal_address: str, watch: BranchWatch, kind: Any
) -> None:
    observatory = Observatory(watch)
    async with working(temporal_address, observatory) as client:
        amounts = [2000, 50, 500, 6000] * 4
        handles = await asyncio.gather(*(drive(client, kind, amount) for amount in amounts))

    for amount, handle in zip(amounts, handles, strict=True):
        branches = branches_of(observatory.instances(handle)[0])
        read = [dict(branch.values).get("order.amount") for branch in branches]
        assert {value for value in read if value} == {str(amount)}
        outcomes = told(branches)
        assert len(outcomes) == len(set(outcomes))
        assert ("tier", "order.amount > 1000", amount == 2000, 1) in outcomes or amount in (
            50,
            6000,
        )


async def test_nothing_is_captured_when_it_is_off(
    temporal_address: str, watch: BranchWatch
) -> None:
    off = BranchWatch()
    off.close()
    observatory = Observatory(off)
    async with working(temporal_address, observatory) as client:
        handle = await drive(client, Sandboxed)

    activations = observatory.instances(handle)[0]
    assert activations
    assert all(found == ActivationBranches() for found in activations)
    assert off.disabled_reason == "branch capture was closed"
