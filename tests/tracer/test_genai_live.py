"""Model and tool calls of activities on a real server, with and without an instrumented client."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace.status import StatusCode
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor, Worker

from examples.model_server import ModelServer, Script
from tests.tracer.genai_recording import Recording
from tests.tracer.genai_workflows import QUEUE, WORKFLOWS, Careless, OneStep
from tracer import TracerPlugin, names
from tracer.genai import GenAIEnricher, llm_call, tool_call, using_providers
from tracer.names import Attribute as A
from tracer.names import GenAI

pytestmark = pytest.mark.slow

SCRIPT = Script.model_validate(
    {
        "rules": [
            {
                "name": "any",
                "answer": {"content": "yes, ship it", "cached_tokens": 2, "reasoning_tokens": 5},
            }
        ]
    }
)
MESSAGES: Any = [{"role": "user", "content": "May this cargo be released?"}]


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    with ModelServer(SCRIPT) as server:
        yield server.base_url


@pytest.fixture
def kept() -> Iterator[Recording]:
    kept = Recording()
    enricher = GenAIEnricher(kept.processor(), meter_provider=kept.meters_to, guard=kept.guard)
    kept.spans_to.add_span_processor(enricher)
    yield kept
    assert kept.guard.errors == []


@pytest.fixture
def instrumented(kept: Recording) -> Iterator[None]:
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=kept.spans_to, meter_provider=kept.meters_to)
    yield
    instrumentor.uninstrument()


class Activities:
    """What a user would write."""

    def __init__(self, model_url: str) -> None:
        self._url = model_url

    def _client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=self._url, api_key="local", max_retries=0)

    @activity.defn
    async def ask(self) -> str:
        async with self._client() as client:
            answer = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        return answer.choices[0].message.content or ""

    @activity.defn
    async def ask_watched(self) -> str:
        async with self._client() as client, llm_call(model="gpt-4o", provider="openai") as call:
            answer = call.result(
                await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
            )
        return answer.choices[0].message.content or ""

    @activity.defn
    async def ask_watched_only(self) -> str:
        async with llm_call(model="gpt-4o", provider="openai"):
            return await self.ask()

    @activity.defn
    async def stream_watched(self) -> str:
        async with self._client() as client, llm_call(model="gpt-4o", provider="openai") as call:
            chunks = await client.chat.completions.create(
                model="gpt-4o",
                messages=MESSAGES,
                stream=True,
                stream_options={"include_usage": True},
            )
            texts = [
                c.choices[0].delta.content async for c in chunks if call.chunk(c) and c.choices
            ]
        return "".join(text or "" for text in texts)

    @activity.defn
    def look_up(self) -> str:
        with tool_call("look_up", call_id="call_1") as call:
            if activity.info().attempt == 1:
                raise ConnectionError("customs are closed")
            return call.result("found")


class Providers(Interceptor):
    """Runs activities under the recording's providers."""

    def __init__(self, kept: Recording) -> None:
        self._kept = kept

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _UnderProviders(next, self._kept)


class _UnderProviders(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, kept: Recording) -> None:
        super().__init__(next)
        self._kept = kept

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        with using_providers(self._kept.spans_to, self._kept.meters_to, guard=self._kept.guard):
            return await super().execute_activity(input)


@asynccontextmanager
async def working(address: str, kept: Recording, model_url: str) -> AsyncIterator[Client]:
    plugin = TracerPlugin(tracer_provider=kept.spans_to, meter_provider=kept.meters_to)
    client = await Client.connect(address, plugins=[plugin])
    does = Activities(model_url)
    with ThreadPoolExecutor(2) as threads:
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=WORKFLOWS,
            activities=[
                *(does.ask, does.ask_watched, does.ask_watched_only),
                *(does.stream_watched, does.look_up),
            ],
            activity_executor=threads,
            interceptors=[Providers(kept)],
        ):
            yield client
    assert plugin.flush()
    assert plugin.guard.errors == []


async def run(address: str, kept: Recording, model_url: str, activity_type: str) -> str:
    async with working(address, kept, model_url) as client:
        return await client.execute_workflow(
            OneStep.run, activity_type, id=f"genai-{uuid.uuid4()}", task_queue=QUEUE
        )


