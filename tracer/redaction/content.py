"""Payload contents on spans: off, unless a workflow type was opted in by name.

By default a span tells the size of what went in and came out. What a workflow is about is often
somebody's personal business, and a trace is kept longer, and read by more people, than a history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tracer.model.payloads import size_of
from tracer.model.words import Payload

_TEXTS: Final = frozenset({b"json/plain", b"json/protobuf"})
"""Encodings whose data is JSON text."""


@dataclass(frozen=True, slots=True)
class ContentPolicy:
    """Which contents may be put on spans. The default is none."""

    workflow_types: frozenset[str] = frozenset()
    """Types whose runs, steps and attempts carry `retrospan.input.content` and
    `retrospan.result.content`. Exact names, so that a new type starts without."""
    limit: int = 8_192
    """Characters of one content; longer ones are cut."""

    def __post_init__(self) -> None:
        """Refuse what looks right and is not.

        Raises:
            TypeError: `workflow_types` is one string, which would be read as its letters.
            ValueError: The limit is not positive.
        """
        types: object = self.workflow_types
        if isinstance(types, str):
            raise TypeError(
                f"ContentPolicy.workflow_types is {types!r}; expected a set of names,"
                " such as {'OrderWorkflow'}"
            )
        if self.limit < 1:
            raise ValueError(f"ContentPolicy.limit is {self.limit}; expected at least 1")

    def allows(self, workflow_type: str) -> bool:
        """Whether contents of runs of this type may be put on spans."""
        return workflow_type in self.workflow_types

    def excerpt(self, workflow_type: str, payloads: Iterable[Payload]) -> tuple[Payload, ...]:
        """What a worker has to keep of a step's payloads until the step's span is made.

        `content_of` shows it as it shows the payloads themselves. Nothing if the type was not
        opted in: a worker has thousands of runs in its cache.
        """
        if workflow_type not in self.workflow_types:
            return ()
        kept: list[Payload] = []
        size = 0
        for payload in payloads:
            if size > self.limit:
                break
            text = _shown(payload, self.limit)
            size += len(text)
            # The class as it came: this module knows nothing of temporalio.
            kept.append(type(payload)(metadata={"encoding": b"json/plain"}, data=text.encode()))
        return tuple(kept)


def content_of(payloads: Iterable[Payload], limit: int) -> str:
    """The payloads as one JSON array, an element each, at most `limit` characters and a note.

    JSON data is shown as it came. Everything else, encrypted data above all, is shown by encoding
    and size: `"<binary/encrypted, 312 bytes>"`. Never raises, whatever the payloads hold.
    """
    text = "["
    for payload in payloads:
        if len(text) > limit:
            break
        separator = ", " if len(text) > 1 else ""
        text += f"{separator}{_shown(payload, limit)}"
    text += "]"
    return text if len(text) <= limit else f"{text[:limit]}… [cut]"


def _shown(payload: Payload, limit: int) -> str:
    encoding = bytes(payload.metadata.get("encoding", b""))
    if encoding in _TEXTS and size_of(payload) == len(payload.data):
        # A character takes at most four bytes: what lies beyond is not worth decoding.
        return bytes(payload.data[: limit * 4 + 4]).decode("utf-8", "replace")
    if encoding == b"binary/null":
        return "null"
    name = encoding[:64].decode("ascii", "replace").replace('"', "'") or "unknown"
    return f'"<{name}, {size_of(payload)} bytes>"'
