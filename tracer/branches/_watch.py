"""Where events come in: one `sys.monitoring` tool for the process.

The interpreter tells once of each code object that starts to run. Code that is no workflow code is
never heard of again; workflow code gets events for its own jumps (PEP 669 local events), so that
all other code runs as if no tool were there. Which run an event belongs to is known by the thread.

The tool takes an id that no debugger, coverage tool, profiler or optimizer uses by convention.
`restart_events()` belongs to all tools at once and is called in one case only: a worker with
workflows of another package is made while workflows already run.
"""

from __future__ import annotations

import atexit
import inspect
import logging
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import repeat
from pathlib import Path
from types import CodeType
from typing import Any, Final

from tracer.branches._files import WorkflowFiles
from tracer.branches._plan import Plan, plan_of
from tracer.branches._recorder import Cell, RunBranches, Trail, Verdict, clock
from tracer.branches._source import SourceIndex, index_source, read_source
from tracer.branches.points import ActivationBranches

_logger = logging.getLogger("retrospan.tracer")

_TOOL_IDS: Final = (4, 3)
"""0, 1, 2 and 5 are for debuggers, coverage, profilers and optimizers; 3 is what Hypothesis takes,
and complains in tests of workflows when it is gone."""
_MOST_STRAYS: Final = 200
_MOST_PLANS: Final = 10_000
_NOTHING: Final = Plan()


class _Here(threading.local):
    run: RunBranches | None = None
    """The run whose activation this thread runs."""
    is_ignoring: bool = False


def _branch_events(events: Any) -> tuple[int, ...]:
    """Each way of a conditional jump has an event of its own from 3.14 on."""
    if hasattr(events, "BRANCH_LEFT"):
        return events.BRANCH_LEFT, events.BRANCH_RIGHT
    return (events.BRANCH,)


