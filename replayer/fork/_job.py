"""The part of a fork that runs other people's code: in a child process, with a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from temporalio.api.common.v1 import Payloads
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.client import Plugin as ClientPlugin
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import (
    FixedSizeSlotSupplier,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerTuner,
)

from replayer.fork._answers import Asked
from replayer.fork._driver import Driver
from replayer.fork._live import load_activities
from replayer.fork._local import LocalAnswers, any_activity
from replayer.fork._plans import Planner, book_of
from replayer.fork._reporting import report_of
from replayer.fork._server import ForkServer
from replayer.fork._stored import json_of, stored_events
from replayer.fork._worker import FAR, Helm, SteeredRunner, TaskGate
from replayer.fork.branch_points import branch_point_of, is_branch
from replayer.fork.changes import Changes, Root, payloads_set, payloads_with_model
from replayer.fork.errors import ForkError
from replayer.fork.points import ForkPoint, point_of
from replayer.fork.policy import load_stubs
from replayer.fork.report import ForkReport
from replayer.fork.request import ForkRequest, check_changes
from replayer.fork.script import Script, script_of
from replayer.replaying import LoadError, PackedHistory, ReplayProfile, load_profile, load_workflows
from tracer.model import run_from_events

_LOCAL_SLOTS = 100
_TASK_SECONDS = 120
"""The longest that servers allow: a busy machine must not lose a workflow task."""


@dataclass(frozen=True, slots=True)
class Job:
    """What the child is asked to do."""

    history: PackedHistory
    request: ForkRequest
    address: str
    """Of a time-skipping server that nobody else uses."""


@dataclass(frozen=True, slots=True)
class Done:
    """What the child did."""

    run_id: str
    document: bytes
    """The fork's history, as JSON."""
    report: ForkReport
    is_clean: bool
    """Nothing of the fork is left on the server: it may serve another one."""


def run_job(job: Job) -> Done:
    """Make one fork.

    Raises:
        ForkError: It cannot be made.
        LoadError: The workflow code or the profile cannot be loaded.
    """
    return asyncio.run(_run(job))


async def _run(job: Job) -> Done:
    script = script_of(job.history.unpacked())
    profile = load_profile(job.request.profile)
    workflows = load_workflows(job.request.workflows)
    point, changes = await _point(job.request, script, workflows, profile), job.request.changes
    check_changes(point, changes)
    client = await _connected(job.address, profile)
    planner = await _planner(job.request, script, point, changes, client)
    helm = Helm(script, _editor(point, changes))
    gate, queue = TaskGate(), f"retrospan-fork-{uuid.uuid4().hex[:8]}"
    server = ForkServer(client, queue)
    driver = Driver(planner, server, gate, helm)
    request = await _start_request(script, changes, planner)
    async with _worker(client, queue, workflows, profile, gate, helm, driver):
        try:
            await driver.run(request)
        finally:
            await server.close()
    return _finished(script, point, changes, driver, server)


async def _point(
    request: ForkRequest, script: Script, workflows: list[type], profile: ReplayProfile
) -> ForkPoint:
    if request.at is None or not is_branch(request.at):
        return point_of(request.at, script)
    return await asyncio.to_thread(branch_point_of, request.at, script, workflows, profile)


