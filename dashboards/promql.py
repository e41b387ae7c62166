"""PromQL over metrics of `tracer.names` and of Temporal, as Prometheus names them.

OTLP metrics change their names on the way into Prometheus and its kin: dots become underscores, a
unit becomes a suffix, counters end in `_total`. That translation lives here alone, and a query can
only be built from a `Metric` and attributes that it has: a dashboard cannot ask for a series that
the tracer never writes.

To Prometheus the first sample of a series is where counting starts: a failure that was seen once
has an `increase` of zero, and VictoriaMetrics guesses. `total` is right for it on both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from dashboards.temporal_metrics import Label
from tracer.names import Attribute, GenAI, Instrument, Metric

__all__ = [
    "RANGE_WINDOW",
    "RATE_WINDOW",
    "Key",
    "Matcher",
    "amount",
    "any_of",
    "at_most",
    "earlier",
    "highest",
    "is_histogram",
    "label_name",
    "legend",
    "lowest",
    "matches",
    "mean",
    "metric_name",
    "none_of",
    "per_hour",
    "per_minute",
    "per_second",
    "portion",
    "present",
    "quantile",
    "share",
    "total",
]

type Key = Attribute | GenAI | Label
"""What becomes a label: an attribute of ours or of the GenAI conventions, or one of Temporal's."""

RATE_WINDOW: Final = "$__rate_interval"
"""Grafana's window for graphs: always long enough to hold several samples."""

RANGE_WINDOW: Final = "$__range"
"""The whole time range of the dashboard."""

