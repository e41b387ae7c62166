"""One payload on the full screen, in four views: tree, text, conversation, raw.

Views are made off the event loop, and again when the width changes. A text of many megabytes
is cut into rows once; drawing looks only at the rows in sight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final

import orjson

from replayer.history import DecodedPayload, decode
from tui import figures
from tui.event_detail import failure_lines
from tui.payload_text import indented, payload_lines, safe_lines
from tui.pieces import Line, Piece, Tone, folded, marked, piece, text_of
from tui.replay.chat import has_messages, message_lines, messages_of
from tui.replay.payloads import Section
from tui.text import fold

_MOST_CHILDREN: Final = 5_000
"""Children of one node that are listed."""
_MOST_SHOWN: Final = 300
"""Characters of a value in the tree."""


class View(StrEnum):
    """How a payload is shown."""

    TREE = "tree"
    TEXT = "text"
    CHAT = "chat"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Document:
    """A payload or a failure, decoded."""

    title: str
    about: str
    value: Any
    """The decoded JSON; `None` for what is none."""
    is_json: bool
    raw: bytes
    views: tuple[View, ...]
    decoded: DecodedPayload | None = None
    """`None` for a failure."""
    failure: Sequence[Line] = ()
    opened: frozenset[Path] = frozenset()
    """The nodes of the tree that are open at first."""

    def text(self) -> Sequence[str]:
        """Indented, safe, a line each. Takes half a second for 10 MB: made where it is shown."""
        return () if self.decoded is None else payload_lines(self.decoded, self.raw)


def document_of(section: Section) -> Document:
    """Decode a section. Takes some hundred milliseconds for 10 MB."""
    if section.failure is not None:
        lines = list(failure_lines(section.failure))
        raw = "\n".join(map(text_of, lines)).encode()
        only = (View.TEXT,)
        return Document(section.title, "recorded", None, False, raw, only, failure=lines)
    assert section.payload is not None
    payload = section.payload
    decoded = decode(payload)
    is_tree = isinstance(decoded.json, dict | list)
    views = [View.TREE] if is_tree else []
    views.append(View.TEXT)
    if is_tree and has_messages(decoded.json):
        views.insert(0, View.CHAT)
    views.append(View.RAW)
    about = f"recorded · {decoded.encoding or 'no encoding'} · {figures.size(decoded.size)}"
    about += f" · {decoded.note}" if decoded.note else ""
    return Document(
        section.title,
        about,
        decoded.json,
        is_tree,
        payload.data,
        tuple(views),
        decoded,
        opened=opened_to(decoded.json) if is_tree else frozenset(),
    )


class Rows:
    """A `LineSource` of rows that were cut to the width, with a text marked in them."""

    def __init__(self, rows: Sequence[Line | str], needle: str = "") -> None:
        self._rows = rows
        self._needle = needle

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def line(self, index: int, width: int) -> Line:
        """One row."""
        row = self._rows[index]
        line = (Piece(row),) if isinstance(row, str) else row
        return marked(line, self._needle) if self._needle else line

    def text(self, index: int) -> str:
        """One row without tones."""
        row = self._rows[index]
        return row if isinstance(row, str) else text_of(row)

    def with_needle(self, needle: str) -> Rows:
        """The same rows with another text marked."""
        return Rows(self._rows, needle)


def rows_of(document: Document, view: View, width: int) -> Rows:
    """The rows of a view that is no tree."""
    width = max(8, width)
    if document.failure:
        return Rows([row for line in document.failure for row in folded(line, width)])
    if view is View.CHAT:
        return Rows(list(message_lines(messages_of(document.value), width)))
    if view is View.RAW:
        return Rows(list(_cut(safe_lines(document.raw.decode(errors="replace")), width)))
    return Rows(list(_cut(document.text(), width)))


def _cut(lines: Sequence[str], width: int) -> Iterator[str]:
    for line in lines:
        if len(line) <= width and line.isascii():
            yield line
        else:
            yield from fold(line, width)


# -- the tree ----------------------------------------------------------------------------------

type Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A row of the tree."""

    path: Path
    label: str
    value: Any
    depth: int
    is_open: bool


