"""The replay screen: every way to move through a run, forward and back.

Keys make commands, commands make a focus, and `ReplayView` draws it. A move that must look far
(past a call of thousands of lines) is made in a thread, in the order in which keys were pressed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.worker import get_current_worker

from tracer.identity import RunKey
from tui import memory
from tui.app.help_screen import TextScreen
from tui.app.lines import LineList
from tui.app.panes import Scrubber, TabTitle
from tui.app.payload_screen import PayloadScreen
from tui.app.replay_actions import NEEDS_TAPE, ReplayActions
from tui.app.replay_keys import KEYS
from tui.event_words import searched_texts
from tui.haystack import Haystack
from tui.pieces import Line, Piece, Tone, piece
from tui.replay.commands import VERBS, CommandError, parse_command, position_at
from tui.replay.conditions import ConditionError
from tui.replay.focus import Focus
from tui.replay.moves import Moves
from tui.replay.payloads import Tab
from tui.replay.scrubber import place_of
from tui.replay.sitting import Sitting
from tui.replay.stops import BreakKind, Breakpoint, Stops, parse_breakpoint, stops_of
from tui.replay.timeline import TurnTimeline, shown_name
from tui.walk import Walk

_PANES = ("timeline", "source", "values", "payload")
_TABS = tuple(Tab)
type Move = Callable[[Focus], Focus | None]


class ReplayScreen(ReplayActions):
    """A walk through one run, by what it did and line by line."""

    BINDINGS: ClassVar[list[BindingType]] = [each.binding() for each in KEYS]

    _needle = ""
    _searched: tuple[Walk, Haystack] | None = None
    """What the first search of a run was made for; the next ones take no time."""

    def __init__(self, sitting: Sitting, key: RunKey) -> None:
        super().__init__(sitting, key)
        self._one_at_a_time = threading.Lock()

    # -- moving --------------------------------------------------------------------------------

    async def _go(self, move: Move, nothing: str, *, is_step: bool = False) -> None:
        if self.trail is None:
            return
        here = self.trail.here
        focus = await asyncio.to_thread(move, here)
        trail = self.trail
        if focus is None:
            self.remark(nothing)
        else:
            self.trail = trail.step(focus) if is_step else trail.jump(focus)

    def _moves(self) -> Moves:
        assert self.moves is not None
        return self.moves

    async def action_over(self, direction: int) -> None:
        """Step over."""
        await self._go(
            lambda here: self._moves().over(here, direction), _no_more(direction), is_step=True
        )

    async def action_into(self, direction: int) -> None:
        """Step into."""
        await self._go(
            lambda here: self._moves().into(here, direction), _no_more(direction), is_step=True
        )

    async def action_out(self, direction: int) -> None:
        """Step out."""
        await self._go(lambda here: self._moves().out(here, direction), "nobody called this")

    async def action_entry(self, direction: int) -> None:
        """To the next step."""
        await self._go(lambda here: self._moves().entry(here, direction), _no_more(direction))

    async def action_turn(self, direction: int) -> None:
        """To the next turn."""
        await self._go(
            lambda here: self._moves().turn(here, direction), f"no turn {_side(direction)} this"
        )

    async def action_turn_edge(self, direction: int) -> None:
        """To an end of this turn."""
        await self._go(
            lambda here: self._moves().turn_edge(here, direction), "this is the turn's end"
        )

    async def action_failure(self, direction: int) -> None:
        """To the next failure."""
        await self._go(
            lambda here: self._moves().failure(here, direction),
            f"nothing failed {_side(direction)} this",
        )

    async def action_branch(self, direction: int) -> None:
        """To the next decision."""
        nothing = f"no decision {_side(direction)} this line"
        if self.book is not None and self.book.tape is None:
            nothing = NEEDS_TAPE
        await self._go(lambda here: self._moves().branch(here, direction), nothing)

    async def action_frame(self, direction: int) -> None:
        """To another frame of the same moment."""
        nothing = "no frame there"
        await self._go(lambda here: self._moves().frame(here, direction), nothing, is_step=True)

    async def action_continue(self, direction: int) -> None:
        """To the next place where a breakpoint is; without any, to the next failure."""
        stops = self.stops
        if not self.breakpoints and not self.watches:
            await self.action_failure(direction)
            return
        await self._go(
            lambda here: self._moves().stop(here, direction, stops),
            f"no breakpoint {_side(direction)} this; B lists them",
        )

    async def action_who_set(self) -> None:
        """To the line that set the value under the cursor."""
        row = self.value_row()
        if row is None:
            self.remark(NEEDS_TAPE if self._is_tapeless else "no value is chosen; 3 goes to them")
            return
        nothing = f"nobody was seen to set {row.name}: it was so when it was first looked at"
        await self._go(lambda here: self._moves().who_set(here, row.name), nothing)

    def action_trail(self, direction: int) -> None:
        """Go back to where a jump began, or forward again."""
        if self.trail is not None:
            self.trail = self.trail.forward() if direction > 0 else self.trail.back()

    @on(LineList.Moved, "#timeline")
    def _follow(self, message: LineList.Moved) -> None:
        if self.trail is None or self.timeline is None or self.moves is None:
            return
        before = self.timeline.line_of(self.trail.here.position)
        focus = self.moves.at_event(self.timeline.position(message.index))
        is_step = abs(message.index - before) == 1
        self.trail = self.trail.step(focus) if is_step else self.trail.jump(focus)
        # A turn and its first row begin with the same event: the cursor stays where it was put.
        self.lines("timeline").cursor = message.index

    @on(Scrubber.Sought)
    def _seek(self, message: Scrubber.Sought) -> None:
        if self.book is None or self.moves is None or self.trail is None:
            return
        tape = self.book.tape
        if tape is not None and self.trail.here.line is not None:
            line = place_of(message.cell, len(tape.tape), message.width)
            self.jump(self.moves.at_line(line))
        else:
            count = len(self.book.walk.events)
            self.jump(self.moves.at_event(place_of(message.cell, count, message.width)))

    # -- breakpoints and watches ---------------------------------------------------------------

    def action_break(self) -> None:
        """Set a breakpoint where the cursor is, or take it away."""
        if self.book is None or self.trail is None:
            return
        source = self.lines("source")
        if source.has_focus and self.scene is not None and self.scene.code is not None:
            self.toggle(Breakpoint(BreakKind.LINE, self.scene.code.file, source.cursor + 1))
            return
        entry = self.book.entry_at(self.trail.here.position)
        self.toggle(Breakpoint(BreakKind.STEP, entry.name or entry.kind.value))

    def toggle(self, wanted: Breakpoint) -> None:
        """Set a breakpoint, or take it away."""
        if wanted in self.breakpoints:
            self.breakpoints = tuple(each for each in self.breakpoints if each != wanted)
            said = f"no breakpoint at {wanted} any more"
        else:
            self.breakpoints = (*self.breakpoints, wanted)
            said = f"breakpoint at {wanted}; c goes on to it, C back"
            if wanted.condition is not None and self._is_tapeless:
                said = f"breakpoint at {wanted}; values are asked, and {NEEDS_TAPE}"
        self.refind_stops()
        self.show_source()
        self.remark(said)

    def action_breakpoints(self) -> None:
        """List what `continue` stops at."""
        lines: list[Line] = [(Piece("● ", Tone.BAD), piece(str(each))) for each in self.breakpoints]
        lines += [(Piece("w ", Tone.NOTE), piece(f"any change of {each}")) for each in self.watches]
        if not lines:
            lines = [(Piece("None. b sets one here, `:break …` anywhere; w watches a value."),)]
        self.app.push_screen(TextScreen("breakpoints and watches", lines))

    def action_watch(self) -> None:
        """Keep the value under the cursor in sight, or no more."""
        row = self.value_row()
        if row is None:
            self.remark(NEEDS_TAPE if self._is_tapeless else "no value is chosen; 3 goes to them")
            return
        self.watch_value(row.name)

    def watch_value(self, name: str) -> None:
        """Keep a value in sight, or no more; remembered for the workflow type."""
        is_new = name not in self.watches
        kept = tuple(each for each in self.watches if each != name)
        self.watches = (*kept, name) if is_new else kept
        if self.book is not None:
            memory.remember("watches", **{self.book.walk.run.workflow_type: list(self.watches)})
        self.refind_stops()
        self.show_values()

    def refind_stops(self) -> None:
        """Find out anew where breakpoints stop; watched values take a walk over the tape."""
        if self.book is not None:
            changes = (Breakpoint(BreakKind.CHANGE, name) for name in self.watches)
            self._find_stops(self.moves, (*self.breakpoints, *changes))

    @work(thread=True, exclusive=True, group="stops", exit_on_error=False, description="stops")
    def _find_stops(self, moves: Moves | None, wanted: tuple[Breakpoint, ...]) -> None:
        book = self.book
        if book is None:
            return
        stops = stops_of(book, wanted)
        if not get_current_worker().is_cancelled and moves is self.moves:
            self.app.call_from_thread(self._take_stops, stops)

    def _take_stops(self, stops: Stops) -> None:
        self.stops, self._marks = stops, None
        self.tell_scrubber()

    @property
    def _is_tapeless(self) -> bool:
        return self.book is None or self.book.tape is None

    # -- commands ------------------------------------------------------------------------------

    def action_command(self) -> None:
        """Type a command."""
        asked = "an event id, +30s, turn N, break …, watch …, record, help, …"
        self.ask(asked, self.command, words=VERBS)

    def command(self, text: str) -> None:
        """Do what was typed after the colon."""
        if not text or self.book is None or self.moves is None:
            return
        try:
            command = parse_command(text)
            self._do(command.verb, command.argument)
        except (CommandError, ConditionError) as error:
            self.remark(str(error))

    def _do(self, verb: str, argument: str) -> None:
        assert self.book is not None
        moves = self._moves()
        match verb:
            case "event":
                self._go_to_event(argument)
            case "time":
                self.jump(moves.at_event(position_at(self.book.walk, argument)))
            case "line":
                self._go_to_line(argument)
            case "turn":
                self._jump_or_say(
                    moves.turn_number(int(argument)) if argument.isdecimal() else None,
                    f"there is no turn {argument}",
                )
            case "errors":
                self._jump_or_say(moves.first_failure(), "nothing failed in this run")
            case "break":
                file = self.scene.code.file if self.scene and self.scene.code else ""
                self.toggle(parse_breakpoint(argument, file))
            case "watch" | "unwatch" if argument:
                if (verb == "watch") != (argument in self.watches):
                    self.watch_value(argument)
            case "diff":
                self.diff_with(argument)
            case "fork":
                self.action_fork()
            case "forks":
                self.action_forks()
            case "check":
                self.check(argument) if argument else self.action_check()
            case "cost":
                self.action_cost()
            case "waits":
                self.action_waits()
            case "record":
                self.record(argument) if argument else self.action_record()
            case "find":
                self.grep(argument)
            case "runs":
                self._leave_run()
            case "quit":
                self.app.exit()
            case "help":
                self.app.call_later(self.app.run_action, "help")
            case _:
                raise CommandError(f"`{verb}` says too little: see ? for what it takes")

    def _go_to_event(self, text: str) -> None:
        assert self.book is not None
        position = self.book.positions.get(int(text)) if text.isdecimal() else None
        count = len(self.book.walk.events)
        self._jump_or_say(
            None if position is None else self._moves().at_event(position),
            f"this run has no event {text}; it has {count:,}",
        )

    def _go_to_line(self, text: str) -> None:
        assert self.book is not None
        tape = self.book.tape
        if tape is None:
            self.remark(NEEDS_TAPE)
            return
        is_there = text.isdecimal() and 1 <= int(text) <= len(tape.tape)
        self._jump_or_say(
            self._moves().at_line(int(text) - 1) if is_there else None,
            f"the tape has positions 1 to {len(tape.tape):,}",
        )

    def _jump_or_say(self, focus: Focus | None, nothing: str) -> None:
        if focus is None:
            self.remark(nothing)
        else:
            self.jump(focus)

    # -- finding -------------------------------------------------------------------------------

    def action_find(self) -> None:
        """Type a text to find among the lines of the timeline."""
        self.ask("find in the timeline", self._find)
        if self.book is not None:
            # While it is typed what to find, where to find it is made.
            self.call_after_refresh(self._prepare, self.book.walk)

    @work(thread=True, exclusive=True, group="prepare", exit_on_error=False, description="prepare")
    def _prepare(self, walk: Walk) -> None:
        self._texts_of(walk)

    def _texts_of(self, walk: Walk) -> Haystack:
        with self._one_at_a_time:
            if self._searched is None or self._searched[0] is not walk:
                self._searched = walk, Haystack(searched_texts(walk))
            return self._searched[1]

    def _find(self, text: str) -> None:
        if text:
            self._needle = text
            # The prompt goes first: drawing and the search would take the interpreter in turns.
            self.call_after_refresh(self._search, self._needle, 1)

    def action_find_again(self, direction: int) -> None:
        """Go to the next line, or the one before, that has the text."""
        if self._needle:
            self._search(self._needle, direction)

    @work(thread=True, exclusive=True, group="find", exit_on_error=False, description="find")
    def _search(self, needle: str, direction: int) -> None:
        book, trail = self.book, self.trail
        if book is None or trail is None:
            return
        walk, here = book.walk, trail.here.position
        texts = self._texts_of(walk)
        found = texts.after(here, needle) if direction > 0 else texts.before(here, needle)
        if get_current_worker().is_cancelled:
            return
        if found is not None:
            self.app.call_from_thread(self.jump, self._moves().at_event(found))
            return
        said = f"nothing {_side(direction)} this event has {needle!r}"
        self.app.call_from_thread(self.remark, said)

    # -- views ---------------------------------------------------------------------------------

    def action_turns(self) -> None:
        """Show turns, or single events."""
        self.is_in_turns = not self.is_in_turns
        self.lay_out()

    def action_quiet(self) -> None:
        """Hide the coming and going of workflow tasks, or show it again."""
        self.is_in_turns, self.is_quiet = False, self.is_in_turns or not self.is_quiet
        self.lay_out()

    def action_columns(self) -> None:
        """Show other columns."""
        self._columns = self._columns.next
        self.lay_out()

    def action_fold(self, is_folded: int) -> None:
        """Fold or unfold what the cursor is on."""
        if self.lines("values").has_focus:
            row = self.value_row()
            if row is not None:
                self.opened = self.opened - {row.path} if is_folded else self.opened | {row.path}
                self.show_values()
        elif isinstance(self.timeline, TurnTimeline) and len(self.timeline):
            turn = self.timeline.row(self.lines("timeline").cursor).turn
            if turn:
                self._folded = self._folded | {turn} if is_folded else self._folded - {turn}
                self.lay_out()

    def action_tab(self, direction: int) -> None:
        """Show another tab of the payload."""
        self.pick_tab((_TABS.index(self.tab) + direction) % len(_TABS))

    @on(TabTitle.Picked)
    def _tab_clicked(self, message: TabTitle.Picked) -> None:
        self.pick_tab(message.index)

    def pick_tab(self, index: int) -> None:
        """Show a tab of the payload."""
        self.tab = _TABS[index]
        self.redraw()

    def action_pane(self, name: str) -> None:
        """Give the keys to a pane."""
        pane = self.pane(name)
        if self.has_class("-zoomed"):
            self._zoom("" if pane.has_class("-full") else name)
        pane.body.focus()

    def action_zoom(self) -> None:
        """Give the focused pane the whole screen, or take it back."""
        here = next((name for name in _PANES if self.pane(name).body.has_focus), "timeline")
        self._zoom("" if self.has_class("-zoomed") else here)
        self.pane(here).body.focus()

    def _zoom(self, name: str) -> None:
        self.set_class(bool(name), "-zoomed")
        self.set_class(name == "timeline", "-zoomed-left")
        self.set_class(name == "source", "-zoomed-source")
        for each in _PANES:
            self.pane(each).set_class(each == name, "-full")

    @on(LineList.Chosen, "#timeline")
    def action_payload(self) -> None:
        """Give what went in and came out here the whole screen."""
        sections = self.sections
        if not sections or self.book is None or self.trail is None:
            self.remark("nothing went in or came out here")
            return
        entry = self.book.entry_at(self.trail.here.position)
        # The tab at hand may show no payload, as that of the raw event.
        tabs = [each.tab for each in sections]
        index = next((tabs.index(tab) for tab in (self.tab, Tab.OUT) if tab in tabs), 0)
        self.app.push_screen(PayloadScreen(shown_name(entry), sections, index))

    @on(LineList.Chosen, "#values")
    def _unfold_value(self) -> None:
        row = self.value_row()
        if row is not None:
            self.action_fold(int(row.path in self.opened))

    def action_leave(self) -> None:
        """Leave what is on top: the full pane, the pane, this run."""
        if self.has_class("-zoomed"):
            self._zoom("")
        elif not self.lines("timeline").has_focus:
            self.lines("timeline").focus()
        else:
            self._leave_run()

    def _leave_run(self) -> None:
        self.app.call_later(self.app.run_action, "leave_run")


def _side(direction: int) -> str:
    return "after" if direction > 0 else "before"


def _no_more(direction: int) -> str:
    return "this is the end" if direction > 0 else "this is the beginning"
