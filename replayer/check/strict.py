"""What the SDK's Replayer lets pass: a command of the same kind and name that asks otherwise.

Compared are arguments, timeouts, retry policies, task queues, results and a few options. What may
differ for another reason is not: headers carry trace context, summaries are for people, ids of
requests are random. The server completes what it records (a retry policy's defaults, timeouts that
follow from others, the limit of the run); a value that it may have filled in counts as not set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent

from replayer.check.commands import duration, recorded_commands
from replayer.check.matching import Pair, match
from replayer.check.model import CommandKind, Finding, FindingKind
from replayer.check.watching import Activation
from replayer.history import RunHistory, decode

__all__ = ["findings_of"]

_SHOWN = 200
_DEFAULT_INTERVAL_NS = 1_000_000_000
_MAXIMUM_OF_INITIAL = 100
"""The server's default for the longest interval, in first intervals."""


@dataclass(frozen=True, slots=True)
class _Difference:
    kind: FindingKind
    field: str
    recorded: str
    now: str


type _Differences = Iterator[_Difference]


def findings_of(history: RunHistory, activations: Sequence[Activation]) -> Iterator[Finding]:
    """Every difference between what code asks for and the command that history took it for.

    Args:
        history: With payloads as the converter reads them.
        activations: Of a replay that the SDK accepted.
    """
    limits = _Run(history.events[0])
    for pair in match(recorded_commands(history.events), activations).pairs:
        compare = _COMPARED.get(pair.asked.variant)
        if compare is None or pair.recorded.command.kind is CommandKind.LOCAL_ACTIVITY:
            continue
        now = getattr(pair.asked.proto, pair.asked.variant)
        for found in compare(pair.recorded.attributes, now, limits):
            yield Finding(found.kind, _shown(pair), found.field, found.recorded, found.now)


def _shown(pair: Pair) -> Any:
    return replace(pair.asked.shown(), event_id=pair.recorded.event.event_id)


class _Run:
    """What the run's start says that the server completes commands with."""

    def __init__(self, first: HistoryEvent) -> None:
        started = first.workflow_execution_started_event_attributes
        self.run_timeout = started.workflow_run_timeout.ToNanoseconds()
        self.task_queue = started.task_queue.name


# -- parts -----------------------------------------------------------------------------------------


def _payloads(
    recorded: Iterable[Payload],
    now: Iterable[Payload],
    kind: FindingKind = FindingKind.ARGUMENTS,
    field: str = "argument",
) -> _Differences:
    before, after = list(recorded), list(now)
    for index in range(max(len(before), len(after))):
        old = before[index] if index < len(before) else None
        new = after[index] if index < len(after) else None
        if not _same_payload(old, new):
            name = f"{field} {index + 1}" if field == "argument" else field
            yield _Difference(kind, name, _text(old), _text(new))


def _same_payload(one: Payload | None, other: Payload | None) -> bool:
    if one is None or other is None:
        # No payload and a null one are the same to whoever reads them.
        return _is_null(one) and _is_null(other)
    if one.data == other.data:
        return True
    first, second = decode(one), decode(other)
    # Keys of an object have no order.
    return first.json is not None and first.json == second.json


def _is_null(payload: Payload | None) -> bool:
    return payload is None or payload.metadata["encoding"] == b"binary/null"


def _text(payload: Payload | None) -> str:
    if payload is None:
        return "nothing"
    shown = decode(payload)
    text = shown.text if shown.text is not None else shown.note or f"{shown.size} bytes"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _duration(
    field: str, recorded: Any, now: Any, fills: Iterable[int], caps: Iterable[int] = ()
) -> _Differences:
    """A timeout: `fills` are what the server may put in for none, `caps` what limits it."""
    before, after = getattr(recorded, field), getattr(now, field)
    old, new = before.ToNanoseconds(), after.ToNanoseconds()
    limited = {min(new, cap) for cap in caps if cap}
    if old == new or (not new and old in {0, *fills}) or (new and old in limited):
        return
    yield _Difference(FindingKind.TIMEOUTS, field, _span(before), _span(after))


def _span(value: Any) -> str:
    return duration(value) if value.ToNanoseconds() else "none"


