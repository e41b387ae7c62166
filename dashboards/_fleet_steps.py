"""Fleet, middle rows: steps, and the attempts that they took."""

from __future__ import annotations

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.panels import HALF, OUTCOME_COLORS, Column, Key, Line, graph, grid
from dashboards.promql import (
    RANGE_WINDOW,
    label_name,
    legend,
    mean,
    per_minute,
    quantile,
    share,
    total,
)
from dashboards.selection import FAILED, chosen, explore
from tracer import names
from tracer.names import Attribute, Metric, SpanKind

__all__ = ["attempt_panels", "step_panels"]


def step_panels() -> list[Builder[Panel]]:
    """What workflows ask for: how long it takes and how it ends."""
    return [
        _step_duration(),
        _by_outcome(
            names.STEP_DURATION,
            "Steps by outcome",
            "Steps that were answered, per minute. A failed step has used up its retries.",
        ),
        _step_table(),
    ]


def attempt_panels() -> list[Builder[Panel]]:
    """Each try of an activity, and what the failed ones have in common."""
    return [
        _by_outcome(
            names.ATTEMPT_COUNT,
            "Attempts by outcome",
            "Activity attempts that ended, per minute: each retry counts.",
        ),
        _failed_by_error_type(),
        _fingerprints(),
    ]


def _step_duration() -> Builder[Panel]:
    metric, by = names.STEP_DURATION, Attribute.STEP_NAME
    return graph(
        "Step duration p95 by step",
        "From the command to the answer: queueing, all attempts and their backoff included.",
        [Line(quantile(0.95, metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="s",
        width=HALF,
    )


def _by_outcome(metric: Metric, title: str, description: str) -> Builder[Panel]:
    by = Attribute.OUTCOME
    return graph(
        title,
        description,
        [Line(per_minute(metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="cpm",
        width=HALF,
        stacked=True,
        colors=OUTCOME_COLORS,
    )


def _step_table() -> Builder[Panel]:
    metric, by = names.STEP_DURATION, (Attribute.STEP_NAME, Attribute.STEP_KIND)
    where = chosen(metric)
    answered = total(metric, by=by, where=where)
    failed = total(metric, by=by, where=chosen(metric, FAILED))
    spans_of_step = explore(None, cell=Attribute.STEP_NAME)
    quantiles = {
        q: quantile(q, metric, by=by, where=where, window=RANGE_WINDOW) for q in (0.5, 0.95, 0.99)
    }
    return grid(
        "Steps",
        "Where the time goes: each step over the time range. A click on a step opens its spans.",
        [
            Key(label_name(metric, Attribute.STEP_NAME), "Step", spans_of_step),
            Key(label_name(metric, Attribute.STEP_KIND), "Kind"),
        ],
        [
            Column("Answered", answered, "short"),
            Column("Failed", share(failed, answered), "percentunit"),
            Column("Mean", mean(metric, by=by, where=where, window=RANGE_WINDOW), "s"),
            *(Column(f"p{q * 100:.0f}", promql, "s") for q, promql in quantiles.items()),
        ],
    )


def _failed_by_error_type() -> Builder[Panel]:
    metric, by = names.ATTEMPT_COUNT, Attribute.ERROR_TYPE
    promql = per_minute(metric, by=(by,), where=chosen(metric, FAILED))
    return graph(
        "Failed attempts by error type",
        "Activity attempts that failed or timed out, per minute, by the class of the error.",
        [Line(promql, legend(metric, by))],
        unit="cpm",
        width=HALF,
        stacked=True,
    )


def _fingerprints() -> Builder[Panel]:
    metric = names.ATTEMPT_COUNT
    fingerprint = Attribute.FAILURE_FINGERPRINT
    attempts = explore(SpanKind.ATTEMPT, cell=fingerprint)
    others = {
        Attribute.ERROR_TYPE: "Error type",
        Attribute.ACTIVITY_TYPE: "Activity",
        Attribute.WORKFLOW_TYPE: "Workflow type",
    }
    by = (fingerprint, *others)
    return grid(
        "Failures by fingerprint",
        "Failed attempts in the time range. Failures that differ only in ids, numbers and "
        "addresses share a fingerprint. A click on it opens the attempts.",
        [
            Key(label_name(metric, fingerprint), "Fingerprint", attempts),
            *(Key(label_name(metric, attribute), heading) for attribute, heading in others.items()),
        ],
        [Column("Failed attempts", total(metric, by=by, where=chosen(metric, FAILED)), "short")],
    )
