"""Many short texts in one, so that one search looks through all of them.

A million names take as long as a key press may; asked one by one they would take ten times that.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

_BETWEEN = "\n"


class Haystack:
    """Texts to look for others in, without regard to case."""

    def __init__(self, texts: Iterable[str]) -> None:
        lowered = [text.replace(_BETWEEN, " ").lower() for text in texts]
        self._all = _BETWEEN.join(lowered)
        self._starts = array("q", accumulate((len(text) + 1 for text in lowered), initial=0))

    def __len__(self) -> int:
        """How many texts there are."""
        return len(self._starts) - 1

    def after(self, index: int, needle: str) -> int | None:
        """The first text after the one at `index` that has the needle; -1 asks for the first."""
        at = self._all.find(_lowered(needle), self._starts[index + 1])
        return None if at < 0 else self._text_at(at)

    def before(self, index: int, needle: str) -> int | None:
        """The last text before the one at `index` that has the needle."""
        at = self._all.rfind(_lowered(needle), 0, max(0, self._starts[index] - 1))
        return None if at < 0 else self._text_at(at)

    def having(self, needle: str) -> Iterator[int]:
        """Every text that has the needle, ascending."""
        found = self.after(-1, needle)
        while found is not None:
            yield found
            found = self.after(found, needle)

    def _text_at(self, at: int) -> int:
        return bisect_right(self._starts, at) - 1


def _lowered(needle: str) -> str:
    return needle.replace(_BETWEEN, " ").lower()
