"""What a fork changes, as a command line says it and as the fork applies it.

Four changes: a value (`--set`), the model of a step (`--model`), a signal that was never sent
(`--signal`), a failure (`--fail`). They are plain data here; the place they apply to is the fork
point.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from temporalio.api.common.v1 import Payload

from replayer.fork.errors import ForkSpecError
from replayer.fork.paths import Part, parse_parts, text_of_parts, value_set

__all__ = [
    "Changes",
    "FailStep",
    "Root",
    "SendSignal",
    "SetValue",
    "json_payload",
    "parse_fail",
    "parse_set",
    "parse_signal",
    "payloads_set",
    "payloads_with_model",
]

MODEL_KEYS = ("model", "model_name", "model_id", "modelId", "model_slug")
"""Keys under which inputs of model calls name the model, the likeliest first."""
_MAX_DEPTH = 6
"""How deep in an input a model's name is looked for."""


class Root(StrEnum):
    """What a path starts from."""

    INPUT = "input"
    """The run's input."""
    OUTPUT = "output"
    """The result of the step at the fork point."""
    SIGNAL = "signal"
    """The arguments of the signal at the fork point."""
    UPDATE = "update"
    """The arguments of the update at the fork point."""


@dataclass(frozen=True, slots=True)
class SetValue:
    """Put another value somewhere."""

    root: Root
    parts: tuple[Part, ...]
    value: Any
    """As JSON has it."""

    def __str__(self) -> str:
        """As on the command line."""
        value = json.dumps(self.value, ensure_ascii=False)
        return f"set {self.root}{text_of_parts(self.parts)}={value}"


@dataclass(frozen=True, slots=True)
class SendSignal:
    """Send a signal that the recording does not have."""

    name: str
    arguments: tuple[Any, ...]
    """None or one, as JSON has it."""

    def __str__(self) -> str:
        """As on the command line."""
        return f"signal {self.name}" + "".join(f"={json.dumps(each)}" for each in self.arguments)


