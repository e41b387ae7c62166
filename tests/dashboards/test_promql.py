import re
import string

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, Histogram, InMemoryMetricReader, Sum

from dashboards.promql import (
    any_of,
    label_name,
    lowest,
    matches,
    mean,
    metric_name,
    none_of,
    per_minute,
    quantile,
    share,
    total,
)
from tracer import names
from tracer._guard import Guard
from tracer._meters import Measured, Meters
from tracer._open_waits import OpenWaits, Standing
from tracer.names import Attribute, Instrument, Metric, SpanKind
from tracer.spans import SpanRecord, Value


class _Waiting:
    def standing(self) -> Standing:
        return Standing(("default", "Cargo"), 0)


class _NoLosses:
    dropped = 0

    def __init__(self) -> None:
        self.guard = Guard()


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (names.RUNS, "retrospan_runs_total"),
        (names.RUN_DURATION, "retrospan_run_duration_seconds"),
        (names.QUEUE_TIME, "retrospan_step_queue_time_seconds"),
        (names.PAYLOAD_BYTES, "retrospan_payload_bytes_total"),
        (names.HEADROOM, "retrospan_limit_headroom_ratio"),
        (Metric("a.llm.cost", "USD", "", ()), "a_llm_cost_USD"),
    ],
)
def test_a_metric_gets_the_name_that_prometheus_gives_it(metric: Metric, expected: str) -> None:
    assert metric_name(metric) == expected


def test_a_unit_without_a_known_suffix_is_refused() -> None:
    with pytest.raises(ValueError, match="unit 'furlong' has no known Prometheus suffix"):
        metric_name(Metric("a", "furlong", "", ()))


def test_a_label_that_the_metric_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"retrospan.runs has no attribute error.type; it has"):
        label_name(names.RUNS, Attribute.ERROR_TYPE)
    with pytest.raises(ValueError, match="has no attribute"):
        per_minute(names.RUNS, by=(Attribute.STEP_NAME,), where=())
    with pytest.raises(ValueError, match="has no attribute"):
        total(names.DROPPED_SPANS, where=[matches(Attribute.NAMESPACE, "namespace")])


def test_the_lowest_of_a_counter_is_refused() -> None:
    with pytest.raises(ValueError, match="is a counter"):
        lowest(names.RUNS, by=(), where=())


@pytest.mark.parametrize("build", [mean, lambda *a, **k: quantile(0.5, *a, **k)])
def test_a_quantile_of_a_counter_is_refused(build: object) -> None:
    assert callable(build)
    with pytest.raises(ValueError, match="is a counter"):
        build(names.RUNS, where=())


def _record(kind: SpanKind) -> SpanRecord:
    attributes: dict[str, Value] = {
        str(attribute): "x" for metric in names.METRICS for attribute in metric.attributes
    }
    attributes[str(Attribute.QUEUE_SECONDS)] = 0.5
    attributes[str(Attribute.INPUT_BYTES)] = 100
    return SpanRecord(1, 1, None, kind, "name", 0, 1_000_000_000, False, "", attributes)


_RECORDED_AS = {
    Instrument.COUNTER: Sum,
    Instrument.HISTOGRAM: Histogram,
    Instrument.GAUGE: Gauge,
}


def test_the_tracer_records_each_metric_with_the_instrument_that_its_name_has() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    open_waits, waiting = OpenWaits(), _Waiting()
    open_waits.add(waiting, _Waiting.standing)
    meters = Meters(provider.get_meter(names.TRACER_NAME), _NoLosses(), open_waits)
    for kind in SpanKind:
        meters.observe(_record(kind))
    meters.observe_activation(Measured(("default", "Cargo"), 0.2, 0.1, 100, 10_000))
    meters.flush()
    data = reader.get_metrics_data()
    assert data is not None
    kinds = {
        metric.name: type(metric.data)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    provider.shutdown()
    # The exporter's queue, not the meters, counts what it lost.
    measured = [metric for metric in names.METRICS if metric is not names.LOST_SPANS]
    assert kinds == {m.name: _RECORDED_AS[m.instrument] for m in measured if m.instrument}


_metrics = st.sampled_from([metric for metric in names.METRICS if metric.attributes])
_values = st.lists(st.text(string.printable, min_size=1), min_size=1, max_size=3)


@given(_metrics, st.data(), _values)
def test_any_value_is_matched_literally(
    metric: Metric, data: st.DataObject, values: list[str]
) -> None:
    attribute = Attribute(data.draw(st.sampled_from(metric.attributes)))
    promql = per_minute(metric, by=(attribute,), where=[any_of(attribute, *values)])
    found: list[promql_parser.Matcher] = []

    def visit(expr: promql_parser.Expr) -> None:
        if isinstance(expr, promql_parser.VectorSelector):
            found.extend(expr.matchers.matchers)

    promql_parser.walk(promql_parser.parse(promql.replace("$__rate_interval", "4m")), visit)
    (matcher,) = found
    assert matcher.name == label_name(metric, attribute)
    assert all(re.fullmatch(matcher.value, value) for value in values)
    assert not re.fullmatch(matcher.value, values[0] + "!!")
    assert "$" not in matcher.value.replace("[$]", "")


def test_none_of_negates() -> None:
    promql = total(names.RUNS, where=[none_of(Attribute.WORKFLOW_STATUS, "A", "B")])
    assert 'retrospan_runs_total{temporal_workflow_status!~"A|B"}' in promql


def test_a_share_divides_what_both_sides_group_alike() -> None:
    assert share("p", "w") == "((p) or 0 * (w)) / ((w) > 0)"
