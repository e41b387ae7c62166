"""The KYC review on a real server: every scenario, the approval, and what the fault changes."""

import base64
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from examples.kyc_review import workflow, workflow_faulty
from examples.kyc_review.models import Approval
from examples.kyc_review.scenarios import (
    EXPOSED,
    FIRST_LINE,
    SCENARIOS,
    case_of,
    fallback_model,
    start,
)
from examples.kyc_review.worker import (
    FAULTY_TASK_QUEUE,
    FAULTY_WORKFLOW,
    SCRIPT,
    TASK_QUEUE,
    worker,
)
from examples.kyc_review.workflow import KycReview
from examples.model_server import ModelServer
from examples.observed import Observed, observe
from examples.scenario import run_side_by_side, until_timer

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMES = [scenario.name for scenario in SCENARIOS]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kyc(temporal_client: Client) -> AsyncIterator[ModelServer]:
    """The model server of running workers, one healthy and one faulty."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ModelServer(SCRIPT))
        await stack.enter_async_context(worker(temporal_client, model_url=server.base_url))
        await stack.enter_async_context(
            worker(
                temporal_client,
                model_url=server.base_url,
                workflow_class=FAULTY_WORKFLOW,
                task_queue=FAULTY_TASK_QUEUE,
            )
        )
        yield server


async def run_all(client: Client, server: ModelServer, queue: str) -> Mapping[str, Observed]:
    results = await run_side_by_side(client, SCENARIOS, queue, task_queue=queue)
    return {name: await observe(client, result, server.calls) for name, result in results.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def healthy(temporal_client: Client, kyc: ModelServer) -> Mapping[str, Observed]:
    """Every scenario, run on the healthy workflow."""
    return await run_all(temporal_client, kyc, TASK_QUEUE)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def faulty(temporal_client: Client, kyc: ModelServer) -> Mapping[str, Observed]:
    """Every scenario, run on the faulty workflow."""
    return await run_all(temporal_client, kyc, FAULTY_TASK_QUEUE)


@pytest.mark.parametrize("name", NAMES)
async def test_healthy_scenarios_end_as_expected(
    healthy: Mapping[str, Observed], name: str
) -> None:
    scenario = SCENARIOS[NAMES.index(name)]
    assert healthy[name].ending == scenario.expected_from(faulty=False)


@pytest.mark.parametrize("name", NAMES)
async def test_faulty_scenarios_end_as_expected(faulty: Mapping[str, Observed], name: str) -> None:
    scenario = SCENARIOS[NAMES.index(name)]
    assert faulty[name].ending == scenario.expected_from(faulty=True)


async def test_the_fault_shows_where_a_human_decides(
    healthy: Mapping[str, Observed], faulty: Mapping[str, Observed]
) -> None:
    changed = {name for name in NAMES if healthy[name].ending != faulty[name].ending}
    assert changed == {"human-approved", "approval-expired"}


async def test_healthy_and_faulty_differ_in_one_line(
    differing_lines: Callable[[Path, Path], list[tuple[str, str]]],
) -> None:
    [(left, right)] = differing_lines(Path(workflow.__file__), Path(workflow_faulty.__file__))
    assert "self._risk.score < limit" in left
    assert "self._risk.score <= limit" in right


async def test_only_the_healthy_code_replays_a_healthy_history(
    healthy: Mapping[str, Observed],
) -> None:
    [history] = healthy["human-approved"].histories
    await Replayer(workflows=[KycReview]).replay_workflow(history)
    with pytest.raises(NondeterminismError):
        await Replayer(workflows=[FAULTY_WORKFLOW]).replay_workflow(history)


async def test_the_submitter_was_refused_first(healthy: Mapping[str, Observed]) -> None:
    refusal, accepted = healthy["human-approved"].result.notes
    assert "the submitter of a case may not decide it" in refusal
    assert accepted == "accepted: approved"


async def test_histories_are_plain_and_labelled(healthy: Mapping[str, Observed]) -> None:
    histories = [history for outcome in healthy.values() for history in outcome.histories]
    encodings = {
        base64.b64decode(encoding)
        for history in histories
        for encoding in re.findall(r'"encoding": "([^"]+)"', history.to_json())
    }
    summaries = {
        event.user_metadata.summary.data.decode()
        for history in histories
        for event in history.events
        if event.user_metadata.HasField("summary")
    }
    assert encodings == {b"json/plain", b"binary/null"}
    assert f'"{FIRST_LINE}"' in summaries
    assert '"passport by gpt-4o"' in summaries
    assert '"KYC review of Ada Lindqvist"' in summaries


@pytest.mark.parametrize(
    ("approval", "refusal"),
    [
        (Approval("sam.clerk", True, "I know them"), "submitter"),
        (Approval("nora.chief", True, "  "), "needs a reason"),
    ],
)
async def test_the_validator_refuses_and_the_case_waits_on(
    temporal_client: Client, kyc: ModelServer, approval: Approval, refusal: str
) -> None:
    case = case_of("Elena Marchetti", number=1, profile=EXPOSED)
    handle = await start(temporal_client, case, f"refused-{approval.approver}", TASK_QUEUE)
    await until_timer(handle, FIRST_LINE)
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(KycReview.decide, approval)
    assert refusal in str(caught.value.cause)
    status = await handle.query(KycReview.status)
    assert (status.stage, status.risk, status.escalated) == ("waiting for approval", 0.4, False)
    await handle.execute_update(KycReview.decide, Approval("nora.chief", False, "no proof"))
    decision = await handle.result()
    assert (decision.outcome, decision.reason, decision.decided_by) == (
        "rejected",
        "no proof",
        "nora.chief",
    )


async def test_nothing_can_be_decided_before_the_case_waits(
    temporal_client: Client, kyc: ModelServer
) -> None:
    operation = WithStartWorkflowOperation(
        KycReview.run,
        case_of("Ada Lindqvist", number=2),
        id="too-early",
        task_queue=TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await temporal_client.execute_update_with_start_workflow(
            KycReview.decide,
            Approval("nora.chief", True, "quick"),
            start_workflow_operation=operation,
        )
    assert "is not waiting for approval" in str(caught.value.cause)
    handle = await operation.workflow_handle()
    assert (await handle.result()).outcome == "auto_approved"


async def test_the_second_line_may_still_approve(temporal_client: Client, kyc: ModelServer) -> None:
    case = replace(case_of("Elena Marchetti", number=3, profile=EXPOSED), approval_seconds=0.5)
    handle = await start(temporal_client, case, "second-line", TASK_QUEUE)
    await until_timer(handle, "approval: second line")
    assert (await handle.query(KycReview.status)).escalated
    await handle.execute_update(KycReview.decide, Approval("otto.head", True, "seen in person"))
    decision = await handle.result()
    assert (decision.outcome, decision.decided_by) == ("approved", "otto.head")


async def test_an_expired_document_outranks_the_model(
    temporal_client: Client, kyc: ModelServer
) -> None:
    case = case_of("Ada Lindqvist", number=4, valid_until="2020-02-29")
    handle = await start(temporal_client, case, "expired-passport", TASK_QUEUE)
    decision = await handle.result()
    assert decision.outcome == "declined_by_rule"
    assert decision.reason == "passport expired on 2020-02-29"
    assert decision.audit_id.startswith("audit-")


async def test_model_spans_carry_usage_and_errors(
    temporal_client: Client, kyc: ModelServer, model_spans: InMemorySpanExporter
) -> None:
    await fallback_model(temporal_client, "spans-of-fallback", TASK_QUEUE)
    spans = [dict(span.attributes or {}) for span in model_spans.get_finished_spans()]
    failed = [span for span in spans if "error.type" in span]
    answered = [span for span in spans if "error.type" not in span]
    assert [span["error.type"] for span in failed] == ["json.decoder.JSONDecodeError"]
    assert sorted(str(span["gen_ai.response.model"]) for span in answered) == [
        *["gpt-4o-2024-08-06"],
        *["gpt-4o-mini-2024-07-18"] * 4,
    ]
    for span in answered:
        tokens_in = span["gen_ai.usage.input_tokens"]
        tokens_out = span["gen_ai.usage.output_tokens"]
        assert isinstance(tokens_in, int)
        assert isinstance(tokens_out, int)
        assert tokens_in > 50
        assert tokens_out > 10
    cached = [span.get("gen_ai.usage.cache_read.input_tokens") for span in answered]
    assert 32 in cached
