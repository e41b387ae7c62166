"""What happens in one run, noted event by event while its activations run.

It is called for every line of workflow code, on the workflow's thread, inside the sandbox. So it
imports nothing late, runs no code of the workflow, and does little: a snapshot is taken of the
names that a line touches, and kept if it differs from the last one.

Effects of a line are seen at the next event of its frame: a variable's change is noted there, with
the line that ran in between as its cause. Attributes of `self` belong to the object, whichever
frame touches them, so that a handler's change is seen by the coroutine that waits for it.
"""

from __future__ import annotations

import inspect
import weakref
from asyncio import current_task
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Final

from replayer.tape._chunks import NO_FRAME, NO_SITE, Chunk, Keyframe, Tables
from replayer.tape._snapshots import ATOMS, SKIP, Node, Snapshots, type_name
from replayer.tape._touched import NOTHING, Touched, arguments_of, touched_by_line
from replayer.tape.words import CoroutineKind, Kind

__all__ = ["NO_CAUSE", "Recorder"]

NO_CAUSE: Final = -1
GONE: Final[Node] = ("gone",)
"""What a name stands for that was deleted."""

CHUNK_POSITIONS: Final = 1024
"""Positions from one keyframe to the next: what a reader walks through at most."""
MOST_POSITIONS: Final = 5_000_000

_MOST_CHANGED: Final = 1000
_MISSING: Final = object()
_NOT_HELD: Final = object()
_WRAPPED_VALUE: Final = "async_generator_wrapped_value"
_LOOPING: Final = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


class _Variable:
    __slots__ = ("at", "cause", "held", "node")

    def __init__(self, node: Node, held: Any, at: int, cause: int) -> None:
        self.node = node
        self.held = held
        """The object itself, if it cannot change."""
        self.at = at
        self.cause = cause


class _Scope:
    """Names and what they stand for: of a frame, an object or a module."""

    __slots__ = ("number", "variables")

    def __init__(self, number: int) -> None:
        self.number = number
        self.variables: dict[str, _Variable] = {}


class _Object(_Scope):
    __slots__ = ("reference",)

    def __init__(self, number: int, reference: Callable[[], Any]) -> None:
        super().__init__(number)
        self.reference = reference


class _Frame(_Scope):
    """One call."""

    __slots__ = (
        "code",
        "coroutine",
        "is_thrown",
        "line_at",
        "owner",
        "self_value",
        "site",
        "touched",
    )

    def __init__(self, number: int, code: _Code, coroutine: int) -> None:
        super().__init__(number * 3)
        self.code = code
        self.coroutine = coroutine
        self.line_at = 0
        """The position of its last line."""
        self.site = NO_SITE
        """That line."""
        self.touched = NOTHING
        """By that line."""
        self.is_thrown = False
        """An exception came in since that line began."""
        self.self_value: Any = _MISSING
        self.owner: _Object | None = None
        """The scope of `self`."""

    @property
    def index(self) -> int:
        return self.number // 3


class _Code:
    """What is known of one code object."""

    __slots__ = ("arguments", "code", "is_looping", "number", "pairs", "shown", "sites", "touched")

    def __init__(self, code: CodeType, number: int) -> None:
        self.code = code
        """Held, so that its id stays its own."""
        self.number = number
        self.touched = touched_by_line(code)
        self.arguments = arguments_of(code)
        self.sites: dict[int, int] = {}
        self.pairs: dict[tuple[int, int], Touched] = {}
        self.is_looping = bool(code.co_flags & _LOOPING)


