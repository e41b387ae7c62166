"""One GenAI operation as a context manager: its span, nested under whatever is current.

An operation that is already being watched gets no second span. If the current span is that of an
instrumentation for the same operation, its facts are added to it and its owner ends it; if it is
an operation of ours, this one becomes a part of it. In workflow code nothing is emitted: a replay
would repeat it. Errors of the tracer stay in its guard; an operation never fails because of it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from contextvars import Token
from datetime import UTC, datetime
from enum import Enum, auto
from functools import cached_property
from types import TracebackType
from typing import Final, Self, cast

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.status import Status, StatusCode
from opentelemetry.util.types import AttributeValue
from temporalio import workflow

from tracer._guard import Guard
from tracer.genai._errors import error_type_of, is_failure
from tracer.genai._instruments import GenAIMeters
from tracer.genai._providers import GUARD, Sinks, current_guard, current_sinks
from tracer.genai.reading import Attributes, GenAICall, operation_in, read_call
from tracer.names import Attribute as A

_OPEN: Final = otel_context.create_key("retrospan-genai-operation")
MAX_MESSAGE: Final = 1024
"""Characters of a message on a span."""


class Role(Enum):
    """What an operation is to the span that it writes on."""

    OWNER = auto()
    """It began the span and ends it."""
    GUEST = auto()
    """The span is an instrumentation's; it only adds to it."""
    PART = auto()
    """The span is that of another operation of ours, which writes."""
    SILENT = auto()
    """There is no span: workflow code, or the tracer failed."""


class Operation(ABC):
    """A model or tool call that is under way. Use it as a context manager, plain or async."""

    def __init__(
        self, name: str, kind: trace.SpanKind, attributes: dict[str, AttributeValue]
    ) -> None:
        self._asked = dict(attributes)
        self._attributes = attributes
        self._role = Role.SILENT
        self._name = name
        self._kind = kind
        self._span: trace.Span = trace.INVALID_SPAN
        self._guard: Guard = GUARD
        self._sinks: Sinks | None = None
        self._context = Context()
        self._token: Token[Context] | None = None
        self._outer: Operation | None = None
        self._failed = False
        self._start_ns = 0
        self._start_s = 0.0

    def __enter__(self) -> Self:
        self._guard = current_guard()
        with self._shielded("starting"):
            self._open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._shielded("finishing"):
            self._finish(error)
        with self._shielded("ending"):
            self._end()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, error, traceback)

    @property
    def span(self) -> trace.Span:
        """The span that this operation writes on, for attributes and events of your own."""
        return self._target._span

    def error(self, type: str, message: str = "") -> None:
        """Tell that the operation failed, where no exception does.

        Args:
            type: A short name of low cardinality, such as the provider's error code.
            message: For people; cut after 1,024 characters.
        """
        with self._shielded("noting an error"):
            target = self._target
            target._attributes[A.ERROR_TYPE.value] = type
            target._failed = True
            if target._role is Role.OWNER:
                target._span.set_status(Status(StatusCode.ERROR, message[:MAX_MESSAGE]))

    @abstractmethod
    def _is_same(self, call: GenAICall) -> bool:
        """Whether a span that tells of this call is the span of this very operation."""

    @abstractmethod
    def _complete(self) -> None:
        """Add to the attributes what is known at the end."""

    @abstractmethod
    def _measure(self, meters: GenAIMeters, seconds: float) -> None:
        """Record the metrics of an operation that has ended."""

    def _inner_context(self, context: Context) -> Context:
        """The context that the code inside runs under."""
        return context

    @cached_property
    def _call(self) -> GenAICall:
        return read_call(self._asked)

    @property
    def _target(self) -> Self:
        """The operation that writes: this one, or the one that it is a part of."""
        # Only an operation of the same class is joined.
        return self if self._outer is None else cast(Self, self._outer)

    @property
    def _elapsed(self) -> float:
        return time.perf_counter() - self._start_s

    @property
    def _started_at(self) -> datetime:
        return datetime.fromtimestamp(self._start_ns / 1e9, UTC)

    @property
    def _known(self) -> dict[str, AttributeValue]:
        """All that is known of the operation, also what stands on the span already."""
        return self._asked | self._attributes

    def _shielded(self, doing: str) -> AbstractContextManager[None, bool]:
        return self._guard.shielded(f"{doing} a GenAI operation")

    def _open(self) -> None:
        if workflow.in_workflow():
            return
        self._start_ns, self._start_s = time.time_ns(), time.perf_counter()
        current = trace.get_current_span()
        outer = otel_context.get_value(_OPEN)
        if isinstance(outer, type(self)) and self._joins(outer, current):
            self._outer = outer._target
            self._role = Role.PART
        else:
            self._sinks = current_sinks()
            self._begin(self._sinks, current)
        self._attach()

    def _joins(self, outer: Self, current: trace.Span) -> bool:
        target = outer._target
        return target._span is current and self._is_same(target._call)

    def _begin(self, sinks: Sinks, current: trace.Span) -> None:
        known = attributes_of(current)
        if current.is_recording() and operation_in(known) and self._is_same(read_call(known)):
            self._span, self._role = current, Role.GUEST
            self._attributes = {k: v for k, v in self._attributes.items() if k not in known}
            return
        self._span = sinks.tracer.start_span(
            self._name, kind=self._kind, attributes=self._attributes, start_time=self._start_ns
        )
        self._role = Role.OWNER

    def _attach(self) -> None:
        if self._role is Role.PART:
            return
        context = trace.set_span_in_context(self._span)
        self._context = otel_context.set_value(_OPEN, self, context)
        with self._shielded("preparing"):
            self._context = self._inner_context(self._context)
        self._token = otel_context.attach(self._context)

    def _finish(self, error: BaseException | None) -> None:
        if self._sinks is None or self._role not in (Role.OWNER, Role.GUEST):
            return
        if error is not None:
            self._note(error)
        self._complete()
        self._span.set_attributes(self._attributes)
        self._measure(self._sinks.meters, self._elapsed)

    def _note(self, error: BaseException) -> None:
        if self._role is not Role.OWNER:
            return
        self._attributes.setdefault(A.ERROR_TYPE.value, error_type_of(error))
        if self._is_failure(error) and not self._failed:
            self._span.set_status(Status(StatusCode.ERROR, str(error)[:MAX_MESSAGE]))

    def _is_failure(self, error: BaseException) -> bool:
        return is_failure(error)

    def _end(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            otel_context.detach(token)
        if self._role is Role.OWNER:
            self._span.end()


def open_operation() -> Operation | None:
    """The operation of ours that the current code is inside of."""
    operation = otel_context.get_value(_OPEN)
    return operation if isinstance(operation, Operation) else None


def attributes_of(span: trace.Span) -> Attributes:
    """What stands on a span; nothing if it is not one of the SDK, as only those can be read."""
    return dict(getattr(span, "attributes", None) or {})
