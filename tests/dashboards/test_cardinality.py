"""Ten thousand runs make as many series as two hundred."""

import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricReader,
    PeriodicExportingMetricReader,
)

from tests.dashboards.fleet_of_one import Losses
from tests.dashboards.live_store import flush
from tests.dashboards.stores import instant, victoria_metrics
from tracer import names
from tracer._meters import Measured, Meters
from tracer._open_waits import OpenWaits
from tracer.genai._instruments import GenAIMeters, meters_of
from tracer.model.failures import fingerprint
from tracer.model.words import Failure, Outcome, RunStatus, StepKind, TaskFailureKind, WokenBy
from tracer.names import Attribute as A
from tracer.names import GenAI, SpanKind
from tracer.spans import SpanRecord, Value

_FEW, _SOME, _MANY = 200, 1_000, 10_000
_TYPES, _TENANTS = ("Order", "Refund", "Review"), ("acme", "globex")


class _Fleet:
    """Runs that differ in everything that may differ from run to run."""

    def __init__(self, reader: MetricReader, *, by_tenant: bool = False) -> None:
        self.provider = MeterProvider([reader], shutdown_on_exit=False)
        meter = self.provider.get_meter(names.TRACER_NAME)
        self._meters = Meters(meter, Losses(), OpenWaits(), by_tenant=by_tenant)
        self._calls: GenAIMeters = meters_of(self.provider)

    def run(self, numbers: range) -> None:
        for number in numbers:
            for record in _spans(number):
                self._meters.observe(record)
            run = "default", _TYPES[number % 3]
            self._meters.observe_activation(Measured(run, 0.01, 0.01, number, 100 * number))
            self._call_model(number)
        self._meters.flush()

    def _call_model(self, number: int) -> None:
        call = {
            GenAI.OPERATION.value: "chat",
            GenAI.PROVIDER.value: "acme",
            GenAI.REQUEST_MODEL.value: "acme-large",
            GenAI.RESPONSE_ID.value: f"chatcmpl-{number}",
            GenAI.CONVERSATION_ID.value: f"conversation-{number}",
            GenAI.TOOL_CALL_ID.value: f"call-{number}",
            GenAI.TOOL_NAME.value: "refund",
            A.WORKFLOW_ID.value: f"order-{number}",
            A.TOOL_BLOCK_REASON.value: f"refund of {number} USD is too much",
        }
        for metric in names.GENAI_METRICS:
            if metric is not names.TOOL_BLOCKS:
                self._calls.measure(metric, 0.001 * number, call)
        self._calls.count_block(call)


