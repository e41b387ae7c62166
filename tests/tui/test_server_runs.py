"""The app on a live server: its runs are listed, and an open one is followed."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from tests.tui.recorded_workflow import Review
from tests.tui.screens import lines_of, screen_text, settled
from tui.app import RetrospanApp
from tui.server_runs import ServerRuns


@pytest.mark.slow
async def test_an_open_run_is_followed_to_its_end(temporal_address: str) -> None:
    client = await Client.connect(temporal_address)
    queue = str(uuid.uuid4())
    async with Worker(client, task_queue=queue, workflows=[Review]):
        handle = await client.start_workflow(
            Review.run, {"customer": "c-1"}, id=f"followed-{queue[:8]}", task_queue=queue
        )
        async for event in handle.fetch_history_events():
            if event.event_id == 4:
                break
        source = ServerRuns(temporal_address, "default", f"WorkflowId = '{handle.id}'")
        app = RetrospanApp(source)
        async with app.run_test(size=(140, 45)) as pilot:
            while handle.id not in screen_text(app):
                await pilot.press("r")
                await settled(pilot)
            await pilot.press("enter")
            await settled(pilot)
            assert "Review ▶ RUNNING" in lines_of(app)[0]
            await pilot.press("G")
            await handle.signal(Review.approve)
            await handle.result()
            while "Review ✓ COMPLETED" not in lines_of(app)[0]:
                await asyncio.sleep(0.1)
                await settled(pilot)
            assert "event 9/9" in lines_of(app)[0] or "event 8/8" in lines_of(app)[0]
