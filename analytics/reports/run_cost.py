"""What the model calls of a run cost, step by step, and how much of that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from analytics.figures import UNKNOWN, count, money
from analytics.reports.charts import DOLLARS, axis, rows, rows_layout, series_look
from analytics.reports.words import Chart, Column, Section, Table
from replayer.alignment import StepCalls
from tracer.model import Run

__all__ = ["cost_section"]

_ROWS: Final = 100
_BARS: Final = 20


def cost_section(run: Run, calls: Mapping[int, StepCalls]) -> Section:
    """Cost by step.

    Args:
        run: The run.
        calls: The model calls of its steps, by `Step.seq`.
    """
    title = "Cost by step"
    if not calls:
        empty = (
            "No model call is known. Calls are known from GenAI spans (`retrospan collect`), or "
            "from results that tell their usage."
        )
        return Section("cost", title, empty=empty)
    found = _by_step(run, calls)
    priced = [each for each in found if each.usd is not None][:_BARS]
    names, values = [each.name for each in priced], [each.usd for each in priced]
    chart = (
        Chart(
            "cost",
            [rows(names, values, [money(usd) for usd in values], series_look(0, "cost"))],
            rows_layout(
                names,
                axis(
                    "US dollars",
                    **DOLLARS,
                    range=[0, 1.25 * (max(usd or 0 for usd in values) or 1)],
                ),
            ),
            "Model cost by step.",
        )
        if priced
        else None
    )
    table = Table(
        (
            Column("step"),
            Column("model"),
            Column("calls", right=True),
            Column("input tokens", right=True),
            Column("output tokens", right=True),
            Column("cost", right=True),
            Column("priced", right=True),
        ),
        [
            (
                each.name,
                each.models,
                count(each.calls),
                count(each.read),
                count(each.written),
                money(each.usd),
                f"{each.priced:,} of {each.calls:,}",
            )
            for each in found[:_ROWS]
        ],
        total=len(found),
        which="the dearest",
    )
    lead = "All attempts of a step together. What has no price is not in the sum; it is not free."
    return Section("cost", title, lead, [chart] if chart else [], [table])


@dataclass(slots=True)
class _StepCost:
    name: str
    models: str = ""
    calls: int = 0
    priced: int = 0
    read: int | None = None
    written: int | None = None
    usd: float | None = None


def _by_step(run: Run, calls: Mapping[int, StepCalls]) -> list[_StepCost]:
    found: dict[str, _StepCost] = {}
    models: dict[str, set[str]] = {}
    for step in run.steps:
        call = calls.get(step.seq)
        if call is None:
            continue
        each = found.setdefault(step.name, _StepCost(step.name))
        models.setdefault(step.name, set()).add(call.model or UNKNOWN)
        each.calls += 1
        each.read = _sum(each.read, call.input_tokens)
        each.written = _sum(each.written, call.output_tokens)
        if call.cost_usd is not None:
            each.priced += 1
            each.usd = (each.usd or 0) + call.cost_usd
    for name, each in found.items():
        each.models = ", ".join(sorted(models[name]))
    return sorted(found.values(), key=lambda each: -(each.usd or 0))


def _sum(left: int | None, right: int | None) -> int | None:
    return left if right is None else (left or 0) + right
