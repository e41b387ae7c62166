"""One sitting at the app: a source of runs, with the forks that were made meanwhile.

Forks are kept beside the source and not in it: what was never run for real is in no warehouse
unless somebody asks for that. Those of an earlier sitting come back when somebody looks for them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from replayer.alignment import Knowledge
from replayer.history import Rejected, RunHistory, read_histories
from tracer.identity import RunKey
from tracer.model import run_from_events
from tui import memory
from tui.resolve import matching
from tui.sources import RunRow, RunSource, SourceAround, nothing_known, row_of


class Sitting(SourceAround):
    """A `RunSource` that knows what was seen and what was forked."""

    def __init__(self, source: RunSource) -> None:
        super().__init__(source)
        self._forks: dict[RunKey, tuple[RunHistory, RunKey]] = {}
        self._seen: dict[RunKey, RunRow] = {}
        self._is_listed = False
        self._lock = threading.Lock()

    @property
    def seen(self) -> list[RunRow]:
        """The runs that were listed so far."""
        with self._lock:
            return list(self._seen.values())

    @property
    def is_listed(self) -> bool:
        """Whether somebody listed the source, or began to."""
        return self._is_listed

    def list_once(self) -> None:
        """See every run of the source, unless somebody listed it already. Reads files."""
        if not self._is_listed:
            for _ in self.rows():
                pass

    def rows(self) -> Iterator[RunRow | Rejected]:
        """Forks, then what the source has."""
        self._is_listed = True
        for history, _ in list(self._forks.values()):
            yield self._noted(row_of(run_from_events(history.key, history.events)))
        for found in super().rows():
            yield found if isinstance(found, Rejected) else self._noted(found)

    def _noted(self, row: RunRow) -> RunRow:
        with self._lock:
            self._seen[row.key] = row
        return row

    def load(self, key: RunKey) -> RunHistory:
        """The history of a fork, or of a run of the source."""
        fork = self._forks.get(key)
        return fork[0] if fork is not None else super().load(key)

    def knowledge(self, key: RunKey) -> Knowledge:
        """Nothing of a fork; of a run what the source knows."""
        return nothing_known() if key in self._forks else super().knowledge(key)

    def add_fork(self, history: RunHistory, recorded: RunKey) -> None:
        """Keep a fork, and of which run it is."""
        self._forks[history.key] = history, recorded
        self._noted(row_of(run_from_events(history.key, history.events)))

    def recorded_of(self, key: RunKey) -> RunKey | None:
        """The run that a fork was made from; `None` for what is no fork."""
        fork = self._forks.get(key)
        if fork is not None:
            return fork[1]
        with self._lock:
            row = self._seen.get(key)
            origin = None if row is None else row.origin
            return origin.of if origin is not None and origin.of in self._seen else None

    def recall_forks(self, key: RunKey) -> None:
        """Find what was forked of a run, or beside it, in earlier sittings. Reads files."""
        for found in read_histories(memory.fork_paths(key.workflow_id)):
            if isinstance(found, RunHistory) and found.key not in self._forks:
                row = row_of(run_from_events(found.key, found.events))
                if row.origin is not None and row.key.namespace == key.namespace:
                    self._forks[found.key] = found, row.origin.of
                    self._noted(row)

    def named(self, text: str) -> list[RunKey]:
        """The runs seen so far that a name fits, as on the command line."""
        return matching(text, [row.key for row in self.seen])
