"""Small runs for comparisons, told step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from temporalio.api.common.v1 import Payload

from replayer.alignment import AlignedRow, Verdict
from tests.event_builder import EventBuilder, payloads
from tracer.identity import RunKey
from tracer.model import Run, run_from_events

RUN_A = "0198c5c6-3b1e-7c2a-9d4e-00000000000a"
RUN_B = "0198c5c6-3b1e-7c2a-9d4e-00000000000b"

type Told = tuple[str, str, str]
"""Verdict, name and reasons of a row."""


@dataclass
class Story:
    """Appends whole steps to a history; each call is over before the next begins."""

    run_id: str = RUN_A
    workflow_id: str = "order-1"
    input: str = '{"order": 7}'
    offset: float = 0.0
    """Seconds by which everything happens later than in another story."""
    events: EventBuilder = field(default_factory=EventBuilder)
    _at: float = 0.0
    _steps: int = 0

    def __post_init__(self) -> None:
        self._at = self.offset
        self.events.add(
            "WORKFLOW_EXECUTION_STARTED",
            self._at,
            workflow_type={"name": "Order"},
            task_queue={"name": "orders"},
            workflow_id=self.workflow_id,
            original_execution_run_id=self.run_id,
            first_execution_run_id=self.run_id,
            input=payloads(self.input),
        )
        self.task()

    def later(self, seconds: float) -> float:
        self._at += seconds
        return self._at

    def task(self) -> None:
        self.events.task(self.later(0.01))

    def asked(self, name: str, data: str = "{}", **attributes: Any) -> int:
        """An activity that is asked for; the id of the event."""
        self._steps += 1
        return self.events.activity(
            str(self._steps),
            name,
            self.later(0),
            input=payloads(data),
            task_queue={"name": "orders"},
            **attributes,
        )

    def answered(
        self, asked: int, result: str = '"ok"', *, attempt: int = 1, failed: str = ""
    ) -> None:
        at = self.later(0.05)
        started = self.events.add(
            "ACTIVITY_TASK_STARTED", at, scheduled_event_id=asked, attempt=attempt
        )
        ids = {"scheduled_event_id": asked, "started_event_id": started}
        if failed:
            failure = {"message": failed, "application_failure_info": {"type": "Refused"}}
            self.events.add("ACTIVITY_TASK_FAILED", self.later(0.01), failure=failure, **ids)
        else:
            result_payloads = payloads(result)
            self.events.add(
                "ACTIVITY_TASK_COMPLETED", self.later(0.01), result=result_payloads, **ids
            )

    def step(self, name: str, data: str = "{}", result: str = '"ok"', **options: Any) -> Story:
        """An activity from asked for to answered, and the task that hears of it."""
        how = {key: options.pop(key) for key in ("attempt", "failed") if key in options}
        self.answered(self.asked(name, data, **options), result, **how)
        self.task()
        return self

    def signal(self, name: str, data: str = "{}") -> Story:
        self.events.add(
            "WORKFLOW_EXECUTION_SIGNALED",
            self.later(1),
            signal_name=name,
            input=payloads(data),
            identity="ann",
        )
        self.task()
        return self

    def end(self, result: str = '"done"') -> Run:
        self.events.add("WORKFLOW_EXECUTION_COMPLETED", self.later(0.01), result=payloads(result))
        return self.run()

    def run(self) -> Run:
        return run_from_events(RunKey("default", self.workflow_id, self.run_id), self.events)


def told(rows: list[AlignedRow]) -> list[Told]:
    """Rows that are not equal."""
    return [
        (row.verdict.value, row.entry.name, " ".join(row.reasons))
        for row in rows
        if row.verdict is not Verdict.EQUAL
    ]


def encrypted(data: bytes) -> Payload:
    return Payload(metadata={"encoding": b"binary/encrypted"}, data=data)
