"""RUN on the command line, resolved by one function for every command.

A RUN is, in this order:

- with a server: `workflow_id` (its latest run) or `workflow_id:run_id`;
- a file with one run in it: `review.json`;
- a run in a file, folder or archive: `PATH!WHICH`;
- a run in the warehouse: WHICH.

WHICH is `workflow_id`, `run_id`, `workflow_id:run_id`, `namespace/workflow_id:run_id`, or the
beginning of a run id; after `PATH!` also the end of a file's name in there. It must fit exactly one
run: with several the answer is an error that lists them, never a guess.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from replayer.history import HistoryError, Rejected, RunHistory, from_server, read_histories
from tracer.identity import RunKey

_LISTED = 8
_SHORTEST_PREFIX = 4


class ResolveError(Exception):
    """No run answers to that name."""


class AmbiguousRunError(ResolveError):
    """Several runs answer to that name."""

    def __init__(self, text: str, candidates: Iterable[str]) -> None:
        found = list(candidates)
        listed = ", ".join(found[:_LISTED])
        rest = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        super().__init__(f"{text!r} fits {len(found)} runs, name one of them: {listed}{rest}")


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look for runs."""

    warehouse: Path
    """Looked at when RUN is no file; need not exist."""
    address: str | None = None
    """A server; when given, nothing else is looked at."""
    namespace: str | None = None
    """Of the server, of runs in files, and of runs in the warehouse."""


def resolve_run(text: str, places: Places) -> RunHistory:
    """Find the one run that `text` names, and read its history.

    Raises:
        ResolveError: Nothing or more than one thing answers to that name.
        HistoryError: The file that was named cannot be read.
        AnalyticsError: The warehouse cannot be read.
        ServerError: The server cannot be reached.
    """
    if places.address is not None:
        return asyncio.run(_on_server(text, places.address, places.namespace))
    path, selector = _split_path(text)
    if path is not None:
        return _in_files(text, path, selector, places.namespace)
    return _in_warehouse(text, places)


def is_file(text: str) -> bool:
    """Whether a RUN is looked for in a file or folder, and not in the warehouse."""
    return _split_path(text)[0] is not None


def matching(selector: str, keys: Iterable[RunKey]) -> list[RunKey]:
    """The keys that `selector` fits: exactly where any does, else by the beginning of a run id."""
    known = list(dict.fromkeys(keys))
    exact = [key for key in known if selector in _names(key)]
    if exact or len(selector.rpartition(":")[2]) < _SHORTEST_PREFIX:
        return exact
    return [key for key in known if _begins(key, selector)]


def _names(key: RunKey) -> tuple[str, ...]:
    return (key.workflow_id, key.run_id, f"{key.workflow_id}:{key.run_id}", str(key))


def _begins(key: RunKey, selector: str) -> bool:
    """Whether it is the beginning of a run id: that of a workflow id may mean another workflow."""
    named = selector.removeprefix(f"{key.workflow_id}:")
    return key.run_id.startswith(named)


async def _on_server(text: str, address: str, namespace: str | None) -> RunHistory:
    from tui.servers import connect

    client = await connect(address, namespace)
    try:
        # A workflow id may contain a colon itself: the text as a whole is tried first.
        return await from_server(client, text)
    except HistoryError:
        workflow_id, colon, run_id = text.rpartition(":")
        if not colon:
            raise
        return await from_server(client, workflow_id, run_id)


def _split_path(text: str) -> tuple[str | None, str]:
    """`PATH!WHICH` in its two parts; no path where no such file exists."""
    if text == "-" or _is_path(text):
        return text, ""
    path, mark, selector = text.partition("!")
    if mark and _is_path(path):
        return path, selector
    return None, text


def _is_path(text: str) -> bool:
    # An empty text would be the current directory.
    return bool(text) and Path(text).exists()


def _in_files(text: str, path: str, selector: str, namespace: str | None) -> RunHistory:
    problems: list[HistoryError] = []
    found = list(_candidates(path, selector, namespace, problems))
    by_key = {history.key: history for history in found}
    if len(by_key) == 1:
        return next(iter(by_key.values()))
    if by_key:
        raise AmbiguousRunError(text, (f"{path}!{key.workflow_id}:{key.run_id}" for key in by_key))
    if problems and not selector:
        raise problems[0]
    raise ResolveError(f"{path} has no run {selector!r}" if selector else f"{path} has no run")


def _candidates(
    path: str, selector: str, namespace: str | None, problems: list[HistoryError]
) -> Iterator[RunHistory]:
    """Runs that the selector fits; read one by one, so that a big folder needs little memory."""
    for found in read_histories([path], namespace=namespace):
        if isinstance(found, Rejected):
            problems.append(found.error)
        elif not selector or matching(selector, [found.key]) or _ends(found.origin.uri, selector):
            yield found


def _ends(uri: str, selector: str) -> bool:
    """Whether the selector names a member of an archive or a file in a folder."""
    return uri.endswith((f"!{selector}", f"/{selector}", f"#{selector}"))


def _in_warehouse(text: str, places: Places) -> RunHistory:
    from analytics.query import run_query
    from analytics.runs import load_history

    if not places.warehouse.exists():
        raise ResolveError(
            f"{text!r} is no file, and there is no warehouse {places.warehouse}; "
            "name a history file, pass --address HOST:PORT, or import runs first"
        )
    found = run_query(places.warehouse, _NAMED, params={"text": text})
    everywhere = matching(text, [RunKey(*row) for row in found.rows])
    keys = [key for key in everywhere if places.namespace in (None, key.namespace)]
    if len(keys) == 1:
        return load_history(places.warehouse, keys[0])
    if keys:
        raise AmbiguousRunError(text, map(str, keys))
    missing = f"no run in {places.warehouse} answers to {text!r}"
    if everywhere:
        namespaces = ", ".join(sorted({key.namespace for key in everywhere}))
        raise ResolveError(
            f"{missing} in namespace {places.namespace}; there is one in {namespaces}"
        )
    rows = run_query(places.warehouse, _NEAR, params={"text": text}).rows
    near = " or ".join(repr(workflow_id) for (workflow_id,) in rows)
    those_there_are = shlex.join(["retrospan", "runs", "-w", str(places.warehouse)])
    hint = f"did you mean {near}?" if near else f"see `{those_there_are}`"
    raise ResolveError(f"{missing}; {hint}")


_NAMED = """
SELECT namespace, workflow_id, run_id FROM core.runs
WHERE workflow_id = $text
   OR starts_with(run_id, $text)
   OR starts_with(concat(workflow_id, ':', run_id), $text)
   OR concat(namespace, '/', workflow_id, ':', run_id) = $text
ORDER BY started_at DESC
"""
"""A superset of what `matching` lets through."""

_NEAR = """
SELECT workflow_id FROM core.runs
WHERE length($text) >= 3 AND (starts_with(workflow_id, $text)
   OR damerau_levenshtein(lower(workflow_id), lower($text)) <= least(length($text) // 4, 4))
GROUP BY workflow_id
ORDER BY damerau_levenshtein(lower(workflow_id), lower($text)), workflow_id LIMIT 3
"""
"""Workflow ids that were probably meant: those that begin so, and mistyped ones."""
