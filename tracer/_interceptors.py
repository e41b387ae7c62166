"""Interceptors: trace context from clients into runs, and one span for each attempt.

A history keeps only the last attempt of an activity. The earlier ones, with their own errors and
times, are seen here, on the worker that runs them, or nowhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import nexusrpc.handler
import temporalio.activity
import temporalio.client
import temporalio.worker
from opentelemetry import trace
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, CancelledError

from tracer._emitter import Emitter
from tracer._otel import remote_span
from tracer._runner import context_payload
from tracer.context import SpanRef, caller_of, parse_traceparent
from tracer.identity import derived_trace_id, span_id
from tracer.model.words import Failure, Outcome
from tracer.names import HEADER, SpanKind
from tracer.names import Attribute as A
from tracer.spans import SpanRecord, Value, attempt_span_id, failure_attributes

_OUTCOMES = {"canceled": Outcome.CANCELED, "timeout": Outcome.TIMED_OUT}


class TracerInterceptor(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """For clients and workers alike; `TracerPlugin` registers it by itself."""

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter

    def intercept_client(
        self, next: temporalio.client.OutboundInterceptor
    ) -> temporalio.client.OutboundInterceptor:
        """See base class."""
        return _ClientOutbound(next, self._emitter)

    def intercept_activity(
        self, next: temporalio.worker.ActivityInboundInterceptor
    ) -> temporalio.worker.ActivityInboundInterceptor:
        """See base class."""
        return _ActivityInbound(next, self._emitter)

    def intercept_nexus_operation(
        self, next: temporalio.worker.NexusOperationInboundInterceptor
    ) -> temporalio.worker.NexusOperationInboundInterceptor:
        """See base class."""
        return _NexusInbound(next, self._emitter)


class _ClientOutbound(temporalio.client.OutboundInterceptor):
    def __init__(self, next: temporalio.client.OutboundInterceptor, emitter: Emitter) -> None:
        super().__init__(next)
        self._emitter = emitter

    async def start_workflow(
        self, input: temporalio.client.StartWorkflowInput
    ) -> temporalio.client.WorkflowHandle[Any, Any]:
        if HEADER in input.headers:
            return await super().start_workflow(input)
        with self._starting(input.workflow, _of_workflow(input)):
            input.headers = self._with_context(input.headers)
            return await super().start_workflow(input)

    async def start_update_with_start_workflow(
        self, input: temporalio.client.StartWorkflowUpdateWithStartInput
    ) -> temporalio.client.WorkflowUpdateHandle[Any]:
        first, update = input.start_workflow_input, input.update_workflow_input
        with self._starting(first.workflow, _of_workflow(first)):
            first.headers = self._with_context(first.headers)
            update.headers = self._with_context(update.headers)
            return await super().start_update_with_start_workflow(input)

    async def start_activity(
        self, input: temporalio.client.StartActivityInput
    ) -> temporalio.client.ActivityHandle[Any]:
        if HEADER in input.headers:
            return await super().start_activity(input)
        attributes = {
            A.SPAN_KIND.value: SpanKind.START.value,
            A.ACTIVITY_ID.value: input.id,
            A.ACTIVITY_TYPE.value: input.activity_type,
            A.TASK_QUEUE.value: input.task_queue,
        }
        with self._starting(input.activity_type, attributes):
            input.headers = self._with_context(input.headers)
            return await super().start_activity(input)

    async def signal_workflow(self, input: temporalio.client.SignalWorkflowInput) -> None:
        input.headers = self._with_context(input.headers)
        await super().signal_workflow(input)

    async def start_workflow_update(
        self, input: temporalio.client.StartWorkflowUpdateInput
    ) -> temporalio.client.WorkflowUpdateHandle[Any]:
        input.headers = self._with_context(input.headers)
        return await super().start_workflow_update(input)

    @contextmanager
    def _starting(self, what: str, attributes: Mapping[str, str]) -> Iterator[None]:
        """A span that is current while a client starts something."""
        guard, span = self._emitter.guard, None
        with guard.shielded("starting a client's span"):
            span = self._emitter.client_tracer.start_span(
                f"start {what}", kind=trace.SpanKind.CLIENT, attributes=attributes
            )
        if span is None:
            yield
            return
        try:
            with trace.use_span(span):
                yield
        finally:
            with guard.shielded("ending a client's span"):
                span.end()

    def _with_context(self, headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
        with self._emitter.guard.shielded("sending a client's context"):
            return _with_current_context(headers)
        return headers


def _of_workflow(
    input: temporalio.client.StartWorkflowInput
    | temporalio.client.UpdateWithStartStartWorkflowInput,
) -> dict[str, str]:
    return {
        A.SPAN_KIND.value: SpanKind.START.value,
        A.WORKFLOW_ID.value: input.id,
        A.WORKFLOW_TYPE.value: input.workflow,
        A.TASK_QUEUE.value: input.task_queue,
    }


def _with_current_context(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    context = trace.get_current_span().get_span_context()
    if not context.is_valid or HEADER in headers:
        return headers
    ref = SpanRef(context.trace_id, context.span_id, context.trace_flags.sampled)
    return {**headers, HEADER: context_payload(ref)}


class _NexusInbound(temporalio.worker.NexusOperationInboundInterceptor):
    """Makes the caller's span current, so that what the handler starts hangs in its trace."""

    def __init__(
        self, next: temporalio.worker.NexusOperationInboundInterceptor, emitter: Emitter
    ) -> None:
        super().__init__(next)
        self._emitter = emitter

    async def execute_nexus_operation_start(
        self, input: temporalio.worker.ExecuteNexusOperationStartInput
    ) -> (
        nexusrpc.handler.StartOperationResultSync[Any] | nexusrpc.handler.StartOperationResultAsync
    ):
        caller: SpanRef | None = None
        with self._emitter.guard.shielded("starting a Nexus operation"):
            caller = parse_traceparent(input.ctx.headers.get("traceparent"))
        if caller is None or trace.get_current_span().get_span_context().is_valid:
            return await super().execute_nexus_operation_start(input)
        with trace.use_span(remote_span(caller)):
            return await super().execute_nexus_operation_start(input)


