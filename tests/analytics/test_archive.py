"""Raw histories: kept whole, found again, and not believed when damaged."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from analytics.archive import Archive, packed
from analytics.errors import ArchiveError, RunNotFound
from analytics.ingest import ingest
from analytics.runs import load_history
from analytics.warehouse import Warehouse
from replayer.history import KeySource
from tests.analytics.stories import failed_order, history_of, order
from tracer.identity import RunKey

DATA = b'{"events": []}'
DIGEST = sha256(DATA).hexdigest()


def test_a_history_is_stored_once_under_its_hash(path: Path) -> None:
    archive = Archive(path)
    file = packed(DATA, DIGEST)
    name = file.name
    assert name == f"{DIGEST[:2]}/{DIGEST}.json.zst"
    archive.put([file])
    stored = (archive.folder / name).stat()
    archive.put([file])
    assert (archive.folder / name).stat() == stored
    assert archive.get(name, DIGEST) == DATA
    assert [p.name for p in archive.folder.rglob("*.*")] == [f"{DIGEST}.json.zst"]


def test_protobuf_is_named_so() -> None:
    data = b"\x0a\x00"
    assert packed(data, sha256(data).hexdigest()).name.endswith(".pb.zst")


def test_a_missing_or_damaged_file_is_one_line(path: Path) -> None:
    archive = Archive(path)
    with pytest.raises(ArchiveError, match="missing; import the history again"):
        archive.get(f"{DIGEST[:2]}/{DIGEST}.json.zst", DIGEST)
    archive.put([packed(DATA, DIGEST)])
    name = packed(DATA, DIGEST).name
    (archive.folder / name).write_bytes(b"garbage")
    with pytest.raises(ArchiveError, match="cannot be read"):
        archive.get(name, DIGEST)
    other = packed(b"{}", "0" * 64)
    archive.put([other])
    with pytest.raises(ArchiveError, match="not what its name says"):
        archive.get(other.name, "0" * 64)


def test_a_run_is_loaded_as_it_was_read(warehouse: Warehouse, path: Path) -> None:
    histories = [history_of(order()), history_of(failed_order(), "run-2", "order-2")]
    ingest(warehouse, histories)
    warehouse.close()
    for history in histories:
        loaded = load_history(path, history.key)
        assert loaded == history
        assert loaded.key_source is KeySource.CALLER


def test_of_a_run_that_grew_the_longest_is_loaded(warehouse: Warehouse, path: Path) -> None:
    pieces = [history_of(order(), upto=count) for count in (5, 15, 10)]
    ingest(warehouse, pieces)
    warehouse.close()
    assert len(load_history(path, pieces[0].key).events) == 15


def test_a_run_that_is_not_there(warehouse: Warehouse, path: Path) -> None:
    warehouse.close()
    with pytest.raises(RunNotFound, match="default/a:b: not in"):
        load_history(path, RunKey("default", "a", "b"))
