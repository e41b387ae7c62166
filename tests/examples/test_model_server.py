"""The stand-in for a model API, through the real OpenAI client."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from examples.model_client import connect
from examples.model_server import ModelServer, ScriptError, count_tokens, load_script
from examples.model_server._answer import chunks, make_reply, whole
from examples.model_server._request import RequestError, parse_request
from examples.model_server._script import Answer

RULES: list[dict[str, Any]] = [
    {
        "name": "greeting",
        "model": "gpt-4o-mini",
        "last": r"hello (?P<who>\w+)",
        "answer": {
            "content": r"Good morning \g<who>, what can I do for you today?",
            "cached_tokens": 3,
            "reasoning_tokens": 5,
            "served_by": "gpt-4o-mini-2024-07-18",
        },
    },
    {
        "name": "weather",
        "last": "weather",
        "tools": ["forecast"],
        "answer": {"tool_calls": [{"name": "forecast", "arguments": {"city": "Oslo", "days": 2}}]},
    },
    {"name": "no tools", "last": "weather", "tools": False, "answer": {"content": "I cannot."}},
    {
        "name": "remembers",
        "last": "and now",
        "anywhere": r"my name is (?P<who>\w+)",
        "answer": {"content_json": {"name": r"\g<who>"}},
    },
    {
        "name": "limited",
        "last": "limited",
        "fault": {"kind": "rate_limit", "seconds": 1.2, "first": 2},
        "answer": {"content": "at last"},
    },
    {"name": "down", "last": "down", "fault": {"kind": "server_error"}},
    {
        "name": "broken",
        "last": "broken",
        "fault": {"kind": "malformed"},
        "answer": {"content": "one two three four five six"},
    },
    {
        "name": "slow",
        "last": "slow",
        "fault": {"kind": "slow", "seconds": 0.3},
        "answer": {"content": "here"},
    },
    {
        "name": "very slow",
        "last": "for ever",
        "fault": {"kind": "slow", "seconds": 60},
        "answer": {"content": "here"},
    },
]
FORECAST: Any = {
    "type": "function",
    "function": {"name": "forecast", "parameters": {"type": "object"}},
}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script file with every kind of rule."""
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"rules": RULES}), encoding="utf-8")
    return path


@pytest.fixture
def server(script: Path) -> Iterator[ModelServer]:
    """A running server."""
    with ModelServer(script) as running:
        yield running


