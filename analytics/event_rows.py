"""Rows of `core.events` and `core.payloads`: what histories say, event by event, unjudged.

What the events mean is the state machine's business (`analytics.run_rows`). Millions of events pass
through here, so they are gathered column by column, and which fields a type of event has is looked
up in its descriptor once (`analytics.event_fields`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from operator import attrgetter
from struct import unpack
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from temporalio.api.history.v1 import HistoryEvent

from analytics.columns import Block, Column, Sparse, Times
from analytics.event_fields import FILLED_COLUMNS, EventField, event_fields, values_of
from analytics.payload_rows import PayloadRows
from replayer.history.checks import attributes_by_type
from replayer.history.payloads import payload_visit
from tracer.model import time_of
from tracer.model.enums import EVENT_TYPE, name_of

if TYPE_CHECKING:
    from replayer.history import RunHistory
    from replayer.history.payloads import Found, Visit

__all__ = ["EventRows"]

_TAIL: Final = frozenset({"WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED"})

_HEAD: Final = attrgetter("event_id", "event_type", "task_id", "version")
"""What every event has, read at once."""

_HASH: Final = blake2b(digest_size=8)
"""Copied for each event: that costs half of what a new one does."""

_METADATA: Final = "user_metadata"
"""The field of an event that may hold payloads beside its attributes."""


class _Kind(NamedTuple):
    """Events with attributes of one type: how they are read, and what was."""

    attributes: str | None
    """The field of the event; `None` where it has none that is known."""
    fields: Sequence[EventField]
    values: Callable[[Any], tuple[Any, ...]] | None
    """Reads the fields; `None` if no column comes from them."""
    visit: Visit | None
    """Finds payloads in the attributes; `None` if they cannot hold any."""
    places: list[int]
    """Which rows these events are."""
    rows: list[tuple[Any, ...]]
    """The values of the fields in each."""

    def filled(self) -> dict[str, Sequence[Any]]:
        """The columns that come from the fields."""
        columns = zip(*self.rows, strict=True)
        return {
            name: values
            for field, column in zip(self.fields, columns, strict=True)
            for name, values in zip(field.columns, field.read(column), strict=True)
        }


class EventRows:
    """The events of many histories and their payloads, gathered history by history."""

    def __init__(self) -> None:
        self.payload_bytes: list[int] = []
        """Of all payloads of each history."""
        self._payloads = PayloadRows()
        self._payload_counts: list[int] = []
        self._counts: list[int] = []
        self._event_ids: list[int] = []
        self._times: list[int] = []
        self._types: list[str] = []
        self._task_ids: list[int] = []
        self._versions: list[int] = []
        self._hashes: list[bytes] = []
        self._provisional: list[bool] = []
        self._n_payloads: list[int] = []
        self._bytes: list[int] = []
        self._kinds: dict[str | None, _Kind] = {}
        self._by_type: dict[int, _Kind] = {}

    def add(self, history: RunHistory, *, is_closed: bool) -> None:
        """One row per event of a history, and one per payload."""
        events = history.events
        ids, numbers, task_ids, versions = zip(*map(_HEAD, events), strict=True)
        self._counts.append(len(events))
        self._event_ids += ids
        self._times += map(time_of, events)
        self._types += _type_names(history, numbers)
        self._task_ids += task_ids
        self._versions += versions
        settled = len(events) if is_closed else _first_provisional(events)
        self._provisional += [False] * settled + [True] * (len(events) - settled)
        self._hashes += _hashes(events)
        self._read(events, ids, numbers)

    def blocks(self) -> dict[str, Block]:
        """What was gathered, by table."""
        events: dict[str, Column] = {
            "event_id": self._event_ids,
            "event_time": Times(self._times),
            "event_time_ns": self._times,
            "event_type": self._types,
            "task_id": self._task_ids,
            "version": self._versions,
            "event_hash": unpack(f">{len(self._hashes)}Q", b"".join(self._hashes)),
            "is_provisional": self._provisional,
            "n_payloads": self._n_payloads,
            "payload_bytes": self._bytes,
        }
        return {
            "core.events": Block(events | self._filled(), self._counts),
            "core.payloads": self._payloads.block(self._payload_counts),
        }

    def _read(
        self, events: Sequence[HistoryEvent], ids: Sequence[int], numbers: Sequence[int]
    ) -> None:
        """What has to be asked of each event: its attributes and payloads."""
        kinds, payloads = self._by_type, self._payloads
        n_payloads, sizes = [0] * len(events), [0] * len(events)
        first = len(self._n_payloads)
        for place, (event, number) in enumerate(zip(events, numbers, strict=True)):
            name, _, values, visit, places, rows = kinds.get(number) or self._kind(event)
            found: Found = []
            if _visit_metadata is not None and event.HasField(_METADATA):
                _visit_metadata(event.user_metadata, _METADATA, 0, found)
            attributes = getattr(event, name) if name is not None else None
            places.append(first + place)
            if values is not None:
                rows.append(values(attributes))
            if visit is not None:
                visit(attributes, "", 0, found)
            if found:
                n_payloads[place] = len(found)
                sizes[place] = payloads.add(ids[place], found)
        self._n_payloads += n_payloads
        self._bytes += sizes
        self._payload_counts.append(sum(n_payloads))
        self.payload_bytes.append(sum(sizes))

    def _kind(self, event: HistoryEvent) -> _Kind:
        """Of an event whose type has not been met before, or is unknown."""
        known = attributes_by_type().get(event.event_type)
        attributes = known or event.WhichOneof("attributes")
        kind = self._kinds.get(attributes)
        if kind is None:
            fields = event_fields(attributes) if attributes else ()
            visit = payload_visit(attributes) if attributes else None
            kind = _Kind(attributes, fields, values_of(fields), visit, [], [])
            self._kinds[attributes] = kind
        if known:
            self._by_type[event.event_type] = kind
        return kind

    def _filled(self) -> dict[str, Column]:
        """The columns that only some types of events fill."""
        kinds = [*self._kinds.values()]
        places = [place for kind in kinds for place in kind.places]
        order = pc.inverse_permutation(pa.array(places, pa.int64()))
        filled = [kind.filled() for kind in kinds]
        return {
            name: Sparse(
                [
                    columns.get(name, len(kind.places))
                    for kind, columns in zip(kinds, filled, strict=True)
                ],
                order,
            )
            for name in FILLED_COLUMNS
        }


_visit_metadata: Final = payload_visit(_METADATA)


def _hashes(events: Iterable[HistoryEvent]) -> list[bytes]:
    """64 bits of each event's content: equal for the same event, read from whichever format."""
    hashes = []
    for event in events:
        state = _HASH.copy()
        state.update(event.SerializeToString(deterministic=True))
        hashes.append(state.digest())
    return hashes


def _type_names(history: RunHistory, numbers: Sequence[int]) -> list[str]:
    """Of all events, as the source names them where the installed SDK has no name."""
    names = [EVENT_TYPE.get(n) or name_of(EVENT_TYPE, n) or "UNSPECIFIED" for n in numbers]
    newer = {u.event_id: u.name for u in history.unknown if u.enum == "EventType"}
    if not newer:
        return names
    ids = [event.event_id for event in history.events]
    return [newer.get(id_) or name for id_, name in zip(ids, names, strict=True)]


def _first_provisional(events: Sequence[HistoryEvent]) -> int:
    """Where the open workflow task at the end of an open history begins.

    A server shows tasks there that it has not recorded for good: a retried one, or one for an
    update that may be rejected. Their ids are given to other events if those come first.
    """
    index = len(events)
    while index and name_of(EVENT_TYPE, events[index - 1].event_type) in _TAIL:
        index -= 1
    return index
