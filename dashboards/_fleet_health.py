"""Fleet, last rows: queues and waits, workflow tasks, the tracer's own health, and traces."""

from __future__ import annotations

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.panels import THIRD, Column, Key, Line, graph, grid, trace_search
from dashboards.promql import label_name, legend, per_minute, quantile, total
from dashboards.selection import HUMAN, chosen, chosen_spans, explore
from dashboards.traceql import equals
from tracer import names
from tracer.names import Attribute, SpanKind

__all__ = ["health_panels", "trace_panels", "wait_panels"]


def wait_panels() -> list[Builder[Panel]]:
    """Time in which nothing was worked on."""
    return [_queue_time(), _waits(), _human_waits()]


def health_panels() -> list[Builder[Panel]]:
    """Failed workflow tasks, and what the tracer lost."""
    return [_task_failures(), _task_failure_table(), _tracer_health()]


def trace_panels() -> list[Builder[Panel]]:
    """The newest spans that an operator wants to open."""
    return [_failed_run_traces(), _human_wait_traces()]


def _queue_time() -> Builder[Panel]:
    metric, by = names.QUEUE_TIME, Attribute.TASK_QUEUE
    return graph(
        "Queue time p95 by task queue",
        "From the scheduling of an attempt to its start on a worker. It rises when workers are too "
        "few or too busy. Not filtered by workflow type.",
        [Line(quantile(0.95, metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="s",
        width=THIRD,
    )


def _waits() -> Builder[Panel]:
    metric, by = names.WAIT_DURATION, Attribute.WOKEN_BY
    return graph(
        "Wait p95 by what ended it",
        "How long runs stood still until a signal, an update or a timer woke them.",
        [Line(quantile(0.95, metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="s",
        width=THIRD,
    )


def _human_waits() -> Builder[Panel]:
    metric = names.WAIT_DURATION
    return graph(
        "Human waits",
        "How long runs waited for a person. A wait is measured when it ends: one that is still "
        "open is not in here.",
        [
            Line(quantile(q, metric, where=chosen(metric, HUMAN)), f"p{q * 100:.0f}")
            for q in (0.5, 0.95)
        ],
        unit="s",
        width=THIRD,
    )


def _task_failures() -> Builder[Panel]:
    metric, by = names.TASK_FAILURES, Attribute.TASK_FAILURE_KIND
    return graph(
        "Workflow task failures by kind",
        "Failed workflow tasks per minute. Nondeterminism and deadlocks need a change of code: the "
        "run is stuck until then.",
        [Line(per_minute(metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="cpm",
        width=THIRD,
        stacked=True,
    )


def _task_failure_table() -> Builder[Panel]:
    metric = names.TASK_FAILURES
    workflow_type, kind = Attribute.WORKFLOW_TYPE, Attribute.TASK_FAILURE_KIND
    failures = total(metric, by=(workflow_type, kind), where=chosen(metric))
    of_type = explore(SpanKind.TASK_FAILURE, cell=workflow_type)
    return grid(
        "Workflow task failures",
        "Failed workflow tasks in the time range. A click on a type opens them.",
        [
            Key(label_name(metric, workflow_type), "Workflow type", of_type),
            Key(label_name(metric, kind), "Kind"),
        ],
        [Column("Failures", failures, "short")],
        width=THIRD,
    )


def _tracer_health() -> Builder[Panel]:
    lost, reason = names.LOST_SPANS, Attribute.LOSS_REASON
    return graph(
        "Tracer health",
        "Spans that did not reach the collector, by reason, and errors of the tracer itself, per "
        "minute. None of them touches a workflow. Not filtered by namespace or workflow type.",
        [
            Line(per_minute(names.DROPPED_SPANS, where=()), "dropped spans"),
            Line(per_minute(lost, by=(reason,), where=()), f"lost: {legend(lost, reason)}"),
            Line(per_minute(names.TRACER_ERRORS, where=()), "tracer errors"),
        ],
        unit="cpm",
        width=THIRD,
    )


def _failed_run_traces() -> Builder[Panel]:
    return trace_search(
        "Failed runs",
        "The newest runs that failed or timed out, from Tempo. A click on a trace opens the whole "
        "run.",
        chosen_spans(
            SpanKind.WORKFLOW,
            errors_only=True,
            select=(
                Attribute.WORKFLOW_ID,
                Attribute.WORKFLOW_STATUS,
                Attribute.ERROR_TYPE,
                Attribute.FAILURE_MESSAGE,
            ),
        ),
    )


def _human_wait_traces() -> Builder[Panel]:
    return trace_search(
        "Human waits",
        "The newest waits that an approval ended, from Tempo.",
        chosen_spans(
            SpanKind.WAIT,
            equals(Attribute.IS_HUMAN_WAIT, True),
            select=(Attribute.WORKFLOW_ID, Attribute.WAIT_LABEL, Attribute.WOKEN_BY),
        ),
    )
