"""`llm_call` and `tool_call`: one span per operation, of the convention, without content."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.trace import SpanKind
from opentelemetry.trace.status import StatusCode
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from tests.tracer.genai_recording import Recording, recording
from tests.tracer.test_genai_results import ANTHROPIC, OPENAI_CHAT, SHAPES
from tracer import names
from tracer._buckets import GENAI_BUCKETS
from tracer.genai import llm_call, tool_call, using_providers
from tracer.genai._content import MAX_CONTENT_BYTES
from tracer.genai.llm import _OPTIONS, RequestOptions
from tracer.genai.prices import cost_of
from tracer.genai.reading import read_call
from tracer.genai.usage import ModelUsage
from tracer.names import Attribute as A
from tracer.names import GenAI

SECRET = "the customer's secret"


@pytest.fixture
def kept() -> Iterator[Recording]:
    with recording() as kept:
        yield kept


def test_a_call_is_one_client_span_of_the_convention(kept: Recording) -> None:
    with llm_call(
        model="gpt-4o",
        provider="openai",
        server_address="api.openai.com",
        server_port=443,
        conversation_id="c-1",
        max_tokens=50,
        temperature=None,
        stop_sequences=["END"],
    ) as call:
        assert call.result(OPENAI_CHAT) is OPENAI_CHAT
    span, told = kept.span(), kept.told()
    assert (span.name, span.kind) == ("chat gpt-4o", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.conversation.id": "c-1",
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.response.model": "gpt-4o",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("tool_calls",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.output_tokens": 30,
        "gen_ai.usage.reasoning.output_tokens": 20,
        # 40 × $2.50 + 60 × $1.25 + 30 × $10, per million.
        "operation.cost": pytest.approx(0.000475),
        "retrospan.price.source": "genai-prices",
        "retrospan.price.version": told["retrospan.price.version"],
        "retrospan.price.model": "openai/gpt-4o",
    }
    kept.assert_keeps_to_the_names()


def test_what_samplers_look_at_is_there_from_the_start(kept: Recording) -> None:
    with llm_call(model="gpt-4o", provider="openai", server_address="h") as call:
        known = dict(getattr(call.span, "attributes", {}))
    assert {GenAI.OPERATION, GenAI.PROVIDER, GenAI.REQUEST_MODEL, GenAI.SERVER_ADDRESS} <= set(
        known
    )


def test_metrics_of_a_call(kept: Recording) -> None:
    with llm_call(model="gpt-4o", provider="openai", seed=7) as call:
        call.result(OPENAI_CHAT)
    [duration] = kept.points()[names.MODEL_CALL_DURATION.name]
    assert duration.count == 1
    assert dict(duration.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o",
    }
    assert duration.explicit_bounds == GENAI_BUCKETS["s"]
    [exemplar] = duration.exemplars
    assert exemplar.span_id == kept.span().context.span_id
    assert kept.total(names.TOKENS, type="input") == 100
    assert kept.total(names.TOKENS, type="output") == 30
    assert kept.total(names.COST) == pytest.approx(0.000475)
    kept.assert_keeps_to_the_names()


@pytest.mark.parametrize(("result", "usage"), SHAPES)
def test_every_known_answer_is_told_in_full(
    kept: Recording, result: dict[str, Any], usage: ModelUsage
) -> None:
    with llm_call(model="m", provider="p") as call:
        call.result(result)
    read = read_call(kept.told())
    assert read.usage == ModelUsage(
        **{name: getattr(usage, name) for name in ModelUsage.__slots__ if name != "provider"},
        provider="p",
    )


def test_usage_told_by_hand(kept: Recording) -> None:
    with llm_call(model="claude-sonnet-4-5", provider="anthropic") as call:
        call.usage(input_tokens=10)
        call.usage(input_tokens=600, output_tokens=30, cache_read=500, cache_write=90, reasoning=5)
        call.response(model="claude-sonnet-4-5-20250929", id="msg_1", finish_reasons=["end_turn"])
    by_hand = kept.told()
    kept.exporter.clear()
    with llm_call(model="claude-sonnet-4-5", provider="anthropic") as call:
        call.result(ANTHROPIC | {"model": "claude-sonnet-4-5-20250929"})
        call.usage(reasoning=5)
    assert kept.told() == by_hand


def test_usage_that_counts_beside_is_put_right(kept: Recording) -> None:
    with llm_call(model="claude-sonnet-4-5", provider="anthropic") as call:
        call.usage(input_tokens=10, output_tokens=30, cache_read=500, cache_write=90)
    assert kept.told()[GenAI.INPUT_TOKENS.value] == 600


_COUNT = st.integers(0, 10**6)


@given(_COUNT, _COUNT, _COUNT, _COUNT, _COUNT)
def test_span_metric_and_price_list_agree_and_count_nothing_twice(
    fresh: int, read: int, write: int, says: int, hidden: int
) -> None:
    whole = fresh + read + write
    with recording() as kept:
        with llm_call(model="claude-sonnet-4-5", provider="anthropic") as call:
            call.usage(
                input_tokens=whole,
                output_tokens=says + hidden,
                cache_read=read,
                cache_write=write,
                reasoning=hidden,
            )
            started = call._started_at
        told = read_call(kept.told())
        assert told.usage.balanced() == told.usage
        assert (told.input_tokens, told.output_tokens) == (whole, says + hidden)
        expected = cost_of(told.usage, "anthropic", ("claude-sonnet-4-5",), started)
        assert expected is not None
        assert told.cost_usd is not None
        assert Decimal(str(round(told.cost_usd, 9))) == pytest.approx(expected.total_usd)
        assert kept.total(names.COST) == pytest.approx(told.cost_usd)
        assert kept.total(names.TOKENS) == whole + says + hidden


def test_an_unknown_price_is_no_price(kept: Recording) -> None:
    with llm_call(model="house-model", provider="our-house") as call:
        call.usage(input_tokens=10, output_tokens=10)
    assert not {GenAI.COST.value, A.PRICE_SOURCE.value} & kept.told().keys()
    assert names.COST.name not in kept.points()
    assert kept.total(names.TOKENS) == 20


def test_what_the_provider_says_it_cost_goes_first(kept: Recording) -> None:
    with llm_call(model="gpt-4o", provider="openai") as call:
        call.result(OPENAI_CHAT)
        call.usage(cost_usd=0.5)
    assert kept.told()[GenAI.COST.value] == 0.5
    assert kept.told()[A.PRICE_SOURCE.value] == "provider"
    assert kept.total(names.COST) == 0.5


@pytest.mark.parametrize("cost", [-1.0, float("nan"), float("inf")])
def test_what_is_no_amount_is_no_cost(kept: Recording, cost: float) -> None:
    with llm_call(model="m", provider="p") as call:
        call.usage(cost_usd=cost, input_tokens=-1)
    assert GenAI.COST.value not in kept.told()
    assert GenAI.INPUT_TOKENS.value not in kept.told()


def test_a_streamed_call_tells_when_chunks_came(kept: Recording) -> None:
    with llm_call(model="claude-sonnet-4-5", provider="anthropic") as call:
        opening = {"type": "message_start", "message": ANTHROPIC}
        assert call.chunk(opening) is opening
        call.chunk({"type": "content_block_delta"})
        call.chunk({"type": "message_delta", "usage": {"output_tokens": 44}})
    told = kept.told()
    assert told[A.CALL_CHUNKS.value] == 3
    assert told[GenAI.REQUEST_STREAM.value] is True
    assert told[GenAI.OUTPUT_TOKENS.value] == 44
    [first] = kept.points()[names.TIME_TO_FIRST_CHUNK.name]
    assert first.sum == told[GenAI.TIME_TO_FIRST_CHUNK.value] > 0
    [gaps] = kept.points()[names.TIME_PER_CHUNK.name]
    assert gaps.count == 2
    kept.assert_keeps_to_the_names()


async def test_as_an_async_context_manager(kept: Recording) -> None:
    async def call_model(model: str) -> None:
        async with llm_call(model=model, provider="openai") as call:
            await asyncio.sleep(0)
            call.usage(input_tokens=1, output_tokens=1)

    with trace.use_span(kept.spans_to.get_tracer("t").start_span("parent"), end_on_exit=True):
        await asyncio.gather(call_model("gpt-4o"), call_model("gpt-4o-mini"))
    *calls, parent = kept.spans()
    assert {span.name for span in calls} == {"chat gpt-4o", "chat gpt-4o-mini"}
    assert all(s.parent and s.parent.span_id == parent.context.span_id for s in calls)


class Overloaded(Exception):
    """What a client library raises."""


@pytest.mark.parametrize(
    ("error", "type_", "failed"),
    [
        (Overloaded("try later"), f"{__name__}.Overloaded", True),
        (ValueError("bad"), "ValueError", True),
        (ApplicationError("slow down", type="RateLimited"), "RateLimited", True),
        (
            ApplicationError("fine", type="Known", category=ApplicationErrorCategory.BENIGN),
            "Known",
            False,
        ),
        (asyncio.CancelledError(), "asyncio.exceptions.CancelledError", False),
        (GeneratorExit(), "GeneratorExit", False),
        (KeyboardInterrupt(), "KeyboardInterrupt", True),
    ],
)
@pytest.mark.parametrize("is_tool", [False, True])
def test_errors(
    kept: Recording, error: BaseException, type_: str, failed: bool, is_tool: bool
) -> None:
    operation = tool_call("t") if is_tool else llm_call(model="gpt-4o", provider="openai")
    with pytest.raises(type(error)), operation:
        raise error
    assert kept.told()[A.ERROR_TYPE.value] == type_
    assert (kept.span().status.status_code is StatusCode.ERROR) is failed
    metric = names.TOOL_DURATION if is_tool else names.MODEL_CALL_DURATION
    [point] = kept.points()[metric.name]
    assert point.attributes[A.ERROR_TYPE.value] == type_
    kept.assert_keeps_to_the_names()


def test_an_error_without_an_exception(kept: Recording) -> None:
    with llm_call(model="gpt-4o", provider="openai") as call:
        call.error("content_filter", "refused")
    assert kept.told()[A.ERROR_TYPE.value] == "content_filter"
    assert kept.span().status.description == "refused"


def test_a_tool_is_one_internal_span(kept: Recording) -> None:
    with tool_call("pay_refund", call_id="call_1", agent_name="triage") as call:
        call.arguments({"order": "A-1"})
        assert call.result([1, 2]) == [1, 2]
    span = kept.span()
    assert (span.name, span.kind) == ("execute_tool pay_refund", SpanKind.INTERNAL)
    assert kept.told() == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "pay_refund",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "call_1",
        "gen_ai.agent.name": "triage",
        "retrospan.input.bytes": len('{"order": "A-1"}'),
        "retrospan.result.bytes": len("[1, 2]"),
    }
    [duration] = kept.points()[names.TOOL_DURATION.name]
    assert dict(duration.attributes) == {
        "gen_ai.tool.name": "pay_refund",
        "gen_ai.tool.type": "function",
        "gen_ai.agent.name": "triage",
    }
    kept.assert_keeps_to_the_names()


def refuse(tool: str) -> None:
    with tool_call(tool) as call:
        call.blocked("above 100 EUR", policy="refund-limit")
        raise PermissionError("blocked")


def test_a_blocked_tool_is_no_error_and_took_no_time(kept: Recording) -> None:
    with pytest.raises(PermissionError):
        refuse("pay_refund")
    assert kept.told()[A.TOOL_BLOCKED.value] is True
    assert kept.told()[A.TOOL_BLOCK_REASON.value] == "above 100 EUR"
    assert kept.told()[A.TOOL_BLOCK_POLICY.value] == "refund-limit"
    assert kept.span().status.status_code is StatusCode.UNSET
    assert names.TOOL_DURATION.name not in kept.points()
    [blocks] = kept.points()[names.TOOL_BLOCKS.name]
    assert blocks.value == 1
    assert dict(blocks.attributes) == {
        "gen_ai.tool.name": "pay_refund",
        "retrospan.tool.block.policy": "refund-limit",
    }
    kept.assert_keeps_to_the_names()


@dataclass
class McpResult:
    is_error: bool


@pytest.mark.parametrize("result", [{"isError": True, "content": []}, McpResult(is_error=True)])
def test_a_tool_that_answers_with_an_error(kept: Recording, result: object) -> None:
    with tool_call("lookup") as call:
        call.result(result)
    assert kept.told()[A.ERROR_TYPE.value] == "tool_error"
    assert kept.span().status.status_code is StatusCode.ERROR


def test_no_content_unless_asked_for(kept: Recording) -> None:
    messages = [{"role": "user", "content": SECRET}, {"role": "user", "content": "please"}]
    with llm_call(model="gpt-4o", provider="openai") as call:
        call.input(messages, system=SECRET)
        call.output(SECRET)
        call.result(OPENAI_CHAT)
    with tool_call("t") as tool:
        tool.arguments({"name": SECRET})
        tool.result(SECRET)
    for span in kept.spans():
        assert SECRET not in span.to_json()
    call_span: dict[str, Any] = dict(kept.spans()[0].attributes or {})
    tool_span: dict[str, Any] = dict(kept.spans()[1].attributes or {})
    assert call_span[A.CALL_MESSAGES.value] == 2
    assert call_span[A.INPUT_BYTES.value] > 2 * len(SECRET)
    assert call_span[A.RESULT_BYTES.value] > len(SECRET)
    assert tool_span[A.RESULT_BYTES.value] == len(SECRET)
    kept.assert_keeps_to_the_names()


def test_content_where_it_is_asked_for(kept: Recording) -> None:
    with llm_call(model="gpt-4o", provider="openai", capture_content=True) as call:
        call.input([{"role": "user", "content": "hi"}], system="be kind")
        call.output("hello")
    told = kept.told()
    part = '[{"role": "%s", "parts": [{"type": "text", "content": "%s"}]}]'
    assert told[GenAI.INPUT_MESSAGES.value] == part % ("user", "hi")
    assert told[GenAI.OUTPUT_MESSAGES.value] == part % ("assistant", "hello")
    assert told[GenAI.SYSTEM_INSTRUCTIONS.value] == '[{"type": "text", "content": "be kind"}]'
    kept.exporter.clear()
    with tool_call("t", capture_content=True) as tool:
        tool.arguments({"a": 1})
        tool.result("x" * (MAX_CONTENT_BYTES + 1))
    assert kept.told()[GenAI.TOOL_ARGUMENTS.value] == '{"a": 1}'
    assert GenAI.TOOL_RESULT.value not in kept.told()
    assert kept.told()[A.RESULT_BYTES.value] == MAX_CONTENT_BYTES + 1
    kept.assert_keeps_to_the_names()


def test_content_that_cannot_be_written_is_left_out(kept: Recording) -> None:
    circle: list[object] = []
    circle.append(circle)
    with tool_call("t", capture_content=True) as call:
        call.arguments(circle)
        call.result({"at": timedelta(1), "in": {1, 2}})
    assert GenAI.TOOL_ARGUMENTS.value not in kept.told()
    assert kept.told()[GenAI.TOOL_RESULT.value] == '{"at": "<timedelta>", "in": [1, 2]}'


def test_a_call_within_the_same_call_is_a_part_of_it(kept: Recording) -> None:
    with llm_call(model="gpt-4o", provider="openai"):
        with llm_call(model="gpt-4o", provider="openai") as part:
            part.result(OPENAI_CHAT)
            part.chunk()
        with pytest.raises(ValueError, match="again"), llm_call(model="gpt-4o", provider="openai"):
            raise ValueError("again")
    assert kept.told()[GenAI.INPUT_TOKENS.value] == 100
    assert kept.told()[A.CALL_CHUNKS.value] == 1
    assert A.ERROR_TYPE.value not in kept.told()
    assert kept.total(names.TOKENS, type="input") == 100


def test_a_call_to_another_model_or_tool_is_its_own(kept: Recording) -> None:
    with (
        llm_call(model="gpt-4o", provider="openai"),
        llm_call(model="gpt-4o-mini", provider="openai"),
        tool_call("a", call_id="1"),
        tool_call("a", call_id="2"),
    ):
        pass
    assert [span.name for span in kept.spans()] == [
        *("execute_tool a", "execute_tool a", "chat gpt-4o-mini", "chat gpt-4o")
    ]


def test_the_span_of_an_instrumentation_is_added_to(kept: Recording) -> None:
    tracer = kept.spans_to.get_tracer("some.instrumentation")
    theirs = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    with (
        tracer.start_as_current_span("chat gpt-4o", attributes=theirs),
        llm_call(model="gpt-4o", provider="openai", attributes={"x": 1}) as call,
    ):
        call.result(OPENAI_CHAT)
        call.chunk()
    told = kept.told()
    assert (told["x"], told[GenAI.PROVIDER.value]) == (1, "openai")
    assert told[GenAI.COST.value] == pytest.approx(0.000475)
    assert kept.total(names.COST) == pytest.approx(0.000475)
    assert set(kept.points()) == {names.COST.name}, "tokens and durations are theirs to count"


def test_a_cost_that_an_instrumentation_wrote_stays(kept: Recording) -> None:
    tracer = kept.spans_to.get_tracer("some.instrumentation")
    with tracer.start_as_current_span("chat gpt-4o") as span:
        span.set_attributes({"gen_ai.operation.name": "chat", "operation.cost": 7.0})
        with llm_call(model="gpt-4o", provider="openai") as call:
            call.result(OPENAI_CHAT)
    assert kept.told()[GenAI.COST.value] == 7.0
    assert names.COST.name not in kept.points()


def test_the_span_of_an_mcp_server_is_added_to(kept: Recording) -> None:
    tracer = kept.spans_to.get_tracer("mcp-python-sdk")
    theirs = {"mcp.method.name": "tools/call", "gen_ai.tool.name": "refund"}
    with (
        tracer.start_as_current_span("tools/call refund", attributes=theirs),
        pytest.raises(PermissionError),
    ):
        refuse("refund")
    assert kept.told()[A.TOOL_BLOCKED.value] is True
    assert kept.told()["mcp.method.name"] == "tools/call"
    assert kept.total(names.TOOL_BLOCKS) == 1


@pytest.mark.parametrize("value", [None, 7, "", [], object(), {"usage": "x"}, float("nan")])
def test_nothing_that_a_program_tells_makes_it_fail(kept: Recording, value: Any) -> None:
    with llm_call(model="gpt-4o", provider="openai", capture_content=True) as call:
        call.result(value)
        call.chunk(value)
        call.input(value, system=value)
        call.output(value)
        call.usage(input_tokens=value)
        call.response(model=value if isinstance(value, str) else None)
    with tool_call("t", capture_content=True) as tool:
        tool.arguments(value)
        tool.result(value)
    assert len(kept.spans()) == 2


class Hostile:
    """An answer whose members cannot be read."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


