"""The cargo release on a real server: every scenario, its retries and compensation, the fault."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from examples.cargo_release import workflow, workflow_faulty
from examples.cargo_release.attempt_log import Attempt, read_attempts
from examples.cargo_release.customs_server import CustomsServer
from examples.cargo_release.models import (
    RATE_LIMITED,
    ReleaseOrder,
    ReleaseSummary,
    Shipment,
)
from examples.cargo_release.scenarios import RULES, SCENARIOS, SUGAR, WINDOW_SECONDS, start
from examples.cargo_release.worker import (
    FAULTY_TASK_QUEUE,
    FAULTY_WORKFLOWS,
    TASK_QUEUE,
    WORKFLOWS,
    worker,
)
from examples.observed import attempts_of
from examples.scenario import Ending, ScenarioResult, run_side_by_side

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMES = [scenario.name for scenario in SCENARIOS]
COMPENSATED = ("carrier-refuses", "all-refused", "cancelled")
"""Scenarios in which something is given back."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution with its children."""

    result: ScenarioResult
    parent: WorkflowHistory
    children: Mapping[str, WorkflowHistory]
    """By shipment id."""

    @property
    def histories(self) -> list[WorkflowHistory]:
        return [self.parent, *self.children.values()]

    @property
    def ending(self) -> Ending:
        result = self.result
        return Ending(
            result.status, result.outcome, result.failure, attempts=attempts_of(self.histories)
        )

    def child_key(self, shipment_id: str) -> str:
        return f"{self.result.workflow_id}-{shipment_id}"


@dataclass(frozen=True, slots=True)
class Ran:
    """Every scenario, run by one worker."""

    runs: Mapping[str, Run]
    """By name of the scenario."""
    port: CustomsServer
    """What it ran against."""
    attempts: list[Attempt]
    """The worker's diary."""


async def run_of(client: Client, result: ScenarioResult) -> Run:
    parent = await client.get_workflow_handle(result.workflow_id).fetch_history()
    children = {}
    for event in parent.events:
        if event.HasField("child_workflow_execution_started_event_attributes"):
            execution = event.child_workflow_execution_started_event_attributes.workflow_execution
            shipment_id = execution.workflow_id.removeprefix(f"{result.workflow_id}-")
            child = client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
            children[shipment_id] = await child.fetch_history()
    return Run(result, parent, dict(sorted(children.items())))


async def run_all(
    client: Client, workflows: tuple[type, ...], queue: str, diary: Path
) -> AsyncIterator[Ran]:
    async with AsyncExitStack() as stack:
        port = stack.enter_context(CustomsServer(RULES))
        await stack.enter_async_context(
            worker(
                client,
                customs_url=port.url,
                workflows=workflows,
                task_queue=queue,
                attempt_log=diary,
            )
        )
        results = await run_side_by_side(client, SCENARIOS, queue, task_queue=queue)
        runs = {name: await run_of(client, result) for name, result in results.items()}
        yield Ran(runs, port, read_attempts(diary))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def healthy(
    temporal_client: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ran]:
    diary = tmp_path_factory.mktemp("healthy") / "attempts.jsonl"
    async for ran in run_all(temporal_client, WORKFLOWS, TASK_QUEUE, diary):
        yield ran


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def faulty(
    temporal_client: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ran]:
    diary = tmp_path_factory.mktemp("faulty") / "attempts.jsonl"
    async for ran in run_all(temporal_client, FAULTY_WORKFLOWS, FAULTY_TASK_QUEUE, diary):
        yield ran


def scheduled(history: WorkflowHistory) -> list[str]:
    """Types of the activities in the order they were scheduled; without local ones."""
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


def undone(history: WorkflowHistory) -> list[str]:
    return [name for name in scheduled(history) if re.match(r"cancel_|release_", name)]


def last_type(history: WorkflowHistory) -> str:
    name = EventType.Name(history.events[-1].event_type)
    return name.removeprefix("EVENT_TYPE_WORKFLOW_EXECUTION_")


def duration(history: WorkflowHistory) -> timedelta:
    first, last = history.events[0].event_time, history.events[-1].event_time
    return last.ToDatetime() - first.ToDatetime()


async def test_healthy_and_faulty_differ_in_one_line(
    differing_lines: Callable[[Path, Path], list[tuple[str, str]]],
) -> None:
    assert workflow.__file__ is not None
    assert workflow_faulty.__file__ is not None
    assert differing_lines(Path(workflow.__file__), Path(workflow_faulty.__file__)) == [
        ("for what, undo in reversed(self._undo):", "for what, undo in self._undo:")
    ]


