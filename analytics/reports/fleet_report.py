"""The report on many runs: cost, failures, latency, waits, retries and limits, over time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from analytics.figures import UNKNOWN, count, counted, money, seconds, share, when
from analytics.questions import Scope
from analytics.reports.fleet_money import cost_section, retries_section
from analytics.reports.fleet_rows import Fleet, open_fleet
from analytics.reports.fleet_time import latency_section, runs_section, waits_section
from analytics.reports.fleet_trouble import failures_section, limits_section, stuck_section
from analytics.reports.words import Fact, Note, Page, Section, Tone

__all__ = ["fleet_report"]


def fleet_report(warehouse: Path, scope: Scope) -> Page:
    """The report on the runs of a warehouse that fit.

    Raises:
        WarehouseError: There is nothing to read.
    """
    with open_fleet(warehouse, scope) as fleet:
        return Page(
            kind="fleet",
            title="All workflows" if scope.workflow_type is None else scope.workflow_type,
            subtitle=f"{warehouse.name}: {_told(scope)}",
            status="",
            status_tone=Tone.PLAIN,
            facts=list(_heading(fleet)),
            figures=list(_figures(fleet)) if fleet.n_runs else [],
            notes=list(_notes(fleet)),
            sections=_sections(fleet),
            counts={"runs": fleet.n_runs},
        )


def _told(scope: Scope) -> str:
    """Which runs were chosen."""
    parts = [
        f"type {scope.workflow_type}" if scope.workflow_type is not None else "",
        f"tenant {scope.tenant}" if scope.tenant is not None else "",
        f"namespace {scope.namespace}" if scope.namespace is not None else "",
        f"started since {scope.since:%Y-%m-%d %H:%M}" if scope.since is not None else "",
        f"started before {scope.until:%Y-%m-%d %H:%M}" if scope.until is not None else "",
    ]
    return ", ".join(filter(None, parts)) or "all runs"


def _sections(fleet: Fleet) -> list[Section]:
    if not fleet.n_runs:
        empty = "No run fits. `retrospan runs` lists what the warehouse has."
        return [Section("runs", "Runs", empty=empty, on_card=True)]
    return [
        runs_section(fleet),
        failures_section(fleet),
        cost_section(fleet),
        retries_section(fleet),
        latency_section(fleet),
        waits_section(fleet),
        limits_section(fleet),
        stuck_section(fleet),
    ]


def _heading(fleet: Fleet) -> Iterator[Fact]:
    yield Fact("runs", count(fleet.n_runs))
    if fleet.n_runs:
        first, last, known = fleet.row(_SPAN)
        yield Fact("first started", when(first))
        yield Fact("last started", when(last))
        yield Fact("last event", when(known))


def _figures(fleet: Fleet) -> Iterator[Fact]:
    failed, stuck, is_open, median, p95 = fleet.row(_COUNTS)
    n = fleet.n_runs
    yield Fact("Runs", count(n), f"{is_open:,} open" if is_open else "all closed")
    tone = Tone.BAD if failed else Tone.GOOD
    yield Fact("Failed", count(failed), f"{failed / n:.1%} of the runs", tone)
    if stuck:
        yield Fact("Stuck", count(stuck), "look alive, never move", Tone.BAD)
    yield Fact("Duration, p95", seconds(p95), f"median {seconds(median)}")
    calls, usd, known = fleet.row(_COST)
    tone = Tone.PLAIN if known is None or known >= 1 else Tone.WARN
    about = f"{share(known)} of {counted(calls, 'model call')} priced" if calls else "no model call"
    yield Fact("Model cost", money(usd) if calls else UNKNOWN, about, tone)
    tries, wasted, is_exact, wasted_usd = fleet.row(_WASTE)
    cost = f", {money(wasted_usd)}" if wasted_usd is not None else ""
    about = f"{counted(tries, 'failed attempt')}{cost}"
    most = "" if is_exact else "≤ "
    yield Fact("Retry waste", f"{most}{seconds(wasted)}", about, Tone.WARN if tries else Tone.PLAIN)
    waits, waited = fleet.row(_PEOPLE)
    if waits:
        yield Fact("Waited for people", seconds(waited), counted(waits, "time"))


def _notes(fleet: Fleet) -> Iterator[Note]:
    stuck = fleet.rows(_STUCK) if fleet.n_runs else []
    if stuck:
        names = "\n".join(f"{run}: {why}" for run, why in stuck[:3])
        more = f"\nand {len(stuck) - 3:,} more" if len(stuck) > 3 else ""
        title = f"{counted(len(stuck), 'run')} stuck: a workflow task fails every time"
        yield Note(title, f"{names}{more}", Tone.BAD)


_SPAN: Final = """
SELECT min(c.started_at), max(c.started_at), max(r.last_event_at)
FROM chosen c JOIN core.runs r USING (namespace, workflow_id, run_id)
"""
_COUNTS: Final = """
SELECT count(*) FILTER (status IN ('FAILED', 'TIMED_OUT', 'TERMINATED')),
       count(*) FILTER (is_stuck), count(*) FILTER (status = 'RUNNING'),
       quantile_cont(duration_s, 0.5) FILTER (status != 'RUNNING'),
       quantile_cont(duration_s, 0.95) FILTER (status != 'RUNNING')
FROM chosen
"""
_COST: Final = """
SELECT count(*), sum(c.cost_usd), ref.share(count(c.cost_usd), count(*) FILTER (c.is_billable))
FROM mart.llm_calls c SEMI JOIN chosen USING (workflow_id, run_id)
"""
_WASTE: Final = """
SELECT coalesce(sum(t.n_failed_attempts), 0)::BIGINT, coalesce(sum(t.wasted_at_most_s), 0),
       coalesce(bool_and(t.waste_is_exact), true),
       sum(t.wasted_usd)
FROM mart.retries t SEMI JOIN chosen USING (namespace, workflow_id, run_id)
"""
_PEOPLE: Final = """
SELECT count(*), sum(w.wait_s)
FROM mart.human_waits w SEMI JOIN chosen USING (namespace, workflow_id, run_id)
"""
_STUCK: Final = """
SELECT s.workflow_id, left(concat_ws(': ', s.failure_type, s.failure_message), 200)
FROM mart.stuck_runs s SEMI JOIN chosen USING (namespace, workflow_id, run_id)
ORDER BY s.failed_since, s.workflow_id
"""
