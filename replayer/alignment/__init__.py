"""Two runs side by side: what is the same, what differs, where they part, and why.

`align` matches steps by what they are, never by event ids or times, so that two runs of different
days, versions or models can be compared. Nothing here writes, asks a server, or decides which of
two runs is right.
"""

from __future__ import annotations

from replayer.alignment._align import align
from replayer.alignment._entries import entries_of
from replayer.alignment.cause import Because, Cause, cause_of
from replayer.alignment.changes import MISSING, Change, TextPart, changes_of
from replayer.alignment.comparison import Comparison, compare
from replayer.alignment.document import row_document, summary_document
from replayer.alignment.following import FindHistory, FindKnowledge, side_of
from replayer.alignment.tapes import Origin, OriginLine
from replayer.alignment.totals import Totals, totals_of, verdicts_of
from replayer.alignment.words import (
    AlignedRow,
    Decision,
    Entry,
    EntryKind,
    Knowledge,
    Reason,
    Side,
    StepCalls,
    StepKey,
    Verdict,
)

__all__ = [
    "MISSING",
    "AlignedRow",
    "Because",
    "Cause",
    "Change",
    "Comparison",
    "Decision",
    "Entry",
    "EntryKind",
    "FindHistory",
    "FindKnowledge",
    "Knowledge",
    "Origin",
    "OriginLine",
    "Reason",
    "Side",
    "StepCalls",
    "StepKey",
    "TextPart",
    "Totals",
    "Verdict",
    "align",
    "cause_of",
    "changes_of",
    "compare",
    "entries_of",
    "row_document",
    "side_of",
    "summary_document",
    "totals_of",
    "verdicts_of",
]
