"""The examples, live: spans are those of their histories, attempts those that activities logged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import Client

from examples.cargo_release import scenarios as cargo_scenarios
from examples.cargo_release import worker as cargo
from examples.cargo_release.customs_server import CustomsServer
from tests.tracer.example_stage import EXAMPLES, play, working
from tests.tracer.telescope import (
    Telescope,
    attribute,
    differences,
    family,
    is_known_to_workers_only,
    shape,
    span_id,
    told_by,
)
from tracer.names import Attribute, SpanKind

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    # Without a cache, the SDK's core also cancels local activities that are over.
    pytest.mark.filterwarnings("ignore:Cannot find activity to cancel for token"),
]


@pytest.mark.parametrize("cached", [1000, 0], ids=["cached", "uncached"])
@pytest.mark.parametrize("name", list(EXAMPLES))
async def test_live_spans_are_those_of_the_history(
    temporal_address: str, name: str, cached: int
) -> None:
    telescope = Telescope()
    client = await Client.connect(temporal_address, plugins=[telescope.plugin])
    async with working(client, max_cached_workflows=cached):
        results = await play(client, name)
    runs = [run for r in results for run in await family(client, r.workflow_id, r.run_id)]
    # Other tests left stuck runs on this server, which these workers try too.
    run_ids = {run.key.run_id for run in runs}
    spans = [s for s in telescope.spans() if attribute(s, Attribute.RUN_ID) in run_ids]
    live = [s for s in spans if not is_known_to_workers_only(s)]
    assert len({span_id(s) for s in live}) == len(live)
    told = told_by(runs)
    # Servers keep no record of a failed task that only repeats the one before it.
    shapes = {span_id(s): shape(s) for s in live if s.name != "task failure" or span_id(s) in told}
    assert differences(shapes, told) == []
    assert len(told) > 20
    telescope.check()


async def test_attempts_are_those_that_activities_logged(
    temporal_address: str, tmp_path: Path
) -> None:
    telescope, log = Telescope(), tmp_path / "attempts.jsonl"
    client = await Client.connect(temporal_address, plugins=[telescope.plugin])
    with CustomsServer(cargo_scenarios.RULES) as customs:
        async with cargo.worker(client, customs_url=customs.url, attempt_log=log):
            await play(client, "cargo")
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    seen = [
        (
            attribute(s, Attribute.WORKFLOW_ID),
            attribute(s, Attribute.ACTIVITY_ID),
            attribute(s, Attribute.ACTIVITY_ATTEMPT),
        )
        for s in telescope.kinds(SpanKind.ATTEMPT)
    ]
    keys = [(line["workflow_id"], line["activity_id"], line["attempt"]) for line in logged]
    assert sorted(seen) == sorted(keys)
    assert len(keys) > len({key[:2] for key in keys})
