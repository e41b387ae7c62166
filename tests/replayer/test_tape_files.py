"""Tapes as files: cut off, damaged, hostile, of another version."""

import json
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replayer.tape import SourceState, StopKind, Tape, TapeError, _recorder, open_tape
from replayer.tape._blocks import Block, BlockFile
from tests.replayer.tape_workflows import TapedUnsandboxed
from tests.replayer.taping import Taped, history_of, started, taped, told, working

pytestmark = [pytest.mark.slow]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorded(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Taped]:
    async with working(temporal_address) as client:
        handle = await started(client, TapedUnsandboxed, ["a", "bb"])
        await handle.execute_update("close", "enough")
        await handle.result()
        history = await history_of(client, handle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_recorder, "CHUNK_POSITIONS", 10)
        yield taped(history, TapedUnsandboxed, tmp_path_factory.mktemp("tapes"))


@pytest.fixture(scope="module")
def whole(recorded: Taped) -> bytes:
    return recorded.path.read_bytes()


def ask_everything(tape: Tape) -> None:
    """Every question that a tape answers."""
    for position in range(len(tape)):
        place = tape.at(position)
        state = tape.state_at(position)
        told(state)
        for frame in state.stack:
            assert all(str(variable.value) for variable in frame.variables)
            for variable in frame.variables:
                tape.who_set(variable.name, position)
        tape.subject(position)
        tape.event_of(position)
        tape.hits(place.file, place.line)
        for step in (tape.step, tape.step_back, tape.over, tape.over_back):
            step(position)
        for step in (tape.out, tape.out_back, tape.along, tape.along_back):
            step(position)
    for activation in tape.activations():
        tape.positions_of(activation.event_id)
    tape.coroutines()
    tape.branches()
    for file in tape.sources():
        tape.source(file)
        tape.source_state(file)


def is_one_line(error: TapeError, path: Path) -> bool:
    text = str(error)
    return text.startswith(f"{path}: ") and "\n" not in text and len(text) < 400


def assert_it_fails_well_or_not_at_all(path: Path) -> None:
    failure: TapeError | None = None
    try:
        with open_tape(path) as tape:
            ask_everything(tape)
    except TapeError as error:
        failure = error
    assert failure is None or is_one_line(failure, path)


def blocks_of(path: Path) -> list[tuple[int, int, int]]:
    """Kind, offset and end of each block."""
    file = BlockFile(path)
    found = [(block.kind, block.offset, block.end) for block in file.blocks()]
    file.close()
    return found


def test_a_recording_that_was_cut_off_reads_up_to_its_last_chunk(
    recorded: Taped, whole: bytes, tmp_path: Path
) -> None:
    with recorded.open() as tape:
        expected = [told(tape.state_at(position)) for position in range(len(tape))]
        places = [tape.at(position) for position in range(len(tape))]
    chunk_ends = [end for kind, _, end in blocks_of(recorded.path) if kind == Block.STATE]
    first_state = chunk_ends[0]
    path = tmp_path / "cut.tape"
    lengths = set()
    for length in range(first_state, len(whole), 97):
        path.write_bytes(whole[:length])
        with open_tape(path) as tape:
            lengths.add(len(tape))
            whole_chunks = sum(end <= length for end in chunk_ends)
            assert len(tape) == min(whole_chunks * 10, len(expected))
            at = len(tape) - 1
            assert told(tape.state_at(at)) == expected[at]
            # The activation that was cut has no record of its own yet.
            assert [tape.at(p).line for p in range(len(tape))] == [
                place.line for place in places[: len(tape)]
            ]
            assert length > chunk_ends[-1] or tape.stop.kind is StopKind.INTERRUPTED
    assert len(lengths) > 5


@pytest.mark.parametrize("length", [0, 1, 15, 16, 30])
def test_a_file_without_a_beginning_is_refused(whole: bytes, tmp_path: Path, length: int) -> None:
    path = tmp_path / "short.tape"
    path.write_bytes(whole[:length])
    with pytest.raises(TapeError) as caught:
        open_tape(path)
    assert is_one_line(caught.value, path)


def test_what_is_no_tape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_text('{"events": []}')
    with pytest.raises(TapeError, match="is no tape; make one with `retrospan record`"):
        open_tape(path)
    with pytest.raises(TapeError, match="cannot be opened: No such file"):
        open_tape(tmp_path / "nowhere.tape")
    with pytest.raises(TapeError, match="cannot be opened: Is a directory"):
        open_tape(tmp_path)


