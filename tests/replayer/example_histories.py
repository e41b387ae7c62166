"""The runs of every example, recorded once for a test process on a real server, and changed code.

A change is a replacement of text in an example's source, which is then loaded as a module of its
own.
"""

import asyncio
import itertools
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from temporalio.client import Client

import examples.cargo_release.worker as cargo
import examples.kyc_review.worker as kyc
import examples.support_triage.worker as triage
from examples.cargo_release.customs_server import CustomsServer
from examples.cargo_release.scenarios import RULES
from examples.cargo_release.scenarios import SCENARIOS as CARGO_SCENARIOS
from examples.kyc_review.scenarios import SCENARIOS as KYC_SCENARIOS
from examples.model_server import ModelServer
from examples.scenario import run_side_by_side
from examples.support_triage.scenarios import SCENARIOS as TRIAGE_SCENARIOS
from replayer.check import Verdict, check_replay
from replayer.history import RunHistory, from_server
from replayer.replaying import load_workflows

PREFIX = "recorded"
MODULES = (
    "examples.kyc_review.workflow",
    "examples.support_triage.workflow",
    "examples.cargo_release.workflow",
)

EXAMPLES = Path(__file__).parents[2] / "examples"
KYC = EXAMPLES / "kyc_review" / "workflow.py"
CARGO = EXAMPLES / "cargo_release" / "workflow.py"

type Check = Callable[..., Verdict]
"""Run or its name, example, replacements of text; `strict=`."""

_numbers = itertools.count()
_recorded: dict[str, RunHistory] = {}


def recorded_examples(address: str) -> Mapping[str, RunHistory]:
    """Every run, by workflow id; `:2` and on for the later runs of a chain."""
    if not _recorded:
        logger = logging.getLogger("temporalio")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            _recorded.update(asyncio.run(_record(address)))
        finally:
            logger.setLevel(level)
    return _recorded


async def _record(address: str) -> dict[str, RunHistory]:
    client = await Client.connect(address)
    async with AsyncExitStack() as stack:
        with ExitStack() as outside:
            customs = outside.enter_context(CustomsServer(RULES))
            models = outside.enter_context(ModelServer(kyc.SCRIPT))
            triage_models = outside.enter_context(ModelServer(triage.SCRIPT))
            await stack.enter_async_context(kyc.worker(client, model_url=models.base_url))
            await stack.enter_async_context(triage.worker(client, model_url=triage_models.base_url))
            await stack.enter_async_context(cargo.worker(client, customs_url=customs.url))
            await asyncio.gather(
                *(
                    run_side_by_side(client, scenarios, PREFIX, task_queue=queue)
                    for scenarios, queue in (
                        (KYC_SCENARIOS, kyc.TASK_QUEUE),
                        (TRIAGE_SCENARIOS, triage.TASK_QUEUE),
                        (CARGO_SCENARIOS, cargo.TASK_QUEUE),
                    )
                )
            )
            await stack.aclose()
    return await _fetched(client)


async def _fetched(client: Client) -> dict[str, RunHistory]:
    found: dict[str, RunHistory] = {}
    query = f"WorkflowId STARTS_WITH '{PREFIX}-'"
    executions = [execution async for execution in client.list_workflows(query)]
    for execution in sorted(executions, key=lambda each: (each.id, each.start_time)):
        chain = sum(id.partition(":")[0] == execution.id for id in found)
        name = execution.id if not chain else f"{execution.id}:{chain + 1}"
        found[name] = await from_server(client, execution.id, execution.run_id)
    return found


def changed_module(folder: Path, example: Path, *changes: tuple[str, str]) -> str:
    """The name of a module with an example's source and some text in it replaced."""
    source = example.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new, 1)
    file = folder / f"changed_{next(_numbers)}.py"
    file.write_text(source, encoding="utf-8")
    return file.stem


def changed_check(histories: Mapping[str, RunHistory], folder: Path) -> Check:
    """Checks a recorded run, or one that is given, against a changed example."""

    def check(
        run: str | RunHistory, example: Path, *changes: tuple[str, str], strict: bool = False
    ) -> Verdict:
        module = changed_module(folder, example, *changes)
        history = histories[run] if isinstance(run, str) else run
        sys.path.insert(0, str(folder))
        try:
            return check_replay(history, load_workflows([module]), strict=strict)
        finally:
            sys.path.remove(str(folder))

    return check
