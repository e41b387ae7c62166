"""What the chosen runs cost, and what retries wasted: money beside how much of it is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from analytics.figures import count, counted, money, seconds, share
from analytics.reports.charts import DOLLARS, Look, axis, rows, rows_layout
from analytics.reports.fleet_rows import Fleet
from analytics.reports.fleet_time import over_time
from analytics.reports.words import Chart, Column, Section, Table

__all__ = ["cost_section", "retries_section"]

_SERIES: Final = 6
_ROWS: Final = 50
_BARS: Final = 15
_SAME: Final = 0.0005
"""Seconds; bounds that lie closer are one figure."""


def cost_section(fleet: Fleet) -> Section:
    """Cost over time, by model and by workflow type, each with its coverage."""
    title = "Cost"
    models = fleet.rows(_MODELS)
    if not models:
        empty = (
            "No model call is known. Calls are known from GenAI spans (`retrospan collect`), or "
            "from results that tell their usage."
        )
        return Section("cost", title, empty=empty)
    lead = (
        "Model calls at the price of their day. “Priced” is the share of calls whose price is "
        "known: what has no price is in no sum, and is not free."
    )
    by_model = Table(
        (
            Column("model"),
            Column("calls", right=True),
            Column("errors", right=True),
            Column("input tokens", right=True),
            Column("cached", right=True),
            Column("output tokens", right=True),
            Column("cost", right=True),
            Column("priced", right=True),
        ),
        [
            (model or "(not told)", *map(count, figures), money(usd), share(known))
            for model, *figures, usd, known in models[:_ROWS]
        ],
        "By model",
        len(models),
        "the dearest",
    )
    types = fleet.rows(_TYPES)
    by_type = Table(
        (
            Column("workflow type"),
            Column("runs", right=True),
            Column("calls", right=True),
            Column("cost", right=True),
            Column("per run", right=True),
            Column("per completed run", right=True),
            Column("on runs that failed", right=True),
            Column("priced", right=True),
        ),
        [
            (name or "(no type)", count(runs), count(calls), *map(money, usd), share(known))
            for name, runs, calls, *usd, known in types[:_ROWS]
        ],
        "By workflow type",
        len(types),
        "the dearest",
    )
    tables = [by_type, by_model, _by_step(fleet), *_by_tenant(fleet)]
    return Section("cost", title, lead, _cost_over_time(fleet), tables)


def _by_step(fleet: Fleet) -> Table:
    found = fleet.rows(_STEPS)
    return Table(
        (
            Column("step"),
            Column("workflow type"),
            Column("calls", right=True),
            Column("cost", right=True),
            Column("in failed attempts", right=True),
            Column("priced", right=True),
        ),
        [
            (name or "(no step)", type_ or "", count(calls), *map(money, usd), share(known))
            for name, type_, calls, *usd, known in found[:_ROWS]
        ],
        "By step",
        len(found),
        "the dearest",
    )


def _by_tenant(fleet: Fleet) -> list[Table]:
    """A table if there are tenants to tell apart."""
    found = fleet.rows(_TENANTS)
    if len(found) < 2:
        return []
    columns = (
        Column("tenant"),
        Column("runs with calls", right=True),
        Column("calls", right=True),
        Column("cost", right=True),
        Column("priced", right=True),
    )
    shown = [
        (tenant or "(not told)", count(runs), count(calls), money(usd), share(known))
        for tenant, runs, calls, usd, known in found[:_ROWS]
    ]
    return [Table(columns, shown, "By tenant", len(found), "the dearest")]


def _cost_over_time(fleet: Fleet) -> list[Chart]:
    if fleet.buckets is None:
        return []
    found = fleet.rows(_MODEL_COST, [fleet.buckets.step])
    if not found:
        return []
    told = "Cost over time by model, in US dollars."
    return [
        over_time(
            "cost", found, fleet.buckets, axis("US dollars", **DOLLARS), told, money, most=_SERIES
        )
    ]


def retries_section(fleet: Fleet) -> Section:
    """What trying again cost, step by step."""
    title = "Retry waste"
    found = fleet.rows(_RETRIES)
    if not found:
        return Section("retries", title, empty="No step was tried more than once.")
    table = Table(
        (
            Column("step"),
            Column("workflow type"),
            Column("steps retried", right=True),
            Column("failed attempts", right=True),
            Column("time wasted", right=True),
            Column("cost wasted", right=True),
            Column("exact", right=True),
            Column("mostly after", is_long=True),
        ),
        [_retry(row) for row in found[:_ROWS]],
        total=len(found),
        which="the worst",
    )
    lead = (
        "Time and money of attempts that failed. “Exact” are the steps whose failed attempts spans "
        "watched; the rest is between what is known and the most that it can have been."
    )
    timed = [row for row in found if row[4]][:_BARS]
    return Section("retries", title, lead, [_waste(timed)] if timed else [], [table])


def _waste(found: Sequence[tuple[Any, ...]]) -> Chart:
    names, values = [row[0] for row in found], [row[4] for row in found]
    texts = [f"{_between(row[5], row[4])} in {counted(row[3], 'failed attempt')}" for row in found]
    return Chart(
        "retries",
        [rows(names, values, texts, Look("time wasted", "#d08a1f", ""))],
        rows_layout(names, axis("seconds wasted, at most", range=[0, 1.6 * max(values)])),
        "Time that failed attempts wasted, by step.",
    )


def _between(least: float | None, most: float | None) -> str:
    if least is None or most is None or most - least < _SAME:
        return seconds(most)
    return f"{seconds(least)} to {seconds(most)}"


def _retry(row: Sequence[Any]) -> Sequence[str]:
    name, kind, steps, failed, most, least, usd, most_usd, exact, after = row
    usd_words = money(usd)
    if most_usd is not None and (usd is None or most_usd > usd):
        most_words = money(most_usd)
        usd_words = f"≤ {most_words}" if usd is None else f"{usd_words} to {most_words}"
    return (
        name,
        kind or "",
        count(steps),
        count(failed),
        _between(least, most),
        usd_words,
        f"{exact:,} of {steps:,}",
        after or "",
    )


_MODELS: Final = """
SELECT c.model, count(*), count(*) FILTER (c.error_type IS NOT NULL), sum(c.input_tokens)::BIGINT,
       sum(c.cache_read_tokens)::BIGINT, sum(c.output_tokens)::BIGINT, sum(c.cost_usd) AS usd,
       ref.share(count(c.cost_usd), count(*) FILTER (c.is_billable))
