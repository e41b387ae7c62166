"""What the docs show of the app: which keys lead to each screen, and how two captures compare.

Both drivers press these keys: `screenshots.py` on a terminal that it imagines and writes pictures,
`terminal.py` in tmux and reads the characters. What differs between two demos is told here and
nowhere else.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IMAGES: Final = Path(__file__).parent / "images"
_WIDE, _TALL, _NARROW = (120, 34), (120, 44), (80, 24)
_FAULTY = "examples.kyc_review.workflow_faulty:KycReview"
_KYC = "examples.kyc_review.workflow:KycReview"
_TRIAGE = "examples.support_triage.workflow:SupportTriage"
_REFUND = "demo-triage-refund-paid"
_HUMAN = "demo-kyc-human-approved"
_COMMAND = (":", "@an event id")
_TAPED = ("T", "@workflow code", f"={_TRIAGE}", "enter", "@RE-EXECUTED")


def _turn(number: int, shown: str) -> tuple[str, ...]:
    """Go to a turn, of which something is then shown."""
    return (*_COMMAND, f"=turn {number}", "enter", f"@{shown}")


_CELL: Final = 12.2
"""Width of a character in a picture."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One screen of the docs."""

    name: str
    run: str = ""
    """Its workflow id is filtered for and the run opened; empty stays at the list."""
    keys: Sequence[str] = ()
    """`=text` is typed, `@text` is waited for; anything else is one key, as Textual names it."""
    size: tuple[int, int] = _WIDE
    shows: str = ""
    """What is on the screen once it is whole."""
    is_unordered: bool = False
    """Whether the order of its lines is another in each demo."""

    @property
    def path(self) -> Path:
        """The picture."""
        return IMAGES / f"{self.name}.svg"

    @property
    def steps(self) -> Iterable[str]:
        """Everything that is pressed and waited for, beginning at the list of runs."""
        yield "@of 34 runs"
        if self.run:
            yield from ("/", "@filter: text", f"={self.run}", "@ 1 of 34 runs")
            yield from ("enter", "@mark", "enter", "@TIMELINE")
        yield from self.keys
        yield f"@{self.shows}"


SHOTS: Final = (
    # Whether the slow model's first answer came before its time was up is another in each demo.
    Shot(
        "runs",
        keys=("/", "@filter: text", "=!SHP !slow", "enter"),
        shows="!slow",
        is_unordered=True,
    ),
    Shot("run", "demo-kyc-provider-down", ("p", "v"), shows="[in]"),
    Shot(
        "replay",
        _REFUND,
        (*_TAPED, *_turn(2, "▶160"), "n", "@▶ 84", "n", "@▶ 85", "n", "@▶ 86", "n", "@▶ 87"),
        shows="changed: 3",
    ),
    Shot(
        "replay-narrow",
        _REFUND,
        (*_TAPED, *_turn(2, "▶160"), "n", "@▶ 84"),
        _NARROW,
        shows="changed: 2",
    ),
    Shot("payload", _REFUND, (*_turn(2, "lookup_order"), "enter"), shows="2/3"),
    Shot("chat", _REFUND, (*_turn(3, "refund_order"), "enter", "@2/3", "V"), shows="1/3"),
    Shot(
        "diff",
        _HUMAN,
        (*_COMMAND, "=diff demo-kyc-faulty-human-approved", "enter", "@THEY PART", *"}}}"),
        _TALL,
        shows="only in",
    ),
    Shot("stop", _HUMAN, ("K", "@check with", f"={_FAULTY}", "enter"), shows="the SDK says"),
    Shot("fork", _HUMAN, (*_turn(3, "rationale"), "F", "@costs", f"={_KYC}"), shows=_KYC),
    Shot(
        "forks",
        _HUMAN,
        (
            *_turn(3, "rationale"),
            *("K", "@check with", f"={_KYC}", "enter", "@replay matches"),
            *("F", "@costs", "ctrl+u", "@as recorded, with", "=output.score=0.5", "enter"),
            *("@FORKED at", "escape", "@RECORDED", "F", "@costs", "ctrl+u", "@as recorded, with"),
            *("=fail ApplicationError: no answer", "enter", "@FORKED at", "f"),
        ),
        shows="2 forks",
    ),
    Shot("find", _HUMAN, ("ctrl+f", "@find in all", "=source of funds", "enter"), shows="result"),
    Shot("cost", _REFUND, ("M",), shows="prices of the day"),
    Shot("waits", "demo-kyc-approval-expired", ("Z",), shows="ended by"),
)
"""Every screen that the docs show."""


# -- comparing ---------------------------------------------------------------------------------

_VOLATILE: Final = tuple(
    (re.compile(pattern), told)
    for pattern, told in (
        (r"\S*/(?=examples/)", ""),
        # A long path has no place, or not all of it.
        (r"(?<= )(/\S+|\S*retrospan-demo\S*)\s*$", "WAREHOUSE"),
        (r"\b[0-9a-f]{8}-[0-9a-f-]*…?", "ID"),
        (r"\b[0-9a-f]{8}\b|\b[0-9a-f]{16,}\b", "ID"),
        (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "MOMENT"),
        (r"\b\d+(\.\d+)?(ns|µs|ms|s|m|h|d)\b( \d+(ms|s|m|h)\b)?", "TIME"),
        # How many events a run has depends on which of two activities was faster.
        (r"\bevent \d+(/\d+)?", "event N"),
        (r"id: \d+", "id: N"),
        (r"^ *\d+ ", "N "),
        (r"│ \d+ +│", "│ N │"),
        (r"━+", "━"),
        # So does whether a step took clearly longer than in the other run.
        (r"~ duration", "="),
        (r"(?<=~ output), du\S*", ""),
        (r"\b\d+ differences?", "N differences"),
        # How much of what follows has a place depends on how long the figures before it are.
        (r"(?<= tok )  *.*", "…"),
        (r"\s+", " "),
    )
)
"""What no two demos have in common, and what stands for it."""


def comparable(shot: Shot, lines: Iterable[str]) -> list[str]:
    """The lines of a screen without what is another in each demo."""
    told = []
    for line in lines:
        for pattern, instead in _VOLATILE:
            line = pattern.sub(instead, line)
        told.append(line.strip())
    while told and not told[-1]:
        told.pop()
    return sorted(told) if shot.is_unordered else told


_TEXT: Final = re.compile(
    r'<text [^>]*\bx="([\d.]+)"[^>]*clip-path="url\(#[\w-]*-line-(\d+)\)"[^>]*>([^<]*)</text>'
)


def picture_lines(svg: str) -> list[str]:
    """The lines of a terminal that a picture shows."""
    rows: dict[int, str] = {}
    for left, row, escaped in _TEXT.findall(svg):
        text = html.unescape(escaped).replace("\xa0", " ").rstrip("\n")
        rows[int(row)] = rows.get(int(row), "").ljust(round(float(left) / _CELL)) + text
    return [rows.get(row, "") for row in range(max(rows, default=-1) + 1)]