class _ActivityInbound(temporalio.worker.ActivityInboundInterceptor):
    def __init__(
        self, next: temporalio.worker.ActivityInboundInterceptor, emitter: Emitter
    ) -> None:
        super().__init__(next)
        self._emitter = emitter

    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:
        attempt: _Attempt | None = None
        with self._emitter.guard.shielded("starting an attempt"):
            attempt = _Attempt(temporalio.activity.info(), input.headers, self._emitter)
        if attempt is None:
            return await super().execute_activity(input)
        with self._emitter.around(attempt.span):
            try:
                result = await super().execute_activity(input)
            except BaseException as error:
                attempt.end(error)
                raise
            attempt.end(None)
            return result


class _Attempt:
    """One attempt, from its start on this worker to its end."""

    def __init__(
        self, info: temporalio.activity.Info, headers: Mapping[str, Payload], emitter: Emitter
    ) -> None:
        self._emitter = emitter
        self._info = info
        step = _step_ref(info, headers)
        self._record = SpanRecord(
            trace_id=step.trace_id,
            span_id=attempt_span_id(_run_id(info), step.span_id, info.activity_id, info.attempt),
            parent=step if info.workflow_id or HEADER in headers else None,
            kind=SpanKind.ATTEMPT,
            name=f"attempt {info.activity_type}",
            start_ns=time.time_ns(),
            end_ns=0,
            is_error=False,
            status_message="",
            attributes=_attributes(info),
        )
        self.span = emitter.start(self._record, sampled=step.sampled)

    def end(self, error: BaseException | None) -> None:
        """Close the span with how it ended, and count it."""
        with self._emitter.guard.shielded("ending an attempt"):
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        failure = _failure(error)
        attributes: dict[str, Value] = {A.OUTCOME.value: _outcome(failure).value}
        attributes.update(failure_attributes(failure))
        attributes[A.IS_LAST_ATTEMPT.value] = _is_last(self._info, failure)
        self.span.set_attributes(attributes)
        is_error = failure is not None and failure.kind != "canceled" and not failure.benign
        record = replace(
            self._record,
            end_ns=time.time_ns(),
            is_error=is_error,
            status_message=failure.message if failure else "",
            attributes={**self._record.attributes, **attributes},
        )
        # A local activity counts only if the workflow task does that it is part of.
        run_id = self._info.workflow_run_id if self._info.is_local else None
        self._emitter.end(self.span, record, in_task_of=run_id)


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


def _attributes(info: temporalio.activity.Info) -> dict[str, Value]:
    scheduled = info.current_attempt_scheduled_time
    return {
        A.SPAN_KIND.value: SpanKind.ATTEMPT.value,
        A.WORKFLOW_ID.value: info.workflow_id or "",
        A.RUN_ID.value: info.workflow_run_id or "",
        A.NAMESPACE.value: info.workflow_namespace or "",
        A.WORKFLOW_TYPE.value: info.workflow_type or "",
        A.ACTIVITY_ID.value: info.activity_id,
        A.ACTIVITY_TYPE.value: info.activity_type,
        A.ACTIVITY_ATTEMPT.value: info.attempt,
        A.IS_LOCAL.value: info.is_local,
        A.TASK_QUEUE.value: info.task_queue,
        A.SCHEDULED_AT.value: scheduled.isoformat(),
        A.QUEUE_SECONDS.value: _seconds_between(scheduled, info.started_time),
    }


def _seconds_between(earlier: datetime, later: datetime) -> float:
    return max((later - earlier).total_seconds(), 0.0)


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
