"""What answers a step that the recording cannot: a stub file, real activities, or nobody.

A stub file is JSON or Python. JSON is an object from step name to answer, an answer is
`{"result": …}` or `{"failure": {"type": …, "message": …}}`, and a list of answers is used one after
the other, the last one again. Python is a module with `STUBS`, a dict of the same shape in which an
answer may also be a function that gets the step's arguments and returns or raises.
"""

from __future__ import annotations

import json
import runpy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.exceptions import ApplicationError

from replayer.fork.errors import ForkError

__all__ = ["StubAnswer", "Stubs", "load_stubs"]

_MAX_STUB_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StubAnswer:
    """What to answer."""

    result: Any = None
    failure: ApplicationError | None = None
    """Set where the step is to fail, for good."""


class Stubs:
    """Answers by step name."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers
        self._used = Counter[str]()

    def __contains__(self, name: str) -> bool:
        return name in self._answers

    def answer(self, name: str, arguments: Callable[[], Sequence[Any]]) -> StubAnswer:
        """The next answer for a step.

        Args:
            name: One that the file has.
            arguments: Gives the step's arguments, for answers that are functions.
        """
        answers = self._answers[name]
        if isinstance(answers, list):
            answers = answers[min(self._used[name], len(answers) - 1)]
        self._used[name] += 1
        if callable(answers):
            return _called(answers, arguments())
        if "failure" in answers:
            return StubAnswer(failure=_failure(answers["failure"]))
        return StubAnswer(answers["result"])


def load_stubs(path: Path) -> Stubs:
    """Read a stub file. A Python file is run.

    Raises:
        ForkError: It cannot be read, or an answer has no known form.
    """
    answers = _python(path) if path.suffix == ".py" else _json(path)
    if not isinstance(answers, dict) or not all(isinstance(name, str) for name in answers):
        raise ForkError(f"{path}: expected an object from step name to answer")
    for name, answer in answers.items():
        if answer == [] or not all(map(_is_answer, _listed(answer))):
            raise ForkError(
                f'{path}: the answer of {name!r} is none: expected {{"result": …}}, '
                '{"failure": {"type": …, "message": …}}, or a list of those'
            )
    return Stubs(answers)


def _listed(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else [answer]


def _is_answer(answer: Any) -> bool:
    if callable(answer):
        return True
    if not isinstance(answer, dict) or len(answer) != 1:
        return False
    failure = answer.get("failure", {})
    return "result" in answer or (
        "failure" in answer
        and isinstance(failure, dict)
        and isinstance(failure.get("type"), str)
        and isinstance(failure.get("message", ""), str)
    )


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_STUB_BYTES:
            raise ForkError(f"{path} is larger than {_MAX_STUB_BYTES >> 20} MiB: not a stub file")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ForkError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ForkError(f"{path} is not JSON: {error}") from None


def _python(path: Path) -> Any:
    try:
        found = runpy.run_path(str(path))
    except Exception as error:
        raise ForkError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    if "STUBS" not in found:
        raise ForkError(f"{path} defines no STUBS: expected a dict from step name to answer")
    return found["STUBS"]


def _called(function: Callable[..., Any], arguments: Sequence[Any]) -> StubAnswer:
    try:
        return StubAnswer(function(*arguments))
    except ApplicationError as error:
        return StubAnswer(failure=error)
    except Exception as error:  # noqa: BLE001 - what a stub raises is its answer
        return StubAnswer(failure=ApplicationError(str(error), type=type(error).__name__))


def _failure(failure: Mapping[str, Any]) -> ApplicationError:
    message = failure.get("message") or "stubbed failure"
    return ApplicationError(message, type=failure["type"], non_retryable=True)
