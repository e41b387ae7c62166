"""A history with its payloads as workflow code had them, to compare what it asks for with.

A codec may go by whose a payload is. The SDK tells it: the activity's where an activity is asked
for or answered, the other workflow's for children and signals, else the run's own. What cannot be
decoded stays as it was recorded.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from replayer.history import CodecError, RunHistory, decoded_history

__all__ = ["decoded_as_asked"]


def decoded_as_asked(history: RunHistory, codec: PayloadCodec) -> RunHistory:
    """The history, decoded as far as that is possible."""
    if isinstance(codec, WithSerializationContext):
        return asyncio.run(_decoded_by_context(history, codec))
    try:
        return asyncio.run(decoded_history(history, codec))
    except CodecError:
        return history


async def _decoded_by_context(history: RunHistory, codec: Any) -> RunHistory:
    contexts = _Contexts(history)
    events: list[HistoryEvent] = []
    for event in history.events:
        one = replace(history, events=(event,))
        try:
            one = await decoded_history(one, codec.with_context(contexts.of(event)))
        except CodecError:
            one = replace(one, events=(event,))
        events.extend(one.events)
    return replace(history, events=tuple(events))


class _Contexts:
    """Whose the payloads of each event are; events have to come in their order."""

    def __init__(self, history: RunHistory) -> None:
        started = history.events[0].workflow_execution_started_event_attributes
        self._key = history.key
        self._workflow_type = started.workflow_type.name
        self._own = WorkflowSerializationContext(history.key.namespace, history.key.workflow_id)
        self._asked: dict[int, SerializationContext] = {}
        """By the event that asked."""

    def of(self, event: HistoryEvent) -> SerializationContext:
        name = event.WhichOneof("attributes") or ""
        a: Any = getattr(event, name) if name else None
        asked = self._of_asking(name, a)
        if asked is not None:
            self._asked[event.event_id] = asked
            return asked
        for reference in ("scheduled_event_id", "initiated_event_id"):
            if found := self._asked.get(getattr(a, reference, 0)):
                return found
        return self._own

    def _of_asking(self, name: str, a: Any) -> SerializationContext | None:
        match name.removesuffix("_event_attributes"):
            case "activity_task_scheduled":
                return self._of_activity(a)
            case "start_child_workflow_execution_initiated":
                return self._of_workflow(a.workflow_id)
            case "signal_external_workflow_execution_initiated":
                return self._of_workflow(a.workflow_execution.workflow_id)
        return None

    def _of_workflow(self, workflow_id: str) -> SerializationContext:
        # The SDK has the run's own namespace here, whichever the other is in.
        return WorkflowSerializationContext(self._key.namespace, workflow_id)

    def _of_activity(self, a: Any) -> SerializationContext:
        return ActivitySerializationContext(
            namespace=self._key.namespace,
            # Code that gave none is not told the id that the SDK counted up.
            activity_id=None if a.activity_id.isdecimal() else a.activity_id,
            activity_type=a.activity_type.name,
            activity_task_queue=a.task_queue.name,
            workflow_id=self._key.workflow_id,
            workflow_type=self._workflow_type,
            is_local=False,
        )
