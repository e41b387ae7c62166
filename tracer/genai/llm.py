"""`llm_call`: the span and the metrics of one model call, for clients that nothing instruments.

It writes the current GenAI convention and no content unless asked to. Usage follows one rule
wherever it comes from: input includes cached tokens, output includes reasoning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final, TypedDict, TypeVar, Unpack

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.util.types import AttributeValue

from tracer import names
from tracer.genai import prices
from tracer.genai._content import as_messages, fits, json_text, size_of
from tracer.genai._facts import measure_cost, measure_tokens, price_attributes, usage_attributes
from tracer.genai._instrumented import collecting, known_of, usage_of
from tracer.genai._instruments import GenAIMeters
from tracer.genai._operation import Operation, Role, attributes_of
from tracer.genai.reading import INFERENCE_OPERATIONS, GenAICall, canonical_provider
from tracer.genai.results import usage_in_chunk, usage_in_result
from tracer.genai.usage import ModelUsage, token_count
from tracer.names import Attribute as A
from tracer.names import GenAI

__all__ = ["LLMCall", "RequestOptions", "llm_call"]

_T = TypeVar("_T")


class RequestOptions(TypedDict, total=False):
    """What was asked of the model; `None` means not set."""

    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: float | None
    frequency_penalty: float | None
    presence_penalty: float | None
    stop_sequences: Sequence[str] | None
    seed: int | None
    choice_count: int | None
    stream: bool | None
    reasoning_level: str | None
    encoding_formats: Sequence[str] | None
    output_type: str | None
    """`text`, `json`, `image` or `speech`."""


_OPTIONS: Final[Mapping[str, GenAI]] = {
    "max_tokens": GenAI.REQUEST_MAX_TOKENS,
    "temperature": GenAI.REQUEST_TEMPERATURE,
    "top_p": GenAI.REQUEST_TOP_P,
    "top_k": GenAI.REQUEST_TOP_K,
    "frequency_penalty": GenAI.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": GenAI.REQUEST_PRESENCE_PENALTY,
    "stop_sequences": GenAI.REQUEST_STOP_SEQUENCES,
    "seed": GenAI.REQUEST_SEED,
    "choice_count": GenAI.REQUEST_CHOICE_COUNT,
    "stream": GenAI.REQUEST_STREAM,
    "reasoning_level": GenAI.REQUEST_REASONING_LEVEL,
    "encoding_formats": GenAI.REQUEST_ENCODING_FORMATS,
    "output_type": GenAI.OUTPUT_TYPE,
}


def llm_call(
    *,
    model: str,
    provider: str,
    operation: str = "chat",
    conversation_id: str | None = None,
    agent_name: str | None = None,
    server_address: str | None = None,
    server_port: int | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    capture_content: bool = False,
    **request: Unpack[RequestOptions],
) -> LLMCall:
    """A model call that is about to be made: enter it, make the call, tell what came of it.

        async with llm_call(model="claude-sonnet-4-5", provider="anthropic") as call:
            return call.result(await client.messages.create(...))

    Where the call is instrumented already there is still one span: an instrumentation based on
    `opentelemetry-util-genai` inside gives way, and if the current span is that of the same call,
    it is added to. Around a client of another instrumentation this is one span too many; with a
    `GenAIEnricher` its tokens and cost are still counted once. Read a stream to its end inside.
    In workflow code nothing happens.

    Args:
        model: The model asked for.
        provider: Who serves it, preferably as OpenTelemetry spells it: `openai`, `mistral_ai`.
        operation: `chat`, `generate_content`, `text_completion` or `embeddings`.
        conversation_id: Of the conversation or thread that this call belongs to.
        agent_name: Of the agent that makes the call.
        server_address: Host of the endpoint.
        server_port: Its port.
        attributes: More attributes for the span.
        capture_content: Put messages onto the span, not only their number and size.
        **request: What was asked of the model.

    Raises:
        TypeError: An argument that is none of these.
    """
    if unknown := request.keys() - _OPTIONS.keys():
        raise TypeError(f"llm_call() got an unexpected keyword argument {min(unknown)!r}")
    start: dict[str, object] = {
        GenAI.OPERATION.value: operation,
        GenAI.PROVIDER.value: canonical_provider(provider),
        GenAI.REQUEST_MODEL.value: model,
        GenAI.CONVERSATION_ID.value: conversation_id,
        GenAI.AGENT_NAME.value: agent_name,
        GenAI.SERVER_ADDRESS.value: server_address,
        GenAI.SERVER_PORT.value: server_port,
    }
    start |= {_OPTIONS[name].value: value for name, value in request.items()}
    told: dict[str, Any] = {key: value for key, value in start.items() if value is not None}
    everything = {**(attributes or {}), **told}
    return LLMCall(operation, model, canonical_provider(provider), everything, capture_content)


class LLMCall(Operation):
    """A model call under way; `llm_call` makes it."""

    def __init__(
        self,
        operation: str,
        model: str,
        provider: str,
        attributes: dict[str, AttributeValue],
        capture_content: bool,
    ) -> None:
        super().__init__(f"{operation} {model}".strip(), trace.SpanKind.CLIENT, attributes)
        self._operation = operation
        self._model = model
        self._provider = provider
        self._captures = capture_content
        self._usage = ModelUsage()
        self._inner: list[ModelUsage] = []
        self._told_cost: float | None = None
        self._chunks = 0
        self._last_chunk_s: float | None = None

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read: int | None = None,
        cache_write: int | None = None,
        reasoning: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Tell what the call used. Told again, newer numbers replace older ones.

        Args:
            input_tokens: All of them, cached ones included.
            output_tokens: All of them, reasoning included.
            cache_read: Part of the input that came from a cache.
            cache_write: Part of the input that was written to a cache.
            reasoning: Part of the output that nobody sees.
            cost_usd: What the provider says that the call cost; goes before any price list.
        """
        with self._shielded("noting the usage of"):
            target = self._target
            told = ModelUsage(
                input_tokens=token_count(input_tokens),
                output_tokens=token_count(output_tokens),
                cache_read_tokens=token_count(cache_read),
                cache_write_tokens=token_count(cache_write),
                reasoning_tokens=token_count(reasoning),
            )
            target._usage = target._usage.updated(told)
            if cost_usd is not None and _is_amount(cost_usd):
                target._told_cost = float(cost_usd)

    def response(
        self,
        *,
        model: str | None = None,
        id: str | None = None,
        finish_reasons: Sequence[str] | None = None,
    ) -> None:
        """Tell which model answered, under which id, and why it stopped."""
        with self._shielded("noting the response of"):
            target = self._target
            told = ModelUsage(model=model or "", response_id=id or "")
            target._usage = target._usage.updated(told)
            if finish_reasons:
                target._attributes[GenAI.FINISH_REASONS.value] = list(finish_reasons)

    def result(self, result: _T) -> _T:
        """Read usage, model and id out of an answer of a known shape, and hand it back.

        Known are the answers of OpenAI and of those who imitate it, Mistral, Anthropic, Google and
        Bedrock, as objects of their clients or as parsed JSON. Others are left alone.
        """
        with self._shielded("reading the result of"):
            if usage := usage_in_result(result):
                self._target._usage = self._target._usage.updated(usage)
        return result

    def chunk(self, chunk: _T | None = None) -> _T | None:
        """Tell that a chunk of a streamed answer has come; handed over, its usage is read."""
        with self._shielded("noting a chunk of"):
            target = self._target
            target._note_chunk()
            if chunk is not None and (usage := usage_in_chunk(chunk)):
                target._usage = target._usage.updated(usage)
        return chunk

    def input(self, messages: object, *, system: object = None) -> None:
        """Tell what the model is given: its number and size, its text only if captured.

        Args:
            messages: A text, a message, or a list of messages.
            system: The system's instructions, where they are not among the messages.
        """
        with self._shielded("noting the input of"):
            target = self._target
            listed = as_messages(messages)
            texts = [text for text in (json_text(listed), json_text(system)) if text is not None]
            target._attributes[A.CALL_MESSAGES.value] = len(listed)
            target._attributes[A.INPUT_BYTES.value] = sum(size_of(text) for text in texts)
            target._capture(GenAI.INPUT_MESSAGES, listed)
            if system is not None:
                parts = [{"type": "text", "content": system}] if isinstance(system, str) else system
                target._capture(GenAI.SYSTEM_INSTRUCTIONS, parts)

    def output(self, messages: object) -> None:
        """Tell what the model said: its size, its text only if captured."""
        with self._shielded("noting the output of"):
            target = self._target
            if isinstance(messages, str):
                messages = {"role": "assistant", "content": messages}
            listed = as_messages(messages)
            target._attributes[A.RESULT_BYTES.value] = size_of(json_text(listed) or "")
            target._capture(GenAI.OUTPUT_MESSAGES, listed)

    def adopt(self, usage: ModelUsage) -> None:
        """Take over the usage of a call inside that an instrumentation has seen.

        It counts unless this call is told its usage itself.
        """
        with self._shielded("adopting the usage of a call in"):
            self._target._inner.append(usage.balanced())

    def _note_chunk(self) -> None:
        now, earlier = self._elapsed, self._last_chunk_s
        self._chunks, self._last_chunk_s = self._chunks + 1, now
        if earlier is None:
            self._attributes[GenAI.TIME_TO_FIRST_CHUNK.value] = now
        elif self._sinks is not None and self._role is Role.OWNER:
            # Now rather than at the end: a thousand at once would hold up an event loop.
            meters = self._sinks.meters
            meters.measure(names.TIME_PER_CHUNK, now - earlier, self._asked, self._context)

    def _capture(self, key: GenAI, content: object) -> None:
        text = json_text(content) if self._captures else None
        if text is not None and fits(text):
            self._attributes[key.value] = text

    def _is_same(self, call: GenAICall) -> bool:
        models = {call.request_model, self._model} - {""}
        both_infer = call.is_inference and self._operation in INFERENCE_OPERATIONS
        return (both_infer or call.operation == self._operation) and len(models) < 2

    def _inner_context(self, context: Context) -> Context:
        prices.preload()
        if self._role is not Role.OWNER:
            return context
        return collecting(context, self._operation, self._take)

    def _take(self, data: Any) -> None:
        with self._shielded("hearing of an instrumented call in"):
            self.adopt(usage_of(data))
            for key, value in known_of(data).items():
                self._attributes.setdefault(key, value)

    def _complete(self) -> None:
        usage = self._total_usage()
        self._attributes.update(usage_attributes(usage))
        if usage.finish_reason:
            self._attributes.setdefault(GenAI.FINISH_REASONS.value, [usage.finish_reason])
        if self._chunks:
            self._attributes[GenAI.REQUEST_STREAM.value] = True
            self._attributes[A.CALL_CHUNKS.value] = self._chunks
        if not self._is_priced_by_its_owner():
            self._attributes.update(self._cost_attributes(usage))

    def _total_usage(self) -> ModelUsage:
        """What was told here goes before what instrumented calls inside have told."""
        inner = ModelUsage()
        for usage in self._inner:
            inner = inner.plus(usage)
        return inner.updated(self._usage).balanced()

    def _is_priced_by_its_owner(self) -> bool:
        return self._role is Role.GUEST and GenAI.COST.value in attributes_of(self._span)

    def _cost_attributes(self, usage: ModelUsage) -> dict[str, AttributeValue]:
        if self._told_cost is not None:
            return {GenAI.COST.value: self._told_cost, A.PRICE_SOURCE.value: "provider"}
        if self._operation not in INFERENCE_OPERATIONS:
            return {}
        if self._usage.is_reported or not self._inner:
            return price_attributes([self._cost_of(usage, self._provider)])
        # Calls inside may have gone to different models: each has a price of its own.
        told = [self._cost_of(part, part.provider or self._provider) for part in self._inner]
        return price_attributes(told)

    def _cost_of(self, usage: ModelUsage, provider: str) -> prices.Cost | None:
        return prices.cost_of(usage, provider, (usage.model, self._model), self._started_at)

    def _measure(self, meters: GenAIMeters, seconds: float) -> None:
        known = self._known
        cost = self._attributes.get(GenAI.COST.value)
        if isinstance(cost, float):
            measure_cost(meters, cost, known, self._context)
        if self._role is not Role.OWNER:
            return  # Whoever owns the span has counted the rest.
        meters.measure(names.MODEL_CALL_DURATION, seconds, known, self._context)
        measure_tokens(meters, self._total_usage(), known, self._context)
        first = known.get(GenAI.TIME_TO_FIRST_CHUNK.value)
        if isinstance(first, float):
            meters.measure(names.TIME_TO_FIRST_CHUNK, first, known, self._context)


def _is_amount(value: float) -> bool:
    return isfinite(value) and value >= 0
