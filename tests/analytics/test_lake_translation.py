"""What is translated keeps its meaning; what cannot be is refused before an engine sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.errors import LakeError
from analytics.lake.catalog import catalog
from analytics.lake.manifest import is_exported
from analytics.lake.scripts import write_scripts
from analytics.lake.translation import Dialect, translate, translated_views
from analytics.warehouse import Warehouse


def flat(sql: str) -> str:
    return " ".join(sql.replace("`", "").replace('"', "").split())


def test_every_mart_view_of_a_warehouse_is_translated(warehouse: Warehouse) -> None:
    rows = warehouse.rows(
        "SELECT 'mart.' || view_name FROM duckdb_views() WHERE schema_name = 'mart'"
    )
    for dialect in Dialect:
        names = [statement.name for statement in translated_views(dialect)]
        assert {name for (name,) in rows} <= set(names)
        made: set[str] = set(filter(is_exported, catalog().tables))
        for statement in translated_views(dialect):
            assert statement.reads <= made, f"{statement.name} comes before what it reads"
            made.add(statement.name)


@pytest.mark.parametrize(
    ("query", "spark", "clickhouse"),
    [
        (
            "SELECT n_steps / n_events AS r FROM mart.run_summary",
            "CAST(run_summary.n_steps AS DOUBLE) / CAST(run_summary.n_events AS DOUBLE)",
            "CAST(run_summary.n_steps AS Float64) / CAST(run_summary.n_events AS Float64)",
        ),
        (
            "SELECT ref.share(count(*), 2) AS s FROM mart.run_summary",
            "COUNT(*)",
            "CAST(COUNT(*) AS Int64)",
        ),
        (
            "SELECT quantile_cont(total_s, 0.95) AS q FROM mart.steps",
            "PERCENTILE(steps.total_s, 0.95)",
            "quantileExactInclusive(0.95)(steps.total_s)",
        ),
        (
            "SELECT ref.p95(total_s) AS q FROM mart.steps",
            "PERCENTILE(( steps.total_s ), 0.95)",
            "quantileExactInclusive(0.95)(( steps.total_s ))",
        ),
        (
            "SELECT arg_max(status, started_at) AS a FROM mart.run_summary",
            "MAX_BY( run_summary.status, CASE WHEN NOT run_summary.status IS NULL",
            "argMax(run_summary.status, run_summary.started_at)",
        ),
        (
            """SELECT memo ->> '$."a.b"' AS m FROM core.runs""",
            r"GET_JSON_OBJECT(runs.memo, '$[\'a.b\']')",
            "JSONExtract(runs.memo, 'a.b', 'Nullable(String)')",
        ),
        (
            "SELECT TRY_CAST(owner_id AS INTEGER) AS o FROM core.failures",
            "TRY_CAST(failures.owner_id AS INT)",
            "accurateCastOrNull(failures.owner_id, 'Int32')",
        ),
        (
            "SELECT run_id FROM mart.run_summary ORDER BY started_at",
            "ORDER BY run_summary.started_at NULLS LAST",
            "ORDER BY run_summary.started_at",
        ),
    ],
)
def test_a_difference_is_settled(query: str, spark: str, clickhouse: str) -> None:
    assert spark in flat(translate(query, Dialect.SPARK))
    assert clickhouse in flat(translate(query, Dialect.CLICKHOUSE))


def test_stars_and_names_are_made_explicit() -> None:
    sql = flat(translate("SELECT * EXCLUDE (maximum) FROM ref.limits", Dialect.SPARK))
    assert sql.startswith("SELECT limits.limit_name AS limit_name, limits.near_share AS near_share")
    assert "FROM ref_limits" in sql


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "no table or view of the lake"),
        ("SELECT * FROM '/etc/passwd'", "no table or view of the lake"),
        ("SELECT * FROM runs", "no table or view of the lake"),
        ("SELECT * FROM raw.elsewhere", "no table or view of the lake"),
        ("SELECT * FROM mart.slo_burn()", "no table or view of the lake"),
        ("SELECT reflect('java.lang.System', 'exit', 1) FROM core.runs", "not known to other"),
        ("SELECT file('/etc/passwd') AS f FROM core.runs", "not SQL that can be translated"),
        ("DROP TABLE core.runs", "expected one SELECT"),
        ("SELECT 1; SELECT 2", "expected one SELECT"),
        ("SELEC 1", "SQL|SELECT"),
        ("SELECT nothing FROM core.runs", "cannot be translated"),
        ("SELECT ref.share(1) AS s FROM core.runs", "takes 2 arguments, got 1"),
    ],
)
@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_is_no_query_on_the_lake_is_refused(query: str, why: str, dialect: Dialect) -> None:
    with pytest.raises(LakeError, match=why) as raised:
        translate(query, dialect)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_scripts_for_a_cluster(dialect: Dialect, tmp_path: Path) -> None:
    written = write_scripts(tmp_path / "views", dialect, "lake")
    names = [path.name.partition("_")[2].removesuffix(".sql") for path in written]
    texts = {name: path.read_text() for name, path in zip(names, written, strict=True)}
    if dialect is Dialect.SPARK:
        assert "FROM core_runs_files" in texts["core_runs"]
        assert "VIEW mart_run_summary" in texts["mart_run_summary"]
        assert (tmp_path / "views" / "spark_job.py").exists()
    else:
        assert "join_use_nulls = 1" in texts["settings"]
        assert "file('lake/core.runs/*/*/*.parquet', 'Parquet')" in texts["core.runs"]
        assert names[0] == "settings"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "views").write_text("a file")
    with pytest.raises(LakeError, match="cannot write here"):
        write_scripts(tmp_path / "views", Dialect.SPARK, "lake")
