"""Branches as spans of a live worker: each decision once, on every worker the same."""

import asyncio
import contextlib
import json
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import CodeType
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.worker import Replayer, Worker

from tests.tracer.deciding_workflows import QUEUE, WORKFLOWS, Sandboxed, Unsandboxed, look
from tests.tracer.feature_switches import BROKEN
from tests.tracer.telescope import Telescope, attribute, span_id
from tracer import BranchSettings, Limits, TracerPlugin, decision
from tracer._activation_clock import ActivationClock
from tracer._branching import RunBranching
from tracer.branches import BranchWatch
from tracer.branches._files import WorkflowFiles
from tracer.collector import Collector
from tracer.names import Attribute as A
from tracer.names import SpanKind
from tracer.spans import RunSpans

pytestmark = pytest.mark.slow

type Handle = WorkflowHandle[Any, Any]
type Told = tuple[str, object, object, int]
"""Condition or name of a decision, kind, outcome, occurrence."""

KINDS = pytest.mark.parametrize("kind", [Sandboxed, Unsandboxed])
CACHES = pytest.mark.parametrize("cached", [1000, 0], ids=["cached", "uncached"])

EVERYTHING: list[Told] = [
    ("mode", "decision", "careful", 1),
    ('amount > 1000 or country == "XX"', "if", True, 1),
    ("needs_review(amount, country)", "ternary", True, 1),
    ("amount > 1000", "ternary", True, 1),
    ("route", "decision", "desk", 1),
    ("rounds < 3", "while", True, 1),
    ("rounds < 3", "while", False, 4),
    ("amount > 500", "if", True, 1),
    ("left == 1", "if", False, 1),
    ("left == 2", "if", False, 1),
    ("approver", "decision", "ada", 1),
    ("score", "decision", 0.667, 1),
    ('decision("score", round(amount / 3000, 3)) > 0.5', "if", True, 1),
]
"""What a run of 2000 from France decides, in this order."""
APPROVER = 10
"""Which of them is an update's."""


@pytest.fixture
def telescope() -> Iterator[Telescope]:
    telescope = Telescope()
    yield telescope
    telescope.check()


@asynccontextmanager
async def working(
    address: str, plugin: TracerPlugin | None, **options: Any
) -> AsyncIterator[Client]:
    client = await Client.connect(address, plugins=[plugin] if plugin else [])
    async with Worker(client, task_queue=QUEUE, workflows=WORKFLOWS, activities=[look], **options):
        yield client


async def start(client: Client, kind: Any, amount: int = 2000, trouble: int = 0) -> Handle:
    workflow_id = f"deciding-{uuid.uuid4()}"
    BROKEN[workflow_id] = trouble
    return await client.start_workflow(
        kind.run, args=[amount, "FR"], id=workflow_id, task_queue=QUEUE
    )


async def finish(handle: Handle) -> None:
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("approve", "")
    assert await handle.query("approver") == "nobody"
    assert await handle.execute_update("approve", "ada") == "ada"
    await handle.result()


def branches(telescope: Telescope, run_id: str | None) -> list[ReadableSpan]:
    """The branches of a run, in their order; each of them once."""
    found = [
        s
        for s in telescope.kinds(SpanKind.BRANCH)
        if run_id is not None and attribute(s, A.RUN_ID) == run_id
    ]
    ids = [span_id(s) for s in found]
    assert len(ids) == len(set(ids)), "a branch was told twice"
    return sorted(found, key=lambda s: s.start_time or 0)


def told(span: ReadableSpan) -> Told:
    name = attribute(span, A.BRANCH_CONDITION) or attribute(span, A.DECISION_NAME)
    return (
        name,
        attribute(span, A.BRANCH_KIND),
        attribute(span, A.BRANCH_OUTCOME),
        attribute(span, A.BRANCH_OCCURRENCE),
    )


def plain(spans: list[ReadableSpan]) -> list[Told]:
    return [told(span) for span in spans]


@KINDS
@CACHES
async def test_each_decision_is_told_once(
    temporal_address: str, telescope: Telescope, kind: Any, cached: int
) -> None:
    async with working(temporal_address, telescope.plugin, max_cached_workflows=cached) as client:
        handle = await start(client, kind)
        await finish(handle)

    spans = branches(telescope, handle.result_run_id)

    told = plain(spans)
    # The update comes in whenever it comes in.
    told.insert(APPROVER, told.pop(told.index(EVERYTHING[APPROVER])))
    assert told == EVERYTHING
    assert all(span.start_time == span.end_time for span in spans)
    [anchor] = telescope.kinds(SpanKind.RUN)
    assert {span.parent.span_id for span in spans if span.parent} == {int(span_id(anchor), 16)}


