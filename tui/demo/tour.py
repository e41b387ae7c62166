"""The tour: what a stranger sees after two minutes. Every figure is the answer to a query.

The queries are those that `retrospan sql` would run; the last section shows how to ask more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics.query import QueryResult, run_query
from tui import figures
from tui.cli.tables import Column, shown, write_table

if TYPE_CHECKING:
    from tui.demo.place import Place


def _short(value: str | None) -> str:
    """The first line, as far as a table has room for it."""
    line = (value or "").strip().partition("\n")[0]
    return line if len(line) <= 60 else f"{line[:59]}…"


_FORMS: dict[str, Callable[[Any], str]] = {
    "time": figures.seconds,
    "of it": figures.seconds,
    "work": figures.seconds,
    "retries": figures.seconds,
    "queue": figures.seconds,
    "people": figures.seconds,
    "timers": figures.seconds,
    "waited": figures.seconds,
    "rest": figures.seconds,
    "cost": figures.money,
    "per run": figures.money,
    "priced": figures.share,
    "message": _short,
}
"""How a column of this title is written; the others as they are."""


@dataclass(frozen=True, slots=True)
class Section:
    """One question and the query that answers it."""

    title: str
    sql: str
    nothing: str
    """What to say when there are no rows."""


RUNS = Section(
    "What ran",
    """
    SELECT CASE WHEN is_stuck THEN 'RUNNING (stuck)' ELSE status END AS status,
           workflow_type AS type, workflow_id AS "workflow id", duration_s AS time,
           n_steps AS steps, n_attempts AS tries, n_failed_attempts AS failed,
           coalesce(input_tokens + output_tokens, 0) AS tokens, cost_usd AS cost
    FROM mart.run_summary
    ORDER BY started_at, workflow_id, run_id
    """,
    "nothing",
)

FAILURES = Section(
    "What failed, and why",
    """
    SELECT n_failures AS times, n_runs AS runs, where_name AS "where", failure_type AS type,
           example_message AS message, fingerprint
    FROM mart.failure_groups
    ORDER BY times DESC, fingerprint
    """,
    "nothing failed",
)

STUCK = Section(
    "What is stuck",
    """
    SELECT workflow_id AS "workflow id", n_failed_tasks AS "failed tasks", failure_kind AS kind,
           failure_type AS type, failure_message AS message
    FROM mart.stuck_runs
    ORDER BY workflow_id
    """,
    "nothing is stuck",
)

COST = Section(
    "What it cost",
    """
    SELECT model, n_calls AS calls, n_errors AS errors, input_tokens AS "tokens in",
           cache_read_tokens AS cached, output_tokens AS "tokens out", cost_usd AS cost,
           priced_share AS priced
    FROM mart.cost_by_model
    ORDER BY cost DESC NULLS LAST, model
    """,
    "no model was called",
)

COST_OF_WORKFLOWS = Section(
    "… by workflow",
    """
    SELECT workflow_type AS type, n_runs AS runs, n_calls AS calls, cost_usd AS cost,
           avg_run_usd AS "per run", priced_share AS priced
    FROM mart.cost_by_workflow
    WHERE n_calls > 0
    ORDER BY cost DESC NULLS LAST, type
    """,
    "no model was called",
)

TIME = Section(
    "Where the time went",
    """
    SELECT workflow_type AS type, total_s AS time, activity_s AS work,
           failed_attempt_s + backoff_s + retry_s AS retries, queue_s AS queue,
           human_wait_s AS people, wait_s + timer_s AS timers,
           child_s + workflow_s + other_s AS rest
    FROM mart.time_by_workflow
    ORDER BY time DESC, type
    """,
    "nothing",
)

PEOPLE = Section(
    "Who was waited for",
    """
    SELECT w.workflow_id AS "workflow id", w.label AS "for", w.wait_s AS waited,
           w.woken_by AS "ended by", w.woken_by_name AS name
    FROM core.waits w
    WHERE w.is_human OR w.label LIKE 'approval%'
    ORDER BY w.opened_at
    """,
    "nobody",
)

SECTIONS = (RUNS, FAILURES, STUCK, COST, COST_OF_WORKFLOWS, TIME, PEOPLE)


def print_tour(place: Place) -> None:
    """Print all sections to stdout, and what to type next.

    Raises:
        AnalyticsError: The warehouse cannot be read.
    """
    for section in SECTIONS:
        _print_section(section, run_query(place.warehouse, section.sql))
    print(_next_steps(place))


def _print_section(section: Section, result: QueryResult) -> None:
    print(f"\n{section.title}")
    if not result.rows:
        print(f"  {section.nothing}")
        return
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    write_table(_columns(result), rows)


def _columns(result: QueryResult) -> Sequence[Column]:
    return [
        Column(name, name, _FORMS.get(name, shown), right=not kind.startswith("VARCHAR"))
        for name, kind in zip(result.columns, result.types, strict=True)
    ]


def _next_steps(place: Place) -> str:
    warehouse = place.warehouse
    return f"""
What next (add --help to any of them)
  retrospan tui --warehouse {warehouse}                      walk through the runs
  retrospan show demo-kyc-provider-down -w {warehouse}       one run: steps, tries, failure
  retrospan runs --stuck -w {warehouse}                      what does not move
  retrospan sql -w {warehouse} "FROM mart.retries"           what retries wasted
"""
