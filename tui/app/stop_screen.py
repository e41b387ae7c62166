"""Where a replay parts from its history: what was recorded, what the code asks for, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from replayer.check import Command, Explanation, Verdict, explanation_text
from tui.app.bars import Heading, KeyBar
from tui.app.copying import copy
from tui.app.lines import TextPane
from tui.pieces import BLANK, Line, Lines, Piece, Tone, cell, folded, piece, wrapped

_FRAMES = 6
_LEAST = 24


class StopScreen(Screen[None]):
    """The explanation of a replay that failed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "copy", tooltip="copy the report"),
        Binding("escape,q", "app.pop_screen", "leave", tooltip="back to the run"),
    ]
    DEFAULT_CSS = "StopScreen TextPane { height: 1fr; padding: 0 1; }"

    def __init__(self, verdict: Verdict, explanation: Explanation) -> None:
        super().__init__()
        self._verdict = verdict
        self._explanation = explanation

    def compose(self) -> ComposeResult:
        """Heading, report, keys."""
        yield Heading(id="heading")
        yield TextPane(id="report")
        yield KeyBar()

    def on_mount(self) -> None:
        """Show it."""
        words = (
            Piece(" ✗ DOES NOT REPLAY  ", Tone.BAD),
            piece(f"{self._explanation.kind}  ", Tone.STRONG),
            piece(str(self._verdict.key), Tone.DIM),
        )
        self.query_one(Heading).tell(words)
        self.query_one(TextPane).focus()

    def on_text_pane_widened(self) -> None:
        """Lay it out for the width."""
        pane = self.query_one(TextPane)
        pane.show(Lines(list(stop_lines(self._explanation, max(_LEAST, pane.content_size.width)))))

    async def action_copy(self) -> None:
        """Copy the report as text."""
        said = await copy(self.app, explanation_text(self._explanation))
        self.query_one(Heading).tell((piece(f" {said}", Tone.NOTE),))


def stop_lines(explanation: Explanation, width: int) -> Iterator[Line]:
    """The explanation, most important first."""
    yield from wrapped(explanation.summary, width, Tone.STRONG)
    yield BLANK
    yield from _side_by_side(explanation, width)
    if explanation.stack:
        yield BLANK
        yield (Piece("the code is at", Tone.DIM),)
        own = [frame for frame in explanation.stack if frame.is_workflow_code]
        for number, frame in enumerate(reversed((own or list(explanation.stack))[-_FRAMES:])):
            mark = Piece("▶ " if number == 0 else "  ", Tone.NOTE)
            where = f"{frame.file}:{frame.line} {frame.function}"
            yield from folded((mark, piece(where, Tone.PLAIN if number else Tone.STRONG)), width)
            if frame.text:
                yield from folded((Piece("    "), piece(frame.text, Tone.LITERAL)), width)
    if explanation.matched:
        yield BLANK
        yield (Piece("the last that agreed", Tone.DIM),)
        for command in explanation.matched:
            event = f"event {command.event_id}  " if command.event_id else ""
            head = Piece("= ", Tone.GOOD), Piece(event, Tone.DIM)
            yield from folded((*head, piece(command.text)), width)
    for label, text in (("to do: ", explanation.suggestion), ("the SDK says: ", explanation.sdk)):
        if text:
            yield BLANK
            yield from wrapped(label + text, width)


def _side_by_side(explanation: Explanation, width: int) -> Iterator[Line]:
    column = (width - 3) // 2
    event = f"history, event {explanation.event_id}" if explanation.event_id else "history"
    yield cell(event, column, Tone.BAD), Piece(" │ ", Tone.DIM), cell("code", column, Tone.GOOD)
    left = _command(explanation.expected, column)
    right = _command(explanation.produced, column)
    for index in range(max(len(left), len(right))):
        one = left[index] if index < len(left) else ""
        other = right[index] if index < len(right) else ""
        yield cell(one, column), Piece(" │ ", Tone.DIM), cell(other, column)


def _command(command: Command | None, width: int) -> list[str]:
    text = "nothing" if command is None else command.text
    return ["".join(each.text for each in row) for row in folded((piece(text),), width)]
