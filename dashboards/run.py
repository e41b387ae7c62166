"""Run: one workflow id, from its spans. Everything here is a search in Tempo.

Metrics know no ids. Without the trace id the panels list what the runs of the workflow id did; with
it, the whole trace stands below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from dashboards.board import Board, board
from dashboards.panels import trace_search, trace_view
from dashboards.selection import data_sources, text_variable
from dashboards.traceql import any_of, below, equals, exists, spans
from tracer.names import Attribute, GenAI, SpanKind

__all__ = ["run"]

_THIS: Final = equals(Attribute.WORKFLOW_ID, "${workflow_id}")
_STEPS: Final = (
    SpanKind.STEP,
    SpanKind.LOCAL,
    SpanKind.CHILD,
    SpanKind.NEXUS,
    SpanKind.TIMER,
    SpanKind.EXTERNAL,
)


def run() -> Dashboard:
    """The dashboard, complete and laid out."""
    return board(
        Board.RUN,
        "Run",
        "What one workflow id did: its runs, steps, attempts, decisions, waits and model calls.",
        variables=[
            *data_sources(),
            text_variable("workflow_id", "Workflow id", "", "Of the runs to show"),
            text_variable("trace", "Trace id", "", "Of the trace to show; the tables list it"),
        ],
        rows=[
            ("Runs", [_runs()]),
            ("Trace", [_trace()]),
            ("Steps and attempts", [_steps(), _attempts(), _model_calls()]),
            ("Decisions, waits and messages", [_branches(), _waits(), _messages()]),
            ("Trouble", [_trouble()]),
        ],
    )


def _search(
    title: str, description: str, kinds: Sequence[SpanKind], select: Sequence[Attribute]
) -> Builder[Panel]:
    of_kind = any_of(Attribute.SPAN_KIND, *(kind.value for kind in kinds))
    return trace_search(title, description, spans(None, of_kind, _THIS, select=select))


def _runs() -> Builder[Panel]:
    return _search(
        "Runs",
        "The runs of the workflow id: `run …` as each starts, `workflow …` with the whole duration"
        " once it has ended. Copy the trace id to the field on top for the waterfall.",
        (SpanKind.RUN, SpanKind.WORKFLOW),
        (
            Attribute.WORKFLOW_ID,
            Attribute.RUN_ID,
            Attribute.WORKFLOW_TYPE,
            Attribute.WORKFLOW_STATUS,
            Attribute.FAILURE_MESSAGE,
        ),
    )


def _trace() -> Builder[Panel]:
    return trace_view(
        "Trace", "The whole trace whose id is on top, children and callers included.", "${trace}"
    )


def _steps() -> Builder[Panel]:
    return _search(
        "Steps",
        "What the workflow asked for, from the command to the answer.",
        _STEPS,
        (
            Attribute.STEP_NAME,
            Attribute.STEP_KIND,
            Attribute.OUTCOME,
            Attribute.ATTEMPTS,
            Attribute.SUMMARY,
        ),
    )


def _attempts() -> Builder[Panel]:
    return _search(
        "Attempts",
        "Each try of an activity, and why the one before it failed.",
        (SpanKind.ATTEMPT,),
        (
            Attribute.ACTIVITY_TYPE,
            Attribute.ACTIVITY_ATTEMPT,
            Attribute.OUTCOME,
            Attribute.QUEUE_SECONDS,
            Attribute.BACKOFF_SECONDS,
            Attribute.PREVIOUS_FAILURE_MESSAGE,
            Attribute.FAILURE_MESSAGE,
        ),
    )


def _model_calls() -> Builder[Panel]:
    attempts = spans(SpanKind.ATTEMPT, _THIS)
    return trace_search(
        "Model and tool calls",
        "What ran under the attempts, with tokens and cost.",
        below(
            attempts,
            spans(None, exists(GenAI.OPERATION)),
            select=(
                GenAI.OPERATION,
                GenAI.REQUEST_MODEL,
                GenAI.TOOL_NAME,
                GenAI.INPUT_TOKENS,
                GenAI.OUTPUT_TOKENS,
                GenAI.COST,
                Attribute.ERROR_TYPE,
            ),
        ),
    )


def _branches() -> Builder[Panel]:
    return _search(
        "Decisions",
        "Which way the code went: the condition, its outcome, and the reasons it gave.",
        (SpanKind.BRANCH,),
        (
            Attribute.CODE_FUNCTION,
            Attribute.CODE_LINE,
            Attribute.BRANCH_CONDITION,
            Attribute.BRANCH_OUTCOME,
            Attribute.DECISION_NAME,
            Attribute.DECISION_WHY,
        ),
    )


def _waits() -> Builder[Panel]:
    return _search(
        "Waits",
        "When it stood still, for what, and who ended that.",
        (SpanKind.WAIT,),
        (
            Attribute.WAIT_LABEL,
            Attribute.WOKEN_BY,
            Attribute.IS_HUMAN_WAIT,
            Attribute.IDENTITY,
        ),
    )


def _messages() -> Builder[Panel]:
    return _search(
        "Messages",
        "Signals and updates that it received, and queries that it answered.",
        (SpanKind.SIGNAL, SpanKind.UPDATE, SpanKind.QUERY),
        (
            Attribute.SIGNAL_NAME,
            Attribute.UPDATE_NAME,
            Attribute.QUERY_NAME,
            Attribute.OUTCOME,
            Attribute.IDENTITY,
        ),
    )


def _trouble() -> Builder[Panel]:
    return _search(
        "Failed workflow tasks and near limits",
        "Why it does not move, and what it is about to use up.",
        (SpanKind.TASK_FAILURE, SpanKind.LIMIT),
        (
            Attribute.TASK_FAILURE_KIND,
            Attribute.TASK_FAILURE_CAUSE,
            Attribute.FAILURE_MESSAGE,
            Attribute.LIMIT_NAME,
            Attribute.LIMIT_HEADROOM,
            Attribute.HOT_LINES,
        ),
    )
