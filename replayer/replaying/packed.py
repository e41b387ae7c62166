"""A history on its way to a child process: protobuf, which both ends make and read in no time."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.history.v1 import History

from replayer.history import KeySource, Origin, RunHistory
from tracer.identity import RunKey

__all__ = ["PackedHistory"]


@dataclass(frozen=True, slots=True)
class PackedHistory:
    """A run's history as bytes; pickles fast, and small."""

    key: RunKey
    key_source: KeySource
    origin: Origin
    events: bytes
    """A serialized `History`."""

    @classmethod
    def of(cls, history: RunHistory) -> PackedHistory:
        """Pack a history. Its raw bytes stay behind."""
        events = History(events=history.events).SerializeToString()
        return cls(history.key, history.key_source, history.origin, events)

    def unpacked(self) -> RunHistory:
        """The history again; its raw bytes are the protobuf now."""
        events = tuple(History.FromString(self.events).events)
        return RunHistory(self.key, self.key_source, self.origin, events, self.events)