def _finished(
    script: Script, point: ForkPoint, changes: Changes, driver: Driver, server: ForkServer
) -> Done:
    mark = {
        "run_id": server.run_id,
        "of": str(script.history.key),
        "event_id": point.event_id,
        "point": str(point),
        "changes": str(changes),
        "forked_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    events = stored_events(script, driver.trail, server.tail.ledger.events, mark)
    fork = run_from_events(script.history.key, events)
    report = report_of(script, point, changes, driver.trail, fork)
    return Done(server.run_id, json_of(events), report, server.is_clean)


async def _connected(address: str, profile: ReplayProfile) -> Client:
    plugins = [plugin for plugin in profile.plugins if isinstance(plugin, ClientPlugin)]
    return await Client.connect(
        address,
        # One of its own: forks keep the workflow ids of their recordings.
        namespace=f"fork-{uuid.uuid4().hex[:8]}",
        data_converter=profile.data_converter,
        plugins=plugins,
        header_codec_behavior=profile.header_codec_behavior,
        runtime=Runtime(telemetry=TelemetryConfig(logging=None)),
    )


async def _planner(
    request: ForkRequest, script: Script, point: ForkPoint, changes: Changes, client: Client
) -> Planner:
    converter = client.data_converter
    codec = converter.payload_codec

    async def decode(payloads: Any) -> list[Any]:
        return list(await codec.decode(payloads)) if codec and payloads else list(payloads)

    return Planner(
        script,
        point,
        changes,
        await book_of(script, decode),
        converter,
        stubs=load_stubs(request.stub) if request.stub is not None else None,
        live=load_activities(request.activities, converter) if request.activities else None,
    )


def _editor(point: ForkPoint, changes: Changes) -> Any:
    """Changes the model in the input of the step at the fork point."""

    def edit(asked: Asked) -> None:
        step, model = point.step, changes.model
        if step is None or model is None:
            return
        if (asked.kind, asked.name, asked.id) != (step.kind, step.name, step.id):
            return
        where = f"the input of {asked.name}"
        with contextlib.suppress(ForkError):  # It was checked against the recording.
            asked.input = tuple(payloads_with_model(asked.input, model, where=where))
            asked.is_edited = True

    return edit


async def _start_request(
    script: Script, changes: Changes, planner: Planner
) -> StartWorkflowExecutionRequest:
    """Start as it was started; timeouts and retries of the whole run are left out."""
    a = script.started.workflow_execution_started_event_attributes
    payloads = await planner.decoded(a.input.payloads)
    if sets := changes.sets_of(Root.INPUT):
        payloads = payloads_set(payloads, sets, where="the run's input")
    request = StartWorkflowExecutionRequest(
        workflow_id=script.history.key.workflow_id,
        workflow_type=a.workflow_type,
        input=Payloads(payloads=await planner.encoded(payloads)),
        identity=a.identity,
        request_id=str(uuid.uuid4()),
        header=a.header,
        memo=a.memo,
    )
    request.workflow_task_timeout.FromSeconds(_TASK_SECONDS)
    if a.HasField("last_completion_result"):
        request.last_completion_result.CopyFrom(a.last_completion_result)
    if a.HasField("continued_failure"):
        request.continued_failure.CopyFrom(a.continued_failure)
    return request


@contextlib.asynccontextmanager
async def _worker(
    client: Client,
    queue: str,
    workflows: list[type],
    profile: ReplayProfile,
    gate: TaskGate,
    helm: Helm,
    driver: Driver,
) -> AsyncIterator[None]:
    tuner = WorkerTuner.create_composite(
        workflow_supplier=gate,
        activity_supplier=FixedSizeSlotSupplier(1),
        local_activity_supplier=FixedSizeSlotSupplier(_LOCAL_SLOTS),
        nexus_supplier=FixedSizeSlotSupplier(1),
    )
    try:
        worker = Worker(
            client,
            task_queue=queue,
            workflows=profile.with_own(workflows),
            activities=[any_activity],
            workflow_runner=SteeredRunner(profile.workflow_runner, lambda _: helm),
            unsandboxed_workflow_runner=SteeredRunner(
                profile.unsandboxed_workflow_runner or UnsandboxedWorkflowRunner(), lambda _: helm
            ),
            interceptors=[LocalAnswers(lambda: driver), *profile.interceptors],
            plugins=[p for p in profile.plugins if not isinstance(p, ClientPlugin)],
            workflow_failure_exception_types=profile.workflow_failure_exception_types,
            tuner=tuner,
            max_concurrent_workflow_task_polls=2,
            no_remote_activities=True,
            disable_eager_activity_execution=True,
            sticky_queue_schedule_to_start_timeout=FAR,
        )
    except (ValueError, RuntimeError) as error:
        raise LoadError(f"the workflow cannot be run: {error}") from error
    running = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        # The process ends with the job: a worker whose task is stuck is not waited for.
        for _ in range(10):
            gate.open(sticky=True)
            gate.open(sticky=False)
        running.cancel()
        await asyncio.wait([running], timeout=2)
