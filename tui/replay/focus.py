"""Where the reader is, as a value.

Every pane of a run is a function of one `Focus`; moving means making another. Nothing else on the
screen knows a position, so panes cannot disagree. `Trail` is the way the reader took, like a
browser's back and forward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tracer.identity import RunKey

_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Focus:
    """One place in one run."""

    run: RunKey
    position: int
    """Index among the run's events, from 0. Not an event id: those may have gaps."""
    branch: str = ""
    """Run id of the fork that is shown; empty for the recording itself."""
    line: int | None = None
    """Position on the tape; `None` without one, and where the event shows nowhere in the code."""
    frame: int | None = None
    """The frame whose values are shown; `None` for the innermost."""


@dataclass(frozen=True, slots=True)
class Trail:
    """A focus, and those before and after it."""

    here: Focus
    behind: tuple[Focus, ...] = ()
    """Oldest first."""
    ahead: tuple[Focus, ...] = ()
    """Nearest first."""

    def step(self, focus: Focus) -> Trail:
        """Move on to a neighbour: the way back leads past it, not to it."""
        return replace(self, here=focus)

    def jump(self, focus: Focus) -> Trail:
        """Move far: the way back leads here. What was ahead is forgotten."""
        if focus == self.here:
            return self
        return Trail(focus, (*self.behind, self.here)[-_REMEMBERED:])

    def back(self) -> Trail:
        """Return to where the last jump came from."""
        if not self.behind:
            return self
        return Trail(self.behind[-1], self.behind[:-1], (self.here, *self.ahead))

    def forward(self) -> Trail:
        """Undo `back`."""
        if not self.ahead:
            return self
        return Trail(self.ahead[0], (*self.behind, self.here), self.ahead[1:])
