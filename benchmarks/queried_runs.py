"""The runs that `benchmarks.queries` copies: agents that call models and tools, and ask people.

They differ as runs in production do: some fail, retry, get stuck, wait for an approval or miss one,
on two versions of the code, for a few tenants. The same number always gives the same run.
"""

from __future__ import annotations

import json
import random
from hashlib import sha256
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import History, HistoryEvent

from replayer.history import KeySource, Origin, RunHistory
from tracer.identity import RunKey

__all__ = ["RUNS", "history", "spans"]

RUNS: Final = 100
"""How many different ones there are; each has some 200 events."""

_STEPS: Final = 32
_EPOCH: Final = 1_760_000_000_000_000_000
_TYPES: Final = ("Refund", "CargoRelease", "Claim", "Onboarding")
_TOOLS: Final = ("lookup", "screen", "declare", "notify")


def _payloads(value: object) -> Payloads:
    return Payloads(payloads=[_payload(value)])


def _payload(value: object) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())


class _Story:
    """One run, event by event."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.chance = random.Random(number)
        self.events: list[HistoryEvent] = []
        self.at = _EPOCH + number * 5_000_000_000
        self.tries: list[tuple[str, str, int, int, int, bool]] = []
        """Activity id, name, attempt, start, end, and whether it failed."""

    def add(self, event_type: str, seconds: float = 0.01, **attributes: Any) -> int:
        self.at += int(seconds * 1e9 * (0.5 + self.chance.random()))
        named: dict[str, Any] = {f"{event_type.lower()}_event_attributes": attributes}
        event = HistoryEvent(
            event_id=len(self.events) + 1,
            event_type=EventType.Value(f"EVENT_TYPE_{event_type}"),
            **named,
        )
        event.event_time.FromNanoseconds(self.at)
        self.events.append(event)
        return event.event_id

    def task(self) -> int:
        scheduled = self.add("WORKFLOW_TASK_SCHEDULED")
        started = self.add(
            "WORKFLOW_TASK_STARTED", 0.03, scheduled_event_id=scheduled, identity="worker-1"
        )
        return self.add(
            "WORKFLOW_TASK_COMPLETED",
            0.02,
            scheduled_event_id=scheduled,
            started_event_id=started,
            identity="worker-1",
            worker_version={"build_id": f"v{1 + self.number % 2}"},
        )

    def activity(self, step: int) -> None:
        is_model = step % 2 == 0
        name = "call_model" if is_model else self.chance.choice(_TOOLS)
        scheduled = self.add(
            "ACTIVITY_TASK_SCHEDULED",
            activity_id=str(step),
            activity_type={"name": name},
            input=_payloads({"step": step, "text": "x" * self.chance.randrange(400)}),
        )
        attempt = self.chance.choice((1, 1, 1, 1, 1, 1, 1, 2, 3))
        for number in range(1, attempt):
            self._try(step, name, number, failed=True)
        started = self.add(
            "ACTIVITY_TASK_STARTED",
            0.1,
            scheduled_event_id=scheduled,
            attempt=attempt,
            identity=f"worker-{self.chance.randrange(9)}",
            last_failure=self._failure() if attempt > 1 else None,
        )
        self._try(step, name, attempt, failed=False)
        self.add(
            "ACTIVITY_TASK_COMPLETED",
            scheduled_event_id=scheduled,
            started_event_id=started,
            result=_payloads(self._completion() if is_model else "ok"),
        )

    def _try(self, step: int, name: str, number: int, *, failed: bool) -> None:
        start = self.at
        self.at += int((0.2 + self.chance.random()) * 1e9)
        self.tries.append((str(step), name, number, start, self.at, failed))

    def _failure(self) -> Failure:
        kind = self.chance.choice(("RateLimited", "Timeout", "Refused"))
        return Failure(
            message=f"{kind} for order {self.chance.randrange(10**6)}",
            application_failure_info=ApplicationFailureInfo(type=kind),
        )

    def _completion(self) -> dict[str, object]:
        usage = {
            "prompt_tokens": self.chance.randrange(200, 4000),
            "completion_tokens": self.chance.randrange(20, 600),
        }
        choices = [{"finish_reason": "stop"}]
        model = self.chance.choice(("gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06", "house-model"))
        return {"object": "chat.completion", "model": model, "choices": choices, "usage": usage}

    def approval(self) -> None:
        timer = self.add("TIMER_STARTED", timer_id="approval", **{})
        self.events[-1].user_metadata.summary.CopyFrom(_payload("approval"))
        if self.number % 10 == 3:
            self.add("TIMER_FIRED", 3600, timer_id="approval", started_event_id=timer)
        else:
            self.add("WORKFLOW_EXECUTION_SIGNALED", 600, signal_name="approve", identity="ann@desk")

    def end(self, completed: int) -> None:
        closing: dict[str, Any] = {"workflow_task_completed_event_id": completed}
        match self.number % 10:
            case 0:
                self.add("WORKFLOW_EXECUTION_FAILED", failure=self._failure(), **closing)
            case 1:
                scheduled = self.add("WORKFLOW_TASK_SCHEDULED")
                self.add(
                    "WORKFLOW_TASK_FAILED",
                    2.2,
                    scheduled_event_id=scheduled,
                    started_event_id=self.add(
                        "WORKFLOW_TASK_STARTED", scheduled_event_id=scheduled
                    ),
                    cause=14,
                    failure=self._failure(),
                )
            case _:
                self.add("WORKFLOW_EXECUTION_COMPLETED", result=_payloads("done"), **closing)


def _story(number: int) -> _Story:
    story = _Story(number)
    story.add(
        "WORKFLOW_EXECUTION_STARTED",
        workflow_type={"name": _TYPES[number % len(_TYPES)]},
        task_queue={"name": "agents"},
        attempt=1,
        memo={"fields": {"tenant": _payload(f"tenant-{number % 7}")}},
    )
    completed = story.task()
    for step in range(_STEPS):
        story.activity(step)
        completed = story.task()
        if step == _STEPS // 2:
            story.approval()
            completed = story.task()
    story.end(completed)
    return story


def _key(number: int) -> RunKey:
    return RunKey("default", f"agent-{number}", f"run-{number}")


def history(number: int) -> RunHistory:
    """The history of one run."""
    built = History(events=_story(number).events)
    raw = built.SerializeToString(deterministic=True)
    origin = Origin(f"{number}.pb", "protobuf", sha256(raw).hexdigest(), len(raw))
    return RunHistory(_key(number), KeySource.CALLER, origin, tuple(built.events), raw)


def spans(number: int) -> ExportTraceServiceRequest:
    """What a worker told of it: each try with a model or tool call in it, and decisions."""
    told = _Spans(number)
    for step, name, attempt, start, end, failed in _story(number).tries:
        told.attempt(step, name, attempt, start, end, failed=failed)
    for place in range(10):
        told.branch(place)
    return told.request


class _Spans:
    """An OTLP request under way."""

    def __init__(self, number: int) -> None:
        self.request = ExportTraceServiceRequest()
        self._scope = self.request.resource_spans.add().scope_spans.add()
        self._number = number
        self._chance = random.Random(number)
        self._count = 0

    def attempt(
        self, step: str, name: str, attempt: int, start: int, end: int, *, failed: bool
    ) -> None:
        attributes: dict[str, object] = {
            "temporalActivityID": step,
            "temporal.activity.type": name,
            "temporal.activity.attempt": attempt,
            "temporal.identity": f"worker-{self._chance.randrange(9)}",
        }
        if failed:
            kind = self._chance.choice(("RateLimited", "Timeout"))
            attributes |= {
                "error.type": kind,
                "retrospan.failure.message": f"{kind} at try {attempt}",
                "retrospan.failure.fingerprint": sha256(kind.encode()).hexdigest()[:12],
            }
        parent = self._run_span("attempt", start, end, attributes, failed=failed)
        if name == "call_model":
            self._span(
                start,
                end,
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.response.model": "gpt-4o-mini",
                    "gen_ai.usage.input_tokens": self._chance.randrange(4000),
                    "gen_ai.usage.output_tokens": self._chance.randrange(500),
                },
                parent,
            )
        else:
            blocked = self._chance.random() < 0.05
            block = {"retrospan.tool.blocked": True, "retrospan.tool.block.policy": "limit"}
            tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
            self._span(start, end, tool | (block if blocked else {}), parent)

    def branch(self, place: int) -> None:
        at = _EPOCH + self._number * 5_000_000_000 + place * 1_000_000_000
        attributes: dict[str, object] = {
            "temporal.workflow.type": _TYPES[self._number % len(_TYPES)],
            "code.function.name": "Agent.run",
            "code.file.path": "agents/agent.py",
            "code.line.number": 40 + place,
            "retrospan.branch.kind": "if",
            "retrospan.branch.condition": f"score > {place}",
            "retrospan.branch.outcome": self._chance.random() < 0.7,
            "retrospan.branch.occurrence": 1,
        }
        self._run_span("branch", at, at, attributes)

    def _run_span(
        self,
        kind: str,
        start: int,
        end: int,
        attributes: dict[str, object],
        *,
        failed: bool = False,
    ) -> int:
        key = _key(self._number)
        told: dict[str, object] = {
            "retrospan.span.kind": kind,
            "temporalWorkflowID": key.workflow_id,
            "temporalRunID": key.run_id,
        }
        return self._span(start, end, told | attributes, failed=failed)

    def _span(
        self,
        start: int,
        end: int,
        attributes: dict[str, object],
        parent: int = 0,
        *,
        failed: bool = False,
    ) -> int:
        self._count += 1
        span = self._scope.spans.add(
            trace_id=(self._number + 1).to_bytes(16),
            span_id=self._count.to_bytes(8),
            parent_span_id=parent.to_bytes(8) if parent else b"",
            name=str(attributes.get("retrospan.span.kind", "call")),
            start_time_unix_nano=start,
            end_time_unix_nano=end,
        )
        span.status.code = (
            span.status.STATUS_CODE_ERROR if failed else span.status.STATUS_CODE_UNSET
        )
        for name, value in attributes.items():
            held = span.attributes.add(key=name).value
            if isinstance(value, bool):
                held.bool_value = value
            elif isinstance(value, int):
                held.int_value = value
            else:
                held.string_value = str(value)
        return self._count