@pytest.mark.parametrize("name", NAMES)
async def test_a_healthy_run_ends_as_expected(healthy: Ran, name: str) -> None:
    expected = {scenario.name: scenario.expected_from(faulty=False) for scenario in SCENARIOS}
    assert healthy.runs[name].ending == expected[name]


@pytest.mark.parametrize("name", NAMES)
async def test_a_faulty_run_ends_as_expected(faulty: Ran, name: str) -> None:
    expected = {scenario.name: scenario.expected_from(faulty=True) for scenario in SCENARIOS}
    assert faulty.runs[name].ending == expected[name]


@pytest.mark.parametrize("name", NAMES)
async def test_a_run_takes_a_few_seconds(healthy: Ran, name: str) -> None:
    assert duration(healthy.runs[name].parent) < timedelta(seconds=20)


async def test_each_attempt_on_busy_customs_has_its_own_error(healthy: Ran) -> None:
    key = healthy.runs["customs-busy"].child_key("SHP-202")
    tries = [
        attempt
        for attempt in healthy.attempts
        if (attempt.workflow_id, attempt.activity_type) == (key, "clear_customs")
    ]
    assert [(attempt.attempt, attempt.failure, attempt.message) for attempt in tries] == [
        (1, RATE_LIMITED, "customs is busy: SHP-202, attempt 1, next one in 1 s"),
        (2, RATE_LIMITED, "customs is busy: SHP-202, attempt 2, next one in 1 s"),
        (3, None, None),
    ]
    for earlier, later in pairwise(tries):
        pause = datetime.fromisoformat(later.started) - datetime.fromisoformat(earlier.ended)
        assert pause >= timedelta(seconds=RULES.retry_after_seconds * 0.9)


async def test_customs_answered_429_as_often_as_was_set_up(healthy: Ran) -> None:
    busy = Counter(call.key for call in healthy.port.calls if call.status == 429)
    assert busy == {healthy.runs["customs-busy"].child_key("SHP-202"): 2}


async def test_the_history_keeps_only_the_last_failure(healthy: Ran) -> None:
    history = healthy.runs["customs-busy"].children["SHP-202"]
    started = [
        event.activity_task_started_event_attributes
        for event in history.events
        if event.HasField("activity_task_started_event_attributes")
        and event.activity_task_started_event_attributes.attempt > 1
    ]
    assert [(event.attempt, event.last_failure.message) for event in started] == [
        (3, "customs is busy: SHP-202, attempt 2, next one in 1 s")
    ]


async def test_the_diary_has_as_many_attempts_as_the_histories(healthy: Ran) -> None:
    in_histories: Counter[str] = Counter()
    for run in healthy.runs.values():
        for shipment_id, history in run.children.items():
            in_histories[run.child_key(shipment_id)] += sum(
                event.activity_task_started_event_attributes.attempt for event in history.events
            )
    written = Counter(a.workflow_id for a in healthy.attempts if not a.local)
    assert written == in_histories
    assert sum(written.values()) > 50


async def test_shipments_are_checked_in_parallel_and_weighed_locally(healthy: Ran) -> None:
    history = healthy.runs["all-released"].children["SHP-102"]
    checks = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name.startswith("check_")
    ]
    assert len({check.workflow_task_completed_event_id for check in checks}) == 1
    markers = [
        event.marker_recorded_event_attributes.marker_name
        for event in history.events
        if event.HasField("marker_recorded_event_attributes")
    ]
    assert markers == ["core_local_activity", "core_patch"]


async def test_every_step_says_what_it_is_for(healthy: Ran) -> None:
    history = healthy.runs["all-released"].children["SHP-102"]
    summaries = [
        event.user_metadata.summary.data.decode().strip('"')
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
        or event.HasField("timer_started_event_attributes")
    ]
    assert sorted(summaries) == sorted(
        [
            *("papers complete?", "hazard class 3", "declare to customs", "place at the dock"),
            *("release window", "book a lorry", "ready to collect"),
        ]
    )


async def test_children_of_an_order_run_side_by_side(healthy: Ran) -> None:
    run = healthy.runs["all-released"]
    assert list(run.children) == ["SHP-101", "SHP-102", "SHP-103"]
    starts = [history.events[0].event_time.ToDatetime() for history in run.children.values()]
    ends = [history.events[-1].event_time.ToDatetime() for history in run.children.values()]
    assert max(starts) < min(ends)