class BranchWatch:
    """Sees the decisions that workflow code takes. Use the process's one: `process_watch()`."""

    def __init__(self, monitoring: Any = None) -> None:
        """Create a watch; it does nothing before the first activation.

        Args:
            monitoring: Stands in for `sys.monitoring` in tests.
        """
        self._monitoring: Any = monitoring or getattr(sys, "monitoring", None)
        self.disabled_reason = ""
        """Why nothing is captured; empty if all is well."""
        self.unreadable: dict[str, str] = {}
        """Workflow files without source, with the reason: their decisions are not captured."""
        self._files = WorkflowFiles()
        self._here = _Here()
        self._lock = threading.RLock()
        self._tool: int | None = None
        self._branch_events = 0
        self._trails: dict[int, tuple[weakref.ref[CodeType], Trail]] = {}
        self._to_wake: set[int] = set()
        """Ids of code objects that do not report all their events."""
        self._plans: dict[tuple[object, ...], Plan] = {}
        self._sources: dict[str, tuple[tuple[int, int], SourceIndex]] = {}

    def include(self, workflow: type) -> None:
        """Count the package of a workflow class as workflow code.

        Its module is read at once: on the workflow's thread that would take its time.
        """
        with self._lock:
            is_news = self._files.add(workflow)
            module = sys.modules.get(workflow.__module__)
            path = getattr(module, "__file__", None)
            if path and self._files.shown(path):
                self._source(path)
            if is_news and self._tool is not None:
                # Functions of this package that ran before were turned away for good.
                self._monitoring.restart_events()

    def watching(
        self,
        run: RunBranches,
        *,
        at: int | None = None,
        recording: bool = True,
        is_read_only: Callable[[], bool] | None = None,
    ) -> AbstractContextManager[ActivationBranches]:
        """Note what this thread decides for a run, until the context ends.

        Enter it around every activation that a replay of the run will come past again; take
        `ignoring` for the others (queries, evictions), else occurrences would be counted that
        another worker never sees.

        Args:
            run: The counters of the workflow instance.
            at: The activation's time in nanoseconds.
            recording: False while replaying: decisions are counted, not handed over.
            is_read_only: Needed where the activation validates updates, which replays do not:
                true while that happens.

        Returns:
            A context. It gives what was decided; filled when it ends.
        """
        return _Watching(self, run, at, recording, is_read_only)

    def enter(
        self, run: RunBranches, recording: bool, is_read_only: Callable[[], bool] | None
    ) -> tuple[RunBranches | None, bool]:
        """Begin to note; what it returns is for `leave`."""
        before = self._here.run
        is_open = self._open(run, recording, is_read_only)
        self._here.run = run if is_open else None
        return before, is_open

    def leave(
        self,
        entered: tuple[RunBranches | None, bool],
        run: RunBranches,
        found: ActivationBranches,
        at: int | None,
    ) -> None:
        """Stop, and tell what was decided."""
        self._here.run, is_open = entered
        if is_open:
            self._close_run(run, found, at)

    @contextmanager
    def ignoring(self) -> Iterator[None]:
        """Take no notice of what this thread decides, until the context ends.

        Workflow code that often runs outside of activations counts as busy with something else,
        and is watched less. In this context it does not.
        """
        before = self._here.run, self._here.is_ignoring
        self._here.run, self._here.is_ignoring = None, True
        try:
            yield
        finally:
            self._here.run, self._here.is_ignoring = before

    def close(self) -> None:
        """Stop for good and give the tool id back."""
        with self._lock:
            self.disabled_reason = "branch capture was closed"
            tool, self._tool = self._tool, None
            if tool is None:
                return
            self._monitoring.set_events(tool, 0)
            for reference, _ in list(self._trails.values()):
                if code := reference():
                    self._monitoring.set_local_events(tool, code, 0)
            events = self._monitoring.events
            for event in (*_branch_events(events), events.JUMP, events.PY_START):
                self._monitoring.register_callback(tool, event, None)
            self._monitoring.free_tool_id(tool)
            atexit.unregister(self.close)

    def _open(
        self, run: RunBranches, recording: bool, is_read_only: Callable[[], bool] | None
    ) -> bool:
        try:
            if not self._start():
                return False
            if not run.birth:
                self._welcome(run)
            run.open(recording=recording, is_read_only=is_read_only)
        except Exception as error:  # noqa: BLE001 - the activation must not fail
            run.fail(error)
            return False
        return True

    def _close_run(self, run: RunBranches, found: ActivationBranches, at: int | None) -> None:
        try:
            run.close(found, at)
        except Exception as error:  # noqa: BLE001 - the activation must not fail
            run.fail(error)

    def _start(self) -> bool:
        if self._tool is not None:
            return True
        if self.disabled_reason:
            return False
        with self._lock:
            if self._tool is None and not self.disabled_reason:
                self._take_tool()
        return self._tool is not None

    def _take_tool(self) -> None:
        if self._monitoring is None:
            self.disabled_reason = "this Python has no sys.monitoring"
            return
        for tool in _TOOL_IDS:
            if self._monitoring.get_tool(tool) is None:
                self._monitoring.use_tool_id(tool, "retrospan")
                self._tool = tool
                self._listen(tool)
                # While modules are torn down, callbacks would find their globals gone.
                atexit.register(self.close)
                return
        takers = " and ".join(str(self._monitoring.get_tool(tool)) for tool in _TOOL_IDS)
        self.disabled_reason = f"sys.monitoring tool ids 3 and 4 are taken by {takers}"

    def _listen(self, tool: int) -> None:
        events = self._monitoring.events
        callback = self._branch_callback()
        for event in (*_branch_events(events), events.JUMP):
            self._monitoring.register_callback(tool, event, callback)
        self._branch_events = sum(_branch_events(events))
        self._monitoring.register_callback(tool, events.PY_START, self._on_start)
        self._monitoring.set_events(tool, events.PY_START)

    def _on_start(self, code: CodeType, _offset: int) -> object:
        """A code object runs, for the first time since the tool started."""
        try:
            if code.co_flags & inspect.CO_OPTIMIZED and self._files.shown(code.co_filename):
                self._arm(code)
        except Exception as error:  # noqa: BLE001 - it would be raised into the user's code
            self._fail(error)
        return self._monitoring.DISABLE

    def _arm(self, code: CodeType) -> None:
        number = id(code)
        with self._lock:
            if number not in self._trails:
                trail = Trail()
                self._trails[number] = weakref.ref(code, lambda _: self._forget(number)), trail
                self._set_events(code, trail)

    def _forget(self, number: int) -> None:
        # No lock: the garbage collector may call this on a thread that holds it.
        self._trails.pop(number, None)
        self._to_wake.discard(number)

    def _set_events(self, code: CodeType, trail: Trail) -> None:
        """Have the code's jumps reported, also those that were switched off one by one."""
        if self._tool is None:
            return
        events = 0 if trail.plan is _NOTHING else self._branch_events
        if trail.plan and trail.plan.has_rounds:
            events |= self._monitoring.events.JUMP
        # Only what is off can be switched on. Both calls are made from C, so that no other thread
        # runs this code while it is off and misses an event.
        set_events = self._monitoring.set_local_events
        deque(map(set_events, repeat(self._tool), repeat(code), (0, events)), maxlen=0)

    def _branch_callback(self) -> Callable[[CodeType, int, int], object]:
        here, disable, frame_of = self._here, self._monitoring.DISABLE, sys._getframe
        keep_watching = Verdict.WATCH

        def note(code: CodeType, offset: int, destination: int) -> object:
            run = here.run
            if run is None:
                return self._stray(code)
            try:
                try:
                    is_in_task = run.task() is not None
                except RuntimeError:
                    # No event loop: the SDK converts payloads, or imports a module.
                    return None
                if not is_in_task and not run.is_counting(frame_of(1)):
                    return None
                if run.code is not code and not run.turn_to(code):
                    self._learn(run, code)
                try:
                    gate = run.gates[offset]
                except KeyError:
                    known = run.meet(offset)
                    if known is None:
                        return disable
                    gate = known
                cell = gate.fall if destination == gate.next_offset else gate.jump
                cell.count = count = cell.count + 1
                if count < cell.wake:
                    return None
                verdict = run.attend(cell)
                if verdict is keep_watching:
                    return None
                self._switch_off(code, cell, verdict)
                return disable
            except Exception as error:  # noqa: BLE001 - it would be raised into the user's code
                run.fail(error)
                return None

        return note

    def _stray(self, code: CodeType) -> object:
        """An event outside of any activation: an activity shares this code, or a query runs it."""
        try:
            known = self._trails.get(id(code))
            if known and not self._here.is_ignoring:
                trail = known[1]
                trail.strays += 1
                if trail.strays >= _MOST_STRAYS:
                    self._put_to_sleep(code, trail)
        except Exception as error:  # noqa: BLE001 - it would be raised into the user's code
            self._fail(error)
        return None

    def _put_to_sleep(self, code: CodeType, trail: Trail) -> None:
        with self._lock:
            trail.fall_asleep()
            self._to_wake.add(id(code))
            if self._tool is not None:
                self._monitoring.set_local_events(self._tool, code, 0)

    def _switch_off(self, code: CodeType, cell: Cell, verdict: Verdict) -> None:
        # With the lock a run is born either before the gap or after it was closed.
        with self._lock:
            if verdict is Verdict.MUTE:
                cell.trail.start_gap(cell.way.point)
            self._to_wake.add(id(code))

    def _welcome(self, run: RunBranches) -> None:
        """Let a new run see everything."""
        with self._lock:
            for number in list(self._to_wake):
                reference, trail = self._trails.get(number, (None, None))
                code = reference() if reference else None
                if code and trail:
                    trail.end_gaps()
                    self._set_events(code, trail)
            self._to_wake.clear()
            run.birth = next(clock)

    def _learn(self, run: RunBranches, code: CodeType) -> None:
        """Prepare a run for code that it comes to for the first time."""
        _, trail = self._trails[id(code)]
        if trail.plan is None:
            trail.plan = self._plan(code)
            if trail.plan is _NOTHING or trail.plan.has_rounds:
                self._set_events(code, trail)
        run.learn(code, trail)

    def _plan(self, code: CodeType) -> Plan:
        key = (
            code.co_filename,
            code.co_qualname,
            code.co_firstlineno,
            code.co_code,
            code.co_linetable,
        )
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) > _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._make_plan(code)
        return plan

    def _make_plan(self, code: CodeType) -> Plan:
        index = self._source(code.co_filename)
        if index is None:
            return _NOTHING
        if all(column is None for _, _, column, _ in code.co_positions()):
            self.unreadable[code.co_filename] = "compiled without columns (PYTHONNODEBUGRANGES)"
            return _NOTHING
        plan = plan_of(code, index, self._files.shown(code.co_filename))
        return plan if plan.sites else _NOTHING

    def _source(self, path: str) -> SourceIndex | None:
        """The decisions of a file as it is now: the sandbox imports it anew for each run."""
        try:
            status = Path(path).stat()
            version = status.st_mtime_ns, status.st_size
            known = self._sources.get(path)
            if known is None or known[0] != version:
                known = self._sources[path] = version, index_source(read_source(path))
            return known[1]
        except (OSError, SyntaxError, ValueError, RecursionError) as error:
            self.unreadable[path] = f"{type(error).__name__}: {error}"
            return None

    def _fail(self, error: Exception) -> None:
        _logger.error(
            "retrospan: branch capture failed and goes on; workflows are unaffected",
            exc_info=error,
        )


class _Watching(AbstractContextManager[ActivationBranches]):
    """What `watching` gives: as a generator it would cost each activation more than it does."""

    __slots__ = ("_at", "_entered", "_found", "_is_read_only", "_recording", "_run", "_watch")

    def __init__(
        self,
        watch: BranchWatch,
        run: RunBranches,
        at: int | None,
        recording: bool,
        is_read_only: Callable[[], bool] | None,
    ) -> None:
        self._watch, self._run, self._at = watch, run, at
        self._recording, self._is_read_only = recording, is_read_only
        self._found = ActivationBranches()

    def __enter__(self) -> ActivationBranches:
        self._entered = self._watch.enter(self._run, self._recording, self._is_read_only)
        return self._found

    def __exit__(self, *_: object) -> None:
        self._watch.leave(self._entered, self._run, self._found, self._at)


_process_watch: Final = BranchWatch()


def process_watch() -> BranchWatch:
    """The watch that all workers of this process share: the process has one tool id to give."""
    return _process_watch