@pytest.fixture
async def client(server: ModelServer) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of the running server."""
    async with connect(server.base_url) as connected:
        yield connected


async def ask(client: openai.AsyncOpenAI, *texts: str, user: str = "", **options: Any) -> Any:
    """Send user messages to gpt-4o-mini."""
    messages: Any = [{"role": "user", "content": text} for text in texts]
    return await client.chat.completions.create(
        model="gpt-4o-mini", messages=messages, user=user, **options
    )


def port_of(server: ModelServer) -> int:
    port = urlsplit(server.base_url).port
    assert port is not None
    return port


async def test_answers_with_captured_groups_and_counted_usage(
    client: openai.AsyncOpenAI,
) -> None:
    completion = await ask(client, "hello Ada")
    content = "Good morning Ada, what can I do for you today?"
    assert completion.choices[0].message.content == content
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "gpt-4o-mini-2024-07-18"
    assert completion.usage.prompt_tokens == 4 + count_tokens("hello Ada")
    assert completion.usage.completion_tokens == count_tokens(content) + 5
    total = completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion.usage.total_tokens == total
    assert completion.usage.prompt_tokens_details.cached_tokens == 3
    assert completion.usage.completion_tokens_details.reasoning_tokens == 5


async def test_longer_prompts_cost_more(client: openai.AsyncOpenAI) -> None:
    short = await ask(client, "hello Ada")
    long = await ask(client, "a long story " * 20, "hello Ada")
    assert long.usage.prompt_tokens - short.usage.prompt_tokens == 4 + 65


async def test_streams_the_same_answer_and_usage(client: openai.AsyncOpenAI) -> None:
    completion = await ask(client, "hello Ada")
    stream = await ask(client, "hello Ada", stream=True, stream_options={"include_usage": True})
    received = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in received if c.choices)
    assert text == completion.choices[0].message.content
    assert len(received) > 4
    assert received[-1].choices == []
    assert received[-1].usage == completion.usage
    assert all(chunk.usage is None for chunk in received[:-1])


async def test_usage_is_streamed_only_on_request(client: openai.AsyncOpenAI) -> None:
    received = [chunk async for chunk in await ask(client, "hello Ada", stream=True)]
    assert received[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in received)


async def test_tool_calls_need_the_tool_on_offer(client: openai.AsyncOpenAI) -> None:
    offered = await ask(client, "what weather?", tools=[FORECAST])
    call = offered.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "forecast",
        {"city": "Oslo", "days": 2},
    )
    assert offered.choices[0].finish_reason == "tool_calls"
    without = await ask(client, "what weather?")
    assert without.choices[0].message.content == "I cannot."
    assert offered.usage.prompt_tokens > without.usage.prompt_tokens


async def test_streamed_tool_calls_add_up(client: openai.AsyncOpenAI) -> None:
    stream = await ask(client, "what weather?", tools=[FORECAST], stream=True)
    deltas = [c.choices[0].delta.tool_calls async for c in stream if c.choices]
    calls = [call for delta in deltas for call in delta or []]
    assert calls[0].function.name == "forecast"
    assert calls[0].id
    text = "".join(call.function.arguments for call in calls)
    assert json.loads(text) == {"city": "Oslo", "days": 2}


async def test_rules_may_look_at_the_whole_conversation(client: openai.AsyncOpenAI) -> None:
    completion = await ask(client, "my name is Grace", "and now?")
    assert json.loads(completion.choices[0].message.content) == {"name": "Grace"}


async def test_a_fault_strikes_the_first_requests_of_each_conversation(
    server: ModelServer, client: openai.AsyncOpenAI
) -> None:
    for user in ("run-1", "run-2"):
        for _ in range(2):
            with pytest.raises(openai.RateLimitError) as caught:
                await ask(client, "limited", user=user)
            assert caught.value.response.headers["retry-after"] == "2"
            assert caught.value.response.headers["retry-after-ms"] == "1200"
        completion = await ask(client, "limited", user=user)
        assert completion.choices[0].message.content == "at last"
    outcomes = [call.outcome for call in server.calls if call.conversation == "run-2"]
    assert outcomes == ["rate_limit", "rate_limit", "answer"]


async def test_a_server_error_without_end(client: openai.AsyncOpenAI) -> None:
    for _ in range(3):
        with pytest.raises(openai.InternalServerError):
            await ask(client, "down")


async def test_malformed_bodies_break_the_client(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(json.JSONDecodeError):
        await ask(client, "broken")
    stream = await ask(client, "broken", stream=True)
    with pytest.raises(json.JSONDecodeError):
        async for _ in stream:
            pass


async def test_a_slow_answer_is_late_and_right(client: openai.AsyncOpenAI) -> None:
    started = time.perf_counter()
    completion = await ask(client, "slow")
    assert time.perf_counter() - started >= 0.3
    assert completion.choices[0].message.content == "here"


async def test_ids_differ_between_equal_requests(client: openai.AsyncOpenAI) -> None:
    first = await ask(client, "hello Ada", user="run-1")
    again = await ask(client, "hello Ada", user="run-1")
    other = await ask(client, "hello Ada", user="run-2")
    assert len({first.id, again.id, other.id}) == 3


async def test_no_rule_is_refused_with_what_to_do(
    server: ModelServer, client: openai.AsyncOpenAI
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await ask(client, "an unknown question")
    message = str(caught.value)
    assert "script.json: no rule matches model 'gpt-4o-mini'" in message
    assert "'an unknown question'" in message
    assert "add a rule" in message
    assert server.calls[-1].outcome == "no_rule"


async def test_two_servers_do_not_meet(script: Path) -> None:
    async with ModelServer(script) as one, ModelServer(script) as two:
        assert one.base_url != two.base_url
        async with connect(one.base_url) as client:
            await ask(client, "hello Ada")
        assert len(one.calls) == 1
        assert two.calls == ()


async def test_leaving_the_context_ends_thread_and_port(script: Path) -> None:
    async with ModelServer(script) as server:
        port = port_of(server)
        async with connect(server.base_url) as client:
            waiting = asyncio.create_task(ask(client, "wait for ever"))
            while not server.calls:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(server.stop)
            with pytest.raises(openai.APIError):
                await waiting
    assert "model-server" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_the_address_needs_a_running_server(script: Path) -> None:
    with pytest.raises(RuntimeError, match="enter its context first"):
        _ = ModelServer(script).base_url


def test_a_server_runs_once(script: Path) -> None:
    with ModelServer(script) as server, pytest.raises(RuntimeError, match="runs once"):
        server.start()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", ":1:2: Expecting property name"),
        ("[]", "script: "),
        ('{"rules": []}', "rules: "),
        ('{"rules": [{"name": "a", "anser": {}}]}', "rules.0.anser (a): Extra inputs"),
        ('{"rules": [{"name": "a"}]}', "rules.0 (a): needs an answer"),
        (
            '{"rules": [{"name": "a", "answer": {"cached_tokens": 3}}]}',
            "rules.0.answer (a): needs content, content_json or tool_calls",
        ),
        (
            '{"rules": [{"name": "a", "answer": {"content": "x", "content_json": 1}}]}',
            "either content or content_json",
        ),
        (
            '{"rules": [{"name": "a", "last": "(", "answer": {"content": "x"}}]}',
            "rules.0.last (a): is not a regular expression",
        ),
        (
            '{"rules": [{"name": "a", "last": "(?P<x>.)", "answer": {"content": "\\\\g<y>"}}]}',
            "the answer refers to group 'y'; the patterns have ['x']",
        ),
        (
            '{"rules": [{"name": "a", "fault": {"kind": "server_error", "first": 2}}]}',
            "rules.0 (a): needs an answer for the requests that its fault lets through",
        ),
        (
            '{"rules": [{"name": "a", "fault": {"kind": "fire"}, "answer": {"content": "x"}}]}',
            "rules.0.fault.kind (a): Input should be 'rate_limit'",
        ),
    ],
)
def test_a_bad_script_is_one_line_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScriptError) as caught:
        ModelServer(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert problem in message
    assert "\n" not in message


def test_unreadable_scripts_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"missing\.json: cannot be read: No such file"):
        load_script(tmp_path / "missing.json")
    binary = tmp_path / "binary.json"
    binary.write_bytes(b'{"rules": "\xff"}')
    with pytest.raises(ScriptError, match="byte 11: expected UTF-8"):
        load_script(binary)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an object"),
        (b'{"messages": [{}]}', "'model'"),
        (b'{"model": "m", "messages": []}', "'messages' must not be empty"),
        (b'{"model": "m", "messages": [1]}', "'messages' must be an array of objects"),
        (b'{"model": "m", "messages": [{}], "tools": [{}]}', "'tools'"),
    ],
)
def test_bad_requests_are_refused(body: bytes, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        parse_request(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
requests = st.fixed_dictionaries(
    {"model": st.just("m") | json_values, "messages": json_values},
    optional={"tools": json_values, "user": json_values, "stream_options": json_values},
)


# Hypothesis builds its table of characters with the first text on a machine, which takes seconds.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(st.binary() | requests.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        request = parse_request(body)
    except RequestError:
        return
    assert request.model
    assert request.messages
    assert count_tokens("".join(request.messages)) >= 0


@unhurried
@given(
    content=st.none() | st.text(),
    arguments=st.dictionaries(st.text(), st.text(), max_size=3),
    reasoning=st.integers(0, 50),
)
def test_chunks_add_up_to_the_whole(
    content: str | None, arguments: dict[str, str], reasoning: int
) -> None:
    answer = Answer.model_validate(
        {
            "content": content,
            "tool_calls": [{"name": "tool", "arguments": arguments}],
            "reasoning_tokens": reasoning,
        }
    )
    body = {"model": "m", "messages": [{"content": "hello"}]}
    request = parse_request(json.dumps(body).encode())
    reply = make_reply(request, answer, {}, nth=1, created=0)
    completion = ChatCompletion.model_validate(whole(reply))
    streamed = [
        ChatCompletionChunk.model_validate(chunk) for chunk in chunks(reply, include_usage=True)
    ]
    deltas = [chunk.choices[0].delta for chunk in streamed if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == (content or "")
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    text = "".join(call.function.arguments or "" for call in calls if call.function)
    assert json.loads(text) == arguments
    assert streamed[-1].usage == completion.usage
    assert completion.usage is not None
    assert completion.usage.completion_tokens >= reasoning