FROM mart.llm_calls c SEMI JOIN chosen USING (workflow_id, run_id)
GROUP BY c.model ORDER BY usd DESC NULLS LAST, count(*) DESC, c.model
"""
_TYPES: Final = """
SELECT workflow_type, count(*), sum(n_calls)::BIGINT, sum(usd) AS total, avg(usd),
       avg(usd) FILTER (status = 'COMPLETED'),
       sum(usd) FILTER (status IN ('FAILED', 'TIMED_OUT', 'TERMINATED')),
       ref.share(sum(n_priced), sum(n_billable))
FROM (
    SELECT r.workflow_type, r.status, count(c.run_id) AS n_calls, sum(c.cost_usd) AS usd,
           count(c.cost_usd) AS n_priced, count(*) FILTER (c.is_billable) AS n_billable
    FROM chosen r LEFT JOIN mart.llm_calls c USING (workflow_id, run_id)
    GROUP BY r.namespace, r.workflow_id, r.run_id, r.workflow_type, r.status
)
GROUP BY workflow_type ORDER BY total DESC NULLS LAST, workflow_type
"""
_MODEL_COST: Final = """
SELECT time_bucket(?, r.started_at) AS bucket, coalesce(c.model, '(not told)'),
       sum(c.cost_usd)::DOUBLE
FROM mart.llm_calls c JOIN chosen r USING (workflow_id, run_id)
WHERE r.started_at IS NOT NULL AND c.cost_usd IS NOT NULL
GROUP BY ALL ORDER BY bucket
"""
_RETRIES: Final = """
SELECT t.name, t.workflow_type, count(*), sum(t.n_failed_attempts)::BIGINT,
       sum(t.wasted_at_most_s) AS most, sum(t.wasted_at_least_s), sum(t.wasted_usd),
       sum(t.wasted_at_most_usd), count(*) FILTER (t.waste_is_exact),
       mode(t.failure_type || coalesce(': ' || t.failure_message, ''))
FROM mart.retries t SEMI JOIN chosen USING (namespace, workflow_id, run_id)
GROUP BY t.name, t.workflow_type ORDER BY most DESC NULLS LAST, count(*) DESC, t.name
"""
_STEPS: Final = """
SELECT c.step_name, c.workflow_type, count(*), sum(c.cost_usd) AS usd,
       sum(c.cost_usd) FILTER (c.is_wasted),
       ref.share(count(c.cost_usd), count(*) FILTER (c.is_billable))
FROM mart.llm_calls c SEMI JOIN chosen USING (workflow_id, run_id)
GROUP BY c.step_name, c.workflow_type ORDER BY usd DESC NULLS LAST, count(*) DESC, c.step_name
"""
_TENANTS: Final = """
SELECT r.tenant, count(DISTINCT (c.workflow_id, c.run_id)), count(*), sum(c.cost_usd) AS usd,
       ref.share(count(c.cost_usd), count(*) FILTER (c.is_billable))
FROM mart.llm_calls c JOIN chosen r USING (workflow_id, run_id)
GROUP BY r.tenant ORDER BY usd DESC NULLS LAST, r.tenant
"""