@KINDS
async def test_a_branch_says_where_and_why(
    temporal_address: str, telescope: Telescope, kind: Any
) -> None:
    async with working(temporal_address, telescope.plugin) as client:
        handle = await start(client, kind)
        await finish(handle)

    spans = {told(span)[0]: span for span in branches(telescope, handle.result_run_id)}

    either = spans['amount > 1000 or country == "XX"']
    assert either.name == "branch needs_review"
    assert attribute(either, A.CODE_FUNCTION) == "needs_review"
    assert attribute(either, A.CODE_FILE) == "tests/tracer/deciding_rules.py"
    assert attribute(either, A.CODE_LINE) == 7
    assert attribute(either, A.BRANCH_BECAUSE) == "amount > 1000"
    assert attribute(either, A.BRANCH_VALUES) is None
    assert attribute(spans["rounds < 3"], A.BRANCH_ROUNDS) == 3
    route = spans["route"]
    assert route.name == "branch route"
    assert attribute(route, A.CODE_FUNCTION) == "route"
    why = json.loads(attribute(route, A.DECISION_WHY))
    assert why["amount"] == 2001
    assert why["whole"] == "dict[1]"
    assert "4242" not in why["api_key"]
    [workflow] = telescope.kinds(SpanKind.WORKFLOW)
    loops = attribute(workflow, A.LOOPS)
    assert [loop.partition(" ")[2] for loop in loops] == [
        "while rounds < 3: 3",
        "for _ in range(2): 2",
    ]


@KINDS
@CACHES
async def test_a_failed_task_tells_its_branches_and_its_retry_does_not_repeat_them(
    temporal_address: str, telescope: Telescope, kind: Any, cached: int
) -> None:
    async with working(temporal_address, telescope.plugin, max_cached_workflows=cached) as client:
        handle = await start(client, kind, trouble=1)
        while not telescope.kinds(SpanKind.TASK_FAILURE):
            await asyncio.sleep(0.02)
        run_id = handle.first_execution_run_id
        assert ("left == 1", "if", True, 1) in plain(branches(telescope, run_id))
        await finish(handle)

    spans = plain(branches(telescope, run_id))

    # The task that failed went another way than the one that took its place: both are told.
    assert sorted(map(str, spans)) == sorted(map(str, [*EVERYTHING, ("left == 1", "if", True, 1)]))


async def test_a_deadlocked_task_tells_its_branches(
    temporal_address: str, telescope: Telescope
) -> None:
    async with working(temporal_address, telescope.plugin) as client:
        handle = await start(client, Unsandboxed, trouble=2)
        await finish(handle)

    spans = plain(branches(telescope, handle.first_execution_run_id))

    assert ("left == 2", "if", True, 1) in spans
    assert set(EVERYTHING) - set(spans) <= {("left == 2", "if", False, 1)}


@CACHES
async def test_a_reset_run_tells_what_it_decides_itself(
    temporal_address: str, telescope: Telescope, cached: int
) -> None:
    async with working(temporal_address, telescope.plugin, max_cached_workflows=cached) as client:
        handle = await start(client, Sandboxed)
        await finish(handle)
        events = (await handle.fetch_history()).events
        completed = [
            e.event_id for e in events if e.HasField("workflow_task_completed_event_attributes")
        ]
        answer = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(
                    workflow_id=handle.id, run_id=handle.first_execution_run_id or ""
                ),
                reason="again",
                workflow_task_finish_event_id=completed[1],
                request_id=str(uuid.uuid4()),
            )
        )
        again = client.get_workflow_handle(handle.id, run_id=answer.run_id)
        await again.result()

    before = branches(telescope, handle.first_execution_run_id)
    after = branches(telescope, answer.run_id)

    assert set(plain(before)) == set(EVERYTHING)
    # What lies before the reset is the first run's; the rest is decided anew, in another order of
    # events, under ids of its own.
    assert set(plain(after)) < set(EVERYTHING)
    assert ("rounds < 3", "while", False, 4) in plain(after)
    assert ("mode", "decision", "careful", 1) not in plain(after)
    assert {span_id(s) for s in before}.isdisjoint(span_id(s) for s in after)


@KINDS
async def test_replays_tell_nothing(temporal_address: str, telescope: Telescope, kind: Any) -> None:
    async with working(temporal_address, telescope.plugin) as client:
        handle = await start(client, kind)
        await finish(handle)
        history = await handle.fetch_history()
    before = len(telescope.spans())

    for plugins in ([telescope.plugin], []):
        replayed = await Replayer(workflows=WORKFLOWS, plugins=plugins).replay_workflow(history)
        assert replayed.replay_failure is None

    assert len(telescope.spans()) == before


@pytest.fixture
def coverage() -> Iterator[set[int]]:
    """Lines of the workflow's module that ran, noted in the way coverage.py does."""
    lines: set[int] = set()
    monitoring = sys.monitoring
    if monitoring.get_tool(monitoring.COVERAGE_ID) is not None:
        pytest.skip("coverage.py itself is at work")

    def note(code: CodeType, line: int) -> object:
        if code.co_filename.endswith("deciding_rules.py"):
            lines.add(line)
        return monitoring.DISABLE

    monitoring.use_tool_id(monitoring.COVERAGE_ID, "coverage")
    monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, note)
    monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)
    yield lines
    monitoring.set_events(monitoring.COVERAGE_ID, 0)
    monitoring.free_tool_id(monitoring.COVERAGE_ID)


