"""The questions that are asked most, as queries: cost, failures, stuck runs, waits.

Each is a grouping or a list over the documented views; whoever wants more copies the query and goes
on in SQL. Groupings are names from a table here, filters are parameters: nothing that a caller
passes becomes SQL. Every cost comes with the share of the calls that it is the cost of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from analytics.query import QueryLimits, run_query

__all__ = [
    "COST_GROUPS",
    "FAILURE_GROUPS",
    "LAST_FAILURE",
    "WAIT_GROUPS",
    "Scope",
    "cost_by",
    "cost_coverage",
    "failures_by",
    "open_waits",
    "stuck_runs",
    "unpriced_models",
    "waits_by",
]

type Row = dict[str, Any]
"""Values by column name."""

_LIMITS: Final = QueryLimits(rows=None)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a question is about; `None` leaves a filter out."""

    namespace: str | None = None
    workflow_type: str | None = None
    since: datetime | None = None
    """UTC, without a time zone, as the warehouse has it; included."""
    until: datetime | None = None
    """The same, excluded."""
    tenant: str | None = None
    """Whom the run is for."""

    def tests(
        self, time_column: str, *, settled: str = "f", forks: bool = False
    ) -> tuple[str, list[Any]]:
        """A condition on a query in which `r` is the run.

        Args:
            time_column: What `since` and `until` are compared with.
            settled: What has the run's tenant and whether it is a fork.
            forks: Only forks; they did not happen in production and count nowhere else.

        Returns:
            The condition and its parameters.
        """
        is_fork = f"coalesce({settled}.is_fork, false)"
        tests = [
            ("r.namespace = ?", self.namespace),
            ("r.workflow_type = ?", self.workflow_type),
            (f"{time_column} >= ?", self.since),
            (f"{time_column} < ?", self.until),
            (f"{settled}.tenant = ?", self.tenant),
        ]
        asked = [(sql, value) for sql, value in tests if value is not None]
        conditions = [is_fork if forks else f"NOT {is_fork}", *(sql for sql, _ in asked)]
        return " AND ".join(conditions), [value for _, value in asked]


LAST_FAILURE: Final = """
arg_max({'type': o.type, 'message': o.message, 'owner_name': o.owner_name,
         'workflow_id': o.workflow_id, 'run_id': o.run_id},
        (o.failed_at, o.workflow_id, o.run_id, coalesce(o.message, '')))
    FILTER (o.failed_at IS NOT NULL)
"""
"""One of the failures `o`, whole: several that are looked up apart may come from different runs."""

COST_GROUPS: Final[Mapping[str, str]] = {
    "type": "r.workflow_type",
    "step": "coalesce(s.name, 'no step')",
    "model": "c.model",
    "provider": "c.provider",
    "run": "c.workflow_id || ':' || c.run_id",
    "status": "r.status",
    "tenant": "f.tenant",
    "namespace": "c.namespace",
    "day": "date_trunc('day', c.started_at)::DATE",
    "price": "c.price_source",
}
"""By what cost can be told, and the column that is."""

FAILURE_GROUPS: Final[Mapping[str, str]] = {
    "fingerprint": "o.fingerprint",
    "failure": "o.type",
    "where": "o.owner_name",
    "kind": "o.owner_kind",
    "type": "r.workflow_type",
    "version": "coalesce(r.build_id, 'unknown')",
    "tenant": "f.tenant",
    "namespace": "o.namespace",
    "day": "date_trunc('day', o.failed_at)::DATE",
}
"""By what failures can be told."""

WAIT_GROUPS: Final[Mapping[str, str]] = {
    "label": "coalesce(w.label, 'unlabelled')",
    "type": "r.workflow_type",
    "who": "coalesce(w.woken_by_identity, w.woken_by, 'still open')",
    "tenant": "f.tenant",
    "namespace": "w.namespace",
    "day": "date_trunc('day', w.opened_at)::DATE",
}
"""By what waits can be told."""

_CALLS: Final = """
FROM mart.llm_calls c
LEFT JOIN core.runs r ON r.workflow_id = c.workflow_id AND r.run_id = c.run_id
LEFT JOIN core.settled_runs f ON f.workflow_id = c.workflow_id AND f.run_id = c.run_id
LEFT JOIN core.steps s ON s.workflow_id = c.workflow_id AND s.run_id = c.run_id
                      AND s.step_id = c.step_id
"""


