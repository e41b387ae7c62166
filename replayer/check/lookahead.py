"""What the code would have asked for next, had the history fitted.

The SDK stops at the first command that does not fit. Whether a step was removed, renamed or only
moved can often be told from what comes after it alone. So the code is asked to go on: it gets the
answers that the history has, and for what stands in the place of the first recorded command that
command's answer. Nothing of this leaves the process, and it ends where no answer is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob

from replayer.check.answers import Answers, news_of, patches_of
from replayer.check.commands import agrees
from replayer.check.matching import Match
from replayer.check.watching import Activation, Asked, CheckHook

__all__ = ["going_on"]

_ROUNDS = 40
_ENOUGH = 12
"""Commands; further than this nobody compares."""


def going_on(
    hook: CheckHook, instance: Any, match: Match, events: Sequence[HistoryEvent]
) -> list[Asked]:
    """Everything that the code asks for from where it parts from its history.

    To be called in the thread of the workflow, between two of its activations.

    Args:
        hook: Has watched the replay.
        instance: The workflow instance, as the SDK would activate it.
        match: How far code and history agree.
        events: Of the run, with payloads as the converter reads them.
    """
    return _GoingOn(hook, instance, match, events).run()


class _GoingOn:
    def __init__(
        self, hook: CheckHook, instance: Any, match: Match, events: Sequence[HistoryEvent]
    ) -> None:
        self._hook = hook
        self._instance = instance
        self._unused = list(match.expected)
        self._place = match.expected[0] if match.expected else None
        self._answers = Answers(events)
        self._last = hook.activations[-1]
        since = self._last.history_length
        self._ready = news_of(events, since)
        self._asked: list[Asked] = []
        for pair in match.pairs:
            answers = self._answers.to(pair.recorded, pair.asked)
            self._ready += [answer for answer in answers if answer.event.event_id > since]
        self._take(match.produced)

    def run(self) -> list[Asked]:
        """Answer until nothing is left to answer."""
        patches = patches_of(self._unused)
        for _ in range(_ROUNDS):
            if not self._ready or len(self._asked) >= _ENOUGH or self._is_over():
                break
            answer = min(self._ready, key=lambda each: each.event.event_id)
            self._ready.remove(answer)
            activation = self._activate(answer.event, [*patches, answer.job])
            patches = []
            if activation.failure is not None:
                break
            self._take(activation.asked)
        return self._asked

    def _activate(self, event: HistoryEvent, jobs: list[WorkflowActivationJob]) -> Activation:
        proto = WorkflowActivation(
            timestamp=event.event_time,
            is_replaying=True,
            history_length=event.event_id,
            jobs=jobs,
            available_internal_flags=self._last.flags,
        )
        self._hook.watch.begin()
        completion = self._instance.activate(proto)
        self._hook.watch.finish()
        activation = Activation(event.event_id, True, self._last.flags)
        self._hook.answered(activation, completion)
        return activation

    def _is_over(self) -> bool:
        return any(asked.command.kind.closes for asked in self._asked)

    def _take(self, asked: Sequence[Asked]) -> None:
        """Note commands, and look for what answers them."""
        for each in asked:
            is_first = not self._asked
            self._asked.append(each)
            same = next((r for r in self._unused if agrees(r.command, each.command)), None)
            if same is not None:
                self._unused.remove(same)
                self._ready += self._answers.to(same, each)
            elif is_first and self._place is not None:
                self._ready += self._answers.instead(self._place, each)