def test_another_version_is_refused(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "new.tape"
    path.write_bytes(whole[:8] + struct.pack("<H", 9) + whole[10:])
    with pytest.raises(TapeError, match="version 9, and this Retrospan reads version 1"):
        open_tape(path)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(share=st.floats(0, 0.9999), mask=st.integers(1, 255))
def test_a_changed_byte_is_found_or_harmless(
    whole: bytes, tmp_path: Path, share: float, mask: int
) -> None:
    data = bytearray(whole)
    data[int(share * len(data))] ^= mask
    path = tmp_path / "changed.tape"
    path.write_bytes(data)
    assert_it_fails_well_or_not_at_all(path)


def rewritten(whole: bytes, recorded: Taped, kind: int, change: Callable[[bytes], bytes]) -> bytes:
    """The tape with all blocks of a kind changed, checksums and all; without its index."""
    parts = [whole[:16]]
    file = BlockFile(recorded.path)
    for block in file.blocks():
        if block.kind == Block.INDEX:
            break
        data = file.read(block)
        if block.kind == kind:
            data = change(data)
        stored = zstandard.compress(data)
        header = struct.pack("<B3xIII", block.kind, len(stored), len(data), zlib.crc32(stored))
        parts.append(header + stored)
    file.close()
    return b"".join(parts)


HOSTILE: list[Any] = [
    None,
    True,
    -1,
    2**63,
    1.5,
    "\x1b[2J\n",
    [],
    {},
    [[[[]]]],
    ["l", "list", 3, 4],
    ["@", 10**9, "x"],
]


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from([Block.STATE, Block.HEAD, Block.STOP, Block.SOURCE]),
    where=st.integers(0, 10_000),
    value=st.sampled_from(HOSTILE),
)
def test_hostile_documents_are_refused_or_harmless(
    recorded: Taped, whole: bytes, tmp_path: Path, kind: Block, where: int, value: Any
) -> None:
    def change(data: bytes) -> bytes:
        return json.dumps(with_change(orjson.loads(data), where, value)).encode()

    path = tmp_path / "hostile.tape"
    path.write_bytes(rewritten(whole, recorded, kind, change))
    assert_it_fails_well_or_not_at_all(path)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(where=st.integers(0, 10_000), value=st.sampled_from(HOSTILE))
def test_hostile_tables_are_refused_or_harmless(
    recorded: Taped, whole: bytes, tmp_path: Path, where: int, value: Any
) -> None:
    def change(data: bytes) -> bytes:
        first, count, length, zero = struct.unpack_from("<QIII", data)
        packed = data[20 : 20 + length]
        (size,) = struct.unpack_from("<I", packed)
        document = with_change(orjson.loads(packed[4 : 4 + size]), where, value)
        text = json.dumps(document).encode()
        packed = struct.pack("<I", len(text)) + text + packed[4 + size :]
        return struct.pack("<QIII", first, count, len(packed), zero) + packed + data[20 + length :]

    path = tmp_path / "tables.tape"
    path.write_bytes(rewritten(whole, recorded, Block.POSITIONS, change))
    assert_it_fails_well_or_not_at_all(path)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(where=st.floats(0, 0.9999), value=st.integers(0, 255))
def test_hostile_columns_are_refused_or_harmless(
    recorded: Taped, whole: bytes, tmp_path: Path, where: float, value: int
) -> None:
    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[int(where * len(changed))] = value
        return bytes(changed)

    path = tmp_path / "columns.tape"
    path.write_bytes(rewritten(whole, recorded, Block.POSITIONS, change))
    assert_it_fails_well_or_not_at_all(path)


def with_change(document: Any, where: int, value: Any) -> Any:
    """The document with one of its places replaced."""
    places: list[tuple[Any, Any]] = []

    def visit(part: Any) -> None:
        items = part.items() if isinstance(part, dict) else enumerate(part)
        for key, item in items:
            places.append((part, key))
            if isinstance(item, (dict, list)):
                visit(item)

    visit(document)
    part, key = places[where % len(places)]
    part[key] = value
    return document


def test_a_bomb_is_not_unpacked(recorded: Taped, whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb.tape"
    _, offset, _ = blocks_of(recorded.path)[0]
    stored = zstandard.compress(bytes(1 << 30))
    for size in (1 << 30, 100):
        header = struct.pack("<B3xIII", Block.HEAD, len(stored), size, zlib.crc32(stored))
        path.write_bytes(whole[:offset] + header + stored)
        with pytest.raises(TapeError, match="damaged") as caught:
            open_tape(path)
        assert is_one_line(caught.value, path)


def test_source_that_changed_since_is_told(
    recorded: Taped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorded.open() as tape:
        (file,) = tape.sources()
        assert tape.source_state(file) is SourceState.SAME
        source = tape.source(file)
        assert source is not None
        name = tmp_path / "moved.py"
        tape._tables.files[0][1] = str(name)
        monkeypatch.chdir(tmp_path)
        assert tape.source_state(file) is SourceState.MISSING
        name.write_text(source.text + "\n# later\n")
        assert tape.source_state(file) is SourceState.DIFFERS
        name.write_text(source.text)
        assert tape.source_state(file) is SourceState.SAME
