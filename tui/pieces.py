"""Styled text for screens, as a value: no widget, no markup, no terminal.

Modules that decide what a line says build `Line`s; widgets only draw them. A tone is a meaning, not
a colour: the theme maps one to the other, and a glyph or a word always says the same thing again
for those who do not see colours.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from rich.cells import cell_len

from tui.text import clip, fold, safe_text


class Tone(StrEnum):
    """What a piece of text means."""

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    NOTE = "note"
    KEYWORD = "keyword"
    """Of a programming language."""
    LITERAL = "literal"
    """A text or a number in a program or a payload."""
    MATCH = "match"
    """What was searched for."""


class Piece(NamedTuple):
    """Some text in one tone."""

    text: str
    """Safe, without line breaks."""
    tone: Tone = Tone.PLAIN


type Line = tuple[Piece, ...]

BLANK: Line = ()


class LineSource(Protocol):
    """Lines that are made when they are looked at; there may be millions."""

    def __len__(self) -> int:
        """How many lines there are."""
        ...

    def line(self, index: int, width: int) -> Line:
        """The line at `index`, which has `width` cells to show itself in."""
        ...


class Lines:
    """A `LineSource` of lines that exist already."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def __iter__(self) -> Iterator[Line]:
        """Every line, from the first."""
        return iter(self._lines)

    def line(self, index: int, width: int) -> Line:
        """The line at `index`; the width is the widget's to enforce."""
        return self._lines[index]


def piece(text: str, tone: Tone = Tone.PLAIN) -> Piece:
    """A piece of text that came from anywhere."""
    return Piece(safe_text(text), tone)


def cell(text: str, width: int, tone: Tone = Tone.PLAIN) -> Piece:
    """A piece of text that came from anywhere, exactly `width` cells wide."""
    return Piece(clip(safe_text(text), width), tone)


def figure(text: str, width: int, tone: Tone = Tone.PLAIN) -> Piece:
    """A figure of our own making, to the right in `width` cells."""
    return Piece(clip(text.rjust(width), width), tone)


def folded(line: Line, width: int) -> Iterator[Line]:
    """The line in rows of at most `width` cells; at least one row. `width` is 2 or more."""
    row: list[Piece] = []
    left = width
    for each in line:
        first, *others = fold(each.text, width, first=left)
        row.append(Piece(first, each.tone))
        left -= cell_len(first)
        for part in others:
            yield tuple(row)
            row, left = [Piece(part, each.tone)], width - cell_len(part)
    yield tuple(row)


def wrapped(text: str, width: int, tone: Tone = Tone.PLAIN) -> Iterator[Line]:
    """A sentence that came from anywhere in rows of at most `width` cells, cut between words."""
    for row in textwrap.wrap(safe_text(text), max(8, width)) or [""]:
        # Wide characters make a row wider than it has characters.
        yield from folded((Piece(row, tone),), max(8, width))


def clip_line(line: Line, width: int) -> Line:
    """The line in exactly `width` cells: padded, or cut with an ellipsis."""
    row: list[Piece] = []
    left = width
    for each in line:
        # A text has at most as many cells as fit; beyond that nothing needs to be measured.
        taken = cell_len(each.text[: left + 1])
        if taken > left:
            row.append(Piece(clip(each.text, left), each.tone))
            return tuple(row)
        row.append(each)
        left -= taken
    return (*row, Piece(" " * left)) if left else tuple(row)


def marked(line: Line, needle: str) -> Line:
    """The line with each place marked that has a text, ignoring case."""
    lowered = needle.lower()
    parts: list[Piece] = []
    for each in line:
        at = 0
        text = each.text.lower()
        if len(text) != len(each.text):
            parts.append(each)  # Some letters are two in lower case: places would be wrong.
            continue
        while lowered and (found := text.find(lowered, at)) >= 0:
            parts.append(Piece(each.text[at:found], each.tone))
            at = found + len(lowered)
            parts.append(Piece(each.text[found:at], Tone.MATCH))
        parts.append(Piece(each.text[at:], each.tone))
    return tuple(part for part in parts if part.text)


def text_of(line: Line) -> str:
    """A line without its tones."""
    return "".join(each.text for each in line)
