"""`retrospan lake`: rows on stdout, one line on stderr when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analytics.ingest import ingest
from analytics.warehouse import open_warehouse
from tests.analytics.stories import history_of, order
from tui.cli.program import run


def test_a_lake_is_written_and_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse, lake = str(tmp_path / "w.duckdb"), str(tmp_path / "lake")
    with open_warehouse(warehouse) as opened:
        ingest(opened, [history_of(order())])
    assert run(["lake", "export", lake, "-w", warehouse, "--json"]) == 0
    tables = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"table": "core.runs", "rows": 1, "partitions": 1, "written": 1} in [
        {key: table[key] for key in ("table", "rows", "partitions", "written")} for table in tables
    ]
    query = "SELECT workflow_id, status FROM mart.run_summary"
    assert run(["lake", "sql", lake, query, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"workflow_id": "order-1", "status": "COMPLETED"}
    for refused in ("DROP VIEW mart.run_summary", f"SELECT * FROM read_text('{warehouse}')"):
        assert run(["lake", "sql", lake, refused]) == 4
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert run(["lake", "export", lake, "-w", warehouse, "--since", "yesterday"]) == 2
    assert run(["lake", "sql", str(tmp_path), query]) == 3
    assert "no lake here" in capsys.readouterr().err
