"""Alert rules for Prometheus and its kin, from the same names as the dashboards.

Each rule says what happened in a line, and where its runbook stands. Thresholds are starting points
and stand here alone; a count is right from the first sample of a series on, which plain `increase`
is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dashboards import temporal_metrics
from dashboards.promql import (
    Key,
    amount,
    any_of,
    highest,
    label_name,
    lowest,
    metric_name,
    none_of,
    total,
)
from dashboards.promql import present as now
from dashboards.selection import FAILED
from dashboards.temporal_metrics import Label
from tracer import names
from tracer.limits import Limit
from tracer.model.words import TaskFailureKind
from tracer.names import Attribute, Metric

__all__ = ["ALERTS", "RUNBOOKS", "Alert", "rules"]

RUNBOOKS: Final = "docs/dashboards.md"
"""The page with a section for each alert, its name in lower case."""

_OF_TYPE: Final = (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE)
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule."""

    name: str
    promql: str
    lasting: str
    """How long it must be true: a duration of Prometheus."""
    severity: str
    """`page`: somebody has to act now; `ticket`: today."""
    summary: str
    """One line; `{{ $labels.… }}` and `{{ $value … }}` are Prometheus' own."""


def rules() -> dict[str, Any]:
    """The file that Prometheus loads."""
    group = {"name": "retrospan", "interval": "1m", "rules": [_rule(alert) for alert in ALERTS]}
    return {"groups": [group]}


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.promql,
        "for": alert.lasting,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "runbook": f"{RUNBOOKS}#{alert.name.lower()}",
        },
    }


def _said(metric: Metric, *keys: Key) -> str:
    return " ".join(f"{{{{ $labels.{label_name(metric, key)} }}}}" for key in keys)


def _pollers_gone() -> Alert:
    metric, by = temporal_metrics.POLLERS, (Label.NAMESPACE, Label.TASK_QUEUE)
    polled = f"sum by ({', '.join(by)}) (max_over_time({metric_name(metric)}[1h])) > 0"
    return Alert(
        "RetrospanPollersGone",
        f"({polled}) unless ({now(metric, by=by, where=())} > 0)",
        "5m",
        "page",
        f"Nobody polls task queue {_said(metric, Label.TASK_QUEUE)}: its runs stand still",
    )


def _nondeterminism() -> Alert:
    metric = names.TASK_FAILURES
    where = [any_of(Attribute.TASK_FAILURE_KIND, TaskFailureKind.NONDETERMINISM)]
    return Alert(
        "RetrospanNondeterminism",
        total(metric, by=_OF_TYPE, where=where, window="10m"),
        "0m",
        "page",
        f"Code of {_said(metric, Attribute.WORKFLOW_TYPE)} does not fit its running workflows",
    )


def _stuck_runs() -> Alert:
    metric = names.TASK_FAILURES
    where = [none_of(Attribute.TASK_FAILURE_KIND, TaskFailureKind.RESET)]
    return Alert(
        "RetrospanRunsStuck",
        # Temporal retries a failed task at least every ten minutes.
        total(metric, by=(*_OF_TYPE, Attribute.TASK_FAILURE_KIND), where=where, window="15m"),
        "30m",
        "page",
        f"Runs of {_said(metric, Attribute.WORKFLOW_TYPE)} fail the same workflow task again and"
        f" again: {_said(metric, Attribute.TASK_FAILURE_KIND)}",
    )


def _retry_storm() -> Alert:
    metric, by = names.ATTEMPT_COUNT, (*_OF_TYPE, Attribute.ACTIVITY_TYPE)
    failed = total(metric, by=by, where=[FAILED], window="10m")
    tried = total(metric, by=by, where=(), window="10m")
    return Alert(
        "RetrospanRetryStorm",
        f"(({failed}) / ({tried}) > 0.5) and (({failed}) > 100)",
        "5m",
        "page",
        f"{{{{ $value | humanizePercentage }}}} of the attempts of"
        f" {_said(metric, Attribute.ACTIVITY_TYPE)} fail",
    )


def _cost_burn() -> Alert:
    metric, by = names.COST, _OF_TYPE
    labels = ", ".join(label_name(metric, key) for key in by)
    yesterday = f"sum by ({labels}) (increase({metric_name(metric)}_sum[1h] offset 1d))"
    this_hour = amount(metric, by=by, where=(), window="1h")
    return Alert(
        "RetrospanCostBurn",
        # Nothing yesterday is no excuse: then the floor alone decides.
        f"(({this_hour}) > 3 * ({yesterday}) or ({this_hour}) unless ({yesterday})) > 5",
        "10m",
        "ticket",
        f"Model calls of {_said(metric, Attribute.WORKFLOW_TYPE)} cost"
        " {{ $value | humanize }} USD in the last hour, over three times yesterday's",
    )


def _approval_overdue() -> Alert:
    metric = names.OPEN_WAIT_AGE
    return Alert(
        "RetrospanApprovalOverdue",
        f"{highest(metric, by=_OF_TYPE, where=())} > {_DAY_SECONDS}",
        "10m",
        "ticket",
        f"A run of {_said(metric, Attribute.WORKFLOW_TYPE)} has waited for"
        " {{ $value | humanizeDuration }}",
    )


def _near_limit(name: str, limits: Sequence[Limit], what: str) -> Alert:
    metric, by = names.HEADROOM, (*_OF_TYPE, Attribute.LIMIT_NAME)
    where = [any_of(Attribute.LIMIT_NAME, *limits)]
    return Alert(
        name,
        f"{lowest(metric, by=by, where=where)} < 0.2",
        "0m",
        "ticket",
        f"{what} of {_said(metric, Attribute.WORKFLOW_TYPE)} has"
        f" {{{{ $value | humanizePercentage }}}} left of the limit"
        f" {_said(metric, Attribute.LIMIT_NAME)}",
    )


def _telemetry_loss() -> Alert:
    losses = " + ".join(
        f"({total(metric, where=(), window='10m')} or vector(0))"
        for metric in (names.DROPPED_SPANS, names.LOST_SPANS, names.TRACER_ERRORS)
    )
    return Alert(
        "RetrospanTelemetryLoss",
        f"{losses} > 0",
        "5m",
        "ticket",
        "{{ $value }} spans or errors of the tracer were lost in ten minutes: traces have gaps",
    )


ALERTS: Final = (
    _pollers_gone(),
    _nondeterminism(),
    _stuck_runs(),
    _retry_storm(),
    _cost_burn(),
    _approval_overdue(),
    _near_limit("RetrospanPayloadNearLimit", [Limit.PAYLOAD], "A payload"),
    _near_limit(
        "RetrospanHistoryNearLimit", [Limit.HISTORY_EVENTS, Limit.HISTORY_BYTES], "A history"
    ),
    _telemetry_loss(),
)
"""All rules, the most urgent first."""
