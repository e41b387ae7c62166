"""Conditions of breakpoints: what must be so for `continue` to stop at a place.

A condition is read by Python's own parser and then walked over the values that the tape has.
Nothing of it is ever executed: there are no calls but `len`, no attribute is looked up on an object
of this process, and a value is never more than what was recorded. What is not known is not so: a
name that has no value there, or one whose value was cut, makes a condition false.

    self.total > 100 and customer.tier in ("gold", "silver")
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from replayer.tape import FrameState, Value

_MOST_TEXT: Final = 500
_EXPECTED: Final = "expected values, texts and numbers with == != < > in not and or len()"
_COMPARED: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, other: one in other,
    ast.NotIn: lambda one, other: one not in other,
    ast.Is: lambda one, other: type(one) is type(other) and one == other,
    ast.IsNot: lambda one, other: type(one) is not type(other) or one != other,
}
_UNREADABLE: Final = (SyntaxError, ValueError, RecursionError, MemoryError)


class ConditionError(Exception):
    """What was typed is no condition; says why on one line."""


class _NotKnownError(Exception):
    """A value that the tape does not have."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that values are asked."""

    text: str
    tree: ast.expr = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.text

    @property
    def names(self) -> frozenset[str]:
        """The variables that it reads, as the values pane names them."""
        return frozenset(_names(self.tree))

    def holds(self, frame: FrameState | None) -> bool:
        """Whether it is so for the values of a frame; false where they are not known."""
        try:
            return frame is not None and bool(_result(self.tree, frame))
        except (_NotKnownError, TypeError):
            return False


def parse_condition(text: str) -> Condition:
    """Read a condition.

    Raises:
        ConditionError: It is none.
    """
    text = text.strip()
    if not text or len(text) > _MOST_TEXT:
        raise ConditionError(f"a condition has 1 to {_MOST_TEXT} characters; {_EXPECTED}")
    try:
        tree = ast.parse(text, mode="eval").body
        _check(tree)
    except _UNREADABLE as error:
        raise ConditionError(f"{text[:60]!r} is no condition: {_EXPECTED}") from error
    if not any(_names(tree)):
        raise ConditionError(f"{text[:60]!r} asks for no value: name one, as in self.total > 100")
    return Condition(text, tree)


def _check(node: ast.expr) -> None:
    """Refuse whatever `_result` has no answer for."""
    match node:
        case ast.Constant(value=str() | int() | float() | None) | ast.Name():
            return
        case ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
            pass
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=part):
            parts = [part]
        case ast.Compare(left=left, comparators=others):
            parts = [left, *others]
        case ast.Attribute(value=part) | ast.Subscript(value=part, slice=ast.Constant()):
            parts = [part]
        case ast.Call(func=ast.Name(id="len"), args=[part], keywords=[]):
            parts = [part]
        case _:
            raise ValueError(type(node).__name__)
    for part in parts:
        _check(part)


def _names(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            yield f"self.{name}"
        case ast.Name(id=name):
            yield name
        case ast.Call(args=parts):
            for part in parts:
                yield from _names(part)
        case _:
            for inner in ast.iter_child_nodes(node):
                if isinstance(inner, ast.expr):
                    yield from _names(inner)


def _result(node: ast.expr, frame: FrameState) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_result(part, frame) for part in parts]
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_result(part, frame) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_result(part, frame) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return not _result(part, frame)
        case ast.UnaryOp(operand=part):
            return -_result(part, frame)
        case ast.Compare():
            return _compared(node, frame)
        case ast.Call(args=[part]):
            return _length(_recorded(part, frame))
        case _:
            return _plain(_recorded(node, frame))


def _compared(node: ast.Compare, frame: FrameState) -> bool:
    left = _result(node.left, frame)
    for operation, part in zip(node.ops, node.comparators, strict=True):
        right = _result(part, frame)
        if not _COMPARED[type(operation)](left, right):
            return False
        left = right
    return True


def _recorded(node: ast.expr, frame: FrameState) -> Value:
    """The value on the tape that a name, an attribute or an index stands for."""
    found: Value | None = None
    match node:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            found = frame.value(f"self.{name}")
        case ast.Name(id=name):
            found = frame.value(name)
        case ast.Attribute(value=inner, attr=name):
            found = _recorded(inner, frame).child(name)
        case ast.Subscript(value=inner, slice=ast.Constant(value=index)):
            found = _recorded(inner, frame).child(f"[{index!r}]")
    if found is None:
        raise _NotKnownError
    return found


def _length(value: Value) -> int:
    if value.length is None:
        raise _NotKnownError
    return value.length


def _plain(value: Value) -> Any:
    """The value where its text tells all of it; of objects of other types the text."""
    if value.is_cut:
        raise _NotKnownError
    if value.type == "float":
        return float(value.text)
    try:
        return ast.literal_eval(value.text)
    except _UNREADABLE:
        return value.text
