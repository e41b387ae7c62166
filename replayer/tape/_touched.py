"""Which names a line touches: what it reads and writes, as its bytecode names them.

`self.total += 1` touches the attribute `total` of `self`, not all of `self`: a line's values are
then few, and a mutation such as `self.x.append(1)` is seen on the line that makes it.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from types import CodeType
from typing import Final

_ATTRIBUTES: Final = frozenset({"LOAD_ATTR", "STORE_ATTR", "DELETE_ATTR", "LOAD_METHOD"})
_GLOBALS: Final = frozenset({"LOAD_GLOBAL", "STORE_GLOBAL", "LOAD_NAME", "DELETE_GLOBAL"})
_PASSED_OVER: Final = frozenset({"COPY", "CACHE", "EXTENDED_ARG", "NOP"})
_SELF: Final = "self"


@dataclass(frozen=True, slots=True)
class Touched:
    """The names of one line."""

    variables: tuple[str, ...] = ()
    """Locals and free variables, but for `self`."""
    has_self: bool = False
    attributes: tuple[str, ...] = ()
    """Of `self`."""
    globals: tuple[str, ...] = ()

    def without(self, other: Touched) -> Touched:
        """What this has and the other has not."""
        return Touched(
            _minus(self.variables, other.variables),
            self.has_self and not other.has_self,
            _minus(self.attributes, other.attributes),
            _minus(self.globals, other.globals),
        )


NOTHING: Final = Touched()


def arguments_of(code: CodeType) -> Touched:
    """The names that a call gives values to."""
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return _touched(code.co_varnames[:count])


def touched_by_line(code: CodeType) -> dict[int, Touched]:
    """For each line of a code object, the names that it touches."""
    found: dict[int, tuple[dict[str, None], dict[str, None], dict[str, None]]] = {}
    scope = frozenset((*code.co_varnames, *code.co_cellvars, *code.co_freevars))
    last, last_line = "", code.co_firstlineno
    for instruction in dis.get_instructions(code):
        positions = instruction.positions
        # What the compiler adds has no line: `except … as error` deletes `error` after its body.
        last_line = line = (positions.lineno if positions else None) or last_line
        name = instruction.opname
        if name in _PASSED_OVER:
            continue
        variables, attributes, module = found.setdefault(line, ({}, {}, {}))
        loaded = ""
        if name in _ATTRIBUTES:
            if last == _SELF:
                attributes[str(instruction.argval)] = None
        elif name in _GLOBALS:
            module[str(instruction.argval)] = None
        elif instruction.opcode in dis.haslocal or instruction.opcode in dis.hasfree:
            names = _names(instruction.argval)
            variables.update(dict.fromkeys(name for name in names if name in scope))
            loaded = names[-1] if names else ""
        last = loaded
    return {
        line: _touched(variables, tuple(attributes), tuple(module))
        for line, (variables, attributes, module) in found.items()
    }


def _touched(
    variables: Iterable[str], attributes: tuple[str, ...] = (), module: tuple[str, ...] = ()
) -> Touched:
    names = [*_visible(variables)]
    others = tuple(name for name in names if name != _SELF)
    return Touched(others, _SELF in names, attributes, module)


def _names(argument: object) -> tuple[str, ...]:
    if isinstance(argument, str):
        return (argument,)
    # Two loads may be fused into one instruction.
    if isinstance(argument, tuple):
        return tuple(each for each in argument if isinstance(each, str))
    return ()


def _visible(names: Iterable[str]) -> tuple[str, ...]:
    """Without what the compiler made up, such as `.0`, and the class cell."""
    return tuple(name for name in names if name.isidentifier() and name != "__class__")


def _minus(names: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in others)
