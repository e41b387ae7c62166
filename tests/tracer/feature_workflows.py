"""One workflow with everything that a history can tell: each part is a method, chosen by name."""

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import nexusrpc
import nexusrpc.handler
from temporalio import activity, nexus, workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.workflow import (
    ActivityCancellationType,
    ChildWorkflowCancellationType,
    NexusOperationCancellationType,
    ParentClosePolicy,
)

with workflow.unsafe.imports_passed_through():
    from tests.tracer.feature_switches import BROKEN, SEEN

QUEUE = "features"
NEXUS_ENDPOINT = "features-endpoint"
LONG = timedelta(seconds=30)
SHORT = timedelta(milliseconds=300)
TICK = timedelta(milliseconds=20)
ONCE = RetryPolicy(maximum_attempts=1)
QUICK = RetryPolicy(initial_interval=TICK, backoff_coefficient=1.0, maximum_attempts=3)
CITY = SearchAttributeKey.for_keyword("FeatureCity")


class RefusedError(Exception):
    """What an activity fails with."""


def _seen() -> int:
    info = activity.info()
    SEEN.append((info.workflow_run_id or "", info.activity_id, info.attempt))
    return info.attempt


@activity.defn
async def ok(text: str) -> str:
    _seen()
    return text


@activity.defn
def ok_in_a_thread(text: str) -> str:
    _seen()
    return text


@activity.defn
async def fails(good_attempt: int) -> int:
    attempt = _seen()
    if attempt < good_attempt:
        raise RefusedError(f"refused at attempt {attempt}")
    return attempt


@activity.defn
async def fails_for_good() -> None:
    _seen()
    raise ApplicationError("no", type="NoGo", non_retryable=True)


@activity.defn
async def stalls(seconds: float) -> None:
    """Never heartbeats, whatever was asked for."""
    _seen()
    await asyncio.sleep(seconds)


@activity.defn
async def beats() -> str:
    """Heartbeats until it is cancelled."""
    _seen()
    while True:
        activity.heartbeat("beat")
        await asyncio.sleep(0.02)


ACTIVITIES: list[Callable[..., Any]] = [ok, ok_in_a_thread, fails, fails_for_good, stalls, beats]


@nexusrpc.service
class Desk:
    echo: nexusrpc.Operation[str, str]
    refuse: nexusrpc.Operation[str, str]
    linger: nexusrpc.Operation[str, str]


@nexusrpc.handler.service_handler(service=Desk)
class DeskHandler:
    @nexusrpc.handler.sync_operation
    async def echo(self, ctx: nexusrpc.handler.StartOperationContext, text: str) -> str:
        return text

    @nexusrpc.handler.sync_operation
    async def refuse(self, ctx: nexusrpc.handler.StartOperationContext, text: str) -> str:
        raise nexusrpc.OperationError(text, state=nexusrpc.OperationErrorState.FAILED)

    @nexus.workflow_run_operation
    async def linger(
        self, ctx: nexus.WorkflowRunOperationContext, text: str
    ) -> nexus.WorkflowHandle[str]:
        return await ctx.start_workflow(Child.run, text, id=f"nexus-{uuid.uuid4()}")


@workflow.defn
class Child:
    """Does what its argument says."""

    def __init__(self) -> None:
        self.told = ""

    @workflow.run
    async def run(self, what: str) -> str:
        match what:
            case "fail":
                raise ApplicationError("child failed", type="ChildError")
            case "wait":
                await workflow.wait_condition(lambda: bool(self.told))
            case "sleep":
                await workflow.sleep(timedelta(days=1))
            case _:
                await workflow.execute_activity(ok, what, start_to_close_timeout=LONG)
        return what

    @workflow.signal
    def tell(self, text: str) -> None:
        self.told = text


