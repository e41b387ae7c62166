"""The replay screen without its keys: what it shows, and how a focus becomes panes.

Where the reader is is one value, the `Trail`. Heading, scrubber and timeline are drawn from it at
once; what must read the tape or decode a payload is a `Scene`, made in a worker. The screen never
waits: not for a file, a warehouse, a tape or a payload.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.reactive import reactive
from textual.screen import Screen
from textual.worker import get_current_worker

from replayer.tape import SourceState, TapeError, open_tape
from tracer.identity import RunKey
from tui import figures, memory
from tui.app.bars import Heading, KeyBar, Prompt
from tui.app.lines import LineList, TextPane
from tui.app.panes import Pane, Scrubber, TabTitle
from tui.app.pauses import long_lived
from tui.event_detail import Detail, detail_of
from tui.event_words import STATUS_GLYPHS, event_line
from tui.pieces import Line, Lines, Piece, Tone, folded, piece
from tui.replay.book import Book, book_of
from tui.replay.code import CodeView
from tui.replay.focus import Focus, Trail
from tui.replay.moves import Moves
from tui.replay.payloads import Section, Tab, section_lines, sections_of
from tui.replay.scene import Scene, Scenes
from tui.replay.scrubber import Marks
from tui.replay.sitting import Sitting
from tui.replay.stops import BreakKind, Breakpoint, Stops
from tui.replay.timeline import Columns, TurnTimeline, short_count
from tui.replay.values import ValueView, value_rows
from tui.walk import Walk

_TABS = tuple(Tab)
_MOST_WATCHES = 20
_WIDE_FROM = 100
"""Columns from which panes stand side by side."""
_FOLLOWED_EVERY = 2.0
"""Seconds between two questions about an open run of a server."""


class EventTimeline:
    """A `LineSource` over events, or over those of them that are not hidden."""

    def __init__(self, walk: Walk, positions: Sequence[int]) -> None:
        self._walk = walk
        self._positions = positions
        self._lines = {position: line for line, position in enumerate(positions)}

    def __len__(self) -> int:
        """How many events are shown."""
        return len(self._positions)

    def line(self, index: int, width: int) -> Line:
        """One event."""
        return event_line(self._walk, self._positions[index])

    def position(self, index: int) -> int:
        """The event of a line."""
        return self._positions[index]

    def line_of(self, position: int) -> int:
        """The line of an event; of the last one before it where it is hidden itself."""
        while position not in self._lines and position > 0:
            position -= 1
        return self._lines.get(position, 0)

    def headings(self, width: int) -> Line:
        """The title above the events."""
        return (Piece("1 EVENTS", Tone.DIM),)


class ReplayView(Screen[None]):
    """One run: timeline, source, values, payload."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it without ClassVar
        (0, "-narrow"),
        (_WIDE_FROM, "-wide"),
    ]
    DEFAULT_CSS = """
    ReplayView #panes { layout: horizontal; height: 1fr; }
    ReplayView #timeline-pane { width: 9fr; height: 1fr; }
    ReplayView #right { width: 11fr; height: 1fr; border-left: solid $panel; }
    ReplayView #source-pane { height: 10fr; }
    ReplayView #below { height: 12fr; }
    ReplayView #values-pane { height: 5fr; }
    ReplayView #payload-pane { height: 7fr; }
    ReplayView LineList { height: 1fr; }
    ReplayView TextPane { height: 1fr; }
    ReplayView.-narrow #panes { layout: vertical; }
    ReplayView.-narrow #timeline-pane { width: 1fr; height: 6fr; }
    ReplayView.-narrow #right { width: 1fr; height: 14fr; border-left: none; }
    ReplayView.-narrow #below { layout: horizontal; height: 8fr; }
    ReplayView.-narrow #source-pane { height: 7fr; }
    ReplayView.-narrow #values-pane { width: 2fr; height: 1fr; }
    ReplayView.-narrow #payload-pane { width: 3fr; height: 1fr; }
    ReplayView.-tapeless #source-pane { display: none; }
    ReplayView.-tapeless #values-pane { display: none; }
    ReplayView.-tapeless #below { height: 1fr; }
    ReplayView.-zoomed Pane { display: none; }
    ReplayView.-zoomed Pane.-full { display: block; height: 1fr; }
    ReplayView.-zoomed-left #right { display: none; }
    ReplayView.-zoomed-source #below { display: none; }
    """

    trail: reactive[Trail | None] = reactive(None, init=False, repaint=False)
    """Where the reader is and was; `None` until the history is read."""

    class Loaded(Message):
        """The history was read, or a tape for it was found."""

        def __init__(self, book: Book) -> None:
            super().__init__()
            self.book = book

    class Unreadable(Message):
        """The history cannot be read."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    class Ready(Message):
        """What the panes show at a focus."""

        def __init__(self, scene: Scene, detail: Detail, sections: Sequence[Section]) -> None:
            super().__init__()
            self.scene = scene
            self.detail = detail
            self.sections = sections

    class Remark(Message):
        """Something to say in the heading."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, sitting: Sitting, key: RunKey) -> None:
        super().__init__(classes="-tapeless")
        self.source = sitting
        self.key = key
        self.branch = key.run_id if sitting.recorded_of(key) is not None else ""
        self.book: Book | None = None
        self.moves: Moves | None = None
        self.scenes: Scenes | None = None
        self.scene: Scene | None = None
        self.sections: Sequence[Section] = ()
        self.timeline: TurnTimeline | EventTimeline | None = None
        self.breakpoints: tuple[Breakpoint, ...] = ()
        self.stops = Stops((), ())
        self.opened: frozenset[str] = frozenset()
        self.watches: tuple[str, ...] = ()
        self.tab = Tab.ALL
        self.recording = ""
        """How the recording of a tape goes; empty if none is made."""
        self.is_in_turns = True
        self.is_quiet = False
        self._folded: frozenset[int] = frozenset()
        self._columns = Columns.COST
        self._remark = ""
        self._marks: Marks | None = None
        """Of the scrubber; made anew for another width, book, or other breakpoints."""
        self._has_line_marks = False

    def compose(self) -> ComposeResult:
        """Heading, scrubber, panes, prompt, keys."""
        # Textual would set the class after a first layout, and lay everything out again.
        self.add_class("-wide" if self.app.size.width >= _WIDE_FROM else "-narrow")
        yield Heading(id="heading")
        yield Scrubber(id="scrubber")
        with Container(id="panes"):
            yield Pane(LineList(id="timeline"), id="timeline-pane")
            with Container(id="right"):
                yield Pane(LineList(id="source"), id="source-pane")
                with Container(id="below"):
                    yield Pane(LineList(id="values"), id="values-pane")
                    yield Pane(TextPane(id="payload"), title=TabTitle(), id="payload-pane")
        yield KeyBar()
        yield Prompt(id="prompt")

    def on_mount(self) -> None:
        """Begin to read."""
        words = (piece(f" {self.key}", Tone.STRONG), Piece("  reading…", Tone.NOTE))
        self.query_one("#heading", Heading).tell(words)
        timeline = self.lines("timeline")
        timeline.focus()
        # The titles stand above columns of figures, which a scroll bar moves.
        self.watch(timeline, "show_vertical_scrollbar", self.tell_timeline_title, init=False)
        # Reading at once would take the interpreter from what the reader waits for first.
        self.call_after_refresh(self._read)
        if self.source.is_live:
            self.set_interval(_FOLLOWED_EVERY, self._ask_again)

    def pane(self, name: str) -> Pane:
        """A pane by its name."""
        return self.query_one(f"#{name}-pane", Pane)

    def lines(self, name: str) -> LineList:
        """The list of a pane."""
        return self.query_one(f"#{name}", LineList)

    # -- reading -------------------------------------------------------------------------------

    @work(thread=True, exclusive=True, group="read", exit_on_error=False, description="read")
    def _read(self) -> None:
        with long_lived():
            try:
                history = self.source.load(self.key)
                book = book_of(history, self.source.knowledge(self.key), self.branch)
            except Exception as error:  # noqa: BLE001 - an unreadable run must not end the app
                self.post_message(self.Unreadable(str(error) or type(error).__name__))
                return
            if get_current_worker().is_cancelled:
                return
            self.post_message(self.Loaded(book))
            taped = with_known_tape(book)
        if taped is not None:
            self.post_message(self.Loaded(taped))

    def _ask_again(self) -> None:
        """Ask for what happened meanwhile, as long as the run goes on."""
        if self.book is not None and not self.book.walk.run.is_closed:
            self._read_on(self.book)

    @work(thread=True, exclusive=True, group="read", exit_on_error=False, description="read on")
    def _read_on(self, known: Book) -> None:
        try:
            history = self.source.load(self.key)
        except Exception as error:  # noqa: BLE001 - the server may come back
            self.post_message(self.Remark(f"not followed for now: {error}"))
            return
        is_longer = len(history.events) > len(known.walk.events)
        if is_longer and not get_current_worker().is_cancelled:
            with long_lived():
                book = book_of(history)
            self.post_message(self.Loaded(book))

    @on(Unreadable)
    def tell_unreadable(self, message: Unreadable) -> None:
        """Say why there is nothing to see."""
        words = (Piece(" cannot be read ", Tone.BAD), piece(str(self.key), Tone.STRONG))
        self.query_one("#heading", Heading).tell(words)
        pane = self.query_one(TextPane)
        reason = (piece(message.reason, Tone.BAD),)
        pane.show(Lines(list(folded(reason, max(8, pane.content_size.width)))))

    @on(Loaded)
    def _take_book(self, message: Loaded) -> None:
        self.begin(message.book)

    def begin(self, book: Book) -> None:
        """Show the run; with a tape that came later, at the place where the reader is."""
        if not book.walk.events:
            self.tell_unreadable(self.Unreadable("the history has no events"))
            return
        old, self._marks = self.book, None
        self.book, self.moves, self.scenes = book, Moves(book), Scenes(book)
        if old is None:
            known = memory.recall("watches").get(book.walk.run.workflow_type, ())
            self.watches = tuple(str(name) for name in known)[:_MOST_WATCHES]
        elif old.tape is not None and old.tape is not book.tape:
            old.tape.tape.close()
        self.set_class(book.tape is None, "-tapeless")
        self.lay_out()
        here = self.trail.here.position if self.trail is not None else 0
        if old is not None and here == len(old.walk.events) - 1:
            here = len(book.walk.events) - 1  # Who stands at the end of an open run follows it.
        focus = self.moves.at_event(here)
        if self.trail is None and book.tape is not None:
            focus = self.moves.end(-1)
        self.trail = self.trail.step(focus) if self.trail is not None else Trail(focus)
        self.refind_stops()

    def on_unmount(self) -> None:
        """Close the tape."""
        if self.book is not None and self.book.tape is not None:
            self.book.tape.tape.close()

    # -- from the focus to the panes -----------------------------------------------------------

    def watch_trail(self, trail: Trail | None) -> None:
        """Draw what needs no reading at once, and have the rest made."""
        if trail is None or self.book is None or self.timeline is None:
            return
        self._remark = ""
        self.tell_heading()
        self.lines("timeline").cursor = self.timeline.line_of(trail.here.position)
        self.tell_scrubber()
        self.redraw()

    def redraw(self) -> None:
        """Make the scene of the focus anew."""
        if self.trail is None or self.book is None or self.scenes is None:
            return
        width = max(8, self.query_one(TextPane).content_size.width)
        self._make_scene(self.book, self.scenes, self.trail.here, width, self.tab)

    # Without a description Textual makes one on the event loop, with the `repr` of the whole run.
    @work(thread=True, exclusive=True, group="scene", exit_on_error=False, description="scene")
    def _make_scene(self, book: Book, scenes: Scenes, focus: Focus, width: int, tab: Tab) -> None:
        try:
            scene = scenes.at(focus)
        except (TapeError, OSError, ValueError) as error:
            self.post_message(self.Remark(f"the tape cannot be read here: {error}"))
            scene = Scene(focus)
        sections = sections_of(book, focus.position)
        if get_current_worker().is_cancelled:
            return
        if tab is Tab.EVENT:
            detail = detail_of(book.walk, focus.position, width)
        else:
            detail = section_lines(sections, tab, width)
        if not get_current_worker().is_cancelled:
            self.post_message(self.Ready(scene, detail, sections))

    @on(Ready)
    def show_scene(self, message: Ready) -> None:
        """Draw the panes that the scene is for."""
        # The reader may have moved on while it was made.
        if self.trail is None or message.scene.focus != self.trail.here:
            return
        self.scene, self.sections = message.scene, message.sections
        self.query_one(TextPane).show(message.detail)
        title = self.pane("payload").title_line
        assert isinstance(title, TabTitle)
        title.tell_tabs("4 PAYLOAD", [*map(str, _TABS)], _TABS.index(self.tab))
        self.show_source()
        self.show_values()

    def show_source(self) -> None:
        """Draw the source pane."""
        scene = self.scene
        if scene is None or self.book is None or self.book.tape is None:
            return
        self.pane("source").tell(source_title(scene))
        frame, place = scene.frame, scene.place
        if scene.code is None or place is None:
            why = "No workflow code runs here." if place is None or frame is None else _NO_SOURCE
            self.lines("source").show(Lines([(Piece(why, Tone.DIM),)]), 0)
            return
        line = frame.line if frame is not None else place.line
        is_inner = not scene.stack or frame is scene.stack[-1]
        view = CodeView(
            scene.code,
            current=line,
            is_waiting=not is_inner,
            ran=scene.ran,
            breakpoints=frozenset(
                each.line
                for each in self.breakpoints
                if each.kind is BreakKind.LINE and scene.code.file.endswith(each.name)
            ),
        )
        self.lines("source").show(view, line - 1)

    def show_values(self) -> None:
        """Draw the values pane."""
        scene = self.scene
        if scene is None or self.book is None or self.book.tape is None:
            return
        rows = value_rows(
            scene.frame, scene.before, scene.since, watches=self.watches, opened=self.opened
        )
        changed = sum(row.before is not None for row in rows)
        words = [Piece("3 VALUES  ", Tone.DIM)]
        words.append(Piece(f"changed: {changed}  ", Tone.WARN if changed else Tone.DIM))
        if scene.subject is not None and scene.place is not None:
            word = scene.place.kind.name.lower()
            words.append(piece(f"{word} {scene.subject.text[:200]}", Tone.NOTE))
        self.pane("values").tell(tuple(words))
        self.lines("values").show(ValueView(rows))

    @on(TextPane.Widened)
    def fold_anew(self) -> None:
        """Lay the payload out for another width."""
        self.tell_scrubber()
        self.tell_timeline_title()
        self.redraw()

    def lay_out(self) -> None:
        """Put the rows that are to be seen into the timeline."""
        book = self.book
        if book is None:
            return
        if self.is_in_turns:
            self.timeline = TurnTimeline(book, self._folded, self._columns)
        else:
            walk = book.walk
            positions = walk.loud if self.is_quiet else range(len(walk.events))
            self.timeline = EventTimeline(walk, positions)
        cursor = 0 if self.trail is None else self.timeline.line_of(self.trail.here.position)
        self.lines("timeline").show(self.timeline, cursor)
        self.tell_timeline_title()

    def tell_timeline_title(self) -> None:
        """Fit the titles of the timeline's columns."""
        if self.timeline is not None:
            width = self.lines("timeline").columns
            self.pane("timeline").tell(self.timeline.headings(width))

    def tell_scrubber(self) -> None:
        """Draw the scrubber."""
        if self.trail is None or self.book is None:
            return
        here, width = self.trail.here, self.query_one(Scrubber).columns
        is_on_tape = self.book.tape is not None and here.line is not None
        marks = self._marks
        if marks is None or marks.width != width or self._has_line_marks != is_on_tape:
            marks = self._marks = self._marks_of(self.book, width, is_on_tape=is_on_tape)
            self._has_line_marks = is_on_tape
        place = here.position if here.line is None else here.line
        self.query_one(Scrubber).show(Lines([marks.line(place)]))

    def _marks_of(self, book: Book, width: int, *, is_on_tape: bool) -> Marks:
        tape = book.tape
        if tape is None or not is_on_tape:
            return Marks.of(len(book.walk.events), width, book.failures, self.stops.positions)
        lines = (tape.line_of(book.walk.events[at].event_id) for at in book.failures)
        failures = (line for line in lines if line is not None)
        return Marks.of(len(tape.tape), width, failures, self.stops.lines)

    def tell_heading(self) -> None:
        """Say which run it is, and where in it the reader is."""
        if self.book is None or self.trail is None:
            return
        if self._remark:
            self.query_one("#heading", Heading).tell((piece(f" {self._remark}", Tone.WARN),))
            return
        words = heading_of(self.book, self.trail.here)
        if self.recording:
            words = (piece(f" {self.recording} ", Tone.WARN), *words)
        self.query_one("#heading", Heading).tell(words)

    @on(Remark)
    def _take_remark(self, message: Remark) -> None:
        self.remark(message.text)

    def remark(self, text: str) -> None:
        """Say something in place of the heading, until the next move."""
        self._remark = text
        self.tell_heading()

    def refind_stops(self) -> None:
        """Find out anew where breakpoints stop."""
        raise NotImplementedError


