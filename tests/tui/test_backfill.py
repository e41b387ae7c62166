"""Backfill: the spans that histories tell of, over OTLP, as often as one likes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replayer.history import RunHistory, read_histories
from tests.tracer.otlp_servers import GrpcServer, HttpServer, Mood, free_port
from tracer.backfill import backfilled_spans
from tracer.model import run_from_events
from tui.cli import main
from tui.cli.exits import Exit

type Captured = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("in_folder")


@pytest.fixture
def collector() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


def backfill(capsys: Captured, *arguments: str | Path) -> tuple[int, dict[str, Any], str]:
    capsys.readouterr()
    code = main(["backfill", "--json", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, json.loads(captured.out) if captured.out else {}, captured.err


def over_http(server: HttpServer) -> tuple[str, ...]:
    return "--endpoint", f"http://{server.address}", "--protocol", "http/protobuf"


def told(source: Path) -> set[bytes]:
    """Ids of the spans that the histories of a file or folder tell of."""
    histories = [h for h in read_histories([str(source)]) if isinstance(h, RunHistory)]
    runs = [run_from_events(history.key, history.events) for history in histories]
    return {span.span_id.to_bytes(8) for run in runs for span in backfilled_spans(run)}


def test_a_run_of_a_file_is_sent(
    history_file: Path, collector: HttpServer, capsys: Captured
) -> None:
    code, done, err = backfill(capsys, history_file, *over_http(collector))

    sent = collector.inbox.spans()
    assert code == Exit.OK
    assert done == {"runs": 1, "spans": len(sent), "skipped_runs": 0}
    assert {span.span_id for span in sent} == told(history_file)
    assert {span.name for span in sent} >= {"run Review", "workflow Review"}
    assert any(span.name.startswith("attempt ") for span in sent)
    assert f"{len(sent)} spans of 1 run sent" in err


def test_what_is_sent_again_has_the_same_ids(
    history_file: Path, collector: HttpServer, capsys: Captured
) -> None:
    for _ in range(2):
        assert backfill(capsys, history_file, *over_http(collector))[0] == Exit.OK

    spans = [span.SerializeToString() for span in collector.inbox.spans()]
    assert len(spans) == 2 * len(set(spans))


def test_a_folder_stands_for_all_its_runs(
    folder: Path, collector: HttpServer, capsys: Captured
) -> None:
    code, done, err = backfill(capsys, folder, *over_http(collector))

    assert code == Exit.FOUND, "one of the files is no history"
    assert done["runs"] == 3
    assert {span.span_id for span in collector.inbox.spans()} == told(folder)
    assert "broken.json" in err


def test_a_run_of_the_warehouse_is_sent_over_grpc(folder: Path, capsys: Captured) -> None:
    assert main(["import", str(folder)]) == Exit.OK
    with GrpcServer() as server:
        code, done, _ = backfill(
            capsys, "cargo-1", "--endpoint", f"http://{server.address}", "--protocol", "grpc"
        )
        assert (code, done["runs"]) == (Exit.OK, 1)
        assert {span.span_id for span in server.inbox.spans()} == told(folder / "1.pb")


def test_payloads_stay_where_they_are(
    collector: HttpServer, capsys: Captured, folder: Path
) -> None:
    backfill(capsys, folder, *over_http(collector))

    assert collector.inbox.spans()
    assert b"hello" not in collector.inbox.wire()


def test_the_rate_is_kept(history_file: Path, collector: HttpServer, capsys: Captured) -> None:
    spans = len(told(history_file))
    began = time.monotonic()
    code, _, _ = backfill(capsys, history_file, "--rate", str(spans * 2), *over_http(collector))

    assert code == Exit.OK
    # The last batch goes out when the others have had their time.
    assert time.monotonic() - began >= 0.25
    assert len(collector.inbox.traces) > 1


@pytest.mark.timeout(60)
def test_a_collector_that_is_down_is_named(history_file: Path, capsys: Captured) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    code, done, err = backfill(
        capsys, history_file, "--endpoint", address, "--protocol", "http/protobuf"
    )

    assert (code, done) == (Exit.UNREACHABLE, {})
    assert "the collector did not take the spans" in err.splitlines()[-1]


def test_a_collector_that_refuses_is_named(history_file: Path, capsys: Captured) -> None:
    with HttpServer(Mood.REFUSES) as server:
        code, _, err = backfill(capsys, history_file, *over_http(server))

    assert code == Exit.UNREACHABLE
    assert "start again" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--rate", "0"),
        ("--rate", "-1"),
        ("--endpoint", "not an address"),
        ("--endpoint", "http://"),
    ],
)
def test_what_cannot_work_is_refused(
    arguments: tuple[str, str], history_file: Path, capsys: Captured
) -> None:
    code, _, err = backfill(capsys, history_file, *arguments)

    assert code == Exit.USAGE
    assert arguments[0].lstrip("-") in err
