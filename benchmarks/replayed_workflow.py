"""The workflow that `replay.py` replays: activities in a loop, with some state and decisions."""

from datetime import timedelta

from temporalio import workflow


@workflow.defn
class Shipping:
    """Ships orders one after the other, and keeps a log."""

    def __init__(self) -> None:
        self.shipped = 0
        self.late = 0
        self.log: list[str] = []

    @workflow.run
    async def run(self, orders: int) -> int:
        """Ship so many orders."""
        for number in range(orders):
            days = await self.ship(number)
            if days > 2:
                self.late += 1
            self.log.append(f"order {number}: {days} days")
        return self.late

    async def ship(self, number: int) -> int:
        """Ship one."""
        days: int = await workflow.execute_activity(
            "ship", number, start_to_close_timeout=timedelta(seconds=10)
        )
        self.shipped += 1
        return days
