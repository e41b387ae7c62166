"""What may leave the process: redaction of telemetry, and contents that were opted in.

    from tracer.redaction import PERSONAL, SECRETS, Redaction

    configure_otlp("orders", redaction=Redaction(patterns=SECRETS + PERSONAL))

The policy is data and is applied to text here, without OpenTelemetry, so that a store can apply the
same policy before it writes. `redact_exporter` applies it to an exporter of yours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracer.redaction.content import ContentPolicy, content_of
from tracer.redaction.patterns import PERSONAL, SECRET_KEYS, SECRETS, Pattern
from tracer.redaction.policy import ID_KEYS, OWN_KEYS, Finding, Redaction
from tracer.redaction.redactor import Redactor

if TYPE_CHECKING:
    from tracer.redaction.exporters import redact_exporter

__all__ = [
    "ID_KEYS",
    "OWN_KEYS",
    "PERSONAL",
    "SECRETS",
    "SECRET_KEYS",
    "ContentPolicy",
    "Finding",
    "Pattern",
    "Redaction",
    "Redactor",
    "content_of",
    "redact_exporter",
]


def __getattr__(name: str) -> Any:
    # OpenTelemetry is loaded by those who export, and by nobody else.
    if name == "redact_exporter":
        from tracer.redaction.exporters import redact_exporter

        return redact_exporter
    raise AttributeError(f"module 'tracer.redaction' has no attribute {name!r}")
