"""What answers each step that a fork asks for: the recording, the policy, or nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.converter import DataConverter

from replayer.fork._answers import AnswerBook, Asked
from replayer.fork._endings import Ending, ending_of, failed
from replayer.fork.changes import Changes, Root, payloads_set
from replayer.fork.errors import ForkError
from replayer.fork.points import ForkPoint
from replayer.fork.policy import StubAnswer, Stubs
from replayer.fork.report import AnswerSource
from replayer.fork.script import Script
from tracer.model import Outcome, Step, StepKind

_RUNNABLE = frozenset({StepKind.ACTIVITY, StepKind.LOCAL_ACTIVITY})
_SHOWN_INPUT = 2_000
"""Characters of an unanswered step's input that a report shows."""


class Live(Protocol):
    """Runs real activities."""

    def knows(self, name: str) -> bool:
        """Whether there is one of that name."""
        ...

    async def run(self, asked: Asked) -> tuple[Ending, int]:
        """Run it, as often as its retry policy allows; its end and the number of attempts."""
        ...


@dataclass(slots=True)
class Plan:
    """How a step will be answered."""

    asked: Asked
    asked_at: int
    """In the fork's time, nanoseconds."""
    source: AnswerSource
    ending: Ending | None = None
    """None while it is unknown."""
    attempts: int = 1
    recorded: Step | None = None
    """The step of the recording that answers."""
    note: str = ""
    live: asyncio.Task[tuple[Ending, int]] | None = None
    is_delivered: bool = False
    closed_at: int | None = None
    ordinal: int = 1
    """Of a request to another workflow: the how manieth to that one."""

    @property
    def is_answerable(self) -> bool:
        """Whether an answer can be given now."""
        return self.ending is not None and not self.is_delivered

    @property
    def blocks(self) -> bool:
        """Whether the fork waits for an answer that nobody has."""
        return self.source is AnswerSource.UNANSWERED and not self.asked.is_given_up

    @property
    def never_started(self) -> bool:
        """Whether it is a child workflow that could not be started when it was recorded."""
        step = self.recorded
        is_child = step is not None and step.kind is StepKind.CHILD_WORKFLOW
        return is_child and step is not None and step.started_at is None

    @property
    def due(self) -> int:
        """When the answer comes, in the fork's time: after as long as it was recorded to take."""
        return self.asked_at + self.duration_ns

    @property
    def duration_ns(self) -> int:
        """How long the step takes."""
        if self.asked.kind is StepKind.TIMER:
            return self.asked.delay_ns
        step = self.recorded
        took = None if step is None else step.duration_ns
        return took or 0


