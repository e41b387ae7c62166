"""Export from a real server: whole files, nothing fetched twice, nothing left half written."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHistory

from analytics.query import run_query
from replayer.history import RunHistory, export_path, from_server, read_histories
from tracer.model import run_from_events
from tui.cli import main
from tui.cli.exits import Exit
from tui.export_files import FileFormat, Pace, Target, has_whole_file, write_history
from tui.figures import counted

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
async def client(temporal_address: str) -> Client:
    return await Client.connect(temporal_address)


async def start(client: Client, name: str, *, terminate: bool = False) -> str:
    """A run that no worker takes; terminated at once where it is to be closed."""
    workflow_id = f"{name}-{uuid4().hex[:8]}"
    handle = await client.start_workflow("Unworked", id=workflow_id, task_queue="nobody")
    if terminate:
        await handle.terminate("enough")
    return workflow_id


async def export(
    temporal_address: str, capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, dict[str, Any], str]:
    """Run the command in a thread of its own: it brings its own event loop."""
    capsys.readouterr()
    texts = ["export", "--address", temporal_address, "--json", *map(str, arguments)]
    code = await asyncio.to_thread(main, texts)
    captured = capsys.readouterr()
    return code, json.loads(captured.out) if captured.out else {}, captured.err


async def test_a_second_export_fetches_only_what_can_have_changed(
    temporal_address: str, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = await start(client, "closed", terminate=True)
    running = await start(client, "running")
    out = tmp_path / "out"

    first = await export(temporal_address, capsys, closed, running, "--out", out)
    second = await export(temporal_address, capsys, closed, running, "--out", out)
    await client.get_workflow_handle(running).terminate("now")
    third = await export(temporal_address, capsys, closed, running, "--out", out)

    done = {"exported": 2, "skipped": 0, "rejected": 0}
    assert first[:2] == (Exit.OK, {**done, "events": first[1]["events"]})
    assert (second[1]["exported"], second[1]["skipped"]) == (1, 1)
    assert (third[1]["exported"], third[1]["skipped"]) == (1, 1)
    found = {f.key.workflow_id: f for f in read_histories([out]) if isinstance(f, RunHistory)}
    assert found.keys() == {closed, running}
    assert found[running].key.namespace == "default"
    assert not list(out.rglob("*.partial"))


@pytest.mark.parametrize("form", list(FileFormat))
async def test_files_are_what_other_tools_read(
    form: FileFormat,
    temporal_address: str,
    client: Client,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workflow_id = await start(client, "any", terminate=True)
    expected = await from_server(client, workflow_id)

    await export(temporal_address, capsys, workflow_id, "--out", tmp_path, "--format", form.value)

    path = tmp_path / export_path(expected.key, f".{form.value}")
    (found,) = read_histories([path])
    assert isinstance(found, RunHistory)
    assert (found.key, found.events) == (expected.key, expected.events)
    if form is FileFormat.JSON:
        official = WorkflowHistory.from_json(workflow_id, path.read_text())
        assert tuple(official.events) == expected.events


async def test_a_query_into_a_warehouse(
    temporal_address: str, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = await start(client, "mine", terminate=True)
    warehouse = tmp_path / "w.duckdb"
    query = f"WorkflowId = '{closed}'"

    first = await export(temporal_address, capsys, "--query", query, "--warehouse", warehouse)
    # The list of runs follows the runs with some delay: the query must have seen it by now.
    while not first[1]["exported"]:
        first = await export(temporal_address, capsys, "--query", query, "--warehouse", warehouse)
    second = await export(temporal_address, capsys, "--query", query, "--warehouse", warehouse)
    main(["runs", "--json", "--warehouse", str(warehouse)])

    assert (first[0], first[1]["exported"]) == (Exit.OK, 1)
    assert (second[1]["exported"], second[1]["skipped"]) == (0, 1)
    assert json.loads(capsys.readouterr().out)["workflow_id"] == closed


async def test_a_run_on_the_server_is_shown(
    temporal_address: str, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow_id = await start(client, "odd:id", terminate=True)
    run_id = (await from_server(client, workflow_id)).key.run_id

    for text in (workflow_id, f"{workflow_id}:{run_id}"):
        arguments = ["show", text, "--address", temporal_address, "--json"]
        assert await asyncio.to_thread(main, arguments) == Exit.OK
        shown = json.loads(capsys.readouterr().out)
        assert (shown["status"], shown["run_id"]) == ("TERMINATED", run_id)
        assert shown["key_source"] == "server"


async def test_following_fetches_what_is_new_until_interrupted(
    temporal_address: str, client: Client, tmp_path: Path
) -> None:
    prefix = f"follow-{uuid4().hex[:8]}"
    closed = await start(client, prefix, terminate=True)
    out, warehouse = tmp_path / "out", tmp_path / "w.duckdb"
    options = ["--query", f"WorkflowId STARTS_WITH '{prefix}'", "--every", "0.2", "--follow"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import sys; from tui.cli import main; sys.exit(main())"),
        *("export", "--address", temporal_address, *options, "--rate", "100", "--json"),
        *("--out", str(out), "--warehouse", str(warehouse)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None

        async def told(count: int) -> None:
            assert process.stderr is not None
            line = await process.stderr.readline()
            assert line.decode() == f"{counted(count, 'run')} exported so far\n"

        await told(1)
        running = await start(client, prefix)
        await told(2)
        await client.get_workflow_handle(running).signal("nudge")
        await told(3)
        await client.get_workflow_handle(running).terminate("enough")
        await told(4)
        process.send_signal(signal.SIGINT)
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, errors.count(b"\n")) == (Exit.OK, 1)
    report = json.loads(output)
    assert (report["exported"], report["rejected"]) == (4, 0)
    found = {f.key.workflow_id: f for f in read_histories([out]) if isinstance(f, RunHistory)}
    assert {name: run_from_events(f.key, f.events).is_closed for name, f in found.items()} == {
        closed: True,
        running: True,
    }
    assert sorted(
        run_query(warehouse, "SELECT workflow_id, n_events, is_closed FROM core.runs").rows
    ) == sorted((name, len(f.events), True) for name, f in found.items())


async def test_fetches_begin_no_faster_than_they_may() -> None:
    pace = Pace(per_second=50)
    begun = asyncio.get_running_loop().time()
    for _ in range(6):
        await pace.turn()
    # Five intervals lie between six; a timer may fire a clock tick early.
    assert asyncio.get_running_loop().time() - begun > 0.099


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--follow", "--limit", "3"], "drop one"),
        (["--follow", "--query", "WorkflowType='A' ORDER  BY CloseTime"], "leave the order out"),
    ],
)
def test_what_cannot_be_followed(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *arguments, "--out", str(tmp_path)]) == Exit.USAGE
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["no-such-workflow"], "default/no-such-workflow: cannot be fetched"),
        (["--query", "Nonsense ((("], "cannot list Nonsense ((("),
        (["--namespace", "nowhere"], "cannot list all runs"),
    ],
)
async def test_what_the_server_refuses_is_one_line(
    arguments: list[str],
    complaint: str,
    temporal_address: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = await export(temporal_address, capsys, *arguments, "--out", tmp_path)

    assert (code, out) == (Exit.UNREACHABLE, {})
    assert complaint in err
    assert err.count("\n") == 1


async def test_an_interrupted_write_leaves_no_file(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = await from_server(client, await start(client, "cut", terminate=True))

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_history(tmp_path, history, FileFormat.PROTOBUF)

    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not has_whole_file(tmp_path, Target(history.key, True), FileFormat.PROTOBUF)


def test_nobody_at_the_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["export", "--address", "127.0.0.1:1", "--out", str(tmp_path)])

    err = capsys.readouterr().err
    assert code == Exit.UNREACHABLE
    assert "127.0.0.1:1: cannot connect" in err
    assert err.count("\n") == 1


def test_no_server_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))

    code = main(["export", "--out", str(tmp_path)])

    assert code == Exit.UNREACHABLE
    assert "pass --address HOST:PORT or set TEMPORAL_ADDRESS" in capsys.readouterr().err
