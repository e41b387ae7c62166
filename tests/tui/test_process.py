"""What only a process of its own can show: loaded modules, streams, signals, pipes, terminals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import resource
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.tui.process import command, environment, python, retrospan, running
from tui.cli import program
from tui.cli.exits import Exit

HEAVY = {"textual", "duckdb", "temporalio", "rich.console", "pyarrow", "opentelemetry", "grpc"}


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import json, sys\n"
        "from tui.cli import main\n"
        "code = main(['--help'])\n"
        "print(json.dumps([code, sorted(sys.modules)]))"
    )

    done = python(code, cwd=tmp_path)

    code_and_modules = json.loads(done.stdout.splitlines()[-1])
    assert code_and_modules[0] == Exit.OK
    assert not HEAVY & set(code_and_modules[1])
    assert "import  " in done.stdout


def test_help_is_instant(tmp_path: Path) -> None:
    # Processor time, since a wall clock would measure whatever else the machine does.
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        retrospan("--help", cwd=tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) <= 0.15


def test_the_app_is_no_part_of_commands_that_print(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import tui.cli.commands.show, tui.cli.commands.runs, tui.cli.commands.sql\n"
        "import tui.cli.commands.import_, tui.cli.commands.export, tui.cli.commands.app\n"
        "assert 'textual' not in sys.modules"
    )

    assert python(code, cwd=tmp_path).returncode == 0


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys\nsys.modules['click'] = None\nfrom tui.cli import main\nsys.exit(main([]))"

    done = python(code, cwd=tmp_path)

    assert done.returncode == Exit.USAGE
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'retrospan[tui]'" in done.stderr


def test_rows_go_to_stdout_and_talk_to_stderr(folder: Path, tmp_path: Path) -> None:
    done = retrospan("import", folder, "--json", cwd=tmp_path)

    assert done.returncode == Exit.OK
    assert json.loads(done.stdout)["runs_new"] == 3
    assert "broken.json" in done.stderr
    assert "3 runs: 3 new" in done.stderr
    assert (tmp_path / "retrospan.duckdb").exists()


def test_a_reader_that_leaves_is_no_error(history_file: Path, tmp_path: Path) -> None:
    arguments = ("show", history_file, "--events", "--payloads")
    with running(*arguments, cwd=tmp_path, PYTHONUNBUFFERED="1") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()

        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == Exit.OK


def test_collect_stores_what_it_received_and_ends_on_sigterm(tmp_path: Path) -> None:
    with collecting(tmp_path) as process:
        assert process.stdout is not None
        endpoints = json.loads(process.stdout.readline())
        send_span(endpoints["grpc"])
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)

    assert process.returncode == Exit.OK
    assert json.loads(out)["spans_stored"] == 1
    assert "1 span stored of 1" in err
    asked = retrospan("sql", "SELECT name FROM core.spans", "--json", cwd=tmp_path)
    assert json.loads(asked.stdout) == {"name": "hello"}


def test_an_import_works_while_a_collector_has_the_warehouse(
    history_file: Path, tmp_path: Path
) -> None:
    with collecting(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        done = retrospan("import", history_file, "--json", cwd=tmp_path)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert done.returncode == Exit.OK, done.stderr
    assert json.loads(done.stdout)["runs_new"] == 1
    listed = retrospan("runs", "--json", cwd=tmp_path)
    assert json.loads(listed.stdout)["workflow_id"] == "review-1"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_encoding_can_be_written_to(history_file: Path, tmp_path: Path, encoding: str) -> None:
    done = subprocess.run(
        command("show", history_file, "--events"),
        cwd=tmp_path,
        env=environment(PYTHONIOENCODING=encoding),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (Exit.OK, b"")
    assert ("\u25b7" if encoding == "utf-8" else r"\u25b7") in done.stdout.decode(encoding)


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_stream_that_is_closed_is_no_error(
    history_file: Path, tmp_path: Path, closed: int
) -> None:
    shell = f'exec "$@" {closed}>&-'
    done = subprocess.run(
        ["/bin/sh", "-c", shell, "sh", *command("show", history_file)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (Exit.OK, b"")
    assert bool(done.stdout) == (closed != 1)


def test_an_error_that_nobody_can_read_keeps_its_code(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("show", "nothing"), cwd=tmp_path, env=environment(), stderr=full, check=False
        )
    assert done.returncode == Exit.UNREACHABLE


def test_a_server_that_is_not_there_ends_a_command_with_3_each_time(tmp_path: Path) -> None:
    # Threads of the SDK that met the end of the interpreter aborted half of such processes.
    for _ in range(4):
        done = retrospan("show", "a", "--address", "localhost:1", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (Exit.UNREACHABLE, "")
        assert done.stderr == "retrospan: error: localhost:1: cannot connect: Connection refused\n"


def test_ctrl_c_ends_a_command_with_130(tmp_path: Path) -> None:
    # A FIFO without writer keeps the command waiting in `open`.
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with running("import", fifo, cwd=tmp_path) as process:
        # The warehouse is opened before anything is read: once it is there, the command is at work.
        deadline = time.monotonic() + 30
        while not (tmp_path / "retrospan.duckdb").exists() and time.monotonic() < deadline:
            select.select([], [], [], 0.05)
        writer = os.open(fifo, os.O_WRONLY)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        os.close(writer)

    assert process.returncode == Exit.INTERRUPTED
    assert out == ""
    assert "Traceback" not in err


def test_ctrl_c_while_duckdb_is_at_work_is_no_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_arguments: Any, **_options: Any) -> None:
        raise RuntimeError("Query interrupted")  # As DuckDB 2.0 does, mostly.

    monkeypatch.setattr(program.root, "main", interrupted)

    assert program.run([]) == Exit.INTERRUPTED
    assert capsys.readouterr().err == ""


def test_on_a_terminal_hostile_text_sends_no_sequence_of_its_own(
    hostile_file: Path, tmp_path: Path
) -> None:
    written = on_terminal(command("show", hostile_file, "--events", "--payloads"), tmp_path)

    without_styles = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert "[/INST]" in without_styles
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", without_styles)
    assert "\x1b[31m\x1b" not in written


def test_no_color_means_none(history_file: Path, tmp_path: Path) -> None:
    written = on_terminal(command("show", history_file), tmp_path, NO_COLOR="1")

    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", written)
    assert "LookupError" in written


def test_a_table_fits_a_terminal_and_is_whole_in_a_pipe(folder: Path, tmp_path: Path) -> None:
    retrospan("import", folder, cwd=tmp_path)
    run_id = "0198c5c6-3b1e-7c2a-9d4e-000000000001"

    written = on_terminal(command("runs"), tmp_path, NO_COLOR="1")
    piped = retrospan("runs", cwd=tmp_path)

    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in written.splitlines()]
    assert max(map(len, lines)) <= 120
    assert any("cargo-1" in line and run_id[:13] + "…" in line for line in lines)
    assert run_id in piped.stdout


def test_in_a_terminal_the_app_opens_and_closes(history_file: Path, tmp_path: Path) -> None:
    written = on_terminal(
        command("tui", history_file), tmp_path, keys="q", ready="review-1", TERM="xterm-256color"
    )

    assert "review-1" in written
    assert leaves_cleanly(written)


def test_the_app_on_a_warehouse_leaves_a_clean_terminal(folder: Path, tmp_path: Path) -> None:
    retrospan("import", folder, cwd=tmp_path)

    written = on_terminal(
        command("tui"), tmp_path, keys="q", ready="cargo-1", TERM="xterm-256color"
    )

    assert "cargo-1" in written
    assert leaves_cleanly(written)


def leaves_cleanly(written: str) -> bool:
    """Whether nothing but terminal settings follows the way back from the alternate screen."""
    _, back, rest = written.rpartition("\x1b[?1049l")
    return bool(back) and not re.sub(r"\x1b\[[?>=<0-9;]*[a-zA-Z]", "", rest).strip()


def collecting(cwd: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    """A collector on free ports; killed at the end if it still runs."""
    ports = ("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
    return running("collect", *ports, "--json", cwd=cwd)


def send_span(endpoint: str) -> None:
    import grpc
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = b"\x01" * 16, b"\x02" * 8, "hello"
    span.start_time_unix_nano = span.end_time_unix_nano = 1_767_225_600_000_000_000
    with grpc.insecure_channel(endpoint) as channel:
        export: Any = channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            request_serializer=ExportTraceServiceRequest.SerializeToString,
        )
        export(request, timeout=20)


def on_terminal(
    arguments: list[str], cwd: Path, *, keys: str = "", ready: str = "", **extra: str
) -> str:
    """Run a program on a terminal of 120×40 and return everything that it wrote."""
    terminal, its_side = pty.openpty()
    fcntl.ioctl(its_side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        arguments,
        cwd=cwd,
        env=environment(**extra),
        stdin=its_side,
        stdout=its_side,
        stderr=its_side,
        start_new_session=True,
    )
    os.close(its_side)
    written = b""
    while chunk := _read(terminal):
        written += chunk
        if keys and ready.encode() in written:
            os.write(terminal, keys.encode())
            keys = ""
    os.close(terminal)
    process.kill()
    process.wait()
    return written.decode("utf-8", "replace")


def _read(terminal: int) -> bytes:
    readable, _, _ = select.select([terminal], [], [], 40)
    try:
        return os.read(terminal, 65536) if readable else b""
    except OSError:  # Linux's way to say that the program has closed its side.
        return b""
