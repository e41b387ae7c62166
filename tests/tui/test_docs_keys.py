"""docs/tui.md names every key that a screen has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.screen import Screen

from tests.tui.test_app_hostile import CASES
from tui.app import RetrospanApp
from tui.app.help_screen import shown_key
from tui.replay.commands import RUNS_VERBS, VERBS

DOCS = (Path(__file__).parents[2] / "docs" / "tui.md").read_text()
NAMED = {word for span in re.findall(r"`([^`\n]+)`", DOCS) for word in span.split()}
SYMBOLS = {
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "left_parenthesis": "(",
    "right_parenthesis": ")",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "vertical_line": "|",
    "exclamation_mark": "!",
    "dollar_sign": "$",
}


def keys_of(screen: type[Any]) -> set[str]:
    bindings = [each for each in screen.BINDINGS if isinstance(each, Binding)]
    single = [key for each in bindings for key in Binding.make_bindings([each])]
    return {SYMBOLS.get(each.key, shown_key(each)) for each in single}


@pytest.mark.parametrize("screen", [*CASES, RetrospanApp], ids=lambda screen: screen.__name__)
def test_every_key_is_named(screen: type[Screen[Any]]) -> None:
    assert keys_of(screen) - NAMED == set()


def test_every_verb_is_named() -> None:
    missing = {verb for verb in {*VERBS, *RUNS_VERBS} if not re.search(rf"`:{verb}\b", DOCS)}
    assert missing == set()
