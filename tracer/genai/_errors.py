"""How an exception shows on a GenAI span.

`error.type` must be of low cardinality: a class or a type that the program chose, never a message.
"""

from __future__ import annotations

import asyncio

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, CancelledError

TOOL_ERROR = "tool_error"
"""The convention's type for a tool that ran and answered with an error."""


def error_type_of(error: BaseException) -> str:
    """The value of `error.type`: a Temporal failure's own type, else the qualified class name."""
    if isinstance(error, ApplicationError) and error.type:
        return error.type
    cls = type(error)
    is_builtin = cls.__module__ == "builtins"
    return cls.__qualname__ if is_builtin else f"{cls.__module__}.{cls.__qualname__}"


def is_failure(error: BaseException) -> bool:
    """Whether the operation failed: not if it was cancelled or left, or the error is benign."""
    if isinstance(error, (CancelledError, asyncio.CancelledError, GeneratorExit)):
        return False
    return not (
        isinstance(error, ApplicationError) and error.category is ApplicationErrorCategory.BENIGN
    )
