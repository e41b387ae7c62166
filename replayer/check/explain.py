"""From a replay that went wrong to an explanation of it."""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import CodeType

from temporalio.api.history.v1 import HistoryEvent

from replayer.check.classify import Change, classified
from replayer.check.commands import Recorded
from replayer.check.issuing import frames_of_text, readable
from replayer.check.matching import Match, match
from replayer.check.model import ChangeKind, Command, CommandKind, Explanation, Frame, innermost
from replayer.check.refusals import Refusal, refusal_of_failure, refusal_of_text
from replayer.check.suggest import suggestion
from replayer.check.watching import Asked, CheckHook
from replayer.replaying import ReplayOutcome, ReplayStatus

__all__ = ["Evidence", "explained", "parting"]

_SHOWN_MATCHES = 3


@dataclass(slots=True)
class Evidence:
    """What is known of a replay."""

    events: Sequence[HistoryEvent]
    recorded: Sequence[Recorded]
    hook: CheckHook
    ahead: list[Asked] = field(default_factory=list)
    """What the code would have asked for from the place on where it parts; empty when unknown."""


def explained(outcome: ReplayOutcome, evidence: Evidence) -> Explanation:
    """Why the SDK refused, or did not come to an end."""
    if outcome.status is ReplayStatus.STUCK:
        return _hanging(outcome, evidence)
    refusal = refusal_of_text(outcome.failure)
    if outcome.is_nondeterminism:
        return _nondeterminism(refusal, evidence)
    activations = evidence.hook.activations
    failure = activations[-1].failure if activations else None
    if failure is not None:
        refusal = refusal_of_failure(failure)
    return _refused(refusal, outcome, evidence)


def parting(evidence: Evidence, said: str = "") -> Match:
    """Where code and history part; ids count only where the SDK says that they are the reason."""
    found = match(evidence.recorded, evidence.hook.activations)
    if _ABOUT_IDS.search(said):
        by_id = match(evidence.recorded, evidence.hook.activations, with_ids=True)
        if by_id.parts_at is not None:
            return by_id
    return found


_ABOUT_IDS = re.compile(r"(?:Activity|workflow) id of scheduled event")


def _nondeterminism(refusal: Refusal, evidence: Evidence) -> Explanation:
    found = parting(evidence, refusal.message)
    if not found.expected:
        return _plain(ChangeKind.OTHER, refusal, evidence, f"The SDK refuses: {refusal.message}")
    expected = [each.command for each in found.expected]
    asked = evidence.ahead or found.produced
    if expected[0].kind not in _NEWS:
        expected = [each for each in expected if each.kind not in _NEWS]
        asked = [each for each in asked if each is asked[0] or each.command.kind not in _NEWS]
    change, stack = _local_change(found, evidence)
    if change is None:
        commands = [each.command for each in asked]
        change = classified(expected, commands, mentions=_mentions(evidence.hook))
        if change.produced is not None:
            stack = readable(asked[0].stack)
    stack = stack or _waiting(evidence.hook)
    produced = replace(change.produced, stack=stack) if change.produced is not None else None
    return Explanation(
        change.kind,
        _summary(change),
        change.expected.event_id,
        change.expected,
        produced,
        stack,
        _matched(found),
        suggestion(change.kind, change.expected, produced, innermost(stack)),
        refusal.message,
    )


_NEWS = frozenset({CommandKind.UPDATE_ACCEPTED, CommandKind.UPDATE_COMPLETED})
"""Come from outside at their own time, and say nothing of how the code goes on."""


def _local_change(found: Match, evidence: Evidence) -> tuple[Change | None, tuple[Frame, ...]]:
    """A local activity that no marker answers: it is in no queue, so nothing else tells of it."""
    first = found.expected[0].command
    for asked in _unanswered(found, evidence.hook):
        kind = None
        if asked.command.name == first.name:
            kind = ChangeKind.CHANGED_TYPE
        elif not found.produced:
            is_local = first.kind is CommandKind.LOCAL_ACTIVITY
            kind = ChangeKind.RENAMED if is_local else ChangeKind.ADDED
        if kind is not None:
            return Change(kind, first, asked.command), readable(asked.stack)
    return None, ()


def _unanswered(found: Match, hook: CheckHook) -> list[Asked]:
    taken = {id(pair.asked) for pair in found.pairs}
    return [
        asked
        for activation in hook.activations
        for asked in activation.asked
        if asked.command.kind is CommandKind.LOCAL_ACTIVITY and id(asked) not in taken
    ]


