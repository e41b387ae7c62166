"""Histories in, whole runs out: whatever wrote them, and however damaged the rest of the pile is.

`read_histories` takes files, folders, archives and stdin; `from_server` and `runs_from_server` ask
a Temporal server. All give the same thing: `RunHistory`, with the SDK's own `HistoryEvent`s, the
run's key, and the bytes they came from. What cannot be read is a `Rejected` with a one-line reason;
nothing is ever read by half, so a warehouse cannot be fed a run with a hole in it.

`decode` and `iter_payloads` show payloads to people. They never change events: replay needs the
recorded bytes.
"""

from __future__ import annotations

from replayer.history.codec import (
    Codec,
    CodecError,
    CodecServer,
    apply_codec,
    decoded_history,
    decoded_payloads,
)
from replayer.history.errors import HistoryError, HistoryUnavailable
from replayer.history.keys import export_path
from replayer.history.model import KeySource, Origin, Rejected, RunHistory, UnknownName
from replayer.history.payloads import DecodedPayload, decode, iter_payloads
from replayer.history.reading import read_bytes, read_histories
from replayer.history.server import from_server, runs_from_server
from replayer.history.sources import Member, SourceFile, files_of, members_of

__all__ = [
    "Codec",
    "CodecError",
    "CodecServer",
    "DecodedPayload",
    "HistoryError",
    "HistoryUnavailable",
    "KeySource",
    "Member",
    "Origin",
    "Rejected",
    "RunHistory",
    "SourceFile",
    "UnknownName",
    "apply_codec",
    "decode",
    "decoded_history",
    "decoded_payloads",
    "export_path",
    "files_of",
    "from_server",
    "iter_payloads",
    "members_of",
    "read_bytes",
    "read_histories",
    "runs_from_server",
]
