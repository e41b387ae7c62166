"""Why did this payment fail? The whole way, in one sitting."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.histories import HistoryMaker, activity_failure
from tests.tui.reader import Reader
from tests.tui.screens import SIZES
from tui.app import RetrospanApp
from tui.sources import FileRuns

PAYMENT = "tests.tui.recorded_workflow:Payment"


def payment(folder: Path, number: int, *, limit: int) -> None:
    maker = HistoryMaker()
    run_id = f"0198c5c6-3b1e-7c2a-9d4e-00000000000{number}"
    maker.start("Payment", f"payment-{number}", run_id, b'{"amount": 20}')
    maker.activity("quote", data=b"20", result=b'{"limit": %d}' % limit, activity_id="1")
    charged = min(20, limit)
    failure = activity_failure("amount must be positive", "Refused") if limit < 0 else None
    maker.activity("charge", data=b"%d" % charged, failure=failure, activity_id="2")
    if failure is None:
        maker.complete(b'"charged %d"' % charged)
    else:
        maker.fail(failure)
    (folder / f"{number}.pb").write_bytes(maker.bytes())


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_from_the_failed_run_to_a_fork_that_would_not_have_failed(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    folder = tmp_path / "payments"
    folder.mkdir()
    payment(folder, 1, limit=100)
    payment(folder, 2, limit=-5)
    app = RetrospanApp(FileRuns([str(folder)]))
    async with app.run_test(size=size) as pilot:
        reader = Reader(pilot)
        await reader.waits()
        reader.sees("payment-1", "payment-2")

        await reader.filters_for("status:failed")
        reader.sees_no("payment-1")
        await reader.opens_the_run()
        reader.sees_in_the_heading("Payment ✗ FAILED")

        await reader.records_a_tape_with(PAYMENT)
        reader.sees("2 SOURCE", "RE-EXECUTED")

        await reader.goes_to_the_next_failure()
        reader.sees("Refused", "amount must be positive")

        await reader.goes_back_to_the_decision_before()
        reader.is_at_the_line("if amount > self.limit:")
        reader.sees("self.limit", "-5")

        await reader.asks_who_set("self.limit")
        reader.is_at_the_line('self.limit = quote["limit"]')
        reader.sees("quote {'limit': -5}")

        await reader.opens_the_payload()
        reader.sees_in_the_heading("quote out")
        reader.sees("limit -5")
        await reader.leaves()

        await reader.compares_with_the_first_offered()
        reader.sees("They part at step 2, activity charge", "output $.limit is -5")
        await reader.leaves()
        reader.is_at_the_line('self.limit = quote["limit"]')

        await reader.forks_with('output={"limit": 100}')
        reader.sees_in_the_heading("FORKED at quote")
        await reader.presses("G")
        reader.sees_in_the_heading("FORKED  payment-2")
        reader.sees("charge")
        await reader.presses("D")
        reader.sees("They part at step 1, activity quote")
