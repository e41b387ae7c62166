"""The widgets that draw lines: a view, a list with a cursor, a pane that scrolls.

All three use Textual's Line API: they ask a `LineSource` for the lines in sight and nothing else,
so that a million lines open as fast as ten. A `DataTable` measures every cell of every row on the
event loop and would freeze the screen for seconds.

Lines arrive safe (`tui.text`) and become segments, never markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.color import Color
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from tui.pieces import Line, Lines, LineSource, Tone, text_of

_CACHED_STRIPS = 160

_TONE_COLOURS: Final = {
    Tone.GOOD: "text-success",
    Tone.BAD: "text-error",
    Tone.WARN: "text-warning",
    Tone.NOTE: "text-accent",
    Tone.KEYWORD: "text-primary",
    Tone.LITERAL: "text-success",
    Tone.MATCH: "background",
}
"""Tones to variables of the theme."""


def tone_style(tone: Tone, theme: Mapping[str, str]) -> Style:
    """How a theme shows a tone, over what is there already.

    A component class for each tone would say the same; but Textual matches every one of them
    against the style sheet for every widget, which took half of the time of a first paint.
    """
    if tone is Tone.PLAIN:
        return Style()
    colour = _TONE_COLOURS.get(tone)
    return Style(
        color=None if colour is None else Color.parse(theme[colour]).rich_color,
        bgcolor=Color.parse(theme["warning"]).rich_color if tone is Tone.MATCH else None,
        bold=True if tone in (Tone.STRONG, Tone.BAD) else None,
        dim=True if tone is Tone.DIM else None,
    )


class LineView(ScrollView, can_focus=True, inherit_bindings=False):
    """Draws the lines of a source that are in sight, cropped to its width."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    LineView { background: $surface; overflow-x: hidden; scrollbar-size-vertical: 1; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._source: LineSource = Lines(())
        self._strips: LRUCache[tuple[int, bool, int], Strip] = LRUCache(_CACHED_STRIPS)
        self._styles: dict[tuple[Tone, bool], Style] = {}

    @property
    def source(self) -> LineSource:
        """What is shown."""
        return self._source

    def show(self, source: LineSource) -> None:
        """Show other lines."""
        self._source = source
        self._strips.clear()
        self._resize_to(Size(0, len(source)))
        self.refresh()

    def _resize_to(self, size: Size) -> None:
        needs_bar = size.height > self.container_size.height
        is_laid_out = self.container_size and not self.styles.is_auto_height
        if not is_laid_out or needs_bar != self.show_vertical_scrollbar:
            self.virtual_size = size
            return
        # Setting `virtual_size` lays the whole screen out and draws it anew, which takes longer
        # than all else that a step does. Where the scroll bar stays, no other widget is concerned.
        self.set_reactive(LineView.virtual_size, size)
        if needs_bar:
            self.vertical_scrollbar.window_virtual_size = size.height
        self.scroll_y = self.validate_scroll_y(self.scroll_y)

    def notify_style_update(self) -> None:
        """Forget drawn lines when colours change, as they do with the focus."""
        super().notify_style_update()
        self._strips.clear()
        self._styles.clear()

    def on_resize(self, event: events.Resize) -> None:
        """Forget drawn lines: they were made for another width."""
        self._strips.clear()

    @property
    def columns(self) -> int:
        """Cells that a line has, the scroll bar not counted."""
        return self.scrollable_content_region.width or self.size.width

    def render_line(self, y: int) -> Strip:
        """Draw the line that is `y` rows below the top."""
        index = self.scroll_offset.y + y
        if index >= len(self._source):
            return Strip.blank(self.columns, self._style(Tone.PLAIN))
        return self._strip(index, is_cursor=False)

    def _strip(self, index: int, *, is_cursor: bool) -> Strip:
        # The scroll bar comes when lines do, without a resize.
        key = (index, is_cursor, self.columns)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._drawn(self._source.line(index, self.columns), is_cursor=is_cursor)
            self._strips[key] = strip
        return strip

    def _drawn(self, line: Line, *, is_cursor: bool) -> Strip:
        segments = [Segment(each.text, self._style(each.tone, is_cursor)) for each in line]
        return Strip(segments).crop_extend(0, self.columns, self._style(Tone.PLAIN, is_cursor))

    def _style(self, tone: Tone, is_cursor: bool = False) -> Style:
        style = self._styles.get((tone, is_cursor))
        if style is None:
            style = self.rich_style
            if is_cursor:
                style += self.get_component_rich_style("line--cursor", partial=True)
            style += tone_style(tone, self.app.theme_variables)
            self._styles[tone, is_cursor] = style
        return style