def cost_by(path: Path | str, by: Sequence[str], scope: Scope) -> list[Row]:
    """What model calls cost, one row per group, the dearest first.

    Args:
        path: The warehouse.
        by: Keys of `COST_GROUPS`; without any, one row for all.
        scope: Only these calls, by their start.

    Raises:
        WarehouseError: There is nothing to read.
    """
    where, values = scope.tests("c.started_at")
    sql = f"""
        SELECT {_keys(COST_GROUPS, by)}
               count(DISTINCT c.run_id) AS n_runs, count(*) AS n_calls,
               count(*) FILTER (c.error_type IS NOT NULL) AS n_errors,
               sum(c.input_tokens)::BIGINT AS input_tokens,
               sum(c.cache_read_tokens)::BIGINT AS cache_read_tokens,
               sum(c.output_tokens)::BIGINT AS output_tokens,
               sum(c.cost_usd) AS cost_usd,
               sum(c.cost_usd) / nullif(count(DISTINCT c.run_id), 0) AS usd_per_run,
               count(*) FILTER (c.is_billable) AS n_billable, count(c.cost_usd) AS n_priced,
               ref.share(count(c.cost_usd), count(*) FILTER (c.is_billable)) AS priced_share,
               arg_max(c.workflow_id || ':' || c.run_id, c.cost_usd) AS dearest_run
        {_CALLS}
        WHERE {where}
        {_grouped(by)}
        ORDER BY cost_usd DESC NULLS LAST{_then(by)}
    """
    return _rows(path, sql, values)


def cost_coverage(path: Path | str, scope: Scope) -> Row:
    """The total of a scope, and how much of it is known: the one row of `cost_by` for all."""
    [row] = cost_by(path, (), scope)
    return row


def unpriced_models(path: Path | str, scope: Scope) -> list[Row]:
    """Models whose tokens are known and whose price is not, those with most calls first."""
    where, values = scope.tests("c.started_at")
    sql = f"""
        SELECT c.provider, c.model, count(*) AS n_calls
        {_CALLS}
        WHERE {where} AND c.cost_usd IS NULL AND c.model IS NOT NULL
          AND coalesce(c.input_tokens, c.output_tokens) IS NOT NULL
        GROUP BY ALL ORDER BY n_calls DESC, 1, 2
    """
    return _rows(path, sql, values)


def failures_by(path: Path | str, by: Sequence[str], scope: Scope) -> list[Row]:
    """What failed, one row per group, the most frequent first.

    Args:
        path: The warehouse.
        by: Keys of `FAILURE_GROUPS`.
        scope: Only these failures, by when they happened.

    Raises:
        WarehouseError: There is nothing to read.
    """
    where, values = scope.tests("o.failed_at")
    sql = f"""
        SELECT * EXCLUDE (example, first_seen, last_seen), example.type AS failure_type,
               example.owner_name AS where_name, example.message AS example_message,
               first_seen, last_seen, example.workflow_id || ':' || example.run_id AS example_run
        FROM (
            SELECT {_keys(FAILURE_GROUPS, by)}
                   count(*) AS n_failures, count(DISTINCT o.run_id) AS n_runs,
                   count(DISTINCT o.fingerprint) AS n_fingerprints,
                   {LAST_FAILURE} AS example,
                   min(o.failed_at) AS first_seen, max(o.failed_at) AS last_seen
            FROM mart.failure_occurrences o
            LEFT JOIN core.runs r ON r.namespace = o.namespace AND r.workflow_id = o.workflow_id
                                 AND r.run_id = o.run_id
            LEFT JOIN core.settled_runs f
                   ON f.workflow_id = o.workflow_id AND f.run_id = o.run_id
            WHERE {where}
            {_grouped(by)}
        )
        ORDER BY n_failures DESC, last_seen DESC{_then(by)}
    """
    return _rows(path, sql, values)


