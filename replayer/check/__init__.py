"""Would this code go on with those runs? Checks that explain what they find.

`check_history` and `check_many` replay recorded runs with the code of today, in child processes.
A run that does not replay comes with the command that history recorded, the command that the code
asks for instead, the line that asks for it, the kind of change and what to do. A strict check also
compares what the SDK's Replayer does not: arguments, timeouts, retry policies, task queues,
results.

pytest imports this package in every session where Retrospan is installed, to offer its options. So
nothing here is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replayer._lazy import lazy_names

if TYPE_CHECKING:
    from replayer.check.checking import (
        Checker,
        CheckOptions,
        check_history,
        check_many,
        check_replay,
    )
    from replayer.check.junit import junit_xml
    from replayer.check.model import (
        ChangeKind,
        Command,
        CommandKind,
        Explanation,
        Finding,
        FindingKind,
        Frame,
        Verdict,
        VerdictStatus,
    )
    from replayer.check.report import explanation_text, finding_text, verdict_text

__all__ = [
    "ChangeKind",
    "CheckOptions",
    "Checker",
    "Command",
    "CommandKind",
    "Explanation",
    "Finding",
    "FindingKind",
    "Frame",
    "Verdict",
    "VerdictStatus",
    "check_history",
    "check_many",
    "check_replay",
    "explanation_text",
    "finding_text",
    "junit_xml",
    "verdict_text",
]

__getattr__ = lazy_names(
    __name__,
    {
        "checking": ("CheckOptions", "Checker", "check_history", "check_many", "check_replay"),
        "junit": ("junit_xml",),
        "model": (
            "ChangeKind",
            "Command",
            "CommandKind",
            "Explanation",
            "Finding",
            "FindingKind",
            "Frame",
            "Verdict",
            "VerdictStatus",
        ),
        "report": ("explanation_text", "finding_text", "verdict_text"),
    },
)
