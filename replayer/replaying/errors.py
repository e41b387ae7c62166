"""What can go wrong around a replay; how the replay itself went is a value, not an exception.

ReplayingError       base: one printable line each
├── LoadError        the workflow or profile that was named cannot be had
└── ChildError       a child process gave no answer
    ├── ChildTimedOut    it was ended at its time limit
    ├── ChildOutOfMemory it hit its memory limit
    └── ChildCrashed     it ended by itself
"""

from __future__ import annotations

__all__ = [
    "ChildCrashed",
    "ChildError",
    "ChildOutOfMemory",
    "ChildTimedOut",
    "LoadError",
    "ReplayingError",
]


class ReplayingError(Exception):
    """Something around a replay went wrong; the message is one printable line."""

    def __init__(self, message: str) -> None:
        """Escape what is not printable: names and errors of user code come from outside."""
        # Here, because its package brings the SDK along, which most children do not need.
        from replayer.history.errors import one_line

        super().__init__(one_line(message.strip()))


class LoadError(ReplayingError):
    """A workflow or a profile cannot be loaded."""


class ChildError(ReplayingError):
    """A child process gave no answer.

    Attributes:
        talk: The end of what it wrote to stderr, the stacks of its threads included where it was
            ended at its time limit.
    """

    def __init__(self, message: str, talk: str = "") -> None:
        super().__init__(message)
        self.talk = talk

    def __reduce__(self) -> tuple[type[ChildError], tuple[str, str]]:
        """Cross process borders whole."""
        return type(self), (str(self), self.talk)


class ChildTimedOut(ChildError):
    """It did not answer within its time limit, and was ended."""


class ChildOutOfMemory(ChildError):
    """It hit its memory limit."""


class ChildCrashed(ChildError):
    """It ended by itself, such as by a signal or by `os._exit`."""
