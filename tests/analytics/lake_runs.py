"""Runs made up by a seeded generator: other numbers, names and endings in each."""

from __future__ import annotations

import random
from collections.abc import Iterator

from replayer.history import RunHistory
from tests.analytics.stories import failure, history_of
from tests.event_builder import EventBuilder, payloads

_STEPS = ("classify", "declare", "notify's", 'quote "me"', "ünï 漢字")
_MESSAGES = ("429 for order {n}", "no such tariff: {n}", "line one\nline {n}", "back\\slash {n}")


def generated_runs(count: int, seed: int = 6) -> Iterator[RunHistory]:
    """So many runs; the same ones for the same seed."""
    rng = random.Random(seed)
    for number in range(count):
        yield history_of(_events(rng, number), f"made-{number}", f"made/{number % 7}")


def _events(rng: random.Random, number: int) -> EventBuilder:
    events = EventBuilder()
    clock = number * 7.013
    events.start(f"Made{number % 4}", attempt=1, identity=f"cli-{number % 3}")
    clock += rng.random()
    events.task(clock)
    for step in range(rng.randrange(1, 6)):
        clock = _activity(events, rng, str(step), clock)
        if rng.random() < 0.3:
            clock = _approval(events, rng, f"t{step}", clock)
    ending = rng.choice(("completed", "failed", "open"))
    if ending == "open":
        return events
    last = events.task(clock + 0.25)
    if ending == "completed":
        events.add(
            "WORKFLOW_EXECUTION_COMPLETED", clock + 0.25, workflow_task_completed_event_id=last
        )
    else:
        events.add(
            "WORKFLOW_EXECUTION_FAILED",
            clock + 0.25,
            failure=failure(f"gave up on {number}", "Exhausted"),
            retry_state=5,
            workflow_task_completed_event_id=last,
        )
    return events


def _activity(events: EventBuilder, rng: random.Random, step: str, clock: float) -> float:
    scheduled = events.activity(step, rng.choice(_STEPS), clock, input=payloads('{"model": "m"}'))
    message = rng.choice(_MESSAGES).format(n=rng.randrange(10_000))
    attempt = rng.choice((1, 1, 1, 2, 3))
    started_at = clock + rng.random() * attempt
    started = events.add(
        "ACTIVITY_TASK_STARTED",
        started_at,
        scheduled_event_id=scheduled,
        attempt=attempt,
        identity=f"worker-{rng.randrange(3)}",
        last_failure=failure(message) if attempt > 1 else None,
    )
    ended_at = started_at + rng.random() * 3
    links = {"scheduled_event_id": scheduled, "started_event_id": started}
    if rng.random() < 0.2:
        events.add("ACTIVITY_TASK_FAILED", ended_at, failure=failure(message), **links)
    else:
        tokens = rng.randrange(5_000)
        usage = f'{{"prompt_tokens": {tokens}, "completion_tokens": {tokens // 7}}}'
        result = (
            '{"object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "choices": [],'
            f' "usage": {usage}}}'
        )
        events.add("ACTIVITY_TASK_COMPLETED", ended_at, result=payloads(result), **links)
    return ended_at


def _approval(events: EventBuilder, rng: random.Random, timer: str, clock: float) -> float:
    events.task(clock + 0.1)
    started = events.timer(timer, clock + 0.1, summary="approval")
    answered_at = clock + 1 + rng.random() * 100
    if rng.random() < 0.3:
        events.add("TIMER_FIRED", answered_at, timer_id=timer, started_event_id=started)
    else:
        events.add(
            "WORKFLOW_EXECUTION_SIGNALED", answered_at, signal_name="approve", identity="ann@desk"
        )
    events.task(answered_at + 0.05)
    return answered_at + 0.05
