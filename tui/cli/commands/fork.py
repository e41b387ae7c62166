"""`retrospan fork RUN`: what if? `replayer.fork` does it; this talks."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from analytics.files import write_whole
from replayer.alignment import compare, side_of, summary_document
from replayer.fork import (
    Changes,
    Fork,
    ForkReport,
    ForkRequest,
    StopReason,
    fork_run,
    parse_fail,
    parse_set,
    parse_signal,
    reset_preview,
)
from replayer.history import RunHistory, export_path
from tui.cli.diagnostics import CommandError, say, warn
from tui.cli.exits import Exit
from tui.cli.options import Amount, address_option, json_option, namespace_option, warehouse_option
from tui.cli.tables import Column, write_json, write_line, write_table
from tui.diff import diff_lines, write_lines
from tui.reset_text import write_preview
from tui.resolve import Places, is_file, resolve_run
from tui.sources import container_of
from tui.text import safe_text

_SECONDS = 120.0
_SHOWN_INPUT = 200
_ROWS = (
    Column("kind", "kind"),
    Column("name", "step"),
    Column("answer", "answer"),
    Column("outcome", "outcome"),
    Column("recorded_event_id", "recorded", right=True, spare=1),
    Column("note", "note", spare=2),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fork goes."""

    file: Path | None
    """Beside the recording, or in the current folder; None for a warehouse."""
    warehouse: Path | None


@click.command("fork")
@click.argument("run", metavar="RUN")
@click.option(
    "--workflow",
    "workflows",
    multiple=True,
    metavar="MODULE:CLASS",
    help="The workflow code, or FILE.py:Class; may be given again for other workflows.",
)
@click.option(
    "--at",
    metavar="EVENT|STEP|BRANCH",
    help="The fork point: an event id, NAME or NAME#N of a step or signal, or FILE:LINE of a "
    "decision in the code.",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="PATH=JSON",
    help="Change the input.PATH of the run, or the output.PATH, signal.PATH or update.PATH of what "
    "--at names.",
)
@click.option("--model", metavar="NAME", help="Another model in the input of the step at --at.")
@click.option(
    "--signal",
    "signals",
    multiple=True,
    metavar="NAME[=JSON]",
    help="Send a signal at the fork point.",
)
@click.option("--fail", metavar="TYPE[:MESSAGE]", help="Let the step at --at fail.")
@click.option(
    "--stub",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Answers for steps without a recorded one: JSON or Python, by step name.",
)
@click.option("--live", is_flag=True, help="Run real activities for steps without an answer.")
@click.option("--activities", metavar="MODULE:NAME", help="The real activities, for --live.")
@click.option("--yes", is_flag=True, help="Do not ask before real activities run.")
@click.option("--profile", metavar="NAME", help="Converter, codec and plugins of the worker.")
@click.option(
    "--timeout",
    type=Amount(1),
    default=_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long the workflow code may take.",
)
@click.option(
    "--out",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to store the fork's history; without it beside the file that RUN came from,"
    " else in the current folder.",
)
@click.option(
    "--into-warehouse",
    is_flag=True,
    help="Store it in the warehouse instead, as a run that reports count.",
)
@click.option(
    "--as-reset",
    "reset_to",
    metavar="EVENT",
    help="Run nothing: tell what a reset to this event would run again, and lose.",
)
@json_option()
@warehouse_option()
@address_option()
@namespace_option("The namespace to look in.")
def command(
    run: str,
    workflows: tuple[str, ...],
    at: str | None,
    sets: tuple[str, ...],
    model: str | None,
    signals: tuple[str, ...],
    fail: str | None,
    stub: Path | None,
    live: bool,
    activities: str | None,
    yes: bool,
    profile: str | None,
    timeout: float,
    out: Path | None,
    into_warehouse: bool,
    reset_to: str | None,
    as_json: bool,
    warehouse: Path,
    address: str | None,
    namespace: str | None,
) -> int:
    """Run a recorded run again with something changed, and see what follows from it.

    Before the fork point everything is as recorded. After it, a step whose name and input equal a
    recorded one gets the recorded answer; the others are answered by --stub or --live, or the fork
    stops there and says so. Timers cost no time. Exit code 1 when the fork did not come to an end.
    """
    places = Places(warehouse, address, namespace)
    changes = Changes(
        tuple(map(parse_set, sets)),
        model,
        tuple(map(parse_signal, signals)),
        None if fail is None else parse_fail(fail),
    )
    if reset_to is not None:
        if workflows or at or changes or live or stub:
            raise click.UsageError("--as-reset runs nothing: it goes without the other options")
        return _preview(resolve_run(run, places), reset_to, as_json=as_json)
    if not workflows:
        raise click.UsageError("say which code to run: --workflow module:Class")
    _check_live(live, activities, yes)
    request = ForkRequest(
        workflows, at, changes, stub, activities if live else None, profile, timeout
    )
    history = resolve_run(run, places)
    if out is not None and into_warehouse:
        raise click.UsageError("--out and --into-warehouse are two places: choose one")
    if into_warehouse:
        place = Place(None, warehouse)
    else:
        place = Place(out or _beside(run, history, address), None)
    fork = asyncio.run(fork_run(history, request))
    stored = _store(fork, place)
    _write(history, fork, stored, as_json=as_json)
    return Exit.OK if fork.report.is_whole else Exit.FOUND


