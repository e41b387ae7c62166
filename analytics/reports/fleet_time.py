"""How long things took in the chosen runs: runs over time, latency of steps, waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from analytics.figures import count, counted, duration, seconds, when
from analytics.reports.charts import (
    TIME_PARTS,
    Look,
    axis,
    lanes_axis,
    layout,
    marker,
    plotly_text,
    series_look,
    stacks,
)
from analytics.reports.fleet_rows import Buckets, Fleet
from analytics.reports.words import Chart, Column, Section, Table

__all__ = ["latency_section", "over_time", "runs_section", "waits_section"]

_ROWS: Final = 50
_LANES: Final = 20

_STATUSES: Final[Mapping[str, Look]] = {
    "COMPLETED": Look("completed", "#4f9d69", ""),
    "CONTINUED_AS_NEW": Look("continued as new", "#5d8a94", "."),
    "RUNNING": Look("open", "#3a7ebf", "|", True),
    "STUCK": Look("stuck", "#d08a1f", "/", True),
    "CANCELED": Look("cancelled", "#7a7f87", "\\"),
    "TERMINATED": Look("terminated", "#7a7f87", "x", True),
    "TIMED_OUT": Look("timed out", "#c94f4f", "+", True),
    "FAILED": Look("failed", "#c94f4f", "x", True),
}


def over_time(
    name: str,
    found: Sequence[tuple[Any, ...]],
    buckets: Buckets,
    y_axis: Mapping[str, Any],
    told: str,
    show: Callable[[float], str],
    *,
    looks: Mapping[str, Look] | None = None,
    most: int = 8,
) -> Chart:
    """Stacked columns over time.

    Args:
        name: Of the chart.
        found: Start of a bucket, series, figure.
        buckets: How time was cut.
        y_axis: Plotly's.
        told: What it shows.
        show: Writes a figure with its unit.
        looks: Of the series, in order; without, the largest are drawn and the rest together.
        most: Series to draw.
    """
    series: defaultdict[str, dict[datetime, float]] = defaultdict(lambda: defaultdict(float))
    for at, key, figure in found:
        series[key][at] += figure
    if looks is None:
        series = _largest(series, most)
        looks = {key: series_look(index, key) for index, key in enumerate(series)}
    traces = [
        {
            "type": "bar",
            "name": plotly_text(look.label, limit=40),
            "x": [at.isoformat() for at in series[key]],
            "y": list(series[key].values()),
            "width": 0.9 * buckets.step.total_seconds() * 1000,
            "marker": marker(look),
            "hovertext": [
                f"{at:%Y-%m-%d %H:%M:%S}<br>{plotly_text(look.label, limit=200)}: "
                f"{plotly_text(show(figure))}"
                for at, figure in series[key].items()
            ],
            "hoverinfo": "text",
        }
        for key, look in looks.items()
        if key in series
    ]
    rows = -(-len(traces) // 5)
    return Chart(
        name,
        traces,
        layout(
            240 + 22 * rows,
            barmode="stack",
            showlegend=True,
            meta={"rows": rows},
            xaxis=axis(
                f"start of the run, by {_step_name(buckets)}", type="date", range=buckets.edges
            ),
            yaxis=dict(y_axis) | {"rangemode": "tozero"},
        ),
        told,
    )


def _largest(
    series: Mapping[str, dict[datetime, float]], most: int
) -> defaultdict[str, dict[datetime, float]]:
    ordered = sorted(series, key=lambda key: -sum(series[key].values()))
    found: defaultdict[str, dict[datetime, float]] = defaultdict(lambda: defaultdict(float))
    for index, key in enumerate(ordered):
        kept = key if index < most else f"{len(ordered) - most:,} others"
        for at, figure in series[key].items():
            found[kept][at] += figure
    return found


def _step_name(buckets: Buckets) -> str:
    text = duration(round(buckets.step.total_seconds() * 1e9))
    names = {"1d00h": "day", "7d00h": "week", "1h00m": "hour", "1m00s": "minute", "1.00s": "second"}
    return names.get(text, text)


def runs_section(fleet: Fleet) -> Section:
    """How many runs, and how they stand."""
    title = "Runs"
    found = fleet.rows(_TYPES)
    table = Table(
        (
            Column("workflow type"),
            Column("runs", right=True),
            Column("completed", right=True),
            Column("failed", right=True),
            Column("open", right=True),
            Column("stuck", right=True),
            Column("p50", right=True),
            Column("p95", right=True),
            Column("p99", right=True),
        ),
        [
            (name or "(no type)", *map(count, counts), *map(seconds, quantiles))
            for name, counts, quantiles in ((row[0], row[1:6], row[6:]) for row in found[:_ROWS])
        ],
        "By workflow type",
        len(found),
        "the most frequent",
    )
    charts = []
    if fleet.buckets is not None:
        by_status = fleet.rows(_STATUS, [fleet.buckets.step])
        told = "Runs over time by how they stand now."
        drawn = over_time(
            "runs",
            by_status,
            fleet.buckets,
            axis("runs"),
            told,
            "{:,.0f} runs".format,
            looks=_STATUSES,
        )
        charts.append(drawn)
    lead = "By the start of the run. Durations are of closed runs."
    forks = counted(fleet.n_forks, "fork")
    left_out = f"Left out: {forks}, which did not happen in production." if fleet.n_forks else ""
    return Section("runs", title, lead, charts, [table], left_out=left_out, on_card=True)


def latency_section(fleet: Fleet) -> Section:
    """How long steps take, and how long they wait for a worker."""
    title = "Latency of steps"
    found = fleet.rows(_LATENCY)
    if not found:
        return Section("latency", title, empty="No step has ended.")
    table = Table(
        (
            Column("step"),
            Column("workflow type"),
            Column("kind"),
            Column("steps", right=True),
            Column("failed", right=True),
            Column("p50", right=True),
            Column("p95", right=True),
            Column("p99", right=True),
            Column("queue p50", right=True),
            Column("queue p95", right=True),
        ),
        [
            (name, type_ or "", kind.replace("_", " "), count(n), count(bad), *map(seconds, times))
            for name, type_, kind, n, bad, *times in found[:_ROWS]
        ],
        total=len(found),
        which="the slowest",
    )
    lead = (
        "From asked for to answered, retries included; the slowest tenth first. Queue is the time "
        "until a worker took the step, where it was not tried again."
    )
    critical = fleet.rows(_CRITICAL)
    hanging = Table(
        (
            Column("what runs hang on"),
            Column("workflow type"),
            Column("kind"),
            Column("times", right=True),
            Column("runs", right=True),
            Column("in all", right=True),
            Column("of the type's time", right=True),
        ),
        [
            (name or "(no name)", type_ or "", kind.replace("_", " "), *map(count, n), *time)
            for name, type_, kind, n, time in (
                (row[0], row[1], row[2], row[3:5], (seconds(row[5]), f"{row[6] or 0:.1%}"))
                for row in critical[:_LANES]
            )
        ],
        "Critical path: what had to be faster for runs to end sooner",
        len(critical),
        "the longest",
    )
    return Section("latency", title, lead, [_latency(found[:_LANES])], [table, hanging])


def _latency(found: Sequence[tuple[Any, ...]]) -> Chart:
    names = [row[0] for row in found]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [x for row in found for x in (max(row[5], 1e-3), max(row[7], 1e-3), None)],
            "y": [y for lane in range(len(found)) for y in (lane, lane, None)],
            "line": {"color": "#8b939c", "width": 2},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for label, column, symbol, colour in _QUANTILES:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label,
                "x": [max(row[column], 1e-3) for row in found],
                "y": list(range(len(found))),
                "marker": {"symbol": symbol, "size": 10, "color": colour},
                "hovertext": [
                    f"{plotly_text(row[0], limit=200)}<br>{label}: {seconds(row[column])}"
                    for row in found
                ],
                "hoverinfo": "text",
            }
        )
    return Chart(
        "latency",
        traces,
        layout(
            110 + 24 * len(names),
            showlegend=True,
            meta={"rows": 1},
            xaxis=axis("seconds, logarithmic", type="log", dtick=1, exponentformat="none"),
            yaxis=lanes_axis(names),
        ),
        f"Median, 95th and 99th percentile of the {len(names):,} slowest steps.",
    )


_QUANTILES: Final = (
    ("p50", 5, "circle", "#3a7ebf"),
    ("p95", 6, "diamond", "#d08a1f"),
    ("p99", 7, "x", "#c94f4f"),
)


def waits_section(fleet: Fleet) -> Section:
    """Where the time of runs went, and who waits for whom."""
    title = "Waits, and where the time went"
    charts = _time_charts(fleet)
    tables = []
    people = fleet.rows(_PEOPLE)
    if people:
        columns: tuple[Column, ...] = (
            Column("waited for"),
            Column("workflow type"),
            Column("answered", right=True),
            Column("expired", right=True),
            Column("open", right=True),
            Column("refused answers", right=True),
            Column("p50", right=True),
            Column("p95", right=True),
            Column("longest", right=True),
        )
        shown = [
            (row[0] or "(no label)", row[1] or "", *map(count, row[2:6]), *map(seconds, row[6:]))
            for row in people[:_ROWS]
        ]
        tables.append(Table(columns, shown, "Waits for people", len(people), "the longest"))
    now = fleet.rows(_WAITING)
    if now:
        columns = (
            Column("workflow id"),
            Column("workflow type"),
            Column("waits for"),
            Column("since", is_time=True),
            Column("last event", is_time=True),
        )
        shown_now = [
            (run, type_ or "", label or "(no label)", when(since), when(last))
            for run, type_, label, since, last in now[:_ROWS]
        ]
        title_now = "Runs that stand still now"
        tables.append(Table(columns, shown_now, title_now, len(now), "the longest"))
    if not charts and not tables:
        return Section("waits", title, empty="No run has taken any time yet.")
    lead = "The parts of a run add up to its duration: each instant counts once."
    return Section("waits", title, lead, charts, tables)


def _time_charts(fleet: Fleet) -> list[Chart]:
    split = fleet.connection.execute(_TIME)
    names = [column[0] for column in split.description or []]
    found = split.fetchall()[:_LANES]
    if not found:
        return []
    types = [row[0] or "(no type)" for row in found]
    totals = [row[names.index("total_s")] or 1.0 for row in found]
    traces = []
    for part, look in TIME_PARTS.items():
        if f"{part}_s" not in names:
            continue
        values = [row[names.index(f"{part}_s")] or 0.0 for row in found]
        if not any(values):
            continue
        shares = [100 * value / total for value, total in zip(values, totals, strict=True)]
        texts = [
            f"{look.label}: {seconds(value)}, {share:.1f} %"
            for value, share in zip(values, shares, strict=True)
        ]
        traces.append(stacks(types, shares, texts, look))
    rows = -(-len(traces) // 4)
    lanes = [f"{name} ({seconds(total)})" for name, total in zip(types, totals, strict=True)]
    return [
        Chart(
            "time",
            traces,
            layout(
                86 + 22 * rows + 30 * len(types),
                barmode="stack",
                showlegend=True,
                meta={"rows": rows},
                xaxis=axis("% of the time of all runs of the type", range=[0, 100]),
                yaxis=lanes_axis(lanes),
            ),
            "Where the time went, by workflow type.",
        )
    ]


_STATUS: Final = """
SELECT time_bucket(?, started_at) AS bucket, CASE WHEN is_stuck THEN 'STUCK' ELSE status END,
       count(*)
