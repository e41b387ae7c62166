"""What crosses a boundary in the KYC review.

Dataclasses go between workflow, activities and callers. The pydantic models are contracts with a
language model: its answers are outside input, and nothing unchecked gets past an activity.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PRIMARY_MODEL = "gpt-4o-mini"
FALLBACK_MODEL = "gpt-4o"

INVALID_MODEL_ANSWER = "InvalidModelAnswer"
"""Failure type of an answer that breaks its contract."""


@dataclass(frozen=True, slots=True)
class Document:
    """A scanned document, as text."""

    document_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """Input of a review."""

    case_id: str
    """`KYC-<region>-<number>`; the region decides how much risk is accepted without a human."""
    applicant: str
    profile: str
    """What the applicant said about occupation and means."""
    submitter: str
    """Employee who opened the case, and so may not approve it."""
    documents: list[Document]
    approval_seconds: float = 3600
    """How long the first line may take before the case is escalated."""
    escalation_seconds: float = 3600
    """How long the second line may take before the case expires."""


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """One document for one model."""

    document: Document
    model: str


@dataclass(frozen=True, slots=True)
class Classification:
    """What a document turned out to be."""

    document_id: str
    kind: str
    holder: str
    expires: str | None
    """ISO date; None for documents that do not expire."""
    confidence: float
    """Of the model, 0 to 1."""
    model: str


@dataclass(frozen=True, slots=True)
class RiskRequest:
    """What the risk model gets to see."""

    applicant: str
    profile: str
    documents: list[Classification]


@dataclass(frozen=True, slots=True)
class Risk:
    """Opinion of the risk model."""

    score: float
    """0 (none) to 1."""
    rationale: str


@dataclass(frozen=True, slots=True)
class Screening:
    """Result of the sanctions screening."""

    hit: bool
    list_name: str | None


@dataclass(frozen=True, slots=True)
class Escalation:
    """Why the second line is called."""

    case_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Approval:
    """What a human decided."""

    approver: str
    approved: bool
    reason: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log."""

    case_id: str
    outcome: str
    reason: str
    decided_by: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Result of a review."""

    outcome: str
    """`auto_approved`, `approved`, `rejected`, `declined_by_rule` or `expired`."""
    reason: str
    decided_by: str
    """A person, `rules`, `policy` or `clock`."""
    audit_id: str


@dataclass(frozen=True, slots=True)
class Status:
    """Answer to the `status` query."""

    stage: str
    risk: float | None
    escalated: bool


class DocumentAnswer(BaseModel):
    """What a model must answer about a document."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["passport", "id_card", "utility_bill"]
    holder: str = Field(min_length=1)
    expires: date | None
    confidence: float = Field(ge=0, le=1)


class RiskAnswer(BaseModel):
    """What a model must answer about an applicant."""

    model_config = ConfigDict(extra="forbid")

    score: float = Field(ge=0, le=1)
    rationale: str = Field(min_length=1)
