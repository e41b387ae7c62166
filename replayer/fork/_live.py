"""Real activities for steps that the recording cannot answer.

They run in the fork's own process, in the SDK's activity environment, with the arguments that the
workflow code gave. Retries follow the policy of the command, without its pauses.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from replayer.fork._answers import Asked
from replayer.fork._endings import Ending, failed
from replayer.fork.errors import ForkError
from replayer.replaying import LoadError, load_object
from tracer.model import Outcome

_MOST_ATTEMPTS = 10
"""Of an activity whose policy has no limit: a fork has to come to an end."""


class LiveActivities:
    """Real activities by name."""

    def __init__(
        self, activities: Mapping[str, Callable[..., Any]], converter: DataConverter
    ) -> None:
        self._activities = activities
        self._converter = converter

    def knows(self, name: str) -> bool:
        """Whether there is one of that name."""
        return name in self._activities

    async def run(self, asked: Asked) -> tuple[Ending, int]:
        """Run it until it succeeds or may not be tried again; its end and the attempts."""
        attempt = 0
        while True:
            attempt += 1
            try:
                result = await self._once(asked, attempt)
            except Exception as error:  # noqa: BLE001 - whatever an activity raises is its failure
                failure = Failure()
                await self._converter.encode_failure(_as_failure(error), failure)
                if not _may_retry(asked, failure, attempt):
                    return failed(failure), attempt
            else:
                payloads = await self._converter.encode([result])
                return Ending(Outcome.COMPLETED, result=Payloads(payloads=payloads)), attempt

    async def _once(self, asked: Asked, attempt: int) -> Any:
        function = self._activities[asked.name]
        definition = activity._Definition.must_from_callable(function)
        hints = definition.arg_types
        converter = self._converter.payload_converter
        arguments = converter.from_payloads(list(asked.input), list(hints) if hints else None)
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            environment.info,
            activity_id=asked.id,
            activity_type=asked.name,
            attempt=attempt,
            task_queue=asked.task_queue or environment.info.task_queue,
        )
        if definition.is_async:
            return await environment.run(function, *arguments)
        return await asyncio.to_thread(environment.run, function, *arguments)


def load_activities(spec: str, converter: DataConverter) -> LiveActivities:
    """The activities that `module:attribute` names.

    Args:
        spec: Names a list of activities, an object whose methods are activities, or a function that
            takes nothing and returns one of these.
        converter: Of the worker.

    Raises:
        ForkError: It cannot be loaded, or has no activities.
    """
    try:
        found = load_object(spec)
        if callable(found) and not _name_of(found):
            found = found()
    except LoadError as error:
        raise ForkError(str(error)) from error
    except Exception as error:
        raise ForkError(f"{spec} fails: {type(error).__name__}: {error}") from error
    if isinstance(found, (list, tuple)):
        candidates = list(found)
    elif callable(found):
        candidates = [found]
    else:
        candidates = [getattr(found, name) for name in dir(found) if not name.startswith("__")]
    named = {name: each for each in candidates if (name := _name_of(each))}
    if not named:
        raise ForkError(f"{spec} has no activities; expected functions with @activity.defn")
    return LiveActivities(named, converter)


def _name_of(candidate: Any) -> str | None:
    if not callable(candidate):
        return None
    definition = activity._Definition.from_callable(candidate)
    return definition.name if definition is not None else None


def _as_failure(error: Exception) -> Exception:
    if isinstance(error, ApplicationError):
        return error
    converted = ApplicationError(str(error), type=type(error).__name__)
    converted.__traceback__ = error.__traceback__
    converted.__cause__ = error.__cause__
    return converted


def _may_retry(asked: Asked, failure: Failure, attempt: int) -> bool:
    a = getattr(asked.command, asked.command.WhichOneof("variant"))
    info, policy = failure.application_failure_info, a.retry_policy
    if info.non_retryable or info.type in policy.non_retryable_error_types:
        return False
    return attempt < (policy.maximum_attempts or _MOST_ATTEMPTS)
