import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import promql_parser
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import temporal_metrics
from tests.dashboards.queries import known_metrics, label, labels_of, selectors, series_of
from tests.dashboards.sending import metric_queries
from tracer.names import Attribute, GenAI

type Json = dict[str, Any]
type Queries = dict[str, list[str]]

_COLUMNS = 24
_SOURCES = {"datasource", "traces", "warehouse"}
_TYPED = {"budget", "sla", "workflow_id", "trace"}
_BUILT_IN = re.compile(r"__\w+")
_VARIABLE = re.compile(r"\$(?:\{([\w.]+)(?::\w+)?\}|(\w+))")
_LABEL_OF_LINK = re.compile(r"span\.((?:\w+\.)*\w+)")
_IDS = {
    Attribute.WORKFLOW_ID,
    Attribute.RUN_ID,
    Attribute.ACTIVITY_ID,
    Attribute.PARENT_WORKFLOW_ID,
    Attribute.CONTINUED_FROM,
    Attribute.CHILD_WORKFLOW_ID,
    Attribute.TIMER_ID,
    Attribute.UPDATE_ID,
    Attribute.STEP_ID,
}


def test_grafanas_own_model_reads_it_without_loss(board: Json) -> None:
    register_default_plugins()
    assert json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder)) == board


def test_ids_are_unique(board: Json) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in board["panels"]:
        refs = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(refs)) == len(refs), panel["title"]


def test_every_panel_says_what_it_shows(panels: list[Json]) -> None:
    assert panels
    assert not [panel["title"] for panel in panels if not panel.get("description")]
    titles = Counter((panel["type"], panel["title"], _language(panel)) for panel in panels)
    assert max(titles.values()) == 1


def test_every_panel_of_metrics_has_a_unit(panels: list[Json]) -> None:
    for panel in panels:
        if _language(panel) == "prometheus":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_every_column_of_figures_has_a_heading_and_a_unit(
    panels: list[Json], queries: Queries
) -> None:
    tables = [panel for panel in panels if panel["type"] == "table" and "expr" in _first(panel)]
    for panel in tables:
        (organize,) = (t for t in panel["transformations"] if t["id"] == "organize")
        renamed = organize["options"]["renameByName"]
        count = len(panel["targets"])
        values = {"Value"} if count == 1 else {f"Value #{t['refId']}" for t in panel["targets"]}
        assert values <= renamed.keys()
        with_unit = {
            override["matcher"]["options"]
            for override in panel["fieldConfig"]["overrides"]
            if any(property_["id"] == "unit" for property_ in override["properties"])
        }
        assert {renamed[value] for value in values} == with_unit
        grouped = set().union(*(_grouping(query) for query in queries[panel["title"]]))
        assert grouped == renamed.keys() - values, panel["title"]


def test_panels_fit_and_do_not_overlap(board: Json) -> None:
    cells = Counter(
        cell for panel in board["panels"] for cell in _cells(panel["gridPos"], panel["title"])
    )
    assert max(cells.values()) == 1


def test_graphs_are_wide_enough_for_a_small_screen(panels: list[Json]) -> None:
    for panel in panels:
        if panel["type"] != "stat":
            assert panel["gridPos"]["w"] >= 8, panel["title"]


def test_every_query_parses(queries: Queries) -> None:
    for promql in _flat(queries):
        promql_parser.parse(promql)


def test_every_series_is_one_that_workers_write(queries: Queries) -> None:
    known = {series: metric for metric in known_metrics() for series in series_of(metric)}
    for query in _flat(queries):
        found = list(selectors(query))
        assert found, query
        allowed: set[str] = set()
        for selector in found:
            assert selector.name in known, query
            labels = labels_of(known[selector.name])
            assert {matcher.name for matcher in selector.matchers.matchers} <= labels, query
            allowed |= labels
        assert _grouping(query) <= allowed, query


def test_every_metric_is_shown(boards: dict[str, Json]) -> None:
    shown = {
        selector.name
        for board in boards.values()
        for query in _flat(metric_queries(board))
        for selector in selectors(query)
    }
    missing = [metric.name for metric in known_metrics() if not shown & set(series_of(metric))]
    assert not missing


def test_dashboards_and_their_panels_can_be_told_apart(boards: dict[str, Json]) -> None:
    for key in ("uid", "title"):
        assert len({board[key] for board in boards.values()}) == len(boards)


def test_every_dashboard_leads_to_the_others(board: Json) -> None:
    (menu,) = (link for link in board["links"] if link["type"] == "dashboards")
    assert menu["tags"] == ["retrospan"]
    assert set(menu["tags"]) <= set(board["tags"])
    assert menu["keepTime"]
    assert menu["includeVars"]


