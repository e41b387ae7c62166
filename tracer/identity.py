"""Who is who: the key of a run, and the ids of its trace and spans.

Ids are keyed hashes of coordinates that a history records, never a random sequence. The same
coordinates are known to a worker while it runs, to a replay, and to an importer months later, so
all of them produce the *same* span and a store can drop duplicates by id. A random sequence breaks
as soon as a failed workflow task is retried: the ids that it used up are given to other spans.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

# Changing a key changes every id ever written: telemetry of two versions would no longer join.
_SPAN_KEY = b"retrospan.span.1"
_TRACE_KEY = b"retrospan.trace.1"
_SPAN_HASH = blake2b(digest_size=8, key=_SPAN_KEY)
"""Copied for each id: a copy costs half of what a new one does."""


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """One workflow execution."""

    namespace: str
    workflow_id: str
    run_id: str

    def __str__(self) -> str:
        """`namespace/workflow_id:run_id`, the form that commands print and accept."""
        return f"{self.namespace}/{self.workflow_id}:{self.run_id}"


def derived_trace_id(run_id: str) -> int:
    """The 128-bit trace id of a run whose starter sent no trace context. Never 0.

    Run ids are UUIDs that the server makes, so the run id alone is the identity; the namespace is
    left out because an exported history does not contain it.
    """
    return int.from_bytes(blake2b(run_id.encode(), digest_size=16, key=_TRACE_KEY).digest()) or 1


def span_id(run_id: str, kind: str, id_in_history: str, occurrence: int = 1) -> int:
    """The 64-bit span id of one thing that happened in a run. Never 0.

    Args:
        run_id: The run it happened in.
        kind: One of `names.SpanKind`.
        id_in_history: The id that both a worker and a history know: the activity id, timer id,
            child workflow id, update id, signal name; empty for the run itself.
        occurrence: 1 for the first thing with this kind and id, 2 for the next (an attempt's
            number, the second signal of one name, a timer id used again).
    """
    # Lengths are part of the hash, so that ("a", "bc") and ("ab", "c") differ.
    number = str(occurrence)
    text = (
        f"{len(run_id)}:{run_id}{len(kind)}:{kind}"
        f"{len(id_in_history)}:{id_in_history}{len(number)}:{number}"
    )
    hash = _SPAN_HASH.copy()
    hash.update(text.encode("utf-8", "surrogatepass"))
    return int.from_bytes(hash.digest()) or 1
