"""One try of an activity, from its start on this worker to its end."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import temporalio.activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, CancelledError

from tracer._attributes import (
    TEXTS,
    Facts,
    Value,
    contents,
    failure_attributes,
    previous_attributes,
)
from tracer._emitter import Emitter
from tracer._previous import Previous
from tracer.context import SpanRef, caller_of
from tracer.identity import derived_trace_id, span_id
from tracer.model.words import Failure, Outcome
from tracer.names import HEADER, PLAIN, STEP_HEADER, SpanKind
from tracer.names import Attribute as A
from tracer.spans import SpanRecord, attempt_span_id

_OUTCOMES: Final = {"canceled": Outcome.CANCELED, "timeout": Outcome.TIMED_OUT}
_IDENTITY: Final = f"{os.getpid()}@{socket.gethostname()}"
"""What the SDK calls a worker that has no name."""
_INFO: Final = Facts(
    {
        A.WORKFLOW_ID: "workflow_id",
        A.RUN_ID: "workflow_run_id",
        A.WORKFLOW_TYPE: "workflow_type",
        A.ACTIVITY_ID: "activity_id",
        A.ACTIVITY_TYPE: "activity_type",
        A.ACTIVITY_ATTEMPT: "attempt",
        A.IS_LOCAL: "is_local",
        A.TASK_QUEUE: "task_queue",
    }
)
_COMPLETES_ELSEWHERE: Final[type[BaseException]] = getattr(
    temporalio.activity, "_CompleteAsyncError", GeneratorExit
)
"""What `activity.raise_complete_async` raises: no failure, and no end either."""


class Attempt:
    """One attempt, while it runs and as its span."""

    def __init__(
        self,
        info: temporalio.activity.Info,
        headers: Mapping[str, Payload],
        args: Sequence[Any],
        emitter: Emitter,
    ) -> None:
        """Begin the span; `end` has to be called."""
        self._emitter = emitter
        self._info = info
        self._asked: asyncio.Task[None] | None = None
        self.tenant = ""
        """Whom it is for; empty if nobody knows."""
        self._is_shown = emitter.settings.content.allows(info.workflow_type or "")
        """What goes in and comes out."""
        step = _step_ref(info, headers)
        has_parent = info.workflow_id or HEADER in headers or STEP_HEADER in headers
        self._record = SpanRecord(
            trace_id=step.trace_id,
            span_id=attempt_span_id(_run_id(info), step.span_id, info.activity_id, info.attempt),
            parent=step if has_parent else None,
            kind=SpanKind.ATTEMPT,
            name=f"attempt {info.activity_type}",
            start_ns=time.time_ns(),
            end_ns=0,
            is_error=False,
            status_message="",
            attributes=self._attributes(headers, args),
            sampled=step.sampled,
        )
        self.span = emitter.start(self._record)
        if info.attempt > 1:
            self._look_back()

    def end(self, error: BaseException | None, result: Any = None) -> None:
        """Close the span with how it ended, and count it."""
        guard = self._emitter.guard
        with guard.shielded("ending an attempt"):
            self._finish(error, result)
            if self._asked is None or self._asked.done():
                self._end()
                return

            def answered(_: object) -> None:
                with guard.shielded("ending an attempt"):
                    self._end()

            self._asked.add_done_callback(answered)

    def _attributes(self, headers: Mapping[str, Payload], args: Sequence[Any]) -> dict[str, Value]:
        info, settings = self._info, self._emitter.settings
        scheduled = info.current_attempt_scheduled_time
        namespace = info.workflow_namespace or getattr(info, "namespace", None) or ""
        if settings.tenant:
            self.tenant = settings.tenant.of_attempt(namespace, headers)
        # An activity that no workflow asked for has no run.
        values: dict[str, Value] = {key: "" if v is None else v for key, v in _INFO.of(info)}
        values[PLAIN[A.SPAN_KIND]] = TEXTS[SpanKind.ATTEMPT]
        values[PLAIN[A.NAMESPACE]] = namespace
        values[PLAIN[A.IDENTITY]] = (
            self._emitter.workers.identity_at(info.task_queue) or _identity()
        )
        values[PLAIN[A.SCHEDULED_AT]] = scheduled.isoformat()
        queued = (info.started_time - scheduled).total_seconds()
        values[PLAIN[A.QUEUE_SECONDS]] = max(queued, 0.0)
        if self.tenant:
            values[PLAIN[A.TENANT]] = self.tenant
        if self._is_shown:
            values.update(self._contents(args=args))
        return values

    def _contents(self, args: Sequence[Any] = (), result: Sequence[Any] = ()) -> dict[str, Value]:
        convert = temporalio.activity.payload_converter().to_payloads
        policy, workflow_type = self._emitter.settings.content, self._info.workflow_type or ""
        shown = contents(policy, workflow_type, convert(args), convert(result))
        return {PLAIN[key]: value for key, value in shown.items()}

    def _look_back(self) -> None:
        memory = self._emitter.memory
        known = memory.recall(self._info)
        if known is not None:
            self._learn(known)
            return
        client = self._emitter.workers.client_at(self._info.task_queue) or _client()
        if client is not None and self._info.workflow_id and not self._info.is_local:
            self._asked = memory.ask(client, self._info, self._learn)

    def _learn(self, previous: Previous) -> None:
        attributes = previous_attributes(previous.failure)
        if previous.ended_at:
            info = self._info
            # Of a local activity the SDK knows when the first attempt was asked for, no more.
            asked = info.started_time if info.is_local else info.current_attempt_scheduled_time
            backoff = asked.timestamp() - previous.ended_at
            attributes[A.BACKOFF_SECONDS.value] = max(backoff, 0.0)
        self._emitter.learn(self.span, self._record, attributes)

    def _finish(self, error: BaseException | None, result: Any) -> None:
        """Note how it ended."""
        record, goes_on = self._record, isinstance(error, _COMPLETES_ELSEWHERE)
        failure = None if goes_on else _failure(error)
        attributes: dict[str, Value] = {}
        if not goes_on:
            attributes[PLAIN[A.OUTCOME]] = TEXTS[_outcome(failure)]
            attributes[PLAIN[A.IS_LAST_ATTEMPT]] = _is_last(self._info, failure)
        if error is None and result is not None and self._is_shown:
            attributes.update(self._contents(result=[result]))
        if failure is not None:
            attributes.update(failure_attributes(failure))
            self._emitter.memory.remember(self._info, Previous(failure, time.time()))
            record.is_error = failure.kind != "canceled" and not failure.benign
            record.status_message = failure.message
        self._emitter.learn(self.span, record, attributes)
        record.end_ns = time.time_ns()

    def _end(self) -> None:
        # A local activity counts only if the workflow task does that it is part of.
        run_id = self._info.workflow_run_id if self._info.is_local else None
        self._emitter.end(self.span, self._record, in_task_of=run_id)


def _run_id(info: temporalio.activity.Info) -> str:
    # A standalone activity belongs to no run; its own id takes the place.
    return info.workflow_run_id or getattr(info, "activity_run_id", None) or ""


def _step_kind(info: temporalio.activity.Info) -> SpanKind:
    return SpanKind.LOCAL if info.is_local else SpanKind.STEP


def _step_ref(info: temporalio.activity.Info, headers: Mapping[str, Payload]) -> SpanRef:
    """The step's span: from the header, or derived where the workflow's worker has no tracer."""
    run_id = _run_id(info)
    return caller_of(headers) or SpanRef(
        derived_trace_id(run_id), span_id(run_id, _step_kind(info), info.activity_id)
    )


def _client() -> Client | None:
    """The worker's client, which the SDK hands to asynchronous activities only."""
    try:
        return temporalio.activity.client()
    except RuntimeError:
        return None