def test_links_lead_to_dashboards_and_variables_that_exist(
    board: Json, boards: dict[str, Json]
) -> None:
    by_uid = {other["uid"]: other for other in boards.values()}
    for uid, query in re.findall(r"/d/([\w-]+)\?(\S+)", "\n".join(_texts(board["panels"]))):
        variables = {variable["name"] for variable in by_uid[uid]["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=", query)) <= variables


def test_points_of_the_tracers_metrics_lead_to_traces(panels: list[Json]) -> None:
    for panel in panels:
        if panel["type"] == "timeseries" and _language(panel) == "prometheus":
            for target in panel["targets"]:
                is_ours = "temporal_" not in target["expr"].split("{")[0].split("(")[-1]
                assert target.get("exemplar", False) == is_ours, panel["title"]


def test_ids_never_become_labels(queries: Queries) -> None:
    ids = {re.sub(r"\W", "_", attribute) for attribute in _IDS}
    used = {
        label
        for query in _flat(queries)
        for label in (
            *_grouping(query),
            *(m.name for s in selectors(query) for m in s.matchers.matchers),
        )
    }
    assert not used & ids


_FOLLOWED = {
    Attribute.NAMESPACE: "namespace",
    Attribute.WORKFLOW_TYPE: "workflow_type",
    temporal_metrics.Label.NAMESPACE: "namespace",
    temporal_metrics.Label.TASK_QUEUE: "task_queue",
    GenAI.REQUEST_MODEL: "model",
}
_COUNTED_BY_MODEL = {"Unpriced calls"}
"""Compares with model calls, which have no workflow type: it says so."""


def test_the_choice_of_the_viewer_reaches_every_query_that_can_follow_it(
    board: Json, queries: Queries
) -> None:
    known = {series: metric for metric in known_metrics() for series in series_of(metric)}
    offered = {variable["name"] for variable in board["templating"]["list"]}
    for title, selector in _selectors_by_title(queries):
        if title not in _COUNTED_BY_MODEL:
            metric = known[selector.name or ""]
            matched = {matcher.name for matcher in selector.matchers.matchers}
            followed = {label(key) for key, name in _FOLLOWED.items() if name in offered}
            assert followed & labels_of(metric) <= matched, title


def test_variables_are_defined_before_they_are_used(board: Json) -> None:
    variables = board["templating"]["list"]
    defined: set[str] = set()
    for variable in variables:
        assert _used(variable) <= defined, variable["name"]
        defined.add(variable["name"])
    assert _used({**board, "templating": {}}) == defined
    # The same on each: the menu of dashboards hands them on.
    assert defined <= {
        *_FOLLOWED.values(),
        "datasource",
        "traces",
        "budget",
        "sla",
        "warehouse",
    } | {
        "workflow_id",
        "trace",
    }


def test_trace_searches_ask_for_attributes_that_spans_have(board: Json) -> None:
    attributes = {str(attribute) for attribute in (*Attribute, *GenAI)}
    searches = [
        text for text in _texts(board) if "span." in text and not text.startswith("retrospan_")
    ]
    assert searches or board["uid"] == "retrospan-warehouse"
    for search in searches:
        found = set(_LABEL_OF_LINK.findall(search.replace("%20", " ")))
        assert found
        assert found <= attributes, search


def _language(panel: Json) -> str:
    return str(panel["datasource"]["type"])


def _first(panel: Json) -> Json:
    target: Json = panel["targets"][0]
    return target


def _flat(queries: Queries) -> Iterator[str]:
    return itertools.chain.from_iterable(queries.values())


def _selectors_by_title(
    queries: Queries,
) -> Iterator[tuple[str, promql_parser.VectorSelector]]:
    for title, promqls in queries.items():
        for promql in promqls:
            yield from ((title, selector) for selector in selectors(promql))


def _grouping(promql: str) -> set[str]:
    labels: set[str] = set()

    def visit(part: promql_parser.Expr) -> None:
        if isinstance(part, promql_parser.AggregateExpr) and part.modifier is not None:
            labels.update(part.modifier.labels)

    promql_parser.walk(promql_parser.parse(promql), visit)
    return labels - {"le"}


def _cells(position: dict[str, int], title: str) -> Iterator[tuple[int, int]]:
    x, y, width, height = (position[key] for key in "xywh")
    assert 0 <= x < x + width <= _COLUMNS, title
    return itertools.product(range(x, x + width), range(y, y + height))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)


def _used(value: Any) -> set[str]:
    found = (found[1] or found[2] for text in _texts(value) for found in _VARIABLE.finditer(text))
    return {name for name in found if not _BUILT_IN.match(name)}
