"""What the app remembers between two sittings: tapes, and small facts by name.

Everything here may be deleted at any time, and a damaged file is an empty one: nothing that is
remembered is worth an error.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import orjson

from tracer.identity import RunKey

_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
_MOST_BYTES = 1 << 20


def state_folder() -> Path:
    """`$RETROSPAN_STATE`, else `retrospan` where this system keeps state."""
    named = os.environ.get("RETROSPAN_STATE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "retrospan"


def tape_path(key: RunKey) -> Path:
    """Where the tape of a run is, or would be."""
    return state_folder() / "tapes" / f"{_name(key.run_id)}.tape"


def fork_path(key: RunKey) -> Path:
    """Where the history of a fork is kept."""
    return state_folder() / "forks" / f"{_name(key.workflow_id)}.fork-{_name(key.run_id)[:8]}.pb"


def fork_paths(workflow_id: str) -> list[Path]:
    """The forks that are kept of runs with this workflow id."""
    return sorted((state_folder() / "forks").glob(f"{_name(workflow_id)}.fork-*.pb"))


def _name(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text)[:100].lstrip(".-") or "run"


def recall(name: str) -> dict[str, Any]:
    """The facts that were remembered under a name."""
    return _read(_path(name))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return {}
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(name: str, **facts: Any) -> None:
    """Remember facts, beside those that are remembered already."""
    path = _path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(orjson.dumps({**recall(name), **facts}, option=orjson.OPT_INDENT_2))
        partial.replace(path)
    except OSError:
        return


def keymap() -> dict[str, str]:
    """The reader's own keys by id of a binding: `$RETROSPAN_KEYMAP`, else in the configuration."""
    named = os.environ.get("RETROSPAN_KEYMAP")
    base = os.environ.get("XDG_CONFIG_HOME")
    folder = (Path(base) if base else Path.home() / ".config") / "retrospan"
    found = _read(Path(named) if named else folder / "keymap.json")
    return {id_: key for id_, key in found.items() if isinstance(key, str)}


def _path(name: str) -> Path:
    return state_folder() / f"{name}.json"
