"""Two sets of runs: the statistics against their definitions, the traits against the histories."""

from __future__ import annotations

from math import comb
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.errors import QueryError
from analytics.populations import Trait, _fisher, compare_sets, runs_where
from tests.tui.histories import HistoryMaker, application_failure
from tests.tui.process import retrospan


def by_definition(left: int, ours: int, right: int, theirs: int) -> float:
    having = left + right
    tables = range(max(0, having - theirs), min(having, ours) + 1)
    ways = {k: comb(ours, k) * comb(theirs, having - k) for k in tables}
    unlikely = sum(n for n in ways.values() if n <= ways[left])
    return unlikely / comb(ours + theirs, having)


@given(st.data(), st.integers(1, 60), st.integers(1, 60))
def test_fishers_test_is_what_its_definition_says(
    data: st.DataObject, ours: int, theirs: int
) -> None:
    left, right = data.draw(st.integers(0, ours)), data.draw(st.integers(0, theirs))
    expected = by_definition(left, ours, right, theirs)
    assert _fisher(left, ours, right, theirs) == pytest.approx(expected, rel=1e-6)


def test_fishers_lady_tasting_tea() -> None:
    assert _fisher(3, 4, 1, 4) == pytest.approx(34 / 70)


def test_large_sets_are_no_trouble() -> None:
    assert _fisher(50_000, 100_000, 50_000, 100_000) == pytest.approx(1.0)
    assert 0 < _fisher(50_000, 100_000, 51_000, 100_000) < 1e-4


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty runs that are well, and twenty of which most fail in a step that is tried again."""
    folder = tmp_path_factory.mktemp("sets")
    for number in range(40):
        maker = HistoryMaker()
        is_new = number >= 20
        maker.start("Order", f"{'new' if is_new else 'old'}-{number}", f"run-{number:04}")
        maker.activity("charge")
        if is_new and number % 4:
            maker.activity("audit", attempt=3)
            maker.fail(application_failure("no stock", "OutOfStock"))
        else:
            maker.complete()
        (folder / f"{number}.pb").write_bytes(maker.bytes())
    done = retrospan("import", folder, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "retrospan.duckdb"


def traits(warehouse: Path) -> dict[tuple[str, str], Trait]:
    old = runs_where(warehouse, "workflow_id LIKE 'old-%'")
    new = runs_where(warehouse, "workflow_id LIKE 'new-%'")
    found = compare_sets(warehouse, old, new)
    assert (found.left, found.right, found.both) == (20, 20, 0)
    return {(trait.kind, trait.name): trait for trait in found.traits}


def test_what_the_second_set_has_more_often_comes_first(warehouse: Path) -> None:
    found = traits(warehouse)
    audit = found["step", "audit"]
    assert (audit.left, audit.right, audit.right_share) == (0, 15, 0.75)
    assert audit.p == pytest.approx(by_definition(0, 20, 15, 20))
    assert audit.p <= audit.q < 1e-4
    assert found["step", "charge"].q == 1.0
    assert found["retried step", "audit"].right == 15
    assert found["status", "FAILED"].right == 15
    [failure] = [trait for (kind, _), trait in found.items() if kind == "failure"]
    assert failure.detail == "OutOfStock: no stock"
    assert next(iter(found)) != ("step", "charge")


def test_a_set_compared_with_itself_has_nothing_telling(warehouse: Path) -> None:
    runs = runs_where(warehouse, "true")
    found = compare_sets(warehouse, runs, runs)
    assert found.both == 40
    assert all(trait.q == pytest.approx(1.0) for trait in found.traits)


@pytest.mark.parametrize("condition", ["nonsense here", "1 = 1); DROP TABLE core.runs; --", ""])
def test_a_condition_that_is_none_is_refused(warehouse: Path, condition: str) -> None:
    with pytest.raises(QueryError):
        runs_where(warehouse, condition)
    assert len(runs_where(warehouse, "true")) == 40
