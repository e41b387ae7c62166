"""Everything that other programs wrote: imported whole, and a second time not at all."""

from __future__ import annotations

from pathlib import Path

from analytics.ingest import IngestReport, ingest
from analytics.query import run_query
from analytics.runs import list_runs, load_history
from analytics.warehouse import Warehouse
from replayer.history import Rejected, RunHistory, read_histories
from tests.analytics.test_ingest import contents
from tracer.identity import RunKey
from tracer.model import run_from_events


def test_the_corpus_is_imported_whole_and_once(corpus: Path, warehouse: Warehouse) -> None:
    items = list(read_histories([corpus]))
    histories = [item for item in items if not isinstance(item, Rejected)]
    keys = {history.key for history in histories}
    report = ingest(warehouse, items)
    assert report.runs_new == len(keys)
    assert report.conflicts == 0
    assert report.rejected == sum(isinstance(i, Rejected) and not i.is_notice for i in items)
    before = contents(warehouse)
    again = ingest(warehouse, items)
    assert again == IngestReport(runs_unchanged=len(histories), rejected=report.rejected)
    assert contents(warehouse) == before
    events = {(*key, e.event_id) for h in histories for e in h.events for key in [_names(h.key)]}
    assert warehouse.rows("SELECT count(*) FROM core.events") == [(len(events),)]
    _equals_the_model(warehouse, histories)


def _names(key: RunKey) -> tuple[str, str, str]:
    return key.namespace, key.workflow_id, key.run_id


def _equals_the_model(warehouse: Warehouse, histories: list[RunHistory]) -> None:
    for history in histories:
        run = run_from_events(history.key, history.events)
        (row,) = warehouse.rows(
            "SELECT status, n_events, (SELECT count(*) FROM core.steps s WHERE s.namespace ="
            " r.namespace AND s.workflow_id = r.workflow_id AND s.run_id = r.run_id) FROM core.runs"
            " r WHERE namespace = ? AND workflow_id = ? AND run_id = ?",
            list(_names(run.key)),
        )
        assert row == (run.status.value, run.event_count, len(run.steps))


def test_every_archived_history_can_be_read_again(
    corpus: Path, warehouse: Warehouse, path: Path
) -> None:
    histories = {
        item.key: item
        for item in read_histories([corpus / "openai-agents", corpus / "mistral", corpus / "core"])
        if not isinstance(item, Rejected)
    }
    ingest(warehouse, histories.values())
    warehouse.close()
    assert {run.key for run in list_runs(path)} == set(histories)
    for key, history in histories.items():
        assert load_history(path, key) == history


def test_model_calls_are_found_without_spans(
    corpus: Path, warehouse: Warehouse, path: Path
) -> None:
    """Mistral names its models; OpenAI-Agents leaves the model to the worker, so no price."""
    ingest(warehouse, read_histories([corpus / "openai-agents", corpus / "mistral"]))
    warehouse.close()
    calls = run_query(
        path,
        "SELECT provider, model, count(*), count(cost_usd), sum(input_tokens)::BIGINT"
        " FROM mart.llm_calls GROUP BY ALL ORDER BY model NULLS FIRST",
    ).rows
    assert calls == [
        (None, None, 6, 0, 225),
        ("mistral_ai", "mistral-large-latest", 1, 0, None),
        ("mistral_ai", "mistral-medium-latest", 2, 2, 240),
        ("mistral_ai", "mistral-small-latest", 2, 2, 240),
    ]


def test_credentials_in_metadata_are_not_stored(corpus: Path, warehouse: Warehouse) -> None:
    ingest(warehouse, read_histories([corpus / "mistral"]))
    tokens = warehouse.rows(
        "SELECT DISTINCT metadata ->> '__internal_execution_token' FROM core.payloads"
        " WHERE metadata ->> '__internal_execution_token' IS NOT NULL"
    )
    assert tokens == [("[redacted]",)]
