from temporalio.api.failure.v1 import Failure as FailureMessage

from tests.event_builder import EPOCH, EventBuilder, payload
from tracer.context import SpanRef, parse_traceparent
from tracer.identity import RunKey, derived_trace_id
from tracer.model import run_from_events
from tracer.names import HEADER, LINK_HEADER, Attribute, SpanKind
from tracer.spans import SpanRecord, spans_of

KEY = RunKey("default", "order-1", "run-1")
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = payload(f'{{"traceparent": "00-{TRACE}-{PARENT}-01"}}')


def spans(history: EventBuilder) -> list[SpanRecord]:
    return list(spans_of(run_from_events(KEY, history)))


def a_run_with_everything() -> EventBuilder:
    h = EventBuilder()
    h.start()
    h.task(1)
    scheduled = h.activity("a1", "charge", 1)
    failure = FailureMessage(message="declined")
    failure.application_failure_info.type = "Declined"
    h.add("ACTIVITY_TASK_FAILED", 2, scheduled_event_id=scheduled, failure=failure)
    h.task(2)
    timer = h.timer("1", 2, summary="cool down")
    h.add("TIMER_FIRED", 5, timer_id="1", started_event_id=timer)
    h.task(5)
    h.add("WORKFLOW_EXECUTION_SIGNALED", 6, signal_name="paid")
    h.task(6)
    h.add("WORKFLOW_EXECUTION_COMPLETED", 6)
    return h


def test_one_span_for_everything_that_ended() -> None:
    assert [span.name for span in spans(a_run_with_everything())] == [
        "run Order",
        "step charge",
        "timer",
        "wait cool down",
        "wait paid",
        "signal paid",
        "workflow Order",
    ]


def test_all_hang_on_the_anchor_of_one_trace() -> None:
    anchor, *others = spans(a_run_with_everything())
    assert anchor.parent is None
    assert anchor.start_ns == anchor.end_ns
    assert {span.trace_id for span in (anchor, *others)} == {derived_trace_id("run-1")}
    assert {span.parent and span.parent.span_id for span in others} == {anchor.span_id}


def test_only_what_failed_is_an_error() -> None:
    failed = [span for span in spans(a_run_with_everything()) if span.is_error]
    assert [span.name for span in failed] == ["step charge"]
    assert failed[0].status_message == "declined"
    assert failed[0].attributes[Attribute.ERROR_TYPE] == "Declined"


def test_an_open_run_has_its_anchor_and_what_ended_so_far() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    h.activity("a1", "charge", 1)
    assert [span.name for span in spans(h)] == ["run Order"]


def test_the_caller_gives_trace_and_parent() -> None:
    h = EventBuilder()
    h.start(header={"fields": {HEADER: TRACEPARENT}})
    [anchor] = spans(h)
    assert anchor.trace_id == int(TRACE, 16)
    assert anchor.parent == SpanRef(int(TRACE, 16), int(PARENT, 16))


def test_a_continued_run_is_linked_in_a_trace_of_its_own() -> None:
    h = EventBuilder()
    h.start(header={"fields": {LINK_HEADER: TRACEPARENT}}, continued_execution_run_id="run-0")
    [anchor] = spans(h)
    assert anchor.parent is None
    assert anchor.trace_id == derived_trace_id("run-1")
    assert anchor.links == (SpanRef(int(TRACE, 16), int(PARENT, 16)),)


def test_a_header_that_nobody_can_read_is_no_context() -> None:
    for text in ("7", '{"traceparent": 7}', "{", '{"traceparent": "00-0-0-01"}', "null"):
        h = EventBuilder()
        h.start(header={"fields": {HEADER: payload(text)}})
        assert spans(h)[0].parent is None


def test_a_clock_that_runs_back_makes_no_negative_span() -> None:
    h = EventBuilder()
    h.start()
    h.task(9)
    scheduled = h.activity("a1", "charge", 9)
    h.add("ACTIVITY_TASK_COMPLETED", 3, scheduled_event_id=scheduled)
    step = next(span for span in spans(h) if span.kind is SpanKind.STEP)
    assert step.start_ns == step.end_ns == (EPOCH + 9) * 1_000_000_000


def test_traceparent_round_trip() -> None:
    ref = SpanRef(int(TRACE, 16), int(PARENT, 16), sampled=False)
    assert parse_traceparent(ref.traceparent) == ref
    assert parse_traceparent(f"00-{'0' * 32}-{PARENT}-01") is None
    assert parse_traceparent(None) is None
