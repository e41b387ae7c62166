"""A comparison as JSON: what `diff --json` writes and other programs draw.

One object per row, with names as in `words`; times ISO 8601 in UTC, durations in seconds, money in
US dollars. Unknown is `null`, and so is a value that one side does not have: `change` tells which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from replayer.alignment.cause import Cause
from replayer.alignment.changes import MISSING, Change, changes_of
from replayer.alignment.tapes import Origin
from replayer.alignment.totals import Totals, totals_of, verdicts_of
from replayer.alignment.words import AlignedRow, Entry
from tracer.model import Failure

__all__ = ["row_document", "summary_document"]

type Document = dict[str, Any]

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def row_document(row: AlignedRow, index: int) -> Document:
    """One row with its changes."""
    return {
        "row": index,
        "verdict": row.verdict.value,
        "kind": row.entry.kind.value,
        "name": row.entry.name,
        "path": list(row.path),
        "reasons": [reason.value for reason in row.reasons],
        "volatile": [reason.value for reason in row.volatile],
        "left": _entry(row.left),
        "right": _entry(row.right),
        "changes": [_change(change) for change in changes_of(row)],
    }


def summary_document(
    rows: Sequence[AlignedRow], cause: Cause | None, origin: Origin | None = None
) -> Document:
    """What the rows come to: counts, totals, the cause with the rows that it names, the line."""
    left, right = totals_of(rows)
    return {
        "differs": any(row.is_difference for row in rows),
        "rows": {verdict.value: count for verdict, count in verdicts_of(rows).items()},
        "left": _totals(left),
        "right": _totals(right),
        "cause": None
        if cause is None
        else {
            "divergence": cause.divergence,
            "because": cause.because.value,
            "explanation": cause.explanation,
        },
        "origin": None if origin is None else asdict(origin),
    }


def _totals(totals: Totals) -> Document:
    document = asdict(totals)
    document["duration_s"] = _seconds(document.pop("duration_ns"))
    return document


def _entry(entry: Entry | None) -> Document | None:
    if entry is None:
        return None
    document: Document = {
        "id": entry.id,
        "seq": entry.seq,
        "event_id": entry.event_id,
        "at": _iso(entry.at),
        "outcome": entry.outcome,
        "failure": _failure(entry.failure),
        "attempts": entry.attempts,
        "duration_s": _seconds(entry.duration_ns),
        "summary": entry.summary,
        "policy": dict(entry.policy),
        "turn": entry.turn,
        "run": entry.run,
    }
    if entry.is_model_call:
        document |= {
            "model": entry.model,
            "input_tokens": entry.input_tokens,
            "output_tokens": entry.output_tokens,
            "cost_usd": entry.cost_usd,
        }
    if entry.decision is not None:
        document["decision"] = asdict(entry.decision) | {"values": dict(entry.decision.values)}
    return document


def _failure(failure: Failure | None) -> list[Document] | None:
    if failure is None:
        return None
    return [{"type": each.type or each.kind, "message": each.message} for each in failure.chain]


def _change(change: Change) -> Document:
    left_is_missing, right_is_missing = change.left is MISSING, change.right is MISSING
    kind = "added" if left_is_missing else "removed" if right_is_missing else "changed"
    return {
        "where": change.where.value,
        "path": change.path,
        "change": kind,
        "left": None if left_is_missing else change.left,
        "right": None if right_is_missing else change.right,
        "volatile": change.volatile,
        "text": [[part.value, text] for part, text in change.text],
    }


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e9


def _iso(nanoseconds: int | None) -> str | None:
    if nanoseconds is None:
        return None
    try:
        return (_EPOCH + timedelta(microseconds=nanoseconds // 1000)).isoformat()
    except OverflowError:
        return None