@dataclass(frozen=True, slots=True)
class FailStep:
    """Let the step at the fork point fail for good."""

    type: str
    message: str

    def __str__(self) -> str:
        """As on the command line."""
        return f"fail {self.type}: {self.message}"


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that a fork changes."""

    sets: tuple[SetValue, ...] = ()
    model: str | None = None
    """Name of the model for the step at the fork point."""
    signals: tuple[SendSignal, ...] = ()
    fail: FailStep | None = None

    def __str__(self) -> str:
        """All of them, for people."""
        model = (f"model {self.model}",) if self.model is not None else ()
        fail = (str(self.fail),) if self.fail else ()
        texts = (*map(str, self.sets), *model, *map(str, self.signals), *fail)
        return "; ".join(texts) or "nothing"

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return bool(self.sets or self.model is not None or self.signals or self.fail)

    def sets_of(self, root: Root) -> tuple[SetValue, ...]:
        """Those that start from one root."""
        return tuple(each for each in self.sets if each.root is root)


def parse_set(text: str) -> SetValue:
    """Read `PATH=JSON`.

    Raises:
        ForkSpecError: It is not that.
    """
    path, equals, value = text.partition("=")
    path = path.strip()
    head = path.replace("[", ".", 1).partition(".")[0]
    if not equals or head not in list(Root):
        raise ForkSpecError(
            f"{text[:200]!r} is not PATH=JSON: a path starts with one of {', '.join(Root)}, as in "
            "output.confidence=0.99"
        )
    return SetValue(Root(head), parse_parts(path[len(head) :], path), _json(value, text))


def parse_signal(text: str) -> SendSignal:
    """Read `NAME` or `NAME=JSON`.

    Raises:
        ForkSpecError: It is neither.
    """
    name, equals, value = text.partition("=")
    if not name.strip():
        raise ForkSpecError(
            f"{text[:200]!r} names no signal: expected NAME=JSON, as in approve=true"
        )
    return SendSignal(name.strip(), (_json(value, text),) if equals else ())


def parse_fail(text: str) -> FailStep:
    """Read `TYPE` or `TYPE:message`.

    Raises:
        ForkSpecError: There is no type.
    """
    kind, _, message = text.partition(":")
    if not kind.strip():
        raise ForkSpecError(f"{text[:200]!r} names no failure: expected TYPE[:message]")
    return FailStep(kind.strip(), message.strip() or "made to fail by this fork")


def _json(text: str, whole: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ForkSpecError(f"{whole[:40]!r}… is nested too deeply") from None
    except ValueError as error:
        hint = f'; a string is written "{text}"' if text.replace("_", "a").isalnum() else ""
        raise ForkSpecError(f"{whole[:200]!r}: what follows = is not JSON: {error}{hint}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def json_payload(value: Any) -> Payload:
    """A value in the encoding that every SDK reads."""
    data = json.dumps(value, separators=(",", ":")).encode()
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


def payloads_set(
    payloads: Sequence[Payload], sets: Sequence[SetValue], *, where: str
) -> list[Payload]:
    """Payloads with values replaced; with several of them, a path's first part says which.

    Args:
        payloads: Decoded as far as a codec goes.
        sets: All with the same root.
        where: What the payloads are, for the message.

    Raises:
        ForkSpecError: They are no JSON, or a path leads nowhere.
    """
    changed = list(payloads)
    for each in sets:
        index, parts = _which(changed, each, where)
        name = f"{where}[{index}]" if len(changed) > 1 else where
        old = _document(changed[index], name) if parts else None
        new = value_set(old, parts, each.value, where=name)
        changed[index] = _like(changed[index], new)
    return changed


def payloads_with_model(payloads: Sequence[Payload], model: str, *, where: str) -> list[Payload]:
    """Payloads with another model's name in them.

    Raises:
        ForkSpecError: No input names a model.
    """
    for index, payload in enumerate(payloads):
        if not _is_json(payload):
            continue
        document = _document(payload, where)
        for key in MODEL_KEYS:
            if (parts := _find(document, key, _MAX_DEPTH)) is not None:
                changed = list(payloads)
                changed[index] = _like(payload, value_set(document, parts, model, where=where))
                return changed
    raise ForkSpecError(f"{where} names no model: none of its inputs has {', '.join(MODEL_KEYS)}")


def _which(payloads: list[Payload], each: SetValue, where: str) -> tuple[int, tuple[Part, ...]]:
    if not payloads:
        if each.root is Root.OUTPUT and not each.parts:
            payloads.append(Payload(metadata={"encoding": b"json/plain"}, data=b"null"))
            return 0, ()
        raise ForkSpecError(f"{where} is empty, {each} has no place there")
    if len(payloads) == 1:
        return 0, each.parts
    first = each.parts[0] if each.parts else None
    if not isinstance(first, int) or not 0 <= first < len(payloads):
        raise ForkSpecError(
            f"{where} has {len(payloads)} arguments: say which with {each.root}[0] to "
            f"{each.root}[{len(payloads) - 1}]"
        )
    return first, each.parts[1:]


def _is_json(payload: Payload) -> bool:
    return payload.metadata.get("encoding", b"").startswith(b"json/")


def _document(payload: Payload, where: str) -> Any:
    encoding = payload.metadata.get("encoding", b"").decode("utf-8", "replace")
    if encoding == "binary/null":
        return None
    if not _is_json(payload):
        raise ForkSpecError(f"{where} is not JSON but {encoding or 'of no known encoding'}")
    try:
        return json.loads(payload.data)
    except (ValueError, RecursionError):
        raise ForkSpecError(f"{where} is not valid JSON") from None


def _like(payload: Payload, value: Any) -> Payload:
    """A payload of the same encoding with another value."""
    new = json_payload(value)
    if _is_json(payload):
        new.metadata.update(payload.metadata)
    return new


def _find(document: Any, key: str, depth: int) -> tuple[Part, ...] | None:
    """Where a text stands under that key, the outermost first."""
    if isinstance(document, dict) and isinstance(document.get(key), str):
        return (key,)
    if depth == 0:
        return None
    if isinstance(document, dict):
        children = list(document.items())
    else:
        children = list(enumerate(document)) if isinstance(document, list) else []
    for part, child in children:
        if (found := _find(child, key, depth - 1)) is not None:
            return (part, *found)
    return None