class Recorder:
    """Notes one run. Give it the events of workflow code, between the ends of activations."""

    def __init__(
        self,
        tables: Tables,
        write: Callable[[Chunk], None],
        workflow: type,
        most_positions: int = MOST_POSITIONS,
    ) -> None:
        """Begin at position 0.

        Args:
            tables: Gets what positions refer to by number.
            write: Takes chunks as they are full.
            workflow: The class, or what stands for it outside the sandbox.
            most_positions: Where the tape is full.
        """
        self.tables = tables
        self.is_full = False
        self.activation_first = 0
        self.issued_at: list[tuple[int, int | None]] = []
        """For each command of this activation, the position of the line that asked for it, and the
        coroutine; None where the SDK asked."""
        self.resumed: dict[int, int] = {}
        """By coroutine, the position at which it first ran in this activation."""
        self._write = write
        self._workflow_name = type_name(workflow)
        self._workflow_module = workflow.__module__
        self._most = most_positions
        self._snapshots = Snapshots()
        self._codes: dict[int, _Code] = {}
        self._live: dict[int, _Frame] = {}
        """Frames that are not over, by the id of their frame object."""
        self._running: list[_Frame] = []
        self._tasks: dict[int, tuple[Callable[[], Any], int]] = {}
        self._others: dict[CoroutineKind, int] = {}
        self._objects: dict[int, _Object] = {}
        self._dead_objects: list[int] = []
        self._changed: dict[int, tuple[Any, int]] = {}
        """Objects that changed in this activation, by their id, with the line that did it."""
        self._workflow: _Object | None = None
        self._modules: dict[int, _Scope] = {}
        self._chunk = Chunk(0, Keyframe(), CHUNK_POSITIONS)

    @property
    def position(self) -> int:
        """The position that was noted last."""
        return self._chunk.first + len(self._chunk.kinds) - 1

    @property
    def line_position(self) -> int:
        """The position of the line that runs."""
        return self._running[-1].line_at if self._running else self.position

    # -- activations ---------------------------------------------------------------------------

    def activation_begins(self) -> None:
        """Workflow code is about to run."""
        self._running.clear()
        self.issued_at = []
        self.resumed = {}
        self.activation_first = self._append(Kind.ACTIVATION, NO_SITE, NO_FRAME)

    def activation_ends(self) -> int:
        """Workflow code has run: look at the whole workflow object, by whatever name it changed.

        Returns:
            The position.
        """
        self._running.clear()
        position = self._append(Kind.COMMANDS, NO_SITE, NO_FRAME)
        self._look_at_workflow(position)
        self._changed.clear()
        return position

    def _look_at_workflow(self, position: int) -> None:
        owner = self._workflow
        found = owner.reference() if owner else None
        if owner is not None and found is not None and not self.is_full:
            present = dict(self._snapshots.attributes(found))
            for name, value in present.items():
                self._note(owner, name, value, position, NO_CAUSE)
            if len(owner.variables) > len(present):
                self._note_deleted(owner, found, present, position)

    def _note_deleted(
        self, owner: _Object, found: Any, present: dict[str, Any], position: int
    ) -> None:
        for name in [name for name in owner.variables if name not in present]:
            if self._snapshots.attribute(found, name) is SKIP:
                self._note(owner, name, _MISSING, position, NO_CAUSE)

    def command_issued(self) -> None:
        """The SDK took in a command."""
        if self._running:
            self.issued_at.append((self.line_position, self._running[-1].coroutine))
        else:
            self.issued_at.append((self.position, None))

    def flush(self) -> None:
        """Write what there is."""
        if self._chunk.kinds:
            self._cut()

    # -- events of workflow code ---------------------------------------------------------------

    def call(self, code: CodeType, frame: FrameType) -> None:
        """A function begins."""
        known = self._code(code)
        running = self._running
        coroutine = self._coroutine(code, frame)
        parent = running[-1] if running and running[-1].coroutine == coroutine else None
        if (old := self._live.get(id(frame))) is not None:
            self._append(Kind.GONE, NO_SITE, old.index)
        number = self.tables.add_frame(
            known.number, coroutine, NO_FRAME if parent is None else parent.index
        )
        entered = self._live[id(frame)] = _Frame(number, known, coroutine)
        running.append(entered)
        entered.line_at = position = self._append(
            Kind.CALL, self._site(known, code.co_firstlineno), number
        )
        self.resumed.setdefault(coroutine, position)
        cause = parent.line_at if parent is not None else NO_CAUSE
        self._look(entered, frame, known.arguments, position, cause)

    def line(self, code: CodeType, number: int, frame: FrameType) -> None:
        """A line is about to run."""
        entered = self._live.get(id(frame))
        if entered is None or entered.code.code is not code:
            # It began before anybody looked.
            self.call(code, frame)
            entered = self._live[id(frame)]
        known = entered.code
        site = known.sites.get(number)
        if site is None:
            site = self._site(known, number)
        if entered.is_thrown:
            entered.is_thrown = False
            if entered.site == site:
                # An `await` that ends with an exception is told of as the same line once more.
                return
        position = self._append(Kind.LINE, site, entered.index)
        before = entered.touched
        touched = known.touched.get(number, NOTHING)
        if before is not NOTHING:
            self._look(entered, frame, before, position, entered.line_at)
        if touched is not before:
            pair = (id(before), number)
            reads = known.pairs.get(pair)
            if reads is None:
                reads = known.pairs[pair] = touched.without(before)
            if reads is not NOTHING:
                self._look(entered, frame, reads, position, NO_CAUSE)
        entered.touched = touched
        entered.line_at = position
        entered.site = site

    def returned(self, frame: FrameType, value: Any) -> None:
        """A function returns."""
        entered = self._left(frame, Kind.RETURN, value)
        if entered is not None:
            self._drop(frame, entered)

    def unwound(self, frame: FrameType, error: BaseException) -> None:
        """An exception ends a function."""
        entered = self._left(frame, Kind.UNWIND, error)
        if entered is not None:
            self._drop(frame, entered)

    def paused(self, frame: FrameType, value: Any) -> None:
        """A coroutine awaits, or a generator hands over a value."""
        entered = self._live.get(id(frame))
        if entered is None:
            return
        if entered.code.is_looping and (
            not frame.f_code.co_flags & inspect.CO_ASYNC_GENERATOR
            or type_name(type(value)) == _WRAPPED_VALUE
        ):
            is_wrapped = bool(frame.f_code.co_flags & inspect.CO_ASYNC_GENERATOR)
            self._left(frame, Kind.YIELD, _MISSING if is_wrapped else value)
        else:
            self._left(frame, Kind.AWAIT, _MISSING)
        self._stop_running(entered)

    def resumed_at(self, frame: FrameType, error: BaseException | None) -> None:
        """A coroutine or generator goes on, maybe with an exception."""
        entered = self._live.get(id(frame))
        if entered is None:
            return
        entered.is_thrown = error is not None
        position = self._append(Kind.RESUME, self._site_of(entered, frame), entered.index)
        self._stop_running(entered)
        self._running.append(entered)
        self.resumed.setdefault(entered.coroutine, position)

    def raised(self, frame: FrameType, error: BaseException) -> None:
        """An exception arrives in a frame."""
        entered = self._live.get(id(frame))
        if entered is None or type(error) is StopIteration:
            return
        entered.is_thrown = True
        position = self._append(Kind.EXCEPTION, self._site_of(entered, frame), entered.index)
        self._subject(position, error)
        self._look(entered, frame, entered.touched, position, entered.line_at)

    # -- inside --------------------------------------------------------------------------------

    def _append(self, kind: Kind, site: int, frame: int) -> int:
        chunk = self._chunk
        if len(chunk.kinds) >= chunk.most:
            self._cut()
            chunk = self._chunk
        position = chunk.first + len(chunk.kinds)
        if position >= self._most:
            self.is_full = True
        chunk.kinds.append(kind)
        chunk.sites.append(site)
        chunk.frames.append(frame)
        return position

    def _left(self, frame: FrameType, kind: Kind, value: Any) -> _Frame | None:
        entered = self._live.get(id(frame))
        if entered is None:
            return None
        position = self._append(kind, self._site_of(entered, frame), entered.index)
        self._look(entered, frame, entered.touched, position, entered.line_at)
        if value is not _MISSING:
            self._subject(position, value)
        return entered

    def _drop(self, frame: FrameType, entered: _Frame) -> None:
        self._live.pop(id(frame), None)
        self._stop_running(entered)

    def _stop_running(self, entered: _Frame) -> None:
        running = self._running
        if entered in running:
            del running[running.index(entered) :]

    def _look(
        self, entered: _Frame, frame: FrameType, touched: Touched, position: int, cause: int
    ) -> None:
        """Note what the touched names stand for now."""
        if touched.has_self and entered.self_value is _MISSING:
            self._note_self(entered, frame.f_locals.get("self", _MISSING), position)
        if touched.variables:
            variables, own = frame.f_locals, entered.variables
            for name in touched.variables:
                value = variables.get(name, _MISSING)
                known = own.get(name)
                if known is None or known.held is not value:
                    self._note(entered, name, value, position, cause)
        if touched.attributes and entered.owner is not None:
            take = self._snapshots.attribute
            for name in touched.attributes:
                value = take(entered.self_value, name)
                value = _MISSING if value is SKIP else value
                self._note(entered.owner, name, value, position, cause)
        if touched.globals:
            module = self._module(frame)
            for name in touched.globals:
                value = frame.f_globals.get(name, _MISSING)
                if value is not _MISSING:
                    self._note(module, name, value, position, cause)

    def _note(self, scope: _Scope, name: str, value: Any, position: int, cause: int) -> None:
        known = scope.variables.get(name)
        if known is not None and known.held is value:
            return
        if value is _MISSING:
            if known is not None:
                del scope.variables[name]
                self._chunk.changes.append((position, scope.number, name, GONE, cause))
            return
        node = self._snapshots.take(value)
        if node is SKIP:
            if known is None:
                return
            node = ("t", type_name(type(value)))
        is_atom = id(type(value)) in ATOMS
        held = value if is_atom else _NOT_HELD
        if known is None:
            scope.variables[name] = _Variable(node, held, position, cause)
        elif known.node == node:
            known.held = held
            return
        else:
            if not is_atom:
                cause = self._cause_of(value, cause)
            known.node, known.held, known.at, known.cause = node, held, position, cause
        self._chunk.changes.append((position, scope.number, name, node, cause))

    def _cause_of(self, value: Any, cause: int) -> int:
        """Who changed an object: told by whatever name it was changed, for whatever name it has."""
        if cause == NO_CAUSE:
            return self._changed.get(id(value), (None, NO_CAUSE))[1]
        if len(self._changed) < _MOST_CHANGED:
            # The object is held, so that its id stays its own.
            self._changed[id(value)] = value, cause
        return cause

    def _note_self(self, entered: _Frame, value: Any, position: int) -> None:
        if value is _MISSING:
            return
        entered.self_value = value
        if not self._snapshots.shape_of(type(value)).has_attributes:
            entered.owner = None
            self._note(entered, "self", value, position, NO_CAUSE)
            return
        entered.owner = owner = self._owner(value)
        node: Node = ("@", owner.number // 3, type_name(type(value)))
        entered.variables["self"] = _Variable(node, _NOT_HELD, position, NO_CAUSE)
        self._chunk.changes.append((position, entered.number, "self", node, NO_CAUSE))

    def _owner(self, value: Any) -> _Object:
        known = self._objects.get(id(value))
        if known is not None and known.reference() is value:
            return known
        for number in self._dead_objects:
            self._objects.pop(number, None)
        self._dead_objects.clear()
        name = type_name(type(value))
        is_workflow = self._workflow is None and self._is_workflow(type(value), name)
        number = self.tables.add_object(name, is_workflow) * 3 + 1
        made = self._objects[id(value)] = _Object(number, self._reference(value))
        if is_workflow:
            self._workflow = made
        return made

    def _is_workflow(self, kind: type, name: str) -> bool:
        # The sandbox imports the class anew: it is another class of the same name.
        module = type.__dict__["__dict__"].__get__(kind).get("__module__")
        return name == self._workflow_name and module == self._workflow_module

    def _reference(self, value: Any) -> Callable[[], Any]:
        number, dead = id(value), self._dead_objects
        try:
            return weakref.ref(value, lambda _: dead.append(number))
        except TypeError:
            return lambda: value

    def _module(self, frame: FrameType) -> _Scope:
        module = self._modules.get(id(frame.f_globals))
        if module is None:
            number = self.tables.file_number(frame.f_code.co_filename)
            module = self._modules[id(frame.f_globals)] = _Scope(number * 3 + 2)
        return module

    def _subject(self, position: int, value: Any) -> None:
        node = self._snapshots.take(value)
        self._chunk.subjects.append(
            (position, ("t", type_name(type(value))) if node is SKIP else node)
        )

    def _code(self, code: CodeType) -> _Code:
        known = self._codes.get(id(code))
        if known is None:
            number = self.tables.add_code(code.co_filename, code.co_qualname, code.co_firstlineno)
            known = self._codes[id(code)] = _Code(code, number)
        return known

    def _site(self, known: _Code, line: int) -> int:
        site = known.sites.get(line)
        if site is None:
            site = known.sites[line] = self.tables.add_site(known.number, line)
        return site

    def _site_of(self, entered: _Frame, frame: FrameType) -> int:
        return self._site(entered.code, frame.f_lineno or entered.code.code.co_firstlineno)

    def _coroutine(self, code: CodeType, frame: FrameType) -> int:
        try:
            task = current_task()
        except RuntimeError:
            # No event loop runs: the SDK reads a payload.
            return self._other(CoroutineKind.SDK)
        if task is None:
            if self._running:
                return self._running[-1].coroutine
            is_init = code.co_name == "__init__" and self._workflow is None
            return self._other(CoroutineKind.INIT if is_init else CoroutineKind.CONDITION)
        known = self._tasks.get(id(task))
        if known is not None and known[0]() is task:
            return known[1]
        kind, name = _kind_of(task.get_name(), code)
        number = self.tables.add_coroutine(kind, name, self.position + 1)
        self._tasks[id(task)] = (weakref.ref(task), number)
        return number

    def _other(self, kind: CoroutineKind) -> int:
        number = self._others.get(kind)
        if number is None:
            number = self._others[kind] = self.tables.add_coroutine(kind, "", self.position + 1)
        return number

    # -- chunks --------------------------------------------------------------------------------

    def _cut(self) -> None:
        """Hand the chunk over and begin the next with all that is known."""
        chunk = self._chunk
        self._write(chunk)
        keyframe = self._keyframe()
        # With much to repeat at each keyframe there are fewer of them.
        most = max(CHUNK_POSITIONS, len(keyframe.variables) // 2)
        self._chunk = Chunk(chunk.first + len(chunk.kinds), keyframe, most)

    def _keyframe(self) -> Keyframe:
        keyframe = Keyframe()
        for entered in self._live.values():
            keyframe.frames.append((entered.index, entered.line_at))
        scopes: list[_Scope] = [*self._live.values(), *self._modules.values()]
        scopes += [owner for owner in self._objects.values() if owner.reference() is not None]
        for scope in scopes:
            keyframe.variables += [
                (scope.number, name, variable.node, variable.at, variable.cause)
                for name, variable in scope.variables.items()
            ]
        return keyframe


def _kind_of(task_name: str, code: CodeType) -> tuple[CoroutineKind, str]:
    """What a task is, by the names that the SDK gives to its own: `run (workflow: …)`."""
    task_name = task_name.partition(" (workflow: ")[0]
    if task_name == "run":
        return CoroutineKind.MAIN, code.co_qualname
    for kind in (CoroutineKind.SIGNAL, CoroutineKind.UPDATE):
        if task_name.startswith(f"{kind}: "):
            return kind, task_name.partition(": ")[2]
    return CoroutineKind.TASK, code.co_qualname
