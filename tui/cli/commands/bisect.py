"""`retrospan bisect`: the commit after which a run stopped replaying."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import click

from replayer.check import CheckOptions, verdict_text
from replayer.check.bisecting import BisectError, Commit, FirstBad, bisect
from replayer.replaying import Limits
from tui import figures
from tui.cli.diagnostics import CommandError, say
from tui.cli.exits import Exit
from tui.cli.options import address_option, json_option, namespace_option, warehouse_option
from tui.cli.replay_options import profile_option, timeout_option, workflow_option
from tui.cli.tables import write_json, write_line
from tui.resolve import Places, resolve_run
from tui.text import safe_text

_SHORT = 12


@click.command("bisect")
@click.argument("run", metavar="RUN")
@workflow_option()
@click.option("--good", metavar="REV", required=True, help="A commit at which the run replays.")
@click.option(
    "--bad",
    metavar="REV",
    default="HEAD",
    show_default=True,
    help="A later commit at which it does not.",
)
@profile_option()
@click.option("--strict", is_flag=True, help="Search for a change that `check --strict` finds.")
@timeout_option()
@address_option()
@namespace_option("Of the run.")
@warehouse_option()
@json_option()
def command(
    run: str,
    workflows: tuple[str, ...],
    good: str,
    bad: str,
    profile: str | None,
    strict: bool,
    timeout: float,
    address: str | None,
    namespace: str | None,
    warehouse: Path,
    as_json: bool,
) -> int:
    """Find the commit after which RUN stopped replaying, and explain what it changed.

    Works in a git worktree in a temporary folder: files, index and branch of yours stay as they
    are. Commits whose code cannot be loaded are skipped. Exit code 1 when the commit is found.
    """
    history = resolve_run(run, Places(warehouse, address, namespace))
    options = CheckOptions(workflows, profile, strict, Limits(seconds=timeout))
    try:
        found = bisect(history, options, good=good, bad=bad, tell=_tell)
    except BisectError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    _show(found, as_json=as_json)
    return Exit.FOUND


def _tell(commit: Commit, outcome: str) -> None:
    say(f"{outcome:<5} {commit.id[:_SHORT]} {commit.subject}")


def _show(found: FirstBad, *, as_json: bool) -> None:
    if as_json:
        write_json(
            {
                "commits": [asdict(commit) for commit in found.commits],
                "tested": found.tested,
                "skipped": found.skipped,
                "explanation": asdict(found.verdict.explanation)
                if found.verdict.explanation is not None
                else None,
                "findings": [asdict(finding) for finding in found.verdict.findings],
            }
        )
        return
    single = len(found.commits) == 1
    title = "first bad commit" if single else "the first bad commit is one of"
    for commit in found.commits:
        write_line(safe_text(f"{title} {commit.id}"))
        write_line(safe_text(f"  {commit.subject}"))
        write_line(safe_text(f"  {commit.author}, {commit.date}"))
        title = "or"
    write_line()
    width = max(shutil.get_terminal_size().columns, 40)
    write_line(safe_text(verdict_text(found.verdict, width), multiline=True))
    skipped = f", {found.skipped:,} skipped" if found.skipped else ""
    say(f"{figures.counted(found.tested, 'commit')} tested{skipped}")
