"""Every query answers on a store that speaks PromQL, with what real workers emitted.

VictoriaMetrics takes OTLP and names metrics the way Prometheus does, from version 1.112 on. The
figures are recomputed from the histories of the same runs.
"""

import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from analytics.snapshot import snapshot_path
from dashboards import temporal_metrics
from dashboards.promql import is_histogram, metric_name
from tests.dashboards import fleet_of_one as synthetic
from tests.dashboards.live_store import LiveStore, live_store
from tests.dashboards.sending import metric_queries, sent, sent_sql, sql_queries
from tracer.names import Attribute, GenAI

pytestmark = [pytest.mark.slow, pytest.mark.timeout(360)]

_READ_BY_THE_PLUGIN = {"VARCHAR", "DOUBLE", "BOOLEAN", "TIMESTAMP"}

type Boards = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStore]:
    """The demo's runs, and synthetic ones in another namespace."""
    with live_store(tmp_path_factory.mktemp("live")) as live:
        yield live


def test_every_query_of_every_panel_answers(store: LiveStore, boards: Boards) -> None:
    empty = []
    for name, board in boards.items():
        kinds = {panel["title"]: panel["type"] for panel in board["panels"]}
        for title, queries in metric_queries(board).items():
            over_time = kinds[title] == "timeseries"
            for query in queries:
                found = store.over_time(query) if over_time else len(store.ask(query))
                if not found:
                    empty.append((name, title, query))
    assert not empty


def test_runs_are_those_of_the_histories(store: LiveStore, boards: Boards) -> None:
    fleet = metric_queries(boards["fleet.json"], namespace="default")
    [(_, ended)] = store.ask(fleet["Runs ended"][0])
    closed = "is_closed AND status <> 'CONTINUED_AS_NEW'"
    [(count, failed)] = store.sql(
        "SELECT count(*), count(*) FILTER (status IN ('FAILED', 'TIMED_OUT'))"
        f" FROM core.runs WHERE {closed}"
    )
    assert ended == count > 0
    [(_, share)] = store.ask(fleet["Failed runs"][0])
    assert share == pytest.approx(failed / count)
    by_type = _by(store, fleet["Workflow types"][0], "temporal_workflow_type")
    assert by_type == dict(
        store.sql(f"SELECT workflow_type, count(*) FROM core.runs WHERE {closed} GROUP BY ALL")
    )


def test_steps_and_attempts_are_those_of_the_histories(store: LiveStore, boards: Boards) -> None:
    fleet = metric_queries(boards["fleet.json"], namespace="default")
    answered = _by(store, fleet["Steps"][0], "retrospan_step_name", "retrospan_step_kind")
    assert answered == {
        (name, kind): count
        for name, kind, count in store.sql(
            "SELECT name, kind, count(*) FROM core.steps"
            " WHERE outcome IS NOT NULL AND kind <> 'timer' GROUP BY ALL"
        )
    }
    [(_, share)] = store.ask(fleet["Failed attempts"][0])
    [(attempts, good)] = store.sql(
        "SELECT sum(n_attempts), count(*) FILTER (outcome = 'completed') FROM core.steps"
        " WHERE kind = 'activity' AND n_attempts IS NOT NULL"
    )
    # A history tells how many attempts a step took; each but one that completed it went wrong.
    assert 0 < share <= (attempts - good) / attempts + 1e-9


def test_waits_are_those_of_the_histories(store: LiveStore, boards: Boards) -> None:
    people = metric_queries(boards["people.json"], namespace="default")
    labels = "temporal_workflow_type", "retrospan_wait_woken_by"
    assert _by(store, people["Waits"][0], *labels) == {
        (workflow_type, woken_by): count
        for workflow_type, woken_by, count in store.sql(
            "SELECT r.workflow_type, w.woken_by, count(*) FROM core.waits w"
            " JOIN core.runs r USING (namespace, workflow_id, run_id)"
            " WHERE w.closed_at IS NOT NULL GROUP BY ALL"
        )
    }
    [(_, late)] = store.ask(
        metric_queries(boards["people.json"], namespace="synthetic")["Over SLA"][0]
    )
    assert late == pytest.approx(synthetic.FAILED / (synthetic.FAILED + synthetic.COMPLETED))
    [(_, oldest)] = store.ask(people["Longest wait now"][0].replace("default", "synthetic"))
    assert oldest == pytest.approx(synthetic.WAITING_SECONDS, abs=5)


