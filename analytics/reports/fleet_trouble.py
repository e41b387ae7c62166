"""What goes wrong in the chosen runs, or is about to: failures, stuck runs, limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from analytics.figures import count, counted, seconds, size, when
from analytics.questions import LAST_FAILURE
from analytics.reports.charts import (
    Look,
    axis,
    counts_axis,
    layout,
    plotly_text,
    rows,
    rows_layout,
    series_look,
)
from analytics.reports.fleet_rows import Buckets, Fleet
from analytics.reports.words import Chart, Column, Section, Table
from tracer.limits import DEFAULT_LIMITS

__all__ = ["failures_section", "limits_section", "stuck_section"]

_ROWS: Final = 50
_NEAREST_ROWS: Final = 15
_BARS: Final = 15
_MESSAGE: Final = 300
_RUN_ID: Final = 13
"""Of a run id: enough to name it to `show`, and all that tells run ids of one workflow apart."""


def failures_section(fleet: Fleet) -> Section:
    """Failures by fingerprint, the most frequent first."""
    title = "Failures"
    found = fleet.rows(_FAILURES)
    if not found:
        return Section("failures", title, empty="Nothing failed in these runs.", on_card=True)
    table = Table(
        (
            Column("failure"),
            Column("message of the last", is_long=True),
            Column("where", is_long=True),
            Column("times", right=True),
            Column("runs", right=True),
            Column("first seen", is_time=True),
            Column("last seen", is_time=True),
            Column("run to look at", is_code=True),
            Column("fingerprint", is_code=True),
        ),
        [_failure(row) for row in found[:_ROWS]],
        total=len(found),
        which="the most frequent",
    )
    lead = (
        f"{counted(sum(row[4] for row in found), 'failure')} of "
        f"{counted(len(found), 'kind')}, each counted where it began. Failures that differ in "
        "ids and numbers only share a fingerprint."
    )
    return Section("failures", title, lead, [_failures(found[:_BARS])], [table], on_card=True)


def _failures(found: Sequence[tuple[Any, ...]]) -> Chart:
    names = [f"{row[1] or '(no type)'} in {row[3] or '?'}" for row in found]
    values = [row[4] for row in found]
    texts = [f"{row[4]:,} in {counted(row[5], 'run')}" for row in found]
    return Chart(
        "failures",
        [rows(names, values, texts, Look("failures", "#c94f4f", ""))],
        rows_layout(names, counts_axis("failures", max(values), range=[0, 1.3 * max(values)])),
        f"The {counted(len(names), 'most frequent failure')}.",
    )


def _failure(row: Sequence[Any]) -> Sequence[str]:
    name, kind, message, where, times, runs, first, last, workflow_id, run_id = row
    return (
        kind or "(no type)",
        (message or "")[:_MESSAGE],
        where or "",
        count(times),
        count(runs),
        when(first),
        when(last),
        f"{workflow_id}:{run_id[:_RUN_ID]}",
        name,
    )


def stuck_section(fleet: Fleet) -> Section:
    """Runs that look alive and never move, and failed workflow tasks."""
    title = "Stuck runs and failed workflow tasks"
    tables = []
    stuck = fleet.rows(_STUCK)
    if stuck:
        columns: tuple[Column, ...] = (
            Column("workflow id"),
            Column("workflow type"),
            Column("failed tasks", right=True),
            Column("since", is_time=True),
            Column("kind"),
            Column("failure", is_long=True),
        )
        shown = [
            (run, type_ or "", count(n), when(since), (kind or cause or "").replace("_", " "), why)
            for run, type_, n, since, kind, cause, why in stuck[:_ROWS]
        ]
        tables.append(Table(columns, shown, "Stuck runs", len(stuck), "the longest"))
    tasks = fleet.rows(_TASKS)
    if tasks:
        columns = (
            Column("kind"),
            Column("cause"),
            Column("times", right=True),
            Column("runs", right=True),
            Column("last seen", is_time=True),
            Column("failure of the last", is_long=True),
        )
        shown = [
            (
                (kind or "not told").replace("_", " "),
                (cause or "").replace("_", " ").lower(),
                count(n),
                count(n_runs),
                when(last),
                (why or "")[:_MESSAGE],
            )
            for kind, cause, n, n_runs, last, why in tasks[:_ROWS]
        ]
        tables.append(Table(columns, shown, "Failed workflow tasks", len(tasks), "most frequent"))
    empty = "" if tables else "No run is stuck, and no workflow task failed."
    return Section("stuck", title, tables=tables, empty=empty)


def limits_section(fleet: Fleet) -> Section:
    """How near runs come to what Temporal allows, over time."""
    title = "Limits and headroom"
    limits = DEFAULT_LIMITS
    maxima = [
        limits.history_events,
        limits.history_bytes,
        limits.payload_bytes,
        limits.activation_seconds,
    ]
    fleet.connection.execute(_USED)
    found = fleet.rows(_NEAREST, maxima)
    if not found:
        return Section("limits", title, empty="No run was chosen.")
    table = Table(
        (
            Column("workflow id"),
            Column("workflow type"),
            Column("fullest", right=True),
            Column("events", right=True),
            Column("history", right=True),
            Column("largest payload", right=True),
            Column("slowest task", right=True),
        ),
        [
            (run, type_ or "", f"{fullest:.1%}", count(n), size(n_bytes), size(payload), seconds(s))
            for run, type_, fullest, n, n_bytes, payload, s in found
        ],
        "Nearest to a limit",
        fleet.n_runs,
        "the fullest",
    )
    lead = (
        f"A run that grows past {limits.history_events:,} events or "
        f"{size(limits.history_bytes)} of history is ended by the server; a payload past "
        f"{size(limits.payload_bytes)}, or {limits.activation_seconds:g} s of workflow code "
        "without a yield, fails its workflow task (a history times the whole task, which takes "
        f"longer than its code). From {limits.near:.0%} on it is time to act."
    )
    charts = []
    if fleet.buckets is not None:
        usage = fleet.rows(_USAGE, [fleet.buckets.step, *maxima])
        charts.append(_limits(usage, fleet.buckets, limits.near))
    return Section("limits", title, lead, charts, [table])


_LIMITS: Final = (
    ("history events", "circle", "solid"),
    ("history bytes", "square", "dash"),
    ("largest payload", "diamond", "dot"),
    ("slowest workflow task", "x", "dashdot"),
)


def _limits(found: Sequence[tuple[Any, ...]], buckets: Buckets, near: float) -> Chart:
    traces = []
    for index, (name, symbol, dash) in enumerate(_LIMITS):
        known = [(row[0], 100 * row[index + 1]) for row in found if row[index + 1] is not None]
        if not known:
            continue
        colour = series_look(index, name).colour
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": [at.isoformat() for at, _ in known],
                "y": [used for _, used in known],
                "line": {"color": colour, "width": 2, "dash": dash},
                "marker": {"symbol": symbol, "size": 8, "color": colour},
                "hovertext": [
                    f"{at:%Y-%m-%d %H:%M:%S}<br>{plotly_text(name)}: {used:.1f} % of the limit"
                    for at, used in known
                ],
                "hoverinfo": "text",
            }
        )
    fullest = max((used for trace in traces for used in trace["y"]), default=0.0)
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 100 * near, "y1": 100 * near}
    return Chart(
        "limits",
        traces,
        layout(
            280,
            showlegend=True,
            meta={"rows": 1},
            xaxis=axis("start of the run", type="date", range=buckets.edges),
            yaxis=axis("% of the limit, fullest run", range=[0, max(105.0, 1.05 * fullest)]),
            shapes=[line | {"line": {"color": "#c94f4f", "width": 1.5, "dash": "dash"}}],
        ),
        f"The fullest run of each time, in per cent of each limit; the line is at {near:.0%}.",
    )


_FAILURES: Final = f"""
SELECT fingerprint, type, last.message, owner_name, n, n_runs, first_seen, last_seen,
       last.workflow_id, last.run_id
