"""The workers of a plugin: what an activity cannot ask the SDK about the worker that it runs on."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.worker import WorkerConfig


class Workers:
    """Identities and clients by task queue."""

    def __init__(self) -> None:
        self._identities: dict[str, str] = {}
        self._clients: dict[str, Client] = {}

    def add(self, config: WorkerConfig) -> None:
        """Note a worker that is about to be made."""
        client, queue = config.get("client"), config.get("task_queue")
        if client is None or queue is None:
            return
        self._clients[queue] = client
        self._identities[queue] = config.get("identity") or client.identity

    def identity_at(self, task_queue: str) -> str:
        """How the worker calls itself; empty if nobody said."""
        return self._identities.get(task_queue, "")

    def client_at(self, task_queue: str) -> Client | None:
        """The client that the worker was made with."""
        return self._clients.get(task_queue)
