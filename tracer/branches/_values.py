"""What names stood for, told without running anybody's code.

A property, a `__repr__`, a metaclass or a lazy proxy could do anything, raise anything, or take for
ever; and a decision may not depend on being watched. So only what the interpreter itself knows is
read: variables, attributes that lie in an instance's dictionary or slots, and values of built-in
types. Everything else is told by its type. Classes are compared by identity, because `==`, `in`,
`hash` and `isinstance` ask the metaclass or the object.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import inspect
from collections.abc import Mapping
from types import (
    BuiltinFunctionType,
    FrameType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final
from uuid import UUID

_MOST_TEXT: Final = 100
_MOST_BITS: Final = 256
_MISSING: Final = object()
_PLAIN: Final = frozenset(
    id(kind)
    for kind in (
        type(None),
        bool,
        float,
        complex,
        datetime.timedelta,
        datetime.date,
        decimal.Decimal,
        UUID,
    )
)
"""Types whose `repr` runs no other type's code."""
_SIZED: Final = frozenset(
    id(kind) for kind in (list, tuple, dict, set, frozenset, bytes, bytearray)
)
_CODE: Final = frozenset(
    id(kind) for kind in (FunctionType, BuiltinFunctionType, MethodType, ModuleType)
)


def values_of(names: tuple[str, ...], frame: FrameType) -> tuple[tuple[str, str], ...]:
    """What the names of a condition stand for in a frame; those that cannot be told are left out.

    Args:
        names: Plain or dotted names: `limit`, `self.order.total`.
        frame: The frame that evaluated the condition.
    """
    found: list[tuple[str, str]] = []
    variables = frame.f_locals
    for name in names:
        value = _look_up(name, variables, frame.f_globals)
        if value is not _MISSING and not _is_code(type(value)):
            found.append((name, safe_repr(value)))
    return tuple(found)


def safe_repr(value: Any) -> str:
    """A short text for a value, made without running code of the value's class.

    Examples: `None`, `12`, `'abc'`, `list[3]`, `Colour.RED`, `Order`.
    """
    kind = type(value)
    if kind is str:
        return repr(value) if len(value) <= _MOST_TEXT else repr(value[:_MOST_TEXT]) + "…"
    if kind is int:
        return repr(value) if value.bit_length() <= _MOST_BITS else "int"
    if id(kind) in _PLAIN:
        return repr(value)[:_MOST_TEXT]
    if id(kind) in _SIZED:
        return f"{kind.__name__}[{len(value)}]"
    return _member_name(value, kind) or _type_name(kind)


def _member_name(value: Any, kind: type) -> str:
    if all(base is not enum.Enum for base in _bases_of(kind)):
        return ""
    name = _static_attribute(value, "_name_")
    return f"{_type_name(kind)}.{name}" if type(name) is str else ""


def _look_up(name: str, variables: Mapping[str, Any], module: Mapping[str, Any]) -> Any:
    first, *attributes = name.split(".")
    value = variables.get(first, _MISSING)
    if value is _MISSING:
        value = module.get(first, _MISSING)
    for attribute in attributes:
        if value is _MISSING:
            return _MISSING
        value = _static_attribute(value, attribute)
    return value


def _static_attribute(value: Any, name: str) -> Any:
    found = inspect.getattr_static(value, name, _MISSING)
    if type(found) is MemberDescriptorType:
        try:
            return found.__get__(value)
        except AttributeError:
            return _MISSING
    # A property, or another descriptor that would have to be run.
    is_descriptor = any("__get__" in _namespace_of(base) for base in _bases_of(type(found)))
    return _MISSING if is_descriptor else found


def _is_code(kind: type) -> bool:
    return id(kind) in _CODE or any(base is type for base in _bases_of(kind))


def _type_name(kind: type) -> str:
    name: str = type.__dict__["__qualname__"].__get__(kind)
    return name[:_MOST_TEXT]


def _bases_of(kind: type) -> tuple[type, ...]:
    bases: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return bases


def _namespace_of(kind: type) -> Mapping[str, Any]:
    namespace: Mapping[str, Any] = type.__dict__["__dict__"].__get__(kind)
    return namespace
