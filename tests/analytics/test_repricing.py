"""Calls that are stored are priced anew, and nothing else about them changes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from analytics.errors import PriceFileRefused
from analytics.ingest import ingest
from analytics.query import run_query
from analytics.repricing import reprice
from analytics.warehouse import Warehouse, open_warehouse
from tests.analytics.stories import history_of, order, order_of_model
from tracer.genai.prices import PRICES_VARIABLE

OWN = '[[price]]\nmodel = "our-own-model"\ninput = 10\ncache_read = 1\noutput = 100\n'
TOLD = """
    SELECT response_model, cost_usd, input_cost_usd, cache_read_cost_usd, output_cost_usd,
           price_source, price_model, price_version IS NOT NULL
    FROM core.llm_calls ORDER BY 1
"""
KEPT = (
    "SELECT * EXCLUDE (cost_usd, input_cost_usd, cache_read_cost_usd, cache_write_cost_usd,"
    " output_cost_usd, price_source, price_model, price_version) FROM core.llm_calls ORDER BY ALL"
)
# 800 fresh, 200 cached and 100 output tokens.
MINI = ("gpt-4o-mini-2024-07-18", "0.000195", "0.00012", "0.000015", "0.00006")
BY_LIST = ("genai-prices", "openai/gpt-4o-mini", True)
BY_FILE = ("price-file", "*/our-own-model", True)


@pytest.fixture
def own_prices(tmp_path: Path) -> Path:
    file = tmp_path / "prices.toml"
    file.write_text(OWN)
    return file


def money(*usd: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, usd))


def test_a_price_file_prices_what_is_stored(
    warehouse: Warehouse, own_prices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(warehouse, [history_of(order()), history_of(order_of_model("our-own-model"), "run-2")])
    mini = (MINI[0], *money(*MINI[1:]), *BY_LIST)
    unknown = ("our-own-model", None, None, None, None, "unpriced", None, False)
    assert warehouse.rows(TOLD) == [mini, unknown]
    assert reprice(warehouse) == 0
    kept = warehouse.rows(KEPT)

    monkeypatch.setenv(PRICES_VARIABLE, str(own_prices))
    path = warehouse.path
    warehouse.close()
    with open_warehouse(path) as again:
        assert reprice(again) == 1
        known = ("our-own-model", *money("0.0182", "0.008", "0.0002", "0.01"), *BY_FILE)
        assert again.rows(TOLD) == [mini, known]
        assert reprice(again) == 0
        assert again.rows(KEPT) == kept
    assert run_query(path, "SELECT sum(cost_usd) FROM mart.llm_calls").rows == [
        (Decimal("0.018395"),)
    ]

    monkeypatch.delenv(PRICES_VARIABLE)
    with open_warehouse(path) as again:
        assert reprice(again) == 1
        assert again.rows(TOLD) == [mini, unknown]


def test_imports_are_priced_by_the_file(
    made: Path, own_prices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PRICES_VARIABLE, str(own_prices))
    with open_warehouse(made) as warehouse:
        ingest(warehouse, [history_of(order_of_model("our-own-model"))])
        [(_, cost, *_, source, _, _)] = warehouse.rows(TOLD)
        assert (cost, source) == (Decimal("0.0182"), "price-file")


def test_nothing_is_written_with_a_broken_price_file(
    made: Path, own_prices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_prices.write_text(OWN.replace("input", "imput"))
    monkeypatch.setenv(PRICES_VARIABLE, str(own_prices))
    with pytest.raises(PriceFileRefused, match="did you mean 'input'"):
        open_warehouse(made)
    # Who only reads needs no prices.
    assert run_query(made, "SELECT 1").rows == [(1,)]


@pytest.mark.parametrize(
    ("tier", "usd"), [("batch", "0.000105"), ("priority", "0.000325"), ("default", "0.000195")]
)
def test_the_tier_of_an_answer_has_its_own_price(warehouse: Warehouse, tier: str, usd: str) -> None:
    events = order()
    for event in events.events:
        for data in event.activity_task_completed_event_attributes.result.payloads:
            data.data = data.data.replace(b'"usage"', f'"service_tier": "{tier}", "usage"'.encode())
    ingest(warehouse, [history_of(events)])
    [(stored, cost)] = warehouse.rows("SELECT service_tier, cost_usd FROM core.llm_calls")
    assert stored == (None if tier == "default" else tier)
    # In 2023, the list knows the standard price alone.
    assert cost == (Decimal("0.000195") if tier == "default" else None)
    warehouse.connection.execute("UPDATE core.llm_calls SET started_at = '2026-11-01'")
    reprice(warehouse)
    [(cost,)] = warehouse.rows("SELECT cost_usd FROM core.llm_calls")
    assert cost == Decimal(usd)
    assert reprice(warehouse) == 0
