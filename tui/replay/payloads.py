"""What went in and came out of one thing of a run, as sections of lines.

A pane shows a preview: of a big payload its beginning, undecoded, because decoding megabytes holds
the interpreter's lock and the screen would stand still. The full screen shows the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from replayer.alignment import Entry
from replayer.history import decode
from tracer.model import Failure
from tracer.model.words import Payload
from tui import figures
from tui.event_detail import Code, Detail, DetailLine, failure_lines, fold_detail
from tui.payload_text import payload_text
from tui.pieces import BLANK, Piece, Tone, piece
from tui.replay.book import Book
from tui.replay.chat import message_lines, messages_of
from tui.text import safe_text

_PREVIEW_BYTES: Final = 64 * 1024
_PREVIEW_LINES: Final = 2_000


class Tab(StrEnum):
    """What the payload pane shows."""

    ALL = "all"
    """In and out together: mostly one is asked for because of the other."""
    IN = "in"
    OUT = "out"
    ERROR = "error"
    HEADERS = "headers"
    EVENT = "event"
    """Every recorded fact of the event."""


@dataclass(frozen=True, slots=True)
class Section:
    """One payload, or one failure, with its name."""

    tab: Tab
    title: str
    payload: Payload | None = None
    failure: Failure | None = None


def sections_of(book: Book, position: int) -> list[Section]:
    """What is recorded of the thing that an event belongs to."""
    entry = book.entry_at(position)
    sections = [*_payloads(Tab.IN, entry.input), *_payloads(Tab.OUT, entry.output)]
    if entry.failure is not None:
        sections.append(Section(Tab.ERROR, "error", failure=entry.failure))
    return sections + [
        Section(Tab.HEADERS, f"header {name}", payload) for name, payload in _headers(book, entry)
    ]


def _payloads(tab: Tab, payloads: Sequence[Payload]) -> Iterator[Section]:
    for index, payload in enumerate(payloads):
        title = tab.value if len(payloads) == 1 else f"{tab.value} {index + 1} of {len(payloads)}"
        yield Section(tab, title, payload)


def _headers(book: Book, entry: Entry) -> Iterator[tuple[str, Payload]]:
    if entry.seq is not None:
        yield from sorted(book.steps[entry.seq].headers.items())
    elif entry.event_id == 1:
        yield from sorted(book.walk.run.headers.items())


def section_lines(sections: Sequence[Section], tab: Tab, width: int) -> Detail:
    """The sections that a tab shows, folded to a width."""
    lines: list[DetailLine] = []
    for section in sections:
        if section.tab is tab or (tab is Tab.ALL and section.tab is not Tab.HEADERS):
            if lines:
                lines.append(BLANK)
            for line in _lines(section, width):
                lines.extend(fold_detail(line, width))
    return Detail(lines or [(Piece(f"nothing {_WHERE[tab]}", Tone.DIM),)])


_WHERE: Final = {
    Tab.ALL: "went in or came out here",
    Tab.IN: "went in here",
    Tab.OUT: "came out here",
    Tab.ERROR: "failed here",
    Tab.HEADERS: "was sent in headers here",
    Tab.EVENT: "is recorded here",
}


def _lines(section: Section, width: int) -> Iterator[DetailLine]:
    if section.failure is not None:
        yield (Piece("error", Tone.BAD), Piece("  recorded", Tone.DIM))
        yield from failure_lines(section.failure)
    elif section.payload is not None:
        yield from _payload_lines(section.title, section.payload, width)


def _payload_lines(title: str, payload: Payload, width: int) -> Iterator[DetailLine]:
    size = len(payload.data)
    if size > _PREVIEW_BYTES:
        about = f"  recorded · {figures.size(size)} · its beginning; enter shows all"
        yield piece(title, Tone.NOTE), Piece(about, Tone.DIM)
        text = payload.data[:_PREVIEW_BYTES].decode(errors="replace")
        yield from map(Code, safe_text(text, multiline=True).expandtabs(4).split("\n"))
        return
    shown = payload_text(payload)
    yield piece(title, Tone.NOTE), piece(f"  recorded · {shown.about}", Tone.DIM)
    messages = messages_of(decode(payload).json)
    if messages:
        yield from message_lines(messages, width)
        return
    yield from map(Code, shown.lines[:_PREVIEW_LINES])
    if len(shown.lines) > _PREVIEW_LINES:
        more = f"… {len(shown.lines) - _PREVIEW_LINES:,} more lines; enter shows all"
        yield (Piece(more, Tone.DIM),)
