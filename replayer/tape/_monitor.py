"""Where a recording's events come from: one `sys.monitoring` tool while it lasts.

The interpreter tells of each code object that starts to run; code that is no workflow code is
never heard of again, workflow code gets events for its lines, returns and awaits. Exceptions are
told of for all code there is, and turned away here. Which recording an event belongs to is known
by the thread.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, Final

from temporalio.worker import _workflow_instance

from replayer.tape._recorder import Recorder
from tracer.branches import WorkflowFiles

__all__ = ["Monitor", "MonitorTaken"]

_TOOL_IDS: Final = (0, 3, 5)
"""A tape is made for debugging. Where a debugger is at work, others that seldom are."""


class MonitorTaken(Exception):
    """Another tool has the interpreter's events."""


class _Here(threading.local):
    recorder: Recorder | None = None
    """The recording whose activation this thread runs."""


class Monitor:
    """Passes events of workflow code on to recorders."""

    def __init__(self, files: WorkflowFiles) -> None:
        """Prepare; it listens from `open` on.

        Args:
            files: Which code is workflow code.
        """
        self.problem: Exception | None = None
        """The first error of our own; what was recorded after it is not sure."""
        self._files = files
        self._here = _Here()
        self._tool = -1
        self._armed: dict[int, CodeType] = {}

    def open(self) -> None:
        """Begin to listen.

        Raises:
            MonitorTaken: All tool ids that may be used are.
        """
        monitoring = sys.monitoring
        tool = next((tool for tool in _TOOL_IDS if monitoring.get_tool(tool) is None), None)
        if tool is None:
            takers = ", ".join(str(monitoring.get_tool(tool)) for tool in _TOOL_IDS)
            raise MonitorTaken(f"the interpreter's monitoring is taken by {takers}")
        monitoring.use_tool_id(tool, "retrospan-tape")
        self._tool = tool
        events = monitoring.events
        self._local = events.LINE | events.PY_RETURN | events.PY_YIELD | events.PY_RESUME
        for event, callback in self._callbacks().items():
            monitoring.register_callback(tool, event, callback)
        # The interpreter has no local events for exceptions.
        everywhere = events.PY_START | events.RAISE | events.PY_UNWIND | events.PY_THROW
        monitoring.set_events(tool, everywhere)
        # Code that ran before, under a tool of this id, was turned away for good.
        monitoring.restart_events()

    def close(self) -> None:
        """Stop listening."""
        if self._tool < 0:
            return
        monitoring = sys.monitoring
        monitoring.set_events(self._tool, 0)
        for code in self._armed.values():
            monitoring.set_local_events(self._tool, code, 0)
        for event in self._callbacks():
            monitoring.register_callback(self._tool, event, None)
        monitoring.free_tool_id(self._tool)
        self._tool = -1

    @contextmanager
    def recording(self, recorder: Recorder) -> Iterator[None]:
        """Give this thread's events to a recorder until the context ends."""
        self._here.recorder = recorder
        try:
            yield
        finally:
            self._here.recorder = None

    def _callbacks(self) -> dict[int, Callable[..., object]]:
        events = sys.monitoring.events
        return {
            events.PY_START: self._on_start(),
            events.LINE: self._on_line(),
            events.PY_RETURN: self._passing(Recorder.returned),
            events.PY_YIELD: self._passing(Recorder.paused),
            events.PY_RESUME: self._on_resume(),
            events.PY_THROW: self._on_resume(),
            events.PY_UNWIND: self._passing(Recorder.unwound),
            events.RAISE: self._passing(Recorder.raised),
        }

    def _on_start(self) -> Callable[..., object]:
        here, armed, disable, frame_of = self._here, self._armed, sys.monitoring.DISABLE, _frame_of
        issuing = _code_that_issues_commands()

        def note(code: CodeType, _offset: int) -> object:
            try:
                recorder = here.recorder
                if code is issuing:
                    if recorder is not None:
                        recorder.command_issued()
                    return None
                if id(code) not in armed and not self._arm(code):
                    return disable
                if recorder is not None and not recorder.is_full:
                    recorder.call(code, frame_of(1))
            except Exception as error:  # noqa: BLE001 - it would be raised into the user's code
                self._fail(error)
            return None

        return note

    def _on_line(self) -> Callable[..., object]:
        here, frame_of = self._here, _frame_of

        def note(code: CodeType, line: int) -> object:
            recorder = here.recorder
            if recorder is not None and not recorder.is_full:
                try:
                    recorder.line(code, line, frame_of(1))
                except Exception as error:  # noqa: BLE001 - it would be raised into the user's code
                    self._fail(error)
            return None

        return note

    def _on_resume(self) -> Callable[..., object]:
        here, armed, frame_of = self._here, self._armed, _frame_of

        def note(code: CodeType, _offset: int, error: Any = None) -> object:
            recorder = here.recorder
            if recorder is not None and id(code) in armed and not recorder.is_full:
                try:
                    recorder.resumed_at(frame_of(1), error)
                except Exception as error:  # noqa: BLE001 - it would be raised into the user's code
                    self._fail(error)
            return None

        return note

    def _passing(self, method: Callable[[Recorder, Any, Any], None]) -> Callable[..., object]:
        here, armed, frame_of = self._here, self._armed, _frame_of

        def note(code: CodeType, _offset: int, value: object) -> object:
            recorder = here.recorder
            if recorder is not None and id(code) in armed and not recorder.is_full:
                try:
                    method(recorder, frame_of(1), value)
                except Exception as error:  # noqa: BLE001 - it would be raised into the user's code
                    self._fail(error)
            return None

        return note

    def _arm(self, code: CodeType) -> bool:
        """Ask for the events of a code object, if it is workflow code."""
        if not code.co_flags & inspect.CO_OPTIMIZED or not self._files.shown(code.co_filename):
            return False
        self._armed[id(code)] = code
        sys.monitoring.set_local_events(self._tool, code, self._local)
        return True

    def _fail(self, error: Exception) -> None:
        if self.problem is None:
            self.problem = error


_frame_of = sys._getframe


def _code_that_issues_commands() -> CodeType | None:
    """The SDK's function through which all commands go; None in an SDK that has another way."""
    function = getattr(_workflow_instance._WorkflowInstanceImpl, "_add_command", None)
    code: CodeType | None = getattr(function, "__code__", None)
    return code
