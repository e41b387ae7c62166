"""`retrospan show RUN`: one run on paper. The words are the model's; nothing is worked out here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from temporalio.api.common.v1 import Payload

from replayer.history import CodecServer, RunHistory, iter_payloads
from tracer.model import Run, Step, run_from_events
from tui import figures
from tui.cli.decoding import decoded
from tui.cli.options import (
    address_option,
    codec_option,
    json_option,
    namespace_option,
    warehouse_option,
)
from tui.cli.tables import Column, Row, write_json, write_line, write_table
from tui.event_detail import failure_lines
from tui.event_words import event_line
from tui.payload_text import payload_text
from tui.pieces import text_of
from tui.resolve import Places, resolve_run
from tui.run_document import failed_tasks, run_document
from tui.text import safe_text
from tui.walk import walk_of

_STEPS = (
    Column("seq", "#", right=True),
    Column("kind", "kind"),
    Column("name", "step"),
    Column("outcome", "outcome"),
    Column("attempts", "tries", right=True),
    Column("duration", "took", right=True),
    Column("remark", "remark"),
)
_WAITS = (
    Column("label", "waited for"),
    Column("duration", "stood still", right=True),
    Column("woken_by", "ended by"),
    Column("who", "who"),
)
_MESSAGES = (Column("at", "at (UTC)"), Column("kind", "kind"), Column("name", "name"), _WAITS[3])
_TASKS = (
    Column("event", "event", right=True),
    Column("kind", "kind"),
    Column("cause", "cause"),
    Column("message", "message"),
)


@click.command("show")
@click.argument("run", metavar="RUN")
@click.option("--events", "with_events", is_flag=True, help="List every event as well.")
@click.option("--payloads", "with_payloads", is_flag=True, help="Show inputs and results, decoded.")
@json_option()
@warehouse_option()
@address_option()
@namespace_option("The namespace to look in.")
@codec_option()
def command(
    run: str,
    with_events: bool,
    with_payloads: bool,
    as_json: bool,
    warehouse: Path,
    address: str | None,
    namespace: str | None,
    codec: CodecServer | None,
) -> None:
    """Show one run: its steps and attempts, failures, waits, signals and updates.

    RUN is a history file, PATH!WORKFLOW_ID in a folder or archive, WORKFLOW_ID[:RUN_ID] or the
    beginning of a run id in the warehouse, or WORKFLOW_ID[:RUN_ID] on the server at --address.
    """
    history = decoded(resolve_run(run, Places(warehouse, address, namespace)), codec, "shown")
    model = run_from_events(history.key, history.events)
    if as_json:
        write_json(
            run_document(model, history, with_events=with_events, with_payloads=with_payloads)
        )
        return
    _write_heading(model, history)
    _write_sections(model)
    if with_events:
        _write_events(history, with_payloads=with_payloads)
    elif with_payloads:
        _write_run_payloads(model)


def _write_heading(run: Run, history: RunHistory) -> None:
    write_line(safe_text(f"{run.workflow_type}  {run.status}{'  STUCK' if run.is_stuck else ''}"))
    facts = {
        "run": str(run.key),
        "read from": f"{history.origin.uri} (key from {history.key_source})",
        "task queue": run.task_queue,
        "started": figures.moment(run.started_at),
        "duration": figures.duration(run.duration_ns),
        "events": figures.count(run.event_count),
        "sdk": f"{run.sdk_name} {run.sdk_version}".strip(),
        "closed because": run.close_reason,
        "continues": run.continued_from_run_id,
        "continued by": run.continued_to_run_id,
        "reset from": run.reset_from_run_id,
    }
    for name, value in facts.items():
        if value:
            write_line(safe_text(f"  {name + ':':<16}{value}"))


def _write_sections(run: Run) -> None:
    _section("steps", _STEPS, map(_step_row, run.steps))
    if run.failure is not None:
        write_line("\nfailure")
        for line in failure_lines(run.failure):
            write_line("  " + text_of(line))
    _section("waits", _WAITS, _wait_rows(run))
    _section("signals and updates", _MESSAGES, _message_rows(run))
    _section("failed workflow tasks", _TASKS, _task_rows(run))


def _section(title: str, columns: tuple[Column, ...], rows: Iterable[Row]) -> None:
    """A heading and a table, or nothing where there are no rows."""
    found = list(rows)
    if found:
        write_line(f"\n{title}")
        write_table(columns, found)


def _step_row(step: Step) -> Row:
    return {
        "seq": step.seq,
        "kind": step.kind.replace("_", " "),
        "name": step.name,
        "outcome": (step.outcome or "open").replace("_", " "),
        "attempts": step.attempt_count or None,
        "duration": figures.duration(step.duration_ns),
        "remark": _step_remark(step),
    }


def _step_remark(step: Step) -> str:
    """The failure that ended the step, or the last one that a try before the end left behind."""
    failures = [attempt.failure for attempt in step.attempts if attempt.failure is not None]
    failure = step.failure or (failures[-1] if failures else None)
    if failure is None:
        return step.summary
    root = failure.root
    lead = "" if step.failure is not None else "retried after "
    return f"{lead}{root.type or root.kind}: {root.message}"


def _wait_rows(run: Run) -> Iterator[Row]:
    for wait in run.waits:
        yield {
            "label": wait.label or figures.UNKNOWN,
            "duration": figures.duration(wait.duration_ns),
            "woken_by": " ".join(
                filter(None, [wait.woken_by or "still waiting", wait.woken_by_name])
            ),
            "who": f"{wait.woken_by_identity}{' (a person)' if wait.is_human else ''}".strip(),
        }


def _message_rows(run: Run) -> Iterator[Row]:
    rows = [(s.at, "signal", s.name, s.identity) for s in run.signals]
    for update in run.updates:
        at = update.admitted_at or update.accepted_at or 0
        outcome = (update.outcome or "open").replace("_", " ")
        rows.append((at, f"update {outcome}", update.name, update.identity))
    for at, kind, name, who in sorted(rows):
        yield {"at": figures.moment(at), "kind": kind, "name": name, "who": who}


def _task_rows(run: Run) -> Iterator[Row]:
    for task in failed_tasks(run):
        yield {
            "event": task.closed_event_id,
            "kind": task.failure_kind or task.outcome,
            "cause": task.cause,
            "message": task.failure.root.message if task.failure else "",
        }


def _write_events(history: RunHistory, *, with_payloads: bool) -> None:
    walk = walk_of(history)
    write_line("\nevents")
    for position, event in enumerate(walk.events):
        write_line(text_of(event_line(walk, position)).rstrip())
        for slot, index, payload in iter_payloads(event) if with_payloads else ():
            _write_payload(f"{slot}[{index}]", payload)


def _write_run_payloads(run: Run) -> None:
    write_line("\npayloads")
    for name, payloads in (("input", run.input), ("result", run.result)):
        for index, payload in enumerate(payloads):
            _write_payload(f"{name}[{index}]", payload)
    for step in run.steps:
        for name, payloads in (("input", step.input), ("result", step.result)):
            for index, payload in enumerate(payloads):
                _write_payload(f"step {step.seq} {step.name} {name}[{index}]", payload)


def _write_payload(name: str, payload: Payload) -> None:
    shown = payload_text(payload)
    write_line(safe_text(f"    {name}  {shown.about}"))
    for line in shown.lines:
        write_line(f"      {line}")