FROM chosen WHERE started_at IS NOT NULL GROUP BY ALL ORDER BY bucket
"""
_TYPES: Final = """
SELECT workflow_type, count(*) AS n, count(*) FILTER (status = 'COMPLETED'),
       count(*) FILTER (status IN ('FAILED', 'TIMED_OUT', 'TERMINATED')),
       count(*) FILTER (status = 'RUNNING'), count(*) FILTER (is_stuck),
       quantile_cont(duration_s, 0.5) FILTER (status != 'RUNNING'),
       quantile_cont(duration_s, 0.95) FILTER (status != 'RUNNING'),
       quantile_cont(duration_s, 0.99) FILTER (status != 'RUNNING')
FROM chosen GROUP BY workflow_type ORDER BY n DESC, workflow_type
"""
_LATENCY: Final = """
SELECT s.name, s.workflow_type, s.kind, count(*),
       count(*) FILTER (s.outcome IN ('failed', 'timed_out')), quantile_cont(s.total_s, 0.5),
       quantile_cont(s.total_s, 0.95) AS p95, ref.quantile(s.total_s, 0.99),
       quantile_cont(s.queue_s, 0.5), ref.quantile(s.queue_s, 0.95)
FROM mart.steps s SEMI JOIN chosen USING (namespace, workflow_id, run_id)
WHERE s.kind NOT IN ('timer', 'signal_external', 'cancel_external') AND s.total_s IS NOT NULL
GROUP BY s.name, s.workflow_type, s.kind ORDER BY p95 DESC, s.name
"""
_CRITICAL: Final = """
SELECT name, workflow_type, kind, count(*), count(DISTINCT (workflow_id, run_id)),
       sum(critical_s) AS held,
       ref.share(held, sum(sum(critical_s + gap_s)) OVER (PARTITION BY workflow_type)) AS part
