"""What calls cost: by class, by day, and never zero for want of a price."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.prices import cost_of
from analytics.usage import MAX_TOKENS, ModelUsage

DAY = datetime(2026, 11, 1, tzinfo=UTC)
MILLION = 1_000_000


def usage(
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    read: int | None = None,
    write: int | None = None,
) -> ModelUsage:
    return ModelUsage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=read,
        cache_write_tokens=write,
    )


def test_each_class_of_tokens_has_its_own_price() -> None:
    used = usage(MILLION, MILLION, read=300_000, write=200_000)
    cost = cost_of(used, "anthropic", ("claude-sonnet-4-5",), DAY)
    assert cost is not None
    # A million input tokens are above this model's 200,000: the long-context prices apply.
    assert cost.cache_read_usd == Decimal("0.18")
    assert cost.cache_write_usd == Decimal("1.5")
    assert cost.input_usd == Decimal("3")
    assert cost.output_usd == Decimal("22.5")
    assert cost.total_usd == Decimal("27.18")


def test_the_price_is_that_of_the_day() -> None:
    used = usage(MILLION, MILLION)
    before = cost_of(used, "openai", ("o3",), datetime(2025, 6, 1, tzinfo=UTC))
    after = cost_of(used, "openai", ("o3",), datetime(2025, 7, 1, tzinfo=UTC))
    assert before is not None
    assert after is not None
    assert (before.total_usd, after.total_usd) == (Decimal(50), Decimal(10))


@pytest.mark.parametrize(
    ("provider", "model", "priced_as"),
    [
        ("openai", "gpt-4o", "openai/gpt-4o"),
        ("", "gpt-4o", "openai/gpt-4o"),
        ("mistral_ai", "mistral-small-latest", "mistral/mistral-small-latest"),
        ("azure.ai.inference", "gpt-4o", "azure/gpt-4o"),
        ("x_ai", "grok-4", "x-ai/grok-4-0709"),
        ("gcp.gen_ai", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("gcp.vertex_ai", "gemini-2.5-pro", "google/gemini-2.5-pro"),
    ],
)
def test_names_of_telemetry_are_found_in_the_list(
    provider: str, model: str, priced_as: str
) -> None:
    cost = cost_of(usage(10, 10), provider, (model,), DAY)
    assert cost is not None
    assert cost.model == priced_as


def test_the_model_asked_for_will_do_if_the_one_that_answered_is_unknown() -> None:
    cost = cost_of(usage(10, 10), "openai", ("gpt-4o-house-tuned-9", "gpt-4o"), DAY)
    assert cost is not None


@pytest.mark.parametrize(
    ("used", "provider", "model", "at"),
    [
        (usage(), "openai", "gpt-4o", DAY),
        (usage(10, 10), "openai", "no-such-model", DAY),
        (usage(10, 10), "no-such-provider", "gpt-4o", DAY),
        (usage(10, 10), "", "", DAY),
        (usage(10, 10), "openai", "gpt-4o", None),
        (usage(10, 10, read=20), "openai", "gpt-4o", DAY),
    ],
)
def test_what_cannot_be_known_has_no_price(
    used: ModelUsage, provider: str, model: str, at: datetime | None
) -> None:
    assert cost_of(used, provider, (model,), at) is None


_COUNT = st.integers(0, MAX_TOKENS - 1)


@given(total=_COUNT, share=st.floats(0, 1), output=_COUNT)
def test_classes_add_up_and_none_is_negative(total: int, share: float, output: int) -> None:
    cost = cost_of(usage(total, output, read=int(total * share)), "openai", ("gpt-4o",), DAY)
    assert cost is not None
    parts = (cost.input_usd, cost.cache_read_usd, cost.cache_write_usd, cost.output_usd)
    assert min(parts) >= 0
    assert cost.total_usd == sum(parts)