async def test_a_refused_shipment_gives_back_in_reverse_order(healthy: Ran) -> None:
    run = healthy.runs["carrier-refuses"]
    assert last_type(run.children["SHP-301"]) == "COMPLETED"
    assert undone(run.children["SHP-301"]) == []
    assert last_type(run.children["SHP-302"]) == "FAILED"
    assert undone(run.children["SHP-302"]) == ["release_slot", "cancel_customs"]


async def test_the_failure_of_a_child_is_typed(healthy: Ran) -> None:
    end = healthy.runs["carrier-refuses"].children["SHP-302"].events[-1]
    failure = end.workflow_execution_failed_event_attributes.failure
    assert failure.application_failure_info.type == "ShipmentNotReleased"
    assert failure.message == (
        "SHP-302 is not released: the carrier refuses SHP-302: no lorry for reefers"
    )


async def test_the_parent_says_what_was_refused(healthy: Ran, temporal_client: Client) -> None:
    workflow_id = healthy.runs["carrier-refuses"].result.workflow_id
    handle = temporal_client.get_workflow_handle(workflow_id, result_type=ReleaseSummary)
    summary: ReleaseSummary = await handle.result()
    assert [(refused.shipment_id, refused.reason) for refused in summary.refused] == [
        ("SHP-302", "SHP-302 is not released: the carrier refuses SHP-302: no lorry for reefers")
    ]
    assert [released.shipment_id for released in summary.released] == ["SHP-301"]


async def test_a_cancelled_order_gives_everything_back(healthy: Ran) -> None:
    run = healthy.runs["cancelled"]
    assert {last_type(history) for history in run.histories} == {"CANCELED"}
    for history in run.children.values():
        assert undone(history) == ["release_slot", "cancel_customs"]


@pytest.mark.parametrize("name", COMPENSATED)
async def test_nothing_stays_reserved_for_a_shipment_that_stays(healthy: Ran, name: str) -> None:
    run = healthy.runs[name]
    stayed = {
        run.child_key(shipment_id)
        for shipment_id, history in run.children.items()
        if last_type(history) != "COMPLETED"
    }
    assert stayed
    assert not stayed & (healthy.port.open_clearances | healthy.port.held_slots)


@pytest.mark.parametrize("name", COMPENSATED)
async def test_the_fault_leaves_a_clearance_open(faulty: Ran, name: str) -> None:
    run = faulty.runs[name]
    stayed = {
        run.child_key(shipment_id)
        for shipment_id, history in run.children.items()
        if undone(history) == ["cancel_customs", "release_slot"]
    }
    assert stayed
    assert stayed <= faulty.port.open_clearances
    assert not stayed & faulty.port.held_slots


async def test_a_shipment_that_is_unfit_reserves_nothing(
    temporal_client: Client, healthy: Ran
) -> None:
    unfit = [
        Shipment("SHP-901", "fireworks", 900, "1"),
        Shipment("SHP-902", "timber", 12_000, documents=["invoice"]),
        Shipment("SHP-903", "granite", 45_000),
    ]
    order = ReleaseOrder("Flora", [SUGAR, *unfit], WINDOW_SECONDS)
    handle = await start(temporal_client, order, "unfit", TASK_QUEUE)
    summary = await handle.result()
    assert {refused.shipment_id: refused.reason for refused in summary.refused} == {
        "SHP-901": "SHP-901 is not released: SHP-901: hazard class 1 is not handled here",
        "SHP-902": "SHP-902 is not released: SHP-902: no bill of lading",
        "SHP-903": "SHP-903 is not released: SHP-903: 46800 kg is too heavy for the crane",
    }
    keys = {f"unfit-{shipment.shipment_id}" for shipment in unfit}
    assert not keys & {call.key for call in healthy.port.calls}


@pytest.mark.parametrize("name", NAMES)
async def test_histories_replay_with_the_code_that_made_them(
    healthy: Ran, faulty: Ran, name: str
) -> None:
    for history in healthy.runs[name].histories:
        await Replayer(workflows=WORKFLOWS).replay_workflow(history)
    for history in faulty.runs[name].histories:
        await Replayer(workflows=FAULTY_WORKFLOWS).replay_workflow(history)


async def test_the_fault_replays_what_needs_no_compensation(healthy: Ran) -> None:
    for history in healthy.runs["customs-busy"].histories:
        await Replayer(workflows=FAULTY_WORKFLOWS).replay_workflow(history)


async def test_the_fault_does_not_replay_a_compensation(healthy: Ran) -> None:
    history = healthy.runs["carrier-refuses"].children["SHP-302"]
    with pytest.raises(NondeterminismError):
        await Replayer(workflows=FAULTY_WORKFLOWS).replay_workflow(history)