def test_decisions_and_their_drift_are_those_of_the_spans(store: LiveStore, boards: Boards) -> None:
    people = metric_queries(boards["people.json"], namespace="default")
    [(_, decisions)] = store.ask(people["Decisions"][0])
    [(count,)] = store.sql("SELECT count(*) FROM core.branches")
    assert decisions == count > 0
    every = metric_queries(boards["people.json"], namespace="default|earlier")
    now, before, shift = every["Drift of decisions"][1:]
    found = store.ask(now)
    assert found
    # The same decisions in the time before: the same shares, and no shift.
    assert dict(_rows(store.ask(before))) == pytest.approx(dict(_rows(found)))
    assert {round(value, 9) for _, value in store.ask(shift)} == {0.0}


def test_cost_and_tokens_are_those_of_the_model_calls(store: LiveStore, boards: Boards) -> None:
    agents = metric_queries(
        boards["agents.json"], namespace="default", model="gpt.+|o4.+|mistral.+"
    )
    sums = "sum(cost_usd), sum(input_tokens + output_tokens), count(*), count(error_type)"
    [(usd, tokens, calls, failed)] = store.sql(f"SELECT {sums} FROM core.llm_calls")
    shown = {
        title: store.ask(agents[title][0])[0][1]
        for title in ("Cost", "Tokens", "Model calls", "Failed calls", "Budget used")
    }
    assert shown == pytest.approx(
        {
            "Cost": float(usd),
            "Tokens": tokens,
            "Model calls": calls,
            "Failed calls": failed / calls,
            "Budget used": float(usd) / 10,
        }
    )
    assert _by(store, agents["Cost by workflow type"][0], "temporal_workflow_type") == (
        pytest.approx(
            {
                name: float(cost)
                for name, cost in store.sql(
                    "SELECT workflow_type, cost_usd FROM mart.cost_by_workflow WHERE cost_usd > 0"
                )
            }
        )
    )


def test_losses_are_counted_from_the_first_export(store: LiveStore, boards: Boards) -> None:
    # They came before the first export and never again: nothing "increased" since.
    fleet = metric_queries(boards["fleet.json"])
    [(_, losses)] = store.ask(fleet["Tracer losses"][0])
    assert losses == synthetic.DROPPED + synthetic.LOST + 1


def test_a_failure_is_found_by_its_fingerprint(store: LiveStore, boards: Boards) -> None:
    fleet = metric_queries(boards["fleet.json"], namespace="synthetic")
    [(labels, count)] = store.ask(fleet["Failures by fingerprint"][0])
    assert count == synthetic.FAILED
    assert labels == {
        "retrospan_failure_fingerprint": "f00d",
        "error_type": "RateLimited",
        "temporal_activity_type": "declare",
        "temporal_workflow_type": "Cargo",
    }


def test_the_variables_find_their_values(store: LiveStore, boards: Boards) -> None:
    for board in boards.values():
        for variable in board["templating"]["list"]:
            query = variable.get("query")
            if variable["type"] == "query" and str(query).startswith("label_values("):
                series, label = query[len("label_values(") : -1].rsplit(", ", 1)
                asked = {"match[]": sent(series)}
                found = store.client.get(f"/api/v1/label/{label}/values", params=asked)
                assert found.json()["data"], (board["uid"], variable["name"])


def test_temporals_own_metrics_have_the_labels_that_are_written_down(store: LiveStore) -> None:
    for metric in temporal_metrics.METRICS:
        suffix = "_count" if is_histogram(metric) else ""
        found = store.client.get(
            "/api/v1/series", params={"match[]": metric_name(metric) + suffix}
        ).json()["data"]
        assert found, metric.name
        labels = set().union(*found)
        assert set(metric.attributes) <= labels, metric.name


def test_every_panel_over_the_warehouse_answers_in_types_that_the_plugin_reads(
    store: LiveStore, boards: Boards
) -> None:
    board = boards["warehouse.json"]
    with duckdb.connect(str(snapshot_path(store.warehouse)), read_only=True) as snapshot:
        chosen = _all_values(snapshot, board)
        empty = set()
        for title, sql in sql_queries(board).items():
            answer = snapshot.execute(sent_sql(sql, chosen))
            types = {str(column[1]) for column in answer.description}
            assert types <= _READ_BY_THE_PLUGIN, title
            if not answer.fetchall():
                empty.add(title)
    assert not empty


def test_units_of_the_warehouse_are_those_of_columns(boards: Boards, store: LiveStore) -> None:
    board = boards["warehouse.json"]
    with duckdb.connect(str(snapshot_path(store.warehouse)), read_only=True) as snapshot:
        chosen = _all_values(snapshot, board)
        for panel in board["panels"]:
            if panel["type"] != "table":
                continue
            [target] = panel["targets"]
            answer = snapshot.execute(sent_sql(target["rawSql"], chosen))
            figures = {name for name, kind, *_ in answer.description if str(kind) == "DOUBLE"}
            named = {
                override["matcher"]["options"]: {p["id"] for p in override["properties"]}
                for override in panel["fieldConfig"]["overrides"]
            }
            assert figures == {name for name, ids in named.items() if "unit" in ids}


