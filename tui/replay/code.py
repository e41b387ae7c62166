"""The source pane: the text that ran, with its marks, as lines.

The text is the tape's, not that of the file on disk. The gutter says where the reader is (`▶`),
which lines ran in this turn (`·`) and where breakpoints are (`●`).
"""

from __future__ import annotations

import io
import keyword
import re
import token
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tui.pieces import Line, Piece, Tone
from tui.text import safe_text

_TAB: Final = 4
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_WORDS: Final = frozenset(keyword.kwlist)
_TEXTS: Final = frozenset(
    number
    for name in ("STRING", "FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END", "NUMBER")
    if (number := getattr(token, name, None)) is not None
)


@dataclass(frozen=True, slots=True)
class Code:
    """One source file, coloured."""

    file: str
    lines: Sequence[Line]


def code_of(file: str, text: str) -> Code:
    """Colour a source text. Takes some milliseconds for a thousand lines."""
    # As Python counts lines: `splitlines` knows more ends of a line than it does.
    rows = _LINE_END.split(text.removesuffix("\n"))
    tones: dict[int, list[tuple[int, int, Tone]]] = {}
    for row, start, end, tone in _tones(text):
        tones.setdefault(row, []).append((start, end, tone))
    return Code(file, [_coloured(row, tones.get(n, [])) for n, row in enumerate(rows, 1)])


class CodeView:
    """A `LineSource` over a file, with marks in the gutter."""

    def __init__(
        self,
        code: Code,
        *,
        current: int = 0,
        is_waiting: bool = False,
        ran: frozenset[int] = frozenset(),
        breakpoints: frozenset[int] = frozenset(),
    ) -> None:
        self._code = code
        self._current = current
        self._arrow = "▷" if is_waiting else "▶"
        self._ran = ran
        self._breakpoints = breakpoints
        self._digits = len(str(len(code.lines)))

    def __len__(self) -> int:
        """How many lines the file has."""
        return len(self._code.lines)

    def line(self, index: int, width: int) -> Line:
        """A line of the file with its gutter."""
        number = index + 1
        is_here = number == self._current
        stop = "●" if number in self._breakpoints else " "
        mark = self._arrow if is_here else "·" if number in self._ran else " "
        return (
            Piece(stop, Tone.BAD),
            Piece(mark, Tone.NOTE if is_here else Tone.GOOD),
            Piece(f"{number:>{self._digits}} ", Tone.STRONG if is_here else Tone.DIM),
            *self._code.lines[index],
        )


def _coloured(row: str, tones: Sequence[tuple[int, int, Tone]]) -> Line:
    parts: list[Piece] = []
    at = 0
    for start, end, tone in tones:
        if start > at:
            parts.append(Piece(_shown(row[at:start])))
        parts.append(Piece(_shown(row[max(at, start) : end]), tone))
        at = max(at, end)
    parts.append(Piece(_shown(row[at:])))
    return tuple(part for part in parts if part.text)


def _shown(text: str) -> str:
    return safe_text(text.replace("\t", " " * _TAB))


def _tones(text: str) -> Iterator[tuple[int, int, int, Tone]]:
    """Row (from 1), start and end column, and tone of each word that has one."""
    try:
        for each in tokenize.generate_tokens(io.StringIO(text).readline):
            tone = _tone(each)
            if tone is None:
                continue
            (first, start), (last, end) = each.start, each.end
            for row in range(first, last + 1):
                yield row, start if row == first else 0, end if row == last else 1 << 30, tone
    except (tokenize.TokenError, SyntaxError, ValueError):
        return  # What is no Python to the end is shown without colours from there on.


def _tone(each: tokenize.TokenInfo) -> Tone | None:
    if each.type == token.NAME and each.string in _WORDS:
        return Tone.KEYWORD
    if each.type in _TEXTS:
        return Tone.LITERAL
    return Tone.DIM if each.type == token.COMMENT else None
