"""What spans say of steps, failures and contents: facts of the model under their public names.

Keys and values are plain text, not members of enums: exporters that check types take nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from tracer.branches.points import Branch
from tracer.model.failures import fingerprint
from tracer.model.words import Failure, Outcome, Payload, Step, StepKind
from tracer.names import PLAIN, SpanKind
from tracer.names import Attribute as A
from tracer.redaction.content import ContentPolicy, content_of

type Value = str | int | float | bool | tuple[str, ...]

UNANSWERED: Final = "unanswered"
"""The outcome of a step that was open when its run ended."""

TEXTS: Final = {word: word.value for kind in (SpanKind, StepKind, Outcome) for word in kind}
"""Values as plain text, as in `PLAIN`."""


class Facts:
    """Attributes that are fields of an object.

    A worker reads them for each step and attempt: in one go, they take half the time of ten by
    name.
    """

    def __init__(self, fields: Mapping[A, str]) -> None:
        """Take the fields' names by attribute; two or more."""
        self._keys = tuple(PLAIN[key] for key in fields)
        self._values = attrgetter(*fields.values())

    def of(self, known: object) -> Iterable[tuple[str, Any]]:
        """Names of attributes and what the object says."""
        return zip(self._keys, self._values(known), strict=True)


_STEP: Final = Facts(
    {
        A.STEP_NAME: "name",
        A.STEP_ID: "id",
        A.STEP_OCCURRENCE: "occurrence",
        A.TASK_QUEUE: "task_queue",
        A.SUMMARY: "summary",
        A.RETRY_STATE: "retry_state",
        A.INPUT_BYTES: "input_bytes",
        A.RESULT_BYTES: "result_bytes",
    }
)
_FAILURE: Final = (A.ERROR_TYPE, A.FAILURE_MESSAGE, A.FAILURE_FINGERPRINT)
_PREVIOUS: Final = (
    A.PREVIOUS_FAILURE_TYPE,
    A.PREVIOUS_FAILURE_MESSAGE,
    A.PREVIOUS_FAILURE_FINGERPRINT,
)


def step_attributes(step: Step) -> dict[str, Value]:
    """What a step is, and how it ended."""
    attributes: dict[str, Value] = {name: value for name, value in _STEP.of(step) if value != ""}
    attributes[PLAIN[A.STEP_KIND]] = TEXTS[step.kind]
    attributes[PLAIN[A.OUTCOME]] = TEXTS[step.outcome] if step.outcome else UNANSWERED
    match step.kind:
        case StepKind.ACTIVITY | StepKind.LOCAL_ACTIVITY:
            attributes[PLAIN[A.ACTIVITY_ID]] = step.id
            attributes[PLAIN[A.ACTIVITY_TYPE]] = step.name
            attributes[PLAIN[A.IS_LOCAL]] = step.kind is StepKind.LOCAL_ACTIVITY
        case StepKind.CHILD_WORKFLOW:
            attributes[PLAIN[A.CHILD_WORKFLOW_ID]] = step.id
        case StepKind.TIMER:
            attributes[PLAIN[A.TIMER_ID]] = step.id
        case _:
            pass
    if step.retry_policy and step.retry_policy.maximum_attempts:
        attributes[PLAIN[A.MAXIMUM_ATTEMPTS]] = step.retry_policy.maximum_attempts
    return attributes


def contents(
    policy: ContentPolicy,
    workflow_type: str,
    input: Sequence[Payload] = (),
    result: Sequence[Payload] = (),
) -> dict[A, Value]:
    """What went in and came out, if the type was opted in."""
    if not policy.allows(workflow_type):
        return {}
    given = {A.INPUT_CONTENT: input, A.RESULT_CONTENT: result}
    return {key: content_of(payloads, policy.limit) for key, payloads in given.items() if payloads}


def failure_attributes(failure: Failure | None) -> dict[str, Value]:
    """How a failure shows on a span: the root cause's type and message, and its fingerprint."""
    return _told(failure, _FAILURE)


def previous_attributes(failure: Failure | None) -> dict[str, Value]:
    """How the failure of the attempt before shows on an attempt."""
    return _told(failure, _PREVIOUS)


def _told(failure: Failure | None, keys: tuple[A, A, A]) -> dict[str, Value]:
    if failure is None:
        return {}
    root = failure.root
    told = root.type or root.kind, root.message, fingerprint(failure)
    return {PLAIN[key]: text for key, text in zip(keys, told, strict=True)}


def branch_values(branch: Branch, is_json: bool) -> str:
    """The values of a branch as a JSON object; empty if it has none."""
    members = (
        f"{json.dumps(name)}: {text if is_json else json.dumps(text)}"
        for name, text in branch.values
    )
    return f"{{{', '.join(members)}}}" if branch.values else ""
