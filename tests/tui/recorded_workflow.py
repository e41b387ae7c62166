"""The code of the runs that tests of `record` make histories of."""

from typing import Any

from temporalio import workflow

from tracer import decision


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
