"""What a page is made of, before it is HTML: sections with a chart, a table, and words.

Whoever builds a report builds these values; the template draws them and knows nothing of runs. All
text in here is as it came: the template makes it safe, `analytics.reports.charts` does so for what
goes into charts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Block", "Chart", "Column", "Fact", "Note", "Page", "Section", "Table", "Tone"]


class Tone(StrEnum):
    """What a piece of a page means; a word always says the same again."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    DIM = "dim"


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure with its name, large at the top of a page or small in its heading."""

    name: str
    value: str
    """With its unit."""
    note: str = ""
    """What must be known to read the value, such as how much of a cost is known."""
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a reader must see before the rest."""

    title: str
    text: str
    tone: Tone = Tone.BAD


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure as Plotly takes it. A table beside it tells the same to those who do not see it."""

    name: str
    """Unique on the page, a word."""
    data: Sequence[Mapping[str, Any]]
    """Traces; all text in them went through `charts.plotly_text`."""
    layout: Mapping[str, Any]
    told: str
    """One sentence that says what it shows, for screen readers."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    right: bool = False
    """Align to the right, as figures are."""
    is_code: bool = False
    """Ids, hashes and source text."""
    is_time: bool = False
    """Points in time, which are not broken."""
    is_long: bool = False
    """Messages and other text that needs a line of its own on a narrow screen."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    title: str = ""
    total: int | None = None
    """How many rows there are, where only some are shown."""
    which: str = ""
    """Which rows are shown where not all are, such as `the longest`."""


@dataclass(frozen=True, slots=True)
class Block:
    """Text of several lines that can be folded away, such as a stack trace."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a page."""

    name: str
    """Unique on the page, a word: links lead to it."""
    title: str
    lead: str = ""
    """What it shows, in a sentence."""
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    blocks: Sequence[Block] = ()
    empty: str = ""
    """What to say, and what to do, where there is nothing to show."""
    left_out: str = ""
    """What is not shown, and why."""
    is_paired: bool = False
    """Whether chart and table stand side by side where there is room."""
    on_card: bool = False
    """Whether it is on the picture for chats and tickets."""


@dataclass(frozen=True, slots=True)
class Page:
    """A report."""

    kind: str
    """`run` or `fleet`."""
    title: str
    subtitle: str
    status: str
    """One word beside the title, empty for none."""
    status_tone: Tone
    facts: Sequence[Fact]
    """Small, in the heading."""
    figures: Sequence[Fact]
    """Large."""
    notes: Sequence[Note]
    sections: Sequence[Section]
    counts: Mapping[str, int]
    """How much it tells of, for programs."""
