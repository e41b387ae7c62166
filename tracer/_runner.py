"""Where the tracer looks: at the boundary between Temporal's worker and workflow code.

Each activation passes here with its jobs, and comes back with its commands, on the host side of the
sandbox. That shows timers, patches and failures which no interceptor sees. Both classes wrap by
delegation: they pass every call on, so that methods which a new SDK adds keep working.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

from temporalio.api.common.v1 import Payload
from temporalio.worker import WorkflowRunner

from tracer._emitter import Emitter
from tracer._evictions import EXECUTION_ENDING, REFUSED, eviction_in, failed_task
from tracer.context import SpanRef, caller_of
from tracer.identity import RunKey
from tracer.model.activations import ActivationReader, Changes, is_about_the_run
from tracer.model.cancellation import trace_state
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
        self._run_id = key.run_id
        self._reader = ActivationReader(key)
        self._spans: RunSpans | None = None
        self._sampled = True
        self._held_task: int | None = None
        self._has_failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def activate(self, act: Any) -> Any:
        """Let the workflow code run, and note what came in and out."""
        guard = self._emitter.guard
        with guard.shielded("reading jobs"):
            eviction = eviction_in(act)
            if eviction is not None:
                self._evicted(eviction)
            self._settle(act)
            self._reader.jobs(act)
        completion = self._instance.activate(act)
        with guard.shielded("reading commands"):
            changes = self._reader.commands(completion)
            self._spans_of_run()
            self._send_context(completion)
            # What replays has been told before: by this worker, or by the one that had the run.
            if not act.is_replaying and self._sampled:
                self._tell(changes, act.history_length)
        return completion

    def _spans_of_run(self) -> RunSpans:
        if self._spans is None:
            run = self._reader.machine.run
            self._spans = RunSpans(run)
            self._sampled = self._emitter.is_sampled(
                self._spans.trace_id, caller_of(run.headers), f"run {run.workflow_type}"
            )
        return self._spans

    def _settle(self, act: Any) -> None:
        """Learn from a new activation whether the run's task before it was accepted."""
        outbox, task_id = self._emitter.outbox, act.history_length
        held = outbox.held_task(self._run_id)
        if held is None or not is_about_the_run(act):
            return
        if act.is_replaying:
            if held == task_id:
                outbox.accepted(self._run_id)
        elif held != self._held_task:
            # Another instance held it, and this one did not see it replay.
            outbox.rejected(self._run_id)
        elif held != task_id:
            outbox.accepted(self._run_id)

    def _tell(self, changes: Changes, task_id: int) -> None:
        spans, emitter = self._spans_of_run(), self._emitter
        if changes.started:
            emitter.emit_once(spans.anchor())
        if changes.task_failure is not None:
            self._has_failed = True
            emitter.outbox.rejected(self._run_id)
            emitter.emit_once(spans.task_failure(changes.task_failure))
            # A task that fails may fail for days: what came before it must not wait so long.
            for record in (*map(spans.step, changes.answered), *map(spans.signal, changes.signals)):
                emitter.emit_once(record)
            return
        records = [
            *map(spans.step, changes.steps),
            *map(spans.wait, changes.waits),
            *map(spans.signal, changes.signals),
            *map(spans.update, changes.updates),
        ]
        if changes.closed:
            records += map(spans.step, changes.unanswered)
            records.append(spans.workflow())
        if records or changes.has_local_activities:
            self._held_task = task_id
            emitter.hold(self._run_id, task_id, [r for r in records if emitter.is_new(r)])

    def _evicted(self, job: Any) -> None:
        """The run leaves the cache: perhaps because its last task was refused."""
        outbox = self._emitter.outbox
        if job.reason == EXECUTION_ENDING:
            outbox.accepted(self._run_id)
        elif self._reader.has_open_local_activities:
            # They are cancelled, and the task with them: it will run again from its start.
            outbox.abandoned(self._run_id)
        if job.reason not in REFUSED:
            return
        outbox.rejected(self._run_id)
        reader = self._reader
        task = failed_task(
            job.reason, job.message, reader.task_id, reader.largest_payload, time.time_ns()
        )
        if task is None or self._has_failed or self._spans is None or not self._sampled:
            return
        self._emitter.emit_once(self._spans.task_failure(task))

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
            effect = self._reader.cancel_effect_of(command)
            state = trace_state(effect) if effect else ""
            self._send_step_context(name, getattr(command, name), spans.step_ref(step), state)

    def _send_step_context(self, name: str, attributes: Any, ref: SpanRef, state: str) -> None:
        if name == "schedule_nexus_operation":
            # Nexus headers are plain strings in W3C's own names.
            if "traceparent" not in attributes.nexus_header:
                attributes.nexus_header["traceparent"] = _with_flag(ref, self._sampled).traceparent
                attributes.nexus_header["tracestate"] = state
            return
        _put(attributes.headers, HEADER, ref, self._sampled, state)


def context_payload(ref: SpanRef, state: str = "") -> Payload:
    """A header payload that carries the context, in the form that Temporal's own plugins use."""
    context = {"traceparent": ref.traceparent}
    if state:
        context["tracestate"] = state
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(context).encode())


def _put(headers: Any, name: str, ref: SpanRef, sampled: bool, state: str = "") -> None:
    if name not in headers:
        headers[name].CopyFrom(context_payload(_with_flag(ref, sampled), state))


def _with_flag(ref: SpanRef, sampled: bool) -> SpanRef:
    return SpanRef(ref.trace_id, ref.span_id, sampled)