FROM (
    SELECT o.fingerprint, max(o.type) AS type, {LAST_FAILURE} AS last,
           mode(o.owner_name) AS owner_name, count(*) AS n,
           count(DISTINCT (o.workflow_id, o.run_id)) AS n_runs,
           min(o.failed_at) AS first_seen, max(o.failed_at) AS last_seen
    FROM mart.failure_occurrences o SEMI JOIN chosen USING (namespace, workflow_id, run_id)
    GROUP BY o.fingerprint
)
ORDER BY n DESC, last_seen DESC, fingerprint
"""
_STUCK: Final = f"""
SELECT s.workflow_id, s.workflow_type, s.n_failed_tasks, s.failed_since, s.failure_kind, s.cause,
       left(concat_ws(': ', s.failure_type, s.failure_message), {_MESSAGE})
FROM mart.stuck_runs s SEMI JOIN chosen USING (namespace, workflow_id, run_id)
ORDER BY s.failed_since, s.workflow_id
"""
_TASKS: Final = """
SELECT t.failure_kind, t.cause, count(*) AS n, count(DISTINCT (t.workflow_id, t.run_id)),
       max(t.failed_at),
       arg_max(concat_ws(': ', t.failure_type, t.failure_message), t.failed_at)
FROM mart.workflow_task_failures t SEMI JOIN chosen USING (namespace, workflow_id, run_id)
GROUP BY ALL ORDER BY n DESC, t.failure_kind
"""
_USED: Final = """
CREATE OR REPLACE TEMP TABLE used AS
SELECT c.namespace, c.workflow_id, c.run_id, c.workflow_type, c.started_at, c.n_events,
       r.history_bytes, p.largest, t.slowest
FROM chosen c
JOIN core.runs r USING (namespace, workflow_id, run_id)
LEFT JOIN (
    SELECT namespace, workflow_id, run_id, max(n_bytes) AS largest
    FROM core.payloads SEMI JOIN chosen USING (namespace, workflow_id, run_id) GROUP BY ALL
) p USING (namespace, workflow_id, run_id)
LEFT JOIN (
    SELECT namespace, workflow_id, run_id, max(exec_s) AS slowest
    FROM core.workflow_tasks SEMI JOIN chosen USING (namespace, workflow_id, run_id)
    GROUP BY ALL
) t USING (namespace, workflow_id, run_id)
"""
_NEAREST: Final = f"""
SELECT workflow_id, workflow_type,
       greatest(n_events / ?, coalesce(history_bytes, 0) / ?, coalesce(largest, 0) / ?,
                coalesce(slowest, 0) / ?) AS fullest,
       n_events, history_bytes, largest, slowest
FROM used ORDER BY fullest DESC, workflow_id LIMIT {_NEAREST_ROWS}
"""
_USAGE: Final = """
SELECT time_bucket(?, started_at) AS bucket, max(n_events) / ?, max(history_bytes) / ?,
       max(largest) / ?, max(slowest) / ?
FROM used WHERE started_at IS NOT NULL GROUP BY ALL ORDER BY bucket
"""