@workflow.defn
class Features:
    """Plays the named parts one after the other."""

    def __init__(self) -> None:
        self.approved_by = ""
        self.noted: list[str] = []

    @workflow.run
    async def run(self, parts: list[str]) -> list[str]:
        for part in parts:
            play: Callable[[], Coroutine[Any, Any, None]] = getattr(self, f"play_{part}")
            await play()
        return self.noted

    # -- activities ----------------------------------------------------------------------------

    async def play_activities(self) -> None:
        await asyncio.gather(
            workflow.execute_activity(ok, "a", start_to_close_timeout=LONG, summary="first"),
            workflow.execute_activity(ok_in_a_thread, "b", start_to_close_timeout=LONG),
            workflow.execute_activity(fails, 3, start_to_close_timeout=LONG, retry_policy=QUICK),
        )
        await _refused(
            workflow.execute_activity(fails, 9, start_to_close_timeout=LONG, retry_policy=QUICK)
        )
        await _refused(workflow.execute_activity(fails_for_good, start_to_close_timeout=LONG))
        for _ in range(2):
            await workflow.execute_activity(
                ok, "same id twice", activity_id="fixed", start_to_close_timeout=LONG
            )

    async def play_activity_timeouts(self) -> None:
        await asyncio.gather(
            *(
                _refused(stalled)
                for stalled in (
                    workflow.execute_activity(
                        stalls, 1.0, start_to_close_timeout=SHORT, retry_policy=ONCE
                    ),
                    workflow.execute_activity(
                        stalls,
                        1.0,
                        start_to_close_timeout=LONG,
                        heartbeat_timeout=SHORT,
                        retry_policy=ONCE,
                    ),
                    workflow.execute_activity(fails, 9, schedule_to_close_timeout=SHORT),
                    workflow.execute_activity(
                        ok,
                        "nobody polls",
                        task_queue="nobody",
                        schedule_to_start_timeout=SHORT,
                        start_to_close_timeout=LONG,
                    ),
                )
            )
        )

    async def play_activity_cancels(self) -> None:
        for kind in (
            ActivityCancellationType.TRY_CANCEL,
            ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            ActivityCancellationType.ABANDON,
        ):
            handle = workflow.start_activity(
                beats,
                start_to_close_timeout=timedelta(seconds=3),
                heartbeat_timeout=timedelta(seconds=1),
                cancellation_type=kind,
                retry_policy=ONCE,
            )
            await workflow.sleep(timedelta(milliseconds=200))
            handle.cancel()
            await _refused(handle)
            await workflow.sleep(TICK)
        # What is cancelled before the server heard of it leaves no trace.
        unsent = workflow.start_activity(ok, "never", start_to_close_timeout=LONG)
        unsent.cancel()
        await _refused(unsent)
        await workflow.execute_activity(ok, "after", start_to_close_timeout=LONG)

    async def play_deaf_activity(self) -> None:
        """It hears of its cancellation, if at all, after it is done."""
        handle = workflow.start_activity(stalls, 0.4, start_to_close_timeout=LONG)
        await workflow.sleep(timedelta(milliseconds=100))
        handle.cancel()
        await _refused(handle)
        await workflow.sleep(timedelta(milliseconds=600))

    # -- local activities ----------------------------------------------------------------------

    async def play_locals(self) -> None:
        local = workflow.execute_local_activity
        await local(ok, "a", start_to_close_timeout=LONG)
        await asyncio.gather(
            local(ok_in_a_thread, "b", start_to_close_timeout=LONG),
            local(fails, 2, start_to_close_timeout=LONG, retry_policy=QUICK),
        )
        await _refused(local(fails, 9, start_to_close_timeout=LONG, retry_policy=QUICK))
        await _refused(local(stalls, 5.0, start_to_close_timeout=SHORT, retry_policy=ONCE))
        unsent = workflow.start_local_activity(ok, "never", start_to_close_timeout=LONG)
        unsent.cancel()
        await _refused(unsent)

    async def play_local_cancel(self) -> None:
        """It hears of its cancellation if it outlives two tasks: the timer is asked for at the end
        of the first, and the second does not end sooner because it fired."""
        handle = workflow.start_local_activity(stalls, 6.0, start_to_close_timeout=LONG)
        await workflow.sleep(SHORT)
        handle.cancel()
        await _refused(handle)

    async def play_local_backoff(self) -> None:
        """Its backoff is too long for a worker to wait: a timer in the history does."""
        await workflow.execute_local_activity(
            fails,
            3,
            start_to_close_timeout=LONG,
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=120), backoff_coefficient=1.0
            ),
            local_retry_threshold=timedelta(milliseconds=50),
        )
        await workflow.execute_local_activity(ok, "after", start_to_close_timeout=LONG)

    async def play_slow_local(self) -> None:
        """Outlives a workflow task: the worker has to ask for a new one."""
        await workflow.execute_local_activity(stalls, 3.0, start_to_close_timeout=LONG)

    # -- timers and waits ----------------------------------------------------------------------

    async def play_timers(self) -> None:
        await workflow.sleep(TICK)
        await workflow.sleep(TICK, summary="cool down")
        long = asyncio.create_task(workflow.sleep(timedelta(days=1)))
        await workflow.sleep(TICK)
        long.cancel()
        unsent = asyncio.create_task(workflow.sleep(timedelta(days=1)))
        await asyncio.sleep(0)
        unsent.cancel()
        await workflow.execute_activity(ok, "x", start_to_close_timeout=LONG)
        try:
            await workflow.wait_condition(lambda: False, timeout=TICK, timeout_summary="patience")
        except TimeoutError:
            self.noted.append("timeout")

    async def play_approval(self) -> None:
        await workflow.wait_condition(
            lambda: bool(self.approved_by), timeout=LONG, timeout_summary="approval"
        )

    async def play_handlers(self) -> None:
        """Waits for the end of what handlers do."""
        await workflow.wait_condition(lambda: len(self.noted) >= 2)
        await workflow.wait_condition(workflow.all_handlers_finished)

    # -- messages ------------------------------------------------------------------------------

    @workflow.signal
    async def note(self, text: str) -> None:
        self.noted.append(text)

    @workflow.signal
    async def note_slowly(self, text: str) -> None:
        await workflow.execute_activity(ok, text, start_to_close_timeout=LONG)
        self.noted.append(text)

    @workflow.update
    async def approve(self, who: str) -> str:
        self.approved_by = who
        return f"thanks, {who}"

    @approve.validator
    def _somebody(self, who: str) -> None:
        if not who:
            raise ValueError("who approves?")

    @workflow.update
    async def reject(self, why: str) -> None:
        raise ApplicationError(why, type="Rejected")

    @workflow.update
    async def work(self, text: str) -> str:
        await workflow.sleep(TICK)
        done = await workflow.execute_activity(ok, text, start_to_close_timeout=LONG)
        self.noted.append(done)
        return done

    @workflow.query
    def count(self) -> int:
        return len(self.noted)

    @workflow.query
    def broken(self) -> int:
        raise ValueError("cannot tell")

    # -- other workflows -----------------------------------------------------------------------

    async def play_children(self) -> None:
        me = workflow.info().workflow_id
        await workflow.execute_child_workflow(Child.run, "ok", id=f"{me}-ok")
        await _refused(workflow.execute_child_workflow(Child.run, "fail", id=f"{me}-fail"))
        # The id is taken by a child that runs.
        first = await workflow.start_child_workflow(
            Child.run, "wait", id=f"{me}-twin", parent_close_policy=ParentClosePolicy.TERMINATE
        )
        await _refused(workflow.execute_child_workflow(Child.run, "wait", id=f"{me}-twin"))
        await first.signal(Child.tell, "go on")
        await first
        await _refused(
            workflow.execute_child_workflow(
                Child.run, "sleep", id=f"{me}-late", execution_timeout=timedelta(seconds=1)
            )
        )
        unsent = asyncio.create_task(
            workflow.execute_child_workflow(Child.run, "ok", id=f"{me}-never")
        )
        await asyncio.sleep(0)
        unsent.cancel()
        await _refused(unsent)

    async def play_child_cancels(self) -> None:
        me = workflow.info().workflow_id
        for kind in (
            ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            ChildWorkflowCancellationType.TRY_CANCEL,
            ChildWorkflowCancellationType.WAIT_CANCELLATION_REQUESTED,
            ChildWorkflowCancellationType.ABANDON,
        ):
            handle = await workflow.start_child_workflow(
                Child.run, "sleep", id=f"{me}-{kind.name}", cancellation_type=kind
            )
            handle.cancel()
            await _refused(handle)
            await workflow.sleep(TICK)

    async def play_external(self) -> None:
        me = workflow.info().workflow_id
        other = await workflow.start_child_workflow(Child.run, "wait", id=f"{me}-other")
        target = workflow.get_external_workflow_handle(f"{me}-other")
        await target.signal(Child.tell, "one")
        await other
        again = await workflow.start_child_workflow(Child.run, "sleep", id=f"{me}-again")
        await workflow.get_external_workflow_handle(f"{me}-again").cancel()
        await _refused(again)
        nobody = workflow.get_external_workflow_handle(f"{me}-nobody")
        await _refused(nobody.signal(Child.tell, "two"))
        await _refused(nobody.cancel())

    async def play_nexus(self) -> None:
        desk = workflow.create_nexus_client(service=Desk, endpoint=NEXUS_ENDPOINT)
        await desk.execute_operation(Desk.echo, "hello")
        await asyncio.gather(
            desk.execute_operation(Desk.echo, "one"), desk.execute_operation(Desk.echo, "two")
        )
        await _refused(desk.execute_operation(Desk.refuse, "no"))
        await desk.execute_operation(Desk.linger, "ok")
        for kind in (
            NexusOperationCancellationType.WAIT_COMPLETED,
            NexusOperationCancellationType.TRY_CANCEL,
            NexusOperationCancellationType.WAIT_REQUESTED,
        ):
            handle = await desk.start_operation(Desk.linger, "sleep", cancellation_type=kind)
            handle.cancel()
            await _refused(handle)
            await workflow.sleep(TICK)

    # -- markers and properties ----------------------------------------------------------------

    async def play_patches(self) -> None:
        if workflow.patched("new-rules"):
            await workflow.execute_activity(ok, "new", start_to_close_timeout=LONG)
        workflow.deprecate_patch("old-rules")
        workflow.upsert_search_attributes([CITY.value_set("Ulm")])
        workflow.upsert_memo({"city": "Ulm"})
        workflow.uuid4()
        workflow.random().random()

    # -- trouble and ends ----------------------------------------------------------------------

    async def play_broken_tasks(self) -> None:
        """Fails the workflow task, not the workflow, as often as `BROKEN` says."""
        await workflow.execute_activity(ok, "before", start_to_close_timeout=LONG)
        with workflow.unsafe.sandbox_unrestricted():
            me = workflow.info().workflow_id
            if BROKEN.get(me, 0) > 0:
                workflow.start_activity(ok, "lost", start_to_close_timeout=LONG)
                BROKEN[me] -= 1
                raise RuntimeError(f"not ready, {BROKEN[me]} to go")
        await workflow.execute_activity(ok, "after", start_to_close_timeout=LONG)

    async def play_deadlock(self) -> None:
        with workflow.unsafe.sandbox_unrestricted():
            me = workflow.info().workflow_id
            if BROKEN.get(me, 0) > 0:
                BROKEN[me] -= 1
                time.sleep(2.3)
        await workflow.execute_activity(ok, "after", start_to_close_timeout=LONG)

    async def play_changed_code(self) -> None:
        """What it asks for first depends on `BROKEN`: a replay after it was set differs."""
        with workflow.unsafe.sandbox_unrestricted():
            is_changed = BROKEN.get(workflow.info().workflow_id, 0) > 0
        activity_type = ok_in_a_thread if is_changed else ok
        await workflow.execute_activity(activity_type, "x", start_to_close_timeout=LONG)

    async def play_too_large(self) -> None:
        with workflow.unsafe.sandbox_unrestricted():
            me = workflow.info().workflow_id
            size = 3_000_000 if BROKEN.get(me, 0) > 0 else 3
            BROKEN[me] = 0
        await workflow.execute_activity(ok, "x" * size, start_to_close_timeout=LONG)

    async def play_late_message(self) -> None:
        """Holds the workflow task so long that a signal arrives before it completes."""
        with workflow.unsafe.sandbox_unrestricted():
            me = workflow.info().workflow_id
            if BROKEN.get(me, 0) > 0:
                BROKEN[me] = -1
                while BROKEN[me] < 0:
                    time.sleep(0.01)

    async def play_open_ends(self) -> None:
        """The run ends with these unanswered."""
        me = workflow.info().workflow_id
        workflow.start_activity(stalls, 1.0, start_to_close_timeout=LONG)
        await workflow.start_child_workflow(
            Child.run, "wait", id=f"{me}-orphan", parent_close_policy=ParentClosePolicy.ABANDON
        )
        asyncio.create_task(workflow.sleep(timedelta(days=1)))  # noqa: RUF006
        await workflow.execute_activity(ok, "x", start_to_close_timeout=LONG)
        workflow.start_activity(ok, "as the run ends", start_to_close_timeout=LONG)

    async def play_forever(self) -> None:
        await workflow.execute_activity(ok, "x", start_to_close_timeout=LONG)
        workflow.start_activity(stalls, 1.0, start_to_close_timeout=LONG)
        await workflow.sleep(timedelta(days=1))

    async def play_continue(self) -> None:
        workflow.continue_as_new(["activities"])

    async def play_fail(self) -> None:
        raise ApplicationError("the end", type="TheEnd")


async def _refused(operation: Any) -> None:
    """Let the operation fail, or be cancelled."""
    try:
        await operation
    except (FailureError, asyncio.CancelledError):
        return


WORKFLOWS: list[type] = [Features, Child]