def _identity() -> str:
    client = _client()
    return client.identity if client else _IDENTITY


def _failure(error: BaseException | None) -> Failure | None:
    """The failure as a history would record it, so that both have one fingerprint."""
    match error:
        case None:
            return None
        case ApplicationError():
            return Failure(
                kind="application",
                type=error.type or type(error).__name__,
                message=error.message,
                non_retryable=error.non_retryable,
                benign=error.category is ApplicationErrorCategory.BENIGN,
                cause=_cause(error),
            )
        case CancelledError() | asyncio.CancelledError():
            return _cancellation(error)
        case _:
            return Failure("application", type(error).__name__, str(error), cause=_cause(error))


def _cancellation(error: BaseException) -> Failure:
    # A worker cancels an attempt that exceeds its time, at times without saying why (SDK 1.35);
    # the server calls that a timeout.
    info = temporalio.activity.info()
    limit = info.start_to_close_timeout
    if limit is not None and datetime.now(UTC) - info.started_time >= limit:
        return Failure("timeout", "START_TO_CLOSE", "activity StartToClose timeout")
    return Failure("canceled", "", str(error) or "Cancelled")


def _cause(error: BaseException) -> Failure | None:
    return _failure(error.__cause__) if error.__cause__ is not error else None


def _outcome(failure: Failure | None) -> Outcome:
    if failure is None:
        return Outcome.COMPLETED
    return _OUTCOMES.get(failure.kind, Outcome.FAILED)


def _is_last(info: temporalio.activity.Info, failure: Failure | None) -> bool:
    """Whether Temporal will not try again, as far as the attempt itself can know."""
    if failure is None or failure.kind == "canceled" or failure.non_retryable:
        return True
    policy = info.retry_policy
    if policy is None:
        return False
    is_listed = failure.type in (policy.non_retryable_error_types or ())
    return is_listed or 0 < policy.maximum_attempts <= info.attempt
