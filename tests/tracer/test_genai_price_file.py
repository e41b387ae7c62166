"""Price files: what they say is what is billed, and what they get wrong is one line."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.genai.price_file import (
    MAX_PRICE,
    PriceFileError,
    parse_prices,
    read_prices,
)
from tracer.genai.prices import FILE_SOURCE, PRICES_VARIABLE, SOURCE, cost_of, load_price_file
from tracer.genai.rates import Rates
from tracer.genai.usage import ModelUsage

DAY = datetime(2026, 11, 1, tzinfo=UTC)
MILLION = 1_000_000
OWN = """
[[price]]
model = "house-*"
input = 1
output = 2

[[price]]
model = "house-large"
provider = "azure.ai.openai"
from = 2026-01-01
input = 10.0
cache_read = 1
cache_write = 12.5
cache_write_1h = 20
output = 50
reasoning = 100

[[price]]
model = "house-large"
provider = "azure.ai.openai"
from = 2026-12-01
input = 9
output = 45

[[price]]
model = "house-large"
tier = "batch"
input = 5
output = 25

[[price]]
model = "house-large"
tier = "batch"
above = 200_000
input = 6
output = 30

[[price]]
model = "gpt-4o"
input = 0
output = 0.5
"""


@pytest.fixture
def own_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "prices.toml"
    path.write_text(OWN)
    monkeypatch.setenv(PRICES_VARIABLE, str(path))
    file = load_price_file()
    assert file is not None
    return file.version


def used(input_tokens: int = 0, output_tokens: int = 0, **more: int | str) -> ModelUsage:
    return ModelUsage(input_tokens=input_tokens, output_tokens=output_tokens, **more)  # type: ignore[arg-type]


def test_each_class_of_tokens_is_billed_once(own_prices: str) -> None:
    usage = used(
        MILLION,
        MILLION,
        cache_read_tokens=300_000,
        cache_write_tokens=200_000,
        cache_write_1h_tokens=50_000,
        reasoning_tokens=400_000,
    )
    cost = cost_of(usage, "azure", ("house-large",), DAY)
    assert cost is not None
    assert cost.input_usd == Decimal("5")  # 500,000 at $10
    assert cost.cache_read_usd == Decimal("0.3")  # 300,000 at $1
    assert cost.cache_write_usd == Decimal("2.875")  # 150,000 at $12.50 and 50,000 at $20
    assert cost.output_usd == Decimal("70")  # 600,000 at $50 and 400,000 at $100
    assert cost.total_usd == Decimal("78.175")
    assert (cost.source, cost.version) == (FILE_SOURCE, own_prices)
    assert cost.model == "azure.ai.openai/house-large"


def test_what_has_no_price_of_its_own_is_billed_as_its_whole(own_prices: str) -> None:
    usage = used(1000, 100, cache_read_tokens=600, cache_write_1h_tokens=0, reasoning_tokens=50)
    cost = cost_of(usage, "", ("house-small",), DAY)
    assert cost is not None
    assert cost.total_usd == Decimal("0.0012")  # 1,000 at $1 and 100 at $2
    assert cost.model == "*/house-*"


@pytest.mark.parametrize(
    ("provider", "model", "tier", "at", "input_tokens", "usd"),
    [
        ("azure", "house-large", "", DAY, MILLION, 10),
        ("azure", "HOUSE-LARGE", "", DAY, MILLION, 10),
        ("azure", "house-large", "", datetime(2026, 11, 30, 23, 59, tzinfo=UTC), MILLION, 10),
        ("azure", "house-large", "", datetime(2026, 12, 1, tzinfo=UTC), MILLION, 9),
        # The day is UTC's.
        (
            "azure",
            "house-large",
            "",
            datetime(2026, 12, 1, tzinfo=UTC).astimezone(),
            MILLION,
            9,
        ),
        # Before its first day, and at another provider, the more general entry counts.
        ("azure", "house-large", "", datetime(2025, 12, 31, tzinfo=UTC), MILLION, 1),
        ("openai", "house-large", "", DAY, MILLION, 1),
        ("azure", "house-large", "batch", DAY, MILLION, 6),
        ("azure", "house-large", "batch", DAY, 200_000, 1),
        ("openai", "gpt-4o", "", DAY, MILLION, 0),
    ],
)
def test_the_entry_that_says_most_counts(
    own_prices: str,
    provider: str,
    model: str,
    tier: str,
    at: datetime,
    input_tokens: int,
    usd: int,
) -> None:
    cost = cost_of(used(input_tokens, service_tier=tier), provider, (model,), at)
    assert cost is not None
    assert cost.total_usd == usd


def test_the_list_counts_where_the_file_says_nothing(own_prices: str) -> None:
    mini = cost_of(used(MILLION), "openai", ("gpt-4o-mini",), DAY)
    batch = cost_of(used(MILLION, service_tier="batch"), "openai", ("gpt-4o",), DAY)
    assert mini is not None
    assert batch is not None
    assert (mini.source, mini.total_usd) == (SOURCE, Decimal("0.15"))
    assert (batch.source, batch.total_usd) == (SOURCE, Decimal("1.25"))


@pytest.mark.parametrize(
    "usage",
    [
        ModelUsage(),
        used(10, cache_read_tokens=20),
        used(10, cache_write_tokens=5, cache_write_1h_tokens=6),
        used(10, 5, reasoning_tokens=6),
        used(10, service_tier="priority"),
    ],
)
def test_what_cannot_be_known_has_no_price(own_prices: str, usage: ModelUsage) -> None:
    assert cost_of(usage, "azure", ("house-large",), DAY) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected nothing but [[price]] tables"),
        ("price = 3", "expected nothing but [[price]] tables"),
        ("price = [3]", "price 1: expected a table"),
        ("[[price]\n", "not TOML"),
        ("[[prices]]\nmodel = 'a'", "expected nothing but [[price]] tables"),
        ("[[price]]\ninput = 1", "price 1: has no model"),
        ("[[price]]\nmodel = 'a'", "price 1: has no price"),
        ("[[price]]\nmodel = 'a'\ncache_read = 1", "price 1: has no price"),
        ("[[price]]\nmodel = 'a'\ninputs = 1", "there is no 'inputs'; did you mean 'input'?"),
        ("[[price]]\nmodel = 'a'\nxyz = 1", "there is no 'xyz'; choose from model"),
        ("[[price]]\nmodel = 'a'\ninput = '1'", "input is '1'; expected US dollars"),
        ("[[price]]\nmodel = 'a'\ninput = -1", "input is -1; expected US dollars"),
        ("[[price]]\nmodel = 'a'\ninput = true", "input is True; expected US dollars"),
        ("[[price]]\nmodel = 'a'\ninput = nan", "expected US dollars"),
        ("[[price]]\nmodel = 'a'\ninput = inf", "expected US dollars"),
        ("[[price]]\nmodel = 'a'\ninput = 1e9", "0 to 1000"),
        ("[[price]]\nmodel = 'a'\noutput = 1\nfrom = 'soon'", "from is 'soon'; expected a day"),
        ("[[price]]\nmodel = 'a'\noutput = 1\nfrom = 2026-01-01T00:00:00", "expected a day"),
        ("[[price]]\nmodel = 'a'\noutput = 1\nabove = 1.5", "above is '1.5'; expected a number"),
        ("[[price]]\nmodel = 'a*b'\noutput = 1", "may have a * only at its end"),
        ("[[price]]\nmodel = 3\noutput = 1", "model is 3; expected text"),
        (
            "[[price]]\nmodel = 'a'\ninput = 1\n[[price]]\nmodel = 'A'\ninput = 2",
            "two prices of 'a' are for the same calls",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place(text: str, message: str) -> None:
    with pytest.raises(PriceFileError) as refused:
        parse_prices(text, "p.toml")
    assert str(refused.value).startswith("p.toml: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError, match="cannot read this price file"):
        read_prices(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PriceFileError, match="not a text in UTF-8"):
        read_prices(tmp_path / "binary.toml")


def test_a_worker_goes_on_without_a_broken_file_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(PRICES_VARIABLE, str(tmp_path / "none.toml"))
    for _ in range(3):
        cost = cost_of(used(MILLION), "openai", ("gpt-4o-mini",), DAY)
        assert cost is not None
        assert cost.source == SOURCE
    assert caplog.text.count("priced without the price file") == 1


_PRICE = st.decimals(0, MAX_PRICE, places=4)
_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="*\\'\""), min_size=1).map(
    lambda text: f"m{text}m"
)
_SIX = st.lists(_PRICE, min_size=6, max_size=6)
_RATES = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
_DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@given(
    model=_NAMES,
    prices=_SIX,
    day=_DAYS,
    above=st.integers(0, MILLION),
)
def test_what_is_written_is_what_is_read(
    model: str, prices: list[Decimal], day: date, above: int
) -> None:
    lines = [f"{name} = {price}" for name, price in zip(_RATES, prices, strict=True)]
    quoted = "".join(f"\\U{ord(c):08X}" for c in model)
    head = f'[[price]]\nmodel = "{quoted}"\nfrom = {day.isoformat()}\nabove = {above}\n'
    [entry] = parse_prices(head + "\n".join(lines), "p").entries
    assert entry.model == model.lower().strip()
    assert [getattr(entry.rates, name) for name in _RATES] == prices
    assert (entry.since, entry.above) == (day, above)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    said = ""
    try:
        assert parse_prices(text, "p").entries
    except PriceFileError as error:
        said = str(error)
    assert "\n" not in said


@given(
    fresh=st.integers(0, MILLION),
    read=st.integers(0, MILLION),
    short=st.integers(0, MILLION),
    hour=st.integers(0, MILLION),
    visible=st.integers(0, MILLION),
    reasoning=st.integers(0, MILLION),
    prices=_SIX,
)
def test_every_token_is_billed_once_at_its_price(
    fresh: int,
    read: int,
    short: int,
    hour: int,
    visible: int,
    reasoning: int,
    prices: list[Decimal],
) -> None:
    rates = Rates(**dict(zip(_RATES, prices, strict=True)))
    usage = used(
        fresh + read + short + hour,
        visible + reasoning,
        cache_read_tokens=read,
        cache_write_tokens=short + hour,
        cache_write_1h_tokens=hour,
        reasoning_tokens=reasoning,
    )
    parts = rates.parts(usage)
    assert parts is not None
    counts = (fresh, visible, read, short, hour, reasoning)
    dearly = (n * price for n, price in zip(counts, prices, strict=True))
    expected = sum(dearly, Decimal(0)) / MILLION
    assert abs(sum(parts, Decimal(0)) - expected) < Decimal("1e-12")


@given(st.lists(_DAYS, min_size=1, max_size=6, unique=True), _DAYS)
def test_the_price_of_a_day_is_the_last_that_began_before(days: list[date], asked: date) -> None:
    text = "".join(
        f'[[price]]\nmodel = "m"\nfrom = {day.isoformat()}\ninput = {number}\n'
        for number, day in enumerate(days)
    )
    at = datetime(asked.year, asked.month, asked.day, tzinfo=UTC) + timedelta(hours=12)
    entry = parse_prices(text, "p").find("", "m", "", at, 1)
    begun = [day for day in days if day <= asked]
    assert (entry.since if entry else None) == (max(begun) if begun else None)
