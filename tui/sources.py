"""Where the app's runs come from: a warehouse, or history files. One protocol for both.

A source lists rows and loads the history of one of them; it keeps no history in memory, so that a
folder of any size can be listed. Everything here reads files or databases: call it off the event
loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from replayer.history import (
    Codec,
    CodecError,
    HistoryError,
    HistoryUnavailable,
    Rejected,
    RunHistory,
    decoded_history,
    read_histories,
)
from tracer.identity import RunKey
from tracer.model import Run, run_from_events
from tui.forks import Origin, origin_from, origin_of

if TYPE_CHECKING:
    from analytics.runs import RunSummary
    from replayer.alignment import Knowledge

_LISTED_RUNS = 100_000
"""Rows of a list; older runs are found by narrowing, not by scrolling."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """What a list of runs shows of one of them."""

    key: RunKey
    workflow_type: str
    status: str
    """One of `tracer.model.RunStatus`."""
    started_at: int | None
    """Nanoseconds since the epoch."""
    duration_ns: int | None
    """To the end, or to the last event of an open run."""
    steps: int | None
    """`None` where only the history would tell."""
    attempts: int | None
    cost_usd: float | None = None
    """`None` where nobody knows it; files alone never tell."""
    is_stuck: bool = False
    """Open, and its workflow task fails again and again."""
    origin: Origin | None = None
    """What it was forked from; `None` for what really ran."""


class RunSource(Protocol):
    """Some runs."""

    @property
    def name(self) -> str:
        """What it is, for a heading."""
        ...

    @property
    def note(self) -> str:
        """What a reader must know of the rows that were read; empty when they are all there is."""
        ...

    def rows(self) -> Iterator[RunRow | Rejected]:
        """Every run, and what could not be read; lazily, so that a list can fill as it goes."""
        ...

    def load(self, key: RunKey) -> RunHistory:
        """The history of one of the runs.

        Raises:
            HistoryError: It cannot be read, or is there no more.
            AnalyticsError: The warehouse cannot be read.
        """
        ...

    def knowledge(self, key: RunKey) -> Knowledge:
        """What is known of a run beside its history: decisions, model calls."""
        ...


def nothing_known() -> Knowledge:
    """What histories alone tell beside themselves."""
    from replayer.alignment import Knowledge

    return Knowledge()


class FileRuns:
    """Runs in history files, folders and archives."""

    def __init__(self, paths: Sequence[str], namespace: str | None = None) -> None:
        self._paths = tuple(paths)
        self._namespace = namespace
        self._uris: dict[RunKey, str] = {}

    @property
    def name(self) -> str:
        """The paths as given."""
        return " ".join(self._paths)

    @property
    def note(self) -> str:
        """Files are always read to the end."""
        return ""

    def rows(self) -> Iterator[RunRow | Rejected]:
        """Read every file once; a run that comes twice is shown once."""
        self._uris.clear()
        for found in read_histories(self._paths, namespace=self._namespace):
            if isinstance(found, Rejected):
                yield found
            elif found.key not in self._uris:
                self._uris[found.key] = found.origin.uri
                yield row_of(run_from_events(found.key, found.events))

    def load(self, key: RunKey) -> RunHistory:
        """Read the file again that the run was found in."""
        uri = self._uris.get(key)
        for path in self._paths if uri is None else [container_of(uri)]:
            for found in read_histories([path], namespace=self._namespace):
                if isinstance(found, RunHistory) and found.key == key:
                    return found
        raise HistoryUnavailable(uri or self.name, f"has no run {key} any more")

    def knowledge(self, key: RunKey) -> Knowledge:
        """Files tell nothing else."""
        return nothing_known()


class LoadedRuns:
    """Runs that are in memory already, such as one that was named on the command line."""

    def __init__(self, name: str, histories: Sequence[RunHistory]) -> None:
        self._name = name
        self._histories = {history.key: history for history in histories}

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    @property
    def note(self) -> str:
        """They are all here."""
        return ""

    def rows(self) -> Iterator[RunRow | Rejected]:
        """One row each."""
        for history in self._histories.values():
            yield row_of(run_from_events(history.key, history.events))

    def load(self, key: RunKey) -> RunHistory:
        """The history itself."""
        return self._histories[key]

    def knowledge(self, key: RunKey) -> Knowledge:
        """Nothing else."""
        return nothing_known()


class WarehouseRuns:
    """Runs in a warehouse, the newest first."""

    def __init__(self, path: Path, namespace: str | None = None) -> None:
        self._path = path
        self._namespace = namespace
        self._is_cut = False
        # Connections of one process to one file share an instance, and its settings: two at once
        # would lock each other's.
        self._one_at_a_time = threading.Lock()

    @property
    def warehouse(self) -> Path:
        """The file."""
        return self._path

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    @property
    def note(self) -> str:
        """Whether older runs were left out."""
        return f"only the newest {_LISTED_RUNS:,} runs" if self._is_cut else ""

    def rows(self) -> Iterator[RunRow | Rejected]:
        """The newest runs."""
        from analytics.runs import RunFilter, fork_marks, list_runs

        where = RunFilter(namespace=self._namespace)
        with self._one_at_a_time:
            found = list_runs(self._path, where, limit=_LISTED_RUNS + 1)
            marks = fork_marks(self._path)
        self._is_cut = len(found) > _LISTED_RUNS
        for run in found[:_LISTED_RUNS]:
            yield _row_of_summary(run, origin_from(marks.get(run.key)))

    def load(self, key: RunKey) -> RunHistory:
        """The history as it was imported."""
        from analytics.runs import load_history

        with self._one_at_a_time:
            return load_history(self._path, key)

    def knowledge(self, key: RunKey) -> Knowledge:
        """What spans told of it."""
        from analytics.run_knowledge import knowledge_of

        with self._one_at_a_time:
            return knowledge_of(self._path, key)


def _row_of_summary(run: RunSummary, origin: Origin | None) -> RunRow:
    return RunRow(
        key=run.key,
        workflow_type=run.workflow_type or "",
        status=run.status,
        started_at=None if run.started_at is None else _nanoseconds(run.started_at),
        duration_ns=None if run.duration_s is None else round(run.duration_s * 1e9),
        steps=run.n_steps,
        attempts=run.n_attempts,
        cost_usd=None if run.cost_usd is None else float(run.cost_usd),
        is_stuck=run.is_stuck,
        origin=origin,
    )


def _nanoseconds(moment: datetime) -> int:
    # Through whole microseconds: a float of seconds since the epoch has lost the last digits.
    since = moment.replace(tzinfo=UTC) - datetime.fromtimestamp(0, UTC)
    return since // timedelta(microseconds=1) * 1_000


def row_of(run: Run) -> RunRow:
    """What a list shows of a run that was read from its history."""
    return RunRow(
        key=run.key,
        workflow_type=run.workflow_type,
        status=run.status.value,
        started_at=run.started_at,
        duration_ns=run.duration_ns,
        steps=len(run.steps),
        attempts=sum(step.attempt_count for step in run.steps),
        is_stuck=run.is_stuck,
        origin=origin_of(run),
    )


def container_of(uri: str) -> str:
    """The file on disk that an origin's uri points into: `a.zip!b.json` is in `a.zip`."""
    if Path(uri).exists():
        return uri
    for mark in ("!", "#"):
        head, found, _ = uri.partition(mark)
        if found and Path(head).exists():
            return head
    return uri


