"""A progress bar on stderr for people; nothing where no person looks."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress


class Progress:
    """A bar that fills up, with the name of what was finished last."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._task: TaskID | None = None
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=Console(file=sys.stderr),
            disable=not sys.stderr.isatty(),
            transient=True,
        )

    def advance(self, done: str) -> None:
        """One more is finished. `done` is markup to rich: an id of our own making, never data."""
        if self._task is not None:
            self._bar.update(self._task, advance=1, description=f"{self._title}: {done}")

    def __enter__(self) -> Self:
        self._bar.__enter__()
        self._task = self._bar.add_task(self._title, total=self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.__exit__(kind, error, traceback)
