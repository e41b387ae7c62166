from __future__ import annotations

import importlib

import pytest

from tui.cli.diagnostics import KNOWN, CommandError, Known, code_of, report, say
from tui.cli.exits import Exit


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_every_known_exception_exists_and_has_its_code(known: Known) -> None:
    kind = getattr(importlib.import_module(known.module), known.name)
    error = kind.__new__(kind)

    assert issubclass(kind, Exception)
    assert code_of(error) == known.code


def test_a_foreseen_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(CommandError("a\nb \x1b[2J", Exit.REFUSED)) == Exit.REFUSED
    assert capsys.readouterr().err == "retrospan: error: a␊b ␛[2J\n"


def test_a_missing_file_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(FileNotFoundError(2, "No such file", "x")) == Exit.UNREACHABLE
    assert capsys.readouterr().err == "retrospan: error: x: No such file\n"


def raised(error: Exception) -> Exception:
    """The error with a traceback."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_debugging_shows_where_it_came_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETROSPAN_DEBUG", "1")

    assert report(raised(CommandError("no", Exit.USAGE))) == Exit.USAGE
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "test_diagnostics.py" in err


def test_a_defect_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(raised(ZeroDivisionError("division by zero"))) == Exit.FOUND
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("retrospan: error: this is a defect in Retrospan")


def test_talk_is_sanitized(capsys: pytest.CaptureFixture[str]) -> None:
    say("\x1b]0;title\x07")

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "␛]0;title␇\n")
