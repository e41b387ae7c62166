"""Every query answers on a store that speaks PromQL, with what the tracer really emits.

VictoriaMetrics takes OTLP and names metrics the way Prometheus does, from version 1.112 on.
"""

import time
from collections.abc import Iterator, Mapping

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from tests.dashboards.stores import instant, victoria_metrics
from tracer import names
from tracer._guard import Guard
from tracer._meters import Measured, Meters
from tracer.model.words import Outcome, RunStatus, StepKind, TaskFailureKind, WokenBy
from tracer.names import Attribute as A
from tracer.names import SpanKind
from tracer.spans import SpanRecord, Value

pytestmark = pytest.mark.slow

_SECOND = 1_000_000_000
_FAILED, _COMPLETED = 2, 8
_LOST = 4


class _Losses:
    dropped = 30

    def __init__(self) -> None:
        self.guard = Guard()
        self.guard.note("a test", RuntimeError("of the tracer"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A running VictoriaMetrics that holds ten runs; stopped afterwards."""
    with victoria_metrics(tmp_path_factory.mktemp("victoria-metrics")) as client:
        _emit(f"{client.base_url}/opentelemetry/v1/metrics")
        assert client.get("/internal/force_flush").is_success
        yield client


def test_every_query_of_every_panel_answers(
    store: httpx.Client, queries: dict[str, list[str]]
) -> None:
    empty = {
        (title, query)
        for title, promqls in queries.items()
        for query in promqls
        if not instant(store, query)
    }
    assert not empty


def test_counts_and_shares_are_true(store: httpx.Client, queries: dict[str, list[str]]) -> None:
    def figure(title: str) -> float:
        ((_, value),) = instant(store, queries[title][0])
        return value

    assert figure("Runs ended") == _FAILED + _COMPLETED
    assert figure("Failed runs") == pytest.approx(_FAILED / (_FAILED + _COMPLETED))
    assert figure("Failed attempts") == pytest.approx(_FAILED / (_FAILED + _COMPLETED))
    # Lost before the first export and never again: nothing "increased" since.
    assert figure("Tracer losses") == _Losses.dropped + 1 + _LOST


def test_a_failure_is_found_by_its_fingerprint(
    store: httpx.Client, queries: dict[str, list[str]]
) -> None:
    ((labels, count),) = instant(store, queries["Failures by fingerprint"][0])
    assert count == _FAILED
    assert labels == {
        "retrospan_failure_fingerprint": "f00d",
        "error_type": "RateLimited",
        "temporal_activity_type": "declare",
        "temporal_workflow_type": "Cargo",
    }


def test_the_variables_find_their_values(store: httpx.Client) -> None:
    for label, expected in (
        ("temporal_namespace", ["default"]),
        ("temporal_workflow_type", ["Cargo"]),
    ):
        found = store.get(
            f"/api/v1/label/{label}/values", params={"match[]": '{__name__=~"retrospan_.+"}'}
        )
        assert found.json()["data"] == expected


def test_ids_are_in_no_label(store: httpx.Client) -> None:
    labels = store.get("/api/v1/labels", params={"match[]": '{__name__=~"retrospan_.+"}'})
    assert not {"temporalWorkflowID", "temporalRunID"} & set(labels.json()["data"])


def _emit(endpoint: str) -> None:
    """Export twice: a rate needs two samples."""
    exporter = OTLPMetricExporter(endpoint=endpoint)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter(names.TRACER_NAME)
    meters = Meters(meter, _Losses())
    lost = meter.create_counter(names.LOST_SPANS.name, unit=names.LOST_SPANS.unit)
    lost.add(_LOST, {A.LOSS_REASON.value: "queue_full"})
    halves = [_records(_FAILED // 2, _COMPLETED // 2) for _ in range(2)]
    for half in halves:
        for record in half:
            meters.observe(record)
        meters.observe_activation(Measured(("default", "Cargo"), 0.2, 0.1, 100, 10_000))
        meters.flush()
        assert provider.force_flush()
        # Samples of one second are one sample to the store.
        time.sleep(1.1)
    provider.shutdown()


def _records(failed: int, completed: int) -> Iterator[SpanRecord]:
    for is_failed in [True] * failed + [False] * completed:
        status = RunStatus.FAILED if is_failed else RunStatus.COMPLETED
        outcome: dict[A, Value] = {
            A.OUTCOME: (Outcome.FAILED if is_failed else Outcome.COMPLETED).value
        }
        error: dict[A, Value] = (
            {A.ERROR_TYPE: "RateLimited", A.FAILURE_FINGERPRINT: "f00d"} if is_failed else {}
        )
        step: dict[A, Value] = {
            A.STEP_KIND: StepKind.ACTIVITY.value,
            A.STEP_NAME: "declare",
            A.INPUT_BYTES: 1_000,
        }
        branch: dict[A, Value] = {
            A.CODE_FUNCTION: "Cargo.run",
            A.CODE_LINE: 12,
            A.BRANCH_KIND: "if",
            A.DECISION_NAME: "fragile",
            A.BRANCH_OUTCOME: str(is_failed).lower(),
        }
        queue: dict[A, Value] = {A.TASK_QUEUE: "cargo", A.QUEUE_SECONDS: 0.4}
        wait: dict[A, Value] = {A.WOKEN_BY: WokenBy.UPDATE.value, A.IS_HUMAN_WAIT: True}
        yield _record(SpanKind.WORKFLOW, 90, {A.WORKFLOW_STATUS: status.value})
        yield _record(SpanKind.STEP, 7, outcome | step)
        yield _record(SpanKind.ATTEMPT, 2, outcome | error | queue | {A.ACTIVITY_TYPE: "declare"})
        yield _record(SpanKind.WAIT, 4000, wait)
        yield _record(SpanKind.BRANCH, 0, branch)
        kind: dict[A, Value] = {A.TASK_FAILURE_KIND: TaskFailureKind.NONDETERMINISM.value}
        yield _record(SpanKind.TASK_FAILURE, 1, kind)


def _record(kind: SpanKind, seconds: int, attributes: Mapping[A, Value]) -> SpanRecord:
    every: dict[A, Value] = {
        A.WORKFLOW_ID: "cargo-1",
        A.RUN_ID: "0198c5c6-3b1e-7c2a-9d4e-5f60718293a4",
        A.NAMESPACE: "default",
        A.WORKFLOW_TYPE: "Cargo",
    }
    texts = {key.value: value for key, value in {**every, **attributes}.items()}
    return SpanRecord(1, 1, None, kind, kind.value, 0, seconds * _SECOND, False, "", texts)
