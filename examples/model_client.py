"""The OpenAI client as a Temporal activity should use it.

Temporal does the retrying: the client's own retries are off, because attempts hidden inside one
activity attempt are seen by nobody. This module only says which failures are worth another try,
and when.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import openai
from temporalio.exceptions import ApplicationError

MALFORMED_RESPONSE = "MalformedResponse"
"""Failure type of a response body that is no JSON."""


def connect(base_url: str) -> openai.AsyncOpenAI:
    """A client without retries of its own; close it with `async with`."""
    return openai.AsyncOpenAI(base_url=base_url, api_key="local", max_retries=0)


@contextmanager
def temporal_errors() -> Iterator[None]:
    """Turn errors of the client into activity failures that carry their retry advice.

    Raises:
        ApplicationError: Of the client error's own type. A 429 is tried again after the time
            that the server asked for; any other 4xx never.
    """
    try:
        yield
    except openai.RateLimitError as error:
        delay = _retry_after(error.response.headers.get("retry-after-ms"))
        raise ApplicationError(
            str(error), type=type(error).__name__, next_retry_delay=delay
        ) from error
    except openai.APIStatusError as error:
        refused = error.status_code < 500
        raise ApplicationError(
            str(error), type=type(error).__name__, non_retryable=refused
        ) from error
    except json.JSONDecodeError as error:
        raise ApplicationError(
            f"the model server sent a broken body: {error}", type=MALFORMED_RESPONSE
        ) from error


def _retry_after(milliseconds: str | None) -> timedelta | None:
    if milliseconds is None or not milliseconds.isdigit():
        return None
    return timedelta(milliseconds=int(milliseconds))
