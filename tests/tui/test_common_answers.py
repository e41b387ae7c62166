"""`retrospan cost`, `failures`, `stuck` and `waits`: what they print, and suggest to run next."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analytics.ingest import ingest
from analytics.warehouse import open_warehouse
from tests.analytics.stories import failed_order, history_of, order, order_of_model, stuck_order
from tests.tui.histories import HOSTILE
from tui.cli import main
from tui.cli.exits import Exit
from tui.cli.scope import Moment
from tui.text import safe_text

type Captured = pytest.CaptureFixture[str]
COMMANDS = ("cost", "failures", "stuck", "waits --by label")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("answers") / "it's w.duckdb"
    hostile = order()
    hostile.events[0].workflow_execution_started_event_attributes.workflow_type.name = HOSTILE
    with open_warehouse(path) as opened:
        ingest(
            opened,
            [
                history_of(order()),
                history_of(order_of_model("our-own-model"), "run-2", "order 2"),
                history_of(failed_order(), "run-3", "order-3"),
                history_of(stuck_order(), "run-4", "order-4"),
                history_of(hostile, "run-5", HOSTILE),
            ],
        )
    return path


def run(capsys: Captured, warehouse: Path, line: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([*shlex.split(line), "--warehouse", str(warehouse)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_cost_is_never_shown_without_its_coverage(warehouse: Path, capsys: Captured) -> None:
    code, out, err = run(capsys, warehouse, "cost --type Order --by model")
    assert code == Exit.OK
    header, dearest, unknown = out.splitlines()
    assert header.split()[:3] == ["model", "runs", "calls"]
    assert dearest.split()[-3:] == ["$0.0002", "100%", "$0.0002"]
    assert unknown.split() == [
        "our-own-model",
        "1",
        "1",
        "0",
        "1,000",
        "200",
        "100",
        "–",
        "0%",
        "–",
    ]
    assert "$0.0002 in all, for 1 of 2 billable calls" in err
    assert "warning: cost is not known of 1 call\n" in err
    assert "without a price: our-own-model (1 call)" in err


@pytest.mark.parametrize("line", COMMANDS)
def test_json_is_the_same_rows(line: str, warehouse: Path, capsys: Captured) -> None:
    code, out, err = run(capsys, warehouse, f"{line} --json")
    rows = [json.loads(row) for row in out.splitlines()]
    assert rows
    assert err == ""
    assert code == (Exit.FOUND if line == "stuck" else Exit.OK)
    _, table, _ = run(capsys, warehouse, line)
    assert len(table.splitlines()) == len(rows) + 1


@pytest.mark.parametrize("line", COMMANDS)
def test_what_is_suggested_works_when_it_is_pasted(
    line: str, warehouse: Path, capsys: Captured
) -> None:
    _, _, err = run(capsys, warehouse, f"{line} --type Order")
    suggested = [text.partition(": ")[2] for text in err.splitlines() if ": retrospan " in text]
    assert suggested
    for text in suggested:
        program, *arguments = shlex.split(text)
        assert (program, main(arguments)) == ("retrospan", Exit.OK)


@pytest.mark.parametrize("line", [*COMMANDS, "waits"])
def test_nothing_found_is_said_and_not_shown(line: str, warehouse: Path, capsys: Captured) -> None:
    code, out, err = run(capsys, warehouse, f"{line} --type Nobody")
    assert (code, out) == (Exit.OK, "")
    assert err.startswith("no ")


def test_no_stuck_run_among_some_is_not_said_of_all(warehouse: Path, capsys: Captured) -> None:
    _, _, err = run(capsys, warehouse, "stuck --since 2100-01-01")
    assert err.endswith(" fits\n")


@pytest.mark.parametrize("line", COMMANDS)
def test_hostile_names_are_harmless(line: str, warehouse: Path, capsys: Captured) -> None:
    _, out, err = run(capsys, warehouse, line)
    assert out == safe_text(out, multiline=True)
    assert err == safe_text(err, multiline=True)


@pytest.mark.parametrize("line", COMMANDS)
def test_no_warehouse_is_one_line(line: str, tmp_path: Path, capsys: Captured) -> None:
    code, out, err = run(capsys, tmp_path / "none.duckdb", line)
    assert (code, out, err.count("\n")) == (Exit.UNREACHABLE, "", 1)


def test_groups_can_be_combined(warehouse: Path, capsys: Captured) -> None:
    _, out, _ = run(capsys, warehouse, "failures --by type --by where --by type --json")
    rows = [json.loads(row) for row in out.splitlines()]
    assert list(rows[0])[:2] == ["type", "where"]
    _, out, _ = run(capsys, warehouse, "failures --limit 1 --json")
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01", "2026-03-01T00:00"),
        ("2026-03-01T12:30", "2026-03-01T12:30"),
        ("2026-03-01T12:30:00Z", "2026-03-01T12:30"),
        ("2026-03-01T12:30:00+02:00", "2026-03-01T10:30"),
    ],
)
def test_times(text: str, expected: str) -> None:
    assert Moment().convert(text, None, None) == datetime.fromisoformat(expected)


def test_times_ago() -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    for text, ago in (("90m", timedelta(minutes=90)), ("2w", timedelta(weeks=2))):
        assert abs(Moment().convert(text, None, None) - (now - ago)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "text", ["", "7", "7y", "-1d", "١d", "yesterday", "999999999w", "2026-13-01"]
)
def test_what_is_no_time(text: str, warehouse: Path, capsys: Captured) -> None:
    code, _, err = run(capsys, warehouse, f"cost --since={shlex.quote(text)}")
    assert code == Exit.USAGE
    assert "is no time; write it as" in err


def test_a_price_file_counts_for_what_is_stored(tmp_path: Path, capsys: Captured) -> None:
    path, prices = tmp_path / "w.duckdb", tmp_path / "prices.toml"
    with open_warehouse(path) as opened:
        ingest(opened, [history_of(order_of_model("our-own-model"))])
    prices.write_text('[[price]]\nmodel = "our-own-*"\ninput = 10\noutput = 100\n')
    code, out, err = run(capsys, path, f"cost --by price --prices {shlex.quote(str(prices))}")
    assert code == Exit.OK
    assert "1 call priced anew" in err
    assert out.splitlines()[1].split()[0] == "price-file"
    assert "$0.02 in all" in err or "$0.0200 in all" in err
    _, _, err = run(capsys, path, "cost --reprice")
    assert "1 call priced anew" in err
    assert "without a price: our-own-model (1 call)" in err


def test_a_broken_price_file_changes_nothing(tmp_path: Path, capsys: Captured) -> None:
    path, prices = tmp_path / "w.duckdb", tmp_path / "prices.toml"
    open_warehouse(path).close()
    prices.write_text("[[price]]\nmodel = 3\n")
    code, out, err = run(capsys, path, f"cost --prices {shlex.quote(str(prices))}")
    assert (code, out, err.count("\n")) == (Exit.REFUSED, "", 1)
    assert "price 1: model is 3; expected text" in err or "has no price" in err
    code, _, err = run(capsys, tmp_path / "none.duckdb", "cost --reprice")
    assert (code, err.count("\n")) == (Exit.UNREACHABLE, 1)
