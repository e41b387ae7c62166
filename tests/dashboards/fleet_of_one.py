"""What the examples never do, through the tracer's own instruments: a fleet of synthetic runs."""

import time
from collections.abc import Iterator, Mapping

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from tracer import names
from tracer._guard import Guard
from tracer._meters import Measured, Meters
from tracer._open_waits import OpenWaits, Standing
from tracer.genai._instruments import meters_of
from tracer.model.words import Outcome, RunStatus, StepKind, TaskFailureKind, WokenBy
from tracer.names import Attribute as A
from tracer.names import GenAI, SpanKind
from tracer.spans import SpanRecord, Value

NAMESPACE = "synthetic"
FAILED, COMPLETED = 2, 8
LOST, DROPPED = 4, 30
WAITING_SECONDS = 90_000

_SECOND = 1_000_000_000


class Losses:
    """The tracer's own losses."""

    dropped = DROPPED

    def __init__(self) -> None:
        self.guard = Guard()
        self.guard.note("a test", RuntimeError("of the tracer"))


class Standstill:
    """A run that waits since yesterday."""

    def standing(self) -> Standing:
        since = time.time_ns() - WAITING_SECONDS * _SECOND
        return Standing((NAMESPACE, "Cargo"), since)


def emit(endpoint: str) -> None:
    """Export twice: a rate needs two samples."""
    exporter = OTLPMetricExporter(endpoint=endpoint)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter(names.TRACER_NAME)
    open_waits, waiting = OpenWaits(), Standstill()
    open_waits.add(waiting, Standstill.standing)
    meters = Meters(meter, Losses(), open_waits)
    lost = meter.create_counter(names.LOST_SPANS.name, unit=names.LOST_SPANS.unit)
    lost.add(LOST, {A.LOSS_REASON.value: "queue_full"})
    for _ in range(2):
        for record in records(FAILED // 2, COMPLETED // 2):
            meters.observe(record)
        meters.observe_activation(Measured((NAMESPACE, "Cargo"), 0.2, 0.1, 100, 10_000))
        meters.flush()
        _call_models_and_tools(provider)
        assert provider.force_flush()
        # Samples of one second are one sample to the store.
        time.sleep(1.1)
    provider.shutdown()


def records(failed: int, completed: int) -> Iterator[SpanRecord]:
    """The spans of that many runs, as far as they are measured."""
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
        yield record(SpanKind.WORKFLOW, 90, {A.WORKFLOW_STATUS: status.value})
        yield record(SpanKind.STEP, 7, outcome | step)
        yield record(SpanKind.ATTEMPT, 2, outcome | error | queue | {A.ACTIVITY_TYPE: "declare"})
        yield record(SpanKind.WAIT, 100_000 if is_failed else 4_000, wait)
        yield record(SpanKind.BRANCH, 0, branch)
        kind: dict[A, Value] = {A.TASK_FAILURE_KIND: TaskFailureKind.NONDETERMINISM.value}
        yield record(SpanKind.TASK_FAILURE, 1, kind)


def record(
    kind: SpanKind, seconds: int, attributes: Mapping[A, Value], *, run: int = 1
) -> SpanRecord:
    """One span of a run."""
    every: dict[A, Value] = {
        A.WORKFLOW_ID: f"cargo-{run}",
        A.RUN_ID: f"0198c5c6-3b1e-7c2a-9d4e-{run:012x}",
        A.NAMESPACE: NAMESPACE,
        A.WORKFLOW_TYPE: "Cargo",
    }
    texts = {key.value: value for key, value in {**every, **attributes}.items()}
    return SpanRecord(1, 1, None, kind, kind.value, 0, seconds * _SECOND, False, "", texts)


def _call_models_and_tools(provider: MeterProvider) -> None:
    meters = meters_of(provider)
    call = {
        GenAI.OPERATION.value: "chat",
        GenAI.PROVIDER.value: "acme",
        GenAI.REQUEST_MODEL.value: "acme-large",
        GenAI.RESPONSE_MODEL.value: "acme-large-1",
    }
    of_run = {A.NAMESPACE.value: NAMESPACE, A.WORKFLOW_TYPE.value: "Cargo"}
    meters.measure(names.MODEL_CALL_DURATION, 3.0, call)
    meters.measure(names.TIME_TO_FIRST_CHUNK, 0.5, call)
    meters.measure(names.TIME_PER_CHUNK, 0.02, call)
    for kind, tokens in (("input", 1_000), ("output", 200)):
        meters.measure(names.TOKENS, tokens, {**call, GenAI.TOKEN_TYPE.value: kind})
    meters.measure(names.COST, 0.25, {**call, **of_run})
    limited = {A.ERROR_TYPE.value: "RateLimited"}
    meters.measure(names.MODEL_CALL_DURATION, 0.1, {**call, **limited})
    tool = {GenAI.TOOL_NAME.value: "refund", GenAI.TOOL_TYPE.value: "function"}
    meters.measure(names.TOOL_DURATION, 0.2, tool)
    meters.count_block({**tool, A.TOOL_BLOCK_POLICY.value: "refund_limit"})
