"""Histories of live runs, and tapes of them."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from replayer.history import RunHistory, from_server
from replayer.tape import Kind, State, Stop, Tape, Value, open_tape, record_here
from tests.replayer.tape_workflows import QUEUE, WORKFLOWS, weigh

type Shown = tuple[object, ...]


@asynccontextmanager
async def working(address: str, **options: Any) -> AsyncIterator[Client]:
    client = await Client.connect(address)
    async with Worker(client, task_queue=QUEUE, workflows=WORKFLOWS, activities=[weigh], **options):
        yield client


async def started(client: Client, workflow: type, *args: Any) -> WorkflowHandle[Any, Any]:
    name = workflow.__name__
    return await client.start_workflow(
        name, args=args, id=f"{name}-{uuid.uuid4()}", task_queue=QUEUE
    )


async def history_of(client: Client, handle: WorkflowHandle[Any, Any]) -> RunHistory:
    return await from_server(client, handle.id)


@dataclass
class Taped:
    """A run with its tape."""

    history: RunHistory
    path: Path
    stop: Stop

    def open(self) -> Tape:
        return open_tape(self.path)


def taped(history: RunHistory, workflow: type, folder: Path, **options: Any) -> Taped:
    path = folder / f"{uuid.uuid4()}.tape"
    return Taped(history, path, record_here(history, [workflow], path, **options))


def lines(tape: Tape) -> list[int]:
    """The positions of lines."""
    return [at for at in range(len(tape)) if tape.at(at).kind is Kind.LINE]


def told(state: State) -> Shown:
    """A whole state in a form that compares."""
    return (
        state.position,
        tuple((number, _stack(state, number)) for number in state.coroutines),
        tuple((each.name, each.snapshot, each.changed_at, each.set_by) for each in state.workflow),
    )


def _stack(state: State, coroutine: int) -> Shown:
    return tuple(
        (
            frame.frame,
            frame.function,
            frame.line,
            frame.line_position,
            tuple((v.name, v.snapshot, v.changed_at, v.set_by) for v in frame.variables),
        )
        for frame in state.stack_of(coroutine)
    )


def plain(value: Value | None) -> Any:
    """A value in the form that JSON would have it; None for what the tape does not have."""
    assert value is not None
    if value.type in ("str", "int", "float", "bool", "NoneType"):
        return eval(value.text, {"nan": float("nan"), "inf": float("inf")})
    if value.type == "dict":
        return {eval(label[1:-1]): plain(child) for label, child in value.children}
    if value.type in ("list", "tuple", "deque"):
        return [plain(child) for _, child in value.children]
    return {label: plain(child) for label, child in value.children}


def workflow_value(state: State, name: str) -> Value:
    """An attribute of the workflow's object."""
    return next(variable.value for variable in state.workflow if variable.name == f"self.{name}")
