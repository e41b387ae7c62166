"""Values as they were at one moment, taken without running anybody's code.

A property, a `__repr__`, a metaclass or a lazy proxy could do anything, raise anything, or take for
ever, and workflow code may not depend on being watched. So only what the interpreter itself knows
is read: built-in values, and attributes that lie in an instance's dictionary or slots. Everything
else is told by its type. Classes are compared by identity, because `==`, `in` and `isinstance` ask
the metaclass or the object.

A snapshot is a *node*: a string, an integer or None as they are, and a tuple with a tag for
everything else. Nodes hold no objects of the workflow, compare by value, and are JSON but for
tuples. `values.py` reads them.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final
from uuid import UUID

type Node = str | int | tuple[Any, ...] | None
"""A snapshot."""

MOST_DEPTH: Final = 4
MOST_ITEMS: Final = 20
LAST_ITEMS: Final = 3
"""Of a list that is cut these are kept from its end: what was appended shows."""
MOST_NODES: Final = 250
MOST_TEXT: Final = 300
_MOST_BITS: Final = 256
_MOST_BYTES: Final = 32
_MOST_NAME: Final = 100

SKIP: Final[Node] = ("skip",)
"""What code is: functions, classes and modules are no values to watch."""

ATOMS: Final = frozenset(id(kind) for kind in (type(None), bool, int, float, str, bytes))
"""Types whose values cannot change: the same object has the same snapshot."""

_REPR_IS_SAFE: Final = frozenset(
    id(kind) for kind in (complex, datetime.timedelta, datetime.date, decimal.Decimal, UUID, range)
)
"""Types whose `repr` runs no other type's code."""
_CODE: Final = frozenset(
    id(kind) for kind in (type, FunctionType, BuiltinFunctionType, MethodType, ModuleType)
)
_SAFE_ZONES: Final = frozenset(
    id(kind) for kind in (type(None), datetime.timezone, zoneinfo.ZoneInfo)
)
_LISTS: Final = frozenset(id(kind) for kind in (list, tuple, collections.deque))
_SETS: Final = frozenset(id(kind) for kind in (set, frozenset))
_BYTES: Final = frozenset(id(kind) for kind in (bytes, bytearray))
_SANDBOX: Final = "temporalio.worker.workflow_sandbox."
_MISSING: Final = object()
_ARGS: Final = BaseException.__dict__["args"]


