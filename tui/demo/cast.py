"""Which executions a demo runs: successes, retries, failures, people, and a stuck run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import examples.cargo_release.worker
import examples.kyc_review.worker
import examples.support_triage.worker
from examples.cargo_release import scenarios as cargo
from examples.kyc_review import scenarios as kyc
from examples.scenario import Scenario, ScenarioResult
from examples.support_triage import scenarios as triage
from tui.cli.diagnostics import say
from tui.demo.progress import Progress
from tui.demo.stage import Stage, working

PREFIX = "demo"
"""Begins every workflow id of a demo."""
_FAULTY = ("human-approved", "approval-expired")
"""KYC scenarios that also run on the faulty workflow, to be compared with the healthy runs."""


@dataclass(frozen=True, slots=True)
class Part:
    """One execution."""

    example: str
    scenario: Scenario
    task_queue: str

    @property
    def prefix(self) -> str:
        """What its workflow id begins with; the scenario's name follows."""
        return f"{PREFIX}-{self.example}"


def parts() -> Iterator[Part]:
    """All executions of a demo."""
    worker = examples.kyc_review.worker
    for scenario in kyc.SCENARIOS:
        yield Part("kyc", scenario, worker.TASK_QUEUE)
        if scenario.name in _FAULTY:
            yield Part("kyc-faulty", scenario, worker.FAULTY_TASK_QUEUE)
    for scenario in triage.SCENARIOS:
        yield Part("triage", scenario, examples.support_triage.worker.TASK_QUEUE)
    for scenario in cargo.SCENARIOS:
        yield Part("cargo", scenario, examples.cargo_release.worker.TASK_QUEUE)


async def play(stage: Stage) -> list[ScenarioResult]:
    """Run all parts side by side, to their ends."""
    chosen = list(parts())
    say(f"Running {len(chosen)} workflows …")
    with Progress("Running workflows", len(chosen)) as progress:

        async def run(part: Part) -> ScenarioResult:
            result = await part.scenario.run(stage.client, part.prefix, task_queue=part.task_queue)
            progress.advance(result.workflow_id)
            return result

        async with working(stage), asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(part)) for part in chosen]
    return [task.result() for task in tasks]
