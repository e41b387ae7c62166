"""Histories of a made-up agent, for benchmarks: as many as asked for, the same ones every time.

Each is a run of an order agent: workflow tasks, model calls with prompts that grow, tool calls that
are retried or fail, timers and approvals, with the headers and summaries that SDKs write. No two
have the same payloads, so that neither compression nor caches flatter the figures.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from google.protobuf import json_format
from temporalio.api.common.v1 import Header, Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import History, HistoryEvent

_EPOCH = 1_760_000_000_000_000_000
_WORDS = (
    *("customs", "declaration", "tariff", "heading", "invoice", "consignee", "shipment", "carrier"),
    *("weight", "pallet", "origin", "certificate", "inspection", "release", "duty", "threshold"),
    *("broker", "manifest", "container", "seal", "review", "approve", "hold", "query", "value"),
    *("currency", "net", "gross", "description", "goods", "parts", "machine", "steel", "textile"),
)
_TOOLS = ("lookup_tariff", "fetch_invoice", "screen_parties", "declare")


def histories(runs: int, events: int, *, seed: int = 1) -> Iterator[tuple[str, str, History]]:
    """Closed runs with exactly so many events each: workflow id, run id and history."""
    for number in range(runs):
        chance = random.Random(f"{seed}/{number}")
        run_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        workflow_id = f"order-{number:05d}"
        yield workflow_id, run_id, _Run(chance, workflow_id, run_id).history(events)


def write_files(folder: Path, runs: int, events: int) -> tuple[Path, Path]:
    """The runs as files: indented JSON as `temporal workflow show -o json` writes, and protobuf."""
    as_json, as_protobuf = folder / "json", folder / "pb"
    as_json.mkdir(parents=True)
    as_protobuf.mkdir()
    for workflow_id, run_id, history in histories(runs, events):
        name = f"{workflow_id}_{run_id}"
        text = orjson.dumps(json_format.MessageToDict(history), option=orjson.OPT_INDENT_2)
        (as_json / f"{name}.json").write_bytes(text)
        (as_protobuf / f"{name}.pb").write_bytes(history.SerializeToString())
    return as_json, as_protobuf


class _Run:
    """One run, told event by event."""

    def __init__(self, chance: random.Random, workflow_id: str, run_id: str) -> None:
        self._chance = chance
        self._workflow_id = workflow_id
        self._run_id = run_id
        self._events: list[HistoryEvent] = []
        self._at = _EPOCH + chance.randrange(10**15)
        self._trace = {"_tracer-data": self._json({"traceparent": f"00-{run_id}"})}

    def history(self, events: int) -> History:
        """The whole run: it ends at the event that was asked for."""
        self._start()
        completed = self._task()
        step = 0
        while len(self._events) + 8 < events:
            step += 1
            self._step(step, completed)
            completed = self._task()
        while len(self._events) + 1 < events:
            self._add("WORKFLOW_EXECUTION_SIGNALED", signal_name="note", identity="ann@desk")
        self._add(
            "WORKFLOW_EXECUTION_COMPLETED",
            result=self._text(40),
            workflow_task_completed_event_id=completed,
        )
        return History(events=self._events)

    def _start(self) -> None:
        self._add(
            "WORKFLOW_EXECUTION_STARTED",
            workflow_type={"name": "OrderAgent"},
            task_queue={"name": "orders", "kind": 1},
            input=self._text(60),
            workflow_id=self._workflow_id,
            original_execution_run_id=self._run_id,
            first_execution_run_id=self._run_id,
            identity="42@client-1",
            attempt=1,
            header=Header(fields=self._trace),
            workflow_task_timeout={"seconds": 10},
        )

    def _task(self) -> int:
        scheduled = self._add(
            "WORKFLOW_TASK_SCHEDULED",
            task_queue={"name": "orders", "kind": 1},
            start_to_close_timeout={"seconds": 10},
            attempt=1,
        )
        started = self._add(
            "WORKFLOW_TASK_STARTED",
            scheduled_event_id=scheduled,
            identity="17@worker-3",
            request_id=self._uuid(),
            history_size_bytes=900 * len(self._events),
        )
        return self._add(
            "WORKFLOW_TASK_COMPLETED",
            scheduled_event_id=scheduled,
            started_event_id=started,
            identity="17@worker-3",
            worker_version={"build_id": "2026.11.3"},
            sdk_metadata={"sdk_name": "temporal-python", "sdk_version": "1.35.0"},
        )

    def _step(self, number: int, completed: int) -> None:
        kind = self._chance.random()
        if kind < 0.08:
            self._timer(number, completed)
        elif kind < 0.14:
            self._add(
                "WORKFLOW_EXECUTION_SIGNALED",
                signal_name="approve",
                input=self._text(8),
                identity="ann@desk",
                header=Header(fields=self._trace),
            )
        elif kind < 0.5:
            self._activity(number, completed, "call_model", self._text(90), self._completion())
        else:
            tool = self._chance.choice(_TOOLS)
            self._activity(number, completed, tool, self._text(20), self._text(60))

    def _timer(self, number: int, completed: int) -> None:
        started = self._add(
            "TIMER_STARTED",
            timer_id=str(number),
            start_to_fire_timeout={"seconds": 30},
            workflow_task_completed_event_id=completed,
        )
        self._add("TIMER_FIRED", timer_id=str(number), started_event_id=started)

    def _activity(
        self, number: int, completed: int, name: str, asked: Payloads, answer: Payloads
    ) -> None:
        scheduled = self._add(
            "ACTIVITY_TASK_SCHEDULED",
            activity_id=str(number),
            activity_type={"name": name},
            task_queue={"name": "orders", "kind": 1},
            header=Header(fields=self._trace),
            input=asked,
            start_to_close_timeout={"seconds": 60},
            workflow_task_completed_event_id=completed,
            retry_policy={
                "initial_interval": {"seconds": 1},
                "backoff_coefficient": 2.0,
                "maximum_attempts": 5,
            },
        )
        self._events[-1].user_metadata.summary.CopyFrom(self._json(f"{name} {number}"))
        attempt = 1 if self._chance.random() < 0.9 else self._chance.randint(2, 4)
        started = self._add(
            "ACTIVITY_TASK_STARTED",
            scheduled_event_id=scheduled,
            identity=f"17@worker-{self._chance.randint(1, 5)}",
            request_id=self._uuid(),
            attempt=attempt,
            last_failure=self._failure() if attempt > 1 else None,
        )
        at = {"scheduled_event_id": scheduled, "started_event_id": started}
        if self._chance.random() < 0.03:
            failure = self._failure()
            self._add("ACTIVITY_TASK_FAILED", **at, failure=failure, retry_state=4)
        else:
            self._add("ACTIVITY_TASK_COMPLETED", **at, result=answer, identity="17@worker-3")

    def _failure(self) -> Failure:
        code = self._chance.choice((429, 500, 503))
        return Failure(
            message=f"{code} from upstream for order {self._chance.randrange(10**6)}",
            source="PythonSDK",
            stack_trace='  File "/app/tools.py", line 71, in declare\n    raise UpstreamError\n',
            application_failure_info=ApplicationFailureInfo(type="UpstreamError"),
        )

    def _completion(self) -> Payloads:
        value = {
            "id": self._uuid(),
            "object": "chat.completion",
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{"finish_reason": "stop", "message": {"content": self._prose(50)}}],
            "usage": {
                "prompt_tokens": self._chance.randrange(200, 4000),
                "completion_tokens": self._chance.randrange(20, 600),
            },
        }
        return Payloads(payloads=[self._json(value)])

    def _text(self, words: int) -> Payloads:
        value = {"id": self._uuid(), "text": self._prose(words)}
        return Payloads(payloads=[self._json(value)])

    def _prose(self, words: int) -> str:
        return " ".join(self._chance.choices(_WORDS, k=words))

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    @staticmethod
    def _json(value: object) -> Payload:
        return Payload(metadata={"encoding": b"json/plain"}, data=orjson.dumps(value))

    def _add(self, event_type: str, **attributes: Any) -> int:
        self._at += self._chance.randrange(1_000_000, 3_000_000_000)
        named: dict[str, Any] = {f"{event_type.lower()}_event_attributes": attributes}
        event = HistoryEvent(
            event_id=len(self._events) + 1,
            event_type=EventType.Value(f"EVENT_TYPE_{event_type}"),
            task_id=1_048_576 + len(self._events),
            **named,
        )
        event.event_time.FromNanoseconds(self._at)
        self._events.append(event)
        return event.event_id