def test_errors_of_the_tracer_stay_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Recording()

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the provider is broken")

    with kept.active():
        with llm_call(model="gpt-4o", provider="openai") as call:
            call.result(Hostile())
        monkeypatch.setattr(type(kept.spans_to), "get_tracer", broken)
        monkeypatch.setattr(MeterProvider, "get_meter", broken)
        fresh = Recording()
        with (
            using_providers(fresh.spans_to, fresh.meters_to, guard=kept.guard),
            llm_call(model="gpt-4o", provider="openai") as call,
        ):
            call.usage(input_tokens=1)
            call.chunk()
    errors = {str(error) for _, error in kept.guard.errors}
    assert errors == {"no usage", "the provider is broken"}


def test_without_providers_a_call_costs_nothing_but_works() -> None:
    with llm_call(model="gpt-4o", provider="openai") as call:
        call.usage(input_tokens=1)
        assert call.span.is_recording() is False


def test_an_argument_that_is_none_is_refused_like_any_other() -> None:
    with pytest.raises(TypeError, match="'temprature'"):
        llm_call(model="gpt-4o", provider="openai", temprature=1.0)  # type: ignore[call-arg]


def test_every_option_has_a_key() -> None:
    assert RequestOptions.__annotations__.keys() == _OPTIONS.keys()


def test_without_an_instrumentation_its_library_is_not_loaded(
    kept: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.util.genai.invocation", raising=False)
    with llm_call(model="gpt-4o", provider="openai") as call:
        call.usage(input_tokens=1)
    assert "opentelemetry.util.genai.invocation" not in sys.modules
    assert kept.told()[GenAI.INPUT_TOKENS.value] == 1
