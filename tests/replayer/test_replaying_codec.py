"""Replays of runs whose payloads pass a codec, one that goes by whose a payload is included."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.worker import Worker

from replayer.check import Finding, VerdictStatus, check_replay
from replayer.history import RunHistory, from_server
from replayer.replaying import ReplayProfile
from replayer.tape import StopKind, open_tape, record_here
from tests.replayer.replayed_workflows import ACTIVITIES, QUEUE, Dearer, Order, Reordered
from tests.replayer.taping import plain
from tests.replayer.test_replaying_replay import started

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


class Locked(PayloadCodec):
    """Hides payloads under a key, and shows them to nobody without it."""

    key = "house"

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        metadata = {"encoding": b"binary/locked", "key": self.key.encode()}
        return [
            Payload(metadata=metadata, data=each.SerializeToString()[::-1]) for each in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        for each in payloads:
            if each.metadata["key"] != self.key.encode():
                raise ValueError(f"locked with {each.metadata['key']!r}, not {self.key!r}")
        return [Payload.FromString(each.data[::-1]) for each in payloads]


class OwnLocked(Locked, WithSerializationContext):
    """Has a key for each workflow."""

    def with_context(self, context: SerializationContext) -> "OwnLocked":
        copy = OwnLocked()
        if isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            copy.key = str(context.workflow_id)
        return copy


class Coded:
    """A run, and the profile that it replays with."""

    def __init__(self, history: RunHistory, codec: PayloadCodec) -> None:
        self.history = history
        self.profile = ReplayProfile(data_converter=DataConverter(payload_codec=codec))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[Locked, OwnLocked])
async def coded(request: pytest.FixtureRequest, temporal_address: str) -> Coded:
    codec: PayloadCodec = request.param()
    converter = DataConverter(payload_codec=codec)
    client = await Client.connect(temporal_address, data_converter=converter)
    async with Worker(client, task_queue=QUEUE, workflows=[Order], activities=ACTIVITIES):
        handle = await started(client, Order)
        assert await handle.result() == "charged 7"
    history = await from_server(client, handle.id)
    assert b"charged" not in history.raw
    return Coded(history, codec)


async def test_with_the_codec_it_replays(coded: Coded) -> None:
    assert check_replay(coded.history, [Order], coded.profile).status is VerdictStatus.OK
    verdict = check_replay(coded.history, [Reordered], coded.profile)
    assert verdict.status is VerdictStatus.FAILED
    assert verdict.explanation is not None
    assert verdict.explanation.expected is not None
    assert verdict.explanation.expected.name == "charge"


async def test_a_strict_check_compares_what_is_behind_the_codec(coded: Coded) -> None:
    def strictly(workflow: type) -> tuple[Finding, ...]:
        return check_replay(coded.history, [workflow], coded.profile, strict=True).findings

    assert await asyncio.to_thread(strictly, Order) == ()
    [finding] = await asyncio.to_thread(strictly, Dearer)
    assert (finding.recorded, finding.now) == ("7", "8")


async def test_a_tape_has_the_values_behind_the_codec(coded: Coded, tmp_path: Path) -> None:
    path = tmp_path / "order.tape"
    assert record_here(coded.history, [Order], path, profile=coded.profile).kind is StopKind.CLOSED
    with open_tape(path) as tape:
        values: list[Any] = [
            plain(frame.value("charged"))
            for position in range(len(tape))
            for frame in tape.state_at(position).stack
            if frame.value("charged") is not None
        ]
    assert set(values) == {"charged 7"}