class SourceAround:
    """Another source, as it is: what is built around one changes what it must."""

    def __init__(self, source: RunSource) -> None:
        self._source = source

    @property
    def is_live(self) -> bool:
        """Whether open runs of the source go on while they are looked at."""
        return bool(getattr(self._source, "is_live", False))

    @property
    def warehouse(self) -> Path | None:
        """The source's, if it is one."""
        return getattr(self._source, "warehouse", None)

    @property
    def name(self) -> str:
        """The source's."""
        return self._source.name

    @property
    def note(self) -> str:
        """The source's."""
        return self._source.note

    def rows(self) -> Iterator[RunRow | Rejected]:
        """The source's."""
        return self._source.rows()

    def load(self, key: RunKey) -> RunHistory:
        """A history of the source."""
        return self._source.load(key)

    def knowledge(self, key: RunKey) -> Knowledge:
        """What the source knows."""
        return self._source.knowledge(key)


class DecodedRuns(SourceAround):
    """The runs of another source, with their payloads decoded by a codec; rows show none."""

    def __init__(self, source: RunSource, codec: Codec) -> None:
        super().__init__(source)
        self._codec = codec

    def load(self, key: RunKey) -> RunHistory:
        """Load and decode, off the event loop of the app."""
        history = super().load(key)
        try:
            return asyncio.run(decoded_history(history, self._codec))
        except CodecError as error:
            raise HistoryError(history.origin.uri, str(error)) from error
