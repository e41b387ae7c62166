"""Token usage of one model call, under one accounting rule.

The rule is OpenTelemetry's: input tokens include those read from or written to a cache, output
tokens include those spent on reasoning. Anthropic's API and Google's count otherwise; getting this
wrong bills cached tokens twice or not at all. Whoever reads usage from outside brings it here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

__all__ = ["MAX_TOKENS", "ModelUsage", "service_tier", "token_count"]

MAX_TOKENS: Final = 10**11
"""Above any real count; what a crafted number costs still fits into a column."""


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model call used."""

    model: str = ""
    """The model that answered, empty if not told."""
    provider: str = ""
    """In OpenTelemetry's spelling where there is one; empty if not told."""
    input_tokens: int | None = None
    """All of them, cached ones included; `None` if not reported."""
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    """All of them, for however long they are kept."""
    output_tokens: int | None = None
    """All of them, reasoning included; `None` if not reported."""
    reasoning_tokens: int | None = None
    finish_reason: str = ""
    response_id: str = ""
    service_tier: str = ""
    """`batch`, `flex`, `priority`, `fast`, …, each with prices of its own; empty for the standard
    one and where it is not told."""
    cache_write_1h_tokens: int | None = None
    """Of those written to a cache, what is kept for an hour: some providers bill it higher."""

    @property
    def is_reported(self) -> bool:
        """Whether there is anything to count."""
        return self.input_tokens is not None or self.output_tokens is not None

    def balanced(self) -> Self:
        """The same usage under the rule.

        A part larger than its whole shows that the sender counted it beside the whole.
        """
        whole_input = _whole(self.input_tokens, self.cache_read_tokens, self.cache_write_tokens)
        whole_output = _whole(self.output_tokens, self.reasoning_tokens)
        if (whole_input, whole_output) == (self.input_tokens, self.output_tokens):
            return self
        return replace(self, input_tokens=whole_input, output_tokens=whole_output)

    def updated(self, newer: ModelUsage) -> Self:
        """This usage with whatever the newer account tells; what it leaves out stays."""
        told = {name: getattr(newer, name) for name in self.__slots__}
        return replace(self, **{k: v for k, v in told.items() if v is not None and v != ""})

    def plus(self, other: ModelUsage) -> Self:
        """Tokens of both; all else as the other tells it."""
        return replace(
            self.updated(other),
            input_tokens=_sum(self.input_tokens, other.input_tokens),
            cache_read_tokens=_sum(self.cache_read_tokens, other.cache_read_tokens),
            cache_write_tokens=_sum(self.cache_write_tokens, other.cache_write_tokens),
            cache_write_1h_tokens=_sum(self.cache_write_1h_tokens, other.cache_write_1h_tokens),
            output_tokens=_sum(self.output_tokens, other.output_tokens),
            reasoning_tokens=_sum(self.reasoning_tokens, other.reasoning_tokens),
        )


def token_count(value: object) -> int | None:
    """The value if it is a plausible count of tokens, else `None`."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < MAX_TOKENS else None


_STANDARD: Final = frozenset({"auto", "default", "standard", "standard_only", "on_demand"})
_TIER_CHARACTERS: Final = 40


def service_tier(value: object) -> str:
    """A service tier that has prices of its own; empty for the standard one and for no tier."""
    tier = value.strip().lower()[:_TIER_CHARACTERS] if isinstance(value, str) else ""
    return "" if tier in _STANDARD else tier


def _whole(total: int | None, *parts: int | None) -> int | None:
    if total is None or not any(parts):
        return total
    in_parts = sum(part or 0 for part in parts)
    return total if in_parts <= total else total + in_parts


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)
