"""Workflows whose branches and named decisions tests look for."""

import time
from datetime import timedelta

from temporalio import activity, workflow

from tests.tracer.deciding_rules import needs_review, route
from tracer import decision

with workflow.unsafe.imports_passed_through():
    from tests.tracer.feature_switches import BROKEN

QUEUE = "deciding"
TIMEOUT = timedelta(seconds=20)


@activity.defn
async def look(amount: int) -> int:
    return amount + 1


def trouble() -> int:
    """What `BROKEN` has for this run; it is not the workflow's to decide by."""
    with workflow.unsafe.sandbox_unrestricted():
        left = BROKEN.get(workflow.info().workflow_id, 0)
        BROKEN[workflow.info().workflow_id] = left - 1
    return left


class Deciding:
    """What the sandboxed and the other workflow do."""

    def __init__(self) -> None:
        self.approved_by = ""
        self.mode = decision("mode", "careful", since="always")

    async def decide(self, amount: int, country: str) -> str:
        amount = await workflow.execute_activity(look, amount, start_to_close_timeout=TIMEOUT)
        how = route(amount) if needs_review(amount, country) else "waved through"
        rounds = 0
        while rounds < 3:
            rounds += 1
            await workflow.execute_activity(look, rounds, start_to_close_timeout=TIMEOUT)
        for _ in range(2):
            rounds += 1
        if amount > 500:
            left = trouble()
            if left == 1:
                raise RuntimeError("not ready")
            if left == 2:
                time.sleep(2.3)
        await workflow.wait_condition(self._is_done, timeout=TIMEOUT)
        if decision("score", round(amount / 3000, 3)) > 0.5:
            how += ", high"
        return f"{how} {self.approved_by}"

    def _is_done(self) -> bool:
        return decision("asked", bool(self.approved_by))

    def _approve(self, who: str) -> str:
        self.approved_by = decision("approver", who, by="update")
        return who

    def _check(self, who: str) -> None:
        if not decision("valid", bool(who)):
            raise ValueError("who approves?")


@workflow.defn
class Sandboxed(Deciding):
    @workflow.run
    async def run(self, amount: int, country: str) -> str:
        return await self.decide(amount, country)

    @workflow.update
    async def approve(self, who: str) -> str:
        return self._approve(who)

    @approve.validator
    def _somebody(self, who: str) -> None:
        self._check(who)

    @workflow.query
    def approver(self) -> str:
        return decision("asked", self.approved_by or "nobody")


@workflow.defn(sandboxed=False)
class Unsandboxed(Deciding):
    @workflow.run
    async def run(self, amount: int, country: str) -> str:
        return await self.decide(amount, country)

    @workflow.update
    async def approve(self, who: str) -> str:
        return self._approve(who)

    @approve.validator
    def _somebody(self, who: str) -> None:
        self._check(who)

    @workflow.query
    def approver(self) -> str:
        return decision("asked", self.approved_by or "nobody")


WORKFLOWS: list[type] = [Sandboxed, Unsandboxed]