class Snapshots:
    """Takes snapshots for one recording; knows what the types it met are made of."""

    def __init__(self) -> None:
        self._shapes: dict[int, _Shape] = {}
        self._left = 0

    def take(self, value: Any) -> Node:
        """The node of a value; `SKIP` for code."""
        self._left = MOST_NODES
        return self._node(value, MOST_DEPTH)

    def attribute(self, value: Any, name: str) -> Any:
        """What lies under a name in an instance, unasked; `SKIP` if nothing does."""
        shape = self.shape_of(type(value))
        if shape.namespace is not None:
            found = shape.namespace(value).get(name, _MISSING)
            if found is not _MISSING:
                return found
        slot = shape.slots.get(name)
        return SKIP if slot is None else _slot_value(slot, value)

    def attributes(self, value: Any) -> list[tuple[str, Any]]:
        """Everything that lies in an instance, unasked."""
        return list(self.shape_of(type(value)).items(value))

    def shape_of(self, kind: type) -> _Shape:
        """What instances of a type are made of."""
        shape = self._shapes.get(id(kind))
        if shape is None:
            shape = self._shapes[id(kind)] = _Shape(kind)
        return shape

    def _node(self, value: Any, depth: int) -> Node:
        kind = type(value)
        self._left -= 1
        if kind is str:
            return value if len(value) <= MOST_TEXT and value.isascii() else _text(value)
        if kind is int:
            return value if value.bit_length() < 64 else _big(value)
        if value is None:
            return None
        if kind is bool:
            return ("b", int(value))
        if kind is float:
            return ("f", float.__repr__(value))
        number = id(kind)
        if number in _CODE:
            return SKIP if depth == MOST_DEPTH else ("t", kind.__name__)
        if number in _LISTS:
            return self._list(value, kind.__name__, depth)
        if kind is dict:
            return self._dict(value, "dict", depth)
        if number in _SETS:
            return self._set(value, kind.__name__, depth)
        if number in _BYTES:
            return ("y", kind.__name__, bytes(value[:_MOST_BYTES]).hex(), len(value))
        if number in _REPR_IS_SAFE:
            return ("r", kind.__name__, repr(value)[:MOST_TEXT])
        return self._object(value, kind, depth)

    def _list(self, value: Any, name: str, depth: int) -> Node:
        length = len(value)
        if not self._has_room(depth):
            return ("c", name, length)
        if length <= MOST_ITEMS:
            return ("l", name, length, tuple([self._node(item, depth - 1) for item in value]))
        first = [self._node(item, depth - 1) for item in islice(value, MOST_ITEMS - LAST_ITEMS)]
        last = [self._node(value[-index], depth - 1) for index in range(LAST_ITEMS, 0, -1)]
        return ("l", name, length, (*first, *last))

    def _set(self, value: Any, name: str, depth: int) -> Node:
        if not self._has_room(depth):
            return ("c", name, len(value))
        items = [self._node(item, depth - 1) for item in islice(tuple(value), MOST_ITEMS)]
        # The order of a set differs from process to process.
        return ("l", name, len(value), tuple(sorted(items, key=repr)))

    def _dict(self, value: dict[Any, Any], name: str, depth: int) -> Node:
        length = dict.__len__(value)
        if not self._has_room(depth):
            return ("c", name, length)
        # A copy: another thread may hold the dictionary.
        items = list(islice(dict.items(value), MOST_ITEMS))
        return (
            "d",
            name,
            length,
            tuple((self._node(key, depth - 1), self._node(item, depth - 1)) for key, item in items),
        )

    def _object(self, value: Any, kind: type, depth: int) -> Node:
        shape = self.shape_of(kind)
        if shape.is_code:
            return SKIP if depth == MOST_DEPTH else ("t", shape.name)
        if shape.is_moment:
            return _moment(value, shape)
        if shape.is_enum:
            return ("e", shape.name, _text(_member_name(shape, value)))
        if shape.plain is not None:
            # A subclass of a built-in type is shown as what it extends, under its own name.
            return self._plain(value, shape, depth)
        if not self._has_room(depth):
            return ("c", shape.name, -1)
        if shape.is_exception:
            args = self._list(_ARGS.__get__(value), "args", depth)
            return ("x", shape.name, args, self._members(value, shape, depth))
        if not shape.has_attributes:
            return ("t", shape.name)
        return ("o", shape.name, self._members(value, shape, depth))

    def _members(self, value: Any, shape: _Shape, depth: int) -> tuple[Any, ...]:
        return tuple(
            (name, self._node(item, depth - 1))
            for name, item in islice(shape.items(value), MOST_ITEMS)
        )

    def _plain(self, value: Any, shape: _Shape, depth: int) -> Node:
        if shape.plain is dict:
            return self._dict(value, shape.name, depth)
        if shape.plain is str:
            return ("p", shape.name, _text(str.__str__(value)))
        if shape.plain is int:
            number = int.__int__(value)
            return ("p", shape.name, number if number.bit_length() < 64 else _big(number))
        if shape.plain is float:
            return ("p", shape.name, ("f", float.__repr__(value)))
        if shape.plain is list:
            return self._list(list(list.__iter__(value)), shape.name, depth)
        if shape.plain is tuple:
            return self._list(tuple(tuple.__iter__(value)), shape.name, depth)
        return ("t", shape.name)

    def _has_room(self, depth: int) -> bool:
        return depth > 0 and self._left > 0


