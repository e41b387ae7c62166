"""What a model call cost, in US dollars, at the price of its day.

Prices come from the `genai-prices` list that is installed; nothing is fetched. A call whose model,
provider or usage is not known has no price: `None`, never 0, because a zero would vanish in a sum.
Without the package (`pip install retrospan[cost]`) no call has one.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, Final

from tracer.genai.usage import ModelUsage

__all__ = ["SOURCE", "Cost", "cost_of", "preload", "price_version"]

SOURCE: Final = "genai-prices"
"""Where prices come from, as spans and tables name it."""

_PROVIDERS: Final = {
    "x_ai": "x-ai",
    "gcp.gen_ai": "google",
    "azure.ai.inference": "azure",
}
"""OpenTelemetry's names for providers that the price list does not resolve by itself."""

_NANO_DOLLAR: Final = Decimal("1e-9")
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one call by token class, US dollars, rounded to a billionth."""

    input_usd: Decimal
    """Input outside any cache."""
    cache_read_usd: Decimal
    cache_write_usd: Decimal
    output_usd: Decimal
    model: str
    """`provider/model` of the price list."""

    @property
    def total_usd(self) -> Decimal:
        """All classes together."""
        return self.input_usd + self.cache_read_usd + self.cache_write_usd + self.output_usd


def price_version() -> str | None:
    """Version of the price list, or `None` if none is installed."""
    prices = _price_list()
    return None if prices is None else str(prices.__version__)


@cache
def preload() -> None:
    """Load the price list on a thread of its own, once.

    It takes a third of a second; a worker's event loop should not spend that after its first call.
    """
    threading.Thread(target=_price_list, name="retrospan-prices", daemon=True).start()


def cost_of(
    usage: ModelUsage, provider: str, models: tuple[str, ...], at: datetime | None
) -> Cost | None:
    """The cost of a call, or `None` if it cannot be known.

    Args:
        usage: What the call used.
        provider: As telemetry or a library names it; empty to find it by the model's name.
        models: Names of the model, best first: the one that answered, the one asked for.
        at: When the call was made; the price is that of this day.
    """
    if at is None or not usage.is_reported or _price_list() is None:
        return None
    for model in models:
        if model and (cost := _cost(usage, provider, model, at)):
            return cost
    return None


@cache
def _price_list() -> Any:
    """The package with its data loaded, or `None` if it is not installed."""
    try:
        import genai_prices
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        return None
    get_snapshot()
    return genai_prices


def _cost(usage: ModelUsage, provider: str, model: str, at: datetime) -> Cost | None:
    found = _look_up(_PROVIDERS.get(provider, provider), model)
    if found is None:
        return None
    price = found[1].get_prices(at.replace(tzinfo=at.tzinfo or UTC))
    if not _has_prices_for(usage, price):
        return None
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
    }
    try:
        calculated = price.calc_price(
            _price_list().Usage(**{name: count for name, count in counts.items() if count})
        )
    except ValueError:  # More cached tokens than input tokens: nobody can tell what was billed.
        return None
    total_input = usage.input_tokens or 0
    read = _cached_usd(price.cache_read_mtok, price, usage.cache_read_tokens, total_input)
    write = _cached_usd(price.cache_write_mtok, price, usage.cache_write_tokens, total_input)
    return Cost(
        input_usd=_rounded(calculated["input_price"]) - read - write,
        cache_read_usd=read,
        cache_write_usd=write,
        output_usd=_rounded(calculated["output_price"]),
        model=f"{found[0].id}/{found[1].id}",
    )


@lru_cache(maxsize=1024)
def _look_up(provider: str, model: str) -> tuple[Any, Any] | None:
    """Provider and model of the price list."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        return get_snapshot().find_provider_model(model, None, provider or None, None)
    except LookupError:
        return None


def _has_prices_for(usage: ModelUsage, price: Any) -> bool:
    """Whether each class of tokens that was used has a price; a list may know only some."""
    needs_input, needs_output = bool(usage.input_tokens), bool(usage.output_tokens)
    has_input, has_output = price.input_mtok is not None, price.output_mtok is not None
    return (
        (has_input or not needs_input)
        and (has_output or not needs_output)
        and (has_input or has_output)
    )


def _cached_usd(own_price: Any, price: Any, tokens: int | None, total_input: int) -> Decimal:
    """Models without a price of their own for cached tokens bill them as input."""
    from genai_prices.types import calc_unit_price

    unit_price = price.input_mtok if own_price is None else own_price
    amount: Decimal = calc_unit_price(unit_price, tokens or 0, total_input, _MILLION)
    return _rounded(amount)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_NANO_DOLLAR)
