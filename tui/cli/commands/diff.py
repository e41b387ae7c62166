"""`retrospan diff A B`: two runs side by side, where they part, why, and what it cost."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from analytics.files import write_whole
from replayer.alignment import (
    Comparison,
    FindKnowledge,
    Side,
    Verdict,
    compare,
    row_document,
    side_of,
    summary_document,
)
from replayer.history import CodecServer, RunHistory
from tracer.identity import RunKey
from tui.cli.decoding import decoded
from tui.cli.diagnostics import say
from tui.cli.exits import Exit
from tui.cli.options import (
    address_option,
    codec_option,
    json_option,
    namespace_option,
    warehouse_option,
)
from tui.cli.tables import write_json
from tui.diff import diff_lines, write_lines
from tui.diff.following import finder_for
from tui.diff.sets import write_sets
from tui.resolve import Places, resolve_run

_CHANGED = "changed"


@click.command("diff")
@click.argument("left", metavar="A")
@click.argument("right", metavar="B")
@click.option(
    "--follow-children",
    is_flag=True,
    help="Compare child workflows and the runs of a continue-as-new chain as well.",
)
@click.option(
    "--tapes",
    nargs=2,
    metavar="TAPE_A TAPE_B",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Tapes of A and of B: name the decision that went the other way, and the line.",
)
@click.option(
    "--sets",
    "is_sets",
    is_flag=True,
    help="A and B are conditions on mart.run_summary, as after WHERE, or filters of the app "
    "after a slash: compare all runs that each of them fits.",
)
@click.option(
    "--only", type=click.Choice([_CHANGED]), help="Leave out what is equal on both sides."
)
@json_option()
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write a page for a browser; it needs no network and no other file.",
)
@warehouse_option()
@address_option()
@namespace_option("The namespace to look in.")
@codec_option()
def command(
    left: str,
    right: str,
    follow_children: bool,
    tapes: tuple[Path, Path] | None,
    is_sets: bool,
    only: str | None,
    as_json: bool,
    html: Path | None,
    warehouse: Path,
    address: str | None,
    namespace: str | None,
    codec: CodecServer | None,
) -> Exit:
    """Compare two runs, or two sets of runs: the steps side by side, where they part, and why.

    A and B name runs as for `show`. Steps are matched by what they are, whatever their ids and
    whichever of parallel ones was first; ids and times that no two runs share are no difference,
    and neither is the time that things took. Exit code 1 says that the runs differ.

    With --sets, tells what the runs of B have more or less often than those of A.
    """
    if is_sets:
        if html is not None or follow_children or address is not None:
            raise click.UsageError("--sets goes with --warehouse, --only and --json alone")
        return write_sets(warehouse, left, right, only_telling=only == _CHANGED, as_json=as_json)
    places = Places(warehouse, address, namespace)
    sides = [_side(run, places, codec, is_followed=follow_children) for run in (left, right)]
    comparison = _compared(sides[0], sides[1], tapes)
    if html is not None:
        _write_page(comparison, html)
    if as_json:
        _write_json(comparison, only_changed=only == _CHANGED)
    elif html is not None:
        say(f"wrote {html}")
    else:
        write_lines(diff_lines(comparison, only_changed=only == _CHANGED))
    return Exit.FOUND if comparison.differs else Exit.OK


def _compared(left: Side, right: Side, tapes: tuple[Path, Path] | None) -> Comparison:
    if tapes is None:
        return compare(left, right)
    from replayer.tape import open_tape

    with open_tape(tapes[0]) as ours, open_tape(tapes[1]) as theirs:
        for side, tape in ((left, ours), (right, theirs)):
            if tape.head.run_id != side.run.key.run_id:
                raise click.UsageError(
                    f"{tape.path} is a tape of {tape.head.run_id}, not of {side.run.key}"
                )
        return compare(left, right, (ours, theirs))


def _side(text: str, places: Places, codec: CodecServer | None, *, is_followed: bool) -> Side:
    history = resolve_run(text, places)
    know = _knowledge_in(places)
    if not is_followed:
        return side_of(decoded(history, codec, "compared"), know=know)
    find = finder_for(text, history, places)

    def find_decoded(key: RunKey) -> RunHistory | None:
        found = find(key)
        return None if found is None else decoded(found, codec, "compared")

    return side_of(decoded(history, codec, "compared"), find_decoded, know)


def _knowledge_in(places: Places) -> FindKnowledge | None:
    """What the spans in the warehouse tell, if there is one."""
    if places.address is not None or not places.warehouse.exists():
        return None
    from analytics.run_knowledge import knowledge_of

    return partial(knowledge_of, places.warehouse)


def _write_json(comparison: Comparison, *, only_changed: bool) -> None:
    """The summary first, then one object per row."""
    write_json(summary_document(comparison.rows, comparison.cause, comparison.origin))
    for index, row in enumerate(comparison.rows):
        if not (only_changed and row.verdict is Verdict.EQUAL):
            write_json(row_document(row, index))


def _write_page(comparison: Comparison, path: Path) -> None:
    from tui.diff.page import diff_page

    write_whole(path, diff_page(comparison).encode())
