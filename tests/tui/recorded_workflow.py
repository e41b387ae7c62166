"""The code of the runs that tests of `record` make histories of."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from tracer import decision

MINUTE = timedelta(minutes=1)


@workflow.defn
class Review:
    def __init__(self) -> None:
        self.approved = False

    @workflow.run
    async def run(self, customer: dict[str, Any]) -> str:
        await workflow.wait_condition(lambda: self.approved)
        return "done"

    @workflow.signal
    def approve(self) -> None:
        self.approved = True


@workflow.defn(name="Review")
class Hasty:
    @workflow.run
    async def run(self, customer: dict[str, Any]) -> str:
        return "done"

    @workflow.signal
    def approve(self) -> None:
        pass


@workflow.defn(name="Review")
class Deciding(Review):
    @workflow.run
    async def run(self, customer: dict[str, Any]) -> str:
        for round in range(7):
            decision("risk", "high" if round else "low", score=round)
        return await super().run(customer)


@workflow.defn(name="Review")
class Endless:
    @workflow.run
    async def run(self, customer: dict[str, Any]) -> str:
        while True:
            pass


@workflow.defn
class Order:
    def __init__(self) -> None:
        self.total = 0
        self.rounds: list[str] = []

    @workflow.run
    async def run(self, order: dict[str, Any]) -> str:
        for turn in (1, 2):
            answer = await workflow.execute_activity("ask", "plan", start_to_close_timeout=MINUTE)
            self.rounds.append(answer["choices"][0]["message"]["content"])
            amount = 10 * turn
            self.total += amount
            if not await self._charge(amount):
                return f"declined at {self.total}"
        return "charged"

    async def _charge(self, amount: int) -> bool:
        try:
            await workflow.execute_activity("charge", amount, start_to_close_timeout=MINUTE)
        except ActivityError:
            return False
        return True


@workflow.defn(name="Review")
class Sleepy:
    @workflow.run
    async def run(self, customer: dict[str, Any]) -> str:
        await workflow.sleep(MINUTE)
        return "done"

    @workflow.signal
    def approve(self) -> None:
        pass


@workflow.defn
class Payment:
    def __init__(self) -> None:
        self.limit = 0

    @workflow.run
    async def run(self, order: dict[str, Any]) -> str:
        amount = order["amount"]
        quote = await workflow.execute_activity("quote", amount, start_to_close_timeout=MINUTE)
        self.limit = quote["limit"]
        if amount > self.limit:
            amount = self.limit
        await workflow.execute_activity("charge", amount, start_to_close_timeout=MINUTE)
        return f"charged {amount}"
