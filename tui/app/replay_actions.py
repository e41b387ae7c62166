"""What can be done with a run beside moving in it: record, check, fork, compare, list, copy.

Whatever takes long is done in the background, and what runs workflow code in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from textual import on, work
from textual.widgets import Input
from textual.worker import get_current_worker

from replayer.alignment import EntryKind
from replayer.fork import ForkRequest
from tracer.identity import RunKey
from tui import memory
from tui.app import experiments
from tui.app.bars import Prompt
from tui.app.choice_screen import ChoiceScreen
from tui.app.copying import copy
from tui.app.diff_screen import DiffScreen
from tui.app.editing import open_editor
from tui.app.fork_screen import ForkScreen
from tui.app.forks_screen import ForksScreen
from tui.app.pauses import long_lived
from tui.app.picking import candidate_lines, candidates
from tui.app.places_screen import PlacesScreen
from tui.app.recording import Recording
from tui.app.replay_view import ReplayView
from tui.pieces import Tone, piece
from tui.replay.book import Book
from tui.replay.focus import Focus
from tui.replay.forking import offered_change
from tui.replay.places import PlaceLine, cost_places, find_places, wait_places
from tui.replay.timeline import shown_name
from tui.replay.values import ValueRow, ValueView
from tui.sources import row_of

NEEDS_TAPE = "this needs a tape: T records one"


class ReplayActions(ReplayView):
    """The replay screen without its moves."""

    _asking: Callable[[str], None] | None = None
    _recorder: Recording | None = None
    greeting = ""
    """Said in the heading until the first move."""

    def begin(self, book: Book) -> None:
        """Show the run, and say what there is to say of it."""
        super().begin(book)
        if self.greeting:
            self.remark(self.greeting)
            self.greeting = ""

    def jump(self, focus: Focus) -> None:
        """Move far: the way back leads to where the reader was."""
        if self.trail is not None:
            self.trail = self.trail.jump(focus)

    def value_row(self) -> ValueRow | None:
        """The value under the cursor; `None` where there is none."""
        values = self.lines("values")
        view = values.source
        if not isinstance(view, ValueView) or not len(view):
            return None
        return view.rows[values.cursor]

    # -- the tape ------------------------------------------------------------------------------

    def action_record(self) -> None:
        """Ask for the workflow's code, and record a tape with it."""
        if self.book is None:
            return
        if self._recorder is not None and self._recorder.is_running:
            self._recorder.cancel()
            return
        known = memory.recall("workflows").get(self.book.walk.run.workflow_type, "")
        self.ask("workflow code as module:Class or path/to/file.py:Class", self.record, str(known))

    def record(self, workflow: str) -> None:
        """Record a tape in the background."""
        if self.book is None or not workflow:
            return
        memory.remember("workflows", **{self.book.walk.run.workflow_type: workflow})
        self._recorder = Recording(self, self.book, workflow)
        self._recorder.begin()

    # -- other runs ----------------------------------------------------------------------------

    def action_diff(self) -> None:
        """Compare with a run that is chosen; a fork with its recording."""
        if self.book is not None:
            self._with_other_runs(self._choose_other)

    def _choose_other(self) -> None:
        recorded = self.source.recorded_of(self.key)
        if recorded is not None:
            self.app.push_screen(DiffScreen(self.source, recorded, self.key))
            return
        assert self.book is not None
        rows = candidates(self.source.seen, row_of(self.book.walk.run))
        if not rows:
            self.remark("there is no other run here to compare with")
            return

        def chosen(index: int | None) -> None:
            if index is not None:
                self.app.push_screen(DiffScreen(self.source, self.key, rows[index].key))

        self.app.push_screen(ChoiceScreen("compare with", candidate_lines(rows)), chosen)

    def diff_with(self, text: str) -> None:
        """Compare with a run that is named."""
        if not text:
            self.action_diff()
            return
        self._with_other_runs(partial(self._diff_named, text))

    def _diff_named(self, text: str) -> None:
        found = [key for key in self.source.named(text) if key != self.key]
        if len(found) == 1:
            self.app.push_screen(DiffScreen(self.source, self.key, found[0]))
        else:
            self.remark(f"{len(found)} of the runs listed here answer to {text!r}")

    def _with_other_runs(self, then: Callable[[], None]) -> None:
        """Do something with the other runs; a run that was opened at once comes before them."""
        if self.source.is_listed:
            then()
        else:
            self.remark("looking for other runs…")
            self._look_for_others(then)

    @work(thread=True, exclusive=True, group="others", exit_on_error=False, description="others")
    def _look_for_others(self, then: Callable[[], None]) -> None:
        try:
            with long_lived():
                self.source.list_once()
        except Exception as error:  # noqa: BLE001 - whatever a source fails with is told
            self.post_message(self.Remark(f"the other runs cannot be listed: {error}"))
            return
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._others_found, then)

    def _others_found(self, then: Callable[[], None]) -> None:
        self.remark("")
        if self.is_current:
            then()

    def action_fork(self) -> None:
        """Fill in what to fork from here."""
        if self.book is None or self.trail is None:
            return
        run = self.book.walk.run
        entry = self.book.entry_at(self.trail.here.position)
        workflow = str(memory.recall("workflows").get(run.workflow_type, ""))
        at = "" if entry.kind is EntryKind.START else str(entry.answer_event_id or entry.event_id)
        form = ForkScreen(workflow, at, shown_name(entry), offered_change(entry))
        self.app.push_screen(form, self._fork)

    def _fork(self, request: ForkRequest | None) -> None:
        if request is not None and self.book is not None:
            run = self.book.walk.run
            memory.remember("workflows", **{run.workflow_type: request.workflows[0]})
            self.remark("forking…")
            self.run_worker(
                self._forked(self.book, request),
                group="job",
                exit_on_error=False,
                description="fork",
            )

    async def _forked(self, book: Book, request: ForkRequest) -> None:
        made = await experiments.fork(self, book, request)
        if made is None:
            return
        history, report = made
        self.source.add_fork(history, self.key)
        screen = type(self)(self.source, history.key)
        screen.greeting = experiments.fork_sentence(report)
        self.remark("")
        await self.app.push_screen(screen)

    def action_forks(self) -> None:
        """Show every fork of this run."""
        self.app.push_screen(ForksScreen(self.source, self.key, self._open))

    def _open(self, key: RunKey) -> None:
        self.app.push_screen(type(self)(self.source, key))

    def action_check(self) -> None:
        """Ask for the code, and find out whether it replays the run."""
        if self.book is not None:
            known = memory.recall("workflows").get(self.book.walk.run.workflow_type, "")
            self.ask("check with workflow code", self.check, str(known))

    def check(self, workflow: str) -> None:
        """Find out whether code replays the run."""
        if self.book is None or not workflow:
            return
        memory.remember("workflows", **{self.book.walk.run.workflow_type: workflow})
        self.remark("checking…")
        self.run_worker(
            experiments.check(self, self.book, workflow),
            group="job",
            exit_on_error=False,
            description="check",
        )

    # -- lists of places -----------------------------------------------------------------------

    def action_grep(self) -> None:
        """Type what to find in all payloads."""
        self.ask("find in all payloads and names", self.grep)

    def grep(self, text: str) -> None:
        """List where a text is."""
        if text and self.book is not None:
            book = self.book
            self._list(f"find {text!r}", lambda: find_places(book, text))

    def action_cost(self) -> None:
        """List what models cost."""
        if self.book is not None:
            book = self.book
            self._list("cost", lambda: cost_places(book))

    def action_waits(self) -> None:
        """List what it waited for."""
        if self.book is not None:
            book = self.book
            self._list("waits", lambda: wait_places(book))

    def _list(self, title: str, make: Callable[[], Iterable[PlaceLine]]) -> None:
        def chosen(position: int | None) -> None:
            if position is not None and self.moves is not None:
                self.jump(self.moves.at_event(position))

        self.app.push_screen(PlacesScreen(title, make), chosen)

    # -- taking away ---------------------------------------------------------------------------

    def action_copy(self) -> None:
        """Choose what to copy of this place."""
        if self.book is None or self.trail is None:
            return
        key, event = self.key, self.book.walk.events[self.trail.here.position]
        choices = [("the run", f"{key.workflow_id}:{key.run_id}")]
        choices.append(("how to show it", f"retrospan show {key.workflow_id}:{key.run_id}"))
        choices.append(("this event", str(event)))
        if (row := self.value_row()) is not None and row.value is not None:
            choices.append((f"value of {row.name}", row.value.text))
        choices += [
            (each.title, each.payload.data.decode(errors="replace"))
            for each in self.sections
            if each.payload is not None
        ]
        lines = [(piece(f"{name}  "), piece(text[:60], Tone.DIM)) for name, text in choices]

        def chosen(index: int | None) -> None:
            if index is not None:
                self.run_worker(self._copy(choices[index][1]), description="copy")

        self.app.push_screen(ChoiceScreen("copy", lines), chosen)

    async def _copy(self, text: str) -> None:
        self.remark(await copy(self.app, text))

    def action_edit(self) -> None:
        """Open the file on disk in the reader's editor, at this line."""
        frame = self.scene.frame if self.scene is not None else None
        if frame is None or self.book is None or self.book.tape is None:
            self.remark(NEEDS_TAPE)
            return
        source = self.book.tape.tape.source(frame.file)
        self.remark(open_editor(self.app, source.path if source is not None else "", frame.line))

    # -- prompts -------------------------------------------------------------------------------

    def ask(
        self,
        what: str,
        answer: Callable[[str], None],
        value: str = "",
        words: Iterable[str] = (),
    ) -> None:
        """Have the reader type something."""
        self._asking = answer
        self.query_one(Prompt).open(what, value, words)

    @on(Input.Submitted)
    def _answered(self, message: Input.Submitted) -> None:
        asking, self._asking = self._asking, None
        self.close_prompt()
        if asking is not None:
            asking(message.value.strip())

    @on(Prompt.Dropped)
    def close_prompt(self) -> None:
        """Give the keys back to the pane."""
        self.query_one(Prompt).close()
        self.lines("timeline").focus()
