"""What a comparison of two runs of 50,000 events takes: time and memory.

Each comparison is a process of its own, so that one does not count the memory of another. Times are
seconds of CPU, as on a machine with nothing else to do, and medians of rounds.

Run it: `python -m benchmarks.diff`.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from replayer.alignment import align, cause_of, verdicts_of
from tracer.identity import RunKey
from tracer.model import Run, run_from_events

_EVENTS = 50_000
_ROUNDS = 3
_WIDTHS = (8, 8, 9, 7, 7, 8)
_CASES = {
    "equal": 0.0,
    "other ids and times everywhere": 0.0,
    "1 % of the steps edited": 0.01,
    "10 % of the steps edited": 0.1,
    "half of the steps edited": 0.5,
    "every step edited": 1.0,
    "nothing in common but names": 1.0,
}


def main() -> None:
    """Print one table."""
    print(
        f"Python {sys.version.split()[0]}, 2 × {_EVENTS:,} events, CPU, medians of {_ROUNDS} rounds"
    )
    heads = ("model", "align", "together", "rows", "equal", "RSS")
    print(
        f"{'what':<34}", *(f"{head:>{width}}" for head, width in zip(heads, _WIDTHS, strict=True))
    )
    for name in _CASES:
        # Forking would count this process's memory.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            model, aligned, rows, equal, megabytes = pool.submit(_measure, name).result()
        print(
            f"{name:<34} {model:>6.2f} s {aligned:>6.2f} s {model + aligned:>7.2f} s"
            f" {rows:>7,} {equal:>7,} {megabytes:>5.0f} MB"
        )


def _measure(name: str) -> tuple[float, float, int, int, float]:
    """Seconds to model both runs, seconds to align them, rows, equal rows, megabytes."""
    rng = random.Random(7)
    share = _CASES[name]
    ours = _history(lambda step: [(f"step{step % 7}", _data(step, rng, name))])
    theirs = _history(lambda step: _edited(step, share, rng, name))
    models, aligns = [], []
    for _ in range(_ROUNDS):
        started = time.process_time()
        left, right = _run(ours, "a"), _run(theirs, "b")
        modelled = time.process_time()
        rows = align(left, right)
        cause_of(rows)
        ended = time.process_time()
        models.append(modelled - started)
        aligns.append(ended - modelled)
    equal = next(iter(verdicts_of(rows).values()))
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return statistics.median(models), statistics.median(aligns), len(rows), equal, megabytes


def _data(step: int, rng: random.Random, name: str) -> dict[str, object]:
    data: dict[str, object] = {"step": step, "customer": f"customer {step % 900}", "text": _TEXT}
    if name.startswith("other ids"):
        data["id"] = f"req-{rng.getrandbits(64):016x}"
    return data


_TEXT = "what a step is given is often a paragraph of text, and now and then it is a page of it"


def _edited(
    step: int, share: float, rng: random.Random, name: str
) -> list[tuple[str, dict[str, object]]]:
    """The steps that stand in the place of one."""
    what, data = f"step{step % 7}", _data(step, rng, name)
    if name.startswith("nothing"):
        return [(f"step{rng.randrange(7)}", {"step": rng.random(), "text": _TEXT})]
    if rng.random() >= share:
        return [(what, data)]
    match rng.randrange(3):
        case 0:
            return []
        case 1:
            return [(what, {**data, "customer": f"somebody {rng.random()}"})]
        case _:
            return [(what, data), ("extra", {"step": rng.random()})]


def _history(steps_of: Callable[[int], list[tuple[str, dict[str, object]]]]) -> list[HistoryEvent]:
    """A run of activities, one after the other, with a model call in each fifth step."""
    history = _History()
    step = 0
    while len(history.events) < _EVENTS:
        step += 1
        for name, data in steps_of(step):
            history.step(name, json.dumps(data), json.dumps(_answer(step)))
    return history.events


def _answer(step: int) -> dict[str, object]:
    if step % 5:
        return {"ok": True, "step": step}
    usage = {"prompt_tokens": 900 + step % 50, "completion_tokens": 40}
    return {"model": "gpt-4o-mini", "choices": [], "usage": usage}


class _History:
    def __init__(self) -> None:
        self.events: list[HistoryEvent] = []
        self.add("WORKFLOW_EXECUTION_STARTED", workflow_type={"name": "Long"})

    def add(self, name: str, **attributes: object) -> int:
        event = HistoryEvent(
            event_id=len(self.events) + 1, event_type=EventType.Value(f"EVENT_TYPE_{name}")
        )
        event.event_time.FromMilliseconds(1_780_000_000_000 + 20 * event.event_id)
        message = getattr(event, f"{name.lower()}_event_attributes")
        message.CopyFrom(type(message)(**attributes))
        self.events.append(event)
        return event.event_id

    def step(self, name: str, data: str, result: str) -> None:
        asked = self.add(
            "ACTIVITY_TASK_SCHEDULED",
            activity_id=str(len(self.events)),
            activity_type={"name": name},
            input=_payloads(data),
        )
        started = self.add("ACTIVITY_TASK_STARTED", scheduled_event_id=asked, attempt=1)
        ids = {"scheduled_event_id": asked, "started_event_id": started}
        self.add("ACTIVITY_TASK_COMPLETED", result=_payloads(result), **ids)
        task = self.add("WORKFLOW_TASK_SCHEDULED")
        begun = self.add("WORKFLOW_TASK_STARTED", scheduled_event_id=task)
        self.add("WORKFLOW_TASK_COMPLETED", scheduled_event_id=task, started_event_id=begun)


def _payloads(text: str) -> Payloads:
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=text.encode())])


def _run(events: list[HistoryEvent], run_id: str) -> Run:
    return run_from_events(RunKey("default", "long", run_id), events)


if __name__ == "__main__":
    main()
