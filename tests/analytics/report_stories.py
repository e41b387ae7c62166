"""Runs for reports: one that tells of everything, a hostile one, and one of the largest."""

from __future__ import annotations

import json
from itertools import count

from replayer.history import RunHistory
from tests.analytics.stories import failure, history_of, order
from tests.event_builder import EventBuilder, payload, payloads

EVIL = (
    "</script><script>document.title='owned'</script><img src=//evil.example/x.png "
    "onerror=\"document.title='owned'\"><style>*{display:none}</style><base href=//evil.example>"
    '<a href="javascript:alert(1)">go</a><b>bold</b> <!-- \' --> ]]> {{ 7 * 7 }} %{x} $\\alpha$ '
    "\x1b]52;c;aGk=\x07 \u202egnp.exe\u202c nul:\x00 \u2028 &lt;i&gt; &#x3c;u&#x3e; "
    + "wide漢字" * 10
    + "M" * 300
)
"""What names, messages and ids of a run may try."""
EVIL_JSON = json.dumps({"text": EVIL + "\ud800"})


def hostile(run: int = 1) -> RunHistory:
    """A run in which every text is hostile."""
    events = EventBuilder()
    events.start(EVIL, identity=EVIL, attempt=1, memo={"fields": {EVIL: payload(EVIL_JSON)}})
    events.task(0.1)
    step = events.activity(EVIL, EVIL, 0.1, input=payloads(EVIL_JSON))
    started = events.add(
        "ACTIVITY_TASK_STARTED",
        4.0,
        scheduled_event_id=step,
        attempt=3,
        identity=EVIL,
        last_failure=failure(EVIL, EVIL),
    )
    events.add(
        "ACTIVITY_TASK_FAILED",
        5.0,
        scheduled_event_id=step,
        started_event_id=started,
        failure=failure(EVIL, EVIL),
        identity=EVIL,
    )
    events.task(5.1)
    events.timer(EVIL, 5.1)
    events.add("WORKFLOW_EXECUTION_SIGNALED", 60.0, signal_name=EVIL, identity=EVIL)
    events.task(60.1)
    last = events.task(60.2)
    events.add(
        "WORKFLOW_EXECUTION_FAILED",
        60.2,
        failure=failure(EVIL, EVIL),
        workflow_task_completed_event_id=last,
    )
    return history_of(events, f"run-{run}-{EVIL}", f"evil-{EVIL}")


def telling() -> RunHistory:
    """A model call, a person's approval, a step that is tried three times; completed."""
    return history_of(order())


def largest(n_events: int = 51_200) -> RunHistory:
    """A run with as many events as Temporal allows: activities of a few names, side by side."""
    events = EventBuilder()
    events.start("Crawler", attempt=1)
    events.task(0.1)
    at = 0.2
    for number in count():
        if len(events.events) + 6 >= n_events:
            break
        name = f"fetch_{number % 7}" if number % 100 else f"rare_{number}"
        step = events.activity(str(number), name, at)
        started = events.add(
            "ACTIVITY_TASK_STARTED", at + 0.05, scheduled_event_id=step, attempt=1 + number % 3 // 2
        )
        answer = {"scheduled_event_id": step, "started_event_id": started}
        if number % 50 == 49:
            events.add("ACTIVITY_TASK_FAILED", at + 0.4, failure=failure("429 again"), **answer)
        else:
            events.add("ACTIVITY_TASK_COMPLETED", at + 0.4, **answer)
        events.task(at + 0.5)
        at += 0.3
    while len(events.events) < n_events - 1:
        events.add("WORKFLOW_EXECUTION_SIGNALED", at, signal_name="more", identity="feed")
    events.add("WORKFLOW_EXECUTION_COMPLETED", at + 1)
    return history_of(events, "run-large", "crawl-1")