@dataclass(slots=True)
class Planner:
    """Finds the answers."""

    script: Script
    point: ForkPoint
    changes: Changes
    book: AnswerBook
    converter: DataConverter
    stubs: Stubs | None = None
    live: Live | None = None
    used: list[Plan] = field(default_factory=list)
    """Every plan that was made, in its order."""

    async def plan(self, asked: Asked, at: int) -> Plan:
        """Decide how a step is answered."""
        plan = await self._plan(asked, at)
        self.used.append(plan)
        return plan

    async def _plan(self, asked: Asked, at: int) -> Plan:
        match = self.book.match(asked)
        step = match.step if match is not None else None
        again = "asked for again" if match is not None and match.is_again else ""
        if asked.kind is StepKind.TIMER:
            return Plan(asked, at, AnswerSource.CLOCK, recorded=step)
        event = self.script.closing_of(step) if step is not None else None
        if step is None or event is None:
            note = "the recording ends before its answer" if step is not None else again
            open_plan = Plan(asked, at, AnswerSource.UNANSWERED, recorded=step, note=note)
            return await self._by_policy(open_plan)
        assert step.outcome is not None
        plan = Plan(asked, at, AnswerSource.RECORDED, ending_of(event, step.outcome))
        plan.recorded, plan.note = step, again
        plan.attempts = max(step.attempt_count, 1)
        if step is self.point.step and not again:
            await self._change(plan)
        return plan

    async def _change(self, plan: Plan) -> None:
        if self.changes.fail is not None:
            plan.ending = failed(
                application_failure(self.changes.fail.type, self.changes.fail.message)
            )
        elif sets := self.changes.sets_of(Root.OUTPUT):
            payloads = await self.decoded(_payloads(plan.ending))
            where = f"the output of {plan.asked.name}"
            new = await self.encoded(payloads_set(payloads, sets, where=where))
            plan.ending = Ending(Outcome.COMPLETED, result=Payloads(payloads=new))
        else:
            return
        plan.source = AnswerSource.CHANGED

    async def _by_policy(self, plan: Plan) -> Plan:
        name, kind = plan.asked.name, plan.asked.kind
        if self.stubs is not None and name in self.stubs:
            arguments = await self._arguments(plan.asked)
            plan.ending = await self._stubbed(self.stubs.answer(name, lambda: arguments))
            plan.source = AnswerSource.STUBBED
        elif self.live is not None and kind in _RUNNABLE and self.live.knows(name):
            plan.source = AnswerSource.LIVE
            plan.live = asyncio.create_task(self.live.run(plan.asked))
        return plan

    async def _stubbed(self, answer: StubAnswer) -> Ending:
        if answer.failure is not None:
            failure = Failure()
            await self.converter.encode_failure(answer.failure, failure)
            failure.application_failure_info.non_retryable = True
            return failed(failure)
        try:
            payloads = await self.converter.encode([answer.result])
        except Exception as error:
            raise ForkError(f"a stub's result cannot be encoded: {error}") from error
        return Ending(Outcome.COMPLETED, result=Payloads(payloads=payloads))

    async def _arguments(self, asked: Asked) -> Sequence[Any]:
        """What a stub function gets: the arguments as plain JSON values."""
        return [_plain(payload) for payload in asked.input]

    async def decoded(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Payloads as they were before the codec."""
        codec = self.converter.payload_codec
        return list(await codec.decode(payloads)) if codec and payloads else list(payloads)

    async def encoded(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Payloads as they go to the server."""
        codec = self.converter.payload_codec
        return list(await codec.encode(payloads)) if codec and payloads else list(payloads)

    async def decoded_ending(self, ending: Ending) -> Ending:
        """The ending as workflow code sees it."""
        codec = self.converter.payload_codec
        if codec is None or ending.failure is None:
            return ending
        failure = Failure()
        failure.CopyFrom(ending.failure)
        await codec.decode_failure(failure)
        return Ending(ending.outcome, ending.result, failure, ending.details, ending.retry_state)


async def book_of(
    script: Script, decode: Callable[[Sequence[Payload]], Awaitable[list[Payload]]]
) -> AnswerBook:
    """The answers of a recording."""
    return AnswerBook([(step, await decode(step.input)) for step in script.steps])


def application_failure(kind: str, message: str) -> Failure:
    """A failure as an activity raises it."""
    info = ApplicationFailureInfo(type=kind, non_retryable=True)
    return Failure(message=message, source="RetrospanFork", application_failure_info=info)


def input_text(payloads: Sequence[Payload]) -> str:
    """An input for people and stub files: JSON where it is, cut where it is long."""
    text = ", ".join(json.dumps(_plain(payload), ensure_ascii=False) for payload in payloads)
    return text if len(text) <= _SHOWN_INPUT else text[:_SHOWN_INPUT] + "…"


def _plain(payload: Payload) -> Any:
    if payload.metadata.get("encoding", b"").startswith(b"json/"):
        try:
            return json.loads(payload.data)
        except (ValueError, RecursionError):
            pass
    if payload.metadata.get("encoding") == b"binary/null":
        return None
    return f"<{len(payload.data)} bytes>"


def _payloads(ending: Ending | None) -> Sequence[Payload]:
    return ending.result.payloads if ending is not None and ending.result is not None else ()
