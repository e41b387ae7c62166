"""Decisions that workflow code names: on the tape as on the spans of the live run."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowHandle

from replayer.alignment import changes_of, compare, side_of
from replayer.history import RunHistory, from_server
from replayer.replaying import PLAIN, ReplayProfile
from replayer.tape import Tape, open_tape, record
from tests.replayer.taping import taped
from tests.tracer.deciding_workflows import Sandboxed, Unsandboxed
from tests.tracer.telescope import Telescope, attribute
from tests.tracer.test_branch_spans import branches, finish, start, told, working
from tracer import TracerPlugin
from tracer.branches import BranchKind
from tracer.names import Attribute as A

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

type Told = list[tuple[object, object, object, object]]
type Reasons = list[tuple[str, dict[str, Any]]]


class Ran:
    """A run of the deciding workflow, as its worker told of it."""

    def __init__(self, history: RunHistory, telescope: Telescope, workflow: type) -> None:
        spans = branches(telescope, history.key.run_id)
        self.history = history
        self.workflow = workflow
        self.told: Told = [told(span) for span in spans]
        self.reasons: Reasons = [
            (str(attribute(span, A.DECISION_NAME)), json.loads(str(why)))
            for span in spans
            if (why := attribute(span, A.DECISION_WHY))
        ]


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[Sandboxed, Unsandboxed], ids=["sandboxed", "not"]
)
async def ran(request: pytest.FixtureRequest, temporal_address: str) -> AsyncIterator[Ran]:
    telescope = Telescope()
    async with working(temporal_address, telescope.plugin) as client:
        handle: WorkflowHandle[Any, Any] = await start(client, request.param)
        await finish(handle)
        history = await from_server(client, handle.id, handle.result_run_id)
    telescope.check()
    yield Ran(history, telescope, request.param)


def decided(tape: Tape) -> Told:
    return [
        (b.point.condition, b.point.kind.value, b.outcome, b.occurrence)
        for b in (found.branch for found in tape.branches())
    ]


@pytest.mark.parametrize(
    "profile", [PLAIN, ReplayProfile(plugins=[TracerPlugin()])], ids=["plain", "plugin"]
)
async def test_they_are_those_of_the_live_run(
    ran: Ran, tmp_path: Path, profile: ReplayProfile
) -> None:
    with taped(ran.history, ran.workflow, tmp_path, profile=profile).open() as tape:
        assert decided(tape) == ran.told
        named = [b for b in tape.branches() if b.branch.point.kind is BranchKind.DECISION]
        assert len(named) == 4
        reasons = [
            (b.branch.point.condition, {name: json.loads(text) for name, text in b.branch.values})
            for b in named
            if b.branch.values
        ]
        assert reasons == ran.reasons
        assert dict(ran.reasons)["mode"] == {"since": "always"}


async def test_they_have_their_place_on_the_tape(ran: Ran, tmp_path: Path) -> None:
    with taped(ran.history, ran.workflow, tmp_path).open() as tape:
        for found in tape.branches():
            place, point = tape.at(found.position), found.branch.point
            assert (place.file, place.function) == (point.file, point.qualname)
            if point.kind is BranchKind.DECISION and point.condition != "route":
                assert place.line == point.line


async def test_a_child_process_hears_them_too(ran: Ran, tmp_path: Path) -> None:
    path = tmp_path / "run.tape"
    name = f"{ran.workflow.__module__}:{ran.workflow.__name__}"
    record(ran.history, [name], path)
    with open_tape(path) as tape:
        assert decided(tape) == ran.told


async def test_a_comparison_tells_what_they_came_to(temporal_address: str, tmp_path: Path) -> None:
    found = []
    async with working(temporal_address, None) as client:
        for amount in (1100, 2900):
            handle = await start(client, Sandboxed, amount)
            await finish(handle)
            found.append(await from_server(client, handle.id, handle.result_run_id))
    tapes = [taped(each, Sandboxed, tmp_path) for each in found]
    with tapes[0].open() as left, tapes[1].open() as right:
        comparison = compare(side_of(found[0]), side_of(found[1]), (left, right))
    changes = {
        decision.condition: [(change.path, change.left, change.right) for change in changes_of(row)]
        for row in comparison.rows
        if row.is_difference and (decision := row.entry.decision) is not None
    }
    assert changes["score"] == [("$.outcome", 0.367, 0.967)]
    assert changes['decision("score", round(amount / 3000, 3)) > 0.5'] == [
        ("$.outcome", False, True)
    ]
    assert "mode" not in changes