_NO_SOURCE = "The tape has no text of this file."


def with_known_tape(book: Book) -> Book | None:
    """The book with the tape that was recorded of its run, `None` where there is none."""
    path = memory.tape_path(book.walk.run.key)
    if not path.exists():
        return None
    try:
        tape = open_tape(path)
    except (TapeError, OSError):
        return None
    if tape.head.run_id != book.walk.run.key.run_id or not len(tape):
        tape.close()
        return None
    return book.with_tape(tape)


def source_title(scene: Scene) -> Line:
    """File, line and function; whether they are those on disk; that a replay ran them."""
    frame = scene.frame
    words = [Piece("2 SOURCE  ", Tone.DIM)]
    if frame is None:
        return tuple(words)
    words.append(piece(f"{frame.file.rpartition('/')[2]}:{frame.line} ", Tone.STRONG))
    words.append(piece(f"{frame.function}  ", Tone.PLAIN))
    above = len(scene.stack) - 1 - scene.stack.index(frame)
    if above:
        words.append(Piece(f"{above} up  ", Tone.NOTE))
    if scene.source_state is SourceState.DIFFERS:
        words.append(Piece("SOURCE DIFFERS from the file on disk  ", Tone.WARN))
    words.append(Piece("RE-EXECUTED", Tone.DIM))
    return tuple(words)


