"""Nexus operations on the worker that handles them: a span for each try, under the step's."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import nexusrpc
import nexusrpc.handler
import temporalio.nexus
import temporalio.worker
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.status import Status, StatusCode

from tracer._attributes import Value, failure_attributes
from tracer._emitter import Emitter
from tracer._otel import otel_kind, parent_context
from tracer.context import parse_traceparent
from tracer.model.words import Failure, Outcome
from tracer.names import NEXUS_STEP_HEADER, SpanKind
from tracer.names import Attribute as A


class NexusInbound(temporalio.worker.NexusOperationInboundInterceptor):
    """Traces the tries. What a handler starts hangs under its span."""

    def __init__(
        self, next: temporalio.worker.NexusOperationInboundInterceptor, emitter: Emitter
    ) -> None:
        """Wrap the next interceptor."""
        super().__init__(next)
        self._emitter = emitter

    async def execute_nexus_operation_start(
        self, input: temporalio.worker.ExecuteNexusOperationStartInput
    ) -> (
        nexusrpc.handler.StartOperationResultSync[Any] | nexusrpc.handler.StartOperationResultAsync
    ):
        """See base class."""
        with self._handling("handle", input.ctx):
            return await super().execute_nexus_operation_start(input)

    async def execute_nexus_operation_cancel(
        self, input: temporalio.worker.ExecuteNexusOperationCancelInput
    ) -> None:
        """See base class."""
        with self._handling("cancel", input.ctx):
            await super().execute_nexus_operation_cancel(input)

    @contextmanager
    def _handling(self, verb: str, context: nexusrpc.handler.OperationContext) -> Iterator[None]:
        guard, span = self._emitter.guard, None
        with guard.shielded("starting a Nexus operation"):
            span = self._start(verb, context)
        if span is None:
            yield
            return
        error: BaseException | None = None
        try:
            with self._emitter.around(span):
                yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            with guard.shielded("ending a Nexus operation"):
                _end(span, error)

    def _start(self, verb: str, context: nexusrpc.handler.OperationContext) -> trace.Span:
        info = temporalio.nexus.info()
        attributes: dict[str, Value] = {
            A.SPAN_KIND.value: SpanKind.HANDLER.value,
            A.NEXUS_SERVICE.value: context.service,
            A.NEXUS_OPERATION.value: context.operation,
            A.TASK_QUEUE.value: info.task_queue,
        }
        namespace = getattr(info, "namespace", "")
        if namespace:
            attributes[A.NAMESPACE.value] = namespace
        return self._emitter.client_tracer.start_span(
            f"{verb} {context.service}/{context.operation}",
            context=_caller(context.headers),
            kind=otel_kind(SpanKind.HANDLER),
            attributes=attributes,
            start_time=time.time_ns(),
        )


def _caller(headers: Mapping[str, str]) -> Context | None:
    """The context of the step that called; `None` for what is current here, if anything is."""
    ours = parse_traceparent(headers.get(NEXUS_STEP_HEADER))
    if ours is None and trace.get_current_span().get_span_context().is_valid:
        return None
    caller = ours or parse_traceparent(headers.get("traceparent"))
    return parent_context(caller, sampled=True, remote=True) if caller else None


def _end(span: trace.Span, error: BaseException | None) -> None:
    failure = _failure(error)
    span.set_attributes({A.OUTCOME.value: _outcome(failure).value, **failure_attributes(failure)})
    if failure is not None and failure.kind != "canceled":
        span.set_status(Status(StatusCode.ERROR, failure.message))
    span.end()


def _failure(error: BaseException | None) -> Failure | None:
    match error:
        case None:
            return None
        case nexusrpc.OperationError():
            is_canceled = error.state is nexusrpc.OperationErrorState.CANCELED
            kind = "canceled" if is_canceled else "nexus_operation"
            return Failure(kind, type(error).__name__, str(error))
        case nexusrpc.HandlerError():
            return Failure("nexus_handler", error.type.name, str(error))
        case _:
            return Failure("application", type(error).__name__, str(error))


def _outcome(failure: Failure | None) -> Outcome:
    if failure is None:
        return Outcome.COMPLETED
    return Outcome.CANCELED if failure.kind == "canceled" else Outcome.FAILED
