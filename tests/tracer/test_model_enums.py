"""Our tables of names against the installed SDK's."""

from collections.abc import Mapping
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, RetryState, TimeoutType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

from tracer.model import enums, events


@pytest.mark.parametrize(
    ("table", "enum", "prefix"),
    [
        (enums.EVENT_TYPE, EventType, "EVENT_TYPE_"),
        (enums.RETRY_STATE, RetryState, "RETRY_STATE_"),
        (enums.TIMEOUT_TYPE, TimeoutType, "TIMEOUT_TYPE_"),
        (
            enums.WORKFLOW_TASK_FAILED_CAUSE,
            WorkflowTaskFailedCause,
            "WORKFLOW_TASK_FAILED_CAUSE_",
        ),
    ],
)
def test_table_agrees_with_the_sdk(table: Mapping[int, str], enum: Any, prefix: str) -> None:
    sdk = {number: name.removeprefix(prefix) for name, number in enum.items() if number}
    assert sdk
    assert {number: table.get(number) for number in sdk} == sdk


def test_every_event_type_has_a_handler_that_reads_its_own_attributes() -> None:
    fields = set(HistoryEvent.DESCRIPTOR.fields_by_name)
    numbers = {number for number in EventType.values() if number}
    assert numbers <= set(events._HANDLERS)
    for number in numbers:
        attribute, _ = events._HANDLERS[number]
        assert attribute in fields


def test_a_number_from_the_future_keeps_its_number_as_its_name() -> None:
    assert enums.name_of(enums.EVENT_TYPE, 9999) == "9999"
    assert enums.name_of(enums.EVENT_TYPE, 0) == ""
