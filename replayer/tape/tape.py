"""A tape, open for reading: every question is about a position, and none replays anything.

    with open_tape("review.tape") as tape:
        position = tape.branches()[-1].position
        tape.at(position)                        # where that is
        tape.state_at(position).stack            # the frames there, with their values
        tape.who_set("self.risk", position)      # the line that set it
        tape.over_back(position)                 # the line before, past what it called

Positions run from 0 to `len(tape) - 1`. Whatever a file holds, reading it fails with a `TapeError`
or not at all.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from replayer.tape._chunks import NO_FRAME, NO_SITE, Values
from replayer.tape._load import Loaded, load, reading
from replayer.tape._state import Known, State, state_at
from replayer.tape._stepping import Steps
from replayer.tape.values import Value, value_of
from replayer.tape.words import (
    Activation,
    Change,
    Command,
    Coroutine,
    CoroutineKind,
    Job,
    Kind,
    Place,
    Source,
    SourceState,
    Stop,
    TapeBranch,
    TapeHead,
)
from tracer.branches import Branch, BranchKind, BranchPoint, read_source

__all__ = ["Tape", "open_tape"]

_CACHED_CHUNKS: Final = 8


def open_tape(path: str | os.PathLike[str]) -> Tape:
    """Open a tape.

    Raises:
        TapeError: It cannot be read.
    """
    return Tape(load(os.fspath(path)))


class Tape:
    """The recorded replay of one run. Get it from `open_tape`; close it, or use it in a `with`."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._tables = loaded.tables
        self._steps = Steps(loaded)
        self._values: OrderedDict[int, Values] = OrderedDict()
        self._firsts = [activation["first"] for activation in self._tables.activations]
        self._activations: dict[int, Activation] = {}
        self._branches: tuple[TapeBranch, ...] | None = None
        self._by_event: dict[int, list[int]] | None = None

    def __len__(self) -> int:
        return len(self._loaded.kinds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. What needs no values can still be asked."""
        self._loaded.file.close()

    @property
    def path(self) -> str:
        """The file."""
        return self._loaded.file.path

    @property
    def head(self) -> TapeHead:
        """What was recorded, by what."""
        return self._loaded.head

    @property
    def stop(self) -> Stop:
        """Why the tape ends where it ends."""
        return self._loaded.stop

    # -- one position --------------------------------------------------------------------------

    def at(self, position: int) -> Place:
        """Where a position is.

        Raises:
            IndexError: There is no such position.
        """
        loaded, tables = self._loaded, self._tables
        self._check(position)
        frame, site = loaded.frames[position], loaded.sites[position]
        kind = Kind(loaded.kinds[position])
        activation = self._activation_number(position)
        if frame == NO_FRAME:
            return Place(position, kind, activation)
        code = tables.codes[tables.frame_codes[frame]]
        return Place(
            position,
            kind,
            activation,
            file=tables.files[code[0]][0],
            line=code[2] if site == NO_SITE else tables.sites[site][1],
            function=code[1],
            frame=frame,
            coroutine=tables.frame_coroutines[frame],
        )

    def state_at(self, position: int) -> State:
        """Everything that is known at a position: of a line, before it runs.

        Raises:
            IndexError: There is no such position.
            TapeError: The tape is damaged there.
        """
        self._check(position)
        chunk = self._loaded.chunk_of(position)
        values, first = self._values_of(chunk), self._loaded.firsts[chunk]
        with reading(self.path, self._loaded.states[chunk]):
            return state_at(self._loaded, values, first, position)

    def subject(self, position: int) -> Value | None:
        """What a function returns or a generator hands over there, or which exception arrives.

        Raises:
            IndexError: There is no such position.
            TapeError: The tape is damaged there.
        """
        self._check(position)
        chunk = self._loaded.chunk_of(position)
        values = self._values_of(chunk)
        number = values.subjects.get(position - self._loaded.firsts[chunk])
        with reading(self.path, self._loaded.states[chunk]):
            return None if number is None else value_of(values.values[number])

    def _check(self, position: int) -> None:
        if not 0 <= position < len(self):
            raise IndexError(f"the tape has positions 0 to {len(self) - 1}, not {position}")

    def _values_of(self, chunk: int) -> Values:
        values = self._values.pop(chunk, None) or self._loaded.values(chunk)
        self._values[chunk] = values
        if len(self._values) > _CACHED_CHUNKS:
            self._values.popitem(last=False)
        return values

    # -- where values come from ----------------------------------------------------------------

    def last_change(self, name: str, position: int, frame: int | None = None) -> Change | None:
        """The last time that a name got the value which it has at a position.

        Args:
            name: A local or a global of the module, or an attribute as `self.total`.
            position: Where it is asked.
            frame: Whose name it is; the frame at the position, unless told.

        Returns:
            None if the name is not known there.
        """
        return next(self.changes(name, position, frame), None)

    def changes(self, name: str, position: int, frame: int | None = None) -> Iterator[Change]:
        """All values that a name had up to a position, the last first."""
        found = self.state_at(position).find(name, frame)
        if found is None:
            return
        scope, known = found
        own_name = name.removeprefix("self.") if scope % 3 == 1 else name
        while known is not None:
            yield _change(name, known)
            if not 0 < known.at <= position:
                return
            position = known.at - 1
            earlier: Known | None = self.state_at(position).known(scope, own_name)
            if earlier is None:
                return
            known = earlier

    def who_set(self, name: str, position: int, frame: int | None = None) -> Place | None:
        """The line that gave a name the value which it has at a position.

        Returns:
            None if the name is not known there, or nobody was seen to set it: it was so when it was
            first looked at, or it was changed through another name.
        """
        change = self.last_change(name, position, frame)
        if change is None or change.set_by is None or change.set_by >= len(self):
            return None
        return self.at(change.set_by)

    # -- steps ---------------------------------------------------------------------------------

    def step(self, position: int) -> int | None:
        """The next line that runs, in whatever coroutine; None at the end."""
        return self._step(self._steps.forward, position)

    def step_back(self, position: int) -> int | None:
        """The line that ran before, in whatever coroutine; None at the beginning."""
        return self._step(self._steps.back, position)

    def over(self, position: int) -> int | None:
        """The next line of this function, past what it calls and awaits; else of its caller."""
        return self._step(self._steps.over, position)

    def over_back(self, position: int) -> int | None:
        """The line of this function before, past what it called; else the line that called it."""
        return self._step(self._steps.over_back, position)

    def out(self, position: int) -> int | None:
        """The next line of the caller, when this function is over."""
        return self._step(self._steps.out, position)

    def out_back(self, position: int) -> int | None:
        """The line that called this function."""
        return self._step(self._steps.out_back, position)

    def along(self, position: int) -> int | None:
        """The next line in the same coroutine."""
        return self._step(self._steps.along, position)

    def along_back(self, position: int) -> int | None:
        """The line before in the same coroutine."""
        return self._step(self._steps.along_back, position)

    def _step(self, step: Any, position: int) -> int | None:
        self._check(position)
        found: int | None = step(position)
        return found

    # -- lines ---------------------------------------------------------------------------------

    def hits(self, file: str, line: int) -> list[int]:
        """The positions at which a line was about to run.

        Args:
            file: As `Place.file`, its end, or a path on the machine that recorded.
            line: From 1.
        """
        tables, loaded = self._tables, self._loaded
        files = {n for n, row in enumerate(tables.files) if _names_file(row, file)}
        codes = {n for n, row in enumerate(tables.codes) if row[0] in files}
        found: list[int] = []
        for site, (code, number) in enumerate(tables.sites):
            if number != line or code not in codes:
                continue
            at = -1
            while True:
                try:
                    at = loaded.sites.index(site, at + 1)
                except ValueError:
                    break
                if loaded.kinds[at] == Kind.LINE:
                    found.append(at)
        return sorted(found)

    def sources(self) -> tuple[str, ...]:
        """The source files that ran, as `Place.file`."""
        return tuple(row[0] for row in self._tables.files)

    def source(self, file: str) -> Source | None:
        """A source file as it was when it ran; None if its text was not there.

        Raises:
            TapeError: The tape is damaged.
        """
        for number, row in enumerate(self._tables.files):
            if _names_file(row, file):
                text = self._loaded.source(number)
                return None if text is None else Source(row[0], text, row[2], row[1])
        return None

    def source_state(self, file: str) -> SourceState:
        """How a source file on this machine's disk compares with what ran."""
        source = self.source(file)
        if source is None:
            return SourceState.MISSING
        path = next((p for p in (Path(source.path), Path(source.file)) if p.is_file()), None)
        try:
            text = None if path is None else read_source(str(path))
        except (OSError, SyntaxError, ValueError):
            text = None
        if text is None:
            return SourceState.MISSING
        is_same = hashlib.sha256(text.encode()).hexdigest() == source.sha256
        return SourceState.SAME if is_same else SourceState.DIFFERS

    # -- the run -------------------------------------------------------------------------------

    @property
    def activation_count(self) -> int:
        """How many activations the tape has."""
        return len(self._firsts)

    def activation(self, number: int) -> Activation:
        """An activation, by its number from 0.

        Raises:
            IndexError: There is no such activation.
            TapeError: The tape is damaged.
        """
        if not 0 <= number < len(self._firsts):
            raise IndexError(f"the tape has activations 0 to {len(self._firsts) - 1}")
        known = self._activations.get(number)
        if known is None:
            with reading(self.path, 0):
                known = self._activations[number] = self._read_activation(number)
        return known

    def activations(self) -> Iterator[Activation]:
        """All activations, in order."""
        return map(self.activation, range(len(self._firsts)))

    def coroutine(self, number: int) -> Coroutine:
        """A coroutine, by its number from 0.

        Raises:
            IndexError: There is no such coroutine.
        """
        kind, name, first = self._tables.coroutines[number]
        with reading(self.path, 0):
            return Coroutine(number, CoroutineKind(kind), name, first)

    def coroutines(self) -> tuple[Coroutine, ...]:
        """All coroutines, in the order in which they first ran."""
        return tuple(map(self.coroutine, range(len(self._tables.coroutines))))

    def branches(self) -> tuple[TapeBranch, ...]:
        """All decisions, in the order in which they were taken.

        Raises:
            TapeError: The tape is damaged.
        """
        if self._branches is None:
            with reading(self.path, 0):
                points = [_point(row) for row in self._tables.points]
                self._branches = tuple(_branch(row, points) for row in self._tables.branches)
        return self._branches

    def event_of(self, position: int) -> int | None:
        """The history event that made the code at a position run; None where there is none.

        That is the job of the activation that the position's coroutine began or went on with, else
        the activation's last.

        Raises:
            IndexError: There is no such position.
        """
        place = self.at(position)
        activation = self.activation(place.activation)
        event: int | None = None
        last = activation.event_id or None
        for job in activation.jobs:
            last = job.event_id or last
            if job.position is not None and job.position <= position and job.event_id:
                woken = self._tables.frame_coroutines[self._loaded.frames[job.position]]
                event = job.event_id if woken == place.coroutine else event
        return event or last

    def positions_of(self, event_id: int) -> tuple[int, ...]:
        """Where an event shows: where its job took effect, and the line whose command it became.

        A `WORKFLOW_TASK_STARTED` shows where its activations begin. Empty for events that the
        workflow's code neither caused nor saw.
        """
        if self._by_event is None:
            with reading(self.path, 0):
                self._by_event = self._index()
        return tuple(sorted(set(self._by_event.get(event_id, ()))))

    def _index(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for row in self._tables.activations:
            first = row["first"]
            found.setdefault(row["event"], []).append(first)
            for _, _, event, at in (*row["jobs"], *row["commands"]):
                if event is not None:
                    found.setdefault(event, []).append(self._position(first if at is None else at))
        return found

    def _activation_number(self, position: int) -> int:
        return max(0, bisect_right(self._firsts, position) - 1)

    def _read_activation(self, number: int) -> Activation:
        row = self._tables.activations[number]
        return Activation(
            number,
            first=self._position(row["first"]),
            last=self._position(row["last"]),
            at=int(row["at"]),
            event_id=int(row["event"]),
            is_replaying=bool(row["replaying"]),
            jobs=tuple(
                Job(str(name), str(about), _optional(event), self._optional_position(at))
                for name, about, event, at in row["jobs"]
            ),
            commands=tuple(
                Command(str(name), str(about), _optional(event), self._position(at))
                for name, about, event, at in row["commands"]
            ),
            failure=str(row["failure"]),
            loops=tuple(
                (_point(self._tables.points[point]).id, int(rounds))
                for point, rounds in row["loops"]
            ),
        )

    def _position(self, value: Any) -> int:
        position = int(value)
        if not 0 <= position < len(self):
            raise ValueError("a position leads nowhere")
        return position

    def _optional_position(self, value: Any) -> int | None:
        if value is None:
            return None
        position = self._position(value)
        if self._loaded.frames[position] == NO_FRAME:
            raise ValueError("a position is no code's")
        return position


def _change(name: str, known: Known) -> Change:
    cause = known.cause if known.cause >= 0 else None
    return Change(name, known.at, cause, value_of(known.node))


def _optional(value: Any) -> int | None:
    return None if value is None else int(value)


def _point(row: list[Any]) -> BranchPoint:
    qualname, file, line, end_line, column, end_column, kind, condition = row
    return BranchPoint(
        str(qualname),
        str(file),
        int(line),
        int(end_line),
        int(column),
        int(end_column),
        BranchKind(kind),
        str(condition),
    )


def _branch(row: list[Any], points: Sequence[BranchPoint]) -> TapeBranch:
    position, activation, point, outcome, occurrence, at, because, rounds, values = row
    if not isinstance(outcome, bool | str | int | float):
        raise TypeError("a decision came to nothing that can be read")
    branch = Branch(
        points[point],
        outcome,
        int(occurrence),
        _optional(at),
        str(because),
        tuple((str(name), str(text)) for name, text in values),
        _optional(rounds),
    )
    return TapeBranch(branch, int(position), int(activation))


def _names_file(row: list[Any], file: str) -> bool:
    return row[0] == file or row[1] == file or (bool(file) and row[0].endswith(f"/{file}"))
