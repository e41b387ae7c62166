"""The HTML page of a comparison, opened in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replayer.alignment import Comparison, Side, compare
from tests.replayer.align_stories import RUN_B, Story
from tests.tui.browser import Opened, open_page
from tests.tui.histories import HOSTILE
from tui.diff.page import diff_page

pytestmark = pytest.mark.slow

_EVIL = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "<style>*{display:none}</style><base href=//evil.example><form action=//evil.example>"
    '" onmouseover="document.title=\'owned\'" x="{{ 7 * 7 }} \' --> ]]> \ud800' + HOSTILE
)


def comparison(rows: int = 6) -> Comparison:
    ours, theirs = Story(), Story(run_id=RUN_B)
    for number in range(rows):
        ours.step(f"step {number}", json.dumps({"n": number}))
        changed = number % 5 == 3
        theirs.step(f"step {number}", json.dumps({"n": -number if changed else number}))
    theirs.step("one more")
    return compare(Side(ours.end()), Side(theirs.end()))


def hostile() -> Comparison:
    ours, theirs = Story(input=json.dumps(_EVIL)), Story(run_id=RUN_B, input='"plain"')
    clean = _EVIL.encode(errors="replace").decode()
    ours.step(clean, json.dumps({_EVIL: _EVIL}), failed=clean)
    theirs.step(clean, json.dumps({_EVIL: f"{_EVIL} and more {_EVIL}"}), failed=f"{clean}!")
    theirs.signal(clean, json.dumps(_EVIL))
    return compare(Side(ours.end()), Side(theirs.end(json.dumps(_EVIL))))


def opened(found: Comparison, folder: Path) -> Opened:
    page = folder / "diff.html"
    page.write_text(diff_page(found), encoding="utf-8")
    return open_page(page, folder / "profile")


def test_it_opens_with_a_clean_console_and_its_script_runs(tmp_path: Path) -> None:
    page = opened(comparison(), tmp_path)
    assert page.console == []
    assert "9 of 9 rows" in page.dom
    assert "They part at step 4, activity step 3" in page.dom


def test_payloads_are_text_and_nothing_else(tmp_path: Path) -> None:
    page = opened(hostile(), tmp_path)
    assert page.console == []
    names = [name for name, _ in page.elements()]
    assert names.count("script") == 1
    assert names.count("style") == 1
    assert not {"img", "base", "form", "iframe", "object", "link"} & set(names)
    assert not any(key.startswith("on") for _, attributes in page.elements() for key in attributes)
    assert "owned</title>" not in page.dom
    assert "49" not in page.dom
    assert "\x1b" not in page.dom
    assert "\u202e" not in page.dom


def test_it_refers_to_nothing_outside(tmp_path: Path) -> None:
    page = opened(comparison(), tmp_path)
    links = [
        value
        for _, attributes in page.elements()
        for key, value in attributes.items()
        if key in ("src", "href", "action", "srcset", "data", "poster")
    ]
    assert links == []


_HARNESS = """<!doctype html><iframe src="diff.html" style="width:1200px;height:800px"></iframe>
<pre id="log"></pre><script>
const frame = document.querySelector("iframe"), log = [];
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
frame.onload = async () => {
  const page = frame.contentDocument, view = frame.contentWindow;
  const key = (name) => (page.activeElement || page.body).dispatchEvent(
    new view.KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  const rows = () => page.querySelectorAll(".row:not([hidden])").length;
  const here = () => page.activeElement.closest(".row")?.id;
  log.push(["at first", rows()]);
  key("d"); log.push(["d", here()]);
  key("n"); log.push(["n", here()]);
  key("p"); log.push(["p", here()]);
  key("o"); log.push(["open", page.querySelectorAll(".row[open]").length]);
  key("c"); log.push(["closed", page.querySelectorAll(".row[open]").length]);
  key("/"); log.push(["/", page.activeElement.id]);
  const find = page.getElementById("find");
  find.value = "one more";
  find.dispatchEvent(new view.Event("input"));
  await pause(300);
  log.push(["found", rows()]);
  document.getElementById("log").textContent = JSON.stringify(log);
};
</script>"""


def test_thousands_of_rows_are_filtered_and_walked_by_key(tmp_path: Path) -> None:
    (tmp_path / "diff.html").write_text(diff_page(comparison(5_000)), encoding="utf-8")
    harness = tmp_path / "harness.html"
    harness.write_text(_HARNESS)
    # Files are strangers to each other otherwise.
    page = open_page(harness, tmp_path / "profile", "--allow-file-access-from-files")
    assert page.console == []
    log = page.dom.partition('id="log">')[2].partition("</pre>")[0]
    assert json.loads(log) == [
        ["at first", 1001],
        ["d", "row-4"],
        ["n", "row-9"],
        ["p", "row-4"],
        ["open", 1001],
        ["closed", 0],
        ["/", "find"],
        ["found", 1],
    ]
