"""The policy: what may leave the process, as data.

A policy does nothing by itself; `Redactor` applies it to texts and attributes, and
`redact_exporter` to everything that an OpenTelemetry exporter is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tracer.names import Attribute
from tracer.redaction.patterns import SECRET_KEYS, SECRETS, Pattern

ID_KEYS: Final = frozenset(
    {
        *(
            key.value
            for key in (
                Attribute.WORKFLOW_ID,
                Attribute.RUN_ID,
                Attribute.ACTIVITY_ID,
                Attribute.NAMESPACE,
                Attribute.PARENT_WORKFLOW_ID,
                Attribute.CONTINUED_FROM,
                Attribute.CHILD_WORKFLOW_ID,
                Attribute.TIMER_ID,
                Attribute.UPDATE_ID,
                Attribute.SPAN_KIND,
                Attribute.STEP_ID,
                Attribute.FAILURE_FINGERPRINT,
            )
        ),
        "service.name",
        "service.namespace",
        "service.instance.id",
    }
)
"""Keys that join spans to runs, histories and services."""

OWN_KEYS: Final = frozenset(key.value for key in Attribute)
"""All attributes of Retrospan itself, for allow-lists: `Redaction(allow=OWN_KEYS | {"my.key"})`."""

SPOKEN_KEYS: Final = frozenset(
    {
        Attribute.FAILURE_MESSAGE.value,
        Attribute.PREVIOUS_FAILURE_MESSAGE.value,
        "exception.message",
        "exception.stacktrace",
    }
)
"""Texts that quote whatever failed. No setting exempts them from the patterns: Temporal's payload
codecs encrypt payloads, but leave failure messages in plain text."""

SEAM: Final = 2_048
"""Characters before the cut that are cut as well: a secret that the cut broke may be there, too
short to be recognised."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One text that a pattern found."""

    pattern: Pattern
    text: str
    """What would be replaced."""
    key: str
    """The attribute's key; `""` for a span's name and for other texts that have none."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What may leave the process. The default takes out credentials and lets all else pass."""

    allow: frozenset[str] | None = None
    """The attribute keys that may pass, `keep` aside; all others are removed. `None` lets every key
    pass. What passes is still searched."""
    patterns: tuple[Pattern, ...] = SECRETS
    """What is taken out of names, values, messages and descriptions, in this order."""
    keys: tuple[Pattern, ...] = SECRET_KEYS
    """Keys whose value is replaced as a whole, whatever it is."""
    keep: frozenset[str] = ID_KEYS
    """Keys whose values pass untouched, so that traces can be joined. Put people's data into none
    of them, or pass `frozenset()` to have them searched like others."""
    replacement: str = "[redacted:{name}]"
    """Put in place of what was found; `{name}` is the pattern's."""
    limit: int = 65_536
    """Characters of a text that are searched. The rest is cut off and counted in a note: what was
    not searched does not leave. A longer limit keeps more of a prompt; a hostile text of this
    length occupies the interpreter for some 30 ms."""
    callback: Callable[[Finding], str | None] | None = None
    """Decides on each finding: the text to put in its place (the finding's own lets it pass), or
    `None` for `replacement`. Runs on the exporter's thread; if it raises, `replacement` is used."""

    def __post_init__(self) -> None:
        """Refuse what could only be a mistake.

        Raises:
            ValueError: The limit is too small to recognise a secret in.
        """
        if self.limit < SEAM * 2:
            raise ValueError(f"Redaction.limit is {self.limit}; expected at least {SEAM * 2}")

    def replacing(self, pattern: Pattern) -> str:
        """What stands in place of a finding."""
        return self.replacement.replace("{name}", pattern.name)
