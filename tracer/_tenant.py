"""Whom a run is for: the tenant, from where the user keeps it.

Pure functions over the model of a run and over headers, so that live spans and spans made from a
history carry the same tenant. An attempt sees neither search attributes nor memo: the workflow's
worker sends the tenant along in `TENANT_HEADER`.

Choose a source with few values. A tenant is an account or a business unit, not an order: backends
index it, and as a label of metrics it multiplies every series. That is why it is none unless
`metric_label` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tracer.identity import RunKey
from tracer.model.payloads import json_of
from tracer.model.words import Payload, Run
from tracer.names import TENANT_HEADER

_MAX_LENGTH: Final = 128
"""A tenant longer than this is no name, and is cut."""


class TenantOrigin(StrEnum):
    """Where a tenant may be kept."""

    NAMESPACE = "namespace"
    SEARCH_ATTRIBUTE = "search_attribute"
    HEADER = "header"
    MEMO = "memo"


@dataclass(frozen=True, slots=True)
class TenantSource:
    """Where to look. The default is the namespace.

    TenantSource(TenantOrigin.SEARCH_ATTRIBUTE, "CustomerId")
    """

    origin: TenantOrigin = TenantOrigin.NAMESPACE
    key: str = ""
    """The name of the search attribute, header or memo field; unused for the namespace."""
    metric_label: bool = False
    """Whether metrics carry the tenant too. Each value multiplies the series of every metric."""

    def __post_init__(self) -> None:
        """Refuse a source that can find nothing.

        Raises:
            ValueError: The key is missing, or given where there is none.
        """
        if (self.origin is TenantOrigin.NAMESPACE) == bool(self.key):
            expected = "no key" if self.key else "the key to look up"
            raise ValueError(f"TenantSource({self.origin}) got {self.key!r}; expected {expected}")

    def of_run(self, run: Run) -> str:
        """The run's tenant; empty where it has none or keeps it encrypted."""
        return self.of_start(run.key.namespace, run.headers, run.memo, run.search_attributes)

    def of_start(
        self,
        namespace: str,
        headers: Mapping[str, Payload],
        memo: Mapping[str, Payload],
        search_attributes: Mapping[str, Payload],
    ) -> str:
        """The same from what a run starts with, for a worker, which keeps none of it.

        A run that has none of its own has that of the run which started it, or which it continues.
        """
        match self.origin:
            case TenantOrigin.NAMESPACE:
                return namespace[:_MAX_LENGTH]
            case TenantOrigin.SEARCH_ATTRIBUTE:
                own = _text(search_attributes, self.key)
            case TenantOrigin.HEADER:
                own = _text(headers, self.key)
            case TenantOrigin.MEMO:
                own = _text(memo, self.key)
        return own or _text(headers, TENANT_HEADER)

    def of_attempt(self, namespace: str, headers: Mapping[str, Payload]) -> str:
        """The tenant of an activity's attempt: what its run sent along, else what it can see."""
        if self.origin is TenantOrigin.NAMESPACE:
            return namespace[:_MAX_LENGTH]
        sent = _text(headers, TENANT_HEADER)
        if sent or self.origin is not TenantOrigin.HEADER:
            return sent
        return _text(headers, self.key)


class TenantOfRun:
    """The tenant of a run that a worker watches, from start to end.

    A workflow may set it itself. Spans that were told before do not have it; those made from the
    history do.
    """

    def __init__(self, source: TenantSource | None, key: RunKey) -> None:
        self._source = source
        self._namespace = key.namespace
        self._is_fixed = source is None or source.origin is TenantOrigin.NAMESPACE
        self.name = source.of_start(key.namespace, {}, {}, {}) if source else ""

    @property
    def is_sent(self) -> bool:
        """Whether those who work for the run have to be told."""
        return bool(self.name) and not self._is_fixed

    def started(self, activation: Any) -> None:
        """Look at the activation in which the run begins."""
        if self._source is None or self._is_fixed:
            return
        for job in activation.jobs:
            if job.HasField("initialize_workflow"):
                start = job.initialize_workflow
                self.name = self._source.of_start(
                    self._namespace,
                    start.headers,
                    start.memo.fields,
                    start.search_attributes.indexed_fields,
                )

    def commanded(self, completion: Any) -> None:
        """Look at what the workflow set itself."""
        if self._source is None or self._is_fixed:
            return
        for command in completion.successful.commands:
            match command.WhichOneof("variant"):
                case "upsert_workflow_search_attributes":
                    given: Any = command.upsert_workflow_search_attributes.search_attributes
                    # Up to temporalio 1.29 the field is the mapping itself.
                    self._learn({}, getattr(given, "indexed_fields", given))
                case "modify_workflow_properties":
                    self._learn(command.modify_workflow_properties.upserted_memo.fields, {})
                case _:
                    pass

    def _learn(self, memo: Mapping[str, Payload], search_attributes: Mapping[str, Payload]) -> None:
        if self._source is not None:
            found = self._source.of_start(self._namespace, {}, memo, search_attributes)
            self.name = found or self.name


def _text(payloads: Mapping[str, Payload], key: str) -> str:
    # Reading a missing key of a protobuf map would create it.
    if key not in payloads:
        return ""
    payload = payloads[key]
    value = json_of(payload)
    if payload.metadata.get("encoding") == b"binary/plain":
        value = payload.data[: 4 * _MAX_LENGTH].decode("utf-8", "replace")
    # A list is what a search attribute of type KeywordList has; several names are no answer.
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)[:_MAX_LENGTH].strip()
