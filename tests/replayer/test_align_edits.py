"""Alignments recover what was done to real histories, and see nothing where nothing was done."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.api.history.v1 import History, HistoryEvent

from replayer.alignment import AlignedRow, Verdict, align
from replayer.history import RunHistory, iter_payloads, read_histories
from tests.replayer.align_edits import (
    Edit,
    Edited,
    activities,
    attributes_of,
    copy_of,
    edited,
    name_of,
    recovered,
)
from tests.replayer.align_stories import RUN_A, RUN_B, Story, told
from tracer.identity import RunKey
from tracer.model import Run, run_from_events

_FEWEST = 3
"""Activities of a history that is edited."""
_SHARES = (0.02, 0.05, 0.10)
_SEEDS = range(4)
_CLOSING = re.compile(r"WORKFLOW_EXECUTION_(STARTED|COMPLETED|FAILED|CONTINUED_AS_NEW|CANCELED)")


def model(events: Iterable[HistoryEvent], run_id: str = RUN_A) -> Run:
    return run_from_events(RunKey("default", "w", run_id), events)


@pytest.fixture(scope="module")
def histories(corpus: Path) -> list[RunHistory]:
    return [item for item in read_histories([corpus]) if isinstance(item, RunHistory)]


@pytest.fixture(scope="module")
def long_history(histories: Sequence[RunHistory]) -> list[HistoryEvent]:
    """The bodies of all real histories one after the other, twice, as one run."""
    joined = [copy_of(histories[0].events[0])]
    for history in (*histories, *histories):
        joined.extend(_shifted(history, joined[-1].event_id))
    return Edited(joined).renumbered()


def _shifted(history: RunHistory, base: int) -> Iterable[HistoryEvent]:
    """The events of a history, with their ids and what they refer to counted on from `base`."""
    for event in history.events:
        if _CLOSING.match(name_of(event)) or event.WhichOneof("attributes") is None:
            continue
        shifted = copy_of(event)
        shifted.event_id += base
        attributes = attributes_of(shifted)
        for field in attributes.DESCRIPTOR.fields:
            if field.name.endswith("event_id") and getattr(attributes, field.name):
                setattr(attributes, field.name, getattr(attributes, field.name) + base)
        yield shifted


def count(events: Sequence[HistoryEvent]) -> int:
    return len(activities(Edited(list(events))))


def score(histories: Iterable[Sequence[HistoryEvent]]) -> tuple[float, float, int]:
    """Precision, recall and number of edits, over edits of all of them."""
    right = told_in_all = done_in_all = 0
    for events in histories:
        for share in _SHARES:
            for seed in _SEEDS:
                done, found = one(events, share, seed)
                right += sum((done & found).values())
                told_in_all += sum(found.values())
                done_in_all += sum(done.values())
    return right / told_in_all, right / done_in_all, done_in_all


def one(
    events: Sequence[HistoryEvent], share: float, seed: int
) -> tuple[Counter[Edit], Counter[Edit]]:
    other = edited(events, share, seed)
    rows = align(model(events), model(other.events, RUN_B))
    return other.done, recovered(rows)


def test_edits_of_real_histories_are_recovered(histories: Sequence[RunHistory]) -> None:
    chosen = [h.events for h in histories if count(h.events) >= _FEWEST]
    assert len(chosen) >= 3
    precision, recall, edits = score(chosen)
    print(f"short: precision {precision:.4f}, recall {recall:.4f} of {edits} edits")
    assert precision >= 0.98
    assert recall >= 0.98


def test_edits_of_a_long_history_are_recovered(long_history: list[HistoryEvent]) -> None:
    assert count(long_history) > 150
    precision, recall, edits = score([long_history])
    print(f"long: precision {precision:.4f}, recall {recall:.4f} of {edits} edits")
    assert precision >= 0.98
    assert recall >= 0.98


# -- no difference -----------------------------------------------------------------------------

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def disguised(events: Iterable[HistoryEvent], seed: int) -> list[HistoryEvent]:
    """The same run with other UUIDs, other ids of activities and timers, at another time."""
    rng = random.Random(seed)
    names: dict[bytes, bytes] = {}

    def other(match: re.Match[bytes]) -> bytes:
        fresh = str(uuid.UUID(int=rng.getrandbits(128), version=4)).encode()
        return names.setdefault(match[0], fresh)

    later = rng.randrange(20_000) * 1_000_000_000
    copies = [copy_of(event) for event in events]
    for event in copies:
        event.event_time.FromNanoseconds(event.event_time.ToNanoseconds() + later)
        attributes = attributes_of(event) if event.WhichOneof("attributes") else event
        for name in {"activity_id", "timer_id"} & set(attributes.DESCRIPTOR.fields_by_name):
            setattr(attributes, name, f"other-{getattr(attributes, name)}")
        for _, _, payload in iter_payloads(event):
            if b"encrypt" not in payload.metadata.get("encoding", b""):
                payload.data = _UUID.sub(other, payload.data)
    return copies


def test_volatile_values_make_no_difference(histories: Sequence[RunHistory]) -> None:
    changed = 0
    for seed, history in enumerate(histories):
        other = disguised(history.events, seed)
        rows = align(model(history.events), model(other, RUN_B))
        assert not told([row for row in rows if row.is_difference]), history.origin.uri
        changed += sum(bool(row.volatile) for row in rows)
    assert changed, "some of them have UUIDs"


def test_a_history_imported_again_is_the_same(
    histories: Sequence[RunHistory], tmp_path: Path
) -> None:
    for number, history in enumerate(histories):
        path = tmp_path / f"{number}.pb"
        path.write_bytes(History(events=history.events).SerializeToString())
        [again] = read_histories([path])
        assert isinstance(again, RunHistory)
        rows = align(model(history.events), run_from_events(again.key, again.events))
        assert not told(rows), history.origin.uri


# -- mirror ------------------------------------------------------------------------------------


def sides(rows: Iterable[AlignedRow], *, mirrored: bool = False) -> Counter[tuple[object, ...]]:
    """Every row by the places of its entries; exchanged for the mirror image."""
    swap = {Verdict.ONLY_LEFT: Verdict.ONLY_RIGHT, Verdict.ONLY_RIGHT: Verdict.ONLY_LEFT}
    found: Counter[tuple[object, ...]] = Counter()
    for row in rows:
        left = row.left.position if row.left is not None else None
        right = row.right.position if row.right is not None else None
        verdict = swap.get(row.verdict, row.verdict) if mirrored else row.verdict
        ends = (right, left) if mirrored else (left, right)
        found[*ends, verdict, row.reasons, row.volatile] += 1
    return found


def assert_mirrored(one: Run, other: Run) -> None:
    assert sides(align(one, other)) == sides(align(other, one), mirrored=True)


def test_a_comparison_is_the_mirror_of_its_reverse(long_history: list[HistoryEvent]) -> None:
    for seed in range(2):
        other = edited(long_history, 0.3, seed)
        assert_mirrored(model(long_history), model(other.events, RUN_B))
        assert_mirrored(model(long_history), model(other.events, RUN_A))


_STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 1)), max_size=12
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_STEPS, _STEPS)
def test_any_two_runs_are_mirrored_and_tell_every_step_once(
    ours: list[tuple[str, int, int]], theirs: list[tuple[str, int, int]]
) -> None:
    one, other = _story(ours, RUN_A), _story(theirs, RUN_B)
    assert_mirrored(one, other)
    rows = align(one, other)
    places = [row.left.position for row in rows if row.left is not None and is_in_order(row)]
    assert places == sorted(places)
    for run, found in (
        (one, [row.left for row in rows]),
        (other, [row.right for row in rows]),
    ):
        seqs = sorted(entry.seq for entry in found if entry is not None and entry.seq)
        assert seqs == [step.seq for step in run.steps]


def is_in_order(row: AlignedRow) -> bool:
    return row.verdict in (Verdict.EQUAL, Verdict.CHANGED, Verdict.ONLY_LEFT)


def _story(steps: Iterable[tuple[str, int, int]], run_id: str) -> Run:
    story = Story(run_id=run_id)
    for name, data, result in steps:
        story.step(name, json.dumps(data), json.dumps(result))
    return story.end()


# -- parallel work -----------------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(2, 5), st.integers(1, 4), st.randoms(use_true_random=False), st.booleans())
def test_pipelines_side_by_side_are_equal_in_whatever_order_they_end(
    lanes: int, length: int, rng: random.Random, is_alike: bool
) -> None:
    runs = [_pipelines(lanes, length, rng, run_id, is_alike) for run_id in (RUN_A, RUN_B)]
    assert told([row for row in align(*runs) if row.is_difference]) == []


def _pipelines(lanes: int, length: int, rng: random.Random, run_id: str, is_alike: bool) -> Run:
    """Each lane asks for its next step when its last one has ended; all lanes at once."""
    story = Story(run_id=run_id)

    def asked(lane: int, stage: int) -> int:
        return story.asked("work" if is_alike else f"stage {stage}", json.dumps([lane, stage]))

    open_steps = {lane: (0, asked(lane, 0)) for lane in range(lanes)}
    while open_steps:
        lane = rng.choice(sorted(open_steps))
        stage, step = open_steps.pop(lane)
        story.answered(step, json.dumps(["done", lane, stage]))
        story.task()
        if stage + 1 < length:
            open_steps[lane] = (stage + 1, asked(lane, stage + 1))
    return story.end()
