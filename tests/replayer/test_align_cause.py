"""Where two runs part, and what explains it, by what was changed between them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from replayer.alignment import Because, Comparison, Decision, Side, Verdict, compare
from tests.event_builder import EPOCH
from tests.replayer.align_stories import RUN_B, Story
from tracer.model import Run
from tui.diff.words import cause_sentences

_STEPS = 8


def forked(at: int, tell: Callable[[Story, int], object]) -> tuple[Run, Run]:
    """A run, and one that is the same up to a step; there, and from there on, it is another."""
    ours, theirs = Story(), Story(run_id=RUN_B)
    for number in range(_STEPS):
        ours.step(f"step {number}", json.dumps({"n": number}))
        if number < at:
            theirs.step(f"step {number}", json.dumps({"n": number}))
        else:
            tell(theirs, number)
    return ours.end(), theirs.end()


def compared(ours: Run, theirs: Run) -> Comparison:
    return compare(Side(ours), Side(theirs))


@pytest.mark.parametrize("at", range(1, _STEPS - 1))
def test_a_fork_parts_at_the_fork_point(at: int) -> None:
    """The answer of one step is set, and the code goes on otherwise."""

    def tell(story: Story, number: int) -> None:
        is_point = number == at
        name, n = f"step {number}", number if is_point else number * 100
        story.step(name, json.dumps({"n": n}), '"set"' if is_point else '"ok"')

    found = compared(*forked(at, tell))
    assert found.cause is not None
    assert found.cause.because is Because.ANSWER
    assert found.cause.explanation is not None
    assert found.rows[found.cause.explanation].entry.name == f"step {at}"
    assert found.rows[found.cause.divergence].entry.name == f"step {at + 1}"


@pytest.mark.parametrize("at", range(_STEPS))
def test_other_code_parts_at_its_first_other_step(at: int) -> None:
    found = compared(*forked(at, lambda story, number: story.step(f"other {number}")))
    assert found.cause is not None
    assert found.cause.because is Because.CODE
    row = found.rows[found.cause.divergence]
    assert row.entry.name in (f"step {at}", f"other {at}")
    assert row.verdict in (Verdict.ONLY_LEFT, Verdict.ONLY_RIGHT)


def test_other_input_is_the_first_explanation() -> None:
    ours = Story(input='{"limit": 1}').step("a").step("b").end()
    theirs = Story(run_id=RUN_B, input='{"limit": 2}').step("a").step("c").end()
    found = compared(ours, theirs)
    assert found.cause is not None
    assert found.cause.because is Because.INPUT
    assert list(cause_sentences(found))[1] == (
        "Before that, the start of Order gave something else: input $[0].limit is 1 in A and 2 in B"
    )


def test_a_message_that_one_run_got_explains_what_it_did() -> None:
    ours = Story().step("a").signal("stop").step("clean up").end()
    theirs = Story(run_id=RUN_B).step("a").step("b").end()
    found = compared(ours, theirs)
    assert found.cause is not None
    assert found.cause.because is Because.MESSAGE
    assert list(cause_sentences(found))[1] == "Because signal stop came in A only."


def test_an_answer_that_came_later_explains_nothing() -> None:
    """A parallel step that was answered otherwise, but only after the runs had parted."""
    runs = []
    for run_id, answer, following in (("a", '"x"', "left"), (RUN_B, '"y"', "right")):
        story = Story(run_id=run_id)
        slow = story.asked("slow")
        story.step("quick").step(following)
        story.answered(slow, answer)
        story.task()
        runs.append(story.end())
    found = compared(*runs)
    assert found.cause is not None
    assert found.cause.because is Because.CODE


def test_where_the_workflow_did_the_same_the_first_answer_is_told() -> None:
    ours = Story().step("a").step("b", result='"one"').end()
    theirs = Story(run_id=RUN_B).step("a").step("b", result='"two"').end()
    found = compared(ours, theirs)
    assert found.cause is not None
    assert found.cause.because is Because.ITSELF
    assert list(cause_sentences(found)) == [
        "The workflow did the same in both; the first difference is step 2, activity b.",
        'There output $ is "one" in A and "two" in B',
    ]


def test_a_decision_that_went_the_other_way_explains_most() -> None:
    ours, theirs = Story(), Story(run_id=RUN_B)
    ours.step("score", result="1").step("approve")
    theirs.step("score", result="9").step("ask")

    def decided(outcome: bool, score: str) -> Decision:
        # The second activation: after the first task and the step.
        at = round((EPOCH + 0.08) * 1e9)
        values = (("score", score),)
        return Decision("p", "Order.run", 12, "score < 5", outcome, 1, at, "order.py", values)

    found = compare(
        Side(ours.end(), [decided(True, "1")]), Side(theirs.end(), [decided(False, "9")])
    )
    assert found.cause is not None
    assert found.cause.because is Because.BRANCH
    assert found.cause.explanation is not None
    names = [row.entry.name for row in found.rows]
    assert names.index("score") < found.cause.explanation < names.index("approve")
    assert list(cause_sentences(found))[1:] == [
        "Because the decision at order.py:12 went true in A and false in B: score < 5",
        "A read score = 1",
        "B read score = 9",
    ]


def test_equal_runs_have_no_cause() -> None:
    ours, theirs = Story().step("a").end(), Story(run_id=RUN_B).step("a").end()
    found = compared(ours, theirs)
    assert (found.cause, found.differs) == (None, False)
    assert list(cause_sentences(found)) == ["No difference."]
