"""The prompt of `retrospan sql`, typed into on a real terminal, and what it completes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import stat
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from analytics.guarded import GuardedReader
from analytics.ingest import ingest
from analytics.warehouse import open_warehouse
from tests.analytics.stories import history_of, order
from tests.tui.process import ROOT, command, cpu_seconds, environment, only_child
from tui.sql_completion import Names, SqlCompleter, load_names
from tui.sql_prompt import is_complete

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>])")


class Terminal:
    """A program on a terminal, and a person in front of it who reads before typing."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self._terminal, its_side = pty.openpty()
        fcntl.ioctl(its_side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=environment(TERM="xterm", XDG_STATE_HOME=str(folder / "state")),
            stdin=its_side,
            stdout=its_side,
            stderr=its_side,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(its_side)
        self._unread = ""

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def read_until(self, text: str) -> str:
        """What was written up to and with a text, without colours and cursor movements."""
        while text not in self._unread:
            chunk = self._read()
            assert chunk, f"{text!r} is not in {self._unread!r}"
            if "\x1b[6n" in chunk:  # The library asks where the cursor is.
                self.type("\x1b[1;1R")
            self._unread = _ESCAPES.sub("", self._unread + chunk)
        seen, found, self._unread = self._unread.partition(text)
        return seen + found

    def close(self) -> int:
        while self._read():
            pass
        os.close(self._terminal)
        return self.process.wait(20)

    def _read(self) -> str:
        readable, _, _ = select.select([self._terminal], [], [], 30)
        try:
            return os.read(self._terminal, 65536).decode("utf-8", "replace") if readable else ""
        except OSError:  # Linux's way to say that the program has closed its side.
            return ""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prompt") / "w.duckdb"
    with open_warehouse(path) as warehouse:
        ingest(warehouse, [history_of(order())])
    return path


@pytest.fixture
def terminal(made: Path) -> Iterator[Terminal]:
    opened = Terminal(command("sql", "-w", made), made.parent)
    yield opened
    opened.process.kill()
    opened.process.wait()


def test_a_session(terminal: Terminal, made: Path) -> None:
    terminal.read_until("Ctrl-D leaves")
    terminal.read_until("sql>")
    # One line, several lines, an error, a completion, a command.
    terminal.type("SELECT 40 + 2 AS answer;\r")
    terminal.read_until("answer")
    terminal.read_until("42")
    terminal.read_until("sql>")
    terminal.type("SELECT status\r")
    terminal.read_until("...>")
    terminal.type("FROM core.runs;\r")
    terminal.read_until("COMPLETED")
    terminal.read_until("sql>")
    terminal.type("DELETE FROM core.runs;\r")
    terminal.read_until("retrospan: error: DELETE is not allowed here")
    terminal.read_until("sql>")
    terminal.type("SELECT 'com' || 'pleted' FROM mart.run_s\t")
    terminal.read_until("ummary")
    terminal.type(";\r")
    terminal.read_until("completed")
    terminal.read_until("sql>")
    terminal.type(".describe mart.human_waits\r")
    terminal.read_until("woken_by_identity")
    terminal.read_until("sql>")
    terminal.type(".format json\r")
    terminal.read_until("sql>")
    terminal.type("SELECT 1 AS one;\r")
    terminal.read_until('{"one":1}')
    terminal.read_until("sql>")
    terminal.type("\x04")
    assert terminal.close() == 0
    history = made.parent / "state" / "retrospan" / "sql_history"
    assert "+SELECT 40 + 2 AS answer;" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_ctrl_c_stops_the_query_and_not_the_session(terminal: Terminal) -> None:
    terminal.read_until("sql>")
    terminal.type("SELECT 'half a line")
    terminal.read_until("half a line")
    terminal.type("\x03")
    terminal.read_until("sql>")
    child = only_child(terminal.process.pid)
    assert child
    before = cpu_seconds(child)
    terminal.type("SELECT levenshtein(repeat('ab', 1000000), repeat('ba', 1000000));\r")
    while cpu_seconds(child) < before + 0.2:  # Until the query runs.
        assert terminal.process.poll() is None
    terminal.type("\x03")
    terminal.read_until("stopped")
    terminal.read_until("sql>")
    assert only_child(terminal.process.pid) is None
    terminal.type("SELECT 6 * 7;\r")
    terminal.read_until("42")
    terminal.read_until("sql>")
    terminal.type("exit\r")
    assert terminal.close() == 0


def test_the_prompt_needs_a_warehouse(tmp_path: Path) -> None:
    opened = Terminal(command("sql", "-w", tmp_path / "none.duckdb"), tmp_path)
    opened.read_until("no such warehouse")
    assert opened.close() == 3


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("SELECT 1;", True),
        ("SELECT 1; ", True),
        ("SELECT 1", False),
        (".tables", True),
        ("exit", True),
        ("", True),
        ("SELECT 'a;\n", False),
        ("SELECT 'a;';", True),
        ("SELECT 1 -- no;", False),
        ("SELECT 1; -- yes", True),
        ("SELECT /* a; */", False),
    ],
)
def test_when_enter_sends(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


@pytest.fixture(scope="module")
def names(made: Path) -> Names:
    with GuardedReader(made) as reader:
        return load_names(reader)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("FROM mart.run_s", "mart.run_summary"),
        ("FROM ma", "mart."),
        ("SELECT r.workflow_t|FROM core.runs AS r", "r.workflow_type"),
        ("SELECT wait|FROM core.waits", "wait_s"),
        ("SELECT steps.child_run|FROM core.steps", "steps.child_run_id"),
        ("SELECT ref.sha", "ref.share("),
        ("sel", "SELECT"),
    ],
)
def test_what_is_completed_first(names: Names, typed: str, first: str) -> None:
    before, _, after = typed.partition("|")
    document = Document(f"{before} {after}" if after else before, len(before))
    found = list(SqlCompleter(names).get_completions(document, CompleteEvent()))
    assert found[0].text == first


def test_everything_public_can_be_completed_with_what_it_is(names: Names) -> None:
    assert {"core.runs", "mart.run_summary"} <= names.tables.keys()
    assert all(table.about for table in names.tables.values())
    assert all(column.about.strip() for table in names.columns.values() for column in table)


def test_the_prompt_is_loaded_only_for_itself() -> None:
    code = (
        "import sys, tui.cli.commands.sql; "
        "sys.exit(sorted({'prompt_toolkit', 'pyarrow'} & set(sys.modules)) or 0)"
    )
    line = [*command()[:1], "-c", code]
    done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
