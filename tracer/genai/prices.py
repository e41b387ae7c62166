"""What a model call cost, in US dollars, at the price of its day.

Prices come from the user's price file, which `RETROSPAN_PRICES` names (`tracer.genai.price_file`),
else from the `genai-prices` list that is installed; nothing is fetched. A call whose model,
provider, service tier or usage is not known has no price: `None`, never 0, because a zero would
vanish in a sum. Without the package (`pip install retrospan[cost]`) only what the file names has
one.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from tracer.genai.rates import Rates
from tracer.genai.usage import ModelUsage

if TYPE_CHECKING:
    from tracer.genai.price_file import PriceFile

__all__ = [
    "FILE_SOURCE",
    "PRICES_VARIABLE",
    "SOURCE",
    "Cost",
    "cost_of",
    "load_price_file",
    "preload",
    "price_version",
]

SOURCE: Final = "genai-prices"
"""Where most prices come from, as spans and tables name it."""

FILE_SOURCE: Final = "price-file"
"""The same, for those of the user's file."""

PRICES_VARIABLE: Final = "RETROSPAN_PRICES"
"""Names the user's price file in the environment, so that every process finds it."""

_log = logging.getLogger(__name__)

_PROVIDERS: Final = {
    "x_ai": "x-ai",
    "gcp.gen_ai": "google",
    "azure.ai.inference": "azure",
}
"""OpenTelemetry's names for providers that the price list does not resolve by itself."""

_CONTEXTS: Final[dict[str, dict[str, str]]] = {
    "batch": {"processing": "batch"},
    # OpenAI calls it a service tier, Anthropic a speed.
    "fast": {"service_tier": "fast", "speed": "fast"},
}
"""How the price list names service tiers, where it names them otherwise."""

_LISTED: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "reasoning": "output_reasoning_mtok",
}
"""How the price list names the rate of each token class."""

_NANO_DOLLAR: Final = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one call by token class, US dollars, rounded to a billionth."""

    input_usd: Decimal
    """Input outside any cache."""
    cache_read_usd: Decimal
    cache_write_usd: Decimal
    output_usd: Decimal
    model: str
    """`provider/model` of the price list or file; there, `*` for any provider."""
    source: str = SOURCE
    version: str = ""
    """Of the price list, or the beginning of the file's SHA-256."""

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
    if at is None or not usage.is_reported:
        return None
    own_prices = _price_file(os.environ.get(PRICES_VARIABLE))
    for model in models:
        if not model:
            continue
        if own_prices and (cost := _cost_by_file(own_prices, usage, provider, model, at)):
            return cost
        if _price_list() is not None and (cost := _cost(usage, provider, model, at)):
            return cost
    return None


def load_price_file() -> PriceFile | None:
    """The user's price file, if the environment names one; calls are priced by what it says now.

    Raises:
        PriceFileError: It cannot be read, or is not one.
    """
    _price_file.cache_clear()
    path = os.environ.get(PRICES_VARIABLE)
    if not path:
        return None
    from tracer.genai.price_file import read_prices

    return read_prices(path)


@cache
def _price_file(path: str | None) -> PriceFile | None:
    """The same for whoever must not fail: a worker goes on without it, and says so once."""
    try:
        return load_price_file() if path else None
    except ValueError as error:
        _log.warning("model calls are priced without the price file: %s", error)
        return None


def _cost_by_file(
    file: PriceFile, usage: ModelUsage, provider: str, model: str, at: datetime
) -> Cost | None:
    total = usage.input_tokens or 0
    entry = file.find(provider, model, usage.service_tier, at, total)
    parts = entry.rates.parts(usage) if entry else None
    if entry is None or parts is None:
        return None
    fresh, read, write, output = map(_rounded, parts)
    return Cost(fresh, read, write, output, entry.name, FILE_SOURCE, file.version)


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
    provider = _PROVIDERS.get(provider, provider)
    found = _look_up(provider, model)
    if found is None:
        return None
    rates = None if usage.service_tier else _fixed_rates(provider, model)
    rates = rates or _rates_at(found[1], usage, at.replace(tzinfo=at.tzinfo or UTC))
    parts = None if rates is None else rates.parts(usage)
    if parts is None:
        return None
    fresh, read, write, output = map(_rounded, parts)
    return Cost(
        fresh,
        read,
        write,
        output,
        model=f"{found[0].id}/{found[1].id}",
        version=price_version() or "",
    )


@lru_cache(maxsize=1024)
def _fixed_rates(provider: str, model: str) -> Rates | None:
    """The rates of a model that has the same at all times and for calls of any length.

    Most are such, and to work them out takes a third of the time that a call's cost does.
    """
    found = _look_up(provider, model)
    price = found[1].prices if found else None
    if price is None or isinstance(price, list):
        return None
    listed = [vars(price).get(key) for key in _LISTED.values()]
    is_fixed = all(rate is None or isinstance(rate, Decimal) for rate in listed)
    return _rates(price, 0) if is_fixed else None


def _rates_at(model: Any, usage: ModelUsage, at: datetime) -> Rates | None:
    price = _price_in_tier(model, usage.service_tier, at)
    return None if price is None else _rates(price, usage.input_tokens or 0)


def _price_in_tier(model: Any, tier: str, at: datetime) -> Any:
    """The prices of a model at a time, `None` if the list does not know this service tier of it."""
    if not tier:
        return model.get_prices(at)
    context = _CONTEXTS.get(tier, {"service_tier": tier})
    for variant in model.price_variants or ():
        is_active = variant.constraint is None or variant.constraint.active(at)
        if is_active and variant.when and variant.when.items() <= context.items():
            return model.get_prices(at, context)
    # The standard price is not that of this call: it can be off by a factor of two.
    return None


def _rates(price: Any, total_input: int) -> Rates:
    """The prices of a model for a call of this length.

    The list's own `calc_price` looks all its 50 units up for every call, 166 us here; these are
    its prices and its tiers.
    """
    from genai_prices.types import calc_unit_price

    prices = vars(price)
    return Rates(
        **{
            name: calc_unit_price(prices[key], 1, total_input, 1)
            for name, key in _LISTED.items()
            if prices.get(key) is not None
        }
    )


@lru_cache(maxsize=1024)
def _look_up(provider: str, model: str) -> tuple[Any, Any] | None:
    """Provider and model of the price list."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        return get_snapshot().find_provider_model(model, None, provider or None, None)
    except LookupError:
        return None


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_NANO_DOLLAR)