def _preview(history: RunHistory, event: str, *, as_json: bool) -> int:
    preview = reset_preview(history, event)
    if as_json:
        write_json(preview.document())
    else:
        write_preview(preview)
    return Exit.OK


def _check_live(live: bool, activities: str | None, yes: bool) -> None:
    """See that somebody wants real activities to run."""
    if not live:
        if activities is not None:
            raise click.UsageError("--activities runs real activities: say --live as well")
        return
    if activities is None:
        raise click.UsageError("--live needs to know the activities: --activities module:name")
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(
            "--live runs real activities, which may have effects: confirm with --yes"
        )
    click.confirm(
        f"Real activities of {activities} may run, with whatever they do. Go on?",
        abort=True,
        err=True,
    )


def _beside(run: str, history: RunHistory, address: str | None) -> Path:
    origin = container_of(history.origin.uri)
    is_in_file = address is None and is_file(run) and origin != "-"
    folder = Path(origin).absolute().parent if is_in_file else Path.cwd()
    stem = Path(origin).name.partition(".")[0] if is_in_file else history.key.workflow_id
    return folder / "".join(c if c.isalnum() or c in "-_" else "-" for c in stem)[:100]


def _store(fork: Fork, place: Place) -> str:
    """Write the fork's history, whole or not at all; tells where it is."""
    if place.warehouse is not None:
        _import(fork, place.warehouse)
        return f"{place.warehouse} as {fork.history.key}"
    assert place.file is not None
    path = place.file
    if not path.suffix:
        path = path.with_name(f"{path.name}.fork-{fork.history.key.run_id[:8]}.json")
    write_whole(path, fork.history.raw, is_private=True)
    return str(path)


def _import(fork: Fork, warehouse: Path) -> None:
    # In a process of its own: DuckDB must not share one with what the SDK leaves behind.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / export_path(fork.history.key)
        path.parent.mkdir(parents=True)
        path.write_bytes(fork.history.raw)
        arguments = ["import", str(folder), "--warehouse", str(warehouse)]
        done = subprocess.run(
            [sys.executable, "-m", "tui", *arguments], capture_output=True, text=True, check=False
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CommandError(f"the fork cannot be stored: {reason}", Exit.UNREACHABLE)


def _write(history: RunHistory, fork: Fork, stored: str, *, as_json: bool) -> None:
    report, key = fork.report, fork.history.key
    comparison = compare(side_of(history), side_of(fork.history))
    if as_json:
        diff = summary_document(comparison.rows, comparison.cause)
        write_json({"fork": str(key), "stored": stored, **report.document(), "diff": diff})
    else:
        write_line(safe_text(f"FORKED  {report.status}  {report.point}; {report.changes}"))
        write_line()
        write_table(_ROWS, (_row(report, index) for index in range(len(report.rows))))
        write_line()
        write_lines(diff_lines(comparison, only_changed=True))
    for note in report.notes:
        warn(note)
    say(f"forked as {key}")
    say(f"stored in {stored}")
    _say_end(report)


def _row(report: ForkReport, index: int) -> dict[str, object]:
    row = report.rows[index]
    return {
        "kind": row.kind.replace("_", " "),
        "name": row.name,
        "answer": row.answer,
        "outcome": row.outcome.replace("_", " "),
        "recorded_event_id": row.recorded_event_id,
        "note": row.note,
    }


def _say_end(report: ForkReport) -> None:
    if report.reason:
        say(f"it ends there: {report.reason}")
    for row in report.unanswered:
        given = row.input[:_SHOWN_INPUT] + ("…" if len(row.input) > _SHOWN_INPUT else "")
        answer = json.dumps({row.name: {"result": None}})
        warn(
            f"{row.kind.replace('_', ' ')} {row.name} has no recorded answer for the input "
            f"({given}); answer it with --stub FILE holding {answer} and your result, or run it "
            "with --live --activities module:name"
        )
    if report.stopped is StopReason.WAITING:
        warn("send what it waits for with --signal NAME=JSON")