@KINDS
async def test_coverage_at_the_same_time_sees_all_and_takes_nothing_away(
    temporal_address: str, telescope: Telescope, kind: Any, coverage: set[int]
) -> None:
    async with working(temporal_address, telescope.plugin) as client:
        handle = await start(client, kind)
        await finish(handle)

    assert set(plain(branches(telescope, handle.result_run_id))) == set(EVERYTHING)
    assert {7, 8, 13, 15} <= coverage
    assert 9 not in coverage


async def test_values_are_told_where_they_are_allowed(temporal_address: str) -> None:
    telescope = Telescope(branches=BranchSettings(capture_values=True))
    async with working(temporal_address, telescope.plugin) as client:
        handle = await start(client, Sandboxed)
        await finish(handle)

    spans = {told(span)[0]: span for span in branches(telescope, handle.result_run_id)}

    values = attribute(spans['amount > 1000 or country == "XX"'], A.BRANCH_VALUES)
    assert json.loads(values) == {"amount": "2001", "country": "'FR'"}
    telescope.check()


async def test_without_capture_only_named_decisions_are_told(temporal_address: str) -> None:
    telescope = Telescope(branches=None)
    async with working(temporal_address, telescope.plugin) as client:
        handle = await start(client, Sandboxed)
        await finish(handle)

    spans = plain(branches(telescope, handle.result_run_id))

    # The update may be handled before or after what the run itself decides.
    expected = [told for told in EVERYTHING if told[1] == "decision"]
    assert sorted(spans, key=str) == sorted(expected, key=str)
    telescope.check()


async def test_caps_hold_and_say_how_much_is_missing(temporal_address: str) -> None:
    telescope = Telescope(branches=BranchSettings(per_activation=1))
    async with working(temporal_address, telescope.plugin) as client:
        handle = await start(client, Sandboxed)
        await finish(handle)

    spans = branches(telescope, handle.result_run_id)

    dropped = sum(attribute(span, A.BRANCH_DROPPED) or 0 for span in spans)
    assert len(spans) + dropped == len(EVERYTHING)
    assert dropped >= 3
    telescope.check()


async def test_branches_are_counted_by_place_and_outcome(
    temporal_address: str, telescope: Telescope
) -> None:
    async with working(temporal_address, telescope.plugin) as client:
        for amount in (2000, 2000, 600):
            handle = await start(client, Sandboxed, amount=amount)
            await finish(handle)
    telescope.spans()

    data = telescope.metrics.get_metrics_data()

    assert data is not None
    points = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "retrospan.branches"
        for point in metric.data.data_points
    ]
    counts = {
        (
            (point.attributes or {}).get(A.CODE_FUNCTION.value),
            (point.attributes or {}).get(A.DECISION_NAME.value),
            (point.attributes or {}).get(A.BRANCH_OUTCOME.value),
        ): getattr(point, "value", None)
        for point in points
    }
    assert counts["route", "route", "desk"] == 2
    assert counts["Deciding.decide", "score", None] == 3
    assert ("route", "route", "robot") not in counts


@pytest.mark.parametrize(
    "hook",
    [
        (WorkflowFiles, "add"),
        (RunBranching, "around"),
        (RunBranching, "to_tell"),
        (RunBranching, "loops"),
        (BranchWatch, "watching"),
        (Collector, "enter"),
        (Collector, "leave"),
        (Collector, "_point"),
        (ActivationClock, "begin"),
        (ActivationClock, "end"),
        (RunSpans, "branches"),
        (Limits, "of_history"),
    ],
    ids=lambda hook: hook[1],
)
async def test_a_broken_hook_changes_no_result(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch, hook: tuple[type, str]
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the tracer is broken")

    monkeypatch.setattr(*hook, broken)
    telescope = Telescope()
    async with working(temporal_address, telescope.plugin) as client:
        handle = await start(client, Sandboxed)
        await finish(handle)
        assert await handle.result() == "desk, high ada"
    assert {str(error) for _, error in telescope.plugin.guard.errors} == {"the tracer is broken"}


def test_outside_of_a_workflow_a_decision_is_only_its_outcome() -> None:
    assert decision("anything", "so", why=object()) == "so"


async def test_without_a_tracer_a_decision_is_only_its_outcome(temporal_address: str) -> None:
    async with working(temporal_address, None) as client:
        handle = await start(client, Sandboxed)
        with contextlib.suppress(WorkflowUpdateFailedError):
            await handle.execute_update("approve", "ada")
        assert await handle.result() == "desk, high ada"
