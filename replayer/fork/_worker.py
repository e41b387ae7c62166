"""The fork's worker: it runs the workflow code when it is told to, and thinks it is the old run.

`TaskGate` holds back the polls for workflow tasks, so that whatever belongs into one activation is
on the server before the task starts. `Helm` stands between the SDK's core and the workflow code, at
the activation boundary, and does two things there. Inwards it gives what was recorded and what the
server cannot reproduce: the time, the random seed, ids, and the exact failures of steps. Outwards
it takes the sting out of commands: retries and timeouts are the driver's business, not the
server's. What the code really asked for is kept, and put back into the stored history.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType
from temporalio.common import RetryPolicy as SdkRetryPolicy
from temporalio.worker import (
    CustomSlotSupplier,
    SlotPermit,
    SlotReserveContext,
    WorkflowRunner,
)

from replayer.fork._answers import Asked
from replayer.fork._seed import randomness_seed
from replayer.fork.script import Script
from tracer.model import StepKind

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload
    from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails

FAR = timedelta(days=3650)
"""A timeout that never comes."""
_NS = 1_000_000_000


class TaskGate(CustomSlotSupplier):
    """Lets the worker ask for one workflow task at a time, when the driver says so."""

    def __init__(self) -> None:
        self._permits = {True: asyncio.Semaphore(0), False: asyncio.Semaphore(0)}

    def open(self, *, sticky: bool) -> None:
        """Let one task in: the first comes over the normal queue, the others over the sticky."""
        self._permits[sticky].release()

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        """Wait for the driver."""
        await self._permits[ctx.is_sticky].acquire()
        return SlotPermit()

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        """Never: such a task would come unasked."""
        return None

    def mark_slot_used(self, ctx: Any) -> None:
        """Nothing to count."""

    def release_slot(self, ctx: Any) -> None:
        """Nothing to count."""


class Helm:
    """What the workflow code of the fork is told, and what it asks for."""

    def __init__(self, script: Script, edit: Callable[[Asked], None]) -> None:
        """Steer the run of a script.

        Args:
            script: The recording.
            edit: May change the input of a step before it is asked for, in `command` and `input`.
        """
        self._script = script
        self._edit = edit
        self.now = script.activations[0].started_at
        """The time of the next activation, in nanoseconds."""
        self.asked: list[Asked] = []
        """Everything that was asked for, in its order."""
        self._sent = 0
        """How much of it left the worker: the rest can be taken back without a trace."""
        self._canceled_children: set[int] = set()
        self.patched: list[str] = []
        """Patch ids that the code took."""
        self._children: dict[int, str] = {}
        self._namespace = ""
        self.resolutions: dict[tuple[str, int], Callable[[Any], None]] = {}
        """By job and number: puts the recorded answer into a job."""

    def take_sent(self) -> list[Asked]:
        """What was asked for since the last call; its workflow task is over."""
        new = self.asked[self._sent :]
        self._sent = len(self.asked)
        return new

    def details(self, det: WorkflowInstanceDetails) -> WorkflowInstanceDetails:
        """The details of the recorded run, as far as workflow code can see them."""
        self._namespace = det.info.namespace
        a = self._script.started.workflow_execution_started_event_attributes
        key = self._script.history.key
        seed_id = a.original_execution_run_id or key.run_id
        facts = {
            "namespace": key.namespace,
            "run_id": key.run_id,
            "task_queue": a.task_queue.name or det.info.task_queue,
            "attempt": max(a.attempt, 1),
            "continued_run_id": a.continued_execution_run_id or None,
            "cron_schedule": a.cron_schedule or None,
            "first_execution_run_id": a.first_execution_run_id or key.run_id,
            "original_execution_run_id": seed_id,
            "execution_timeout": _duration(a, "workflow_execution_timeout"),
            "task_timeout": _duration(a, "workflow_task_timeout") or det.info.task_timeout,
            "run_timeout": _duration(a, "workflow_run_timeout"),
            "retry_policy": _retry_policy(a),
            "start_time": _datetime(self._script.activations[0].started_at),
            "workflow_start_time": _datetime(self._script.run.started_at or self.now),
            "parent": _parent(a, det.info),
        }
        # SDKs differ in what they tell workflow code.
        known = {field.name for field in dataclasses.fields(det.info)}
        told = {name: fact for name, fact in facts.items() if name in known}
        info = dataclasses.replace(det.info, **told)
        return dataclasses.replace(det, info=info, randomness_seed=randomness_seed(seed_id))

    def before(self, activation: Any) -> None:
        """Turn the server's jobs into the recorded ones."""
        for job in activation.jobs:
            name = job.WhichOneof("variant") or ""
            seq = getattr(getattr(job, name), "seq", None)
            if seq is not None and (put := self.resolutions.get((name, seq))) is not None:
                put(getattr(job, name))
        if any(job.WhichOneof("variant") not in _TIMELESS for job in activation.jobs):
            activation.timestamp.FromNanoseconds(self.now)

    def after(self, completion: Any) -> None:
        """Note what the code asks for, and make it harmless."""
        withdrawn = _withdrawn_locals(completion.successful.commands)
        for command in completion.successful.commands:
            name = command.WhichOneof("variant") or ""
            if (
                name == "schedule_local_activity"
                and command.schedule_local_activity.seq in withdrawn
            ):
                continue
            if name == "set_patch_marker":
                self.patched.append(command.set_patch_marker.patch_id)
            if self._takes_back(name, command):
                continue
            if name == "request_cancel_activity":
                self._give_up(command.request_cancel_activity.seq)
            if (asked := self._asked_by(name, command)) is None:
                continue
            self._edit(asked)
            self.asked.append(asked)
            if asked.is_edited:
                _set_input(command, asked.input)
            _neutralise(name, command, self._namespace)

    def _takes_back(self, name: str, command: Any) -> bool:
        """Whether a command undoes what was never sent, or repeats a cancellation."""
        if name not in _WITHDRAWAL:
            return False
        kind, field = _WITHDRAWAL[name]
        seq = getattr(getattr(command, name), field)
        for index in range(self._sent, len(self.asked)):
            if (self.asked[index].kind, self.asked[index].seq) == (kind, seq):
                del self.asked[index]
                return True
        if kind is not StepKind.CHILD_WORKFLOW:
            return False
        is_again = seq in self._canceled_children
        self._canceled_children.add(seq)
        return is_again

    def _give_up(self, seq: int) -> None:
        for asked in self.asked:
            if asked.kind is StepKind.ACTIVITY and asked.seq == seq:
                how = asked.command.schedule_activity.cancellation_type
                asked.is_given_up = how != ActivityCancellationType.WAIT_CANCELLATION_COMPLETED

    def _asked_by(self, name: str, command: Any) -> Asked | None:
        if name == "start_child_workflow_execution":
            a = command.start_child_workflow_execution
            self._children[a.seq] = a.workflow_id
        if name != "cancel_child_workflow_execution":
            return _asked(name, command)
        seq = command.cancel_child_workflow_execution.child_workflow_seq
        return Asked(StepKind.CANCEL_EXTERNAL, "cancel", self._children.get(seq, ""), 0, command)