class LineList(LineView):
    """Lines of which one is current; moving the cursor is what it is for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False),
        Binding("k,up", "move(-1)", "up", show=False),
        Binding("g,home", "go_first", "first", show=False),
        Binding("G,end", "go_last", "last", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "page down", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "page up", show=False),
        Binding("enter", "choose", "open", show=False),
    ]

    COMPONENT_CLASSES: ClassVar[set[str]] = {"line--cursor"}
    DEFAULT_CSS = """
    LineList > .line--cursor { background: $surface-lighten-2; }
    LineList:focus > .line--cursor { background: $primary; color: $text; text-style: bold; }
    """

    cursor: reactive[int] = reactive(0, init=False, repaint=False)
    """Index of the current line; 0 in an empty list."""

    class Moved(Message):
        """The cursor is on another line, because a key or a click put it there."""

        def __init__(self, lines: LineList, index: int) -> None:
            super().__init__()
            self.lines = lines
            self.index = index

        @property
        def control(self) -> LineList:
            """The list that it happened in."""
            return self.lines

    class Chosen(Message):
        """The current line is to be opened."""

        def __init__(self, lines: LineList, index: int) -> None:
            super().__init__()
            self.lines = lines
            self.index = index

        @property
        def control(self) -> LineList:
            """The list that it happened in."""
            return self.lines

    def show(self, source: LineSource, cursor: int | None = None) -> None:
        """Show other lines, with the cursor where it is unless `cursor` says otherwise."""
        super().show(source)
        self.cursor = self.cursor if cursor is None else cursor
        self.cursor = self.validate_cursor(self.cursor)
        # How far one can scroll is only known when the new lines were laid out.
        self.call_after_refresh(self._reveal_current)

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor on a line."""
        return max(0, min(cursor, len(self._source) - 1))

    def watch_cursor(self, old: int, new: int) -> None:
        """Redraw the two lines and bring the new one into sight."""
        self.refresh_line(old)
        self.refresh_line(new)
        self._reveal(new)

    def render_line(self, y: int) -> Strip:
        """Draw the line that is `y` rows below the top."""
        index = self.scroll_offset.y + y
        if index != self.cursor or index >= len(self._source):
            return super().render_line(y)
        return self._strip(index, is_cursor=True)

    def action_move(self, by: int) -> None:
        """Move by lines."""
        self._move_to(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move by pages."""
        self._move_to(self.cursor + by * max(1, self.size.height - 1))

    def action_go_first(self) -> None:
        """Move to the first line."""
        self._move_to(0)

    def action_go_last(self) -> None:
        """Move to the last line."""
        self._move_to(len(self._source) - 1)

    def action_choose(self) -> None:
        """Open the current line."""
        if len(self._source):
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor under the mouse; a second click opens the line."""
        index = self.scroll_offset.y + event.y
        if index < len(self._source):
            self._move_to(index)
            if event.chain == 2:
                self.action_choose()

    def on_resize(self, event: events.Resize) -> None:
        """Keep the current line in sight."""
        super().on_resize(event)
        self.call_after_refresh(self._reveal_current)

    def _reveal_current(self) -> None:
        self._reveal(self.cursor)

    def _move_to(self, index: int) -> None:
        before = self.cursor
        self.cursor = index
        if self.cursor != before:
            self.post_message(self.Moved(self, self.cursor))

    def _reveal(self, index: int) -> None:
        top, height = self.scroll_offset.y, self.size.height
        if height and not top <= index < top + height:
            # One line beyond an edge scrolls by one; a jump lands in the middle.
            near = index in (top - 1, top + height)
            target = top + (1 if index > top else -1) if near else index - height // 2
            self.scroll_to(y=target, animate=False)


class TextPane(LineView):
    """Lines to read: they scroll and their text can be selected with the mouse."""

    ALLOW_SELECT = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_down", "down", show=False),
        Binding("k,up", "scroll_up", "up", show=False),
        Binding("g,home", "scroll_home", "top", show=False),
        Binding("G,end", "scroll_end", "bottom", show=False),
        Binding("pagedown,ctrl+d,space", "page_down", "page down", show=False),
        Binding("pageup,ctrl+u", "page_up", "page up", show=False),
    ]
    _width = 0

    class Widened(Message):
        """The pane has another width than before; lines that were folded for it are stale."""

    def on_resize(self, event: events.Resize) -> None:
        """Tell the screen when lines must be folded anew."""
        super().on_resize(event)
        if event.size.width != self._width:
            self._width = event.size.width
            self.post_message(self.Widened())

    @property
    def allow_select(self) -> bool:
        """Whether the mouse selects text here."""
        return True

    def show(self, source: LineSource) -> None:
        """Show other lines, from the first."""
        super().show(source)
        self.scroll_to(y=0, animate=False)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text."""
        width = self.columns
        lines = (text_of(self._source.line(i, width)) for i in range(len(self._source)))
        return selection.extract("\n".join(lines)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Redraw with another selection."""
        self._strips.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the line that is `y` rows below the top, and tell the mouse where it is."""
        index = self.scroll_offset.y + y
        strip = super().render_line(y)
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(index)) is not None:
            strip = self._selected(strip, *span)
        return strip.apply_offsets(0, index)

    def _selected(self, strip: Strip, start: int, end: int) -> Strip:
        style = self.screen.get_component_rich_style("screen--selection", partial=True)
        stop = strip.cell_length if end == -1 else end
        before, inside, after = (
            strip.crop(0, start),
            strip.crop(start, stop),
            strip.crop(stop, strip.cell_length),
        )
        # Selected text keeps its tone and takes the selection's ground.
        marked = Strip(Segment.apply_style(inside, post_style=style))
        return Strip.join([before, marked, after])
