"""The KYC review as a Temporal workflow.

Owns the order of the decisions: rules outrank the model, the model outranks nobody, and a human
decides whatever is not clearly low risk. All input and output happens in activities.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from examples.kyc_review.activities import KycActivities
    from examples.kyc_review.models import (
        FALLBACK_MODEL,
        INVALID_MODEL_ANSWER,
        PRIMARY_MODEL,
        Approval,
        AuditEntry,
        Case,
        Classification,
        ClassifyRequest,
        Decision,
        Document,
        Escalation,
        Risk,
        RiskRequest,
        Screening,
        Status,
    )
    from examples.model_client import MALFORMED_RESPONSE

AUTO_APPROVE_BELOW = {"EU": 0.4, "UK": 0.4, "US": 0.3}
"""Risk per region from which on a human must look at the case."""

SURE = 0.8
"""Confidence that each document must reach for an automatic approval."""

STEP_TIMEOUT = timedelta(seconds=30)
MODEL_RETRIES = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), backoff_coefficient=2, maximum_attempts=3
)


@workflow.defn(name="KycReview")
class KycReview:
    """Reviews one case."""

    @workflow.init
    def __init__(self, case: Case) -> None:
        self._case = case
        self._stage = "reading documents"
        self._risk: Risk | None = None
        self._escalated = False
        self._approval: Approval | None = None

    @workflow.run
    async def run(self, case: Case) -> Decision:
        """Review the case and return the decision."""
        documents, screening = await asyncio.gather(self._classify_all(), self._screen())
        self._stage = "assessing risk"
        self._risk = await self._assess(documents)
        objection = self._objection(documents, screening)
        if objection is not None:
            return await self._close("declined_by_rule", objection, "rules")
        limit = AUTO_APPROVE_BELOW[case.case_id.split("-")[1]]
        if self._risk.score < limit and all(d.confidence >= SURE for d in documents):
            return await self._close("auto_approved", self._risk.rationale, "policy")
        return await self._ask_human()

    @workflow.query
    def status(self) -> Status:
        """Where the review stands."""
        return Status(self._stage, self._risk.score if self._risk else None, self._escalated)

    @workflow.update
    async def decide(self, approval: Approval) -> str:
        """A human's decision; returns what becomes of the case."""
        self._approval = approval
        return "approved" if approval.approved else "rejected"

    @decide.validator
    def _validate_decide(self, approval: Approval) -> None:
        if self._stage != "waiting for approval":
            raise ValueError(f"{self._case.case_id} is not waiting for approval")
        if self._approval is not None:
            raise ValueError(f"{self._case.case_id} is already decided")
        if approval.approver == self._case.submitter:
            raise ValueError("the submitter of a case may not decide it")
        if not approval.reason.strip():
            raise ValueError("a decision needs a reason")

    async def _classify_all(self) -> list[Classification]:
        return await asyncio.gather(*(self._classify(d) for d in self._case.documents))

    async def _classify(self, document: Document) -> Classification:
        try:
            return await self._classify_with(PRIMARY_MODEL, document)
        except ActivityError as error:
            if not _is_unusable_answer(error):
                raise
        return await self._classify_with(FALLBACK_MODEL, document)

    async def _classify_with(self, model: str, document: Document) -> Classification:
        return await workflow.execute_activity_method(
            KycActivities.classify_document,
            ClassifyRequest(document, model),
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=MODEL_RETRIES,
            summary=f"{document.document_id} by {model}",
        )

    async def _screen(self) -> Screening:
        return await workflow.execute_activity_method(
            KycActivities.screen_sanctions,
            self._case.applicant,
            start_to_close_timeout=STEP_TIMEOUT,
            summary="sanctions lists",
        )

    async def _assess(self, documents: list[Classification]) -> Risk:
        return await workflow.execute_activity_method(
            KycActivities.assess_risk,
            RiskRequest(self._case.applicant, self._case.profile, documents),
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=MODEL_RETRIES,
            summary=f"risk by {PRIMARY_MODEL}",
        )

    def _objection(self, documents: list[Classification], screening: Screening) -> str | None:
        if screening.hit:
            return f"sanctions hit: {screening.list_name}"
        today = workflow.now().date().isoformat()
        for document in documents:
            if document.expires is not None and document.expires < today:
                return f"{document.kind} expired on {document.expires}"
        return None

    async def _ask_human(self) -> Decision:
        self._stage = "waiting for approval"
        if not await self._approved_within(self._case.approval_seconds, "approval: first line"):
            await self._escalate()
            if not await self._approved_within(
                self._case.escalation_seconds, "approval: second line"
            ):
                return await self._close("expired", "nobody decided in time", "clock")
        approval = self._approval
        assert approval is not None
        outcome = "approved" if approval.approved else "rejected"
        return await self._close(outcome, approval.reason, approval.approver)

    async def _approved_within(self, seconds: float, label: str) -> bool:
        try:
            await workflow.wait_condition(
                lambda: self._approval is not None,
                timeout=timedelta(seconds=seconds),
                timeout_summary=label,
            )
        except TimeoutError:
            return False
        return True

    async def _escalate(self) -> None:
        self._escalated = True
        reason = f"no decision within {self._case.approval_seconds:g} s"
        await workflow.execute_activity_method(
            KycActivities.escalate_approval,
            Escalation(self._case.case_id, reason),
            start_to_close_timeout=STEP_TIMEOUT,
            summary="notify second line",
        )

    async def _close(self, outcome: str, reason: str, decided_by: str) -> Decision:
        self._stage = "closing"
        audit_id = await workflow.execute_activity_method(
            KycActivities.record_audit,
            AuditEntry(self._case.case_id, outcome, reason, decided_by),
            start_to_close_timeout=STEP_TIMEOUT,
            summary=f"audit: {outcome}",
        )
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._stage = outcome
        return Decision(outcome, reason, decided_by, audit_id)


def _is_unusable_answer(error: ActivityError) -> bool:
    cause = error.cause
    return isinstance(cause, ApplicationError) and cause.type in (
        INVALID_MODEL_ANSWER,
        MALFORMED_RESPONSE,
    )