def named(kept: Recording, prefix: str) -> list[ReadableSpan]:
    return [span for span in kept.spans() if span.name.startswith(prefix)]


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def assert_child(span: ReadableSpan, parent: ReadableSpan) -> None:
    assert span.parent is not None
    assert span.context is not None
    assert parent.context is not None
    assert span.parent.span_id == parent.context.span_id
    assert span.context.trace_id == parent.context.trace_id


async def test_a_watched_call_nests_under_its_attempt(
    temporal_address: str, kept: Recording, model_url: str
) -> None:
    assert await run(temporal_address, kept, model_url, "ask_watched") == "yes, ship it"
    [attempt] = named(kept, "attempt ask_watched")
    [call] = named(kept, "chat")
    assert_child(call, attempt)
    usage = told(call)
    assert usage[GenAI.CACHE_READ_TOKENS.value] == 2
    assert usage[GenAI.REASONING_TOKENS.value] == 5
    assert usage[GenAI.COST.value] > 0
    [cost] = kept.points()[names.COST.name]
    assert dict(cost.attributes) == {
        "temporal.namespace": "default",
        "temporal.workflow.type": "OneStep",
        "temporal.activity.type": "ask_watched",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o",
    }


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize(
    "activity_type", ["ask", "ask_watched", "ask_watched_only", "stream_watched"]
)
async def test_an_instrumented_client_makes_no_second_span(
    temporal_address: str, kept: Recording, model_url: str, activity_type: str
) -> None:
    assert await run(temporal_address, kept, model_url, activity_type) == "yes, ship it"
    [attempt] = named(kept, f"attempt {activity_type}")
    [call] = named(kept, "chat")
    assert_child(call, attempt)
    usage = told(call)
    assert call.name == "chat gpt-4o"
    assert usage[GenAI.RESPONSE_ID.value].startswith("chatcmpl-")
    assert usage[GenAI.FINISH_REASONS.value] == ("stop",)
    assert usage[GenAI.SERVER_ADDRESS.value] == "127.0.0.1"
    tokens = usage[GenAI.INPUT_TOKENS.value], usage[GenAI.OUTPUT_TOKENS.value]
    assert min(tokens) > 5
    assert (usage[GenAI.CACHE_READ_TOKENS.value], usage[GenAI.REASONING_TOKENS.value]) == (2, 5)
    # Whoever owns the span: each number is measured once.
    assert kept.total(names.TOKENS) == sum(tokens)
    assert kept.total(names.COST) == pytest.approx(usage[GenAI.COST.value])
    durations = kept.points()[names.MODEL_CALL_DURATION.name]
    assert sum(point.count for point in durations) == 1
    [cost] = kept.points()[names.COST.name]
    assert cost.attributes[A.WORKFLOW_TYPE.value] == "OneStep"
    if activity_type == "stream_watched":
        assert usage[A.CALL_CHUNKS.value] > 2
        assert 0 < usage[GenAI.TIME_TO_FIRST_CHUNK.value] < 20
        [first] = kept.points()[names.TIME_TO_FIRST_CHUNK.name]
        assert first.count == 1


async def test_each_attempt_has_its_own_tool_call(
    temporal_address: str, kept: Recording, model_url: str
) -> None:
    assert await run(temporal_address, kept, model_url, "look_up") == "found"
    attempts = sorted(named(kept, "attempt"), key=lambda s: told(s)[A.ACTIVITY_ATTEMPT.value])
    calls = sorted(named(kept, "execute_tool look_up"), key=lambda s: s.start_time or 0)
    assert len(attempts) == len(calls) == 2
    for call, attempt in zip(calls, attempts, strict=True):
        assert_child(call, attempt)
    assert told(calls[0])[A.ERROR_TYPE.value] == "ConnectionError"
    assert [call.status.status_code for call in calls] == [StatusCode.ERROR, StatusCode.UNSET]


async def test_workflow_code_emits_no_calls(
    temporal_address: str, kept: Recording, model_url: str
) -> None:
    async with working(temporal_address, kept, model_url) as client:
        result = await client.execute_workflow(
            Careless.run, id=f"careless-{uuid.uuid4()}", task_queue=QUEUE
        )
    assert result == "twelve"
    assert named(kept, "chat") == named(kept, "execute_tool") == []
    assert not kept.points().keys() & {metric.name for metric in names.GENAI_METRICS}
