"""What is known at a position: the chunk's keyframe with its changes on top.

The state is a function of the position alone, whichever way one came to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from replayer.tape._chunks import NO_FRAME, NO_SITE, Values
from replayer.tape._load import Loaded
from replayer.tape.words import FrameState, Kind, Variable

__all__ = ["Known", "State", "state_at"]

_GONE: Final = "gone"
_ENDS: Final = (Kind.RETURN, Kind.UNWIND)


class Known(NamedTuple):
    """What a name stands for."""

    node: Any
    at: int
    cause: int


class State:
    """Everything that is known at a position."""

    def __init__(
        self,
        loaded: Loaded,
        position: int,
        lines: dict[int, int],
        scopes: dict[int, dict[str, Known]],
    ) -> None:
        self.position = position
        self._loaded = loaded
        self._lines = lines
        """Frames that are not over, with the position of their last line."""
        self._scopes = scopes

    @property
    def stack(self) -> tuple[FrameState, ...]:
        """Of the coroutine that the position is in, outermost first; empty between activations."""
        frame = self._loaded.frames[self.position]
        if frame == NO_FRAME:
            return ()
        return tuple(self._frame_state(number) for number in reversed([*self._callers(frame)]))

    @property
    def coroutines(self) -> tuple[int, ...]:
        """The coroutines that are not over, by number."""
        belongs = self._loaded.tables.frame_coroutines
        return tuple(sorted({belongs[frame] for frame in self._lines}))

    def stack_of(self, coroutine: int) -> tuple[FrameState, ...]:
        """The stack of a coroutine, outermost first; empty if it is over or has not begun."""
        belongs = self._loaded.tables.frame_coroutines
        frames = [frame for frame in self._lines if belongs[frame] == coroutine]
        return tuple(self._frame_state(number) for number in sorted(frames))

    @property
    def workflow(self) -> tuple[Variable, ...]:
        """The attributes of the workflow's object, as `self.…`."""
        objects = self._loaded.tables.objects
        number = next((number for number, row in enumerate(objects) if row[1]), None)
        return () if number is None else tuple(self._attributes(number))

    def find(self, name: str, frame: int | None = None) -> tuple[int, Known] | None:
        """The scope of a name and what it stands for; in the innermost frame, unless told."""
        frame = self._loaded.frames[self.position] if frame is None else frame
        scopes = [] if frame == NO_FRAME else [frame * 3, self._module(frame)]
        if name.startswith("self."):
            scopes = self._owners(frame)
            name = name.removeprefix("self.")
        for scope in scopes:
            known = self._scopes.get(scope, {}).get(name)
            if known is not None:
                return scope, known
        return None

    def known(self, scope: int, name: str) -> Known | None:
        """What a name stands for in a scope."""
        return self._scopes.get(scope, {}).get(name)

    def _owners(self, frame: int) -> list[int]:
        if frame != NO_FRAME:
            owner = _owner(self._scopes.get(frame * 3, {}))
            return [] if owner is None else [owner * 3 + 1]
        objects = self._loaded.tables.objects
        return [number * 3 + 1 for number, row in enumerate(objects) if row[1]]

    def _module(self, frame: int) -> int:
        tables = self._loaded.tables
        file: int = tables.codes[tables.frame_codes[frame]][0]
        return file * 3 + 2

    def _callers(self, frame: int) -> Iterator[int]:
        """The frame, and those that wait for it."""
        parents = self._loaded.tables.frame_parents
        while frame != NO_FRAME:
            yield frame
            frame = parents[frame]

    def _frame_state(self, frame: int) -> FrameState:
        tables = self._loaded.tables
        code = tables.codes[tables.frame_codes[frame]]
        at = self._lines.get(frame, self.position)
        site = self._loaded.sites[at]
        return FrameState(
            frame,
            function=code[1],
            file=tables.files[code[0]][0],
            line=code[2] if site == NO_SITE else tables.sites[site][1],
            line_position=at,
            coroutine=tables.frame_coroutines[frame],
            variables=tuple(self._variables(frame)),
        )

    def _variables(self, frame: int) -> Iterator[Variable]:
        own = self._scopes.get(frame * 3, {})
        for name, known in own.items():
            yield _variable(name, known)
        owner = _owner(own)
        if owner is not None:
            yield from self._attributes(owner)
        for name, known in self._scopes.get(self._module(frame), {}).items():
            yield _variable(name, known)

    def _attributes(self, owner: int) -> Iterator[Variable]:
        for name, known in self._scopes.get(owner * 3 + 1, {}).items():
            yield _variable(f"self.{name}", known)


def state_at(loaded: Loaded, values: Values, first: int, position: int) -> State:
    """The state at a position of a chunk.

    Args:
        loaded: The tape.
        values: The chunk's.
        first: The chunk's first position.
        position: Within the chunk.

    Raises:
        ValueError, TypeError, IndexError: The chunk is damaged.
    """
    lines = {row[0]: row[1] for row in values.frames}
    scopes: dict[int, dict[str, Known]] = {}
    names, nodes = values.names, values.values
    for scope, name, node, at, cause in values.variables:
        scopes.setdefault(scope, {})[names[name]] = Known(nodes[node], at, cause)
    last = position - first
    for relative, scope, name, node, cause in values.changes:
        if relative > last:
            break
        known = Known(nodes[node], first + relative, cause)
        if isinstance(known.node, list) and known.node[:1] == [_GONE]:
            scopes.get(scope, {}).pop(names[name], None)
        else:
            scopes.setdefault(scope, {})[names[name]] = known
    for frame in _walk(loaded, lines, first, position):
        lines.pop(frame, None)
        scopes.pop(frame * 3, None)
    _check(loaded, lines)
    return State(loaded, position, lines, scopes)


def _walk(loaded: Loaded, lines: dict[int, int], first: int, position: int) -> list[int]:
    """Move frames on to where they are; those that are over."""
    kinds, frames = loaded.kinds, loaded.frames
    over: list[int] = []
    for at in range(first, position + 1):
        kind = kinds[at]
        if kind in (Kind.LINE, Kind.CALL):
            lines[frames[at]] = at
        elif kind == Kind.GONE or (kind in _ENDS and at < position):
            over.append(frames[at])
    return over


def _check(loaded: Loaded, lines: dict[int, int]) -> None:
    count, positions = len(loaded.tables.frame_codes), len(loaded.kinds)
    if any(not 0 <= frame < count or not 0 <= at < positions for frame, at in lines.items()):
        raise ValueError("a frame leads nowhere")


def _owner(variables: dict[str, Known]) -> int | None:
    found = variables.get("self")
    match found:
        case Known(node=["@", int() as number, _]):
            return number
        case _:
            return None


def _variable(name: str, known: Known) -> Variable:
    return Variable(name, known.node, known.at, known.cause if known.cause >= 0 else None)