_TIMELESS = frozenset({"remove_from_cache", "query_workflow"})


class SteeredRunner(WorkflowRunner):
    """Any workflow runner, with the instances that it makes steered."""

    def __init__(self, runner: WorkflowRunner, helm_of: Callable[[str], Helm | None]) -> None:
        """Wrap a runner.

        Args:
            runner: What makes the instances.
            helm_of: The helm of a workflow id, None for workflows that run as they are.
        """
        self._runner = runner
        self._helm_of = helm_of

    def prepare_workflow(self, defn: Any) -> None:
        """Pass on."""
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        """Pass on."""
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance of the wrapped runner, steered."""
        helm = self._helm_of(det.info.workflow_id)
        if helm is None:
            return self._runner.create_instance(det)
        instance = self._runner.create_instance(helm.details(det))
        return cast("WorkflowInstance", SteeredInstance(instance, helm))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


class SteeredInstance:
    """A workflow instance whose activations pass a helm. Wraps by delegation."""

    def __init__(self, instance: WorkflowInstance, helm: Helm) -> None:
        self._instance = instance
        self._helm = helm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def activate(self, act: Any) -> Any:
        """Let the workflow code run."""
        self._helm.before(act)
        completion = self._instance.activate(act)
        if completion.HasField("successful"):
            self._helm.after(completion)
        return completion


_KINDS = {
    "schedule_activity": (StepKind.ACTIVITY, "activity_type", "activity_id", "arguments"),
    "schedule_local_activity": (
        StepKind.LOCAL_ACTIVITY,
        "activity_type",
        "activity_id",
        "arguments",
    ),
    "start_child_workflow_execution": (
        StepKind.CHILD_WORKFLOW,
        "workflow_type",
        "workflow_id",
        "input",
    ),
}


def _asked(name: str, command: Any) -> Asked | None:
    a = getattr(command, name)
    kept = type(command)()
    kept.CopyFrom(command)
    if name in _KINDS:
        kind, name_field, id_field, input_field = _KINDS[name]
        payloads = tuple(getattr(getattr(kept, name), input_field))
        queue = getattr(a, "task_queue", "")
        return Asked(
            kind, getattr(a, name_field), getattr(a, id_field), a.seq, kept, payloads, queue
        )
    match name:
        case "start_timer":
            delay = a.start_to_fire_timeout.ToNanoseconds()
            return Asked(StepKind.TIMER, str(a.seq), str(a.seq), a.seq, kept, delay_ns=delay)
        case "signal_external_workflow_execution":
            target = a.workflow_execution.workflow_id or a.child_workflow_id
            payloads = tuple(kept.signal_external_workflow_execution.args)
            return Asked(StepKind.SIGNAL_EXTERNAL, a.signal_name, target, a.seq, kept, payloads)
        case "request_cancel_external_workflow_execution":
            target = a.workflow_execution.workflow_id
            return Asked(StepKind.CANCEL_EXTERNAL, "cancel", target, a.seq, kept)
        case "schedule_nexus_operation":
            full = f"{a.service}/{a.operation}"
            payloads = (kept.schedule_nexus_operation.input,) if a.HasField("input") else ()
            return Asked(StepKind.NEXUS_OPERATION, full, full, a.seq, kept, payloads)
    return None


_WITHDRAWAL = {
    "cancel_timer": (StepKind.TIMER, "seq"),
    "request_cancel_activity": (StepKind.ACTIVITY, "seq"),
    "cancel_child_workflow_execution": (StepKind.CHILD_WORKFLOW, "child_workflow_seq"),
    "cancel_signal_workflow": (StepKind.SIGNAL_EXTERNAL, "seq"),
    "request_cancel_nexus_operation": (StepKind.NEXUS_OPERATION, "seq"),
}
"""What a cancellation is about. The SDK's core sends nothing of what is canceled in the workflow
task that asked for it, and cancels a child once, however often the code does."""


def _withdrawn_locals(commands: Any) -> set[int]:
    """Local activities that are taken back before they begin."""
    name = "request_cancel_local_activity"
    return {c.request_cancel_local_activity.seq for c in commands if c.HasField(name)}


def _set_input(command: Any, payloads: tuple[Payload, ...]) -> None:
    name = command.WhichOneof("variant")
    field = _KINDS[name][3]
    target = getattr(command, name)
    target.ClearField(field)
    getattr(target, field).extend(payloads)


def _neutralise(name: str, command: Any, namespace: str) -> None:
    match name:
        case "schedule_activity":
            a = command.schedule_activity
            a.ClearField("heartbeat_timeout")
            a.ClearField("schedule_to_start_timeout")
            a.schedule_to_close_timeout.FromTimedelta(FAR)
            a.start_to_close_timeout.FromTimedelta(FAR)
            a.retry_policy.CopyFrom(_AT_ONCE)
        case "start_child_workflow_execution":
            a = command.start_child_workflow_execution
            for field in ("workflow_execution_timeout", "workflow_run_timeout", "retry_policy"):
                a.ClearField(field)
            a.cron_schedule = ""
            a.ClearField("search_attributes")
            a.namespace = namespace
        case "signal_external_workflow_execution":
            if command.signal_external_workflow_execution.HasField("workflow_execution"):
                command.signal_external_workflow_execution.workflow_execution.namespace = namespace
        case "request_cancel_external_workflow_execution":
            a = command.request_cancel_external_workflow_execution
            a.workflow_execution.namespace = namespace
        case "schedule_local_activity":
            a = command.schedule_local_activity
            a.ClearField("schedule_to_start_timeout")
            a.ClearField("schedule_to_close_timeout")
            a.start_to_close_timeout.FromTimedelta(FAR)
            a.retry_policy.CopyFrom(_AT_ONCE)


def _at_once() -> RetryPolicy:
    policy = RetryPolicy(backoff_coefficient=1.0)
    policy.initial_interval.FromMilliseconds(1)
    policy.maximum_interval.FromMilliseconds(1)
    return policy


_AT_ONCE = _at_once()


def _duration(a: WorkflowExecutionStartedEventAttributes, name: str) -> timedelta | None:
    duration: timedelta = getattr(a, name).ToTimedelta()
    return duration or None


def _retry_policy(a: WorkflowExecutionStartedEventAttributes) -> SdkRetryPolicy | None:
    return SdkRetryPolicy.from_proto(a.retry_policy) if a.HasField("retry_policy") else None


def _datetime(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanoseconds // 1000)


def _parent(a: WorkflowExecutionStartedEventAttributes, info: Any) -> Any:
    from temporalio import workflow

    if not a.HasField("parent_workflow_execution"):
        return info.parent
    return workflow.ParentInfo(
        namespace=a.parent_workflow_namespace,
        run_id=a.parent_workflow_execution.run_id,
        workflow_id=a.parent_workflow_execution.workflow_id,
    )
