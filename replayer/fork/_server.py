"""A server for one fork: the few calls that a driver needs, in Temporal's own messages.

Payloads and failures go through as bytes that were recorded: no converter is in the way that could
change them. Activities and child workflows are polled for and answered by hand, so that nothing
answers before its time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from google.protobuf.empty_pb2 import Empty
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType, UpdateWorkflowExecutionLifecycleStage
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.testservice.v1 import (
    LockTimeSkippingRequest,
    SleepRequest,
    UnlockTimeSkippingRequest,
)
from temporalio.api.update.v1 import Request, UpdateRef, WaitPolicy
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    PollActivityTaskQueueRequest,
    PollWorkflowExecutionUpdateRequest,
    PollWorkflowTaskQueueRequest,
    RequestCancelWorkflowExecutionRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from replayer.fork._ledger import Ledger
from replayer.fork.errors import ForkError

IDENTITY = "retrospan fork"
STAND_IN = "RetrospanStandIn"
"""Workflow type of executions that only have to be there, as targets of signals."""
_PATIENCE_S = 20.0
"""What a server next door may take for one step."""
_FIRST_PAUSE_S = 0.001
_LAST_PAUSE_S = 0.02
_HANGS_AFTER_S = 1.0
_JUMP_MARGIN = timedelta(milliseconds=2)

_COMPLETED = UpdateWorkflowExecutionLifecycleStage.Value(
    "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED"
)
type Rpc = Callable[[Any], Coroutine[Any, Any, Any]]


class Tail:
    """The history of the fork as it grows.

    The time-skipping server neither pages a history nor waits for its next event, so it is read
    again whenever somebody waits for something to happen.
    """

    def __init__(self, service: Any) -> None:
        self.ledger = Ledger()
        self._service = service
        self._request = GetWorkflowExecutionHistoryRequest()
        self._woken = asyncio.Event()

    def follow(self, namespace: str, execution: WorkflowExecution) -> None:
        """From now on, read this run."""
        self._request = GetWorkflowExecutionHistoryRequest(namespace=namespace, execution=execution)

    def wake(self) -> None:
        """Let everybody look again who waits."""
        self._woken.set()

    async def until(self, found: Callable[[], bool], what: str) -> None:
        """Wait until the events satisfy a condition.

        Raises:
            ForkError: They do not within the server's usual time.
        """
        pause = _FIRST_PAUSE_S
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while not await self._is_found(found):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._woken.wait(), pause)
                    self._woken.clear()
                    pause = min(pause * 1.5, _LAST_PAUSE_S)
        except TimeoutError:
            raise ForkError(f"the server did not come to {what} within {_PATIENCE_S:g} s") from None

    async def refresh(self) -> None:
        """Read what is new."""
        token = b""
        while True:
            self._request.next_page_token = token
            page = await self._service.get_workflow_execution_history(self._request, retry=True)
            for event in page.history.events:
                if event.event_id > len(self.ledger.events):
                    self.ledger.take(event)
            if not (token := page.next_page_token):
                return

    async def _is_found(self, found: Callable[[], bool]) -> bool:
        if not found():
            await self.refresh()
        return found()


class ForkServer:
    """The server that a fork runs on, seen from its driver."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._service = client.workflow_service
        self._namespace = client.namespace
        self._task_queue = task_queue
        self._execution = WorkflowExecution()
        self._activities: defaultdict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)
        self._children: defaultdict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)
        self._pollers: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[Any]] = set()
        self._stand_ins = 0
        self.tail = Tail(self._service)

    @property
    def run_id(self) -> str:
        """Of the fork."""
        return self._execution.run_id

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left on the server that runs, or that holds its clock."""
        ledger = self.tail.ledger
        return ledger.closing is not None and not ledger.locks and not self._stand_ins

    async def start(self, request: StartWorkflowExecutionRequest) -> None:
        """Start the fork."""
        request.namespace = self._namespace
        request.task_queue.name = self._task_queue
        started = await self._service.start_workflow_execution(request)
        self._execution = WorkflowExecution(workflow_id=request.workflow_id, run_id=started.run_id)
        self.tail.follow(self._namespace, self._execution)
        await self.tail.until(lambda: bool(self.tail.ledger.events), "its first event")

    async def start_stand_in(self, workflow_id: str) -> None:
        """Start an execution that only has to be there."""
        request = StartWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name=STAND_IN),
            task_queue=TaskQueue(name=f"{self._task_queue}-stand-ins"),
            identity=IDENTITY,
            request_id=f"stand-in-{workflow_id}",
        )
        await self._service.start_workflow_execution(request)
        self._stand_ins += 1

    async def close(self) -> None:
        """Stop polling."""
        tasks = [*self._pollers.values(), *self._others]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- steps ---------------------------------------------------------------------------------

    async def activity_task(self, queue: str, activity_id: str) -> bytes:
        """The token of the next attempt of an activity."""
        self._poll("activity", queue, self._poll_activities)
        task = await self._wait(self._activities[activity_id], f"activity {activity_id}")
        token: bytes = task.task_token
        return token

    async def complete_activity(self, token: bytes, result: Payloads | None) -> None:
        """Answer an activity with its result."""
        request = RespondActivityTaskCompletedRequest(
            namespace=self._namespace, task_token=token, identity=IDENTITY, result=result
        )
        await self._service.respond_activity_task_completed(request)

    async def fail_activity(self, token: bytes, failure: Failure) -> None:
        """Answer an attempt of an activity with a failure."""
        request = RespondActivityTaskFailedRequest(
            namespace=self._namespace, task_token=token, identity=IDENTITY, failure=failure
        )
        await self._service.respond_activity_task_failed(request)

    async def close_child(self, queue: str, workflow_id: str, command: Command) -> None:
        """Let a child workflow come to its end with a command."""
        self._poll("workflow", queue, self._poll_children)
        while True:
            task = await self._wait(self._children[workflow_id], f"child workflow {workflow_id}")
            request = RespondWorkflowTaskCompletedRequest(
                namespace=self._namespace,
                task_token=task.task_token,
                identity=IDENTITY,
                commands=[command],
            )
            try:
                await self._service.respond_workflow_task_completed(request)
            except RPCError as error:
                # The clock was moved past the task's timeout, or the child was asked to cancel
                # since: there is another task.
                if error.status is not RPCStatusCode.NOT_FOUND and not _is_outdated(error):
                    raise
            else:
                return

    async def _poll_activities(self, queue: str) -> None:
        request = PollActivityTaskQueueRequest(
            namespace=self._namespace, task_queue=TaskQueue(name=queue), identity=IDENTITY
        )
        task = await self._service.poll_activity_task_queue(request, retry=True)
        if task.task_token:
            self._activities[task.activity_id].put_nowait(task)

    async def _poll_children(self, queue: str) -> None:
        request = PollWorkflowTaskQueueRequest(
            namespace=self._namespace, task_queue=TaskQueue(name=queue), identity=IDENTITY
        )
        task = await self._service.poll_workflow_task_queue(request, retry=True)
        if task.task_token:
            self._children[task.workflow_execution.workflow_id].put_nowait(task)

    def _poll(self, kind: str, queue: str, once: Rpc) -> None:
        async def forever() -> None:
            while True:
                await once(queue)

        if (kind, queue) not in self._pollers:
            self._pollers[kind, queue] = asyncio.create_task(forever())

    # -- messages ------------------------------------------------------------------------------

    async def signal(self, name: str, payloads: Payloads, **fields: Any) -> None:
        """Send a signal."""
        request = SignalWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._execution,
            signal_name=name,
            input=payloads,
            **fields,
        )
        await self._service.signal_workflow_execution(request)

    async def update(self, request: Request) -> None:
        """Send an update; its answer is not waited for."""
        stage = WaitPolicy(lifecycle_stage=_COMPLETED)
        message = UpdateWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._execution,
            request=request,
            wait_policy=stage,
        )
        self._spawn(self._service.update_workflow_execution(message))
        poll = PollWorkflowExecutionUpdateRequest(
            namespace=self._namespace,
            identity=IDENTITY,
            update_ref=UpdateRef(
                workflow_execution=self._execution, update_id=request.meta.update_id
            ),
        )
        await self._until_known(poll)

    async def _until_known(self, poll: PollWorkflowExecutionUpdateRequest) -> None:
        """Wait until the server has taken an update in: no event tells."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                try:
                    await self._service.poll_workflow_execution_update(
                        poll, timeout=timedelta(seconds=0.5)
                    )
                except RPCError as error:
                    if error.status is RPCStatusCode.NOT_FOUND:
                        await asyncio.sleep(0.005)
                        continue
                return

    async def cancel(self, reason: str, identity: str) -> None:
        """Ask the run to cancel."""
        request = RequestCancelWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._execution,
            reason=reason,
            identity=identity,
        )
        await self._service.request_cancel_workflow_execution(request)

    async def terminate(self, reason: str, identity: str, details: Payloads | None = None) -> None:
        """End the run."""
        request = TerminateWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._execution,
            reason=reason,
            identity=identity,
            details=details,
        )
        await self._service.terminate_workflow_execution(request)

    # -- the clock -----------------------------------------------------------------------------

    async def now(self) -> int:
        """The server's time in nanoseconds."""
        answer = await self._client.test_service.get_current_time(Empty())
        return int(answer.time.ToNanoseconds())

    async def jump_to(self, moment: int) -> None:
        """Move the server's clock, whatever is going on there.

        Every task that is to be done locks the clock once, beside the server's own lock. As many
        locks are taken away for the jump, and put back after it. One too many would let the clock
        run on to the next timer: those that nobody knows of are only taken away when the jump is
        seen to hang.
        """
        distance = timedelta(microseconds=(moment - await self.now()) // 1000) + _JUMP_MARGIN
        if distance <= timedelta(0):
            return
        await self.tail.refresh()
        clock = self._client.test_service
        unlocked = self.tail.ledger.locks + self._stand_ins
        for _ in range(unlocked):
            await clock.unlock_time_skipping(UnlockTimeSkippingRequest())
        request = SleepRequest()
        request.duration.FromTimedelta(distance)
        jump = asyncio.create_task(clock.unlock_time_skipping_with_sleep(request))
        while not (await asyncio.wait([jump], timeout=_HANGS_AFTER_S))[0]:
            with contextlib.suppress(RPCError):
                await clock.unlock_time_skipping(UnlockTimeSkippingRequest())
                unlocked += 1
        for _ in range(unlocked):
            await clock.lock_time_skipping(LockTimeSkippingRequest())
        await jump

    # -- waiting -------------------------------------------------------------------------------

    async def _wait(self, queue: asyncio.Queue[Any], what: str) -> Any:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await queue.get()
        except TimeoutError:
            raise ForkError(f"the server did not hand out {what}") from None

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(_quietly(work))
        self._others.add(task)
        task.add_done_callback(self._others.discard)


def _is_outdated(error: RPCError) -> bool:
    return "UnhandledCommand" in error.message


async def _quietly(work: Coroutine[Any, Any, Any]) -> None:
    """An update that is refused, or a run that ends first, is no failure of the fork."""
    with contextlib.suppress(RPCError):
        await work


def completed_child(result: Payloads | None) -> Command:
    """The command of a child workflow that completes."""
    command = Command(command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION)
    command.complete_workflow_execution_command_attributes.SetInParent()
    if result is not None:
        command.complete_workflow_execution_command_attributes.result.CopyFrom(result)
    return command


def failed_child(failure: Failure) -> Command:
    """The command of a child workflow that fails."""
    command = Command(command_type=CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION)
    command.fail_workflow_execution_command_attributes.failure.CopyFrom(failure)
    return command