class Tree:
    """A `LineSource` over the nodes that are in sight."""

    def __init__(self, value: Any, opened: frozenset[Path], needle: str = "") -> None:
        self.nodes = list(_nodes(value, (), "$", 0, opened))
        self._needle = needle

    def __len__(self) -> int:
        """How many nodes are in sight."""
        return len(self.nodes)

    def line(self, index: int, width: int) -> Line:
        """One node."""
        node = self.nodes[index]
        is_inner = isinstance(node.value, dict | list) and len(node.value) > 0
        fold_mark = ("▾ " if node.is_open else "▸ ") if is_inner else "  "
        line: Line = (
            Piece("  " * node.depth + fold_mark),
            piece(node.label, Tone.NOTE),
            Piece(" "),
            shown_value(node.value),
        )
        return marked(line, self._needle) if self._needle else line

    def text(self, index: int) -> str:
        """One node without tones."""
        return text_of(self.line(index, 0))


def _nodes(
    value: Any, path: Path, label: str, depth: int, opened: frozenset[Path]
) -> Iterator[Node]:
    is_open = path in opened
    yield Node(path, label, value, depth, is_open)
    if not is_open:
        return
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for count, (key, child) in enumerate(items):
        if count >= _MOST_CHILDREN:
            more = f"… {len(value) - count:,} more; the text view has all"
            yield Node((*path, key), "", more, depth + 1, False)
            return
        name = key if isinstance(key, str) else f"[{key}]"
        if isinstance(child, dict | list) and child:
            yield from _nodes(child, (*path, key), name, depth + 1, opened)
        else:
            yield Node((*path, key), name, child, depth + 1, False)


def shown_value(value: Any) -> Piece:
    """A value on one line: its beginning, or how much it holds."""
    match value:
        case dict():
            return Piece(f"{{{figures.counted(len(value), 'key')}}}", Tone.DIM)
        case list():
            return Piece(f"[{figures.counted(len(value), 'item')}]", Tone.DIM)
        case str():
            cut = value if len(value) <= _MOST_SHOWN else value[: _MOST_SHOWN - 1] + "…"
            return piece(json_text(cut), Tone.LITERAL)
        case _:
            return piece(json_text(value), Tone.KEYWORD)


def json_text(value: Any, *, is_indented: bool = False) -> str:
    """A value as JSON; what JSON has no form for, as Python writes it."""
    try:
        return "\n".join(indented(value)) if is_indented else orjson.dumps(value).decode()
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def python_text(value: Any) -> str:
    """A value as Python writes it; of a long list part by part, so that other threads run."""
    if not isinstance(value, list):
        return repr(value)
    return f"[{', '.join(repr(each) for each in value)}]"


def path_text(path: Path) -> str:
    """A path as JSONPath: `$.orders[0].id`."""
    parts = ["$"]
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif part.isidentifier():
            parts.append(f".{part}")
        else:
            parts.append(f"[{json_text(part)}]")
    return "".join(parts)


def opened_to(value: Any, levels: int = 2, most: int = 400) -> frozenset[Path]:
    """The nodes that are open at first: some levels, as long as not too many."""
    opened: set[Path] = set()
    layer: list[tuple[Path, Any]] = [((), value)]
    for _ in range(levels):
        opened.update(path for path, _ in layer)
        # One more than may be opened tells that there are too many.
        layer = list(islice(_inner(layer), most + 1))
        if len(layer) > most:
            break
    return frozenset(opened)


def _inner(layer: Iterable[tuple[Path, Any]]) -> Iterator[tuple[Path, Any]]:
    for path, each in layer:
        items = each.items() if isinstance(each, dict) else enumerate(each)
        for key, child in items:
            if isinstance(child, dict | list) and child:
                yield (*path, key), child


def paths_with(value: Any, needle: str) -> Iterator[Path]:
    """Paths of the keys and values that have a text, in the order of the tree."""
    stack: list[tuple[Path, str, Any]] = [((), "", value)]
    while stack:
        path, label, each = stack.pop()
        if isinstance(each, dict | list):
            if needle in label.lower():
                yield path
            items = each.items() if isinstance(each, dict) else enumerate(each)
            children = [((*path, key), str(key), child) for key, child in items]
            stack.extend(reversed(children))
        elif needle in label.lower() or needle in str(each).lower():
            yield path


def matches_in(source: Rows, needle: str) -> list[int]:
    """The rows that have a text, ignoring case."""
    lowered = needle.lower()
    return [index for index in range(len(source)) if lowered in source.text(index).lower()]
