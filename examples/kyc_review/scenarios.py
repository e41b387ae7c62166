"""Eight ways a KYC review goes, each driven to a known end.

They need a worker of `examples.kyc_review.worker` and its model server. The faulty workflow
approves cases whose risk is exactly at the limit, so the scenarios in which a human decides are
those that it ends differently.
"""

from dataclasses import replace

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError

from examples.kyc_review.models import Approval, Case, Decision, Document
from examples.kyc_review.workflow import KycReview
from examples.scenario import (
    Ending,
    Scenario,
    ScenarioResult,
    finish,
    first_run_id,
    until_event,
    until_timer,
)

type Handle = WorkflowHandle[KycReview, Decision]

FIRST_LINE = "approval: first line"

SALARIED = "salaried engineer, resident for nine years"
EXPOSED = "member of a city council, politically exposed"


def case_of(
    applicant: str,
    *,
    number: int,
    profile: str = SALARIED,
    region: str = "EU",
    valid_until: str = "2099-05-31",
) -> Case:
    """A case with a passport and a utility bill."""
    passport = f"PASSPORT of {applicant}, valid until {valid_until}"
    bill = f"UTILITY BILL for {applicant}, 14 Harbour Street"
    return Case(
        case_id=f"KYC-{region}-{number}",
        applicant=applicant,
        profile=profile,
        submitter="sam.clerk",
        documents=[Document("passport", passport), Document("address", bill)],
    )


async def start(client: Client, case: Case, workflow_id: str, task_queue: str) -> Handle:
    """Start a review."""
    return await client.start_workflow(
        KycReview.run,
        case,
        id=workflow_id,
        task_queue=task_queue,
        static_summary=f"KYC review of {case.applicant}",
    )


async def auto_approved(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """Low risk and sure documents: nobody is asked."""
    case = case_of("Ada Lindqvist", number=101)
    return await finish(await start(client, case, workflow_id, task_queue))


async def fallback_model(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """The first model gives no usable answer in three attempts; the second one does."""
    case = case_of("Nils Okafor", number=102)
    return await finish(await start(client, case, workflow_id, task_queue))


async def sanctions_hit(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """The model sees no risk, but a rule does."""
    case = case_of("Mallory Quill", number=103)
    return await finish(await start(client, case, workflow_id, task_queue))


async def rate_limited(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """Two 429 answers, then a good one."""
    case = case_of("Priya Raman", number=104)
    return await finish(await start(client, case, workflow_id, task_queue))


async def provider_down(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """Every call fails with a 500 until the attempts are used up, and the run fails."""
    case = case_of("Sven Halvorsen", number=105)
    return await finish(await start(client, case, workflow_id, task_queue))


async def human_approved(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """A human approves, after the submitter has tried to."""
    case = replace(case_of("Elena Marchetti", number=106, profile=EXPOSED), approval_seconds=60.0)
    handle = await start(client, case, workflow_id, task_queue)
    notes = await _approve(handle)
    return await finish(handle, notes=notes)


async def approval_expired(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """Neither the first nor the second line decides in time."""
    case = replace(
        case_of("Tomas Virtanen", number=107, profile=EXPOSED),
        approval_seconds=1.0,
        escalation_seconds=1.0,
    )
    return await finish(await start(client, case, workflow_id, task_queue))


async def stuck(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """A region that the code does not know: the workflow task fails again and again."""
    case = case_of("Yuki Tanabe", number=108, region="XX")
    handle = await start(client, case, workflow_id, task_queue)
    event = await until_event(
        handle, lambda event: event.HasField("workflow_task_failed_event_attributes")
    )
    failure = event.workflow_task_failed_event_attributes.failure
    description = await handle.describe()
    return ScenarioResult(
        workflow_id=workflow_id,
        run_id=first_run_id(handle),
        status=description.status.name if description.status else "UNKNOWN",
        outcome=None,
        failure=failure.application_failure_info.type,
    )


async def _approve(handle: Handle) -> tuple[str, ...]:
    try:
        await until_timer(handle, FIRST_LINE)
    except RuntimeError as error:
        return (str(error),)
    refusal = await _try(handle, Approval("sam.clerk", True, "I know the applicant"))
    accepted = await _try(handle, Approval("nora.chief", True, "source of funds confirmed"))
    return (refusal, accepted)


async def _try(handle: Handle, approval: Approval) -> str:
    try:
        outcome = await handle.execute_update(KycReview.decide, approval)
    except WorkflowUpdateFailedError as error:
        return f"refused: {error.cause}"
    return f"accepted: {outcome}"


READ_AND_RISK = {"gpt-4o-mini": 3}
"""Two documents and one risk assessment."""

WAVED_THROUGH = Ending("COMPLETED", outcome="auto_approved", model_calls=READ_AND_RISK)

SCENARIOS = (
    Scenario(
        "auto-approved",
        "low risk, approved without a human",
        auto_approved,
        Ending("COMPLETED", outcome="auto_approved", model_calls=READ_AND_RISK),
    ),
    Scenario(
        "fallback-model",
        "first model unusable, second model reads the scan",
        fallback_model,
        Ending(
            "COMPLETED",
            outcome="auto_approved",
            attempts={"classify_document": 3},
            model_calls={"gpt-4o-mini": 5, "gpt-4o": 1},
        ),
    ),
    Scenario(
        "sanctions-hit",
        "a rule outranks the model",
        sanctions_hit,
        Ending("COMPLETED", outcome="declined_by_rule", model_calls=READ_AND_RISK),
    ),
    Scenario(
        "rate-limited",
        "two 429 answers, then a good one",
        rate_limited,
        Ending(
            "COMPLETED",
            outcome="auto_approved",
            attempts={"classify_document": 3},
            model_calls={"gpt-4o-mini": 5},
        ),
    ),
    Scenario(
        "provider-down",
        "500 until the attempts are used up",
        provider_down,
        Ending(
            "FAILED",
            failure="InternalServerError",
            attempts={"classify_document": 3},
            model_calls={"gpt-4o-mini": 4},
        ),
    ),
    Scenario(
        "human-approved",
        "a human approves after the submitter was refused",
        human_approved,
        Ending("COMPLETED", outcome="approved", model_calls=READ_AND_RISK),
        expected_faulty=WAVED_THROUGH,
    ),
    Scenario(
        "approval-expired",
        "nobody approves: escalated, then expired",
        approval_expired,
        Ending("COMPLETED", outcome="expired", model_calls=READ_AND_RISK),
        expected_faulty=WAVED_THROUGH,
    ),
    Scenario(
        "stuck",
        "workflow code fails on an unknown region and stays running",
        stuck,
        Ending("RUNNING", failure="KeyError", model_calls=READ_AND_RISK),
    ),
)
