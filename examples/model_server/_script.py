"""The script of a model server: which request gets which answer or fault.

Owns the format of the file and its validation. A script is read whole and checked before the
server starts, so that a typing error shows up as one line at the start and not as a puzzling
model answer in the middle of a run.
"""

import json
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

GROUP = re.compile(r"\\g<(\w+)>")
"""A reference to a named group of the rule's patterns, written as in `re.sub`."""


class ScriptError(Exception):
    """A script that cannot be served; the message is one line."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolCall(_Part):
    """A tool the model asks for."""

    name: str = Field(min_length=1)
    arguments: dict[str, Any] = {}


class Answer(_Part):
    r"""What the model says.

    Strings may refer to named groups of the rule's patterns as `\g<name>`.
    """

    content: str | None = None
    """Text of the answer."""
    content_json: Any = None
    """Content given as a value; it is sent as its JSON text."""
    tool_calls: tuple[ToolCall, ...] = ()
    cached_tokens: int = Field(0, ge=0)
    """Part of the prompt reported as read from the provider's cache, at most the prompt."""
    reasoning_tokens: int = Field(0, ge=0)
    """Hidden reasoning; adds to the completion tokens, as it does on the bill."""
    served_by: str | None = None
    """Model named in the response when it differs from the one requested (a dated snapshot)."""

    @model_validator(mode="after")
    def _says_something_once(self) -> Self:
        if self.content is not None and self.content_json is not None:
            raise ValueError("give either content or content_json, not both")
        if self.content is None and self.content_json is None and not self.tool_calls:
            raise ValueError("needs content, content_json or tool_calls")
        return self


class Fault(_Part):
    """What goes wrong instead of, or before, the answer."""

    kind: Literal["rate_limit", "server_error", "slow", "malformed"]
    seconds: float = Field(0.0, ge=0, le=3600)
    """`rate_limit`: value of Retry-After. `slow`: delay before the answer. Otherwise unused."""
    first: int | None = Field(None, ge=1)
    """Only the first so many matching requests of a conversation; `null` means every one."""

    @property
    def replaces_answer(self) -> bool:
        """True when a faulty request gets no answer at all."""
        return self.kind in ("rate_limit", "server_error")


class Rule(_Part):
    """One line of the script; the first rule that matches a request decides."""

    name: str = Field(min_length=1)
    """Said in logs and errors."""
    model: str | None = None
    """Requested model; absent means any."""
    last: re.Pattern[str] | None = None
    """Searched in the text of the last message."""
    anywhere: re.Pattern[str] | None = None
    """Searched in the text of all messages, one per paragraph."""
    tools: Literal[False] | tuple[str, ...] | None = None
    """Tools that the request must offer; `false` means that it must offer none."""
    fault: Fault | None = None
    answer: Answer | None = None

    @field_validator("last", "anywhere", mode="before")
    @classmethod
    def _compile(cls, pattern: Any) -> Any:
        if not isinstance(pattern, str):
            return pattern
        try:
            return re.compile(pattern, re.DOTALL)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None

    @model_validator(mode="after")
    def _can_always_reply(self) -> Self:
        if self.answer is not None:
            self._check_groups(self.answer)
        elif self.fault is None or not self.fault.replaces_answer or self.fault.first is not None:
            raise ValueError("needs an answer for the requests that its fault lets through")
        return self

    def _check_groups(self, answer: Answer) -> None:
        patterns = [p for p in (self.last, self.anywhere) if p is not None]
        known = {name for pattern in patterns for name in pattern.groupindex}
        # Read from the value, not from its JSON, where a backslash is written twice.
        unknown = {name for text in _strings(answer.model_dump()) for name in GROUP.findall(text)}
        if missing := sorted(unknown - known):
            raise ValueError(
                f"the answer refers to group {missing[0]!r}; the patterns have {sorted(known)}"
            )


class Script(_Part):
    """All rules of a server, in the order in which they are tried."""

    rules: tuple[Rule, ...] = Field(min_length=1)


def load_script(path: Path) -> Script:
    """Read and check a script.

    Raises:
        ScriptError: The file cannot be read, is no JSON, or breaks the format.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScriptError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path}: byte {error.start}: expected UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ScriptError(f"{path}:{error.lineno}:{error.colno}: {error.msg}") from None
    except RecursionError:
        raise ScriptError(f"{path}: nested too deeply") from None
    try:
        return Script.model_validate(value)
    except ValidationError as error:
        raise ScriptError(f"{path}: {_first_problem(error, value)}") from None


def _first_problem(error: ValidationError, value: Any) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"]) or "script"
    message = " ".join(problem["msg"].removeprefix("Value error, ").split())
    return f"{where}{_rule_name(problem['loc'], value)}: {message}"


def _rule_name(location: tuple[int | str, ...], value: Any) -> str:
    match location:
        case ("rules", int(index), *_):
            rule = value["rules"][index]
            name = rule.get("name") if isinstance(rule, dict) else None
            return f" ({name})" if isinstance(name, str) else ""
        case _:
            return ""


def _strings(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for item in value.values() for text in _strings(item)]
        case list() | tuple():
            return [text for item in value for text in _strings(item)]
        case _:
            return []
