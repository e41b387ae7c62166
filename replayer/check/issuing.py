"""Where workflow code asks for something: the Python stack at each command.

A command is seen at the activation boundary only after the code that asked for it went on. So the
SDK's own function that makes commands is watched with `sys.monitoring`, which changes nothing for
the code and works in the sandbox, too: the sandbox shares the SDK's modules with the host. Python
keeps the frames of all coroutines that await each other on one stack, so that the stack leads from
the workflow's method to the call. What a run returned from is seen where its method returns.

Without the SDK's function, or when other tools took all ids, there are no stacks and nothing else
changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

import temporalio
import temporalio.worker._workflow_instance as sdk

from replayer.check.model import Frame

__all__ = ["IssueWatch", "frames_of_text", "readable", "waiting_stacks"]

type Place = tuple[str, int, str]
"""File, line and function."""

_TOOL_IDS = (4, 3, 5)
_NAME = "retrospan check"
_SDK = str(Path(temporalio.__file__).parent) + os.sep
_OURS = str(Path(__file__).parent.parent) + os.sep
_STDLIB = str(Path(sysconfig.get_paths()["stdlib"])) + os.sep
_DEPTH = 64
_EVENTS = sys.monitoring.events


class IssueWatch:
    """Notes a stack for each command while it is entered; one at a time in a process."""

    def __init__(self) -> None:
        self.instance: Any = None
        """The SDK's workflow instance, once it made a command or began an activation."""
        self._tool: int | None = None
        self._places: dict[int, tuple[Place, ...]] = {}
        self._returned: tuple[Place, ...] = ()
        self._watched: list[CodeType] = []

    def __enter__(self) -> IssueWatch:
        adder = getattr(sdk._WorkflowInstanceImpl, "_add_command", None)
        activator = getattr(sdk._WorkflowInstanceImpl, "activate", None)
        self._tool = next((id for id in _TOOL_IDS if sys.monitoring.get_tool(id) is None), None)
        if adder is None or activator is None or self._tool is None:
            self._tool = None
            return self
        sys.monitoring.use_tool_id(self._tool, _NAME)
        self._adder, self._activator = adder.__code__, activator.__code__
        sys.monitoring.register_callback(self._tool, _EVENTS.PY_START, self._started)
        sys.monitoring.register_callback(self._tool, _EVENTS.PY_RETURN, self._ended)
        for code in (self._adder, self._activator):
            self._watch(code, _EVENTS.PY_START)
        return self

    def __exit__(self, *_: object) -> None:
        if self._tool is None:
            return
        for code in self._watched:
            sys.monitoring.set_local_events(self._tool, code, 0)
        for event in (_EVENTS.PY_START, _EVENTS.PY_RETURN):
            sys.monitoring.register_callback(self._tool, event, None)
        sys.monitoring.free_tool_id(self._tool)
        self._tool = None

    def begin(self) -> None:
        """Forget the stacks of the last activation. In the thread that runs the next one."""
        self._places.clear()
        # Of this thread only. A coroutine then knows where it was made.
        sys.set_coroutine_origin_tracking_depth(_DEPTH if self._tool is not None else 0)

    def finish(self) -> None:
        """Leave the thread as it was."""
        sys.set_coroutine_origin_tracking_depth(0)

    def stack_of(self, index: int) -> tuple[Place, ...]:
        """Of the command with this index in the last completion; outermost first."""
        return self._places.get(index, ())

    def _watch(self, code: CodeType, events: int) -> None:
        assert self._tool is not None
        sys.monitoring.set_local_events(self._tool, code, events)
        self._watched.append(code)

    def _started(self, code: CodeType, _offset: int) -> None:
        # An exception here would be raised in the workflow's code; a missing stack is no harm.
        with contextlib.suppress(Exception):
            self._note(code, sys._getframe(1))

    def _note(self, code: CodeType, frame: FrameType) -> None:
        instance = frame.f_locals.get("self")
        if code is self._activator:
            self._take(instance)
        elif code is self._adder and instance is not None:
            index = len(instance._current_completion.successful.commands)
            stack = _origin(instance) + _stack(frame)
            self._places[index] = stack or _raised(frame) or self._returned

    def _take(self, instance: Any) -> None:
        """Know the instance, and watch where its run method returns."""
        if instance is None or instance is self.instance:
            return
        self.instance = instance
        function = getattr(getattr(instance, "_defn", None), "run_fn", None)
        code = getattr(function, "__code__", None)
        if code is not None:
            self._watch(code, _EVENTS.PY_RETURN)

    def _ended(self, code: CodeType, offset: int, _value: object) -> None:
        for start, end, line in code.co_lines():
            if start <= offset < end and line:
                self._returned = ((code.co_filename, line, code.co_qualname),)


