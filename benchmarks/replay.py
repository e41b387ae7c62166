"""What a tape costs and how fast it answers: recorded replay against the SDK's own Replayer.

Both replay the same history, in turns, each in a fresh process; ratios of medians taken in one run
hold on a busy machine, single times do not. Run it: `python -m benchmarks.replay [--rounds N]`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from benchmarks.replayed_workflow import Shipping
from replayer.history import KeySource, Origin, RunHistory
from replayer.replaying import Limits, PackedHistory, run_in_child
from replayer.tape import open_tape, record_here
from tracer.identity import RunKey

_EVENTS = (9_005, 51_200)
_EVENTS_OF_AN_ORDER = 6
_QUESTIONS = 300
_RUN_ID = "5f0f9b3e-8a57-4b3c-9d55-0d7d1f6f3a10"
_LIMITS = Limits(seconds=600)


@dataclass(frozen=True, slots=True)
class Job:
    """What a child does."""

    history: PackedHistory
    tape: str


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"Python {sys.version.split()[0]}, medians of {rounds} interleaved rounds")
    print(f"{'':<34} {'9,005 events':>14} {'51,200 events':>14}")
    with tempfile.TemporaryDirectory() as folder:
        columns = [_measured(count, Path(folder), rounds) for count in _EVENTS]
    for title in columns[0]:
        print(f"{title:<34} {columns[0][title]:>14} {columns[1][title]:>14}")


def _measured(events: int, folder: Path, rounds: int) -> dict[str, str]:
    job = Job(PackedHistory.of(history_of(events)), str(folder / f"{events}.tape"))
    plain, recorded = [], []
    for _ in range(rounds):
        plain.append(run_in_child(replay_plainly, job, limits=_LIMITS))
        recorded.append(run_in_child(replay_recording, job, limits=_LIMITS))
    ratio = statistics.median(recorded) / statistics.median(plain)
    asked = run_in_child(ask, job, limits=_LIMITS)
    return {
        "plain Replayer": f"{statistics.median(plain):.2f} s",
        "recorded replay": f"{statistics.median(recorded):.2f} s",
        "ratio": f"{ratio:.2f}",
        "positions": f"{asked['positions']:,.0f}",
        "size of the tape": f"{os.path.getsize(job.tape) / 1e6:.2f} MB",  # noqa: PTH202
        "open": f"{asked['open'] * 1e3:.1f} ms",
        "state anywhere, median": f"{asked['median'] * 1e3:.1f} ms",
        "state anywhere, worst": f"{asked['worst'] * 1e3:.1f} ms",
        "who set a value, worst": f"{asked['who'] * 1e3:.1f} ms",
        "step back over, worst": f"{asked['step'] * 1e3:.1f} ms",
        "hits of a line": f"{asked['hits'] * 1e3:.1f} ms",
        "all branches": f"{asked['branches'] * 1e3:.1f} ms",
        "positions of an event": f"{asked['event'] * 1e3:.1f} ms",
        "memory of the reader": f"{asked['memory'] / 1e6:.0f} MB",
    }


def replay_plainly(job: Job) -> float:
    """Seconds that the SDK's Replayer takes."""
    history = job.history.unpacked()
    recorded = WorkflowHistory(history.key.workflow_id, list(history.events))
    started = time.perf_counter()
    asyncio.run(Replayer(workflows=[Shipping]).replay_workflow(recorded))
    return time.perf_counter() - started


def replay_recording(job: Job) -> float:
    """Seconds that a recorded replay takes, the writing of the tape included."""
    history = job.history.unpacked()
    started = time.perf_counter()
    record_here(history, [Shipping], job.tape)
    return time.perf_counter() - started


def ask(job: Job) -> dict[str, float]:
    """Seconds that a tape's answers take."""
    before = _resident()
    started = time.perf_counter()
    tape = open_tape(job.tape)
    found = {"open": time.perf_counter() - started, "positions": float(len(tape))}
    chosen = random.Random(1)
    states, causes, steps = [], [], []
    for _ in range(_QUESTIONS):
        position = chosen.randrange(len(tape))
        states.append(_seconds(lambda at=position: tape.state_at(at).stack))
        causes.append(_seconds(lambda at=position: tape.who_set("self.log", at)))
        steps.append(_seconds(lambda at=position: tape.over_back(at)))
    found["median"], found["worst"] = statistics.median(states), max(states)
    found["who"], found["step"] = max(causes), max(steps)
    line = next(place for place in map(tape.at, range(len(tape))) if place.line)
    found["hits"] = _seconds(lambda: tape.hits(line.file, line.line))
    found["branches"] = _seconds(tape.branches)
    found["event"] = _seconds(lambda: tape.positions_of(5))
    found["memory"] = _resident() - before
    return found


def _seconds(question: object) -> float:
    assert callable(question)
    started = time.perf_counter()
    question()
    return time.perf_counter() - started


def _resident() -> float:
    """Bytes of memory that this process has at hand."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def history_of(events: int) -> RunHistory:
    """A run of `Shipping` that has about so many events, and is still open."""
    history = History()
    orders = (events - 4) // _EVENTS_OF_AN_ORDER
    _add(
        history,
        "workflow_execution_started",
        workflow_type={"name": "Shipping"},
        task_queue={"name": "q"},
        input={"payloads": [_payload(str(orders + 1))]},
        workflow_id="shipping",
        original_execution_run_id=_RUN_ID,
        first_execution_run_id=_RUN_ID,
        attempt=1,
    )
    completed = _workflow_task(history)
    for number in range(orders):
        completed = _ship(history, number, completed)
    while len(history.events) < events:
        _add(history, "workflow_execution_signaled", signal_name="nobody")
    origin = Origin("benchmark", "protobuf", "0" * 64, history.ByteSize())
    key = RunKey("default", "shipping", _RUN_ID)
    return RunHistory(key, KeySource.CALLER, origin, tuple(history.events), b"")


def _ship(history: History, number: int, completed: int) -> int:
    scheduled = _add(
        history,
        "activity_task_scheduled",
        activity_id=str(number + 1),
        activity_type={"name": "ship"},
        task_queue={"name": "q"},
        input={"payloads": [_payload(str(number))]},
        workflow_task_completed_event_id=completed,
    )
    started = _add(history, "activity_task_started", scheduled_event_id=scheduled, attempt=1)
    _add(
        history,
        "activity_task_completed",
        scheduled_event_id=scheduled,
        started_event_id=started,
        result={"payloads": [_payload(str(number % 5))]},
    )
    return _workflow_task(history)


def _workflow_task(history: History) -> int:
    scheduled = _add(history, "workflow_task_scheduled", task_queue={"name": "q"}, attempt=1)
    started = _add(history, "workflow_task_started", scheduled_event_id=scheduled)
    return _add(
        history, "workflow_task_completed", scheduled_event_id=scheduled, started_event_id=started
    )


def _payload(data: str) -> dict[str, object]:
    return {"metadata": {"encoding": b"json/plain"}, "data": data.encode()}


def _add(history: History, kind: str, **attributes: object) -> int:
    event_id = len(history.events) + 1
    event = HistoryEvent(
        event_id=event_id,
        event_type=EventType.Value(f"EVENT_TYPE_{kind.upper()}"),
        task_id=event_id,
        **{f"{kind}_event_attributes": attributes},  # type: ignore[arg-type]
    )
    event.event_time.FromSeconds(1_780_000_000 + event_id)
    history.events.append(event)
    return event_id


if __name__ == "__main__":
    # By its name: children cannot find what `__main__` defines.
    from benchmarks import replay

    replay.main()
