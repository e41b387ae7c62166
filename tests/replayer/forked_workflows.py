"""Workflows to fork: each uses what a fork has to reproduce, unaware that anybody would."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

QUEUE = "forked"
TIMEOUT = timedelta(seconds=20)
QUICK = RetryPolicy(initial_interval=timedelta(milliseconds=5), maximum_attempts=3)

CALLS: list[str] = []
"""Names of the activities that ran in this process."""


@activity.defn
async def classify(request: dict[str, Any]) -> dict[str, Any]:
    CALLS.append("classify")
    return {"label": "contract", "confidence": 0.7, "model": request["model"]}


@activity.defn
async def publish(label: str, confidence: float) -> str:
    CALLS.append("publish")
    return f"{label} published at {confidence}"


@activity.defn
async def file_away(label: str) -> str:
    return f"{label} filed"


@activity.defn
async def flaky(good_attempt: int) -> str:
    number = activity.info().attempt
    if number < good_attempt:
        raise ConnectionError(f"no answer at attempt {number}")
    return f"passed at {number}"


@activity.defn
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done at last"


@activity.defn
async def weigh(text: str) -> int:
    if not text:
        raise ApplicationError("nothing to weigh", type="Empty", non_retryable=True)
    return len(text)


@activity.defn
async def note(text: str) -> str:
    return text


@workflow.defn
class Review:
    """Publishes what is sure, and asks a person about the rest."""

    def __init__(self) -> None:
        self._approvals: list[str] = []

    @workflow.run
    async def run(self, document: dict[str, Any]) -> str:
        found = await workflow.execute_activity(
            classify, {"text": document["text"], "model": "small-1"}, start_to_close_timeout=TIMEOUT
        )
        if found["confidence"] >= document["sure"]:
            return await self._publish(found)
        if await self._approved():
            return await self._publish(found)
        return await workflow.execute_activity(
            file_away, found["label"], start_to_close_timeout=TIMEOUT
        )

    async def _publish(self, found: dict[str, Any]) -> str:
        return await workflow.execute_activity(
            publish, args=[found["label"], found["confidence"]], start_to_close_timeout=TIMEOUT
        )

    async def _approved(self) -> bool:
        try:
            await workflow.wait_condition(
                lambda: bool(self._approvals),
                timeout=timedelta(days=3),
                timeout_summary="approval",
            )
        except TimeoutError:
            return False
        return self._approvals[0] != "no"

    @workflow.signal
    def approve(self, by: str) -> None:
        self._approvals.append(by)


@workflow.defn
class Child:
    @workflow.run
    async def run(self, text: str) -> str:
        if not text:
            raise ApplicationError("no text", type="Empty", non_retryable=True)
        return await workflow.execute_activity(note, text, start_to_close_timeout=TIMEOUT)


@workflow.defn
class Sleeper:
    @workflow.run
    async def run(self) -> None:
        await workflow.sleep(timedelta(days=30))

    @workflow.signal
    def ring(self, text: str) -> None:
        workflow.logger.info("%s", text)


@workflow.defn
class Everything:
    """One of everything that a history can hold."""

    def __init__(self) -> None:
        self._seen: list[str] = []

    @workflow.run
    async def run(self, bell: str) -> list[str]:
        seen = self._seen
        ids = f"{workflow.uuid4()} {workflow.random().random()} {workflow.now().isoformat()}"
        seen.append(await workflow.execute_activity(note, ids, start_to_close_timeout=TIMEOUT))
        seen.append(await self._try(flaky, 3, retry_policy=QUICK))
        seen.append(await self._try(flaky, 9, retry_policy=QUICK))
        seen.append(
            await self._try(
                slow,
                30.0,
                start_to_close_timeout=timedelta(milliseconds=100),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        )
        await self._locals()
        await self._children()
        await self._others(bell)
        await self._canceled()
        if workflow.patched("with-a-wait"):
            await workflow.wait_condition(lambda: "go" in seen, timeout=timedelta(hours=2))
        seen.append(workflow.now().isoformat())
        return seen

    async def _try(self, function: Callable[..., Any], argument: Any, **options: Any) -> str:
        options = {"start_to_close_timeout": TIMEOUT, **options}
        try:
            return str(await workflow.execute_activity(function, argument, **options))
        except ActivityError as error:
            return f"{error.retry_state}: {error.cause!r}"

    async def _locals(self) -> None:
        weights = await asyncio.gather(
            *(
                workflow.execute_local_activity(weigh, text, start_to_close_timeout=TIMEOUT)
                for text in ("one", "three", "")
            ),
            return_exceptions=True,
        )
        self._seen.extend(str(weight) for weight in weights)
        self._seen.append(workflow.now().isoformat())

    async def _children(self) -> None:
        for text in ("a child", ""):
            try:
                self._seen.append(await workflow.execute_child_workflow(Child.run, text))
            except ChildWorkflowError as error:
                self._seen.append(f"{error.retry_state}: {error.cause!r}")

    async def _others(self, bell: str) -> None:
        await workflow.get_external_workflow_handle(bell).signal("ring", "hello")
        try:
            await workflow.get_external_workflow_handle(f"{bell}-not-there").signal("ring", "x")
        except ApplicationError as error:
            self._seen.append(str(error.type))

    async def _canceled(self) -> None:
        task = workflow.start_activity(
            slow,
            30.0,
            start_to_close_timeout=timedelta(seconds=40),
            heartbeat_timeout=timedelta(seconds=40),
            cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
        )
        await workflow.sleep(0.02, summary="a moment")
        task.cancel()
        try:
            await task
        except ActivityError as error:
            self._seen.append(repr(error.cause))

    @workflow.signal
    def tell(self, text: str) -> None:
        self._seen.append(text)

    @workflow.update
    async def ask(self, text: str) -> int:
        self._seen.append(
            await workflow.execute_activity(note, text, start_to_close_timeout=TIMEOUT)
        )
        return len(self._seen)


@workflow.defn
class Fickle:
    """Cancels a child at some moment of its start."""

    @workflow.run
    async def run(self, moment: str) -> list[str]:
        child = asyncio.create_task(workflow.execute_child_workflow(Sleeper.run))
        timer = asyncio.create_task(workflow.sleep(timedelta(hours=1), summary="patience"))
        match moment:
            case "at once":
                await asyncio.sleep(0)
            case "in the same task":
                await workflow.execute_local_activity(weigh, "x", start_to_close_timeout=TIMEOUT)
            case "in another task":
                await workflow.execute_activity(note, "x", start_to_close_timeout=TIMEOUT)
            case "when told":
                await workflow.wait([child, timer])
        timer.cancel()
        child.cancel()
        ends = await asyncio.gather(child, timer, return_exceptions=True)
        await workflow.execute_activity(note, "after", start_to_close_timeout=TIMEOUT)
        return [type(end).__name__ for end in ends]


WORKFLOWS = [Review, Child, Sleeper, Everything, Fickle]
ACTIVITIES: list[Callable[..., Any]] = [
    classify,
    publish,
    file_away,
    flaky,
    slow,
    weigh,
    note,
]
LIVE: list[Callable[..., Any]] = [classify, publish]
