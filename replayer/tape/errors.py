"""What can go wrong with a tape, always as one printable line."""

from __future__ import annotations

from replayer.history.errors import one_line

__all__ = ["TapeError"]


class TapeError(Exception):
    """A tape that cannot be read or written: `path: reason`."""

    def __init__(self, path: str, reason: str) -> None:
        """Escape and join both parts; they stay readable as `path` and `reason`."""
        self.path = one_line(path)
        self.reason = one_line(reason)
        super().__init__(f"{self.path}: {self.reason}")

    def __reduce__(self) -> tuple[type[TapeError], tuple[str, str]]:
        """Cross process borders whole: exceptions are otherwise rebuilt from their message."""
        return type(self), (self.path, self.reason)
