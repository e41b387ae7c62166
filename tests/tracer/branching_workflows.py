"""Workflows that decide, unaware that anybody looks, and a helper of their own package."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow

QUEUE = "branching"
TIMEOUT = timedelta(seconds=20)


@dataclass
class Order:
    amount: int
    country: str = "FR"

    def __post_init__(self) -> None:
        # Runs while the SDK decodes a payload, on no task of the workflow.
        if self.amount < 0:
            raise ValueError("an order needs an amount")


def tier(order: Order) -> str:
    return "gold" if order.amount > 1000 else "plain"


@activity.defn
async def review(order: Order) -> str:
    # An activity of the same module: its decisions are none of the workflow's.
    if order.amount > 5000:
        return "refused"
    return f"reviewed {tier(order)}"


class Deciding:
    """What both workflows do: one is sandboxed."""

    def __init__(self) -> None:
        self.approved_by = ""
        self.rejected = 0
        self.start_mode = "new" if not self.approved_by else "known"

    def is_done(self) -> bool:
        # Asked whenever anything happens.
        if self.approved_by:
            return True
        return self.rejected > 99

    async def decide(self, order: Order) -> str:
        if order.amount > 100 and order.country != "XX":
            verdict = await workflow.execute_activity(review, order, start_to_close_timeout=TIMEOUT)
        else:
            verdict = "waved through"
        checked = 0
        while checked < 3:
            checked += 1
            await workflow.sleep(timedelta(milliseconds=5))
        for _ in range(4):
            checked += 1
        try:
            await workflow.wait_condition(self.is_done, timeout=TIMEOUT)
        except TimeoutError:
            return "nobody came"
        match verdict:
            case "refused":
                return verdict
            case text if text.startswith("reviewed"):
                # Asked once more, this time by the workflow itself.
                return f"{text} {tier(order)} {self.is_done()}"
        return verdict

    def check(self, who: str) -> None:
        if not who:
            self.rejected += 0
            raise ValueError("who approves?")


@workflow.defn
class Sandboxed(Deciding):
    @workflow.run
    async def run(self, order: Order) -> str:
        return await self.decide(order)

    @workflow.update
    async def approve(self, who: str) -> str:
        self.approved_by = who if who else "nobody"
        return who

    @approve.validator
    def _somebody(self, who: str) -> None:
        self.check(who)

    @workflow.query
    def waiting(self) -> str:
        return "waiting" if not self.approved_by else "done"


@workflow.defn(sandboxed=False)
class Unsandboxed(Deciding):
    @workflow.run
    async def run(self, order: Order) -> str:
        return await self.decide(order)

    @workflow.update
    async def approve(self, who: str) -> str:
        self.approved_by = who if who else "nobody"
        return who

    @approve.validator
    def _somebody(self, who: str) -> None:
        self.check(who)

    @workflow.query
    def waiting(self) -> str:
        return "waiting" if not self.approved_by else "done"


WORKFLOWS = [Sandboxed, Unsandboxed]
