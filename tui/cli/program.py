"""The command line itself: the table of commands, and what happens around each of them.

The table is the only place that knows a command's module and its one-line help; help for all of
them is printed from it without loading any.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import click

from tui.cli.diagnostics import PROGRAM, fail, report
from tui.cli.exits import Exit


class Entry(NamedTuple):
    """One command of the table."""

    module: str
    """Defines `command`."""
    help: str
    """One line for the list of commands."""


COMMANDS = {
    "demo": Entry("tui.cli.commands.demo", "Run example workflows on a local Temporal and look."),
    "import": Entry("tui.cli.commands.import_", "Read histories from files into a warehouse."),
    "rebuild": Entry("tui.cli.commands.rebuild", "Make a warehouse anew from its archive."),
    "export": Entry("tui.cli.commands.export", "Fetch histories from a server."),
    "collect": Entry("tui.cli.commands.collect", "Receive spans over OTLP into a warehouse."),
    "backfill": Entry(
        "tui.cli.commands.backfill", "Send the spans that histories tell of over OTLP."
    ),
    "runs": Entry("tui.cli.commands.runs", "List runs."),
    "show": Entry("tui.cli.commands.show", "Show one run: steps, attempts, failures, waits."),
    "diff": Entry("tui.cli.commands.diff", "Compare two runs: where they part, and why."),
    "record": Entry("tui.cli.commands.record", "Record a run on a tape, line by line."),
    "check": Entry("tui.cli.commands.check", "Replay runs with the code of today; explain breaks."),
    "fork": Entry("tui.cli.commands.fork", "Run a recorded run again with something changed."),
    "bisect": Entry("tui.cli.commands.bisect", "Find the commit that broke the replay of a run."),
    "cost": Entry("tui.cli.commands.cost", "Tell what model calls cost, and how much is known."),
    "failures": Entry("tui.cli.commands.failures", "Tell what fails, how often, and where."),
    "stuck": Entry("tui.cli.commands.stuck", "List open runs that do not get on."),
    "waits": Entry("tui.cli.commands.waits", "List what runs wait for; tell how long waits take."),
    "report": Entry("tui.cli.commands.report", "Write a page about a run, or about all runs."),
    "lake": Entry("tui.cli.commands.lake", "Write Parquet for Spark and others, and query it."),
    "sql": Entry("tui.cli.commands.sql", "Ask the warehouse with SQL, read-only."),
    "tui": Entry("tui.cli.commands.app", "Walk through runs in a full-screen app."),
    "serve": Entry("tui.cli.commands.serve", "Show the app in a browser on this machine."),
    "doctor": Entry("tui.cli.commands.doctor", "Check this installation."),
    "version": Entry("tui.cli.commands.version", "Print the version."),
}


class ReaderGone(Exception):
    """The reader of stdout closed it, as `head` does."""


class LazyGroup(click.Group):
    """A group that imports a command's module when that command is asked for."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a closed stdout is told apart before click makes an exit code of it."""
        try:
            outcome = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise ReaderGone from error
        return outcome

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table: what a newcomer needs comes first."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was named, or say which name was probably meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command, `None` for a name that the table does not have."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = importlib.import_module(entry.module).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def root() -> None:
    """Observability and replay debugging for AI workflows that run on Temporal.

    Rows go to stdout, remarks and errors to stderr. Exit codes: 0 done, 1 found a difference or a
    problem, 2 usage, 3 cannot reach or read, 4 refused input, 130 interrupted.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; every way out of a command ends here, as an exit code."""
    try:
        outcome = root.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except ReaderGone:
        return _reader_gone()
    except click.ClickException as error:
        return _usage(error)
    except ModuleNotFoundError as error:
        return _not_installed(error)
    except Exception as error:  # noqa: BLE001 - the outermost frame: nothing may pass unreported
        return Exit.INTERRUPTED if _is_interrupt_of_duckdb(error) else report(error)
    return outcome if isinstance(outcome, int) else Exit.OK


def _is_interrupt_of_duckdb(error: Exception) -> bool:
    """Whether Ctrl-C came while DuckDB was at work, which then raises a bare RuntimeError."""
    return type(error) is RuntimeError and str(error) == "Query interrupted"


def _usage(error: click.ClickException) -> int:
    """Report a command line that makes no sense, with the command's own usage line."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return Exit.USAGE
    # click tells choices on lines of their own.
    fail(" ".join(error.format_message().split()))
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        click.echo(f"Try '{context.command_path} --help'.", err=True)
    return Exit.USAGE


def _not_installed(error: ModuleNotFoundError) -> int:
    """Report a missing extra; a missing module of our own is a defect."""
    name = (error.name or "").partition(".")[0]
    if name in {"tracer", "replayer", "analytics", "tui"}:
        return report(error)
    extra = "lake" if name in {"chdb", "pyspark", "sqlglot"} else "all"
    hint = f"pip install 'retrospan[{extra}]'"
    fail(f"this command needs the package {name!r}; install it with: {hint}")
    return Exit.USAGE


def _reader_gone() -> int:
    """Leave quietly when the reader of stdout left, as `head` does."""
    # Python flushes stdout once more at exit and would complain there.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.OK
