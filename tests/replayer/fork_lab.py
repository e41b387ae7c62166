"""Recordings to fork, made on a real server, and how to tell that two runs are the same."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from replayer.history import RunHistory, from_server
from tests.replayer.forked_workflows import ACTIVITIES, QUEUE, WORKFLOWS
from tracer.model import Run, run_from_events

type Drive = Callable[[WorkflowHandle[Any, Any]], Awaitable[None]]


@asynccontextmanager
async def worker(address: str) -> AsyncIterator[Client]:
    """A worker for all workflows of the lab; gives a client."""
    client = await Client.connect(address)
    async with Worker(client, task_queue=QUEUE, workflows=WORKFLOWS, activities=ACTIVITIES):
        yield client


async def start(client: Client, workflow: str, *arguments: Any) -> WorkflowHandle[Any, Any]:
    """Start a workflow of the lab."""
    workflow_id = f"{workflow.lower()}-{uuid.uuid4().hex[:6]}"
    return await client.start_workflow(workflow, args=arguments, id=workflow_id, task_queue=QUEUE)


async def history_of(client: Client, handle: WorkflowHandle[Any, Any]) -> RunHistory:
    """What was recorded of it."""
    return await from_server(client, handle.id, handle.first_execution_run_id)


def model_of(history: RunHistory) -> Run:
    return run_from_events(history.key, history.events)


def logic_of(history: RunHistory) -> dict[str, Any]:
    """All that workflow code asked for and was told, with its times."""
    run = model_of(history)
    return {
        "status": run.status,
        "input": data_of(run.input),
        "result": data_of(run.result),
        "failure": run.failure,
        "steps": [step_of(step) for step in run.steps],
        "signals": [(s.name, s.at, s.identity, data_of(s.input)) for s in run.signals],
        "updates": [(u.name, u.id, u.outcome, data_of(u.result)) for u in run.updates],
        "patches": [patch.id for patch in run.patches],
    }


def differences(fork: RunHistory, recording: RunHistory) -> list[str]:
    """Where two runs differ, one line each; empty for the same logic."""
    ours, theirs = logic_of(fork), logic_of(recording)
    mine, recorded = ours.pop("steps"), theirs.pop("steps")
    found = [] if len(mine) == len(recorded) else [f"{len(mine)} steps, {len(recorded)} recorded"]
    pairs = [("run", ours, theirs)]
    pairs += [(f"step {a['seq']} {a['name']}", a, b) for a, b in zip(mine, recorded, strict=False)]
    for what, a, b in pairs:
        found += [f"{what}: {k}: {a[k]!r}, recorded {b[k]!r}" for k in a if a[k] != b[k]]
    return found


_FACTS = (
    *("kind", "name", "id", "seq", "occurrence", "outcome", "failure", "retry_state"),
    *("attempt_count", "scheduled_at", "closed_at", "summary", "timeouts", "retry_policy"),
    *("child_run_id", "task_queue"),
)


def step_of(step: Any) -> dict[str, Any]:
    facts = {name: getattr(step, name) for name in _FACTS}
    attempts = [(a.number, a.started_at, a.failure, a.identity) for a in step.attempts]
    return facts | {
        "input": data_of(step.input),
        "result": data_of(step.result),
        "attempts": attempts,
    }


def data_of(payloads: Any) -> list[bytes]:
    return [payload.data for payload in payloads]