def waiting_stacks(instance: Any) -> list[tuple[Place, ...]]:
    """Where the tasks of a workflow instance wait, the longest stack first."""
    stacks = []
    for task in list(getattr(instance, "_tasks", ())):
        stack = tuple(place for place in _awaiting(task.get_coro()) if _is_shown(place[0]))
        if stack:
            stacks.append(stack)
    return sorted(stacks, key=len, reverse=True)


def readable(stack: tuple[Place, ...]) -> tuple[Frame, ...]:
    """The frames with their source lines. Not to be called while workflow code runs."""
    return tuple(
        Frame(file, line, name, linecache.getline(file, line).strip(), _is_own(file))
        for file, line, name in stack
    )


def frames_of_text(trace: str) -> tuple[Place, ...]:
    """The places that a traceback's text names, in its order, without the SDK's."""
    return tuple(place for place in _places_in(trace) if _is_shown(place[0]))


def _places_in(trace: str) -> Iterator[Place]:
    for line in trace.splitlines():
        head, _, rest = line.strip().partition('", line ')
        if not head.startswith('File "') or not rest:
            continue
        number, _, name = rest.partition(" in ")
        digits = number.rstrip(", ")
        if digits.isdigit():
            yield head.removeprefix('File "'), int(digits), name or "?"


def _stack(frame: FrameType | None) -> tuple[Place, ...]:
    found: list[Place] = []
    while frame is not None and len(found) < _DEPTH:
        code = frame.f_code
        if _is_shown(code.co_filename):
            found.append((code.co_filename, frame.f_lineno, code.co_qualname))
        frame = frame.f_back
    return tuple(reversed(found))


def _raised(frame: FrameType | None) -> tuple[Place, ...]:
    """Where the exception was raised that the SDK is making a command of."""
    for _ in range(8):
        if frame is None:
            break
        for name in ("err", "self"):
            error = frame.f_locals.get(name)
            if isinstance(error, BaseException) and error.__traceback__ is not None:
                return _traceback(error.__traceback__)
        frame = frame.f_back
    handled = sys.exception()
    return _traceback(handled.__traceback__) if handled is not None else ()


def _origin(instance: Any) -> tuple[Place, ...]:
    """Where the coroutine of the current task was made, such as in the arguments of a `gather`."""
    task = asyncio.current_task(instance)
    origin = getattr(task.get_coro(), "cr_origin", None) if task is not None else None
    return tuple(place for place in reversed(origin or ()) if _is_shown(place[0]))


def _traceback(trace: TracebackType | None) -> tuple[Place, ...]:
    found: list[Place] = []
    while trace is not None and len(found) < _DEPTH:
        code = trace.tb_frame.f_code
        if _is_shown(code.co_filename):
            found.append((code.co_filename, trace.tb_lineno, code.co_qualname))
        trace = trace.tb_next
    return tuple(found)


def _awaiting(coroutine: Any) -> Iterator[Place]:
    """The coroutines that await each other, from the task's own on."""
    for _ in range(_DEPTH):
        frame = getattr(coroutine, "cr_frame", None)
        if frame is None:
            return
        yield frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname
        coroutine = coroutine.cr_await


def _is_shown(file: str) -> bool:
    return not (
        file.startswith(("<", _SDK, _OURS))
        or (file.startswith(_STDLIB) and "-packages" not in file)
    )


def _is_own(file: str) -> bool:
    return "site-packages" not in file and "dist-packages" not in file
