"""Everything in the KYC review that touches the outside world."""

import hashlib
from collections.abc import Callable
from typing import Any

from openai import AsyncOpenAI
from pydantic import BaseModel, ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from examples.kyc_review.models import (
    INVALID_MODEL_ANSWER,
    PRIMARY_MODEL,
    AuditEntry,
    Classification,
    ClassifyRequest,
    DocumentAnswer,
    Escalation,
    Risk,
    RiskAnswer,
    RiskRequest,
    Screening,
)
from examples.model_client import temporal_errors

SANCTIONED = {"Mallory Quill": "EU consolidated list", "Ivo Brandt": "OFAC SDN list"}
"""Fictional people."""

CLASSIFY_PROMPT = (
    "You read scanned identity documents for a bank. Say what kind of document it is, who holds "
    "it, until when it is valid, and how sure you are. Answer with JSON only."
)
RISK_PROMPT = (
    "You assess the risk of taking on a new customer of a bank, from 0 (none) to 1. Weigh the "
    "profile against the documents and give the reason in one sentence. Answer with JSON only."
)


class KycActivities:
    """Activities that share one model client."""

    def __init__(self, models: AsyncOpenAI) -> None:
        self._models = models
        self.audit_log: dict[str, AuditEntry] = {}
        """Entries by audit id; a retried activity writes the same id again."""

    def all(self) -> list[Callable[..., Any]]:
        """The activities to register with a worker."""
        return [
            self.classify_document,
            self.screen_sanctions,
            self.assess_risk,
            self.escalate_approval,
            self.record_audit,
        ]

    @activity.defn
    async def classify_document(self, request: ClassifyRequest) -> Classification:
        """Let a model read one document."""
        document = request.document
        answer = await self._ask(
            request.model,
            CLASSIFY_PROMPT,
            f"Document {document.document_id}\n\n{document.text}",
            DocumentAnswer,
        )
        return Classification(
            document_id=document.document_id,
            kind=answer.kind,
            holder=answer.holder,
            expires=answer.expires.isoformat() if answer.expires else None,
            confidence=answer.confidence,
            model=request.model,
        )

    @activity.defn
    async def assess_risk(self, request: RiskRequest) -> Risk:
        """Let a model weigh profile and documents."""
        documents = "\n".join(
            f"- {d.kind} of {d.holder}, confidence {d.confidence}" for d in request.documents
        )
        text = f"Applicant: {request.applicant}\nProfile: {request.profile}\n{documents}"
        answer = await self._ask(PRIMARY_MODEL, RISK_PROMPT, text, RiskAnswer)
        return Risk(answer.score, answer.rationale)

    @activity.defn
    async def screen_sanctions(self, applicant: str) -> Screening:
        """Look the applicant up in the sanctions lists."""
        list_name = SANCTIONED.get(applicant)
        return Screening(hit=list_name is not None, list_name=list_name)

    @activity.defn
    async def escalate_approval(self, escalation: Escalation) -> None:
        """Call the second line."""
        activity.logger.info("%s: escalated: %s", escalation.case_id, escalation.reason)

    @activity.defn
    async def record_audit(self, entry: AuditEntry) -> str:
        """Write the decision to the audit log and return the entry's id."""
        text = f"{activity.info().workflow_id}/{entry.case_id}/{entry.outcome}"
        audit_id = f"audit-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        self.audit_log[audit_id] = entry
        return audit_id

    async def _ask[Contract: BaseModel](
        self, model: str, system: str, user: str, contract: type[Contract]
    ) -> Contract:
        with temporal_errors():
            completion = await self._models.chat.completions.create(
                model=model,
                messages=[
                    {"role": "system", "content": system},
                    {"role": "user", "content": user},
                ],
                response_format={
                    "type": "json_schema",
                    "json_schema": {
                        "name": contract.__name__,
                        "schema": contract.model_json_schema(),
                        "strict": True,
                    },
                },
                user=activity.info().workflow_id or "",
            )
        return _checked(model, completion.choices[0].message.content, contract)


def _checked[Contract: BaseModel](
    model: str, content: str | None, contract: type[Contract]
) -> Contract:
    try:
        return contract.model_validate_json(content or "")
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the answer"
        raise ApplicationError(
            f"{model} broke the contract {contract.__name__}: {where}: {problem['msg']}",
            type=INVALID_MODEL_ANSWER,
        ) from None
