"""`retrospan sql` as a user runs it: forms of answers, files, limits and Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from analytics.warehouse import open_warehouse
from tests.tui.process import command, cpu_seconds, environment, only_child, retrospan, running
from tests.tui.test_process import on_terminal
from tui.cli import main
from tui.cli.exits import Exit

KINDS = (
    "SELECT 1 AS i, 1.5::DECIMAL(9,2) AS d, 'x' AS s, NULL AS n, true AS yes,"
    " TIMESTAMP '2026-01-01 10:00:00' AS at, '\\xAA'::BLOB AS raw, [1, 2] AS list, {'a': 1} AS st,"
    " 2 AS i, sum(range) AS huge FROM range(3)"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sql") / "w.duckdb"
    open_warehouse(path).close()
    return path


def asked(made: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return retrospan("sql", "-w", made, *arguments, cwd=made.parent)


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_binary_forms_hold_what_the_others_show(made: Path, form: str, tmp_path: Path) -> None:
    out = tmp_path / "answer"
    assert main(["sql", KINDS, "-w", str(made), "--format", form, "--out", str(out)]) == Exit.OK
    data = out.read_bytes()
    table = (
        parquet.read_table(io.BytesIO(data))
        if form == "parquet"
        else pa.ipc.open_stream(data).read_all()
    )
    assert table.column_names == [*"idsn", "yes", "at", "raw", "list", "st", "i_1", "huge"]
    [row] = table.to_pylist()
    assert (row["i"], row["i_1"], row["huge"], row["list"], row["st"]) == (
        1,
        2,
        3,
        [1, 2],
        {"a": 1},
    )
    assert (str(row["d"]), row["n"], row["raw"]) == ("1.50", None, b"\xaa")


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_binary_forms_go_through_a_pipe(made: Path, form: str) -> None:
    line = command("sql", "FROM range(5000)", "-w", made, "--format", form)
    done = subprocess.run(line, cwd=made.parent, env=environment(), capture_output=True, timeout=60)
    stream = io.BytesIO(done.stdout)
    table = (
        parquet.read_table(stream) if form == "parquet" else pa.ipc.open_stream(stream).read_all()
    )
    assert (done.returncode, done.stderr, table.num_rows) == (0, b"", 5000)


def test_binary_forms_do_not_go_to_a_terminal(made: Path) -> None:
    line = command("sql", "SELECT 1", "-w", made, "--format", "arrow")
    assert "arrow is nothing for a terminal; add --out FILE" in on_terminal(line, made.parent)


def test_parquet_says_which_type_it_cannot_hold(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["sql", "SELECT INTERVAL 3 DAY AS d", "-w", str(made), "--format", "parquet"]
    out = made.parent / "never"
    assert main([*arguments, "--out", str(out)]) == Exit.REFUSED
    assert "parquet cannot hold this" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_file_has_what_stdout_would_have(
    made: Path, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "answer"
    arguments = ["sql", KINDS, "-w", str(made), "--format", form]
    assert main(arguments) == main([*arguments, "-o", str(out)]) == Exit.OK
    assert out.read_text() == capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.csv", b"one,two\n"), ("a.JSON", b'{"one":1'), ("a.jsonl", b'{"one":1'),
     ("a.parquet", b"PAR1"), ("a.txt", b"one  two\n")],
)  # fmt: skip
def test_a_file_has_what_its_name_promises(
    made: Path, name: str, start: bytes, tmp_path: Path
) -> None:
    query = "SELECT 1 AS one, 'x' AS two"
    assert main(["sql", query, "-w", str(made), "--out", str(tmp_path / name)]) == Exit.OK
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_file_appears_whole_or_not_at_all(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "answer.csv"
    out.write_text("before")
    query = "SELECT i, error('no') FROM range(100000) t(i) WHERE i < 90000 OR error('late') = 'x'"
    done = asked(made, query, "--format", "csv", "--out", out)
    assert done.returncode == Exit.REFUSED
    assert out.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["answer.csv"]


def test_where_no_file_can_be_made(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(made.parent / "no such folder" / "answer")
    assert main(["sql", "SELECT 1", "-w", str(made), "--out", out]) == Exit.UNREACHABLE
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        ("DELETE FROM core.runs", (), "DELETE is not allowed here"),
        ("FROM read_text('/etc/passwd')", (), "out of reach of queries"),
        ("LOAD httpfs", (), "LOAD is not allowed here"),
        ("ATTACH ':memory:' AS m", (), "ATTACH is not allowed here"),
        ("COPY core.runs TO 'x.csv'", (), "COPY is not allowed here"),
        ("SET threads = 1", (), "SET is not allowed here"),
        ("SELECT 1; SELECT 2", (), "expected one statement, found 2"),
        ("SELECT sleep_ms(100000)", ("--timeout", "0.5"), "stopped after 0.5 s"),
        ("SELECT list_sum(range(900000000))", ("--memory", "100MB"), "more than 100MB of memory"),
    ],
)
def test_a_query_that_goes_too_far_is_one_line_and_exit_code_4(
    made: Path, query: str, options: tuple[str, ...], message: str
) -> None:
    done = asked(made, query, *options)
    assert (done.returncode, done.stdout) == (Exit.REFUSED, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("size", ["much", "-1GB", "10"])
def test_a_memory_that_is_no_size(made: Path, size: str) -> None:
    done = asked(made, "SELECT 1", "--memory", size)
    assert done.returncode == Exit.USAGE
    assert "write it as 512MB" in done.stderr


def test_a_query_on_stdin(made: Path) -> None:
    done = retrospan("sql", "-w", made, "--json", cwd=made.parent, stdin="SELECT 1 AS one;\n")
    assert done.stdout == '{"one":1}\n'


# DuckDB notices an interruption in the first, and does not in the second.
@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM range(10000000000) a, range(10000000000) b",
        "SELECT levenshtein(repeat('ab', 1000000), repeat('ba', 1000000))",
    ],
)
def test_ctrl_c_ends_a_query_at_once(made: Path, query: str) -> None:
    with running("sql", query, "-w", made, cwd=made.parent) as process:
        while not (child := only_child(process.pid)):
            assert process.poll() is None
        while cpu_seconds(child) < 1:  # More than it takes to start: the query runs.
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.strip()) == (Exit.INTERRUPTED, "", "")
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
