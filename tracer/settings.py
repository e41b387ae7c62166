"""What users decide about spans: whom they name, and which contents they show.

The live tracer, `spans_of` and `backfill` take the same settings. Given the same ones they make the
same spans; given others, the same span has other attributes, and the store keeps whichever came
first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tracer._tenant import TenantSource
from tracer.limits import Limits
from tracer.redaction.content import ContentPolicy


@dataclass(frozen=True, slots=True)
class SpanSettings:
    """What spans tell beyond sizes, times and outcomes."""

    tenant: TenantSource | None = field(default_factory=TenantSource)
    """Where to look for whom a run is for; `None` leaves the attribute out."""
    content: ContentPolicy = field(default_factory=ContentPolicy)
    """Whose payloads are shown. By default nobody's."""
    limits: Limits = field(default_factory=Limits)
    """What to measure against: set what the server is configured to."""


DEFAULT_SETTINGS: Final = SpanSettings()
"""The namespace is the tenant, and no content is shown."""
