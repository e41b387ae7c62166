"""Writes dashboards as JSON and alert rules as YAML, or checks that they are what the code says.

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

from dashboards import GENERATED

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

__all__ = ["main", "rendered", "stale", "write"]


def rendered() -> dict[str, str]:
    """Path below the package and content of each file.

    Raises:
        ModuleNotFoundError: grafana-foundation-sdk or PyYAML is not installed.
    """
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    boards = {
        f"json/{name}": json.dumps(
            make(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False
        )
        + "\n"
        for name, make in _dashboards().items()
    }
    return {**boards, "alerts/retrospan.yaml": _alert_rules()}


def write(folder: Path) -> list[Path]:
    """Write what differs, remove what no code makes; returns the paths that changed."""
    wanted = rendered()
    changed = stale(folder)
    for path in changed:
        text = wanted.get(path.relative_to(folder).as_posix())
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return changed


def stale(folder: Path) -> list[Path]:
    """The files that are missing, differ from the code, or come from no code."""
    wanted = rendered()
    found = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for pattern in ("json/*.json", "alerts/*.yaml")
        for path in folder.glob(pattern)
    }
    return [
        folder / name
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]


def main(arguments: Sequence[str] | None = None, *, folder: Path = GENERATED) -> int:
    """Run the command; the exit code is 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.build", description=_SUMMARY)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    is_check = parser.parse_args(arguments).check
    try:
        changed = stale(folder) if is_check else write(folder)
    except ModuleNotFoundError as missing:
        package = _PACKAGES.get((missing.name or "").partition(".")[0])
        if package is None:
            raise
        print(
            f"dashboards.build: no {package} here: pip install 'retrospan[dev]'",
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


_SUMMARY = "Write Grafana dashboards as JSON, and alert rules as YAML."
_PACKAGES = {"grafana_foundation_sdk": "grafana-foundation-sdk", "yaml": "PyYAML"}


def _alert_rules() -> str:
    import yaml

    from dashboards.alerts import rules

    text: str = yaml.safe_dump(rules(), sort_keys=False, allow_unicode=True, width=100)
    return text


def _dashboards() -> dict[str, Callable[[], Dashboard]]:
    from dashboards.agents import agents
    from dashboards.fleet import fleet
    from dashboards.people import people
    from dashboards.run import run
    from dashboards.warehouse import warehouse
    from dashboards.workers import workers

    return {
        "fleet.json": fleet,
        "agents.json": agents,
        "people.json": people,
        "run.json": run,
        "workers.json": workers,
        "warehouse.json": warehouse,
    }


if __name__ == "__main__":
    sys.exit(main())
