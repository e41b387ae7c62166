"""A payload on the whole screen: tree, text, conversation or raw; searched, copied, piped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input
from textual.worker import get_current_worker

from tui.app.bars import Heading, KeyBar, Prompt
from tui.app.choice_screen import ChoiceScreen
from tui.app.copying import copy
from tui.app.editing import open_pager
from tui.app.lines import LineList
from tui.app.pauses import long_lived
from tui.pieces import Piece, Tone, piece
from tui.replay.copies import copies_of
from tui.replay.documents import (
    Document,
    Path,
    Rows,
    Tree,
    View,
    document_of,
    matches_in,
    path_text,
    paths_with,
    rows_of,
)
from tui.replay.payloads import Section

_MOST_MATCHES = 100_000


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, for one view at one width."""

    needle: str
    rows: Sequence[int] = ()
    """Of views that are no tree."""
    paths: Sequence[Path] = ()
    """Of the tree."""

    def __len__(self) -> int:
        return len(self.rows) + len(self.paths)


class PayloadScreen(Screen[None]):
    """What went in or came out, whole."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("vertical_line", "view", "view", tooltip="tree, text, conversation, raw"),
        Binding("v", "section(1)", "next", tooltip="next payload of this step"),
        Binding("V", "section(-1)", "payload before", show=False),
        Binding("slash", "find", "find", tooltip="find a text"),
        Binding("n", "match(1)", "next match", show=False),
        Binding("N", "match(-1)", "match before", show=False),
        Binding("h,left", "fold(1)", "fold", show=False, tooltip="fold this node"),
        Binding("l,right", "fold(0)", "unfold", show=False, tooltip="unfold this node"),
        Binding("y", "copy", "copy", tooltip="copy a value, its path, or all"),
        Binding("exclamation_mark", "pipe", "pipe", tooltip="open in $PAGER", show=False),
        Binding("escape,q", "leave", "leave", tooltip="back to the run"),
    ]
    DEFAULT_CSS = "PayloadScreen LineList { height: 1fr; }"

    class Ready(Message):
        """A view was made."""

        def __init__(self, document: Document, view: View, rows: Rows | None) -> None:
            super().__init__()
            self.document = document
            self.view = view
            self.rows = rows

    class Matched(Message):
        """A search came to its end."""

        def __init__(self, found: Found) -> None:
            super().__init__()
            self.found = found

    def __init__(self, title: str, sections: Sequence[Section], index: int = 0) -> None:
        super().__init__()
        self._title = title
        self._sections = sections
        self._index = index
        self._document: Document | None = None
        self._view: View | None = None
        self._rows: Rows | None = None
        self._opened: frozenset[Path] = frozenset()
        self._found = Found("")
        self._match = -1
        self._width = 0

    def compose(self) -> ComposeResult:
        """Heading, lines, prompt, keys."""
        yield Heading(id="heading")
        yield LineList(id="lines")
        yield KeyBar()
        yield Prompt(id="prompt")

    def on_mount(self) -> None:
        """Decode."""
        self.query_one(LineList).focus()
        self._begin()

    def on_resize(self) -> None:
        """Lay the text out for another width."""
        width = self.size.width
        if self._document is not None and self._width != width and self._view is not View.TREE:
            self._make(self._document, self._view, width)
        self._width = width

    @property
    def document(self) -> Document | None:
        """What is shown; `None` while it is decoded."""
        return self._document

    @property
    def view(self) -> View | None:
        """How it is shown."""
        return self._view

    def _begin(self) -> None:
        self._document, self._view, self._found = None, None, Found("")
        self.query_one(Heading).tell((piece(f" {self._title}"), Piece("  decoding…", Tone.NOTE)))
        # Decoding at once would take the interpreter from the screen that is not painted yet.
        self.call_after_refresh(self._decode, self._sections[self._index], self.size.width)

    @work(thread=True, exclusive=True, group="decode", exit_on_error=False, description="decode")
    def _decode(self, section: Section, width: int) -> None:
        with long_lived():
            document = document_of(section)
            view = document.views[0]
            rows = None if view is View.TREE else rows_of(document, view, width - 1)
        if not get_current_worker().is_cancelled:
            self.post_message(self.Ready(document, view, rows))

    @work(thread=True, exclusive=True, group="decode", exit_on_error=False, description="lay out")
    def _make(self, document: Document, view: View | None, width: int) -> None:
        assert view is not None
        with long_lived():
            rows = None if view is View.TREE else rows_of(document, view, width - 1)
        if not get_current_worker().is_cancelled:
            self.post_message(self.Ready(document, view, rows))

    @on(Ready)
    def _show(self, message: Ready) -> None:
        if self._document is not message.document:
            self._opened = message.document.opened
        self._document, self._view, self._rows = message.document, message.view, message.rows
        self._found, self._match = Found(self._found.needle), -1
        self._draw(0)
        if self._found.needle:
            self._search(self._found.needle)

    def _draw(self, cursor: int | None = None) -> None:
        lines = self.query_one(LineList)
        if self._view is View.TREE and self._document is not None:
            tree = Tree(self._document.value, self._opened, self._found.needle)
            lines.show(tree, cursor)
        elif self._rows is not None:
            lines.show(self._rows.with_needle(self._found.needle), cursor)
        self._tell()

    def _tell(self, remark: str = "") -> None:
        document = self._document
        if document is None:
            return
        words = [piece(f" {self._title} ", Tone.STRONG), piece(f"{document.title}  ", Tone.NOTE)]
        if len(self._sections) > 1:
            words.append(Piece(f"{self._index + 1}/{len(self._sections)}  ", Tone.DIM))
        for view in document.views:
            is_here = view is self._view
            words.append(
                Piece(f"[{view}]" if is_here else f" {view} ", Tone.NOTE if is_here else Tone.DIM)
            )
        if self._found.needle:
            where = f"{self._match + 1} of " if self._match >= 0 else ""
            words.append(
                piece(f"  {where}{len(self._found):,} × {self._found.needle!r}", Tone.WARN)
            )
        words.append(piece(f"  {remark}" if remark else f"  {document.about}", Tone.DIM))
        if self._view is View.TREE and (path := self._path()) is not None:
            words.append(piece(f"  {path_text(path)}", Tone.DIM))
        self.query_one(Heading).tell(tuple(words))

    @on(LineList.Moved)
    def _moved(self) -> None:
        if self._view is View.TREE:
            self._tell()

    def _path(self) -> Path | None:
        lines = self.query_one(LineList)
        tree = lines.source
        return tree.nodes[lines.cursor].path if isinstance(tree, Tree) and len(tree) else None

    # -- views ---------------------------------------------------------------------------------

    def action_view(self) -> None:
        """Show it otherwise."""
        if self._document is None or self._view is None:
            return
        views = self._document.views
        view = views[(views.index(self._view) + 1) % len(views)]
        self._make(self._document, view, self.size.width)

    def action_section(self, direction: int) -> None:
        """Show another payload of the step."""
        self._index = (self._index + direction) % len(self._sections)
        self._begin()

    def action_fold(self, is_folded: int) -> None:
        """Fold or unfold the node under the cursor; a folded one's parent."""
        path = self._path()
        if path is None:
            return
        if is_folded and path not in self._opened:
            path = path[:-1]
        self._opened = self._opened - {path} if is_folded else self._opened | {path}
        self._draw()
        self._go_to(path)

    @on(LineList.Chosen)
    def _toggle(self) -> None:
        path = self._path()
        if path is not None:
            self.action_fold(int(path in self._opened))

    def _go_to(self, path: Path) -> None:
        lines = self.query_one(LineList)
        if isinstance(lines.source, Tree):
            nodes = lines.source.nodes
            found = (index for index, node in enumerate(nodes) if node.path == path)
            lines.cursor = next(found, lines.cursor)
            self._tell()

    # -- finding -------------------------------------------------------------------------------

    def action_find(self) -> None:
        """Type what to find."""
        self.query_one(Prompt).open("find", self._found.needle)

    @on(Input.Submitted)
    def _typed(self, message: Input.Submitted) -> None:
        self._close_prompt()
        self._found, self._match = Found(message.value), -1
        self._draw()
        if message.value:
            self._search(message.value)

    @on(Prompt.Dropped)
    def _close_prompt(self) -> None:
        self.query_one(Prompt).close()
        self.query_one(LineList).focus()

    @work(thread=True, exclusive=True, group="find", exit_on_error=False, description="find")
    def _search(self, needle: str) -> None:
        document, rows = self._document, self._rows
        if document is None:
            return
        if self._view is View.TREE:
            found = paths_with(document.value, needle.lower())
            paths = [path for path, _ in zip(found, range(_MOST_MATCHES), strict=False)]
            result = Found(needle, (), paths)
        elif rows is not None:
            result = Found(needle, matches_in(rows, needle))
        if not get_current_worker().is_cancelled:
            self.post_message(self.Matched(result))

    @on(Matched)
    def _take(self, message: Matched) -> None:
        self._found, self._match = message.found, -1
        self.action_match(1)

    def action_match(self, direction: int) -> None:
        """Go to the next match."""
        if not len(self._found):
            self._tell(f"nothing has {self._found.needle!r}" if self._found.needle else "")
            return
        self._match = (self._match + direction) % len(self._found)
        if self._found.paths:
            path = self._found.paths[self._match]
            self._opened |= {path[:length] for length in range(len(path))}
            self._draw()
            self._go_to(path)
        else:
            self.query_one(LineList).cursor = self._found.rows[self._match]
        self._tell()

    # -- taking away ---------------------------------------------------------------------------

    def action_copy(self) -> None:
        """Choose what to copy."""
        if self._document is None:
            return
        choices = copies_of(self._document, self._path())
        lines = [(piece(each.name), piece(f"  {each.sight}", Tone.DIM)) for each in choices]

        def chosen(index: int | None) -> None:
            if index is not None:
                self.run_worker(self._copy(choices[index].make), description="copy")

        self.app.push_screen(ChoiceScreen("copy", lines), chosen)

    async def _copy(self, make: Callable[[], str]) -> None:
        self._tell(await copy(self.app, await asyncio.to_thread(make)))

    def action_pipe(self) -> None:
        """Open it in the reader's pager, outside of the app."""
        if self._document is None:
            return
        text = "\n".join(self._document.text()).encode(errors="replace") or self._document.raw
        self._tell(open_pager(self.app, text))

    def action_leave(self) -> None:
        """Back to the run."""
        self.app.pop_screen()
