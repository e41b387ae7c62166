from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from replayer.history import RunHistory, read_bytes, read_histories
from tests.tui.histories import HOSTILE, HistoryMaker, review_history
from tui.event_detail import detail_of
from tui.event_words import event_line
from tui.pieces import text_of
from tui.text import safe_text
from tui.walk import Walk, walk_of

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def walk(maker: HistoryMaker) -> Walk:
    (history,) = read_bytes(maker.bytes(), uri="made.pb")
    assert isinstance(history, RunHistory)
    return walk_of(history)


def lines(of: Walk) -> list[str]:
    return [text_of(event_line(of, position)).rstrip() for position in range(len(of.events))]


def detail(of: Walk, position: int, width: int = 60) -> str:
    shown = detail_of(of, position, width)
    return "\n".join(text_of(shown.line(index, width)) for index in range(len(shown)))


def position_of(of: Walk, text: str) -> int:
    return next(index for index, line in enumerate(lines(of)) if text in line)


def test_a_timeline_says_what_happened() -> None:
    assert lines(walk(review_history())) == [
        " 1      +0s ▷ workflow Review started",
        " 2   +100ms · task scheduled",
        " 3   +200ms · task started",
        " 4   +300ms · task completed",
        " 5   +400ms ▷ activity classify scheduled",
        " 6   +500ms ▷ activity classify started · attempt 3",
        " 7   +600ms ✓ activity classify completed 200ms · 3 attempts",
        " 8   +700ms · task scheduled",
        " 9   +800ms · task started",
        "10   +900ms · task completed",
        "11   +5.90s ⚑ signal approve received",
        "12   +6.00s · task scheduled",
        "13   +6.10s · task started",
        "14   +6.20s · task completed",
        "15   +6.30s ▷ timer cool-down started",
        "16   +36.3s ✓ timer cool-down fired 30.0s",
        "17   +36.4s · task scheduled",
        "18   +36.5s · task started",
        "19   +36.6s · task completed",
        "20   +36.7s ▷ activity check scheduled",
        "21   +36.8s ▷ activity check started",
        "22   +36.9s ✗ activity check failed 200ms LookupError: no such customer",
        "23   +37.0s · task scheduled",
        "24   +37.1s · task started",
        "25   +37.2s · task completed",
        "26   +37.3s ✓ workflow completed",
    ]


def test_a_detail_has_step_attempts_payload_and_facts() -> None:
    of = walk(review_history())

    shown = detail(of, position_of(of, "classify completed"))

    assert "step 1 activity classify completed" in shown
    assert "attempt 2 failed – RateLimited: 429 too many" in shown
    assert 'result[0] json/plain · 14 B\n{\n  "answer": 42\n}' in shown
    assert "scheduled_event_id: 5" in shown


def test_a_detail_shows_the_chain_of_failures_with_its_stack() -> None:
    of = walk(review_history())

    shown = detail(of, position_of(of, "check failed"))

    assert "activity: Activity task failed" in shown
    assert "caused by LookupError: no such customer" in shown
    assert '  File "x.py", line 7\n    raise' in shown


def test_a_stack_of_a_worker_on_windows_has_no_more_lines_or_signs_than_another() -> None:
    maker = review_history()
    failed = next(e for e in maker.events if e.HasField("activity_task_failed_event_attributes"))
    cause = failed.activity_task_failed_event_attributes.failure.cause
    cause.stack_trace = cause.stack_trace.replace("\n", "\r\n") + "\r\n"
    as_elsewhere, of = walk(review_history()), walk(maker)

    position = position_of(of, "check failed")

    assert detail(of, position) == detail(as_elsewhere, position)


def test_bytes_that_nobody_can_read_are_shown_as_hexadecimal() -> None:
    maker = HistoryMaker()
    maker.start()
    maker.activity("odd", result=b"\xff" * 300)
    of = walk(maker)

    shown = detail(of, position_of(of, "odd completed"))

    assert "ff ff ff" in shown
    assert "… 44 more bytes" in shown


@pytest.mark.parametrize("width", [8, 40, 200])
def test_hostile_text_is_safe_and_fits_in_every_line(hostile_file: Path, width: int) -> None:
    (history,) = read_histories([hostile_file])
    assert isinstance(history, RunHistory)
    of = walk_of(history)

    for position in range(len(of.events)):
        line = text_of(event_line(of, position))
        assert line == safe_text(line)
        shown = detail_of(of, position, width)
        for index in range(len(shown)):
            text = text_of(shown.line(index, width))
            assert text == safe_text(text)
            assert cell_len(text) <= width


def test_hostile_text_is_still_there_to_be_seen(hostile_file: Path) -> None:
    (history,) = read_histories([hostile_file])
    assert isinstance(history, RunHistory)

    first = lines(walk_of(history))[0]

    assert "[/INST] [red]gone[/red]" in first
    assert safe_text(HOSTILE) in first


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not part of the project")
def test_every_event_of_real_histories_has_a_line_and_a_detail() -> None:
    count = 0
    for history in read_histories([CORPUS]):
        if not isinstance(history, RunHistory) or len(history.events) > 500:
            continue
        of = walk_of(history)
        for position in range(len(of.events)):
            assert text_of(event_line(of, position))
            assert len(detail_of(of, position, 80))
            count += 1
    assert count > 1_000
