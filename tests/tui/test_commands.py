"""What each command prints, where, and with which exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest

from tests.tui.histories import (
    HOSTILE,
    RUN_ID,
    START_NS,
    HistoryMaker,
    application_failure,
    review_history,
)
from tui.cli import main
from tui.cli.exits import Exit
from tui.cli.program import COMMANDS, root
from tui.text import safe_text

type Captured = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("in_folder")


def run(capsys: Captured, *arguments: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def rows(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def warehouse(folder: Path, capsys: Captured) -> Path:
    """A warehouse in the current directory with the runs of `folder`."""
    assert run(capsys, "import", folder)[0] == Exit.OK
    return Path("retrospan.duckdb")


# -- the command line itself -------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: Captured) -> None:
    code, out, err = run(capsys, name, "--help")

    assert code == Exit.OK
    assert err == ""
    assert out.isascii(), "click writes UTF-8 to a stdout that is ASCII"
    assert out.startswith(f"Usage: retrospan {name}")
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert command.help
    assert all(
        parameter.help for parameter in command.params if isinstance(parameter, click.Option)
    )


def test_without_arguments_the_help_is_shown_as_an_error(capsys: Captured) -> None:
    code, out, err = run(capsys)

    assert (code, out) == (Exit.USAGE, "")
    assert "Commands:" in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["improt"], "there is no command 'improt'; did you mean 'import'?"),
        (["qqq"], "there is no command 'qqq'; choose from demo, import"),
        (["import"], "Missing argument"),
        (["lake", "views"], "Missing option '--dialect'. Choose from: spark, clickhouse"),
        (["runs", "--nope"], "No such option"),
        (["sql", "SELECT 1", "--file", __file__], "a query or a --file, not both"),
        (["export"], "say where to: --out DIR, --warehouse FILE, or both"),
        (["export", "a", "--query", "b", "--out", "c"], "name workflow ids or give a --query"),
        (["collect", "--grpc", "nowhere"], "--grpc 'nowhere': expected HOST:PORT"),
        (["collect", "--grpc", "127.0.0.1:1", "--http", "[::1]:2"], "must name the same host"),
    ],
)
def test_usage_errors_are_one_line_and_a_hint(
    arguments: list[str], complaint: str, capsys: Captured
) -> None:
    code, out, err = run(capsys, *arguments)

    assert (code, out) == (Exit.USAGE, "")
    first, hint = err.splitlines()
    assert first.startswith("retrospan: error: ")
    assert complaint in first
    assert hint.startswith("Try 'retrospan")


@pytest.mark.parametrize("amount", ["inf", "1e300", "nan", "-1", "0"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["sql", "SELECT 1", "--timeout"],
        ["check", "a", "--workflow", "a:A", "--timeout"],
        ["fork", "a", "--workflow", "a:A", "--at", "1", "--timeout"],
        ["export", "--out", "a", "--rate"],
        ["export", "--out", "a", "--every"],
        ["backfill", "a", "--rate"],
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[-1]}",
)
def test_nobody_waits_for_ever_or_for_less_than_nothing(
    arguments: list[str], amount: str, capsys: Captured
) -> None:
    code, out, err = run(capsys, *arguments, amount)

    assert (code, out) == (Exit.USAGE, "")
    assert err.startswith(f"retrospan: error: Invalid value for '{arguments[-1]}': ")


def test_the_version_is_data(capsys: Captured) -> None:
    code, out, err = run(capsys, "version")

    assert (code, err) == (Exit.OK, "")
    assert out.strip()


# -- import ------------------------------------------------------------------------------------


def test_importing_twice_changes_nothing(folder: Path, capsys: Captured) -> None:
    first = run(capsys, "import", folder, "--json")
    second = run(capsys, "import", folder, "--json")

    assert first[0] == second[0] == Exit.OK
    assert rows(first[1])[0]["runs_new"] == 3
    assert rows(second[1])[0] | {"rejected": 0} == {
        "warehouse": "retrospan.duckdb",
        "runs_new": 0,
        "runs_extended": 0,
        "runs_unchanged": 3,
        "events_new": 0,
        "rejected": 0,
        "conflicts": 0,
        "spans_new": 0,
    }


def test_each_file_that_is_no_history_is_one_line(folder: Path, capsys: Captured) -> None:
    (folder / "also.json").write_text('{"a": 1}')

    code, out, err = run(capsys, "import", folder)

    assert (code, out) == (Exit.OK, "")
    warnings = [line for line in err.splitlines() if line.startswith("retrospan: warning: ")]
    assert ["also.json" in line for line in warnings] == [True, False]
    assert "broken.json" in warnings[1]
    assert "2 not read" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "expected"), [(b"no history", Exit.REFUSED), (None, Exit.UNREACHABLE)]
)
def test_nothing_read_is_an_error(
    content: bytes | None, expected: Exit, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "thing.json"
    if content is not None:
        path.write_bytes(content)

    code, out, err = run(capsys, "import", path)

    assert (code, out) == (expected, "")
    assert err.splitlines()[-1].startswith("retrospan: error: ")


def test_the_namespace_and_the_warehouse_can_be_named(
    history_file: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETROSPAN_WAREHOUSE", "elsewhere.duckdb")
    run(capsys, "import", history_file, "--namespace", "prod")

    code, out, _ = run(capsys, "runs", "--json")

    assert code == Exit.OK
    assert rows(out)[0]["namespace"] == "prod"
    assert Path("elsewhere.duckdb").exists()


# -- runs --------------------------------------------------------------------------------------


def test_runs_are_listed_newest_first(warehouse: Path, capsys: Captured) -> None:
    code, out, err = run(capsys, "runs", "--warehouse", warehouse)

    assert (code, err) == (Exit.OK, "")
    titles, *lines = out.splitlines()
    assert titles.split()[:3] == ["status", "type", "workflow"]
    assert len(lines) == 3
    assert any("0198c5c6-3b1e-7c2a-9d4e-000000000001" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--status", "failed"], {"cargo-1"}),
        (["--type", "Review"], {"review-0", "review-2"}),
        (["--id", "review-2"], {"review-2"}),
        (["--namespace", "nope"], set()),
        (["--stuck"], set()),
    ],
)
def test_runs_are_narrowed(
    options: list[str], expected: set[str], warehouse: Path, capsys: Captured
) -> None:
    _, out, _ = run(capsys, "runs", "--warehouse", warehouse, "--json", *options)

    assert {row["workflow_id"] for row in rows(out)} == expected


def test_a_warehouse_that_is_none_is_one_line(tmp_path: Path, capsys: Captured) -> None:
    missing = run(capsys, "runs")
    (tmp_path / "x.duckdb").write_text("not a database " * 100)
    damaged = run(capsys, "runs", "--warehouse", tmp_path / "x.duckdb")

    for code, out, err in (missing, damaged):
        assert (code, out) == (Exit.UNREACHABLE, "")
        assert err.count("\n") == 1
        assert err.startswith("retrospan: error: ")


# -- show --------------------------------------------------------------------------------------


def test_a_run_is_shown_whole(history_file: Path, capsys: Captured) -> None:
    code, out, err = run(capsys, "show", history_file)

    assert (code, err) == (Exit.OK, "")
    assert out.startswith("Review  COMPLETED\n")
    for fragment in (
        f"default/review-1:{RUN_ID}",
        "1  activity  classify   completed      3  200ms  retried after RateLimited: 429 too many",
        "2  timer     cool-down  completed      –  30.0s",
        "3  activity  check      failed         1  200ms  LookupError: no such customer",
        "signal approve   ann (a person)",
        "signals and updates",
    ):
        assert fragment in out


def test_a_clock_that_goes_backwards_makes_no_negative_durations(
    tmp_path: Path, capsys: Captured
) -> None:
    maker = HistoryMaker()
    maker.start()
    maker.activity("classify")
    maker.signal("approve")
    maker.complete()
    for number, event in enumerate(maker.events):
        event.event_time.FromNanoseconds(START_NS - number * 1_000_000_000)
    path = tmp_path / "backwards.pb"
    path.write_bytes(maker.bytes())

    shown = run(capsys, "show", path)[1]
    document = rows(run(capsys, "show", path, "--json")[1])[0]
    run(capsys, "import", path)
    kept = rows(run(capsys, "runs", "--json")[1])[0]

    assert "duration:       0s" in shown
    assert not re.search(r"-\d+(\.\d+)?s", shown)
    assert kept["duration_s"] == document["duration_s"] == 0
    spans = [each["duration_s"] for each in [*document["steps"], *document["waits"]]]
    assert spans
    assert set(spans) == {0}


def test_a_failed_run_shows_the_chain_of_causes(tmp_path: Path, capsys: Captured) -> None:
    maker = HistoryMaker()
    maker.start()
    maker.fail(application_failure("outer", "Outer", cause=application_failure("inner", "Inner")))
    path = tmp_path / "failed.pb"
    path.write_bytes(maker.bytes())

    _, out, _ = run(capsys, "show", path)

    assert "failure\n  Outer: outer\n    application\n  caused by Inner: inner" in out


def test_events_and_payloads_are_shown_when_asked(history_file: Path, capsys: Captured) -> None:
    plain = run(capsys, "show", history_file)[1]
    events = run(capsys, "show", history_file, "--events")[1]
    payloads = run(capsys, "show", history_file, "--payloads")[1]
    both = run(capsys, "show", history_file, "--events", "--payloads")[1]

    assert "timer cool-down fired" not in plain
    assert "timer cool-down fired" in events
    assert '"answer": 42' not in plain + events
    assert "step 1 classify result[0]  json/plain · 14 B" in payloads
    assert '"answer": 42' in both


def test_a_run_as_json(history_file: Path, capsys: Captured) -> None:
    _, out, _ = run(capsys, "show", history_file, "--json", "--events", "--payloads")

    (document,) = rows(out)
    assert document["status"] == "COMPLETED"
    assert document["duration_s"] == pytest.approx(37.3)
    assert [step["name"] for step in document["steps"]] == ["classify", "cool-down", "check"]
    assert document["steps"][0]["result"][0]["value"] == {"answer": 42}
    assert document["steps"][2]["failure"]["cause"]["type"] == "LookupError"
    assert len(document["events"]) == len(review_history().events)
    assert document["events"][0]["payloads"][0]["value"] == {"customer": "c-1"}


def test_json_has_no_payloads_unless_asked(history_file: Path, capsys: Captured) -> None:
    _, out, _ = run(capsys, "show", history_file, "--json")

    (document,) = rows(out)
    assert document["steps"][0]["result"] == [{"encoding": "json/plain", "size": 14}]
    assert "events" not in document


def test_a_file_that_is_no_history_is_refused(folder: Path, capsys: Captured) -> None:
    code, out, err = run(capsys, "show", folder / "broken.json")

    assert (code, out) == (Exit.REFUSED, "")
    assert "broken.json" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--events", "--payloads"]])
def test_hostile_text_is_shown_and_does_nothing(
    options: list[str], hostile_file: Path, capsys: Captured
) -> None:
    code, out, _ = run(capsys, "show", hostile_file, *options)

    assert code == Exit.OK
    assert safe_text(HOSTILE) in out
    assert out == safe_text(out, multiline=True)
    assert "\t" not in out


def test_json_carries_hostile_text_exactly_and_in_ascii(
    hostile_file: Path, capsys: Captured
) -> None:
    _, out, _ = run(capsys, "show", hostile_file, "--json")

    assert out.isascii()
    assert "\x1b" not in out
    assert rows(out)[0]["workflow_type"] == HOSTILE


# -- sql ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("table", "status     n\nCOMPLETED  1\nFAILED     1\nRUNNING    1\n"),
        ("csv", "status,n\nCOMPLETED,1\nFAILED,1\nRUNNING,1\n"),
        (
            "json",
            '{"status":"COMPLETED","n":1}\n{"status":"FAILED","n":1}\n{"status":"RUNNING","n":1}\n',
        ),
    ],
)
def test_answers_in_three_forms(
    form: str, expected: str, warehouse: Path, capsys: Captured
) -> None:
    query = "SELECT status, count(*) AS n FROM core.runs GROUP BY ALL ORDER BY ALL"

    code, out, err = run(capsys, "sql", query, "--format", form, "--warehouse", warehouse)

    assert (code, out, err) == (Exit.OK, expected, "")


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM core.runs",
        "SELEKT 1",
        "SELECT * FROM nowhere",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT 1; SELECT 2",
        "",
    ],
)
def test_other_questions_are_refused(query: str, warehouse: Path, capsys: Captured) -> None:
    code, out, err = run(capsys, "sql", query, "--warehouse", warehouse)

    assert (code, out) == (Exit.REFUSED, "")
    assert err.startswith("retrospan: error: ")
    assert err.count("\n") == 1


def test_a_query_from_a_file(warehouse: Path, tmp_path: Path, capsys: Captured) -> None:
    query = tmp_path / "query.sql"
    query.write_text("SELECT 1 AS one -- comment\n")

    assert run(capsys, "sql", "--file", query, "--warehouse", warehouse, "--json")[1] == (
        '{"one":1}\n'
    )


def test_values_of_every_kind_have_a_form(warehouse: Path, capsys: Captured) -> None:
    query = (
        "SELECT 1.5::DECIMAL(9,2) AS d, 'nan'::DOUBLE AS nan, NULL AS none, true AS yes,"
        " TIMESTAMP '2026-01-01 10:00:00' AS at, INTERVAL 90 SECOND AS span, '\\xAA'::BLOB AS raw,"
        " [1, 2] AS list, {'a': 1} AS struct, 2 AS d"
    )

    _, out, _ = run(capsys, "sql", query, "--json", "--warehouse", warehouse)
    table_code, table, _ = run(capsys, "sql", query, "--warehouse", warehouse)
    csv_code, _, _ = run(capsys, "sql", query, "--format", "csv", "--warehouse", warehouse)

    assert rows(out) == [
        {
            "d": 1.5,
            "nan": None,
            "none": None,
            "yes": True,
            "at": "2026-01-01T10:00:00",
            "span": "00:01:30",
            "raw": "qg==",
            "list": [1, 2],
            "struct": {"a": 1},
            "d_1": 2,
        }
    ]
    assert table_code == csv_code == Exit.OK
    assert len(table.splitlines()) == 2


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_month_is_a_month_in_every_form(form: str, warehouse: Path, capsys: Captured) -> None:
    query = "SELECT INTERVAL 1 MONTH AS span, {'in': [INTERVAL '1 year 2 hours']} AS held"

    _, out, _ = run(capsys, "sql", query, "--format", form, "--warehouse", warehouse)

    assert "1 month" in out
    assert "1 year 02:00:00" in out


def test_rows_beyond_the_limit_are_not_cut_silently(warehouse: Path, capsys: Captured) -> None:
    code, out, err = run(
        capsys, "sql", "FROM range(10)", "--limit", "3", "--json", "--warehouse", warehouse
    )

    assert (code, len(rows(out))) == (Exit.OK, 3)
    assert "only 3 were fetched" in err
    everything = run(capsys, "sql", "FROM range(10)", "--limit", "0", "--json", "-w", warehouse)
    assert len(rows(everything[1])) == 10


def test_hostile_answers_are_harmless_in_every_form(warehouse: Path, capsys: Captured) -> None:
    query = "SELECT chr(27) || ']0;x' || chr(7) || chr(8238) || chr(10) AS \"a\x1b[2Jb\""

    for form in ("table", "csv", "json"):
        _, out, _ = run(capsys, "sql", query, "--format", form, "--warehouse", warehouse)
        assert out == safe_text(out, multiline=True)


# -- tui, doctor -------------------------------------------------------------------------------


def test_the_app_asks_for_a_terminal(history_file: Path, capsys: Captured) -> None:
    code, out, err = run(capsys, "tui", history_file)

    assert (code, out) == (Exit.USAGE, "")
    assert "the app needs a terminal" in err


def test_doctor_finds_an_installation_in_order(warehouse: Path, capsys: Captured) -> None:
    code, out, _ = run(capsys, "doctor", "--json", "--warehouse", warehouse)

    findings = {row["check"]: row for row in rows(out)}
    assert code == Exit.OK
    assert findings["python"]["verdict"] == "ok"
    assert findings["warehouse"]["finding"].endswith("3 runs")
    assert "problem" not in {row["verdict"] for row in findings.values()}


def test_doctor_names_problems(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "x.duckdb"
    path.write_text("not a database " * 100)

    code, out, _ = run(capsys, "doctor", "--json", "--warehouse", path, "--address", "127.0.0.1:1")

    verdicts = {row["check"]: row["verdict"] for row in rows(out)}
    assert code == Exit.FOUND
    assert verdicts["warehouse"] == "problem"
    assert verdicts["server"] == "problem"
