"""One run, walked event by event, forward and back.

Where the reader is is one value, the `Trail`. Moving makes another one; heading, timeline and
detail are drawn from it and from nothing else. A history is read, and a big payload decoded, in a
worker: the screen never waits.
"""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Footer, Input
from textual.worker import get_current_worker

from tracer.identity import RunKey
from tui import figures
from tui.app.bars import Heading, Prompt
from tui.app.focus import Focus, Trail
from tui.app.lines import LineList, TextPane
from tui.event_detail import Detail, detail_of, is_small
from tui.event_words import STATUS_GLYPHS, event_line
from tui.pieces import Line, Lines, LineSource, Piece, Tone, folded, piece, text_of
from tui.sources import RunSource, row_of
from tui.walk import Walk, walk_of


class Timeline:
    """A `LineSource` over events, or over those of them that are not hidden."""

    def __init__(self, walk: Walk, positions: Sequence[int]) -> None:
        self._walk = walk
        self.positions = positions
        """Position by line, ascending."""

    def __len__(self) -> int:
        """How many events are shown."""
        return len(self.positions)

    def line(self, index: int, width: int) -> Line:
        """One event."""
        return event_line(self._walk, self.positions[index])

    def line_of(self, position: int) -> int:
        """The line of a position; of the last one before it where it is hidden itself."""
        return max(0, bisect_right(self.positions, position) - 1)


