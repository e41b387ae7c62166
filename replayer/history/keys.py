"""Whose history it is: `(namespace, workflow_id, run_id)`, from outside the events first.

A history holds no namespace, and after a reset its first event still names the run that was reset.
What the caller, a server, an archive's header or the file's name say therefore wins; the events
fill what is missing; and what nobody knows is made up the same way each time and marked so.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause

from replayer.history.model import KeySource
from tracer.identity import RunKey
from tracer.model.payloads import json_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.history.v1 import HistoryEvent

__all__ = ["FORK_MEMO", "Hints", "export_path", "hints_from_path", "key_of", "run_id_in_events"]

FORK_MEMO = "retrospan.fork"
"""Memo of a fork's history: JSON with the fork's own `run_id`, and what it was forked from."""

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_IS_UUID = re.compile(_UUID)
_SUFFIX = re.compile(
    r"\.(?:json|jsonl|ndjson|pb|binpb|proto|bin|history|gz|zst|zip|tar|tgz)$", re.IGNORECASE
)
_CLOUD_EXPORT = re.compile(r"(?:^|/)temporal-workflow-history/export/([^/]+)/")
_HIVE = re.compile(r"(?:^|/)(namespace|workflow_id|run_id)=([^/]+)")
# A folder's name may take 255 bytes on common file systems.
_MAX_NAME_BYTES = 240
_DERIVED = uuid.UUID("6d2f9d5e-5d0c-5d0e-9a53-5a7f6f2f4b7a")
_TASK_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
_RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW


@dataclass(frozen=True, slots=True)
class Hints:
    """Parts of a key that one source outside the events knows; None where it does not."""

    source: KeySource
    """What the parts are worth."""
    namespace: str | None = None
    """The namespace."""
    workflow_id: str | None = None
    """The workflow id."""
    run_id: str | None = None
    """The run id."""


def key_of(
    events: Sequence[HistoryEvent], *, uri: str, digest: str, hints: Sequence[Hints] = ()
) -> tuple[RunKey, KeySource]:
    """The run's key and the weakest source among its parts.

    Args:
        events: A whole history.
        uri: Where it came from; its name is the workflow id when nothing better is known.
        digest: SHA-256 of the history's bytes; names the run when nothing better is known.
        hints: What is known from outside, strongest first.
    """
    started = events[0].workflow_execution_started_event_attributes
    known = [*hints, Hints(KeySource.EVENT, None, started.workflow_id, run_id_in_events(events))]
    assumed = Hints(
        KeySource.ASSUMED, "default", _stem(uri) or "unnamed", str(uuid.uuid5(_DERIVED, digest))
    )
    known.append(assumed)
    namespace, namespace_source = _first([(h.namespace, h.source) for h in known])
    workflow_id, workflow_source = _first([(h.workflow_id, h.source) for h in known])
    run_id, run_source = _first([(h.run_id, h.source) for h in known])
    weakest = max(namespace_source, workflow_source, run_source, key=lambda s: s.weakness)
    return RunKey(namespace, workflow_id, run_id), weakest


def run_id_in_events(events: Sequence[HistoryEvent]) -> str | None:
    """The run id that the events know of; after a reset the one that the reset made.

    A fork keeps the recorded run's id in its first event, and has its own in a memo.
    """
    if run_id := _forked_run_id(events[0]):
        return run_id
    for event in reversed(events):
        if event.event_type == _TASK_FAILED:
            failed = event.workflow_task_failed_event_attributes
            if failed.cause == _RESET and failed.new_run_id:
                return failed.new_run_id
    started = events[0].workflow_execution_started_event_attributes
    if started.original_execution_run_id:
        return started.original_execution_run_id
    is_first_of_chain = not started.continued_execution_run_id
    return (started.first_execution_run_id or None) if is_first_of_chain else None


def _forked_run_id(started: HistoryEvent) -> str | None:
    memo = started.workflow_execution_started_event_attributes.memo.fields
    if FORK_MEMO not in memo:
        return None
    mark = json_of(memo[FORK_MEMO])
    run_id = mark.get("run_id") if isinstance(mark, dict) else None
    return run_id if isinstance(run_id, str) and _IS_UUID.fullmatch(run_id) else None


def hints_from_path(uri: str, events: Sequence[HistoryEvent]) -> list[Hints]:
    """What the names of a file and of its folders say about the one run that it holds.

    Known are `export_path`, the UI's downloads (`<run id>/events.json`, which browsers save as
    `<run id>_events.json`), a file that is named by a run id, and the folders of a Cloud export.
    """
    path = re.sub(r"#\d+$", "", uri).replace("\\", "/").replace("!", "/")
    hive = dict(_HIVE.findall(path))
    hints = []
    if hive:
        run_id = _without_suffixes(hive.pop("run_id", ""))
        named = {name: unquote(value) for name, value in hive.items()}
        hints.append(Hints(KeySource.FILENAME, **named, run_id=unquote(run_id)))
    if export := _CLOUD_EXPORT.search(path):
        hints.append(Hints(KeySource.CONTAINER, namespace=export[1]))
    if run_id := _run_id_in_name(path, events) or "":
        hints.append(Hints(KeySource.FILENAME, run_id=run_id))
    stem = _stem(path)
    workflow_id = stem.removesuffix("_events")
    has_own = bool(events[0].workflow_execution_started_event_attributes.workflow_id)
    # The UI's name for a download is weaker than a workflow id that the history itself records.
    if stem.endswith("_events") and not (has_own or _IS_UUID.fullmatch(workflow_id)):
        hints.append(Hints(KeySource.FILENAME, workflow_id=workflow_id))
    return hints


def export_path(key: RunKey, suffix: str = ".json") -> PurePosixPath:
    """The relative path to write a run to, from which reading takes the whole key again.

    The workflow id is left out where it is too long for a folder's name.
    """
    parts = [("namespace", key.namespace), ("workflow_id", key.workflow_id)]
    quoted = [f"{name}={quote(value, safe=' @+,')}" for name, value in parts]
    folders = [name for name in quoted if len(name) <= _MAX_NAME_BYTES]
    return PurePosixPath(*folders, f"run_id={quote(key.run_id, safe='')}{suffix}")


def _run_id_in_name(path: str, events: Sequence[HistoryEvent]) -> str | None:
    *folders, _ = path.split("/")
    stem = _stem(path)
    name = folders[-1] if stem == "events" and folders else stem.removesuffix("_events")
    started = events[0].workflow_execution_started_event_attributes
    if not _IS_UUID.fullmatch(name) or name == started.workflow_id:
        return None
    if stem == "events" or stem.endswith("_events"):
        return name
    # A bare id may be anything, often a workflow id: believed only when the history knows it too.
    return name if name == run_id_in_events(events) else None


def _first(candidates: Sequence[tuple[str | None, KeySource]]) -> tuple[str, KeySource]:
    return next((value, source) for value, source in candidates if value)


def _stem(uri: str) -> str:
    name = re.sub(r"#\d+$", "", uri).replace("\\", "/").replace("!", "/").rsplit("/", 1)[-1]
    return "stdin" if name == "-" else _without_suffixes(name)


def _without_suffixes(name: str) -> str:
    while (shorter := _SUFFIX.sub("", name)) not in ("", name):
        name = shorter
    return name
