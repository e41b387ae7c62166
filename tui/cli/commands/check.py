"""`retrospan check`: would this code go on with those runs?"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from analytics.files import require_folder, write_whole
from replayer.check import CheckOptions, Verdict, VerdictStatus, check_many, junit_xml, verdict_text
from replayer.history import Rejected, RunHistory, read_histories
from replayer.replaying import Limits
from tui import figures
from tui.cli.diagnostics import CommandError, say, warn
from tui.cli.exits import Exit
from tui.cli.options import address_option, json_option, namespace_option, warehouse_option
from tui.cli.replay_options import profile_option, timeout_option, workflow_option
from tui.cli.tables import write_json, write_line
from tui.export_files import Outcome, Skipped, Target, fetched, listed, named
from tui.resolve import Places, resolve_run
from tui.servers import connect
from tui.text import safe_text

_FETCHED_AT_ONCE = 8


@dataclass(slots=True)
class Result:
    """What was checked."""

    verdicts: list[Verdict] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    """What could not be read: where, and why."""

    def count(self, status: VerdictStatus) -> int:
        """How many verdicts came out so."""
        return sum(verdict.status is status for verdict in self.verdicts)


@click.command("check")
@click.argument("sources", nargs=-1, metavar="[SRC]...")
@workflow_option()
@profile_option()
@click.option("--strict", is_flag=True, help="Compare arguments, timeouts and results, too.")
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1, 256),
    default=lambda: os.cpu_count() or 1,
    show_default="one for each core",
    help="Replay so many runs at once.",
)
@timeout_option()
@click.option(
    "--junit",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write JUnit XML for continuous integration.",
)
@address_option()
@namespace_option("Of the server; of runs in files, where nothing says it.")
@warehouse_option()
@click.option("--query", "-q", metavar="FILTER", help="A visibility query: runs of a server.")
@click.option("--sample", type=click.IntRange(min=1), help="Check so many runs, chosen at random.")
@json_option()
def command(
    sources: tuple[str, ...],
    workflows: tuple[str, ...],
    profile: str | None,
    strict: bool,
    jobs: int,
    timeout: float,
    junit: Path | None,
    address: str | None,
    namespace: str | None,
    warehouse: Path,
    query: str | None,
    sample: int | None,
    as_json: bool,
) -> int:
    """Replay recorded runs with the code of today, and explain those that do not replay.

    SRC are history files, folders and archives, and runs in the warehouse; with --address they are
    WORKFLOW_ID[:RUN_ID] on that server, or none for all that --query finds. Exit code 1 when a run
    does not replay, or when --strict finds a difference.
    """
    if not sources and address is None and query is None:
        raise click.UsageError("name histories to check, or a server with --address HOST:PORT")
    if sources and query:
        raise click.UsageError("name runs or give a --query, not both")
    if junit is not None:
        require_folder(junit)
    options = CheckOptions(workflows, profile, strict, Limits(seconds=timeout))
    result = Result()
    if address is None and query is None:
        found: Iterable[RunHistory | Rejected] = _local(sources, warehouse, namespace)
    else:
        found = _Server(address, namespace, sources, query, sample).histories()
    if sample is not None:
        found = _sampled(found, sample)
    for verdict in check_many(_readable(found, result), options, jobs=jobs):
        result.verdicts.append(verdict)
        _show(verdict, as_json=as_json)
    if junit is not None:
        write_whole(junit, junit_xml(result.verdicts, result.rejected))
    return _summed_up(result)


def _local(
    sources: tuple[str, ...], warehouse: Path, namespace: str | None
) -> Iterator[RunHistory | Rejected]:
    for source in sources:
        if source == "-" or Path(source).exists():
            yield from read_histories([source], namespace=namespace)
        else:
            yield resolve_run(source, Places(warehouse, None, namespace))


def _readable(found: Iterable[RunHistory | Rejected], result: Result) -> Iterator[RunHistory]:
    seen = set()
    for each in found:
        if isinstance(each, Rejected):
            if not each.is_notice:
                warn(str(each.error))
                result.rejected.append((each.uri, str(each.error)))
        elif each.key not in seen:
            seen.add(each.key)
            yield each


def _sampled(found: Iterable[RunHistory | Rejected], size: int) -> Iterator[RunHistory | Rejected]:
    """Some of the runs, each with the same chance; what cannot be read is always told."""
    chosen: list[RunHistory] = []
    seen = 0
    for each in found:
        if isinstance(each, Rejected):
            yield each
            continue
        seen += 1
        if len(chosen) < size:
            chosen.append(each)
        elif (place := random.randrange(seen)) < size:
            chosen[place] = each
    yield from chosen


@dataclass(frozen=True, slots=True)
class _Server:
    """Runs of a server, and how to find them."""

    address: str | None
    namespace: str | None
    ids: tuple[str, ...]
    query: str | None
    sample: int | None

    def histories(self) -> Iterator[RunHistory | Rejected]:
        """Fetch them as they are needed: a namespace may have more than memory holds."""
        loop = asyncio.new_event_loop()
        outcomes = self._fetched()
        try:
            while True:
                try:
                    outcome = loop.run_until_complete(anext(outcomes))
                except StopAsyncIteration:
                    return
                if not isinstance(outcome, Skipped):
                    yield outcome
        finally:
            loop.run_until_complete(outcomes.aclose())
            loop.close()

    async def _fetched(self) -> AsyncGenerator[Outcome]:
        client = await connect(self.address, self.namespace)
        targets = named(client, self.ids) if self.ids else listed(client, self.query, None)
        if self.sample is not None and not self.ids:
            targets = _some(targets, self.sample)
        outcomes = fetched(
            client, targets, is_complete=lambda _: False, concurrency=_FETCHED_AT_ONCE
        )
        async with aclosing(outcomes):
            async for outcome in outcomes:
                yield outcome


async def _some(targets: AsyncIterator[Target], size: int) -> AsyncIterator[Target]:
    """Choose before fetching: a history is much more than its key."""
    known = [target async for target in targets]
    for target in random.sample(known, min(size, len(known))):
        yield target


def _show(verdict: Verdict, *, as_json: bool) -> None:
    if as_json:
        write_json(_row(verdict))
        return
    words = "differs" if verdict.findings else verdict.status.value
    mark = {"ok": "ok     ", "stuck": "stuck  ", "failed": "FAILED ", "differs": "DIFFERS"}[words]
    if not verdict.is_problem:
        name = f"{verdict.workflow_type} {verdict.key.workflow_id}:{verdict.key.run_id}"
        write_line(safe_text(f"{mark}  {name}"))
        if verdict.explanation is not None:
            write_line(safe_text(f"         {verdict.explanation.summary}"))
        return
    width = shutil.get_terminal_size().columns - 9
    text = safe_text(verdict_text(verdict, max(width, 40)), multiline=True)
    first, *rest = text.splitlines()
    write_line(f"{mark}  {first}")
    for line in rest:
        write_line(f"         {line}".rstrip())
    write_line()


def _row(verdict: Verdict) -> dict[str, Any]:
    explanation = asdict(verdict.explanation) if verdict.explanation is not None else None
    return {
        "namespace": verdict.key.namespace,
        "workflow_id": verdict.key.workflow_id,
        "run_id": verdict.key.run_id,
        "workflow_type": verdict.workflow_type,
        "uri": verdict.uri,
        "status": verdict.status.value,
        "events": verdict.events,
        "commands": verdict.commands,
        "seconds": round(verdict.seconds, 3),
        "explanation": explanation,
        "findings": [asdict(finding) for finding in verdict.findings],
    }


def _summed_up(result: Result) -> int:
    failed = result.count(VerdictStatus.FAILED)
    differing = sum(
        bool(verdict.findings) and verdict.status is not VerdictStatus.FAILED
        for verdict in result.verdicts
    )
    parts = [f"{figures.counted(len(result.verdicts), 'run')} checked", f"{failed:,} failed"]
    if differing:
        parts.append(f"{differing:,} differ")
    if stuck := result.count(VerdictStatus.STUCK):
        parts.append(f"{stuck:,} stuck as recorded")
    if result.rejected:
        parts.append(f"{len(result.rejected):,} not read")
    if not result.verdicts:
        if result.rejected:
            raise CommandError("no history could be read", Exit.REFUSED)
        raise CommandError("there is no run to check", Exit.UNREACHABLE)
    say("; ".join(parts))
    return Exit.FOUND if failed or differing or result.rejected else Exit.OK
