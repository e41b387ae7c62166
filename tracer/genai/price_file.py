"""A user's own prices: a TOML file that comes before the installed price list.

For models that no list knows, such as one's own, and for prices that were negotiated. The file is
read whole or refused with one line that names the place: a typo that was passed over would be a
wrong bill.

```toml
[[price]]
model = "our-llama-3.3"   # the name that telemetry has; a * at the end stands for the rest of it
provider = "azure"        # only calls to this provider; without it, to any
from = 2026-01-01         # from this day on (UTC); without it, always
input = 0.50              # US dollars for a million tokens
cache_read = 0.05         # without it, as input
cache_write = 0.60        # without it, as input
cache_write_1h = 1.00     # kept for an hour; without it, as cache_write
output = 1.50
reasoning = 3.00          # without it, as output

[[price]]
model = "our-llama-3.3"
tier = "batch"            # only calls of this service tier: batch, flex, priority, fast
above = 200_000           # only calls with more input tokens than this, as a whole
input = 0.25
output = 0.75
```
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tracer.genai.rates import Rates
from tracer.genai.reading import canonical_provider
from tracer.genai.usage import MAX_TOKENS, service_tier

__all__ = ["MAX_PRICE", "PriceEntry", "PriceFile", "PriceFileError", "parse_prices", "read_prices"]

MAX_PRICE: Final = Decimal(1000)
"""For a million tokens: above any real one, and the cost of a call still fits into a column."""

_VERSION_DIGITS: Final = 12


class PriceFileError(ValueError):
    """A price file cannot be used; the text is one line for people."""


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """One `[[price]]`: which calls it is for, and what they cost."""

    model: str
    """In lower case; a prefix if it ends with a star."""
    rates: Rates
    provider: str = ""
    """In OpenTelemetry's spelling; empty for any."""
    tier: str = ""
    since: date = date.min
    """First day, UTC."""
    above: int = 0
    """Calls with more input tokens; 0 for all calls."""

    def covers(self, provider: str, model: str, tier: str, day: date, input_tokens: int) -> bool:
        """Whether it is for such a call."""
        is_model = (
            model.startswith(self.model[:-1]) if self.model.endswith("*") else model == self.model
        )
        return (
            is_model
            and self.provider in {"", provider}
            and self.tier == tier
            and self.since <= day
            and (not self.above or input_tokens > self.above)
        )

    @property
    def precedence(self) -> tuple[bool, bool, int, date, int]:
        """The entry that says more about a call comes before one that says less."""
        is_exact = not self.model.endswith("*")
        return bool(self.provider), is_exact, len(self.model), self.since, self.above

    @property
    def name(self) -> str:
        """As tables and spans name the price."""
        return f"{self.provider or '*'}/{self.model}"


@dataclass(frozen=True, slots=True)
class PriceFile:
    """Prices of a user."""

    entries: tuple[PriceEntry, ...]
    version: str
    """Says which text it was: the beginning of its SHA-256."""

    def find(
        self, provider: str, model: str, tier: str, at: datetime, input_tokens: int
    ) -> PriceEntry | None:
        """The price of a call, `None` if the file has none for it.

        Args:
            provider: As telemetry names it; empty if not known.
            model: The same.
            tier: The service tier; empty for the standard one.
            at: When the call was made; without a zone, UTC.
            input_tokens: All of them, cached ones included.
        """
        day = at.astimezone(UTC).date() if at.tzinfo else at.date()
        of_call = (canonical_provider(provider), model.lower(), tier, day, input_tokens)
        fitting = (entry for entry in self.entries if entry.covers(*of_call))
        return max(fitting, key=lambda entry: entry.precedence, default=None)


def read_prices(path: Path | str) -> PriceFile:
    """Read a price file.

    Raises:
        PriceFileError: It cannot be read, or is not one.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise PriceFileError(f"{path}: cannot read this price file: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PriceFileError(f"{path}: not a text in UTF-8; expected TOML") from error
    return parse_prices(text, str(path))


def parse_prices(text: str, name: str) -> PriceFile:
    """Prices from the text of a file.

    Args:
        text: TOML.
        name: Of the file, for messages.

    Raises:
        PriceFileError: It is not a price file.
    """
    try:
        found = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, InvalidOperation, RecursionError, ValueError) as error:
        raise PriceFileError(f"{name}: not TOML: {_one_line(error)}") from error
    tables = found.get("price")
    if set(found) != {"price"} or not isinstance(tables, list) or not tables:
        raise PriceFileError(f"{name}: expected nothing but [[price]] tables, and at least one")
    entries = [_entry(table, f"{name}: price {n}") for n, table in enumerate(tables, 1)]
    _check_doubles(entries, name)
    digest = sha256(text.encode()).hexdigest()
    return PriceFile(tuple(entries), digest[:_VERSION_DIGITS])


_PRICES: Final = tuple(field.name for field in fields(Rates))
_KEYS: Final = ("model", "provider", "tier", "from", "above", *_PRICES)


def _entry(table: object, where: str) -> PriceEntry:
    if not isinstance(table, Mapping):
        raise PriceFileError(f"{where}: expected a table")
    for key in table:
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(_KEYS)}"
            raise PriceFileError(f"{where}: there is no {key!r}; {hint}")
    if "input" not in table and "output" not in table:
        raise PriceFileError(f"{where}: has no price; expected input, output or both")
    return PriceEntry(
        model=_model(table, where),
        provider=canonical_provider(_text(table, "provider", where)),
        tier=service_tier(_text(table, "tier", where)),
        since=_day(table, where),
        above=_above(table, where),
        rates=Rates(**{name: _price(table, name, where) for name in _PRICES}),
    )


def _model(table: Mapping[str, Any], where: str) -> str:
    model = _text(table, "model", where).lower()
    if not model:
        raise PriceFileError(f"{where}: has no model; expected its name, such as 'gpt-4o*'")
    if "*" in model[:-1]:
        raise PriceFileError(f"{where}: model {model!r} may have a * only at its end")
    return model


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise PriceFileError(f"{where}: {key} is {_shown(value)}; expected text")
    return value.strip()


def _day(table: Mapping[str, Any], where: str) -> date:
    value = table.get("from", date.min)
    # A time of day is refused: which of two prices a day has would depend on the zone.
    if not isinstance(value, date) or isinstance(value, datetime):
        raise PriceFileError(f"{where}: from is {_shown(value)}; expected a day, as 2026-01-01")
    return value


def _above(table: Mapping[str, Any], where: str) -> int:
    value = table.get("above", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_TOKENS:
        raise PriceFileError(f"{where}: above is {_shown(value)}; expected a number of tokens")
    return value


def _price(table: Mapping[str, Any], key: str, where: str) -> Decimal | None:
    value = table.get(key)
    if value is None:
        return None
    is_number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= MAX_PRICE:
        raise PriceFileError(
            f"{where}: {key} is {_shown(value)}; expected US dollars for a million tokens,"
            f" 0 to {MAX_PRICE}"
        )
    return Decimal(value)


def _check_doubles(entries: list[PriceEntry], name: str) -> None:
    def scope(entry: PriceEntry) -> tuple[str, str, str, date, int]:
        return entry.model, entry.provider, entry.tier, entry.since, entry.above

    for _, same in groupby(sorted(entries, key=scope), key=scope):
        doubles = [entries.index(entry) + 1 for entry in same]
        if len(doubles) > 1:
            model = entries[doubles[0] - 1].model
            raise PriceFileError(f"{name}: two prices of {model!r} are for the same calls")


def _shown(value: object) -> str:
    return repr(str(value) if isinstance(value, (Decimal, date)) else value)[:60]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
