"""One workflow type in several versions, as a replay meets it."""

import time
from datetime import timedelta

from temporalio import activity, workflow

QUEUE = "replayed"
TIMEOUT = timedelta(seconds=20)


@activity.defn
async def charge(amount: int) -> str:
    return f"charged {amount}"


@workflow.defn
class Order:
    @workflow.run
    async def run(self) -> str:
        charged = await workflow.execute_activity(charge, 7, start_to_close_timeout=TIMEOUT)
        await workflow.sleep(0.01)
        return charged


@workflow.defn(name="Order")
class Dearer:
    @workflow.run
    async def run(self) -> str:
        charged = await workflow.execute_activity(charge, 8, start_to_close_timeout=TIMEOUT)
        await workflow.sleep(0.01)
        return charged


@workflow.defn(name="Order")
class Reordered:
    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(0.01)
        return await workflow.execute_activity(charge, 7, start_to_close_timeout=TIMEOUT)


@workflow.defn(name="Order")
class Blocking:
    @workflow.run
    async def run(self) -> str:
        time.sleep(600)
        return ""


@workflow.defn(name="Order")
class Sleepless:
    @workflow.run
    async def run(self) -> str:
        while True:
            pass


@workflow.defn
class Impatient:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(charge, 7, start_to_close_timeout=TIMEOUT)
        await workflow.sleep(timedelta(days=30))


@workflow.defn
class Dice:
    @workflow.run
    async def run(self) -> list[str]:
        thrown = [str(workflow.uuid4())]
        await workflow.execute_activity(charge, 7, start_to_close_timeout=TIMEOUT)
        thrown.append(str(workflow.uuid4()))
        await workflow.sleep(0.01)
        thrown.append(str(workflow.uuid4()))
        return thrown


@workflow.defn
class Registered:
    """Begins as runs do to which an SDK adds a local activity of its own."""

    @workflow.run
    async def run(self) -> str:
        first = await workflow.execute_local_activity(charge, 7, start_to_close_timeout=TIMEOUT)
        second = await workflow.execute_local_activity(charge, 8, start_to_close_timeout=TIMEOUT)
        await workflow.sleep(0.01)
        return f"{first}, {second}"


@workflow.defn(name="Registered")
class Broken:
    @workflow.run
    async def run(self) -> str:
        await workflow.execute_local_activity(charge, 7, start_to_close_timeout=TIMEOUT)
        raise RuntimeError("not ready")


ACTIVITIES = [charge]