class _Shape:
    """What the instances of one type are made of."""

    __slots__ = (
        "has_attributes",
        "is_code",
        "is_enum",
        "is_exception",
        "is_moment",
        "kind",
        "name",
        "namespace",
        "plain",
        "slots",
    )

    def __init__(self, kind: type) -> None:
        bases = bases_of(kind)
        self.kind = kind
        """Held, so that its id stays its own."""
        self.name = type_name(kind)
        self.is_code = any(id(base) in _CODE for base in bases) or _is_of_sandbox(bases)
        self.is_enum = _has(bases, enum.Enum)
        self.is_exception = _has(bases, BaseException)
        self.is_moment = kind is datetime.datetime or kind is datetime.time
        plains = (dict, str, int, float, list, tuple)
        self.plain = next((plain for plain in plains if _has(bases, plain)), None)
        self.namespace = _namespace_getter(bases)
        self.slots = _slots(bases)
        self.has_attributes = self.namespace is not None or bool(self.slots)

    def items(self, value: Any) -> Iterator[tuple[str, Any]]:
        """Names and values that lie in an instance; not those that Python keeps for itself."""
        for name, slot in self.slots.items():
            if (found := _slot_value(slot, value)) is not SKIP and not _is_private(name):
                yield name, found
        if self.namespace is not None:
            # A copy: nothing may change it while it is walked.
            for name, found in tuple(self.namespace(value).items()):
                if type(name) is str and not _is_private(name):
                    yield name, found


def type_name(kind: type) -> str:
    """A class's qualified name, without asking its metaclass."""
    name: str = type.__dict__["__qualname__"].__get__(kind)
    return _clean(name[:_MOST_NAME].rpartition("<locals>.")[2])


def bases_of(kind: type) -> tuple[type, ...]:
    """A class and its bases in order, without asking its metaclass."""
    bases: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return bases


def _has(bases: tuple[type, ...], wanted: type) -> bool:
    return any(base is wanted for base in bases)


def _namespace_of(kind: type) -> Mapping[str, Any]:
    namespace: Mapping[str, Any] = type.__dict__["__dict__"].__get__(kind)
    return namespace


def _namespace_getter(bases: tuple[type, ...]) -> Callable[[Any], dict[str, Any]] | None:
    """Reads an instance's dictionary as the interpreter does; None if it has none of that kind."""
    for base in bases:
        found = _namespace_of(base).get("__dict__")
        if found is not None:
            # Anything else would be a stand-in that runs code.
            return found.__get__ if type(found) is GetSetDescriptorType else None
    return None


def _slots(bases: tuple[type, ...]) -> dict[str, MemberDescriptorType]:
    found: dict[str, MemberDescriptorType] = {}
    for base in reversed(bases):
        namespace = _namespace_of(base)
        # Members of types that are written in C are the interpreter's own matters.
        if "__slots__" in namespace:
            found |= {n: m for n, m in namespace.items() if type(m) is MemberDescriptorType}
    return found


def _slot_value(slot: MemberDescriptorType, value: Any) -> Any:
    try:
        return slot.__get__(value)
    except AttributeError:
        return SKIP


def _is_of_sandbox(bases: tuple[type, ...]) -> bool:
    """Whether it stands before a module or class that workflow code must not reach."""
    modules = (_namespace_of(base).get("__module__") for base in bases)
    return any(type(module) is str and module.startswith(_SANDBOX) for module in modules)


def _is_private(name: str) -> bool:
    return name.startswith("__")


def _member_name(shape: _Shape, value: Any) -> str:
    namespace = shape.namespace(value) if shape.namespace is not None else {}
    name = namespace.get("_name_")
    return name if type(name) is str else ""


def _moment(value: Any, shape: _Shape) -> Node:
    if id(type(value.tzinfo)) not in _SAFE_ZONES:
        return ("t", shape.name)
    return ("r", shape.name, value.isoformat())


def _text(value: str) -> Node:
    if len(value) <= MOST_TEXT:
        return value if value.isascii() else _clean(value)
    return ("s", _clean(value[:MOST_TEXT]), len(value))


def _clean(text: str) -> str:
    """The text with what UTF-8 cannot say, lone surrogates, escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _big(value: int) -> Node:
    bits = value.bit_length()
    return ("i", str(value), bits) if bits <= _MOST_BITS else ("i", "", bits)
