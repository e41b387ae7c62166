"""Markers: what SDKs write into a history for themselves.

Two of them are things a reader must know of: a local activity (a step that left no other trace)
and a patch. Every SDK has its own names and forms; the rest is kept by name.
"""

from __future__ import annotations

from typing import Any

from tracer.model.failures import failure_from
from tracer.model.machine import RunMachine
from tracer.model.payloads import json_of
from tracer.model.words import (
    Attempt,
    AttemptSource,
    Failure,
    Marker,
    Outcome,
    Patch,
    Payload,
    Step,
    StepKind,
)

_LOCAL_ACTIVITY = frozenset({"core_local_activity", "LocalActivity"})
"""The SDKs built on the Rust core; Go and Java."""
_PATCH = frozenset({"core_patch", "Version"})
_MAX_ATTEMPT = 2**31 - 1
"""As many as the server counts; a marker is JSON, which may say anything."""


def record(machine: RunMachine, event: Any, a: Any, at: int) -> None:
    """Take in one `MARKER_RECORDED` event."""
    name = a.marker_name
    if name in _LOCAL_ACTIVITY:
        _local_activity(machine, event, a, at)
    elif name in _PATCH:
        _patch(machine, event, a, at)
    else:
        machine.run.markers.append(Marker(name, at, event.event_id, failure_from(a.failure)))


def _local_activity(machine: RunMachine, event: Any, a: Any, at: int) -> None:
    data = _data(a)
    failure = failure_from(a.failure)
    number = data.get("attempt", data.get("Attempt", 1))
    number = number if isinstance(number, int) and 0 < number <= _MAX_ATTEMPT else 1
    first_try = str(data.get("activity_type")), _time(data.get("original_schedule_time"), 0)
    # The try before this one has backed off: the step goes on.
    known = machine.backing_off.pop(first_try, None) if number > 1 else None
    ended_at, outcome = _time(data.get("complete_time"), at), _outcome(failure)
    if known is None:
        machine.worker_was_busy(_scheduled_at(machine, data, at), ended_at)
    step = known or _new_local_activity(machine, event, data, at)
    step.attempt_count = number
    step.attempts.append(Attempt(number, AttemptSource.HISTORY, None, ended_at, outcome, failure))
    if isinstance(data.get("backoff"), dict):
        machine.backing_off[first_try] = step
        return
    machine.step_closed(
        step,
        ended_at,
        outcome,
        event_id=event.event_id,
        failure=failure,
        result=_detail(a, "result"),
        in_task=True,
    )


def _new_local_activity(machine: RunMachine, event: Any, data: dict[str, Any], at: int) -> Step:
    step = Step(
        StepKind.LOCAL_ACTIVITY,
        _first(data, "activity_type", "ActivityType", "type"),
        _first(data, "activity_id", "ActivityID", "activityId", default=event.event_id),
        0,
        0,
        _scheduled_at(machine, data, at),
        event.event_id,
    )
    return machine.step_scheduled(step)


def _scheduled_at(machine: RunMachine, data: dict[str, Any], at: int) -> int:
    """When a local activity was asked for.

    The core notes that time by the worker's clock and the completion by the workflow's, which
    stands still at the start of the task until an answer moves it: the first may be later.
    """
    ended_at = _time(data.get("complete_time"), at)
    asked_at = _time(data.get("original_schedule_time"), at)
    if asked_at <= ended_at:
        return asked_at
    tasks = machine.run.tasks
    started_at = tasks[-1].started_at if tasks else None
    return min(ended_at, started_at or ended_at)


def _patch(machine: RunMachine, event: Any, a: Any, at: int) -> None:
    data = _only(a, "patch-data")
    if isinstance(data, dict):
        patch_id, deprecated = str(data.get("id", "")), bool(data.get("deprecated"))
    else:  # Java, Go
        patch_id, deprecated = str(_only(a, "changeId") or _only(a, "change-id") or ""), False
    machine.patch_taken(Patch(patch_id, deprecated, at, event.event_id))


def _data(a: Any) -> dict[str, Any]:
    """What the marker says, in one dict: the core and Go write one, Java a detail for each."""
    details = {name: _only(a, name) for name in a.details}
    data = details.get("data")
    return data if isinstance(data, dict) else details


def _only(a: Any, name: str) -> Any:
    payloads = _detail(a, name)
    return json_of(payloads[0]) if payloads else None


def _detail(a: Any, name: str) -> tuple[Payload, ...]:
    # Reading a missing key of a protobuf map would create it.
    return tuple(a.details[name].payloads) if name in a.details else ()


def _first(data: dict[str, Any], *names: str, default: Any = "") -> str:
    return str(next((data[name] for name in names if data.get(name)), default))


def _time(value: Any, default: int) -> int:
    """A time as the Rust core writes it into its markers: `{"seconds": …, "nanos": …}`."""
    if not isinstance(value, dict):
        return default
    seconds, nanos = value.get("seconds", 0), value.get("nanos", 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int):
        return default
    return seconds * 1_000_000_000 + nanos


def _outcome(failure: Failure | None) -> Outcome:
    if failure is None:
        return Outcome.COMPLETED
    return {"canceled": Outcome.CANCELED, "timeout": Outcome.TIMED_OUT}.get(
        failure.kind, Outcome.FAILED
    )