def _hanging(outcome: ReplayOutcome, evidence: Evidence) -> Explanation:
    found = parting(evidence)
    for asked in _unanswered(found, evidence.hook):
        return _without_marker(asked, found)
    stack = readable(frames_of_text(outcome.stack))
    return Explanation(
        ChangeKind.HANGS,
        f"The replay does not come to an end: {outcome.failure}.",
        stack=stack or _waiting(evidence.hook),
    )


def _without_marker(asked: Asked, found: Match) -> Explanation:
    expected = found.expected[0].command if found.expected else None
    produced = asked.shown()
    return Explanation(
        ChangeKind.ADDED,
        f"The code asks for {produced.text}, and the history has no marker of it.",
        expected.event_id if expected is not None else None,
        expected,
        produced,
        produced.stack,
        _matched(found),
        suggestion(ChangeKind.ADDED, expected, produced, produced.place),
        "The Replayer waits for ever for a local activity that it does not run.",
    )


def _refused(refusal: Refusal, outcome: ReplayOutcome, evidence: Evidence) -> Explanation:
    kind = refusal.kind or ChangeKind.OTHER
    summary = _WORDS.get(kind, "{}").format(refusal.message)
    return _plain(kind, refusal, evidence, summary, readable(frames_of_text(outcome.stack)))


_WORDS = {
    ChangeKind.DEADLOCK: "The code does not yield: {}",
    ChangeKind.SANDBOX: "The sandbox refuses what the code does: {}",
    ChangeKind.PAYLOAD: "Recorded data does not fit the code: {}",
    ChangeKind.EXCEPTION: "The code raises, which fails the workflow task: {}",
}


def _plain(
    kind: ChangeKind,
    refusal: Refusal,
    evidence: Evidence,
    summary: str,
    elsewhere: tuple[Frame, ...] = (),
) -> Explanation:
    found = parting(evidence)
    stack = readable(refusal.stack) or elsewhere
    if not stack and kind is ChangeKind.PAYLOAD:
        stack = _definition(evidence.hook)
    first = found.expected[0].command if found.expected and evidence.hook.activations else None
    return Explanation(
        kind,
        summary,
        first.event_id if first is not None else None,
        first,
        None,
        stack,
        _matched(found),
        suggestion(kind, first, None, innermost(stack)),
        refusal.message,
    )


def _summary(change: Change) -> str:
    was = change.expected.text
    if change.produced is None:
        if change.kind is ChangeKind.WAITING:
            return f"The code waits where the history goes on with {was}."
        return f"The code no longer asks for {was}."
    now = change.produced.text
    match change.kind:
        case ChangeKind.ADDED:
            return f"The code asks for {now}, which the history does not have before {was}."
        case ChangeKind.REMOVED:
            return f"The code no longer asks for {was}, and goes on with {now}."
        case ChangeKind.REORDERED:
            return f"The code asks for {now} before {was}; the history has them the other way."
        case ChangeKind.MISSING_PATCH:
            return f"The run took {was}, which the code does not ask for; it asks for {now}."
        case _:
            return f"The code asks for {now} where the history has {was}."


def _matched(found: Match) -> tuple[Command, ...]:
    return tuple(pair.recorded.command for pair in found.pairs[-_SHOWN_MATCHES:])


def _waiting(hook: CheckHook) -> tuple[Frame, ...]:
    return readable(hook.waiting[0]) if hook.waiting else ()


def _definition(hook: CheckHook) -> tuple[Frame, ...]:
    """The run method: what it takes is what does not fit."""
    code = _run_code(hook)
    if code is None:
        return ()
    lines = linecache.getlines(code.co_filename)
    first = code.co_firstlineno
    for number in range(first, min(first + 20, len(lines) + 1)):
        if lines[number - 1].lstrip().startswith(("def ", "async def ")):
            first = number
            break
    return readable(((code.co_filename, first, code.co_qualname),))


def _run_code(hook: CheckHook) -> CodeType | None:
    code = getattr(getattr(hook.definition, "run_fn", None), "__code__", None)
    return code if isinstance(code, CodeType) else None


def _mentions(hook: CheckHook) -> Callable[[str], bool]:
    """Whether the module of the workflow speaks of a name."""
    code = _run_code(hook)
    text = "".join(linecache.getlines(code.co_filename)) if code is not None else ""

    def mentions(name: str) -> bool:
        return bool(name) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None

    return mentions
