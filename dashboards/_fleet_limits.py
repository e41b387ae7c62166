"""Fleet: which way workflow code goes, and how near runs come to Temporal's limits."""

from __future__ import annotations

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.panels import HALF, THIRD, Column, Key, Line, graph, grid
from dashboards.promql import Matcher, label_name, legend, lowest, per_minute, per_second, total
from dashboards.selection import chosen, explore
from tracer import names
from tracer.names import Attribute, SpanKind

__all__ = ["branch_panels", "limit_panels"]


def branch_panels() -> list[Builder[Panel]]:
    """The decisions of workflow code."""
    return [_branches_by_outcome(), _named_decisions(), _branch_table()]


def limit_panels() -> list[Builder[Panel]]:
    """What is left before Temporal refuses a payload, a history or an activation."""
    return [_headroom(), _activation_cpu(), _payload_bytes()]


def _branches_by_outcome() -> Builder[Panel]:
    metric, by = names.BRANCHES, Attribute.BRANCH_OUTCOME
    return graph(
        "Branches by outcome",
        "Decisions that workflow code took, per minute. A shift without a deploy means that the "
        "data has changed.",
        [Line(per_minute(metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="cpm",
        width=HALF,
        stacked=True,
    )


def _named_decisions() -> Builder[Panel]:
    metric, by = names.BRANCHES, Attribute.DECISION_NAME
    named = Matcher(by, "=~", ".+")
    return graph(
        "Named decisions",
        "Decisions that the code names with tracer.decision, per minute.",
        [Line(per_minute(metric, by=(by,), where=chosen(metric, named)), legend(metric, by))],
        unit="cpm",
        width=HALF,
        stacked=True,
    )


def _branch_table() -> Builder[Panel]:
    metric = names.BRANCHES
    function = Attribute.CODE_FUNCTION
    others = {
        Attribute.CODE_LINE: "Line",
        Attribute.BRANCH_KIND: "Kind",
        Attribute.DECISION_NAME: "Decision",
        Attribute.BRANCH_OUTCOME: "Outcome",
    }
    return grid(
        "Branches",
        "Which way each place in workflow code went over the time range. A click on a function "
        "opens its decisions, with condition and reasons.",
        [
            Key(label_name(metric, function), "Function", explore(SpanKind.BRANCH, cell=function)),
            *(Key(label_name(metric, attribute), heading) for attribute, heading in others.items()),
        ],
        [Column("Taken", total(metric, by=(function, *others), where=chosen(metric)), "short")],
    )


def _headroom() -> Builder[Panel]:
    metric, by = names.HEADROOM, Attribute.LIMIT_NAME
    return graph(
        "Least headroom by limit",
        "What the nearest step, run or activation has left of a limit: payloads of 2 MB, histories "
        "of 51,200 events and 50 MB, activations of 2 s. At 20 % spans are marked.",
        [Line(lowest(metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="percentunit",
        width=THIRD,
    )


def _activation_cpu() -> Builder[Panel]:
    metric, by = names.ACTIVATION_CPU_TIME, Attribute.WORKFLOW_TYPE
    seconds = per_second(metric, by=(by,), where=chosen(metric))
    activations = per_second(names.ACTIVATIONS, by=(by,), where=chosen(names.ACTIVATIONS))
    return graph(
        "CPU per activation by workflow type",
        "Mean processor time of workflow code each time it runs; replays are left out.",
        [Line(f"({seconds}) / (({activations}) > 0)", legend(metric, by))],
        unit="s",
        width=THIRD,
    )


def _payload_bytes() -> Builder[Panel]:
    metric, by = names.PAYLOAD_BYTES, Attribute.STEP_NAME
    return graph(
        "Payload bytes by step",
        "Bytes of the inputs and results of steps, per second: what histories grow by.",
        [Line(per_second(metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="Bps",
        width=THIRD,
    )