def _retry_policy(recorded: Any, now: Any) -> _Differences:
    if not now.HasField("retry_policy"):
        if recorded.HasField("retry_policy") and not _is_default(recorded.retry_policy):
            yield _policy("retry_policy", _policy_text(recorded.retry_policy), "none")
        return
    if not recorded.HasField("retry_policy"):
        yield _policy("retry_policy", "none", _policy_text(now.retry_policy))
        return
    old, new = recorded.retry_policy, now.retry_policy
    first = old.initial_interval.ToNanoseconds()
    for field, fills in (
        ("initial_interval", {_DEFAULT_INTERVAL_NS}),
        ("maximum_interval", {_MAXIMUM_OF_INITIAL * first}),
    ):
        one, other = getattr(old, field), getattr(new, field)
        is_filled = not other.ToNanoseconds() and one.ToNanoseconds() in {0, *fills}
        if one.ToNanoseconds() != other.ToNanoseconds() and not is_filled:
            yield _policy(f"retry_policy.{field}", _span(one), _span(other))
    if old.backoff_coefficient != (new.backoff_coefficient or 2.0):
        yield _policy(
            "retry_policy.backoff_coefficient",
            f"{old.backoff_coefficient:g}",
            f"{new.backoff_coefficient:g}",
        )
    if old.maximum_attempts != new.maximum_attempts:
        yield _policy(
            "retry_policy.maximum_attempts", str(old.maximum_attempts), str(new.maximum_attempts)
        )
    before, after = list(old.non_retryable_error_types), list(new.non_retryable_error_types)
    if before != after:
        yield _policy("retry_policy.non_retryable_error_types", ", ".join(before), ", ".join(after))


def _is_default(policy: Any) -> bool:
    interval = policy.initial_interval.ToNanoseconds()
    return (
        interval in (0, _DEFAULT_INTERVAL_NS)
        and policy.backoff_coefficient in (0.0, 2.0)
        and policy.maximum_interval.ToNanoseconds() in (0, _MAXIMUM_OF_INITIAL * interval)
        and not policy.maximum_attempts
        and not policy.non_retryable_error_types
    )


def _policy(field: str, recorded: str, now: str) -> _Difference:
    return _Difference(FindingKind.RETRY_POLICY, field, recorded, now)


def _policy_text(policy: Any) -> str:
    attempts = policy.maximum_attempts or "any number of"
    return f"{attempts} attempts from {_span(policy.initial_interval)}"


def _task_queue(recorded: Any, now: Any, inherited: str) -> _Differences:
    old, new = recorded.task_queue.name, now.task_queue or inherited
    if old != new:
        yield _Difference(FindingKind.TASK_QUEUE, "task_queue", old, new)


def _plain(
    field: str,
    recorded: Any,
    now: Any,
    *,
    default: int = 0,
    kind: FindingKind = FindingKind.OPTIONS,
) -> _Differences:
    if recorded != now and not (now == 0 and recorded == default):
        yield _Difference(kind, field, str(recorded), str(now))


# -- commands --------------------------------------------------------------------------------------


def _activity(recorded: Any, now: Any, run: _Run) -> _Differences:
    yield from _payloads(recorded.input.payloads, now.arguments)
    close = now.schedule_to_close_timeout.ToNanoseconds()
    start = now.start_to_close_timeout.ToNanoseconds()
    limits = {run.run_timeout, close}
    yield from _duration("schedule_to_close_timeout", recorded, now, {run.run_timeout}, limits)
    yield from _duration("schedule_to_start_timeout", recorded, now, limits, limits)
    yield from _duration("start_to_close_timeout", recorded, now, limits, limits)
    yield from _duration("heartbeat_timeout", recorded, now, (), {*limits, start})
    yield from _retry_policy(recorded, now)
    yield from _task_queue(recorded, now, run.task_queue)


def _timer(recorded: Any, now: Any, run: _Run) -> _Differences:
    yield from _duration("start_to_fire_timeout", recorded, now, ())


