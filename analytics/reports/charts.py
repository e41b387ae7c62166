"""Figures as Plotly takes them: plain values, and text that Plotly cannot mistake for markup.

Colours of text, lines and backgrounds are the style sheet's, which knows light, dark and paper;
here are only those of marks, which are seen on all three. A mark's pattern says the same as its
colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from analytics.text import safe_text

__all__ = [
    "DOLLARS",
    "LOOKS",
    "TIME_PARTS",
    "Bar",
    "Look",
    "TimeUnit",
    "axis",
    "bars",
    "counts_axis",
    "label",
    "lanes_axis",
    "layout",
    "marker",
    "plotly_text",
    "rows",
    "rows_layout",
    "series_look",
    "stacks",
    "unit_for",
]

_LONGEST_LABEL: Final = 48

DOLLARS: Final = {"tickprefix": "$", "exponentformat": "none", "nticks": 5}
"""Of an axis of money: small sums in digits, not in powers of ten."""

_PALETTE: Final = (
    "#3a7ebf",
    "#d08a1f",
    "#4f9d69",
    "#9b6bb3",
    "#c05f5f",
    "#5d8a94",
    "#8a8f55",
    "#7a7f87",
)
"""For things that have no meaning of their own, such as models and workflow types."""

_SHAPES: Final = ("", "/", ".", "x", "\\", "-", "+", "|")


class Look(NamedTuple):
    """How a mark looks."""

    label: str
    colour: str
    shape: str
    """Plotly's name of a pattern, empty for a solid mark."""
    is_solid: bool = False
    """Whether the pattern lies on the colour, not on the page: something was at work."""


LOOKS: Final[Mapping[str, Look]] = {
    "completed": Look("attempt completed", "#3a7ebf", ""),
    "failed": Look("attempt failed", "#c94f4f", "x", True),
    "timed_out": Look("attempt timed out", "#c94f4f", "+", True),
    "canceled": Look("attempt cancelled", "#7a7f87", "x", True),
    "open": Look("attempt at work", "#4f9d69", "|", True),
    "backoff": Look("backoff", "#d08a1f", "/"),
    "retries": Look("earlier attempts and backoff (history gives no times)", "#d08a1f", "-"),
    "queue": Look("in queue", "#8b939c", "."),
    "child": Look("child workflow", "#4f9d69", ""),
    "timer": Look("timer", "#8b939c", "\\"),
    "human": Look("waiting for a person", "#9b6bb3", "/"),
    "wait": Look("waiting", "#9b6bb3", "."),
    "instant": Look("message sent", "#5d8a94", ""),
}
"""Of the bars of a run, in the order of the legend."""


TIME_PARTS: Final[Mapping[str, Look]] = {
    "activity": Look("activities at work", "#3a7ebf", ""),
    "child": Look("child workflows", "#4f9d69", ""),
    "failed_attempt": Look("failed attempts", "#c94f4f", "x", True),
    "backoff": Look("backoff between attempts", "#d08a1f", "/"),
    "retry": Look("earlier attempts and backoff", "#d08a1f", "-"),
    "queue": Look("in queues", "#8b939c", "."),
    "workflow": Look("workflow code", "#5d8a94", "|", True),
    "human_wait": Look("waiting for a person", "#9b6bb3", "/"),
    "wait": Look("waiting for a message", "#9b6bb3", "."),
    "timer": Look("timers", "#8b939c", "\\"),
    "other": Look("not explained", "#b5bac0", "x"),
}
"""Of the parts of a run's duration, by their names in `mart.time_split` without `_s`."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar that lies on a lane."""

    lane: int
    look: str
    """A key of `LOOKS`."""
    start: int
    """Nanoseconds since the start of the run."""
    end: int
    text: str = ""
    """What the bar tells when it is pointed at; lines are separated by line feeds."""
    mark: str = ""
    """A few characters written on the bar."""


class TimeUnit(NamedTuple):
    """The unit of a time axis."""

    name: str
    nanoseconds: int


_UNITS: Final = (
    TimeUnit("days", 86_400_000_000_000),
    TimeUnit("hours", 3_600_000_000_000),
    TimeUnit("minutes", 60_000_000_000),
    TimeUnit("seconds", 1_000_000_000),
    TimeUnit("milliseconds", 1_000_000),
)


def unit_for(nanoseconds: int) -> TimeUnit:
    """The largest unit of which a span of time has two at least."""
    return next((unit for unit in _UNITS if nanoseconds >= 2 * unit.nanoseconds), _UNITS[-1])


def plotly_text(text: str, *, limit: int = 0, multiline: bool = False) -> str:
    """Text as Plotly shows it literally: it would read `<a href=…>` and `&amp;` as markup.

    Args:
        text: Anything.
        limit: Characters to keep, 0 for all.
        multiline: Keep line feeds, as breaks.
    """
    if limit and len(text) > limit:
        text = text[: limit - 1] + "…"
    safe = safe_text(text, multiline=multiline)
    safe = safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace("\n", "<br>")