def test_the_parts_of_the_time_add_up(store: LiveStore, boards: Boards) -> None:
    board = boards["warehouse.json"]
    with duckdb.connect(str(snapshot_path(store.warehouse)), read_only=True) as snapshot:
        chosen = _all_values(snapshot, board)
        sql = sent_sql(sql_queries(board)["Where the time went"], chosen)
        for _, total, *parts in snapshot.execute(sql).fetchall():
            assert sum(parts) == pytest.approx(total)


def test_warehouse_and_metrics_agree(store: LiveStore, boards: Boards) -> None:
    board = boards["warehouse.json"]
    agents = metric_queries(boards["agents.json"], namespace="default", model="gpt.+|o4.+")
    fleet = metric_queries(boards["fleet.json"], namespace="default")
    with duckdb.connect(str(snapshot_path(store.warehouse)), read_only=True) as snapshot:
        chosen = _all_values(snapshot, board)
        shown = {
            title: snapshot.execute(sent_sql(sql, chosen)).fetchall()[0][0]
            for title, sql in sql_queries(board).items()
        }
    [(runs, stuck)] = store.sql("SELECT count(*), count(*) FILTER (is_stuck) FROM core.runs")
    assert (shown["Runs"], shown["Stuck now"], shown["Waiting now"]) == (runs, stuck, 1)
    assert shown["Cost"] == pytest.approx(store.ask(agents["Cost"][0])[0][1])
    assert shown["Failed runs"] == pytest.approx(store.ask(fleet["Failed runs"][0])[0][1])


_NOT_IN_THE_EXAMPLES = {
    *(Attribute.DECISION_NAME, Attribute.DECISION_WHY, Attribute.QUERY_NAME),
    *(Attribute.TOOL_BLOCK_POLICY, Attribute.TOOL_BLOCK_REASON, GenAI.TOOL_NAME),
    *(Attribute.LIMIT_NAME, Attribute.LIMIT_HEADROOM, Attribute.HOT_LINES),
    # A worker does not see how many attempts a step took: `backfill` tells.
    Attribute.ATTEMPTS,
}


def test_trace_tables_show_attributes_that_workers_wrote(store: LiveStore, boards: Boards) -> None:
    """No store here speaks TraceQL: the columns are looked up in the spans themselves."""
    by_kind: dict[str, set[str]] = {}
    for span in store.spans:
        keys = {attribute.key: attribute.value.string_value for attribute in span.attributes}
        by_kind.setdefault(keys.get(Attribute.SPAN_KIND.value, ""), set()).update(keys)
    tables = 0
    for board in boards.values():
        for query in _trace_searches(board):
            found, _, shown = query.partition(" | select(")
            kinds = re.search(r"retrospan\.span\.kind =~? `([^`]+)`", found.rpartition(">>")[2])
            wanted = kinds[1].split("|") if kinds else [""]
            have = set().union(*(by_kind.get(kind, set()) for kind in wanted))
            assert set(re.findall(r"span\.([\w.]+)", shown)) - have <= _NOT_IN_THE_EXAMPLES, query
            tables += 1
    assert tables > 10


def _trace_searches(board: dict[str, Any]) -> Iterator[str]:
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            if target.get("queryType") == "traceql" and " | select(" in target["query"]:
                yield target["query"]


def test_ids_are_in_no_label(store: LiveStore) -> None:
    labels = store.client.get("/api/v1/labels", params={"match[]": '{__name__=~".+"}'})
    assert not {"temporalWorkflowID", "temporalRunID"} & set(labels.json()["data"])


def _all_values(snapshot: duckdb.DuckDBPyConnection, board: dict[str, Any]) -> dict[str, list[str]]:
    chosen: dict[str, list[str]] = {}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            rows = snapshot.execute(sent_sql(variable["query"], chosen)).fetchall()
            chosen[variable["name"]] = [value for (value,) in rows]
    assert all(chosen.values())
    return chosen


def _rows(found: list[tuple[dict[str, str], float]]) -> list[tuple[tuple[str, ...], float]]:
    return [(tuple(sorted(labels.values())), value) for labels, value in found]


def _by(store: LiveStore, promql: str, *labels: str) -> dict[Any, float]:
    """Values by the values of labels."""
    found = store.ask(promql)
    if len(labels) == 1:
        return {row[labels[0]]: value for row, value in found}
    return {tuple(row[label] for label in labels): value for row, value in found}
