"""`--codec-server`: payloads that a worker encrypted, shown as their owner sees them."""

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.history.v1 import History

from replayer.history import CodecServer, decoded_history, read_bytes
from replayer.history.model import RunHistory
from tests.event_builder import EventBuilder
from tests.replayer.test_history_codec import codec_server, respond
from tui.cli import main
from tui.sources import DecodedRuns, FileRuns, RunRow

SECRET = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"\x00\x01")


@pytest.fixture
def encrypted(tmp_path: Path) -> Path:
    h = EventBuilder()
    h.start(workflow_id="order-1", input=Payloads(payloads=[SECRET]))
    file = tmp_path / "order.pb"
    file.write_bytes(History(events=h.events).SerializeToString())
    return file


def decrypt(handler: BaseHTTPRequestHandler, body: Any) -> None:
    payloads = ParseDict(body, Payloads())
    for payload in payloads.payloads:
        if payload.metadata["encoding"] == b"binary/encrypted":
            payload.metadata["encoding"] = b"json/plain"
            payload.data = b'"the plan"'
    respond(handler, json.dumps(MessageToDict(payloads)).encode())


def refuse(handler: BaseHTTPRequestHandler, body: Any) -> None:
    respond(handler, b"who are you?", 401)


def test_show_decodes(encrypted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with codec_server(decrypt) as url:
        arguments = ["show", str(encrypted), "--payloads", "--codec-server", f"{url}/decode"]
        assert main(arguments) == 0
    assert "the plan" in capsys.readouterr().out


def test_show_goes_on_without_a_codec_that_fails(
    encrypted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with codec_server(refuse) as url:
        assert main(["show", str(encrypted), "--payloads", "--codec-server", url]) == 0
    shown = capsys.readouterr()
    assert "binary/encrypted" in shown.out
    assert "warning: payloads are shown as recorded" in shown.err
    assert shown.err.count("\n") == 1


def test_only_http_servers_are_asked(encrypted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(encrypted), "--codec-server", "file:///etc/passwd"]) == 2
    assert "no codec server" in capsys.readouterr().err


def test_the_app_loads_decoded_runs(encrypted: Path) -> None:
    with codec_server(decrypt) as url:
        source = DecodedRuns(FileRuns([str(encrypted)]), CodecServer(url))
        [row] = source.rows()
        assert isinstance(row, RunRow)
        [started] = source.load(row.key).events
    attributes = started.workflow_execution_started_event_attributes
    assert attributes.input.payloads[0].data == b'"the plan"'


async def test_what_was_recorded_stays_as_it_was(encrypted: Path) -> None:
    [history] = read_bytes(encrypted.read_bytes(), uri="order.pb")
    assert isinstance(history, RunHistory)
    with codec_server(decrypt) as url:
        decoded = await decoded_history(history, CodecServer(url))
    [before], [after] = history.events, decoded.events
    assert before.workflow_execution_started_event_attributes.input.payloads[0] == SECRET
    assert after.workflow_execution_started_event_attributes.input.payloads[0] != SECRET
    assert decoded.raw == history.raw