def stuck_runs(
    path: Path | str, scope: Scope, *, silent_since: datetime | None = None
) -> list[Row]:
    """Open runs that do not get on, the longest first.

    Args:
        path: The warehouse.
        scope: Only these runs, by their start.
        silent_since: Also those that wait for nothing and were last heard of before then.

    Raises:
        WarehouseError: There is nothing to read.
    """
    where, values = scope.tests("r.started_at")
    sql = f"""
        SELECT 'workflow task fails' AS why, r.namespace, r.workflow_id, r.run_id, r.workflow_type,
               t.failed_since AS since, t.n_failed_tasks AS n_tries, t.failure_kind,
               coalesce(t.failure_type, t.cause) AS failure_type, t.failure_message,
               t.failure_fingerprint, r.last_event_at
        FROM mart.stuck_runs t
        JOIN core.runs r USING (namespace, workflow_id, run_id)
        JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
        WHERE {where}
        UNION ALL BY NAME
        SELECT 'silent' AS why, r.namespace, r.workflow_id, r.run_id, r.workflow_type,
               r.last_event_at AS since, r.last_event_at
        FROM core.runs r
        JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
        WHERE {where} AND NOT r.is_closed AND NOT r.is_stuck AND r.last_event_at < ?
          AND NOT EXISTS (FROM core.waits w
                          WHERE w.workflow_id = r.workflow_id AND w.run_id = r.run_id
                            AND w.closed_at IS NULL)
        ORDER BY since, workflow_id, run_id
    """
    return _rows(path, sql, [*values, *values, silent_since])


def open_waits(path: Path | str, scope: Scope) -> list[Row]:
    """Open runs that stand still now, the longest first.

    Raises:
        WarehouseError: There is nothing to read.
    """
    where, values = scope.tests("w.opened_at")
    sql = f"""
        SELECT w.label, w.namespace, w.workflow_id, w.run_id, r.workflow_type, w.opened_at,
               r.last_event_at
        FROM mart.open_waits w
        JOIN core.runs r USING (namespace, workflow_id, run_id)
        JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
        WHERE {where}
        ORDER BY w.opened_at, w.workflow_id, w.run_id
    """
    return _rows(path, sql, values)


def waits_by(
    path: Path | str, by: Sequence[str], scope: Scope, *, is_human: bool = False
) -> list[Row]:
    """How long runs waited, one row per group, the longest in sum first.

    Args:
        path: The warehouse.
        by: Keys of `WAIT_GROUPS`.
        scope: Only these waits, by their begin.
        is_human: Only those that a person ended.

    Raises:
        WarehouseError: There is nothing to read.
    """
    where, values = scope.tests("w.opened_at")
    sql = f"""
        SELECT {_keys(WAIT_GROUPS, by)}
               count(*) AS n_waits, count(DISTINCT w.run_id) AS n_runs,
               count(*) FILTER (w.closed_at IS NULL AND NOT r.is_closed) AS n_open,
               count(*) FILTER (w.is_human) AS n_human,
               quantile_cont(w.wait_s, 0.5) AS p50_s, quantile_cont(w.wait_s, 0.95) AS p95_s,
               max(w.wait_s) AS max_s, sum(w.wait_s) AS total_s,
               arg_max(w.workflow_id || ':' || w.run_id, w.wait_s) AS longest_run
        FROM core.waits w
        JOIN core.runs r USING (namespace, workflow_id, run_id)
        JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
        WHERE {where} {"AND w.is_human" if is_human else ""}
        {_grouped(by)}
        ORDER BY total_s DESC NULLS LAST, n_waits DESC{_then(by)}
    """
    return _rows(path, sql, values)


def _keys(groups: Mapping[str, str], by: Sequence[str]) -> str:
    return "".join(f'{groups[name]} AS "{name}", ' for name in by)


def _grouped(by: Sequence[str]) -> str:
    return f"GROUP BY {_places(by)}" if by else ""


def _then(by: Sequence[str]) -> str:
    """The rest of an order, so that equal groups always come in the same one."""
    return f", {_places(by)}" if by else ""


def _places(by: Sequence[str]) -> str:
    return ", ".join(str(place + 1) for place in range(len(by)))


def _rows(path: Path | str, sql: str, values: Sequence[Any]) -> list[Row]:
    result = run_query(path, sql, params=values, limits=_LIMITS)
    return list(_named(result.columns, result.rows))


def _named(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Iterator[Row]:
    return (dict(zip(columns, row, strict=True)) for row in rows)
