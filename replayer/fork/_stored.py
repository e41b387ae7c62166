"""The fork's history as it is stored: what the workflow code asked for and was told.

The server's own history has stand-ins in it: neutral timeouts, placeholder failures, today's times.
They are put right here, so that the stored history tells of the fork alone, replays with the same
code, and lines up with the recording in times, attempts and ids of children. The first event
carries a memo that says what it was forked from.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, RetryPolicy
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent

from replayer.fork._endings import put_into_event
from replayer.fork._plans import Plan
from replayer.fork._trail import Trail
from replayer.fork.report import AnswerSource
from replayer.fork.script import ItemKind, Script, attributes_of
from replayer.history.keys import FORK_MEMO
from tracer.model import Outcome, StepKind

_NS = 1_000_000_000
_AS_RECORDED = frozenset({AnswerSource.RECORDED, AnswerSource.CHANGED})
_SCHEDULING = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: StepKind.ACTIVITY,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: StepKind.CHILD_WORKFLOW,
    EventType.EVENT_TYPE_TIMER_STARTED: StepKind.TIMER,
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: StepKind.SIGNAL_EXTERNAL,
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: (
        StepKind.CANCEL_EXTERNAL
    ),
}
_ID_FIELDS = {
    StepKind.ACTIVITY: "activity_id",
    StepKind.CHILD_WORKFLOW: "workflow_id",
    StepKind.TIMER: "timer_id",
}
_REFERENCES = ("scheduled_event_id", "initiated_event_id", "started_event_id")
_MESSAGES = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
    }
)
_TASK_ENDS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    }
)
_UPDATE = ItemKind.UPDATE.value
_DURATIONS = (
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
    "heartbeat_timeout",
    "workflow_execution_timeout",
    "workflow_run_timeout",
    "workflow_task_timeout",
)


def stored_events(
    script: Script, trail: Trail, events: Iterable[HistoryEvent], mark: dict[str, Any]
) -> list[HistoryEvent]:
    """The events to store.

    Args:
        script: The recording.
        trail: What the driver did.
        events: The server's history of the fork.
        mark: What the memo is to say.
    """
    return list(_Rewriter(script, trail, mark).rewritten(events))


def json_of(events: Iterable[HistoryEvent]) -> bytes:
    """The history as `temporal workflow show -o json` writes it."""
    return json_format.MessageToJson(History(events=events)).encode()


class _Rewriter:
    def __init__(self, script: Script, trail: Trail, mark: dict[str, Any]) -> None:
        self._script = script
        self._trail = trail
        self._mark = mark
        self._plans: defaultdict[tuple[StepKind, str], deque[Plan]] = defaultdict(deque)
        for plan in trail.plans:
            self._plans[plan.asked.kind, plan.asked.id].append(plan)
        self._by_event: dict[int, Plan] = {}
        self._messages = deque(told for told in trail.told if told.kind != _UPDATE)
        self._updates = deque(told for told in trail.told if told.kind == _UPDATE)
        self._starts = {
            event.activity_task_started_event_attributes.scheduled_event_id: event
            for event in script.history.events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
        }
        self._ended_tasks = 0
        self._now = script.run.started_at or script.activations[0].started_at

    def rewritten(self, events: Iterable[HistoryEvent]) -> Iterable[HistoryEvent]:
        for original in events:
            event = HistoryEvent()
            event.CopyFrom(original)
            yield self._rewritten(event)

    def _rewritten(self, event: HistoryEvent) -> HistoryEvent:
        kind = event.event_type
        if event.event_id == 1:
            self._start(event)
        elif kind in _SCHEDULING:
            self._scheduling(event, _SCHEDULING[kind])
        elif kind == EventType.EVENT_TYPE_MARKER_RECORDED:
            self._marker(event)
        elif kind == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
            self._now = self._lived().started_at
        elif kind in _TASK_ENDS:
            self._now = self._lived().completed_at
            self._ended_tasks += 1
        elif kind in _MESSAGES and self._messages:
            self._now = self._messages.popleft().at
        elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED and self._updates:
            self._now = self._updates.popleft().at
        elif (plan := self._plan_of(event)) is not None:
            self._answer(event, plan)
            if kind == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                return event
        elif kind == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
            queue = event.workflow_task_scheduled_event_attributes.task_queue
            queue.name = self._script.run.task_queue or queue.name
        event.event_time.FromNanoseconds(self._now)
        return event

    def _lived(self) -> Any:
        lived = self._trail.lived
        return next((each for each in lived if each.task_ends > self._ended_tasks), lived[-1])

    def _start(self, event: HistoryEvent) -> None:
        recorded = self._script.started
        own = event.workflow_execution_started_event_attributes
        a = type(own)()
        a.CopyFrom(recorded.workflow_execution_started_event_attributes)
        a.input.CopyFrom(own.input)
        key = self._script.history.key
        a.workflow_id = a.workflow_id or key.workflow_id
        # Random numbers are seeded with it: a replay has to see those that the fork saw.
        a.original_execution_run_id = a.original_execution_run_id or key.run_id
        data = json.dumps(self._mark).encode()
        memo = Payload(metadata={"encoding": b"json/plain"}, data=data)
        a.memo.fields[FORK_MEMO].CopyFrom(memo)
        own.CopyFrom(a)
        if recorded.HasField("user_metadata"):
            event.user_metadata.CopyFrom(recorded.user_metadata)

    def _scheduling(self, event: HistoryEvent, kind: StepKind) -> None:
        a: Any = attributes_of(event)
        if kind in _ID_FIELDS:
            step_id = getattr(a, _ID_FIELDS[kind])
        else:
            step_id = a.workflow_execution.workflow_id
        waiting = self._plans[kind, step_id]
        if not waiting:
            return
        plan = self._by_event[event.event_id] = waiting.popleft()
        self._now = plan.asked_at
        if plan.asked.command.HasField("user_metadata"):
            event.user_metadata.CopyFrom(plan.asked.command.user_metadata)
        elif kind is StepKind.CANCEL_EXTERNAL and plan.recorded is not None:
            # The core adds the child's own.
            was = self._script.event(plan.recorded.scheduled_event_id or 1)
            event.user_metadata.CopyFrom(was.user_metadata)
        if not event.event_group_markers:
            event.event_group_markers.extend(plan.asked.command.event_group_markers)
        if kind in (StepKind.ACTIVITY, StepKind.CHILD_WORKFLOW):
            self._restore(a, plan)
        elif kind is not StepKind.TIMER:
            a.namespace = self._script.history.key.namespace

    def _restore(self, a: Any, plan: Plan) -> None:
        """Put back what was asked for, completed as the recorded server completed it."""
        command = getattr(plan.asked.command, plan.asked.command.WhichOneof("variant"))
        recorded = self._recorded_schedule(plan)
        fields = a.DESCRIPTOR.fields_by_name
        for name in _DURATIONS:
            if name not in fields or name not in command.DESCRIPTOR.fields_by_name:
                continue
            a.ClearField(name)
            if command.HasField(name):
                getattr(a, name).CopyFrom(getattr(command, name))
            elif recorded is not None and recorded.HasField(name):
                getattr(a, name).CopyFrom(getattr(recorded, name))
        a.ClearField("retry_policy")
        if recorded is not None and recorded.HasField("retry_policy"):
            a.retry_policy.CopyFrom(recorded.retry_policy)
        elif plan.asked.kind is StepKind.ACTIVITY:
            a.retry_policy.CopyFrom(_server_default())
        if command.HasField("retry_policy"):
            for field, value in command.retry_policy.ListFields():
                a.retry_policy.ClearField(field.name)
                a.retry_policy.MergeFrom(type(a.retry_policy)(**{field.name: value}))
        if plan.asked.kind is StepKind.CHILD_WORKFLOW:
            a.namespace = command.namespace or self._script.history.key.namespace
            a.cron_schedule = command.cron_schedule

    def _recorded_schedule(self, plan: Plan) -> Any:
        """The recorded request for this step, or for another one of its name."""
        asked, step = plan.asked, plan.recorded
        if step is None:
            steps = self._script.run.steps
            step = next((s for s in steps if (s.kind, s.name) == (asked.kind, asked.name)), None)
        if step is None or step.scheduled_event_id is None:
            return None
        return attributes_of(self._script.event(step.scheduled_event_id))

    def _plan_of(self, event: HistoryEvent) -> Plan | None:
        a: Any = attributes_of(event)
        for name in _REFERENCES:
            plan = self._by_event.get(getattr(a, name, 0))
            if plan is not None:
                return plan
        return None

    def _answer(self, event: HistoryEvent, plan: Plan) -> None:
        """An event that answers a step, or that an attempt of it began."""
        a: Any = attributes_of(event)
        if "namespace" in a.DESCRIPTOR.fields_by_name:
            a.namespace = self._script.history.key.namespace
        kind = event.event_type
        if kind == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            self._attempt(event, plan)
            return
        if kind == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
            self._now = self._trail.child_started_at.get(plan.asked.id, self._now)
        elif kind == EventType.EVENT_TYPE_TIMER_CANCELED:
            self._now = self._canceled_at(plan)
        elif plan.is_delivered and plan.closed_at is not None:
            self._now = plan.closed_at
            if plan.ending is not None and kind not in _NOT_ENDINGS:
                put_into_event(plan.asked.kind, plan.ending, event)
        if plan.asked.kind is StepKind.CHILD_WORKFLOW:
            self._name_child(event, plan)
        self._keep_identity(event, plan)

    def _canceled_at(self, plan: Plan) -> int:
        step = plan.recorded
        was_canceled = step is not None and step.outcome is Outcome.CANCELED
        at = (step.closed_at if step is not None and was_canceled else None) or self._now
        # Only as long as the fork does what was recorded are the two the same event.
        return at if self._trail.is_on_track_at(at) else self._now

    def _attempt(self, event: HistoryEvent, plan: Plan) -> None:
        a = event.activity_task_started_event_attributes
        began = self._now if plan.closed_at is None else plan.closed_at
        recorded = self._recorded_start(plan)
        if recorded is not None:
            was = recorded.activity_task_started_event_attributes
            a.attempt, a.identity = was.attempt, was.identity
            a.ClearField("last_failure")
            if was.HasField("last_failure"):
                a.last_failure.CopyFrom(was.last_failure)
            step = plan.recorded
            assert step is not None
            took = (step.closed_at or 0) - recorded.event_time.ToNanoseconds()
            began -= max(0, took) if step.closed_at else 0
        event.event_time.FromNanoseconds(began)

    def _recorded_start(self, plan: Plan) -> HistoryEvent | None:
        if plan.recorded is None or plan.source not in _AS_RECORDED:
            return None
        return self._starts.get(plan.recorded.scheduled_event_id or 0)

    def _name_child(self, event: HistoryEvent, plan: Plan) -> None:
        """The recorded child stands for the one that was not run."""
        a: Any = attributes_of(event)
        recorded = plan.recorded
        if "workflow_execution" not in a.DESCRIPTOR.fields_by_name or recorded is None:
            return
        if recorded.child_run_id:
            a.workflow_execution.run_id = recorded.child_run_id
        a.namespace = recorded.child_namespace or self._script.history.key.namespace

    def _keep_identity(self, event: HistoryEvent, plan: Plan) -> None:
        a: Any = attributes_of(event)
        closing = self._script.closing_of(plan.recorded) if plan.recorded is not None else None
        if closing is None or "identity" not in a.DESCRIPTOR.fields_by_name:
            return
        a.identity = getattr(attributes_of(closing), "identity", "") or a.identity

    def _marker(self, event: HistoryEvent) -> None:
        a = event.marker_recorded_event_attributes
        data = a.details["data"].payloads[0] if "data" in a.details else None
        if a.marker_name != "core_local_activity" or data is None:
            return
        fields = json.loads(data.data)
        waiting = self._plans[StepKind.LOCAL_ACTIVITY, str(fields.get("activity_id"))]
        if not waiting:
            return
        plan = waiting.popleft()
        self._local(event, plan, fields)

    def _local(self, event: HistoryEvent, plan: Plan, fields: dict[str, Any]) -> None:
        a = event.marker_recorded_event_attributes
        closed_at = plan.closed_at or self._now
        moment = {"seconds": closed_at // _NS, "nanos": closed_at % _NS}
        fields |= {"complete_time": moment, "attempt": plan.attempts}
        asked_at = min(plan.asked_at, closed_at)
        fields["original_schedule_time"] = {"seconds": asked_at // _NS, "nanos": asked_at % _NS}
        closing = self._script.closing_of(plan.recorded) if plan.recorded is not None else None
        if closing is not None and plan.source is AnswerSource.RECORDED:
            was = closing.marker_recorded_event_attributes
            if "data" in was.details:
                known = json.loads(was.details["data"].payloads[0].data)
                fields["original_schedule_time"] = known.get("original_schedule_time")
                if "backoff" in known:
                    fields["backoff"] = known["backoff"]
        a.details["data"].payloads[0].data = json.dumps(fields, separators=(",", ":")).encode()
        if plan.ending is not None and plan.ending.failure is not None:
            a.failure.CopyFrom(plan.ending.failure)
        if closing is not None and closing.HasField("user_metadata"):
            event.user_metadata.CopyFrom(closing.user_metadata)


def _server_default() -> RetryPolicy:
    """The retry policy that a server writes down for an activity that was given none."""
    policy = RetryPolicy(backoff_coefficient=2.0)
    policy.initial_interval.FromSeconds(1)
    policy.maximum_interval.FromSeconds(100)
    return policy


_NOT_ENDINGS = frozenset(
    {
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED,
        EventType.EVENT_TYPE_TIMER_FIRED,
        EventType.EVENT_TYPE_TIMER_CANCELED,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
    }
)