def _child(recorded: Any, now: Any, run: _Run) -> _Differences:
    yield from _payloads(recorded.input.payloads, now.input)
    yield from _plain("workflow_id", recorded.workflow_id, now.workflow_id, kind=FindingKind.TARGET)
    for field in ("workflow_execution_timeout", "workflow_run_timeout"):
        execution = now.workflow_execution_timeout.ToNanoseconds()
        yield from _duration(field, recorded, now, {execution, run.run_timeout}, {execution})
    yield from _retry_policy(recorded, now)
    yield from _task_queue(recorded, now, run.task_queue)
    yield from _plain(
        "parent_close_policy", recorded.parent_close_policy, now.parent_close_policy, default=1
    )
    yield from _plain("cron_schedule", recorded.cron_schedule, now.cron_schedule)


def _signal(recorded: Any, now: Any, run: _Run) -> _Differences:
    yield from _payloads(recorded.input.payloads, now.args)
    yield from _plain("signal_name", recorded.signal_name, now.signal_name, kind=FindingKind.TARGET)
    target = now.child_workflow_id or now.workflow_execution.workflow_id
    yield from _plain(
        "workflow_id", recorded.workflow_execution.workflow_id, target, kind=FindingKind.TARGET
    )


def _nexus(recorded: Any, now: Any, run: _Run) -> _Differences:
    yield from _payloads([recorded.input], [now.input])
    fills = {run.run_timeout}
    yield from _duration("schedule_to_close_timeout", recorded, now, fills, fills)


def _search_attributes(recorded: Any, now: Any, run: _Run) -> _Differences:
    yield from _fields(
        "search attribute",
        recorded.search_attributes.indexed_fields,
        now.search_attributes.indexed_fields,
    )


def _memo(recorded: Any, now: Any, run: _Run) -> _Differences:
    yield from _fields("memo", recorded.upserted_memo.fields, now.upserted_memo.fields)


def _fields(what: str, recorded: Any, now: Any) -> _Differences:
    for name in sorted({*recorded, *now}):
        old = recorded[name] if name in recorded else None  # noqa: SIM401 - a protobuf map
        new = now[name] if name in now else None  # noqa: SIM401
        if not _same_payload(old, new):
            yield _Difference(FindingKind.OPTIONS, f"{what} {name}", _text(old), _text(new))


def _completed(recorded: Any, now: Any, run: _Run) -> _Differences:
    new = [now.result] if now.HasField("result") else []
    yield from _payloads(recorded.result.payloads, new, FindingKind.RESULT, "result")


def _failed(recorded: Any, now: Any, run: _Run) -> _Differences:
    old, new = recorded.failure, now.failure
    if (old.message, _type(old)) != (new.message, _type(new)):
        yield _Difference(FindingKind.FAILURE, "failure", _failure_text(old), _failure_text(new))


def _type(failure: Any) -> str:
    return str(failure.application_failure_info.type)


def _failure_text(failure: Any) -> str:
    kind = _type(failure)
    return f"{kind}: {failure.message}" if kind else failure.message


def _continued(recorded: Any, now: Any, run: _Run) -> _Differences:
    yield from _payloads(recorded.input.payloads, now.arguments)
    if now.workflow_type:
        yield from _plain(
            "workflow_type",
            recorded.workflow_type.name,
            now.workflow_type,
            kind=FindingKind.TARGET,
        )
    yield from _task_queue(recorded, now, run.task_queue)


def _update(recorded: Any, now: Any, run: _Run) -> _Differences:
    if now.WhichOneof("response") == "accepted":
        return
    outcome = recorded.outcome
    if outcome.HasField("failure") != (now.WhichOneof("response") == "rejected"):
        words = {True: "refused", False: "completed"}
        was, is_ = outcome.HasField("failure"), not outcome.HasField("failure")
        yield _Difference(FindingKind.RESULT, "update", words[was], words[is_])
    elif outcome.HasField("success"):
        new = [now.completed]
        yield from _payloads(outcome.success.payloads, new, FindingKind.RESULT, "update result")


_COMPARED: dict[str, Callable[[Any, Any, _Run], _Differences]] = {
    "schedule_activity": _activity,
    "start_timer": _timer,
    "start_child_workflow_execution": _child,
    "signal_external_workflow_execution": _signal,
    "schedule_nexus_operation": _nexus,
    "upsert_workflow_search_attributes": _search_attributes,
    "modify_workflow_properties": _memo,
    "complete_workflow_execution": _completed,
    "fail_workflow_execution": _failed,
    "continue_as_new_workflow_execution": _continued,
    "update_response": _update,
}
