"""Dashboards against Grafana's own types, TraceQL against Grafana's own parser.

Both come from npm, with `make stores`; where they are not, these tests are skipped. The parser
is older than Tempo: it is a lint, and nothing here executes TraceQL.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dashboards import JSON_FOLDER
from tests.dashboards.sending import sent

type Json = dict[str, Any]

_ROOT = Path(__file__).parents[2]
_SOURCES = Path(__file__).parent / "grafana"
_MODULES = _ROOT / ".stores" / "node" / "node_modules"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for node, with Grafana's packages."""
    if shutil.which("node") is None or not _MODULES.is_dir():
        pytest.skip("no node, or no Grafana packages in .stores/node (`make stores`)")
    place = tmp_path_factory.mktemp("grafana")
    for source in _SOURCES.iterdir():
        shutil.copy(source, place)
    (place / "node_modules").symlink_to(_MODULES)
    return place


def _typed(folder: Path, boards: dict[str, str]) -> str:
    """What TypeScript says of these dashboards."""
    for name, text in boards.items():
        source = f'import type {{ Board }} from "./board";\nexport const board: Board = {text};\n'
        (folder / f"{name}.ts").write_text(source)
    options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--target", "es2022"]
    done = subprocess.run(
        [
            *("node", "node_modules/typescript/bin/tsc", *options),
            *("--moduleResolution", "bundler", *(f"{name}.ts" for name in boards)),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.mark.slow
def test_every_dashboard_is_one_by_grafanas_types(folder: Path) -> None:
    boards = {path.stem: path.read_text() for path in JSON_FOLDER.glob("*.json")}
    assert boards
    assert _typed(folder, boards) == ""


@pytest.mark.slow
def test_the_types_find_mistakes(folder: Path) -> None:
    board = json.loads((JSON_FOLDER / "run.json").read_text())
    wrong = {
        "tags": {**board, "tags": "retrospan"},
        "cursor": {**board, "graphTooltip": "crosshair"},
        "extra": {**board, "panel": []},
        "mode": {
            **board,
            "panels": [
                {"type": "stat", "fieldConfig": {"defaults": {"thresholds": {"mode": "x"}}}}
            ],
        },
    }
    said = _typed(folder, {name: json.dumps(text) for name, text in wrong.items()})
    assert set(re.findall(r"^(\w+)\.ts", said, re.MULTILINE)) == wrong.keys()


def test_every_trace_search_parses(folder: Path, boards: dict[str, Json]) -> None:
    searches = sorted({search for board in boards.values() for search in _searches(board)})
    assert len(searches) > 20
    wrong = "{ span.a = `b` && }"
    done = subprocess.run(
        ["node", "traceql.mjs"],
        cwd=folder,
        input=json.dumps([*searches, wrong]),
        capture_output=True,
        text=True,
        check=True,
    )
    mistakes = json.loads(done.stdout)
    assert mistakes.pop() > 0
    assert [search for search, count in zip(searches, mistakes, strict=True) if count] == []


def _searches(value: Any) -> Iterator[str]:
    """The TraceQL of panels and of links, with everything chosen."""
    match value:
        case {"query": str(query), "queryType": "traceql"} if query.startswith("{"):
            yield _chosen(query)
        case str() if value.startswith("/explore?"):
            [panes] = parse_qs(urlsplit(value).query)["panes"]
            for pane in json.loads(panes).values():
                yield from _searches(pane)
        case dict():
            for inner in value.values():
                yield from _searches(inner)
        case list():
            for inner in value:
                yield from _searches(inner)
        case _:
            pass


def _chosen(search: str) -> str:
    return sent(re.sub(r"\$\{([\w.]+)(?::\w+)?\}", "x", search))
