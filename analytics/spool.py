"""Batches for the process that holds the warehouse, in a folder beside it.

While one process (a collector, most often) has the warehouse open, the others write their batches
into `<warehouse>.spool/`: whole, then renamed into place. The holder stores each in one transaction
together with its name and then removes the file; so a batch is stored exactly once, whoever
crashes when. It leaves a report for the one who waits. A batch that cannot be read is set aside as
`.bad` and recorded, so that it does not block the others.
"""

from __future__ import annotations

import io
import os
import struct
import time
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import zstandard

from analytics.errors import SpoolError
from analytics.ingest import IngestReport, Item, apply_batch
from analytics.restore import restored
from analytics.spans import SpanBatch
from replayer.history import HistoryError, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analytics.warehouse import Warehouse

__all__ = ["Spool", "Spoolable", "drain"]

type Spoolable = Item | SpanBatch
"""What a batch is made of."""

_BATCH: Final = ".batch"
_REPORT: Final = ".report"
_LENGTHS: Final = struct.Struct("<IQ")
_MAX_BYTES: Final = 1 << 30
"""Of one batch, uncompressed; writers stay far below."""
_REPORT_SECONDS: Final = 3600
"""How long a report waits for somebody who no longer does."""


class Spool:
    """The spool folder of one warehouse."""

    def __init__(self, warehouse: Path) -> None:
        """Nothing is made on disk before something is put in."""
        self.folder = Path(f"{warehouse}.spool")

    def put(self, items: Sequence[Spoolable]) -> str:
        """Hand over a batch; returns its name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Names sort by age, so that batches are stored in the order in which they came.
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        part = self.folder / f"{name}.tmp"
        with part.open("wb") as file:
            file.write(zstandard.ZstdCompressor().compress(_packed(items)))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.folder / f"{name}{_BATCH}")
        return name

    def pending(self) -> list[str]:
        """Names of the batches that wait, oldest first."""
        return sorted(path.stem for path in self.folder.glob(f"*{_BATCH}"))

    def get(self, name: str) -> list[Spoolable]:
        """Read a batch.

        Raises:
            SpoolError: It is damaged.
        """
        path = self.folder / f"{name}{_BATCH}"
        try:
            data = zstandard.ZstdDecompressor().decompress(path.read_bytes(), _MAX_BYTES)
            return list(_unpacked(data))
        except (OSError, ValueError, KeyError, struct.error, zstandard.ZstdError) as error:
            raise SpoolError(f"{path}: not a whole batch: {error}") from error

    def discard(self, name: str) -> None:
        """Forget a batch that is stored."""
        (self.folder / f"{name}{_BATCH}").unlink(missing_ok=True)

    def set_aside(self, name: str) -> None:
        """Keep a damaged batch for inspection, out of the way."""
        path = self.folder / f"{name}{_BATCH}"
        path.replace(path.with_suffix(".bad"))

    def leave_report(self, name: str, report: IngestReport) -> None:
        """Tell the one who waits what became of a batch."""
        part = self.folder / f"{name}{_REPORT}.tmp"
        part.write_bytes(orjson.dumps(asdict(report)))
        part.replace(self.folder / f"{name}{_REPORT}")

    def take_report(self, name: str) -> IngestReport | None:
        """What became of a batch, or `None` while it waits."""
        path = self.folder / f"{name}{_REPORT}"
        try:
            report = IngestReport(**orjson.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        path.unlink(missing_ok=True)
        return report

    def remove_old_reports(self) -> None:
        """Remove reports that nobody came for."""
        oldest = time.time() - _REPORT_SECONDS
        for path in self.folder.glob(f"*{_REPORT}"):
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


def drain(warehouse: Warehouse, spool: Spool) -> IngestReport:
    """Store every batch that waits; for the process that holds the warehouse."""
    report = IngestReport()
    names = spool.pending()
    if not names:
        return report
    stored = {name for (name,) in warehouse.rows("SELECT batch_id FROM raw.spooled")}
    for name in names:
        if name in stored:  # A crash came between the commit and the removal of the file.
            spool.discard(name)
            continue
        done = _store(warehouse, spool, name)
        spool.leave_report(name, done)
        report += done
    _forget_discarded(warehouse, spool)
    spool.remove_old_reports()
    return report


def _store(warehouse: Warehouse, spool: Spool, name: str) -> IngestReport:
    try:
        items = spool.get(name)
    except SpoolError as error:
        reject = Rejected(str(spool.folder / name), HistoryError(name, str(error)))
        with warehouse.transaction():
            report = apply_batch(warehouse, [reject])
        spool.set_aside(name)
        return report
    with warehouse.transaction() as connection:
        report = apply_batch(warehouse, items)
        now = datetime.now(UTC).replace(tzinfo=None)
        connection.execute("INSERT INTO raw.spooled VALUES (?, ?)", [name, now])
    spool.discard(name)
    return report


def _forget_discarded(warehouse: Warehouse, spool: Spool) -> None:
    with warehouse.transaction() as connection:
        connection.execute(
            "DELETE FROM raw.spooled WHERE batch_id NOT IN (SELECT unnest(?::VARCHAR[]))",
            [spool.pending()],
        )


def _packed(items: Iterable[Spoolable]) -> bytes:
    buffer = io.BytesIO()
    for item in items:
        head, body = _record(item)
        buffer.write(_LENGTHS.pack(len(head), len(body)))
        buffer.write(head)
        buffer.write(body)
    return buffer.getvalue()


def _record(item: Spoolable) -> tuple[bytes, bytes]:
    if isinstance(item, SpanBatch):
        return orjson.dumps({"spans": {}}), item.data
    if isinstance(item, Rejected):
        reject = {"uri": item.uri, "reason": item.error.reason, "is_notice": item.is_notice}
        return orjson.dumps({"rejected": reject}), b""
    head = {
        "key": asdict(item.key),
        "key_source": str(item.key_source),
        "origin": asdict(item.origin),
    }
    return orjson.dumps({"history": head}), item.raw


def _unpacked(data: bytes) -> Iterable[Spoolable]:
    view, at = memoryview(data), 0
    while at < len(view):
        head_size, body_size = _LENGTHS.unpack_from(view, at)
        start = at + _LENGTHS.size
        at = start + head_size + body_size
        if at > len(view):
            raise ValueError("it ends in the middle of a record")
        head = orjson.loads(view[start : start + head_size])
        yield _item(head, bytes(view[start + head_size : at]))


def _item(head: dict[str, Any], body: bytes) -> Spoolable:
    if "spans" in head:
        return SpanBatch(body)
    if (reject := head.get("rejected")) is not None:
        error = HistoryError(reject["uri"], reject["reason"])
        return Rejected(reject["uri"], error, bool(reject["is_notice"]))
    return restored(body, head["history"]["key"], head["history"])
