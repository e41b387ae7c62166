"""The guided tour: a line at the foot of each screen that says what to try next.

It goes on when the reader did it. It looks at screens and changes nothing, so that whoever goes
another way is not held up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from textual.screen import Screen

from tui.app.bars import Heading
from tui.app.diff_screen import DiffScreen
from tui.app.payload_screen import PayloadScreen
from tui.app.replay_screen import ReplayScreen
from tui.app.runs_screen import RunsScreen
from tui.pieces import Piece, Tone

type Test = Callable[[Screen[Any]], bool]


class Stop(NamedTuple):
    """One thing to try."""

    text: str
    is_done: Test


class TourBar(Heading):
    """The line."""

    DEFAULT_CSS = "TourBar { dock: bottom; height: 1; background: $accent-darken-2; }"


class Tour:
    """Where the reader is on the tour."""

    def __init__(self, stops: Sequence[Stop]) -> None:
        self._stops = stops
        self._at = 0

    def show(self, screen: Screen[Any]) -> None:
        """Say on a screen what to try next, once the last was done."""
        if self._at < len(self._stops) and self._stops[self._at].is_done(screen):
            self._at += 1
        bars = screen.query(TourBar)
        if screen.is_modal:
            return
        if not bars:
            screen.mount(TourBar())
            return
        if self._at < len(self._stops):
            number = f" {self._at + 1}/{len(self._stops)} "
            words = Piece(number, Tone.STRONG), Piece(self._stops[self._at].text)
        else:
            words = Piece(" ✓ ", Tone.GOOD), Piece("That was the tour. ? shows all keys.")
        bars.first().tell(words)


def _is_failed_filter(screen: Screen[Any]) -> bool:
    return isinstance(screen, RunsScreen) and "failed" in screen.filter_text


def _is_at_failure(screen: Screen[Any]) -> bool:
    if not isinstance(screen, ReplayScreen) or screen.book is None or screen.trail is None:
        return False
    return screen.trail.here.position in screen.book.failures


def _is_taped(screen: Screen[Any]) -> bool:
    return isinstance(screen, ReplayScreen) and screen.book is not None and bool(screen.book.tape)


def _is_behind_failure(screen: Screen[Any]) -> bool:
    return _is_taped(screen) and not _is_at_failure(screen)


STOPS: Sequence[Stop] = (
    Stop("Which runs failed? Type / then status:failed and enter.", _is_failed_filter),
    Stop("enter opens a run.", lambda screen: isinstance(screen, ReplayScreen)),
    Stop("p goes to what failed first.", _is_at_failure),
    Stop("T records a tape; name the code, as examples.kyc_review.workflow:KycReview", _is_taped),
    Stop("N steps back, line by line; < to the decision before.", _is_behind_failure),
    Stop("1, then enter: what went in and came out.", lambda s: isinstance(s, PayloadScreen)),
    Stop("esc, then D: compare with a healthy run.", lambda s: isinstance(s, DiffScreen)),
)
"""What the tour shows, in order; on the demo's data."""
