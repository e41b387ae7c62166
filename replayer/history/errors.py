"""What can go wrong when a history is read, always as one printable line.

HistoryError                 the bytes are not a history that can be trusted
└── HistoryUnavailable       the bytes could not be had: no such file, no such run, no connection

A message names the file or member, the place in it, what was found and what was expected. File
names and values come from outside, so everything that is not printable is escaped here: a message
can neither start a second line nor reach a terminal as a control sequence.
"""

from __future__ import annotations

__all__ = ["HistoryError", "HistoryUnavailable", "Malformed", "one_line", "shown"]

_SHOWN_CHARACTERS = 60
_REASON_CHARACTERS = 600
_PATH_CHARACTERS = 240


class HistoryError(Exception):
    """A history that cannot be read: `uri: reason`, on one line."""

    def __init__(self, uri: str, reason: str) -> None:
        """Escape and join both parts; they stay readable as `uri` and `reason`."""
        self.uri = one_line(uri)
        self.reason = one_line(_cut(reason, _REASON_CHARACTERS))
        super().__init__(f"{self.uri}: {self.reason}")

    def __reduce__(self) -> tuple[type[HistoryError], tuple[str, str]]:
        """Cross process borders whole: exceptions are otherwise rebuilt from their message."""
        return type(self), (self.uri, self.reason)


class HistoryUnavailable(HistoryError):
    """Nothing was read at all: the file, the run or the server is not there."""


class Malformed(Exception):
    """A value that does not fit, while it is still unknown in which event of which file.

    Every level on the way out prepends its own name, so that the finished path reads
    `activityTaskScheduledEventAttributes.input.payloads[0].data`.
    """

    def __init__(self, reason: str) -> None:
        """Start with an empty path: the place is the caller's to say."""
        self.reason = reason
        self._path = ""
        super().__init__(reason)

    def inside(self, name: str | int) -> Malformed:
        """Say that the value was the field, map entry or list item `name`."""
        step = f"[{name}]" if isinstance(name, int) else name
        self._path = f"{step}{'' if self._path[:1] in ('', '[') else '.'}{self._path}"
        return self

    def __str__(self) -> str:
        """`path reason`, or the reason alone at the top."""
        path = self._path
        if len(path) > _PATH_CHARACTERS:
            half = _PATH_CHARACTERS // 2
            path = f"{path[:half]}…{path[-half:]}"
        return f"{path} {self.reason}".strip()


def one_line(text: str) -> str:
    """The text with everything unprintable escaped as Python would write it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown(value: object) -> str:
    """A short, printable form of a value that a message quotes."""
    if isinstance(value, dict):
        return f"an object with {len(value)} keys"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return repr(_cut(value, _SHOWN_CHARACTERS))
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return str(value)[:_SHOWN_CHARACTERS]


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
