"""The state at a position is a function of the position, whichever way one came to it."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replayer.tape import Kind, State, Tape, _recorder
from replayer.tape._load import Loaded
from replayer.tape._state import Known
from tests.replayer.tape_workflows import TapedSandboxed
from tests.replayer.taping import Taped, history_of, started, taped, told, working

pytestmark = [pytest.mark.slow]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorded(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Taped]:
    """A tape of many small chunks."""
    async with working(temporal_address) as client:
        handle = await started(client, TapedSandboxed, ["a", "bb", "ccc", "dddd"])
        await handle.signal("rename", args=["bb", "bee"])
        await handle.execute_update("close", "enough")
        await handle.result()
        history = await history_of(client, handle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_recorder, "CHUNK_POSITIONS", 7)
        yield taped(history, TapedSandboxed, tmp_path_factory.mktemp("tapes"))


@pytest.fixture(scope="module")
def walked(recorded: Taped) -> Iterator[Tape]:
    with recorded.open() as tape:
        yield tape


@pytest.fixture(scope="module")
def by_walking(recorded: Taped) -> list[object]:
    """The state at each position, from the tape's changes alone: no keyframe but the first."""
    with recorded.open() as tape:
        return [told(state) for state in states_without_keyframes(tape._loaded)]


def states_without_keyframes(loaded: Loaded) -> Iterator[State]:
    lines: dict[int, int] = {}
    scopes: dict[int, dict[str, Known]] = {}
    assert len(loaded.firsts) > 10
    ended: int | None = None
    for chunk, first in enumerate(loaded.firsts):
        values = loaded.values(chunk)
        changes = iter([*values.changes, None])
        change = next(changes)
        end = [*loaded.firsts, len(loaded.kinds)][chunk + 1]
        for position in range(first, end):
            if ended is not None:
                lines.pop(ended)
                scopes.pop(ended * 3, None)
            kind, frame = loaded.kinds[position], loaded.frames[position]
            if kind in (Kind.LINE, Kind.CALL):
                lines[frame] = position
            while change is not None and change[0] == position - first:
                _, scope, name, node, cause = change
                names = scopes.setdefault(scope, {})
                if values.values[node] == ["gone"]:
                    del names[values.names[name]]
                else:
                    known = Known(values.values[node], position, cause)
                    names[values.names[name]] = known
                change = next(changes)
            ended = frame if kind in (Kind.RETURN, Kind.UNWIND) else None
            yield State(loaded, position, dict(lines), {n: dict(s) for n, s in scopes.items()})
        assert change is None


def test_keyframes_say_what_changes_add_up_to(walked: Tape, by_walking: list[object]) -> None:
    assert len(by_walking) == len(walked)
    for position, expected in enumerate(by_walking):
        assert told(walked.state_at(position)) == expected, walked.at(position)


type Move = Callable[[Tape, int], int | None]

MOVES: list[Move] = [
    Tape.step,
    Tape.step_back,
    Tape.over,
    Tape.over_back,
    Tape.out,
    Tape.out_back,
    Tape.along,
    Tape.along_back,
]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(start=st.floats(0, 0.999), moves=st.lists(st.sampled_from(MOVES), max_size=30))
def test_a_random_walk_comes_to_the_same_states(
    walked: Tape, by_walking: list[object], start: float, moves: list[Move]
) -> None:
    position = int(start * len(walked))
    for move in moves:
        found = move(walked, position)
        if found is None:
            continue
        assert walked.at(found).kind is Kind.LINE
        position = found
        assert told(walked.state_at(position)) == by_walking[position]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(positions=st.lists(st.floats(0, 0.999), min_size=2, max_size=10))
def test_seeking_anywhere_gives_what_walking_gives(
    recorded: Taped, by_walking: list[object], positions: list[float]
) -> None:
    with recorded.open() as tape:
        for share in positions:
            position = int(share * len(tape))
            assert told(tape.state_at(position)) == by_walking[position]


def test_steps_back_undo_steps_forward(walked: Tape) -> None:
    for position in range(len(walked)):
        if walked.at(position).kind is not Kind.LINE:
            continue
        for forward, back in ((Tape.step, Tape.step_back), (Tape.along, Tape.along_back)):
            found = forward(walked, position)
            assert found is None or back(walked, found) == position
        over = walked.over(position)
        if over is not None and walked.at(over).frame == walked.at(position).frame:
            assert walked.over_back(over) == position


def test_changes_of_a_name_are_where_its_value_changes(walked: Tape) -> None:
    end = len(walked) - 1
    changes = list(walked.changes("self.parts", end))
    assert [change.position for change in changes] == sorted(
        {change.position for change in changes}, reverse=True
    )
    for change in changes[:-1]:
        before, after = (attribute(walked, at) for at in (change.position - 1, change.position))
        assert before != after == change.value.text


def attribute(tape: Tape, position: int) -> str:
    workflow = tape.state_at(position).workflow
    return next(each.value.text for each in workflow if each.name == "self.parts")


def test_positions_out_of_range_are_refused(walked: Tape, tmp_path: Path) -> None:
    for position in (-1, len(walked)):
        for ask in (walked.at, walked.state_at, walked.step, walked.subject, walked.event_of):
            with pytest.raises(IndexError, match=r"the tape has positions 0 to \d+"):
                ask(position)
    assert walked.last_change("nobody", 5) is None
    assert walked.who_set("self.nobody", len(walked) - 1) is None
    assert walked.hits("nowhere.py", 1) == []
    assert walked.positions_of(10**6) == ()
