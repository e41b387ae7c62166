"""What reading gives: whole runs with their key and origin, or one-line reasons why not.

A `RunHistory` is always complete from its first event and in order; there is no half-read run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.api.history.v1 import HistoryEvent

    from replayer.history.errors import HistoryError
    from tracer.identity import RunKey

__all__ = ["KeySource", "Origin", "Rejected", "RunHistory", "UnknownName"]


class KeySource(StrEnum):
    """Where a run's key is known from, strongest first."""

    SERVER = "server"
    """A Temporal server answered for exactly this run."""
    CALLER = "caller"
    """Given as an argument."""
    FILENAME = "filename"
    """Part of the file's name or of its folders' names."""
    CONTAINER = "container"
    """A Cloud export's path or an archived history's header."""
    EVENT = "event"
    """Recorded in the events themselves."""
    ASSUMED = "assumed"
    """Known from nowhere: the namespace `default`, the file's stem, an id made from the content."""

    @property
    def weakness(self) -> int:
        """0 for the strongest source, and more for weaker ones."""
        return list(KeySource).index(self)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run's bytes came from."""

    uri: str
    """The path as given; `file.zip!member.json` in an archive, `export.pb#3` for the third run."""
    format: str
    """`json`, `json-lines`, `protobuf`, `cloud-export`, `archival` or `server`."""
    sha256: str
    """Of `RunHistory.raw`, as lower-case hex: the address of this run in an archive."""
    size: int
    """Bytes of `RunHistory.raw`."""


@dataclass(frozen=True, slots=True)
class UnknownName:
    """An enum value that the installed SDK does not know; in the event it reads as 0."""

    event_id: int
    """The event that has it."""
    enum: str
    """The enum, such as `EventType`."""
    name: str
    """The value as written."""


@dataclass(frozen=True, slots=True)
class RunHistory:
    """One run's events, complete from event 1 and ascending; an open run simply ends early."""

    key: RunKey
    """Which run it is."""
    key_source: KeySource
    """The weakest source among the three parts of the key."""
    origin: Origin
    """Where it was read."""
    events: tuple[HistoryEvent, ...] = field(repr=False)
    """Read fields only: the events are shared with whoever else holds this history."""
    raw: bytes = field(repr=False)
    """This run's bytes as they came, decompressed: the JSON document, or a serialized `History`.

    A run that came together with others in one JSON document has `{"events": […]}` of its own.
    """
    unknown: tuple[UnknownName, ...] = ()
    """Enum values that are newer than the installed SDK; empty in most histories."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that was not read, and why."""

    uri: str
    """The file, member or item."""
    error: HistoryError
    """The reason, on one line."""
    is_notice: bool = False
    """True when nothing is wrong: it was left out because it has no workflow history."""
