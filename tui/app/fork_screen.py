"""The form of a fork: which code, from where, and what is to be another."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from replayer.fork import ForkRequest, ForkSpecError
from tui.app.bars import Heading
from tui.app.lines import LineView
from tui.pieces import Lines, Piece, Tone, piece, wrapped
from tui.replay.forking import fork_request

_MAX_WIDTH = 100
_PROMISE = (
    "The code runs in a process of its own, on a server of its own. No activity runs, no model is "
    "called: what was recorded is answered, and what was not ends the fork. It costs nothing."
)

_EMPTY = {"at": "from its start", "change": "nothing: as recorded, with this code"}
"""What a line means that is left empty."""


class Notes(LineView, can_focus=False):
    """Sentences under the form."""

    DEFAULT_CSS = "Notes { height: 4; overflow: hidden; }"


class ForkScreen(ModalScreen[ForkRequest | None]):
    """Gives what to fork, `None` for nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "no fork", show=False),
    ]
    DEFAULT_CSS = """
    ForkScreen { align: center middle; }
    ForkScreen #form { border: round $primary; padding: 0 1; height: auto; background: $surface; }
    ForkScreen Input { margin: 0 0 1 0; background: $boost; }
    """

    def __init__(self, workflow: str, at: str, what: str, change: str) -> None:
        super().__init__()
        self._values = workflow, at, change
        self._what = what

    def compose(self) -> ComposeResult:
        """Three lines to fill in, and what will happen."""
        with Vertical(id="form"):
            for name, value in zip(("workflow", "at", "change"), self._values, strict=True):
                yield Heading(id=f"{name}-label")
                empty = _EMPTY.get(name, "")
                yield Input(value, empty, id=name, compact=True, select_on_focus=False)
            yield Notes(id="notes")

    def on_mount(self) -> None:
        """Label the lines, and begin at the first that is empty."""
        form = self.query_one("#form")
        form.styles.width = min(_MAX_WIDTH, self.app.size.width - 2)
        form.border_title = "fork"
        for name, label in (
            ("workflow", "code, as module:Class or path/to/file.py:Class"),
            ("at", f"from: an event, a step, FILE:LINE of a decision   (here: {self._what})"),
            (
                "change",
                "change: output.path=JSON · input.path=JSON · fail TYPE: text · signal NAME=JSON · "
                "model NAME   (several: ;;)",
            ),
        ):
            self.query_one(f"#{name}-label", Heading).tell((piece(label, Tone.NOTE),))
        self._note(_PROMISE, Tone.DIM)
        self.query_one("#change" if self._values[0] else "#workflow", Input).focus()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        workflow, at, change = (
            self.query_one(f"#{name}", Input).value.strip() for name in ("workflow", "at", "change")
        )
        if not workflow:
            self.query_one("#workflow", Input).focus()
            return
        try:
            self.dismiss(fork_request(workflow, at, change.split(";;")))
        except ForkSpecError as error:
            self._note(str(error), Tone.BAD)

    def _note(self, text: str, tone: Tone) -> None:
        width = min(_MAX_WIDTH, self.app.size.width - 2) - 5
        lines = list(wrapped(text, width, tone))
        keys = (Piece("enter forks · tab next line · esc leaves", Tone.NOTE),)
        self.query_one(Notes).show(Lines([*lines[:3], keys]))
