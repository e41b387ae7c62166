"""What a PromQL query asks for, and what it could ask for."""

import re
from collections.abc import Iterator

import promql_parser

from dashboards import temporal_metrics
from dashboards.promql import is_histogram, metric_name
from tracer import names
from tracer.names import Attribute, Metric


def known_metrics() -> tuple[Metric, ...]:
    """All metrics that workers write: of ours, of model calls, and of Temporal's those in use."""
    return (*names.METRICS, *names.GENAI_METRICS, *temporal_metrics.METRICS)


def series_of(metric: Metric) -> list[str]:
    """The names in Prometheus that a metric becomes."""
    if not is_histogram(metric):
        return [metric_name(metric)]
    return [metric_name(metric) + suffix for suffix in ("_bucket", "_sum", "_count")]


def labels_of(metric: Metric) -> set[str]:
    """The labels in Prometheus that a metric may have."""
    return {label(key) for key in (*metric.attributes, Attribute.TENANT)} | {"le"}


def label(attribute: str) -> str:
    """An attribute's name in Prometheus."""
    return re.sub(r"\W", "_", attribute)


def selectors(promql: str) -> Iterator[promql_parser.VectorSelector]:
    """The selectors in a query, each once."""
    found: list[promql_parser.VectorSelector] = []

    def visit(part: promql_parser.Expr) -> None:
        if isinstance(part, promql_parser.VectorSelector):
            found.append(part)
        elif isinstance(part, promql_parser.MatrixSelector):
            found.append(part.vector_selector)

    promql_parser.walk(promql_parser.parse(promql), visit)
    return iter({id(selector): selector for selector in found}.values())