def label(text: str) -> str:
    """A name on an axis."""
    return plotly_text(text, limit=_LONGEST_LABEL) or "(no name)"


def layout(height: int, **more: Any) -> dict[str, Any]:
    """What all charts have in common.

    Args:
        height: In CSS pixels; the width is that of the page.
        more: Plotly's own layout, merged over the rest.
    """
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12, "family": "system-ui, sans-serif"},
        "bargap": 0.3,
        "showlegend": False,
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
        "hoverlabel": {"align": "left", "bgcolor": "#1c2128", "bordercolor": "#1c2128"},
        "dragmode": False,
        **more,
    }


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with a title that tells the unit."""
    return {
        "automargin": True,
        "title": {"text": title, "standoff": 8, "font": {"size": 12}},
        "zeroline": False,
        "fixedrange": True,
        "ticklabelstandoff": 6,
        **more,
    }


def lanes_axis(names: Sequence[str]) -> dict[str, Any]:
    """A vertical axis with one lane for each name, the first at the top."""
    return axis(
        tickmode="array",
        tickvals=list(range(len(names))),
        ticktext=[label(name) for name in names],
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
    )


def bars(found: Sequence[Bar], unit: TimeUnit) -> list[dict[str, Any]]:
    """One trace for each look, so that the legend explains it."""
    traces = []
    for name, look in LOOKS.items():
        chosen = [bar for bar in found if bar.look == name]
        if chosen:
            traces.append(_bars(look, chosen, unit))
    return traces


def _bars(look: Look, chosen: Sequence[Bar], unit: TimeUnit) -> dict[str, Any]:
    scale = unit.nanoseconds
    return {
        "type": "bar",
        "orientation": "h",
        "name": look.label,
        "y": [bar.lane for bar in chosen],
        "base": [bar.start / scale for bar in chosen],
        "x": [(bar.end - bar.start) / scale for bar in chosen],
        "width": 0.62,
        "marker": marker(look),
        "text": [plotly_text(bar.mark) for bar in chosen],
        "textposition": "inside",
        "textangle": 0,
        "insidetextanchor": "start",
        "cliponaxis": True,
        "hovertext": [plotly_text(bar.text, limit=600, multiline=True) for bar in chosen],
        "hoverinfo": "text",
        "offset": -0.31,
    }


def marker(look: Look) -> dict[str, Any]:
    """A solid mark, or a hatched one on whatever is behind it."""
    found: dict[str, Any] = {"color": look.colour, "line": {"width": 1, "color": look.colour}}
    if look.shape:
        found["pattern"] = {
            "shape": look.shape,
            "fillmode": "replace",
            "size": 6,
            "solidity": 0.25 if look.is_solid else 0.35,
            "bgcolor": look.colour if look.is_solid else "rgba(0,0,0,0)",
            "fgcolor": "rgba(255,255,255,0.75)" if look.is_solid else look.colour,
        }
    return found


def counts_axis(title: str, most: float, **more: Any) -> dict[str, Any]:
    """An axis of whole numbers: a quarter of a failure means nothing."""
    return axis(title, tickformat=",d", dtick=1, **more) if most <= 8 else axis(title, **more)


def series_look(index: int, name: str) -> Look:
    """The look of the nth of several things without a meaning of their own."""
    return Look(name, _PALETTE[index % len(_PALETTE)], _SHAPES[index % len(_SHAPES)])


def rows(
    names: Sequence[str], values: Sequence[float | None], texts: Sequence[str], look: Look
) -> dict[str, Any]:
    """A trace of horizontal bars with their figures behind them."""
    return {
        "type": "bar",
        "orientation": "h",
        "name": look.label,
        "y": list(range(len(names))),
        "x": list(values),
        "marker": marker(look),
        "text": [plotly_text(text) for text in texts],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertext": [
            f"{plotly_text(name, limit=200)}<br>{plotly_text(text)}"
            for name, text in zip(names, texts, strict=True)
        ],
        "hoverinfo": "text",
    }


def rows_layout(names: Sequence[str], x_axis: Mapping[str, Any]) -> dict[str, Any]:
    """The layout of one trace of `rows`; the page widens its axis where figures lack room."""
    return layout(
        86 + 26 * len(names), meta={"outside": True}, xaxis=x_axis, yaxis=lanes_axis(names)
    )


def stacks(
    names: Sequence[str], values: Sequence[float], texts: Sequence[str], look: Look
) -> dict[str, Any]:
    """A trace of a stack of horizontal bars."""
    return rows(names, values, texts, look) | {"textposition": "none"}
