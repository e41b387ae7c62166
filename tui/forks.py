"""Forks and what they were made of: a fork's own word for it, and all forks of a run as a tree.

A fork says in its memo what it was forked from, where and with what changed, so that a history file
or a warehouse tells it as well as the app that made it. The memo is outside input: what is no
origin is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from replayer.history.keys import FORK_MEMO
from tracer.identity import RunKey
from tracer.model import Run
from tracer.model.payloads import json_of
from tui import figures
from tui.event_words import STATUS_GLYPHS
from tui.pieces import Line, Piece, Tone, cell, clip_line, figure, piece

if TYPE_CHECKING:
    from tui.sources import RunRow

_STATUS, _STEPS, _TIME, _COST = 12, 7, 9, 10


@dataclass(frozen=True, slots=True)
class Origin:
    """What a fork was made of."""

    of: RunKey
    """The run that was forked: a recording, or a fork itself."""
    point: str
    """Where, in words."""
    changes: str
    """What was changed, in words."""
    forked_at: str = ""
    """When, as ISO 8601."""


def origin_of(run: Run) -> Origin | None:
    """What a run was forked from; `None` for recordings."""
    memo = run.memo.get(FORK_MEMO)
    return None if memo is None else origin_from(json_of(memo))


def origin_from(mark: object) -> Origin | None:
    """What the memo of a fork says; `None` if it says nothing that is understood."""
    if not isinstance(mark, Mapping) or not isinstance(mark.get("of"), str):
        return None
    namespace, has_namespace, rest = mark["of"].partition("/")
    workflow_id, has_run, run_id = rest.rpartition(":")
    if not has_namespace or not has_run:
        return None
    told = {name: str(mark.get(name) or "") for name in ("point", "changes", "forked_at")}
    return Origin(RunKey(namespace, workflow_id, run_id), **told)


class Twig(NamedTuple):
    """A run in the tree of its forks."""

    row: RunRow
    origin: RunRow | None
    """The run that it was forked from; `None` at the root."""
    lead: str
    """The lines of the tree that lead to it."""


def root_of(rows: Mapping[RunKey, RunRow], key: RunKey) -> RunKey:
    """The run that a fork of a fork goes back to, as far as it is known."""
    passed = set[RunKey]()
    while key not in passed and (row := rows.get(key)) is not None and row.origin is not None:
        passed.add(key)
        if row.origin.of not in rows:
            return key
        key = row.origin.of
    return key


def fork_tree(rows: Iterable[RunRow], key: RunKey) -> list[Twig]:
    """A run's recording with every fork of it and of its forks, each below what it was forked from.

    Args:
        rows: The runs that are known.
        key: The recording, or any of its forks.
    """
    known = {row.key: row for row in rows}
    children: dict[RunKey, list[RunRow]] = {}
    for row in known.values():
        if row.origin is not None:
            children.setdefault(row.origin.of, []).append(row)
    root = known.get(root_of(known, key))
    return [] if root is None else list(_twigs(root, children))


def _twigs(root: RunRow, children: Mapping[RunKey, Sequence[RunRow]]) -> Iterator[Twig]:
    told = {root.key}
    waiting: list[tuple[Twig, str]] = [(Twig(root, None, ""), "")]
    while waiting:
        twig, below = waiting.pop()
        yield twig
        forks = [row for row in children.get(twig.row.key, ()) if row.key not in told]
        told.update(row.key for row in forks)
        forks.sort(key=lambda row: row.origin.forked_at if row.origin is not None else "")
        for number, row in reversed(list(enumerate(forks, 1))):
            is_last = number == len(forks)
            lead = below + ("└─ " if is_last else "├─ ")
            waiting.append((Twig(row, twig.row, lead), below + ("   " if is_last else "│  ")))


class ForkTree:
    """A `LineSource` over a tree of forks."""

    def __init__(self, twigs: Sequence[Twig]) -> None:
        self.twigs = twigs

    def __len__(self) -> int:
        """How many runs there are."""
        return len(self.twigs)

    def line(self, index: int, width: int) -> Line:
        """One run: how it ended, what was changed and where, and what that did to its figures."""
        twig = self.twigs[index]
        glyph, tone = STATUS_GLYPHS.get(twig.row.status, ("·", Tone.PLAIN))
        status = cell(f"{glyph} {twig.row.status}", _STATUS, tone)
        right = _figures(twig)
        room = width - sum(len(each.text) for each in right) - 1
        left = (Piece(f" {twig.lead}", Tone.DIM), status, Piece(" "), *_words(twig))
        return (*clip_line(left, max(8, room)), *right)


def headings(width: int) -> Line:
    """The titles above a tree of this width."""
    titles = ("steps", _STEPS), ("time", _TIME), ("cost", _COST)
    right = [figure(title, cells, Tone.DIM) for title, cells in titles]
    left = (Piece(" outcome, where it was forked and what was changed", Tone.DIM),)
    return (*clip_line(left, max(8, width - sum(each for _, each in titles) - 1)), *right)


def _words(twig: Twig) -> Iterator[Piece]:
    origin = twig.row.origin
    if twig.origin is None or origin is None:
        yield Piece("recording " if origin is None else "fork of a run that is not here ")
        yield piece(f"{twig.row.key.workflow_id} {twig.row.key.run_id}", Tone.DIM)
        return
    yield piece(f"{origin.changes}  ", Tone.STRONG)
    yield piece(f"{origin.point}  ", Tone.NOTE)
    yield piece(twig.row.key.run_id[:8], Tone.DIM)


def _figures(twig: Twig) -> tuple[Piece, ...]:
    """Of a recording what it took; of a fork how much more or less than what it was forked from."""
    row, before = twig.row, twig.origin
    shown: list[tuple[Any, Any, Any, int]] = [
        (row.steps, before and before.steps, figures.count, _STEPS),
        (row.duration_ns, before and before.duration_ns, figures.duration, _TIME),
        (row.cost_usd, before and before.cost_usd, figures.money, _COST),
    ]
    return tuple(
        figure(_changed(now, was, tell) if before is not None else tell(now), cells)
        for now, was, tell, cells in shown
    )


def _changed(now: Any, was: Any, tell: Any) -> str:
    if now is None or was is None:
        return figures.UNKNOWN
    if now == was:
        return "="
    return f"{'+' if now > was else '-'}{tell(abs(now - was))}"
