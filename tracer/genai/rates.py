"""What a million tokens of each class cost, and from that what a call did.

Price lists and price files come down to rates; the arithmetic of a bill is here alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tracer.genai.usage import ModelUsage

__all__ = ["Rates"]

_MILLION: Final = 1_000_000
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """US dollars for a million tokens; `None` for a class without a price of its own."""

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    """Else as `input`."""
    cache_write: Decimal | None = None
    """Else as `input`."""
    cache_write_1h: Decimal | None = None
    """Kept for an hour; else as `cache_write`."""
    reasoning: Decimal | None = None
    """Else as `output`."""

    def parts(self, usage: ModelUsage) -> tuple[Decimal, Decimal, Decimal, Decimal] | None:
        """The cost of a call: input outside any cache, cache read, cache write, output.

        `None` if a class that was used has no price, or if a part is larger than its whole: nobody
        can tell what was billed.
        """
        if not self._cover(usage):
            return None
        read, write = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        hour, reasoning = usage.cache_write_1h_tokens or 0, usage.reasoning_tokens or 0
        fresh = (usage.input_tokens or 0) - read - write
        visible = (usage.output_tokens or 0) - reasoning
        if fresh < 0 or write < hour or visible < 0:
            return None
        kept = self.input if self.cache_write is None else self.cache_write
        return (
            _usd(fresh, self.input),
            _usd(read, self.cache_read, self.input),
            _usd(write - hour, kept) + _usd(hour, self.cache_write_1h, kept),
            _usd(visible, self.output) + _usd(reasoning, self.reasoning, self.output),
        )

    def _cover(self, usage: ModelUsage) -> bool:
        if self.input is None:
            return self.output is not None and not usage.input_tokens
        return self.output is not None or not usage.output_tokens


def _usd(tokens: int, price: Decimal | None, otherwise: Decimal | None = None) -> Decimal:
    rate = otherwise if price is None else price
    return tokens * rate / _MILLION if tokens and rate is not None else _NOTHING
