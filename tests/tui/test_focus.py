from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracer.identity import RunKey
from tui.replay.focus import Focus, Trail

KEY = RunKey("ns", "wf", "run")
moves = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["step", "jump"]), st.integers(0, 20)),
        st.tuples(st.sampled_from(["back", "forward"]), st.just(0)),
    )
)


def at(position: int) -> Focus:
    return Focus(KEY, position)


def moved(trail: Trail, move: tuple[str, int]) -> Trail:
    match move:
        case ("step", position):
            return trail.step(at(position))
        case ("jump", position):
            return trail.jump(at(position))
        case ("back", _):
            return trail.back()
        case _:
            return trail.forward()


def test_back_leads_to_where_the_jump_began() -> None:
    trail = Trail(at(0)).step(at(1)).jump(at(9)).step(at(10)).back()

    assert trail.here == at(1)
    assert trail.forward().here == at(10)


def test_a_new_jump_forgets_what_was_ahead() -> None:
    trail = Trail(at(0)).jump(at(5)).back().jump(at(7))

    assert trail.forward() == trail


@given(moves)
def test_back_and_forward_undo_each_other(history: list[tuple[str, int]]) -> None:
    trail = Trail(at(0))
    for move in history:
        trail = moved(trail, move)

    assert trail.behind == () or trail.back().forward() == trail
    assert trail.ahead == () or trail.forward().back() == trail


@given(moves)
def test_going_all_the_way_back_ends(history: list[tuple[str, int]]) -> None:
    trail = Trail(at(0))
    for move in history:
        trail = moved(trail, move)
    for _ in range(len(history)):
        trail = trail.back()

    assert trail.behind == ()
