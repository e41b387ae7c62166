"""Agents and cost, last rows: models, tools, and the traces of both."""

from __future__ import annotations

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards._agents_money import CALLS, FAILED_CALLS
from dashboards.panels import HALF, THIRD, Column, Key, Line, graph, grid, trace_search
from dashboards.promql import (
    RANGE_WINDOW,
    amount,
    any_of,
    label_name,
    legend,
    per_hour,
    per_minute,
    quantile,
    share,
    total,
)
from dashboards.selection import chosen, chosen_spans
from dashboards.traceql import below, exists, spans
from tracer import names
from tracer.names import Attribute, GenAI, SpanKind

__all__ = ["model_panels", "tool_panels", "trace_panels"]


def model_panels() -> list[Builder[Panel]]:
    """How models answer."""
    return [_tokens(), _durations(), _errors(), _first_chunk(), _per_chunk(), _models()]


def tool_panels() -> list[Builder[Panel]]:
    """What agents do, and what they were kept from."""
    return [_tool_calls(), _blocked(), _tools()]


def trace_panels() -> list[Builder[Panel]]:
    """The newest model calls that an operator wants to open."""
    attempts = chosen_spans(SpanKind.ATTEMPT)
    shown = (
        GenAI.OPERATION,
        GenAI.REQUEST_MODEL,
        GenAI.INPUT_TOKENS,
        GenAI.OUTPUT_TOKENS,
        GenAI.COST,
        Attribute.ERROR_TYPE,
    )
    return [
        trace_search(
            "Failed model calls",
            "The newest model and tool calls that failed, under attempts of the chosen workflow"
            " types. A click on a trace opens the whole run.",
            below(attempts, spans(None, exists(GenAI.OPERATION), errors_only=True), select=shown),
        ),
        trace_search(
            "Blocked tool calls",
            "The newest tool calls that a policy or a person refused.",
            below(
                attempts,
                spans(None, exists(Attribute.TOOL_BLOCK_POLICY)),
                select=(GenAI.TOOL_NAME, Attribute.TOOL_BLOCK_POLICY, Attribute.TOOL_BLOCK_REASON),
            ),
        ),
    ]


def _tokens() -> Builder[Panel]:
    metric, by = names.TOKENS, GenAI.TOKEN_TYPE
    return graph(
        "Tokens per hour",
        "Input tokens with cached ones, output tokens with reasoning.",
        [Line(per_hour(metric, by=(by,), where=chosen(metric, CALLS)), legend(metric, by))],
        unit="short",
        width=THIRD,
        stacked=True,
    )


def _durations() -> Builder[Panel]:
    metric, by = names.MODEL_CALL_DURATION, GenAI.REQUEST_MODEL
    where = chosen(metric, CALLS)
    return graph(
        "Model call p95 by model",
        "From the request to the end of the answer.",
        [Line(quantile(0.95, metric, by=(by,), where=where), legend(metric, by))],
        unit="s",
        width=THIRD,
    )


def _errors() -> Builder[Panel]:
    metric, by = names.MODEL_CALL_DURATION, Attribute.ERROR_TYPE
    where = chosen(metric, CALLS, FAILED_CALLS)
    return graph(
        "Failed model calls by error type",
        "Per minute. Rate limits show here first: retries hide them from the outcome of steps.",
        [Line(per_minute(metric, by=(by,), where=where), legend(metric, by))],
        unit="cpm",
        width=THIRD,
        stacked=True,
    )


def _first_chunk() -> Builder[Panel]:
    metric, by = names.TIME_TO_FIRST_CHUNK, GenAI.REQUEST_MODEL
    return graph(
        "First chunk p95 by model",
        "Streamed calls: from the request to the first chunk of the answer.",
        [Line(quantile(0.95, metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="s",
        width=HALF,
    )


def _per_chunk() -> Builder[Panel]:
    metric, by = names.TIME_PER_CHUNK, GenAI.REQUEST_MODEL
    return graph(
        "Time per chunk p95 by model",
        "Streamed calls: from one chunk to the next.",
        [Line(quantile(0.95, metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="s",
        width=HALF,
    )


def _models() -> Builder[Panel]:
    metric, by = names.MODEL_CALL_DURATION, (GenAI.REQUEST_MODEL,)
    where = chosen(metric, CALLS)
    calls = total(metric, by=by, where=where)
    failed = total(metric, by=by, where=chosen(metric, CALLS, FAILED_CALLS))
    tokens = {
        kind: amount(
            names.TOKENS,
            by=by,
            where=chosen(names.TOKENS, CALLS, any_of(GenAI.TOKEN_TYPE, kind)),
        )
        for kind in ("input", "output")
    }
    return grid(
        "Models",
        "Calls, errors, tokens and cost of each model over the time range. No cost: no known price,"
        " or no answer.",
        [Key(label_name(metric, by[0]), "Model")],
        [
            Column("Calls", calls, "short"),
            Column("Failed", share(failed, calls), "percentunit"),
            Column("p95", quantile(0.95, metric, by=by, where=where, window=RANGE_WINDOW), "s"),
            *(Column(f"Tokens {kind}", promql, "short") for kind, promql in tokens.items()),
            Column("Cost", amount(names.COST, by=by, where=chosen(names.COST)), "currencyUSD"),
        ],
    )


def _tool_calls() -> Builder[Panel]:
    metric, by = names.TOOL_DURATION, GenAI.TOOL_NAME
    return graph(
        "Tool calls by tool",
        "Per minute, of those that were let through and that `tracer.tool_call` or an"
        " instrumentation measures.",
        [Line(per_minute(metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="cpm",
        width=HALF,
        stacked=True,
    )


def _blocked() -> Builder[Panel]:
    metric, by = names.TOOL_BLOCKS, Attribute.TOOL_BLOCK_POLICY
    return graph(
        "Blocked tool calls by policy",
        "Per minute: calls that a policy or a person refused.",
        [Line(per_minute(metric, by=(by,), where=chosen(metric)), legend(metric, by))],
        unit="cpm",
        width=HALF,
        stacked=True,
    )


def _tools() -> Builder[Panel]:
    metric, by = names.TOOL_DURATION, (GenAI.TOOL_NAME,)
    where = chosen(metric)
    calls = total(metric, by=by, where=where)
    failed = total(metric, by=by, where=chosen(metric, FAILED_CALLS))
    return grid(
        "Tools",
        "Calls, errors and duration of each tool over the time range, and how often it was"
        " blocked.",
        [Key(label_name(metric, by[0]), "Tool")],
        [
            Column("Calls", calls, "short"),
            Column("Failed", share(failed, calls), "percentunit"),
            Column("p95", quantile(0.95, metric, by=by, where=where, window=RANGE_WINDOW), "s"),
            Column(
                "Blocked",
                total(names.TOOL_BLOCKS, by=by, where=chosen(names.TOOL_BLOCKS)),
                "short",
            ),
        ],
    )
