"""Writes the dashboards as JSON, or checks that the files are what the code says.

    python -m dashboards.build [--check]

The only module of the package that a program runs, and the only way into it that needs
grafana-foundation-sdk.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dashboards import JSON_FOLDER

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

__all__ = ["main", "rendered", "stale", "write"]


def rendered() -> dict[str, str]:
    """File name and content of each dashboard.

    Raises:
        ModuleNotFoundError: grafana-foundation-sdk is not installed.
    """
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    return {
        name: json.dumps(make(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        + "\n"
        for name, make in _dashboards().items()
    }


def write(folder: Path) -> list[Path]:
    """Write what differs, remove what no code makes; returns the paths that changed."""
    wanted = rendered()
    changed = stale(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in changed:
        if path.name in wanted:
            path.write_text(wanted[path.name], encoding="utf-8")
        else:
            path.unlink()
    return changed


def stale(folder: Path) -> list[Path]:
    """The files that are missing, differ from the code, or come from no code."""
    wanted = rendered()
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return [
        folder / name
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]


def main(arguments: Sequence[str] | None = None, *, folder: Path = JSON_FOLDER) -> int:
    """Run the command; the exit code is 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.build", description=_SUMMARY)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    is_check = parser.parse_args(arguments).check
    try:
        changed = stale(folder) if is_check else write(folder)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "grafana_foundation_sdk":
            raise
        print(
            "dashboards.build: no grafana-foundation-sdk here: pip install 'retrospan[dev]'",
            file=sys.stderr,
        )
        return 3
    if not changed:
        return 0
    names = ", ".join(path.name for path in changed)
    if is_check:
        print(
            f"dashboards.build: stale in {folder}: {names}; run python -m dashboards.build",
            file=sys.stderr,
        )
        return 1
    print(f"dashboards.build: wrote {names}", file=sys.stderr)
    return 0


_SUMMARY = "Write Grafana dashboards as JSON."


def _dashboards() -> dict[str, Callable[[], Dashboard]]:
    from dashboards.agents import agents
    from dashboards.fleet import fleet
    from dashboards.people import people
    from dashboards.run import run
    from dashboards.workers import workers

    return {
        "fleet.json": fleet,
        "agents.json": agents,
        "people.json": people,
        "run.json": run,
        "workers.json": workers,
    }


if __name__ == "__main__":
    sys.exit(main())