def heading_of(book: Book, focus: Focus) -> Line:
    """Which run, how it stands, what it took, and where in it the reader is."""
    walk, run = book.walk, book.walk.run
    glyph, tone = STATUS_GLYPHS.get(run.status, ("·", Tone.PLAIN))
    event = walk.events[focus.position]
    words = [
        piece(f" {run.workflow_type} ", Tone.STRONG),
        Piece(f"{glyph} {run.status} ", tone),
        Piece("✗ STUCK " if run.is_stuck else "", Tone.BAD),
        Piece(f"{figures.duration(run.duration_ns)}  "),
        Piece(f"event {event.event_id}/{len(walk.events)}", Tone.NOTE),
        Piece(f" {figures.offset(walk.offset_ns(focus.position))}  ", Tone.DIM),
    ]
    if book.tape is not None and focus.line is not None:
        words.append(Piece(f"line {focus.line + 1:,}/{len(book.tape.tape):,}  ", Tone.NOTE))
    totals = book.totals
    if totals.model_calls:
        cost = figures.money(totals.cost_usd)
        part = "" if totals.priced_calls == totals.model_calls else "+?"
        tokens = figures.UNKNOWN if totals.tokens is None else short_count(totals.tokens)
        words.append(Piece(f"{tokens} tok  {cost}{part}  "))
    words.append(
        Piece("FORKED  " if book.branch else "RECORDED  ", Tone.WARN if book.branch else Tone.DIM)
    )
    words.append(piece(f"{run.key.workflow_id} {run.key.run_id}", Tone.DIM))
    return tuple(words)
