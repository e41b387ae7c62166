"""What calls cost: by class, by day, and never zero for want of a price."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from tracer.genai.prices import cost_of, price_version
from tracer.genai.usage import MAX_TOKENS, ModelUsage

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
        ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", "aws/"),
        ("x_ai", "grok-4", "x-ai/grok-4-0709"),
        ("gcp.gen_ai", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("gcp.gemini", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("gcp.vertex_ai", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("moonshot_ai", "kimi-k2-0905-preview", "moonshotai/"),
        ("groq", "llama-3.1-8b-instant", "groq/"),
        ("deepseek", "deepseek-chat", "deepseek/deepseek-chat"),
        ("perplexity", "sonar", "perplexity/sonar"),
        ("cohere", "command-r", "cohere/"),
    ],
)
def test_names_of_telemetry_are_found_in_the_list(
    provider: str, model: str, priced_as: str
) -> None:
    cost = cost_of(usage(10, 10), provider, (model,), DAY)
    assert cost is not None
    assert cost.model.startswith(priced_as)


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


@given(fresh=st.integers(0, MILLION), read=st.integers(1, MILLION), output=st.integers(0, MILLION))
def test_cached_tokens_are_billed_once_whichever_way_they_came(
    fresh: int, read: int, output: int
) -> None:
    inclusive = usage(fresh + read, output, read=read)
    beside = usage(fresh, output, read=read).balanced()
    if read > fresh:  # Only then can anybody tell that they came beside.
        assert beside == inclusive
    priced = cost_of(inclusive, "openai", ("gpt-4o",), DAY)
    uncached = cost_of(usage(fresh + read, output), "openai", ("gpt-4o",), DAY)
    assert priced is not None
    assert uncached is not None
    assert priced.total_usd <= uncached.total_usd


def test_without_the_price_list_nothing_has_a_price() -> None:
    code = (
        "import sys; sys.modules['genai_prices'] = None\n"
        "from datetime import UTC, datetime\n"
        "from tracer.genai.prices import cost_of, preload, price_version\n"
        "from tracer.genai.usage import ModelUsage\n"
        "preload()\n"
        "used = ModelUsage(input_tokens=1, output_tokens=1)\n"
        "print(price_version(), cost_of(used, 'openai', ('gpt-4o',), datetime.now(UTC)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == ["None", "None"]
    assert price_version() is not None


@pytest.mark.parametrize("module", ["usage", "results", "reading", "prices"])
def test_what_a_warehouse_reads_with_is_light(module: str) -> None:
    code = f"import sys, tracer.genai.{module}; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    loaded = {name.partition(".")[0] for name in output.split()}
    assert loaded.isdisjoint({"opentelemetry", "temporalio", "genai_prices", "pydantic"})


_ORACLE = [
    ("openai", "gpt-4o", "", {}),
    ("openai", "gpt-4o", "batch", {"processing": "batch"}),
    ("openai", "gpt-4.1", "priority", {"service_tier": "priority"}),
    ("openai", "o3", "flex", {"service_tier": "flex"}),
    ("anthropic", "claude-sonnet-4-5", "", {}),
    ("anthropic", "claude-sonnet-4-5", "batch", {"processing": "batch"}),
    ("google", "gemini-2.5-pro", "", {}),
    ("google", "gemini-2.5-pro", "batch", {"processing": "batch"}),
    ("mistral", "mistral-small-latest", "batch", {"processing": "batch"}),
    ("perplexity", "sonar-deep-research", "", {}),
]


@pytest.mark.parametrize(("provider", "model", "tier", "context"), _ORACLE)
@given(
    fresh=st.integers(0, MILLION),
    read=st.integers(0, MILLION),
    visible=st.integers(0, MILLION),
    reasoning=st.integers(0, MILLION),
)
def test_the_list_itself_comes_to_the_same_sum(
    provider: str,
    model: str,
    tier: str,
    context: dict[str, str],
    fresh: int,
    read: int,
    visible: int,
    reasoning: int,
) -> None:
    counts = {
        "input_tokens": fresh + read,
        "output_tokens": visible + reasoning,
        "cache_read_tokens": read,
        "output_reasoning_tokens": reasoning,
    }
    oracle = calc_price(
        Usage(**{name: n for name, n in counts.items() if n}),
        model,
        provider_id=provider,
        genai_request_timestamp=DAY,
        price_context=context,
    )
    used = ModelUsage(
        input_tokens=fresh + read,
        output_tokens=visible + reasoning,
        cache_read_tokens=read,
        reasoning_tokens=reasoning,
        service_tier=tier,
    )
    cost = cost_of(used, provider, (model,), DAY)
    assert cost is not None
    assert abs(cost.total_usd - oracle.total_price) <= Decimal("2e-9")


@pytest.mark.parametrize(
    ("provider", "model", "used", "usd"),
    [
        # By hand, from the providers' price pages: tokens in millions times dollars.
        ("openai", "gpt-4o", ModelUsage(input_tokens=MILLION, service_tier="batch"), "1.25"),
        ("openai", "gpt-4o", ModelUsage(output_tokens=MILLION, service_tier="batch"), "5"),
        ("google", "gemini-2.5-pro", ModelUsage(input_tokens=200_000), "0.25"),
        ("google", "gemini-2.5-pro", ModelUsage(input_tokens=300_000), "0.75"),
        (
            "anthropic",
            "claude-sonnet-4-5",
            ModelUsage(
                input_tokens=100_000, cache_write_tokens=100_000, cache_write_1h_tokens=40_000
            ),
            "0.465",  # 60,000 at $3.75 and 40,000 at $6
        ),
        (
            "perplexity",
            "sonar-deep-research",
            ModelUsage(input_tokens=0, output_tokens=MILLION, reasoning_tokens=400_000),
            "6",  # 600,000 at $8 and 400,000 at $3
        ),
    ],
)
def test_known_answers(provider: str, model: str, used: ModelUsage, usd: str) -> None:
    cost = cost_of(used, provider, (model,), DAY)
    assert cost is not None
    assert cost.total_usd == Decimal(usd)


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [("openai", "gpt-4o", "no-such-tier"), ("anthropic", "claude-sonnet-4-5", "priority")],
)
def test_a_tier_without_a_price_is_not_billed_as_the_standard_one(
    provider: str, model: str, tier: str
) -> None:
    used = ModelUsage(input_tokens=MILLION, service_tier=tier)
    assert cost_of(used, provider, (model,), DAY) is None