FROM mart.critical_path SEMI JOIN chosen USING (namespace, workflow_id, run_id)
GROUP BY name, workflow_type, kind QUALIFY kind != 'end' ORDER BY held DESC, name
"""
_PEOPLE: Final = """
SELECT a.label, a.workflow_type, count(*) FILTER (a.outcome = 'answered'),
       count(*) FILTER (a.outcome = 'expired'), count(*) FILTER (a.outcome = 'open'),
       sum(a.n_rejected)::BIGINT, quantile_cont(a.wait_s, 0.5), ref.quantile(a.wait_s, 0.95),
       max(a.wait_s)
FROM mart.approvals a SEMI JOIN chosen USING (namespace, workflow_id, run_id)
GROUP BY a.label, a.workflow_type ORDER BY sum(a.wait_s) DESC NULLS LAST, a.label
"""
_WAITING: Final = """
SELECT w.workflow_id, w.workflow_type, w.label, w.opened_at, w.last_event_at
FROM mart.open_waits w SEMI JOIN chosen USING (namespace, workflow_id, run_id)
ORDER BY w.opened_at, w.workflow_id
"""
_TIME: Final = """
SELECT t.workflow_type, sum(COLUMNS('_s$'))
FROM mart.time_split t SEMI JOIN chosen USING (namespace, workflow_id, run_id)
GROUP BY t.workflow_type ORDER BY sum(t.total_s) DESC, t.workflow_type
"""
