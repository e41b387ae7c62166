"""Every name that Retrospan puts into telemetry: the one place for spans, attributes and metrics.

Docs, SQL and dashboards are generated from or checked against this module. Three families:
`temporal…ID` in camel case are the names that Temporal's own SDK plugins write, kept so that traces
join; dotted `temporal.*` are facts about Temporal; `retrospan.*` are our own ideas.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

TRACER_NAME: Final = "retrospan"
"""The instrumentation scope of all spans and metrics."""

HEADER: Final = "_tracer-data"
"""The header that carries W3C trace context; the same as in Temporal's own plugins."""

LINK_HEADER: Final = "_retrospan-link"
"""Carries the trace context of a run to the run that it continues as: a link, not a parent."""


class SpanKind(StrEnum):
    """What a span stands for: the value of `retrospan.span.kind`, and part of its id."""

    RUN = "run"
    """`run {type}`: zero length, exported as soon as the run starts. The root of its spans, so that
    the trace of an open run, or of one that was terminated, has no orphans."""
    WORKFLOW = "workflow"
    """`workflow {type}`: from start to close, whatever the outcome."""
    STEP = "step"
    """`step {name}`: an activity, from the command to its answer."""
    LOCAL = "local"
    """`local {name}`: a local activity."""
    CHILD = "child"
    """`child {type}`: a child workflow, as its parent sees it."""
    NEXUS = "nexus"
    """`nexus {service}/{operation}`"""
    TIMER = "timer"
    """`timer`: from start to firing or cancellation."""
    EXTERNAL = "external"
    """`external {name}`: a signal or cancel request to another workflow."""
    ATTEMPT = "attempt"
    """`attempt {name}`: one try of a step, on the activity worker."""
    WAIT = "wait"
    """`wait {label}`: the run stood still."""
    SIGNAL = "signal"
    """`signal {name}`: received; zero length."""
    UPDATE = "update"
    """`update {name}`: from admission to answer."""
    TASK_FAILURE = "task_failure"
    """`task failure`: a failed workflow task."""
    START = "start"
    """`start {type}`: a client starts a workflow."""


class Attribute(StrEnum):
    """Attribute keys."""

    WORKFLOW_ID = "temporalWorkflowID"
    RUN_ID = "temporalRunID"
    ACTIVITY_ID = "temporalActivityID"
    NAMESPACE = "temporal.namespace"
    TASK_QUEUE = "temporal.task_queue"
    WORKFLOW_TYPE = "temporal.workflow.type"
    WORKFLOW_STATUS = "temporal.workflow.status"
    WORKFLOW_ATTEMPT = "temporal.workflow.attempt"
    PARENT_WORKFLOW_ID = "temporal.workflow.parent.id"
    CONTINUED_FROM = "temporal.workflow.continued_from.run_id"
    ACTIVITY_TYPE = "temporal.activity.type"
    ACTIVITY_ATTEMPT = "temporal.activity.attempt"
    IS_LOCAL = "temporal.activity.local"
    CHILD_WORKFLOW_ID = "temporal.child.workflow.id"
    TIMER_ID = "temporal.timer.id"
    SIGNAL_NAME = "temporal.signal.name"
    UPDATE_ID = "temporal.update.id"
    UPDATE_NAME = "temporal.update.name"
    IDENTITY = "temporal.identity"
    SUMMARY = "temporal.summary"
    RETRY_STATE = "temporal.retry_state"
    MAXIMUM_ATTEMPTS = "temporal.retry_policy.maximum_attempts"
    TASK_FAILURE_CAUSE = "temporal.workflow_task.failure.cause"
    SPAN_KIND = "retrospan.span.kind"
    STEP_KIND = "retrospan.step.kind"
    STEP_NAME = "retrospan.step.name"
    STEP_ID = "retrospan.step.id"
    STEP_OCCURRENCE = "retrospan.step.occurrence"
    OUTCOME = "retrospan.outcome"
    ATTEMPTS = "retrospan.step.attempts"
    INPUT_BYTES = "retrospan.input.bytes"
    RESULT_BYTES = "retrospan.result.bytes"
    SCHEDULED_AT = "retrospan.attempt.scheduled_at"
    QUEUE_SECONDS = "retrospan.queue.seconds"
    IS_LAST_ATTEMPT = "retrospan.attempt.last"
    WAIT_LABEL = "retrospan.wait.label"
    WOKEN_BY = "retrospan.wait.woken_by"
    IS_HUMAN_WAIT = "retrospan.wait.human"
    TASK_FAILURE_KIND = "retrospan.task_failure.kind"
    FAILURE_MESSAGE = "retrospan.failure.message"
    FAILURE_FINGERPRINT = "retrospan.failure.fingerprint"
    ERROR_TYPE = "error.type"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: what it counts or measures, and by which low-cardinality attributes."""

    name: str
    unit: str
    """In UCUM, as OpenTelemetry asks."""
    brief: str
    attributes: tuple[str, ...]


RUNS: Final = Metric(
    "retrospan.runs",
    "{run}",
    "Runs that ended, by outcome.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE, Attribute.WORKFLOW_STATUS),
)
RUN_DURATION: Final = Metric(
    "retrospan.run.duration",
    "s",
    "From start to end of a run.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE, Attribute.WORKFLOW_STATUS),
)
STEP_DURATION: Final = Metric(
    "retrospan.step.duration",
    "s",
    "From the command to the answer, all attempts and queueing included.",
    (
        Attribute.NAMESPACE,
        Attribute.WORKFLOW_TYPE,
        Attribute.STEP_KIND,
        Attribute.STEP_NAME,
        Attribute.OUTCOME,
    ),
)
ATTEMPT_COUNT: Final = Metric(
    "retrospan.attempts",
    "{attempt}",
    "Attempts of activities that ended, by outcome and fingerprint of the failure.",
    (
        Attribute.NAMESPACE,
        Attribute.WORKFLOW_TYPE,
        Attribute.ACTIVITY_TYPE,
        Attribute.OUTCOME,
        Attribute.ERROR_TYPE,
        Attribute.FAILURE_FINGERPRINT,
    ),
)
QUEUE_TIME: Final = Metric(
    "retrospan.step.queue_time",
    "s",
    "From the scheduling of an attempt to its start on a worker.",
    (Attribute.NAMESPACE, Attribute.TASK_QUEUE, Attribute.ACTIVITY_TYPE),
)
WAIT_DURATION: Final = Metric(
    "retrospan.wait.duration",
    "s",
    "How long runs stood still.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE, Attribute.WOKEN_BY, Attribute.IS_HUMAN_WAIT),
)
TASK_FAILURES: Final = Metric(
    "retrospan.task_failures",
    "{failure}",
    "Failed workflow tasks, by class.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE, Attribute.TASK_FAILURE_KIND),
)
DROPPED_SPANS: Final = Metric(
    "retrospan.dropped_spans",
    "{span}",
    "Spans lost because the exporter could not keep up.",
    (),
)
TRACER_ERRORS: Final = Metric(
    "retrospan.tracer_errors",
    "{error}",
    "Errors of the tracer itself; none of them touches a workflow.",
    (),
)

METRICS: Final = (
    RUNS,
    RUN_DURATION,
    STEP_DURATION,
    ATTEMPT_COUNT,
    QUEUE_TIME,
    WAIT_DURATION,
    TASK_FAILURES,
    DROPPED_SPANS,
    TRACER_ERRORS,
)
"""All metrics that the tracer emits."""

DURATION_BUCKETS: Final = (
    0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 43200, 86400, 604800,
)  # fmt: skip
"""Seconds, up to a week: a run that waits for a person takes days."""
