"""Values as a tape has them: read from a snapshot, safe to show and to walk through.

A value is text and, for what contains something, children. Nothing of the workflow's own code is
needed to read it, and none is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Value", "value_of"]

_MOST_TEXT = 2000
_MOST_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Value:
    """What a name stood for."""

    type: str
    """The type's qualified name, such as `list` or `Order`."""
    text: str
    """The value on one line, as Python would write it; `…` stands for what was left out."""
    children: tuple[tuple[str, Value], ...] = ()
    """What it contains: `[0]`, `['key']`, or an attribute's name."""
    length: int | None = None
    """Of a container or text, all of it counted; None for others."""
    is_cut: bool = False
    """Some of it was left out: too long, too deep, or too much."""

    def child(self, label: str) -> Value | None:
        """What lies under a label; None if nothing was recorded there."""
        return next((value for name, value in self.children if name == label), None)

    def __str__(self) -> str:
        return self.text


def value_of(snapshot: Any) -> Value:
    """Read a snapshot; what is none, in a damaged tape, reads as a value that says so."""
    try:
        return _value(snapshot, _MOST_DEPTH)
    except (ValueError, TypeError):
        return Value("?", "<unreadable>", is_cut=True)


def _value(node: Any, depth: int) -> Value:
    if depth < 0:
        raise ValueError("too deep")
    match node:
        case None:
            return Value("NoneType", "None")
        case str():
            return Value("str", repr(node), length=len(node))
        case int():
            return Value("int", repr(node))
        case [str() as tag, *rest]:
            return _tagged(tag, rest, depth - 1)
        case _:
            raise ValueError(f"no snapshot: {str(node)[:60]}")


def _tagged(tag: str, rest: list[Any], depth: int) -> Value:
    match tag, rest:
        case "b", [int() as truth]:
            return Value("bool", str(bool(truth)))
        case "f", [str() as text]:
            return Value("float", text)
        case "i", [str() as text, int() as bits]:
            return Value("int", text or f"an integer of {bits} bits…", is_cut=not text)
        case "s", [str() as text, int() as length]:
            return Value("str", f"{text!r}…", length=length, is_cut=True)
        case "y", [str() as name, str() as shown, int() as length]:
            return _bytes(name, shown, length)
        case "r", [str() as name, str() as text]:
            return Value(name, text)
        case "e", [str() as name, str() as member]:
            return Value(name, f"{name}.{member}")
        case "t", [str() as name]:
            return Value(name, f"<{name}>", is_cut=True)
        case "c", [str() as name, int() as length]:
            size = f"[{length}]" if length >= 0 else "(…)"
            return Value(name, f"{name}{size}", length=max(length, 0), is_cut=True)
        case "p", [str() as name, inner]:
            return Value(name, f"{name}({_value(inner, depth).text})")
        case _:
            return _container(tag, rest, depth)


def _container(tag: str, rest: list[Any], depth: int) -> Value:
    match tag, rest:
        case "l", [str() as name, int() as length, [*items]]:
            return _list(name, length, [_value(item, depth) for item in items])
        case "d", [str() as name, int() as length, [*pairs]]:
            return _dict(
                name, length, [(_value(key, depth), _value(item, depth)) for key, item in pairs]
            )
        case "o", [str() as name, [*members]]:
            children = tuple(_member(each, depth) for each in members)
            return _object(name, children)
        case "x", [str() as name, arguments, [*members]]:
            return _exception(
                name, _value(arguments, depth), tuple(_member(each, depth) for each in members)
            )
        case "@", [int(), str() as name]:
            return Value(name, f"<{name}>")
        case _:
            raise ValueError(f"no snapshot: {tag[:20]}")


def _bytes(name: str, shown: str, length: int) -> Value:
    data = bytes.fromhex(shown)
    is_cut = len(data) < length
    text = repr(data) + ("…" if is_cut else "")
    return Value(name, text, length=length, is_cut=is_cut)


def _list(name: str, length: int, items: list[Value]) -> Value:
    opening, closing = _BRACKETS.get(name, (f"{name}(", ")"))
    missing = length - len(items)
    kept_last = min(_LAST, len(items)) if missing > 0 else 0
    labels = [*range(len(items) - kept_last), *range(length - kept_last, length)]
    parts = [item.text for item in items]
    if missing > 0:
        parts.insert(len(items) - kept_last, f"… {missing} more …")
    elif name == "tuple" and length == 1:
        parts.append("")
    children = tuple((f"[{label}]", item) for label, item in zip(labels, items, strict=True))
    return _containing(name, f"{opening}{', '.join(parts)}{closing}", children, length, missing > 0)


def _dict(name: str, length: int, pairs: list[tuple[Value, Value]]) -> Value:
    parts = [f"{key.text}: {item.text}" for key, item in pairs]
    missing = length - len(pairs)
    if missing > 0:
        parts.append(f"… {missing} more")
    inside = "{" + ", ".join(parts) + "}"
    text = inside if name == "dict" else f"{name}({inside})"
    children = tuple((f"[{key.text}]", item) for key, item in pairs)
    return _containing(name, text, children, length, missing > 0)


def _object(name: str, children: tuple[tuple[str, Value], ...]) -> Value:
    inside = ", ".join(f"{label}={child.text}" for label, child in children)
    return _containing(name, f"{name}({inside})", children, None, False)


def _exception(name: str, arguments: Value, members: tuple[tuple[str, Value], ...]) -> Value:
    inside = ", ".join(child.text for _, child in arguments.children)
    children = (*((f"args{label}", child) for label, child in arguments.children), *members)
    return _containing(name, f"{name}({inside})", children, None, arguments.is_cut)


def _member(member: Any, depth: int) -> tuple[str, Value]:
    match member:
        case [str() as label, node]:
            return label, _value(node, depth)
        case _:
            raise ValueError("no snapshot of an attribute")


def _containing(
    name: str,
    text: str,
    children: tuple[tuple[str, Value], ...],
    length: int | None,
    is_cut: bool,
) -> Value:
    is_cut = is_cut or any(child.is_cut for _, child in children)
    if len(text) > _MOST_TEXT:
        text, is_cut = text[: _MOST_TEXT - 1] + "…", True
    return Value(name, text, children, length, is_cut)


_LAST = 3
_BRACKETS = {
    "list": ("[", "]"),
    "tuple": ("(", ")"),
    "set": ("{", "}"),
    "args": ("(", ")"),
}
