"""Where the tracer looks: at the boundary between Temporal's worker and workflow code.

Each activation passes here with its jobs, and comes back with its commands, on the host side of the
sandbox. That shows timers, patches and failures which no interceptor sees. Both classes wrap by
delegation: they pass every call on, so that methods which a new SDK adds keep working.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from temporalio.api.common.v1 import Payload
from temporalio.worker import WorkflowRunner

from tracer._emitter import Emitter
from tracer.context import SpanRef, caller_of
from tracer.identity import RunKey
from tracer.model.activations import ActivationReader, Changes
from tracer.names import HEADER, LINK_HEADER
from tracer.spans import RunSpans

if TYPE_CHECKING:
    from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails


class TracingRunner(WorkflowRunner):
    """Any workflow runner, with every instance that it makes watched."""

    def __init__(self, runner: WorkflowRunner, emitter: Emitter) -> None:
        self._runner = runner
        self._emitter = emitter

    def prepare_workflow(self, defn: Any) -> None:
        """Pass on."""
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        """Pass on."""
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance of the wrapped runner, watched."""
        instance = self._runner.create_instance(det)
        with self._emitter.guard.shielded("creating an instance"):
            key = RunKey(det.info.namespace, det.info.workflow_id, det.info.run_id)
            return cast("WorkflowInstance", TracingInstance(instance, key, self._emitter))
        return instance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


class TracingInstance:
    """A workflow instance that tells the emitter what each activation brought to an end."""

    def __init__(self, instance: WorkflowInstance, key: RunKey, emitter: Emitter) -> None:
        self._instance = instance
        self._emitter = emitter
        self._reader = ActivationReader(key)
        self._spans: RunSpans | None = None
        self._sampled = True
        self._failed_tasks = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def activate(self, act: Any) -> Any:
        """Let the workflow code run, and note what came in and out."""
        guard = self._emitter.guard
        with guard.shielded("reading jobs"):
            self._reader.jobs(act)
        completion = self._instance.activate(act)
        with guard.shielded("reading commands"):
            changes = self._reader.commands(completion)
            self._spans_of_run()
            self._send_context(completion)
            # What replays has been told before: by this worker, or by the one that had the run.
            if not act.is_replaying:
                self._tell(changes)
        return completion

    def _spans_of_run(self) -> RunSpans:
        if self._spans is None:
            run = self._reader.machine.run
            self._spans = RunSpans(run)
            self._sampled = self._emitter.is_sampled(
                self._spans.trace_id, caller_of(run.headers), f"run {run.workflow_type}"
            )
        return self._spans

    def _tell(self, changes: Changes) -> None:
        if not self._sampled:
            return
        spans, emit = self._spans_of_run(), self._emitter.emit
        if changes.started:
            emit(spans.anchor())
        for step in changes.steps:
            emit(spans.step(step))
        for wait in changes.waits:
            emit(spans.wait(wait))
        for signal in changes.signals:
            emit(spans.signal(signal))
        for update in changes.updates:
            emit(spans.update(update))
        if changes.closed:
            emit(spans.workflow())

    def _send_context(self, completion: Any) -> None:
        """Put trace context into the headers of what the workflow asks for.

        Headers are no part of what Temporal compares on replay.
        """
        if not completion.HasField("successful"):
            return
        spans = self._spans_of_run()
        for command in completion.successful.commands:
            name = command.WhichOneof("variant")
            if name == "continue_as_new_workflow_execution":
                _put(getattr(command, name).headers, LINK_HEADER, spans.root, self._sampled)
                continue
            step = self._reader.step_of(command)
            if step is None or name in (
                "start_timer",
                "request_cancel_external_workflow_execution",
            ):
                continue
            self._send_step_context(name, getattr(command, name), spans.step_ref(step))

    def _send_step_context(self, name: str, attributes: Any, ref: SpanRef) -> None:
        if name == "schedule_nexus_operation":
            # Nexus headers are plain strings in W3C's own names.
            if "traceparent" not in attributes.nexus_header:
                attributes.nexus_header["traceparent"] = _with_flag(ref, self._sampled).traceparent
            return
        _put(attributes.headers, HEADER, ref, self._sampled)


def context_payload(ref: SpanRef) -> Payload:
    """A header payload that carries the context, in the form that Temporal's own plugins use."""
    data = json.dumps({"traceparent": ref.traceparent}).encode()
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


def _put(headers: Any, name: str, ref: SpanRef, sampled: bool) -> None:
    if name not in headers:
        headers[name].CopyFrom(context_payload(_with_flag(ref, sampled)))


def _with_flag(ref: SpanRef, sampled: bool) -> SpanRef:
    return SpanRef(ref.trace_id, ref.span_id, sampled)
