"""Histories made here, event by event, so that each test says what it needs and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from temporalio.api.common.v1 import ActivityType, Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import ActivityFailureInfo, ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import History, HistoryEvent

START_NS = 1_767_225_600_000_000_000
"""2026-01-01 00:00:00 UTC."""
RUN_ID = "0198c5c6-3b1e-7c2a-9d4e-5f60718293a4"

HOSTILE = (
    "[/INST] [red]gone[/red] \x1b]52;c;aGk=\x07 \x1b[2J \x9b31m \u202egnp.exe\u202c "
    "nul:\x00 del:\x7f tab:\t line:\nnext wide:漢字 \U0001f600"
)
"""Everything that may not act on a terminal, and some things that are only wide."""


def payload(data: bytes, encoding: str = "json/plain") -> Payload:
    return Payload(metadata={"encoding": encoding.encode()}, data=data)


@dataclass
class HistoryMaker:
    """Writes a history one event after the other, 100 ms apart."""

    events: list[HistoryEvent] = field(default_factory=list)

    def add(self, name: str, *, after_ms: int = 100, **attributes: Any) -> int:
        event = HistoryEvent(
            event_id=len(self.events) + 1, event_type=EventType.Value(f"EVENT_TYPE_{name}")
        )
        last = self.events[-1].event_time.ToNanoseconds() if self.events else START_NS
        event.event_time.FromNanoseconds(last + after_ms * 1_000_000)
        getattr(event, f"{name.lower()}_event_attributes").MergeFrom(
            type(getattr(event, f"{name.lower()}_event_attributes"))(**attributes)
        )
        self.events.append(event)
        return event.event_id

    def start(
        self,
        workflow_type: str = "Review",
        workflow_id: str = "review-1",
        run_id: str = RUN_ID,
        data: bytes = b'{"customer": "c-1"}',
    ) -> None:
        self.add(
            "WORKFLOW_EXECUTION_STARTED",
            workflow_type={"name": workflow_type},
            workflow_id=workflow_id,
            original_execution_run_id=run_id,
            first_execution_run_id=run_id,
            task_queue={"name": "q"},
            input=Payloads(payloads=[payload(data)]),
        )
        self.task()

    def task(self) -> int:
        scheduled = self.add("WORKFLOW_TASK_SCHEDULED", task_queue={"name": "q"})
        started = self.add("WORKFLOW_TASK_STARTED", scheduled_event_id=scheduled)
        return self.add(
            "WORKFLOW_TASK_COMPLETED", scheduled_event_id=scheduled, started_event_id=started
        )

    def activity(
        self,
        name: str,
        *,
        data: bytes = b'{"text": "hello"}',
        result: bytes = b'{"answer": 42}',
        failure: Failure | None = None,
        attempt: int = 1,
        last_failure: Failure | None = None,
        activity_id: str = "",
    ) -> None:
        scheduled = self.add(
            "ACTIVITY_TASK_SCHEDULED",
            activity_id=activity_id or str(len(self.events) + 1),
            activity_type={"name": name},
            task_queue={"name": "q"},
            input=Payloads(payloads=[payload(data)]),
        )
        started = self.add(
            "ACTIVITY_TASK_STARTED",
            scheduled_event_id=scheduled,
            attempt=attempt,
            identity="worker-1",
            last_failure=last_failure,
        )
        answer = {"scheduled_event_id": scheduled, "started_event_id": started}
        if failure is not None:
            self.add("ACTIVITY_TASK_FAILED", failure=failure, **answer)
        else:
            result_payloads = Payloads(payloads=[payload(result)])
            self.add("ACTIVITY_TASK_COMPLETED", result=result_payloads, **answer)
        self.task()

    def signal(self, name: str) -> None:
        self.add("WORKFLOW_EXECUTION_SIGNALED", signal_name=name, identity="ann", after_ms=5_000)
        self.task()

    def timer(self, timer_id: str) -> None:
        started = self.add(
            "TIMER_STARTED", timer_id=timer_id, start_to_fire_timeout={"seconds": 30}
        )
        self.add("TIMER_FIRED", timer_id=timer_id, started_event_id=started, after_ms=30_000)
        self.task()

    def complete(self, result: bytes = b'"done"') -> None:
        self.add("WORKFLOW_EXECUTION_COMPLETED", result=Payloads(payloads=[payload(result)]))

    def fail(self, failure: Failure) -> None:
        self.add("WORKFLOW_EXECUTION_FAILED", failure=failure)

    def bytes(self) -> bytes:
        return History(events=self.events).SerializeToString()


def application_failure(message: str, kind: str = "ValueError", **extra: Any) -> Failure:
    return Failure(
        message=message, application_failure_info=ApplicationFailureInfo(type=kind), **extra
    )


def activity_failure(message: str, kind: str = "ValueError") -> Failure:
    return Failure(
        message="Activity task failed",
        activity_failure_info=ActivityFailureInfo(activity_type=ActivityType(name="check")),
        cause=application_failure(message, kind, stack_trace='File "x.py", line 7\n  raise'),
    )


def review_history(workflow_id: str = "review-1", run_id: str = RUN_ID) -> HistoryMaker:
    """A run with a retried activity, a wait for a person, a timer and a failed step."""
    maker = HistoryMaker()
    maker.start(workflow_id=workflow_id, run_id=run_id)
    maker.activity(
        "classify", attempt=3, last_failure=application_failure("429 too many", "RateLimited")
    )
    maker.signal("approve")
    maker.timer("cool-down")
    maker.activity("check", failure=activity_failure("no such customer", "LookupError"))
    maker.complete()
    return maker
