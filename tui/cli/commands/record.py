"""`retrospan record RUN`: a tape of a run, for stepping through it forward and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import click
import orjson

from replayer.replaying import Limits
from replayer.tape import Stop, StopKind, Tape, TapeBranch, open_tape, record
from tracer.branches import Branch, BranchKind
from tui import figures
from tui.cli.diagnostics import say
from tui.cli.exits import Exit
from tui.cli.options import address_option, json_option, namespace_option, warehouse_option
from tui.cli.replay_options import profile_option, timeout_option, workflow_option
from tui.cli.tables import write_json, write_line
from tui.resolve import Places, resolve_run
from tui.text import safe_text

_EXPECTED = frozenset({StopKind.CLOSED, StopKind.WAITING})
"""Ends of a tape that are ends of the run, or of its history."""
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
_MOST_NAME = 100
_MOST_DECISIONS = 5


@dataclass(frozen=True, slots=True)
class Recorded:
    """A tape that was made."""

    path: Path
    tape: Tape
    stop: Stop


@click.command("record")
@click.argument("run", metavar="RUN")
@workflow_option()
@profile_option()
@click.option(
    "--out",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The tape; default: WORKFLOW_ID.tape in this folder.",
)
@timeout_option()
@json_option()
@warehouse_option()
@address_option()
@namespace_option("The namespace to look in.")
def command(
    run: str,
    workflows: tuple[str, ...],
    profile: str | None,
    out: Path | None,
    timeout: float,
    as_json: bool,
    warehouse: Path,
    address: str | None,
    namespace: str | None,
) -> int:
    """Replay a run and record every line that it runs, with the values it touches.

    RUN is a history file, PATH!WORKFLOW_ID in a folder or archive, WORKFLOW_ID[:RUN_ID] or the
    beginning of a run id in the warehouse, or WORKFLOW_ID[:RUN_ID] on the server at --address.

    An open run gives a tape up to where it waits. The exit code is 1 if the tape ends before its
    history does: where the code goes another way than the run, fails, or does not come back.
    """
    history = resolve_run(run, Places(warehouse, address, namespace))
    path = out or default_path(history.key.workflow_id)
    say(f"Recording {history.key} …")
    stop = record(history, workflows, path, profile=profile, limits=Limits(seconds=timeout))
    with open_tape(path) as tape:
        _write(Recorded(path, tape, stop), as_json=as_json)
    return Exit.OK if stop.kind in _EXPECTED else Exit.FOUND


def default_path(workflow_id: str) -> Path:
    """A file in this folder, named after the run's workflow id."""
    name = _NOT_IN_NAMES.sub("_", workflow_id)[:_MOST_NAME].lstrip(".-")
    return Path(f"{name or 'run'}.tape")


def _write(recorded: Recorded, *, as_json: bool) -> None:
    tape, stop = recorded.tape, recorded.stop
    if as_json:
        write_json({
            "tape": str(recorded.path),
            "run": str(_key(tape)),
            "positions": len(tape),
            "activations": tape.activation_count,
            "coroutines": len(tape.coroutines()),
            "branches": len(tape.branches()),
            "decisions": [_decision(found) for found in tape.branches() if _is_named(found)],
            "stop": stop.kind.value,
            "reason": stop.text,
        })  # fmt: skip
        return
    facts = {
        "tape": f"{recorded.path} ({figures.size(recorded.path.stat().st_size)})",
        "run": _key(tape),
        "positions": f"{figures.count(len(tape))} in {figures.count(tape.activation_count)} "
        "activations",
        "branches": figures.count(len(tape.branches())),
        **_decisions(tape),
        "coroutines": figures.count(len(tape.coroutines())),
        "ends": f"{stop.kind}: {stop.text}",
    }
    for name, value in facts.items():
        write_line(safe_text(f"{name + ':':<12} {value}"))


def _is_named(found: TapeBranch) -> bool:
    return found.branch.point.kind is BranchKind.DECISION


def _decision(found: TapeBranch) -> dict[str, object]:
    branch = found.branch
    return {
        "name": branch.point.condition,
        "outcome": branch.outcome,
        "why": {name: orjson.loads(text) for name, text in branch.values},
        "position": found.position,
        "at": f"{branch.point.file}:{branch.point.line}",
    }


def _decisions(tape: Tape) -> dict[str, str]:
    """What the code named, the first few: `needs_review = true (amount: 1200)`."""
    named = [found.branch for found in tape.branches() if _is_named(found)]
    told = [_decision_text(branch) for branch in named[:_MOST_DECISIONS]]
    if len(named) > len(told):
        told.append(f"and {len(named) - len(told)} more")
    return {"decisions": "; ".join(told)} if told else {}


def _decision_text(branch: Branch) -> str:
    why = ", ".join(f"{name}: {text}" for name, text in branch.values)
    told = f"{branch.point.condition} = {orjson.dumps(branch.outcome).decode()}"
    return f"{told} ({why})" if why else told


def _key(tape: Tape) -> str:
    head = tape.head
    return f"{head.namespace}/{head.workflow_id}:{head.run_id}"
