"""`retrospan demo`: real workflows on a real Temporal, and a printed tour of what they did.

`place` prepares the folder, `stage` starts everything and always stops it, `cast` says what runs,
`tour` reads the results back out of the warehouse. Nothing that the tour prints is known to it
beforehand: every figure is a query's answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tui.cli.exits import Exit

__all__ = ["DemoOptions", "run_demo"]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command was asked."""

    folder: Path = Path("retrospan-demo")
    """Where warehouse, archive and logs go."""
    keep: bool = False
    """Leave Temporal and the collector running until Ctrl-C."""
    address: str | None = None
    """`HOST:PORT` of a Temporal to use instead of an embedded one."""
    otlp: str | None = None
    """A collector that gets all spans and metrics too."""


async def run_demo(options: DemoOptions) -> int:
    """Run the examples, store what they did, and print the tour; the exit code.

    Raises:
        CommandError: The folder holds something else.
        TemporalStartError: Temporal cannot be started.
        AnalyticsError: The warehouse cannot be written.
    """
    from tui.demo.cast import play
    from tui.demo.place import prepare
    from tui.demo.stage import on_stage, stay
    from tui.demo.tour import print_tour

    place = prepare(options.folder)
    async with on_stage(place, options) as stage:
        await stage.store(await play(stage))
        if options.keep:
            print_tour(place)
            await stay(stage)
            return Exit.OK
    print_tour(place)
    return Exit.OK
