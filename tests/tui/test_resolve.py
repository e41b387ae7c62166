from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replayer.history import HistoryError
from tests.tui.histories import RUN_ID, review_history
from tracer.identity import RunKey
from tui.cli import main
from tui.resolve import AmbiguousRunError, Places, ResolveError, matching, resolve_run

FIRST = "0198c5c6-3b1e-7c2a-9d4e-000000000000"
PREFIX = FIRST[:-1]


@pytest.fixture
def places(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> Places:
    """A warehouse with the runs of `folder`."""
    warehouse = tmp_path / "w.duckdb"
    assert main(["import", str(folder), "--warehouse", str(warehouse)]) == 0
    capsys.readouterr()
    return Places(warehouse)


@pytest.fixture
def nowhere(tmp_path: Path) -> Places:
    return Places(tmp_path / "none.duckdb")


def found(text: str | Path, places: Places) -> str:
    return resolve_run(str(text), places).key.workflow_id


def test_a_file_with_one_run(history_file: Path, nowhere: Places) -> None:
    assert found(history_file, nowhere) == "review-1"


@pytest.mark.parametrize(
    "selector", ["review-2", FIRST[:-1] + "2", f"review-2:{PREFIX}2", "2.pb", "review-2:0198"]
)
def test_a_run_in_a_folder(selector: str, folder: Path, nowhere: Places) -> None:
    assert found(f"{folder}!{selector}", nowhere) == "review-2"


def test_a_member_of_an_archive(tmp_path: Path, nowhere: Places) -> None:
    archive = tmp_path / "many.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for number in range(3):
            run_id = f"{PREFIX}{number}"
            packed.writestr(f"in/{number}.pb", review_history(f"wf-{number}", run_id).bytes())

    assert found(f"{archive}!in/1.pb", nowhere) == "wf-1"
    assert found(f"{archive}!wf-2", nowhere) == "wf-2"


def test_several_runs_in_a_place_are_listed(folder: Path, nowhere: Places) -> None:
    with pytest.raises(AmbiguousRunError) as caught:
        found(folder, nowhere)

    message = str(caught.value)
    assert "fits 3 runs" in message
    for name in ("review-0", "cargo-1", "review-2"):
        assert f"{folder}!{name}:" in message


@pytest.mark.parametrize(
    "text",
    [
        "cargo-1",
        f"{PREFIX}1",
        f"cargo-1:{PREFIX}1",
        f"default/cargo-1:{PREFIX}1",
        "cargo-1:0198c5c6",
    ],
)
def test_a_run_in_the_warehouse(text: str, places: Places) -> None:
    assert found(text, places) == "cargo-1"


def test_a_beginning_that_fits_several_runs_is_not_guessed(places: Places) -> None:
    with pytest.raises(AmbiguousRunError, match="fits 3 runs"):
        found("0198c5c6", places)


@pytest.mark.parametrize("text", ["nope", "019", "", "%", "cargo-1:ffff"])
def test_no_run_says_where_to_look(text: str, places: Places) -> None:
    command = re.escape(f"see `retrospan runs -w {places.warehouse}`")
    with pytest.raises(ResolveError, match=command):
        found(text, places)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("cagro-1", "'cargo-1'"),
        ("CARGO-1", "'cargo-1'"),
        ("cargo-", "'cargo-1'"),
        ("review", "'review-0' or 'review-2'"),
        ("review-1", "'review-0' or 'review-2'"),
        ("reveiw-2", "'review-2' or 'review-0'"),
    ],
)
def test_a_name_that_was_mistyped_is_told(text: str, meant: str, places: Places) -> None:
    with pytest.raises(ResolveError, match=rf"; did you mean {meant}\?$"):
        found(text, places)


def test_a_namespace_narrows(places: Places) -> None:
    with pytest.raises(ResolveError, match=r"in namespace other; there is one in default$"):
        found("cargo-1", Places(places.warehouse, namespace="other"))


def test_without_file_and_warehouse_the_choices_are_named(nowhere: Places) -> None:
    with pytest.raises(ResolveError, match="name a history file, pass --address"):
        found("review-1", nowhere)


def test_a_damaged_file_is_its_own_error(folder: Path, nowhere: Places) -> None:
    with pytest.raises(HistoryError, match=r"broken\.json"):
        found(folder / "broken.json", nowhere)


def test_the_warehouse_gives_the_recorded_bytes_back(tmp_path: Path, history_file: Path) -> None:
    places = Places(tmp_path / "w.duckdb")
    main(["import", str(history_file), "--warehouse", str(places.warehouse)])

    assert resolve_run("review-1", places).raw == history_file.read_bytes()
    assert resolve_run(RUN_ID, places).key.run_id == RUN_ID


names = st.text(alphabet="ab:/0-", min_size=1, max_size=6)
keys = st.lists(st.builds(RunKey, names, names, names), max_size=6)


@given(keys, names)
def test_an_exact_name_wins_over_a_beginning(known: list[RunKey], selector: str) -> None:
    matches = matching(selector, known)

    exact = [
        key
        for key in known
        if selector in (key.workflow_id, key.run_id, f"{key.workflow_id}:{key.run_id}", str(key))
    ]
    assert set(matches) == set(exact) or not exact
    assert len(matches) == len(set(matches))


@given(keys)
def test_a_full_name_always_leads_to_its_run(known: list[RunKey]) -> None:
    for key in known:
        assert key in matching(str(key), known)