_UNIT_SUFFIXES: Final = {"s": "_seconds", "By": "_bytes", "USD": "_USD", "1": ""}
_NOT_IN_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")
_GRAFANA_VARIABLE: Final = re.compile(r"\$\w+")


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label."""

    attribute: Key
    operator: Literal["=~", "!~"]
    pattern: str
    """RE2, anchored at both ends; may be a Grafana variable."""


def any_of(attribute: Key, *values: str) -> Matcher:
    """The label has one of these values."""
    return Matcher(attribute, "=~", "|".join(_literal(value) for value in values))


def none_of(attribute: Key, *values: str) -> Matcher:
    """The label is absent or has none of these values."""
    return Matcher(attribute, "!~", "|".join(_literal(value) for value in values))


def matches(attribute: Key, variable: str) -> Matcher:
    """The label is what a dashboard variable says.

    Args:
        attribute: Which label.
        variable: The variable's name, without `$`.
    """
    return Matcher(attribute, "=~", f"${variable}")


def is_histogram(metric: Metric) -> bool:
    """Whether the tracer records it as a histogram."""
    return metric.instrument is Instrument.HISTOGRAM


def metric_name(metric: Metric) -> str:
    """The name in Prometheus; a histogram still needs `_bucket`, `_sum` or `_count`.

    Raises:
        ValueError: The unit has no suffix in Prometheus that is known here.
    """
    suffix = "" if _is_annotation(metric.unit) else _UNIT_SUFFIXES.get(metric.unit)
    if suffix is None:
        raise ValueError(
            f"metric {metric.name}: unit {metric.unit!r} has no known Prometheus suffix; "
            f"known are {', '.join(_UNIT_SUFFIXES)} and {{annotations}}"
        )
    name = _NOT_IN_A_NAME.sub("_", metric.name)
    # A unit that the name ends with is not said twice.
    return name.removesuffix(suffix) + suffix + _by_instrument(metric)


def label_name(metric: Metric, attribute: Key) -> str:
    """The label in Prometheus that an attribute of a metric becomes.

    The tenant is on every metric where workers were told so, and on none otherwise.

    Raises:
        ValueError: The metric does not have the attribute.
    """
    if attribute not in metric.attributes and attribute is not Attribute.TENANT:
        raise ValueError(
            f"metric {metric.name} has no attribute {attribute}; "
            f"it has {', '.join(metric.attributes) or 'none'}"
        )
    return _NOT_IN_A_NAME.sub("_", attribute)


def legend(metric: Metric, attribute: Key) -> str:
    """What Grafana writes beside a line: the value of a label."""
    return f"{{{{{label_name(metric, attribute)}}}}}"


def per_minute(metric: Metric, *, by: Sequence[Key] = (), where: Sequence[Matcher]) -> str:
    """How often a minute a counter counts, or a histogram records."""
    series = _counting_series(metric, where)
    return f"60 * {_sum(metric, by)} (rate({series}[{RATE_WINDOW}]))"


def per_second(metric: Metric, *, by: Sequence[Key] = (), where: Sequence[Matcher]) -> str:
    """How fast a counter grows, in the unit of the metric."""
    return f"{_sum(metric, by)} (rate({_counting_series(metric, where)}[{RATE_WINDOW}]))"


def per_hour(metric: Metric, *, by: Sequence[Key] = (), where: Sequence[Matcher]) -> str:
    """How fast the recorded values of a histogram add up: dollars or tokens an hour."""
    _require_histogram(metric)
    return f"3600 * {_sum(metric, by)} (rate({_series(metric, '_sum', where)}[{RATE_WINDOW}]))"


def present(metric: Metric, *, by: Sequence[Key] = (), where: Sequence[Matcher]) -> str:
    """The present values of a gauge, those of all processes added up.

    Raises:
        ValueError: The metric is no gauge.
    """
    return _gauged("sum", metric, by, where)


def lowest(metric: Metric, *, by: Sequence[Key], where: Sequence[Matcher]) -> str:
    """The lowest value of a gauge, wherever it was read.

    Raises:
        ValueError: The metric is no gauge.
    """
    return _gauged("min", metric, by, where)


def highest(metric: Metric, *, by: Sequence[Key] = (), where: Sequence[Matcher]) -> str:
    """The highest value of a gauge, wherever it was read.

    Raises:
        ValueError: The metric is no gauge.
    """
    return _gauged("max", metric, by, where)


def total(
    metric: Metric,
    *,
    by: Sequence[Key] = (),
    where: Sequence[Matcher],
    window: str = RANGE_WINDOW,
) -> str:
    """What a counter counted, or how often a histogram recorded, over the time range.

    Nothing instead of zero. A series that is younger than the time range counted its last value,
    not its `increase`, unless it started again in between. This is decided series by series, so
    that a part is never more than the whole.
    """
    return _grown(metric, _counting_series(metric, where), by, window)


def amount(
    metric: Metric,
    *,
    by: Sequence[Key] = (),
    where: Sequence[Matcher],
    window: str = RANGE_WINDOW,
) -> str:
    """What the recorded values of a histogram add up to over the time range."""
    _require_histogram(metric)
    return _grown(metric, _series(metric, "_sum", where), by, window)


def at_most(metric: Metric, bound: str, *, by: Sequence[Key] = (), where: Sequence[Matcher]) -> str:
    """How often a histogram recorded no more than `bound` over the time range.

    Args:
        metric: The histogram.
        bound: One of its bucket boundaries, or a Grafana variable that stands for one.
        by: Labels to keep.
        where: Conditions on labels.
    """
    _require_histogram(metric)
    # Prometheus 3 writes a whole number with ".0" where others do not.
    bucket = _series(metric, "_bucket", where, also=f'le=~"{bound}([.]0)?"')
    return _grown(metric, bucket, by, RANGE_WINDOW)


def earlier(metric: Metric, *, by: Sequence[Key], where: Sequence[Matcher]) -> str:
    """What a counter counted in a time as long as the time range, just before it."""
    series = _counting_series(metric, where)
    grown = f"increase({series}[{RANGE_WINDOW}] offset {RANGE_WINDOW})"
    return f"{_sum(metric, by)} ({grown}) > 0"


def portion(metric: Metric, part: str, whole: str, *, within: Sequence[Key]) -> str:
    """`part` of `whole`, 0 to 1, where `part` has more labels than those `within`."""
    labels = ", ".join(label_name(metric, attribute) for attribute in within)
    return f"({part}) / on ({labels}) group_left () ({whole})"


def share(part: str, whole: str) -> str:
    """`part` of `whole`, 0 to 1, for every series of `whole`: 0 where `part` has none."""
    return f"(({part}) or 0 * ({whole})) / (({whole}) > 0)"


def quantile(
    q: float,
    metric: Metric,
    *,
    by: Sequence[Key] = (),
    where: Sequence[Matcher],
    window: str = RATE_WINDOW,
) -> str:
    """The q-quantile of a histogram, in the unit of the metric."""
    _require_histogram(metric)
    series = _series(metric, "_bucket", where)
    labels = ", ".join(["le", *(label_name(metric, attribute) for attribute in by)])
    return f"histogram_quantile({q:g}, sum by ({labels}) (rate({series}[{window}])))"


def mean(
    metric: Metric,
    *,
    by: Sequence[Key] = (),
    where: Sequence[Matcher],
    window: str = RATE_WINDOW,
) -> str:
    """The mean of a histogram, in the unit of the metric."""
    _require_histogram(metric)
    sums, counts = (_series(metric, suffix, where) for suffix in ("_sum", "_count"))
    sum_by = _sum(metric, by)
    return f"{sum_by} (rate({sums}[{window}])) / ({sum_by} (rate({counts}[{window}])) > 0)"


def _grown(metric: Metric, series: str, by: Sequence[Key], window: str) -> str:
    grown = f"increase({series}[{window}])"
    most = f"max_over_time({series}[{window}])"
    before = f"{series} offset {window}"
    counted = f"({grown} > {most}) or ({most} unless {before}) or {grown}"
    return f"{_sum(metric, by)} ({counted}) > 0"


def _gauged(
    how: Literal["sum", "min", "max"], metric: Metric, by: Sequence[Key], where: Sequence[Matcher]
) -> str:
    if metric.instrument is not Instrument.GAUGE:
        raise ValueError(f"metric {metric.name} is a {metric.instrument}, this query needs a gauge")
    labels = ", ".join(label_name(metric, attribute) for attribute in by)
    grouped = f"{how} by ({labels})" if by else how
    return f"{grouped} ({_series(metric, '', where)})"


def _by_instrument(metric: Metric) -> str:
    if metric.instrument is Instrument.COUNTER:
        return "_total"
    return "_ratio" if metric.instrument is Instrument.GAUGE and metric.unit == "1" else ""


def _is_annotation(unit: str) -> bool:
    return unit.startswith("{") and unit.endswith("}")


def _require_histogram(metric: Metric) -> None:
    if not is_histogram(metric):
        raise ValueError(
            f"metric {metric.name} is a {metric.instrument}, this query needs a histogram"
        )


def _counting_series(metric: Metric, where: Sequence[Matcher]) -> str:
    return _series(metric, "_count" if is_histogram(metric) else "", where)


def _sum(metric: Metric, by: Sequence[Key]) -> str:
    if not by:
        return "sum"
    return f"sum by ({', '.join(label_name(metric, attribute) for attribute in by)})"


def _series(metric: Metric, suffix: str, where: Sequence[Matcher], *, also: str = "") -> str:
    conditions = [
        f'{label_name(metric, matcher.attribute)}{matcher.operator}"{_quoted(matcher.pattern)}"'
        for matcher in where
    ]
    text = ", ".join([*conditions, also] if also else conditions)
    name = metric_name(metric) + suffix
    return f"{name}{{{text}}}" if text else name


def _literal(value: str) -> str:
    # Grafana would take "$" for the start of a variable; in brackets it leaves it alone.
    return re.escape(value).replace(r"\$", "[$]").replace(r"\-", "-")


def _quoted(pattern: str) -> str:
    if _GRAFANA_VARIABLE.fullmatch(pattern):
        return pattern
    return pattern.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
