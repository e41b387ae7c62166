"""The folder that a demo leaves behind, made fresh each time.

Only a folder that a demo made is ever emptied: a marker file tells.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tui.cli.diagnostics import CommandError
from tui.cli.exits import Exit

_MARKER = ".retrospan-demo"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demo's things are."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return self.folder / "warehouse.duckdb"

    @property
    def logs(self) -> Path:
        """What Temporal and the workers had to say."""
        return self.folder / "logs"


def prepare(folder: Path) -> Place:
    """Make the folder, or empty the one that an earlier demo left.

    Raises:
        CommandError: Something else is in it.
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARKER).is_file():
            raise CommandError(
                f"{folder}: not empty, and not made by a demo; name another with --dir",
                Exit.REFUSED,
            )
        shutil.rmtree(folder)
    place = Place(folder)
    place.logs.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).touch()
    return place
