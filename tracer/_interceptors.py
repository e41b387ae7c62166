"""Interceptors: trace context from clients into runs, and one span for each attempt.

A history keeps only the last attempt of an activity. The earlier ones, with their own errors and
times, are seen here, on the worker that runs them, or nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import temporalio.activity
import temporalio.client
import temporalio.worker
from opentelemetry import trace
from temporalio.api.common.v1 import Payload

from tracer._attempt import Attempt
from tracer._emitter import Emitter
from tracer._headers import context_payload
from tracer._nexus import NexusInbound
from tracer.context import SpanRef
from tracer.names import HEADER, SpanKind
from tracer.names import Attribute as A


class EmittingInterceptor(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """For clients and workers alike."""

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
        return NexusInbound(next, self._emitter)


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

    async def query_workflow(self, input: temporalio.client.QueryWorkflowInput) -> Any:
        input.headers = self._with_context(input.headers)
        return await super().query_workflow(input)

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


class _ActivityInbound(temporalio.worker.ActivityInboundInterceptor):
    def __init__(
        self, next: temporalio.worker.ActivityInboundInterceptor, emitter: Emitter
    ) -> None:
        super().__init__(next)
        self._emitter = emitter

    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:
        attempt: Attempt | None = None
        with self._emitter.guard.shielded("starting an attempt"):
            info = temporalio.activity.info()
            attempt = Attempt(info, input.headers, input.args, self._emitter)
        if attempt is None:
            return await super().execute_activity(input)
        with self._emitter.around(attempt.span, attempt.tenant):
            try:
                result = await super().execute_activity(input)
            except BaseException as error:
                attempt.end(error)
                raise
            attempt.end(None, result)
            return result
