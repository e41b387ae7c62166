"""`retrospan report`: one run, or many, as a page for a browser, a printer or a ticket."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analytics.files import write_whole
from analytics.questions import Scope
from replayer.history import CodecServer
from tui import figures
from tui.cli.decoding import decoded
from tui.cli.diagnostics import say
from tui.cli.options import address_option, codec_option, json_option, warehouse_option
from tui.cli.scope import scope_options
from tui.cli.tables import write_json
from tui.resolve import Places, resolve_run

if TYPE_CHECKING:
    from analytics.reports import Page

_FILE = click.Path(path_type=Path, dir_okay=False, writable=True)


@click.command("report")
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--out", "-o", metavar="FILE.html", type=_FILE, help="Write the page here.")
@click.option(
    "--png",
    metavar="FILE.png",
    type=_FILE,
    help="Write a picture of the top of the page, for chats and tickets; needs Chromium.",
)
@click.option("--dark", is_flag=True, help="Draw the picture for a dark background.")
@scope_options("runs that started", namespace="Only this namespace; the one to look in.")
@json_option()
@warehouse_option()
@address_option()
@codec_option()
def command(
    run: str | None,
    out: Path | None,
    png: Path | None,
    dark: bool,
    scope: Scope,
    as_json: bool,
    warehouse: Path,
    address: str | None,
    codec: CodecServer | None,
) -> None:
    """Write a page about one run, or about all runs of a warehouse.

    With RUN, named as for `show`: where its time and money went, attempt by attempt, what failed
    and why, what it decided, what it waits for. Without: cost, failures, latency, waits, retries
    and limits of the runs that --since, --until, --type, --tenant and --namespace choose.

    The page is one file that needs no network. It can be read on a phone and printed.
    """
    if out is None and png is None:
        raise click.UsageError("name what to write: --out FILE.html, --png FILE.png, or both")
    if run is not None and scope != Scope(namespace=scope.namespace):
        raise click.UsageError("--since, --until, --type and --tenant choose runs; RUN names one")
    places = Places(warehouse, address, scope.namespace)
    if run is not None:
        page = _page_of_run(run, places, codec)
    elif address is not None or codec is not None:
        raise click.UsageError("--address and --codec-server go with RUN")
    else:
        page = _page_of_all(warehouse, scope)
    for path in _write(page, out, png, is_dark=dark):
        _tell(path, page, as_json=as_json)


def _page_of_run(text: str, places: Places, codec: CodecServer | None) -> Page:
    from analytics.reports import RunFacts, facts_in, run_report
    from tracer.model import run_from_events

    history = decoded(resolve_run(text, places), codec, "read")
    run = run_from_events(history.key, history.events)
    if places.address is None and places.warehouse.exists():
        return run_report(facts_in(places.warehouse, run, history.origin.uri))
    return run_report(RunFacts(run, history.origin.uri))


def _page_of_all(warehouse: Path, scope: Scope) -> Page:
    from analytics.reports import fleet_report

    return fleet_report(warehouse, scope)


def _write(page: Page, out: Path | None, png: Path | None, *, is_dark: bool) -> list[Path]:
    """Write what was asked for; the page goes first, and stays if there is no browser."""
    from analytics.reports import html_of, screenshot

    html = html_of(page, datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")).encode()
    written = []
    if out is not None:
        write_whole(out, html)
        written.append(out)
    if png is not None:
        with tempfile.TemporaryDirectory(prefix="retrospan-") as folder:
            page_file = Path(folder) / "report.html"
            page_file.write_bytes(html)
            screenshot(page_file, png, dark=is_dark)
        written.append(png)
    return written


def _tell(path: Path, page: Page, *, as_json: bool) -> None:
    n_bytes = path.stat().st_size
    if as_json:
        write_json({"path": str(path), "bytes": n_bytes, "kind": page.kind, **page.counts})
        return
    about = ", ".join(figures.counted(n, name.removesuffix("s")) for name, n in page.counts.items())
    say(f"wrote {path}: {about}; {figures.size(n_bytes)}")
