"""A diary of every attempt a worker makes, one JSON object per line.

A history keeps the last attempt of a step only. Who wants to know whether all attempts were seen
needs a second witness that shares no code with the first; this is it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one activity."""

    workflow_id: str
    run_id: str
    activity_id: str
    activity_type: str
    attempt: int
    """From 1."""
    local: bool
    """Whether it is a local activity."""
    started: str
    """When the try began, ISO 8601 in UTC."""
    ended: str
    """When it ended, ISO 8601 in UTC."""
    failure: str | None
    """Type of the failure, None after a success."""
    message: str | None
    """Message of the failure, None after a success."""


class AttemptLog(Interceptor):
    """Writes an `Attempt` to a file at the end of every try."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Put the diary around the activities of a worker."""
        return _Diarist(next, self._path)


class _Diarist(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, path: Path) -> None:
        super().__init__(next)
        self._path = path

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        with _noted(self._path):
            return await self.next.execute_activity(input)


@contextmanager
def _noted(path: Path) -> Iterator[None]:
    started = datetime.now(UTC)
    failure: BaseException | None = None
    try:
        yield
    except BaseException as error:
        failure = error
        raise
    finally:
        _append(path, _attempt(started, failure))


def _attempt(started: datetime, failure: BaseException | None) -> Attempt:
    info = activity.info()
    return Attempt(
        workflow_id=info.workflow_id or "",
        run_id=info.workflow_run_id or "",
        activity_id=info.activity_id,
        activity_type=info.activity_type,
        attempt=info.attempt,
        local=info.is_local,
        started=started.isoformat(),
        ended=datetime.now(UTC).isoformat(),
        failure=None if failure is None else _type(failure),
        message=None if failure is None else _message(failure),
    )


def _type(failure: BaseException) -> str:
    if isinstance(failure, ApplicationError) and failure.type is not None:
        return failure.type
    return type(failure).__name__


def _message(failure: BaseException) -> str:
    return failure.message if isinstance(failure, FailureError) else str(failure)


def _append(path: Path, attempt: Attempt) -> None:
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(attempt)) + "\n")


def read_attempts(path: Path) -> list[Attempt]:
    """The attempts in a diary, in the order they ended; none when there is no file yet."""
    if not path.exists():
        return []
    return [Attempt(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
