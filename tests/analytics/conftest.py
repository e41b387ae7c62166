"""A fresh warehouse for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.warehouse import Warehouse, open_warehouse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "w.duckdb"


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse without rows, to be copied: making its schema takes far longer."""
    path = tmp_path_factory.mktemp("empty") / "empty.duckdb"
    open_warehouse(path).close()
    return path


@pytest.fixture
def made(empty: Path, path: Path) -> Path:
    """A warehouse without rows that nobody has open."""
    shutil.copy(empty, path)
    return path


@pytest.fixture
def warehouse(made: Path) -> Iterator[Warehouse]:
    with open_warehouse(made) as opened:
        yield opened
