"""Explanations as text for a terminal or a test report, as wide as the reader's window.

Ids, names and source come from outside; whoever prints the text makes it safe first.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from replayer.check.model import Command, Explanation, Finding, Frame, Verdict

__all__ = ["explanation_text", "finding_text", "verdict_text"]

WIDTH = 80
_INDENT = "  "
_STACK = 6
"""Frames that are shown; the outermost are left out."""


def verdict_text(verdict: Verdict, width: int = WIDTH) -> str:
    """A verdict that is a problem: which run, and everything known of it. Several lines."""
    lines = [f"{verdict.workflow_type} {verdict.key.workflow_id}:{verdict.key.run_id}"]
    lines += _folded(verdict.uri, width, _INDENT)
    if verdict.explanation is not None:
        lines += [_INDENT + line for line in _explanation(verdict.explanation, width - 2)]
    for finding in verdict.findings:
        lines += [_INDENT + line for line in _finding(finding, width - 2)]
    return "\n".join(line.rstrip() for line in lines)


def explanation_text(explanation: Explanation, width: int = WIDTH) -> str:
    """An explanation alone."""
    return "\n".join(line.rstrip() for line in _explanation(explanation, width))


def finding_text(finding: Finding, width: int = WIDTH) -> str:
    """A finding of a strict check alone."""
    return "\n".join(line.rstrip() for line in _finding(finding, width))


def _explanation(explanation: Explanation, width: int) -> Iterator[str]:
    yield from _folded(f"{explanation.kind.value}: {explanation.summary}", width)
    if explanation.expected is not None:
        yield ""
        yield from _side_by_side(explanation, width)
    if explanation.stack:
        yield ""
        yield from _stack(explanation.stack, width)
    if explanation.matched:
        yield ""
        yield "agreed until here:"
        for command in explanation.matched:
            yield from _folded(_with_event(command), width, _INDENT)
    if explanation.suggestion:
        yield ""
        yield from _folded(f"to do: {explanation.suggestion}", width)
    if explanation.sdk and explanation.sdk not in explanation.summary:
        yield ""
        yield from _folded(f"the SDK says: {explanation.sdk}", width)


def _side_by_side(explanation: Explanation, width: int) -> Iterator[str]:
    """The recorded command and the one of the code, in two columns."""
    column = (width - 3) // 2
    recorded = explanation.expected
    assert recorded is not None
    left = _column(f"history, event {recorded.event_id}", recorded, column)
    right = _column("code", explanation.produced, column)
    for index in range(max(len(left), len(right))):
        one = left[index] if index < len(left) else ""
        other = right[index] if index < len(right) else ""
        yield f"{one:<{column}} │ {other}"


def _column(title: str, command: Command | None, width: int) -> list[str]:
    if command is None:
        return [title, "nothing"]
    lines = [title, f"{command.kind.value} {command.name}".rstrip()]
    if command.id:
        lines.append(f"id {command.id}")
    if command.note:
        lines.append(f'"{command.note}"')
    return [part for line in lines for part in _folded(line, width)]


def _stack(stack: tuple[Frame, ...], width: int) -> Iterator[str]:
    """The innermost place first: it is what a reader looks for."""
    own = [frame for frame in stack if frame.is_workflow_code] or list(stack)
    word = "at"
    for frame in list(reversed(own))[:_STACK]:
        where = f"{word} {_relative(frame.file)}:{frame.line} in {frame.function}"
        yield from _folded(where, width)
        if frame.text:
            yield _cut(f"{_INDENT * 2}{frame.text}", width)
        word = "from"
    if len(own) > _STACK:
        yield f"and {len(own) - _STACK} more"


def _finding(finding: Finding, width: int) -> Iterator[str]:
    yield from _folded(f"{finding.kind.value}: {finding.field} of {_of(finding)}", width)
    yield from _folded(f"recorded  {finding.recorded}", width, _INDENT)
    yield from _folded(f"now       {finding.now}", width, _INDENT)
    place = finding.command.place
    if place is not None:
        at = f"at {_relative(place.file)}:{place.line} in {place.function}"
        yield from _folded(at, width, _INDENT)
        if place.text:
            yield _cut(f"{_INDENT * 3}{place.text}", width)


def _of(finding: Finding) -> str:
    return f"{finding.command.text}, event {finding.command.event_id}"


def _with_event(command: Command) -> str:
    return f"event {command.event_id}  {command.text}"


def _relative(file: str) -> str:
    """The path from here where it is below here: shorter, and a terminal can open it."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file


def _folded(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        max(width, 20),
        initial_indent=indent,
        subsequent_indent=f"{indent}{_INDENT}" if indent else "",
        break_on_hyphens=False,
    ) or [""]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
