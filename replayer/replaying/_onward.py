"""Local activities that a history does not have, because it ends within their workflow task.

Their markers are written when the task completes. A task that failed, or that is still running, has
none, and the SDK's Replayer, which runs no activities, would wait for them for ever. So what code
asks for there never reaches it. Results that are known beforehand, such as those of the activities
that an SDK adds to every run, are given right here: code goes on to where its task fails, or waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from temporalio.bridge.proto.activity_result import ActivityResolution, Success
from temporalio.bridge.proto.workflow_activation import (
    ResolveActivity,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.converter import DataConverter

__all__ = ["OnwardInstance"]

_ASKS: Final = "schedule_local_activity"
_TAKES_BACK: Final = "request_cancel_local_activity"


class OnwardInstance:
    """A workflow instance that gets along without local activities after the end of its history."""

    def __init__(self, instance: Any, local_results: Mapping[str, Any]) -> None:
        """Wrap an instance, by delegation.

        Args:
            instance: It.
            local_results: By activity type, what it is known to give.
        """
        self._instance = instance
        self._local_results = local_results

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def activate(self, act: Any) -> Any:
        """Let the workflow code run, as far as it gets."""
        completion = self._instance.activate(act)
        if act.is_replaying:
            return completion
        while jobs := self._known(_withheld(completion)):
            following = self._instance.activate(_next(act, jobs))
            if following.HasField("failed"):
                return following
            completion.successful.commands.extend(following.successful.commands)
        return completion

    def _known(self, asked: Sequence[Any]) -> list[WorkflowActivationJob]:
        return [
            _resolved(each.seq, self._local_results[each.activity_type])
            for each in asked
            if each.activity_type in self._local_results
        ]


def _withheld(completion: Any) -> list[Any]:
    """Takes out of a completion what is about local activities; returns those still wanted."""
    commands = list(completion.successful.commands)
    asked = {c.schedule_local_activity.seq: c for c in commands if c.HasField(_ASKS)}
    taken_back = [c.request_cancel_local_activity.seq for c in commands if c.HasField(_TAKES_BACK)]
    if not asked and not taken_back:
        return []
    kept = [c for c in commands if not c.HasField(_ASKS) and not c.HasField(_TAKES_BACK)]
    del completion.successful.commands[:]
    completion.successful.commands.extend(kept)
    return [c.schedule_local_activity for seq, c in asked.items() if seq not in taken_back]


def _next(act: Any, jobs: Sequence[WorkflowActivationJob]) -> WorkflowActivation:
    following = WorkflowActivation()
    following.CopyFrom(act)
    del following.jobs[:]
    following.jobs.extend(jobs)
    return following


def _resolved(seq: int, value: Any) -> WorkflowActivationJob:
    result = DataConverter.default.payload_converter.to_payload(value)
    resolution = ActivityResolution(completed=Success(result=result))
    answer = ResolveActivity(seq=seq, result=resolution, is_local=True)
    return WorkflowActivationJob(resolve_activity=answer)