class RunScreen(Screen[None]):
    """A walk through one run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "stop(1)", "next step", tooltip="go to where the next step begins"),
        Binding("N", "stop(-1)", "back", tooltip="go to where the step before begins"),
        Binding("left_square_bracket", "trail(-1)", "back to where a jump began", show=False),
        Binding("right_square_bracket", "trail(1)", "forward again", show=False),
        Binding("slash", "find", "find", tooltip="find a text in the timeline"),
        Binding("full_stop", "find_again(1)", "find the next", show=False),
        Binding("comma", "find_again(-1)", "find the one before", show=False),
        Binding("colon", "go_to", "event", tooltip="go to an event by its id"),
        Binding("x", "quiet", "quiet", tooltip="hide workflow tasks, or show them again"),
        Binding(
            "plus", "zoom", "zoom", tooltip="give the detail the whole screen, or take it back"
        ),
        Binding("tab", "app.focus_next", "other pane", show=False),
        Binding("escape,q", "leave", "leave", tooltip="leave what is on top"),
    ]
    DEFAULT_CSS = """
    RunScreen #panes { layout: horizontal; height: 1fr; }
    RunScreen #timeline { width: 2fr; height: 1fr; }
    RunScreen #detail { width: 3fr; height: 1fr; border-left: solid $panel; padding: 0 0 0 1; }
    RunScreen #detail:focus { border-left: solid $accent; }
    RunScreen.-narrow #panes { layout: vertical; }
    RunScreen.-narrow #timeline { width: 1fr; height: 2fr; }
    RunScreen.-narrow #detail {
        width: 1fr; height: 3fr; border-left: none; border-top: solid $panel; padding: 0;
    }
    RunScreen.-narrow #detail:focus { border-top: solid $accent; }
    RunScreen.-zoomed #timeline { display: none; }
    """

    trail: reactive[Trail | None] = reactive(None, init=False)
    """Where the reader is and was; `None` until the history is read."""

    class Loaded(Message):
        """The history was read."""

        def __init__(self, walk: Walk) -> None:
            super().__init__()
            self.walk = walk

    class Unreadable(Message):
        """The history cannot be read."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    class Decoded(Message):
        """The detail of a big event is ready."""

        def __init__(self, focus: Focus, detail: Detail) -> None:
            super().__init__()
            self.focus = focus
            self.detail = detail

    def __init__(self, source: RunSource, key: RunKey) -> None:
        super().__init__()
        self._source = source
        self._key = key
        self._walk: Walk | None = None
        self._timeline: Timeline | None = None
        self._is_quiet = False
        self._needle = ""

    def compose(self) -> ComposeResult:
        """Heading, timeline beside detail, prompt, keys."""
        yield Heading(id="heading")
        with Container(id="panes"):
            yield LineList(id="timeline")
            yield TextPane(id="detail")
        yield Prompt(id="prompt")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to read."""
        words = (piece(f" {self._key}", Tone.STRONG), Piece("  reading…", Tone.NOTE))
        self.query_one(Heading).tell(words)
        self.query_one(LineList).focus()
        self._read()

    @work(thread=True, exclusive=True, group="read", exit_on_error=False)
    def _read(self) -> None:
        try:
            walk = walk_of(self._source.load(self._key))
        except Exception as error:  # noqa: BLE001 - an unreadable run must not end the app
            self.post_message(self.Unreadable(str(error) or type(error).__name__))
            return
        # A full garbage collection over 50,000 events stops every key press for 100 ms or more;
        # none of them is part of a cycle, so reference counts free them all the same.
        gc.freeze()
        if not get_current_worker().is_cancelled:
            self.post_message(self.Loaded(walk))

    @on(Unreadable)
    def _tell_unreadable(self, message: Unreadable) -> None:
        words = (Piece(" cannot be read ", Tone.BAD), piece(str(self._key), Tone.STRONG))
        self.query_one(Heading).tell(words)
        pane = self.query_one(TextPane)
        reason = (piece(message.reason, Tone.BAD),)
        pane.show(Lines(list(folded(reason, max(8, pane.content_size.width)))))

    @on(Loaded)
    def _begin(self, message: Loaded) -> None:
        self._walk = message.walk
        if not message.walk.events:
            self._tell_unreadable(self.Unreadable("the history has no events"))
            return
        self._arrange()
        self.trail = Trail(Focus(self._key, 0))

    # -- from the focus to the panes -----------------------------------------------------------

    def watch_trail(self, trail: Trail | None) -> None:
        """Draw every pane anew."""
        if trail is None or self._walk is None or self._timeline is None:
            return
        position = trail.here.position
        self.query_one(Heading).tell(heading_of(self._walk, position))
        self.query_one(LineList).cursor = self._timeline.line_of(position)
        self._show_detail(trail.here)

    @on(TextPane.Widened)
    def _fold_anew(self) -> None:
        if self.trail is not None:
            self._show_detail(self.trail.here)

    def _arrange(self) -> None:
        """Put the events that are to be seen into the timeline."""
        walk = self._walk
        if walk is None:
            return
        positions = walk.loud if self._is_quiet else range(len(walk.events))
        self._timeline = Timeline(walk, positions)
        self.query_one(LineList).show(self._timeline)

    def _show_detail(self, focus: Focus) -> None:
        walk = self._walk
        assert walk is not None
        pane = self.query_one(TextPane)
        width = pane.content_size.width
        if is_small(walk, focus.position):
            self.workers.cancel_group(self, "decode")
            pane.show(detail_of(walk, focus.position, width))
        else:
            pane.show(Lines([(Piece("Decoding…", Tone.DIM),)]))
            self._decode(walk, focus, width)

    # Without a description Textual makes one on the event loop, with the `repr` of the whole run.
    @work(thread=True, exclusive=True, group="decode", exit_on_error=False, description="decode")
    def _decode(self, walk: Walk, focus: Focus, width: int) -> None:
        detail = detail_of(walk, focus.position, width)
        if not get_current_worker().is_cancelled:
            self.post_message(self.Decoded(focus, detail))

    @on(Decoded)
    def _show_decoded(self, message: Decoded) -> None:
        # The reader may have moved on while it was made.
        if self.trail is not None and message.focus == self.trail.here:
            self.query_one(TextPane).show(message.detail)

    # -- moving --------------------------------------------------------------------------------

    @on(LineList.Moved)
    def _follow(self, message: LineList.Moved) -> None:
        if self.trail is None or self._timeline is None:
            return
        before = self._timeline.line_of(self.trail.here.position)
        focus = Focus(self._key, self._timeline.positions[message.index])
        is_step = abs(message.index - before) == 1
        self.trail = self.trail.step(focus) if is_step else self.trail.jump(focus)

    def _jump(self, position: int) -> None:
        if self.trail is not None:
            self.trail = self.trail.jump(Focus(self._key, position))

    def action_stop(self, direction: int) -> None:
        """Go to where the next step, or the one before, begins."""
        if self.trail is None or self._walk is None:
            return
        here = self.trail.here.position
        walk = self._walk
        self._jump(walk.next_stop(here) if direction > 0 else walk.previous_stop(here))

    def action_trail(self, direction: int) -> None:
        """Go back to where a jump began, or forward again."""
        if self.trail is not None:
            self.trail = self.trail.forward() if direction > 0 else self.trail.back()

    # -- finding -------------------------------------------------------------------------------

    def action_find(self) -> None:
        """Type a text to find among the lines of the timeline."""
        self.query_one(Prompt).open("find in the timeline")

    def action_go_to(self) -> None:
        """Type the id of an event."""
        self.query_one(Prompt).open("go to event (its id)", ":")

    def action_find_again(self, direction: int) -> None:
        """Go to the next line, or the one before, that has the text."""
        if self._needle:
            self._search(self._needle, direction)

    @on(Input.Submitted)
    def _typed(self, message: Input.Submitted) -> None:
        self._close_prompt()
        if message.value.startswith(":"):
            self._go_to(message.value[1:].strip())
        elif message.value:
            self._needle = message.value.lower()
            self._search(self._needle, 1)

    @on(Prompt.Dropped)
    def _close_prompt(self) -> None:
        self.query_one(Prompt).close()
        self.query_one(LineList).focus()

    def _go_to(self, text: str) -> None:
        walk = self._walk
        if walk is None:
            return
        ids = {str(event.event_id): position for position, event in enumerate(walk.events)}
        if text in ids:
            self._jump(ids[text])
        else:
            self._remark(f"this run has no event {text}; it has {len(walk.events):,}")

    @work(thread=True, exclusive=True, group="find", exit_on_error=False)
    def _search(self, needle: str, direction: int) -> None:
        walk, trail = self._walk, self.trail
        if walk is None or trail is None:
            return
        here = trail.here.position
        after, before = range(here + 1, len(walk.events)), range(here - 1, -1, -1)
        for position in after if direction > 0 else before:
            if get_current_worker().is_cancelled:
                return
            if needle in text_of(event_line(walk, position)).lower():
                self.app.call_from_thread(self._jump, position)
                return
        where = "after" if direction > 0 else "before"
        self.app.call_from_thread(self._remark, f"nothing {where} this event has {needle!r}")

    def _remark(self, text: str) -> None:
        line: LineSource = Lines([(piece(f" {text}", Tone.WARN),)])
        self.query_one(Heading).show(line)

    # -- views ---------------------------------------------------------------------------------

    def action_quiet(self) -> None:
        """Hide the coming and going of workflow tasks, or show it again."""
        self._is_quiet = not self._is_quiet
        self._arrange()
        self.watch_trail(self.trail)

    def action_zoom(self) -> None:
        """Give the detail the whole screen, or take it back."""
        self.toggle_class("-zoomed")
        is_zoomed = self.has_class("-zoomed")
        (self.query_one(TextPane) if is_zoomed else self.query_one(LineList)).focus()

    @on(LineList.Chosen)
    def _read_detail(self) -> None:
        self.query_one(TextPane).focus()

    def action_leave(self) -> None:
        """Leave what is on top: the full detail, the detail, this run."""
        if self.has_class("-zoomed"):
            self.action_zoom()
        elif self.query_one(TextPane).has_focus:
            self.query_one(LineList).focus()
        else:
            self.app.pop_screen()


def heading_of(walk: Walk, position: int) -> Line:
    """Which run, how it stands, and where in it the reader is."""
    run = walk.run
    row = row_of(run)
    glyph, tone = STATUS_GLYPHS.get(run.status, ("·", Tone.PLAIN))
    event = walk.events[position]
    return (
        piece(f" {run.workflow_type} ", Tone.STRONG),
        Piece(f"{glyph} {run.status} ", tone),
        Piece(f"{figures.duration(row.duration_ns)}  "),
        Piece(f"event {event.event_id}/{len(walk.events)}", Tone.NOTE),
        Piece(f" +{figures.duration(walk.offset_ns(position))}  ", Tone.DIM),
        Piece("RECORDED  ", Tone.DIM),
        piece(f"{run.key.workflow_id} {run.key.run_id}", Tone.DIM),
    )
