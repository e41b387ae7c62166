"""The values pane: what changed with the last line first, then what is watched, then the rest.

A value can be unfolded where the tape has its parts. Which ones are open is the reader's, by path,
so that stepping keeps them open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from replayer.tape import FrameState, Value, Variable
from tui.pieces import Line, Piece, Tone, piece
from tui.text import safe_text

_MOST_TEXT: Final = 400
"""Characters drawn of a value; unfolding shows its parts."""


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One name, or one part of a value."""

    path: str
    """The name, and for a part the labels on the way to it: `self.orders[0].id`."""
    name: str
    """Of the variable that it belongs to."""
    label: str
    value: Value | None
    """`None` for a watched name that has no value here."""
    depth: int = 0
    before: str | None = None
    """The value before the last line, if that changed it; empty where there was none."""
    is_watched: bool = False
    is_open: bool = False


def value_rows(
    frame: FrameState | None,
    before: Mapping[str, Variable],
    since: int,
    *,
    watches: Sequence[str] = (),
    opened: frozenset[str] = frozenset(),
) -> list[ValueRow]:
    """The rows of a frame.

    Args:
        frame: The frame; `None` between activations.
        before: What its names stood for before the last line, by name.
        since: The position of that line.
        watches: Names to show even where they have no value.
        opened: Paths that are unfolded.
    """
    variables = {each.name: each for each in (frame.variables if frame is not None else ())}
    if any(name.startswith("self.") for name in variables):
        variables.pop("self", None)  # Its attributes say more.
    changed = [each for each in variables.values() if each.changed_at > since]
    names = [each.name for each in sorted(changed, key=lambda each: -each.changed_at)]
    names += [name for name in watches if name not in names]
    names += [name for name in variables if name not in names]
    rows: list[ValueRow] = []
    for name in names:
        known = variables.get(name)
        old = before.get(name)
        was = None
        if known is not None and known.changed_at > since:
            was = "" if old is None else old.value.text
        row = ValueRow(
            name,
            name,
            name,
            known.value if known else None,
            0,
            was,
            name in watches,
            name in opened,
        )
        rows.append(row)
        if row.is_open and row.value is not None:
            rows.extend(_parts(row, row.value, opened))
    return rows


def _parts(row: ValueRow, value: Value, opened: frozenset[str]) -> Iterator[ValueRow]:
    for label, child in value.children:
        path = f"{row.path}{label}" if label.startswith("[") else f"{row.path}.{label}"
        part = ValueRow(path, row.name, label, child, row.depth + 1, is_open=path in opened)
        yield part
        if part.is_open:
            yield from _parts(part, child, opened)


class ValueView:
    """A `LineSource` over rows."""

    def __init__(self, rows: Sequence[ValueRow]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def line(self, index: int, width: int) -> Line:
        """One row."""
        row = self.rows[index]
        if row.value is None:
            return Piece("w ", Tone.NOTE), piece(row.label), Piece(" has no value here", Tone.DIM)
        mark = "w" if row.is_watched else "~" if row.before is not None else " "
        fold = ("▾" if row.is_open else "▸") if row.value.children else " "
        return (
            Piece(mark, Tone.WARN if row.before is not None else Tone.NOTE),
            Piece("  " * row.depth + fold),
            piece(row.label, Tone.STRONG if row.before is not None else Tone.PLAIN),
            Piece(" "),
            *_shown(row, row.value),
        )


def _shown(row: ValueRow, value: Value) -> Line:
    new = _cut(value.text)
    count = f" ({value.length})" if value.length is not None and value.children else ""
    if not row.before:
        tone = Tone.WARN if row.before is not None else Tone.LITERAL
        return Piece(new, tone), Piece(count, Tone.DIM)
    return (
        Piece(_cut(row.before), Tone.DIM),
        Piece(" → ", Tone.DIM),
        Piece(new, Tone.WARN),
        Piece(count, Tone.DIM),
    )


def _cut(text: str) -> str:
    text = safe_text(text[: _MOST_TEXT + 1])
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"
