"""Tapes of live runs: what is on them is what happened."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowFailureError

from replayer.history import RunHistory
from replayer.tape import CoroutineKind, Kind, SourceState, StopKind, Tape
from tests.replayer.tape_workflows import (
    BUILDERS,
    Board,
    TapedHostile,
    TapedPaths,
    touched,
)
from tests.replayer.taping import Taped, history_of, lines, plain, started, taped, workflow_value
from tests.replayer.taping import working as working_here

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

NAMES = ["bolt", "nut", "washer"]


class Built:
    """A run of a builder, with what its query answered at the end."""

    def __init__(self, taped: Taped, board: Board) -> None:
        self.taped = taped
        self.board = board


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BUILDERS)
async def built(
    request: pytest.FixtureRequest,
    temporal_address: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Built]:
    workflow: Any = request.param
    async with working_here(temporal_address) as client:
        handle = await started(client, workflow, NAMES)
        await handle.signal("rename", args=["nut", "hex nut"])
        await handle.execute_update("close", "enough")
        await handle.result()
        board: Board = await handle.query(workflow.show)
        history = await history_of(client, handle)
    yield Built(taped(history, workflow, tmp_path_factory.mktemp("tapes")), board)


@pytest.fixture
def tape(built: Built) -> Any:
    with built.taped.open() as tape:
        yield tape


def position_of(tape: Tape, text: str, nth: int = 0) -> int:
    """The nth position at which a line with this text is about to run."""
    source = tape.source("tests/replayer/tape_workflows.py")
    assert source is not None
    numbers = [n for n, line in enumerate(source.text.splitlines(), 1) if line.strip() == text]
    hits = [at for number in numbers for at in tape.hits("tape_workflows.py", number)]
    return sorted(hits)[nth]


async def test_the_state_at_the_end_is_what_the_query_answered(built: Built, tape: Tape) -> None:
    state = tape.state_at(len(tape) - 1)
    expected = asdict(built.board)
    assert {name: plain(workflow_value(state, name)) for name in expected} == expected
    assert built.taped.stop == tape.stop
    assert tape.stop.kind is StopKind.CLOSED


async def test_each_coroutine_has_a_stack_of_its_own(tape: Tape) -> None:
    position = position_of(tape, "part = Part(name, weight)")
    state = tape.state_at(position)
    stacks = {
        tape.coroutine(number).name: [frame.function for frame in state.stack_of(number)]
        for number in state.coroutines
        if tape.coroutine(number).kind is not CoroutineKind.TASK
    }
    assert [frame.function for frame in state.stack] == ["Building.add"]
    adding = [
        number
        for number in state.coroutines
        if [frame.function for frame in state.stack_of(number)] == ["Building.add"]
    ]
    assert len(adding) == 3
    assert {plain(state.stack_of(number)[0].value("name")) for number in adding} == set(NAMES)
    (main,) = [stack for stack in stacks.values() if stack[0].endswith(".run")]
    assert main[1:] == ["Building.build"]


async def test_coroutines_are_known_by_what_they_are(tape: Tape) -> None:
    found = [(each.kind, each.name.rpartition(".")[2]) for each in tape.coroutines()]
    assert (CoroutineKind.MAIN, "run") in found
    assert (CoroutineKind.SIGNAL, "rename") in found
    assert (CoroutineKind.UPDATE, "close") in found
    assert (CoroutineKind.INIT, "") in found
    assert (CoroutineKind.CONDITION, "") in found
    assert found.count((CoroutineKind.TASK, "add")) == len(NAMES)


async def test_a_line_knows_the_values_it_touches(tape: Tape) -> None:
    before = position_of(tape, 'part.tags.append("weighed")')
    after = tape.over(before)
    assert after is not None
    (frame,) = tape.state_at(before).stack
    name = plain(frame.value("name"))
    part = frame.value("part")
    assert part is not None
    assert part.text == f"Part(name={name!r}, weight={float(len(name))}, tags=[])"
    (later,) = tape.state_at(after).stack
    assert plain(later.value("part")) == {
        "name": name, "weight": float(len(name)), "tags": ["weighed"]
    }  # fmt: skip


async def test_a_change_through_another_name_is_seen_on_its_line(tape: Tape) -> None:
    line = position_of(tape, "alias.append(text)")
    after = next(
        at for at in range(line + 1, len(tape)) if tape.at(at).frame == tape.at(line).frame
    )
    change = tape.last_change("alias", after)
    assert change is not None
    assert change.set_by == line
    # The attribute itself is looked at when the activation ends.
    activation = tape.activation(tape.at(line).activation)
    log = workflow_value(tape.state_at(activation.last), "log")
    assert plain(change.value)[-1] in plain(log)
    by_another_name = position_of(tape, "alias.append(text)", -1)
    place = tape.who_set("self.log", len(tape) - 1)
    assert place is not None
    assert place.position == by_another_name


async def test_who_set_a_value_is_the_line_that_did(tape: Tape) -> None:
    end = len(tape) - 1
    place = tape.who_set("self.closed", end)
    assert place is not None
    assert place.position == position_of(tape, "self.closed = True")
    changes = [plain(change.value) for change in tape.changes("self.closed", end)]
    assert changes == [True, False]
    last = position_of(tape, "total += weight", 2)
    place = tape.who_set("weight", last)
    assert place is not None
    assert tape.at(place.position).line == tape.at(last).line - 1
    # An argument comes from the line that called.
    note = position_of(tape, "alias = self.log")
    place = tape.who_set("text", note)
    assert place is not None
    assert place.function != "Building.note"


async def test_calls_returns_awaits_and_exceptions_are_positions(tape: Tape) -> None:
    kinds = {kind: [at for at in range(len(tape)) if tape.at(at).kind is kind] for kind in Kind}
    failed = [tape.subject(at) for at in kinds[Kind.EXCEPTION]]
    assert [value.type for value in failed if value] == ["ActivityError"]
    assert tape.at(kinds[Kind.EXCEPTION][0]).function == "Building.fail"
    assert len(kinds[Kind.ACTIVATION]) == len(kinds[Kind.COMMANDS]) == tape.activation_count
    ends = len(kinds[Kind.RETURN]) + len(kinds[Kind.UNWIND]) + len(kinds[Kind.GONE])
    assert len(kinds[Kind.CALL]) == ends
    assert kinds[Kind.AWAIT]
    assert kinds[Kind.RESUME]
    returned = [at for at in kinds[Kind.RETURN] if tape.at(at).function.endswith(".run")]
    assert plain(tape.subject(returned[0])) == 13.0


async def test_commands_know_their_lines_and_events(built: Built, tape: Tape) -> None:
    names = {event.event_id: event for event in built.taped.history.events}
    commands = [command for act in tape.activations() for command in act.commands]
    scheduled = [command for command in commands if command.name == "schedule_activity"]
    assert len(scheduled) == 4
    for command in scheduled:
        event = names[command.event_id or 0]
        assert event.HasField("activity_task_scheduled_event_attributes")
        assert tape.at(command.position).function in ("Building.add", "Building.fail")
        assert tape.positions_of(event.event_id) == (command.position,)
    (done,) = [each for each in commands if each.name == "complete_workflow_execution"]
    assert done.event_id == built.taped.history.events[-1].event_id
    responses = [each.about for each in commands if each.name == "update_response"]
    assert responses == ["accepted", "completed"]
    assert all(each.event_id for each in commands)


async def test_jobs_know_their_events_and_what_they_woke(built: Built, tape: Tape) -> None:
    events = {event.event_id: event for event in built.taped.history.events}
    jobs = [job for act in tape.activations() for job in act.jobs]
    resolved = [job for job in jobs if job.name == "resolve_activity"]
    assert len(resolved) == 4
    for job in resolved:
        event = events[job.event_id or 0]
        assert event.HasField("activity_task_completed_event_attributes") or event.HasField(
            "activity_task_failed_event_attributes"
        )
        assert job.position is not None
        assert tape.event_of(job.position) == job.event_id
        assert job.position in tape.positions_of(event.event_id)
    (signal,) = [job for job in jobs if job.name == "signal_workflow"]
    assert signal.position is not None
    assert tape.at(signal.position).function.endswith(".rename")
    (update,) = [job for job in jobs if job.name == "do_update"]
    assert update.position is not None
    assert tape.at(update.position).function.endswith(".close")


async def test_steps_go_where_a_person_means(tape: Tape) -> None:
    start = position_of(tape, "await self.fail()")
    following = tape.over(start)
    assert following == position_of(tape, "await workflow.wait_condition(lambda: self.closed)")
    assert tape.over_back(following) == start
    inside = tape.step(start)
    assert inside is not None
    assert tape.at(inside).function == "Building.fail"
    assert tape.out(inside) == following
    assert tape.out_back(inside) == start
    weight = position_of(tape, "part = Part(name, weight)")
    next_line = tape.along(weight)
    assert next_line is not None
    assert tape.at(next_line).coroutine == tape.at(weight).coroutine
    assert tape.along_back(next_line) == weight


async def test_steps_forward_and_back_visit_the_same_lines(tape: Tape) -> None:
    expected = lines(tape)
    forward, at = [], tape.step(0)
    while at is not None:
        forward.append(at)
        at = tape.step(at)
    back, at = [], tape.step_back(len(tape) - 1)
    while at is not None:
        back.append(at)
        at = tape.step_back(at)
    assert forward == back[::-1] == expected


async def test_source_is_what_ran(built: Built, tape: Tape) -> None:
    (file,) = tape.sources()
    assert file == "tests/replayer/tape_workflows.py"
    source = tape.source(file)
    assert source is not None
    assert source.text == Path(source.path).read_text()
    assert tape.source_state(file) is SourceState.SAME


async def test_every_end_of_a_frame_is_at_its_own_frame(tape: Tape) -> None:
    open_frames: set[int] = set()
    for at in range(len(tape)):
        place = tape.at(at)
        if place.frame is None:
            continue
        if place.kind is Kind.CALL:
            open_frames.add(place.frame)
        assert place.frame in open_frames
        if place.kind in (Kind.RETURN, Kind.UNWIND):
            open_frames.remove(place.frame)
    assert open_frames == set()


async def run_of(address: str, workflow: type) -> tuple[RunHistory, Any]:
    async with working_here(address) as client:
        handle = await started(client, workflow)
        try:
            result = await handle.result()
        except WorkflowFailureError as error:
            result = error
        return await history_of(client, handle), result


async def test_hostile_values_are_told_and_not_touched(
    temporal_address: str, tmp_path: Path
) -> None:
    history, result = await run_of(temporal_address, TapedHostile)
    assert result == "6 3"
    touched.clear()
    with taped(history, TapedHostile, tmp_path).open() as tape:
        assert tape.stop.kind is StopKind.CLOSED
        state = tape.state_at(len(tape) - 1)
        at = position_of(tape, "rest = self.slotted, self.loud, self.kinds")
        frame = tape.state_at(at).stack[-1]
    assert touched == []
    values = {variable.name.removeprefix("self."): variable.value for variable in state.workflow}
    assert values["grenade"].text == "Grenade(pin='in')"
    assert values["of_meta"].text == "OfMeta()"
    assert values["loop"].is_cut
    assert values["deep"].is_cut
    assert (values["huge"].length, values["huge"].is_cut) == (100_003, True)
    assert values["huge"].text.endswith("-1, -1, -1]")
    assert values["huge"].child("[100002]") == values["huge"].children[-1][1]
    assert values["text"].length == 1_000_000
    assert len(values["text"].text) < 1000
    assert values["number"].is_cut
    assert values["surrogate"].text == r"'lone \\ud800'"
    assert values["nan"].text == "nan"
    assert values["slotted"].text == "Slotted(left=1)"
    assert values["loud"].text == "LoudDict({'a': 1})"
    assert values["counts"].text == "defaultdict({'a': 1})"
    assert values["queue"].text == "deque(1, 2, 2, 2, 2)"
    assert values["kinds"].text == (
        r"(Colour.RED, b'\x00\xff', True, None, {1, 2, 3}, <type>, frozenset())"
    )
    assert frame.value("local") is not None


async def test_generators_deletions_and_exceptions(temporal_address: str, tmp_path: Path) -> None:
    history, result = await run_of(temporal_address, TapedPaths)
    assert result == 8
    with taped(history, TapedPaths, tmp_path).open() as tape:
        state = tape.state_at(position_of(tape, "return len(message) + sum(squares)"))
        (frame,) = state.stack
        assert plain(frame.value("squares")) == [0, 1, 0, 1]
        assert plain(frame.value("message")) == "bottom"
        assert frame.value("doomed") is None
        assert frame.value("error") is None
        gone = position_of(tape, "del doomed")
        assert plain(tape.state_at(gone).stack[-1].value("doomed")) == 1
        deepest = position_of(tape, 'raise ValueError("bottom")')
        stack = [each.function.rpartition(".")[2] for each in tape.state_at(deepest).stack]
        assert stack == ["run", "outer", "outer", "outer", "outer"]
        unwound = [at for at in range(len(tape)) if tape.at(at).kind is Kind.UNWIND]
        assert len(unwound) == 4
        yielded = [at for at in range(len(tape)) if tape.at(at).kind is Kind.YIELD]
        assert [tape.at(at).function.rpartition(".")[2] for at in yielded] == [
            "count", "count", "slowly", "slowly"
        ]  # fmt: skip
        waiting = position_of(tape, "await workflow.sleep(0.01)")
        assert [each.function for each in tape.state_at(waiting).stack] == [
            "TapedPaths.run", "TapedPaths.slowly"
        ]  # fmt: skip