def _spans(number: int) -> Iterator[SpanRecord]:
    is_failed = number % 4 == 0
    outcome = (Outcome.FAILED if is_failed else Outcome.COMPLETED).value
    message = f"order {number} of 10.0.{number % 256}.7 was refused: {uuid.UUID(int=number)}"
    failure: dict[A, Value] = {
        A.ERROR_TYPE: "OrderRefused",
        A.FAILURE_MESSAGE: message,
        A.FAILURE_FINGERPRINT: fingerprint(Failure("application", "OrderRefused", message)),
    }
    status = RunStatus.FAILED if is_failed else RunStatus.COMPLETED
    of_step: dict[A, Value] = {
        A.OUTCOME: outcome,
        A.STEP_KIND: StepKind.ACTIVITY.value,
        A.STEP_NAME: "charge",
        A.STEP_ID: str(number),
        A.SUMMARY: f"charge order {number}",
        A.INPUT_BYTES: number,
        A.RESULT_BYTES: 2 * number,
    }
    of_attempt: dict[A, Value] = {
        A.OUTCOME: outcome,
        A.ACTIVITY_TYPE: "charge",
        A.ACTIVITY_ID: str(number),
        A.ACTIVITY_ATTEMPT: number,
        A.IDENTITY: f"{number}@worker",
        A.IS_LAST_ATTEMPT: True,
        A.TASK_QUEUE: "orders",
        A.QUEUE_SECONDS: 0.1 * number,
        **(failure if is_failed else {}),
    }
    of_wait: dict[A, Value] = {
        A.WAIT_LABEL: f"approval of order {number}",
        A.WOKEN_BY: WokenBy.UPDATE.value,
        A.IS_HUMAN_WAIT: True,
        A.UPDATE_ID: str(number),
    }
    of_branch: dict[A, Value] = {
        A.CODE_FUNCTION: "Order.run",
        A.CODE_LINE: 12,
        A.BRANCH_KIND: "decision",
        A.DECISION_NAME: "score",
        A.BRANCH_OUTCOME: 0.001 * number,
        A.BRANCH_VALUES: f'{{"order": {number}}}',
    }
    kind: dict[A, Value] = {
        A.TASK_FAILURE_KIND: TaskFailureKind.USER_EXCEPTION.value,
        A.FAILURE_MESSAGE: message,
    }
    yield _span(number, SpanKind.WORKFLOW, {A.WORKFLOW_STATUS: status.value})
    yield _span(number, SpanKind.STEP, of_step)
    yield _span(number, SpanKind.ATTEMPT, of_attempt)
    yield _span(number, SpanKind.WAIT, of_wait)
    yield _span(number, SpanKind.BRANCH, of_branch)
    yield _span(number, SpanKind.TASK_FAILURE, kind)


def _span(number: int, kind: SpanKind, attributes: dict[A, Value]) -> SpanRecord:
    every: dict[A, Value] = {
        A.WORKFLOW_ID: f"order-{number}",
        A.RUN_ID: str(uuid.UUID(int=number)),
        A.NAMESPACE: "default",
        A.WORKFLOW_TYPE: _TYPES[number % 3],
        A.TENANT: _TENANTS[number % 2],
    }
    texts = {key.value: value for key, value in {**every, **attributes}.items()}
    seconds = number * 1_000_000_000
    return SpanRecord(number + 1, 1, None, kind, f"{kind} {number}", 0, seconds, False, "", texts)


def _series(reader: InMemoryMetricReader) -> Counter[str]:
    data = reader.get_metrics_data()
    assert data is not None
    return Counter(
        metric.name
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for _ in metric.data.data_points
    )


@pytest.mark.parametrize(("runs", "by_tenant"), [(_MANY, False), (_SOME, True)])
def test_series_do_not_grow_with_runs(runs: int, by_tenant: bool) -> None:
    reader = InMemoryMetricReader()
    fleet = _Fleet(reader, by_tenant=by_tenant)
    fleet.run(range(_FEW))
    few = _series(reader)
    fleet.run(range(_FEW, runs))
    assert _series(reader) == few
    measured = {metric.name for metric in (*names.METRICS, *names.GENAI_METRICS)}
    of_others = {names.LOST_SPANS.name, names.OPEN_WAITS.name, names.OPEN_WAIT_AGE.name}
    assert few.keys() == measured - of_others
    # Three types with two outcomes or four limits, and each tenant its own if that was asked for.
    assert max(few.values()) <= 12 * (len(_TENANTS) if by_tenant else 1)
    fleet.provider.shutdown()


@pytest.mark.slow
def test_a_store_has_no_more_series_either(tmp_path: Path) -> None:
    with victoria_metrics(tmp_path) as client:
        endpoint = f"{client.base_url}/opentelemetry/v1/metrics"
        exporter = OTLPMetricExporter(endpoint=endpoint)
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
        fleet = _Fleet(reader)
        counted = []
        for numbers in (range(_FEW), range(_FEW, _SOME)):
            fleet.run(numbers)
            assert fleet.provider.force_flush()
            flush(client)
            [(_, count)] = instant(client, 'count({__name__=~".+"})')
            counted.append(count)
        assert counted[0] == counted[1] > 0
        fleet.provider.shutdown()
