"""One workflow, and what may become of it: code that hangs or takes the process with it."""

import os
import time
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow

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


@workflow.defn(name="Order", sandboxed=False)
class Broken:
    """Orders whose id begins with `hang` or `crash` do so; the others are as they were."""

    @workflow.run
    async def run(self) -> str:
        name = workflow.info().workflow_id
        if name.startswith("hang"):
            hang()
        if name.startswith("crash"):
            os._exit(11)
        charged = await workflow.execute_activity(charge, 7, start_to_close_timeout=TIMEOUT)
        await workflow.sleep(0.01)
        return charged


def hang() -> None:
    """Note who hangs, for who waits for it, and never come back."""
    folder = os.environ.get("RETROSPAN_TEST_FOLDER")
    if folder:
        Path(folder, str(os.getpid())).touch()
    while True:
        try:
            time.sleep(600)
        except BaseException:  # noqa: BLE001 - the SDK interrupts by an exception
            continue
