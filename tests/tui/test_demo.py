"""`retrospan demo` as a stranger runs it: its tables are recomputed from the histories."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from analytics.query import run_query
from analytics.runs import list_runs, load_history
from replayer.history import RunHistory, read_bytes
from tracer.model import Run, StepKind, run_from_events
from tui.demo.cast import parts
from tui.demo.tour import RUNS, SECTIONS, STUCK

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

_TRIED = {StepKind.ACTIVITY, StepKind.LOCAL_ACTIVITY, StepKind.NEXUS_OPERATION}


@dataclass(frozen=True)
class Done:
    """A demo that ended."""

    folder: Path
    stdout: str
    stderr: str

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return run_query(self.warehouse, sql).rows

    def runs(self) -> list[Run]:
        histories = (load_history(self.warehouse, run.key) for run in list_runs(self.warehouse))
        return [model(history) for history in histories]


def model(history: RunHistory) -> Run:
    return run_from_events(history.key, history.events)


def processes_about(word: str) -> list[str]:
    """Command lines that mention `word`, of every process there is."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it ended meanwhile
            continue
        if word in line:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("demo") / "here"
    command = [sys.executable, "-m", "tui", "demo", "--dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    yield Done(folder, done.stdout, done.stderr)
    assert processes_about(str(folder)) == []


def test_it_says_what_it_does_and_shows_no_trace_of_trouble(demo: Done) -> None:
    assert demo.stderr.splitlines() == [
        "Starting Temporal …",
        f"Running {len(list(parts()))} workflows …",
        "Storing spans and histories …",
    ]
    assert "Traceback" not in demo.stdout
    assert demo.stdout.index("What ran") < demo.stdout.index("What next")


def test_every_scenario_ended_as_it_should(demo: Done) -> None:
    ended = [run for run in demo.runs() if not run.continued_to_run_id]
    status = {run.key.workflow_id: run.status.value for run in ended}
    for part in parts():
        expected = part.scenario.expected_from(faulty=part.example.endswith("-faulty"))
        assert status[f"{part.prefix}-{part.scenario.name}"] == expected.status


def test_the_run_table_is_what_the_histories_say(demo: Done) -> None:
    told = {}
    for run in demo.runs():
        name = "RUNNING (stuck)" if run.is_stuck else run.status.value
        tried = [step for step in run.steps if step.kind in _TRIED]
        row = (name, run.workflow_type, len(run.steps), sum(s.attempt_count for s in tried))
        told[run.key.workflow_id, run.started_at and run.started_at // 1000] = row
    shown = {
        (row[2], started): (row[0], row[1], row[4], row[5])
        for row, started in zip(demo.ask(RUNS.sql), started_order(demo), strict=True)
    }
    assert shown == told


def started_order(demo: Done) -> list[int]:
    """Start of each run in microseconds, in the order of the table."""
    sql = (
        "SELECT epoch_us(started_at) FROM mart.run_summary ORDER BY started_at, workflow_id, run_id"
    )
    return [row[0] for row in demo.ask(sql)]


def test_what_it_printed_is_what_the_warehouse_answers(demo: Done) -> None:
    for section in SECTIONS:
        assert f"\n{section.title}\n" in demo.stdout
        rows = demo.ask(section.sql)
        assert rows, f"the demo has nothing to show for: {section.title}"
        printed = demo.stdout.split(f"\n{section.title}\n")[1].split("\n\n")[0]
        assert len(printed.splitlines()) == len(rows) + 1


def test_the_stuck_run_is_stuck(demo: Done) -> None:
    stuck = [run.key.workflow_id for run in demo.runs() if run.is_stuck]
    assert [row[0] for row in demo.ask(STUCK.sql)] == stuck == ["demo-kyc-stuck"]


def test_spans_have_no_orphan_and_no_duplicate(demo: Done) -> None:
    [[total, distinct]] = demo.ask(
        "SELECT count(*), count(DISTINCT (trace_id, span_id)) FROM core.spans"
    )
    assert total == distinct > 400
    orphans = """
        SELECT s.name FROM core.spans s
        WHERE coalesce(s.parent_span_id, '') <> ''
          AND NOT EXISTS (FROM core.spans p
                          WHERE p.trace_id = s.trace_id AND p.span_id = s.parent_span_id)
    """
    assert demo.ask(orphans) == []


def test_each_failed_attempt_of_the_customs_call_has_its_own_error(demo: Done) -> None:
    failed = demo.ask(
        """
        SELECT attempt, failure_message FROM mart.attempts
        WHERE step_name = 'clear_customs' AND outcome = 'failed' ORDER BY attempt
        """
    )
    assert [attempt for attempt, _ in failed] == [1, 2]
    for attempt, message in failed:
        assert f"attempt {attempt}" in message


def test_attempts_of_spans_are_as_many_as_histories_count(demo: Done) -> None:
    counted: Counter[str] = Counter()
    for run in demo.runs():
        for step in run.steps:
            if step.kind in (StepKind.ACTIVITY, StepKind.LOCAL_ACTIVITY):
                counted[step.name] += step.attempt_count
    rows = demo.ask(
        "SELECT step_name, count(*) FROM mart.attempts WHERE attempt_source = 'span' GROUP BY ALL"
    )
    assert dict(rows) == dict(counted)


def test_cost_is_tokens_times_the_price_list(demo: Done) -> None:
    from genai_prices import Usage, calc_price

    spans = demo.ask(
        """
        SELECT span_attributes FROM core.spans WHERE span_attributes LIKE '%gen_ai.usage%'
        """
    )
    total = 0.0
    for (text,) in spans:
        found = json.loads(text)
        usage = Usage(
            input_tokens=int(found["gen_ai.usage.input_tokens"]),
            output_tokens=int(found["gen_ai.usage.output_tokens"]),
            cache_read_tokens=int(found.get("gen_ai.usage.cache_read.input_tokens", 0)),
        )
        try:
            price = calc_price(usage, found["gen_ai.response.model"], provider_id="openai")
        except LookupError:
            continue
        total += float(price.total_price)
    [[cost]] = demo.ask("SELECT sum(cost_usd) FROM mart.run_summary")
    assert total > 0
    assert float(cost) == pytest.approx(total, rel=1e-6)


def test_histories_of_all_examples_read_as_the_sdk_reads_them(demo: Done) -> None:
    """As JSON, as the CLI writes it, and as protobuf: counts, types and times are the SDK's."""
    summaries = list_runs(demo.warehouse)
    assert len({run.workflow_type for run in summaries}) == 4
    for summary in summaries:
        stored = load_history(demo.warehouse, summary.key)
        text = WorkflowHistory(summary.workflow_id, stored.events).to_json()
        theirs = WorkflowHistory.from_json(summary.workflow_id, text).events
        [read] = read_bytes(text.encode(), uri="run.json")
        assert isinstance(read, RunHistory)
        for ours in (stored.events, read.events):
            assert [facts(event) for event in ours] == [facts(event) for event in theirs]


def facts(event: HistoryEvent) -> tuple[int, int, int]:
    return event.event_id, event.event_type, event.event_time.ToNanoseconds()


def test_the_next_steps_that_it_names_work(demo: Done) -> None:
    lines = [line.strip() for line in demo.stdout.splitlines()]
    named = [line.split("   ")[0] for line in lines if line.startswith("retrospan ")]
    assert len(named) == 4
    for line in named:
        if line.startswith("retrospan tui"):
            continue
        command = line.replace("retrospan", f"{sys.executable} -m tui", 1)
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    command = [sys.executable, "-m", "tui", "demo", "--dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "not made by a demo" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_keep_leaves_temporal_running_until_ctrl_c(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    command = [sys.executable, "-m", "tui", "demo", "--keep", "--dir", str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if line.startswith("Press Ctrl-C"):
                break
        assert any(line.startswith("Temporal UI   http://127.0.0.1:") for line in told), told
        assert processes_about(str(folder))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert processes_about(str(folder)) == []
