"""`retrospan diff --sets`: what one set of runs has more often than another, as rows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracer.identity import RunKey
from tui import figures
from tui.cli.diagnostics import CommandError, say, warn
from tui.cli.exits import Exit
from tui.cli.tables import Column, Row, is_terminal, write_json, write_table

if TYPE_CHECKING:
    from analytics.populations import Populations, Trait

__all__ = ["write_sets"]

_TELLING: Final = 0.05
"""The q below which a trait counts as a difference."""
_ON_A_SCREEN: Final = 30
"""Rows shown to a person who did not ask for fewer; a pipe gets all."""

_COLUMNS: Final = (
    Column("kind", "what"),
    Column("named", "name"),
    Column("left", "A", figures.count, right=True),
    Column("left_share", "of A", lambda share: f"{share:.0%}", right=True),
    Column("right", "B", figures.count, right=True),
    Column("right_share", "of B", lambda share: f"{share:.0%}", right=True),
    Column("q", "q", lambda q: f"{q:.2g}", right=True),
)


def write_sets(
    warehouse: Path, left: str, right: str, *, only_telling: bool, as_json: bool
) -> Exit:
    """Write what tells two sets of runs apart, the most telling first.

    Returns:
        `FOUND` if anything does.

    Raises:
        CommandError: A set is empty.
        QueryError: A condition is not one.
        WarehouseError: There is nothing to read.
    """
    from analytics.populations import compare_sets

    sets = [_runs(warehouse, text) for text in (left, right)]
    for name, text, runs in zip("AB", (left, right), sets, strict=True):
        if not runs:
            raise CommandError(f"no run in {warehouse} fits {name}: {text}", Exit.UNREACHABLE)
    found = compare_sets(warehouse, *sets)
    if found.both:
        warn(f"{figures.counted(found.both, 'run')} in both sets: they hide differences")
    telling = [trait for trait in found.traits if trait.q < _TELLING]
    shown = telling if only_telling else list(found.traits)
    if as_json:
        for trait in shown:
            write_json(_document(trait, found))
    else:
        _write_table(shown, found, telling=len(telling))
    return Exit.FOUND if telling else Exit.OK


def _runs(warehouse: Path, text: str) -> set[RunKey]:
    from analytics.populations import runs_where

    if not text.startswith("/"):
        return runs_where(warehouse, text)
    from tui.filters import RunIndex, parse
    from tui.sources import RunRow, WarehouseRuns

    found = WarehouseRuns(warehouse).rows()
    rows = [row for row in found if isinstance(row, RunRow)]
    return {row.key for row in RunIndex(rows).matching(parse(text[1:]))}


def _document(trait: Trait, found: Populations) -> Row:
    return {**asdict(trait), "left_runs": found.left, "right_runs": found.right}


def _write_table(shown: list[Trait], found: Populations, *, telling: int) -> None:
    say(
        f"{figures.counted(found.left, 'run')} in A, {figures.counted(found.right, 'run')} in B; "
        f"{telling} of {figures.counted(len(found.traits), 'trait')} with q < {_TELLING:g}"
    )
    rows = shown[:_ON_A_SCREEN] if is_terminal() else shown
    write_table(_COLUMNS, map(_row, rows))
    if len(rows) < len(shown):
        say(f"the {len(rows)} most telling; a pipe and --json have all {len(shown)}")


def _row(trait: Trait) -> Row:
    detail = f" ({trait.detail})" if trait.detail else ""
    return {**asdict(trait), "named": f"{trait.name}{detail}"}
