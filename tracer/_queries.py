"""Queries, as the worker sees them: asked in a job of an activation, answered by its commands.

A query is not in the history, so nothing of it is ever replayed, imported or backfilled.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

from tracer.model.failures import failure_from
from tracer.model.words import Outcome, Query
from tracer.names import HEADER

_OF_THE_SDK: Final = "__"
"""Begins the names of queries that people's screens ask every other second."""


def queries_in(
    activation: Any, completion: Any, asked_at: int, answered_at: int
) -> Iterator[Query]:
    """The queries of users that an activation asked and a completion answers.

    Args:
        activation: One that may have queries; they come without other jobs.
        completion: The worker's answer.
        asked_at: When the worker began with it, in nanoseconds.
        answered_at: When it was done.
    """
    jobs = [job.query_workflow for job in activation.jobs if job.HasField("query_workflow")]
    if not jobs:
        return
    answers = {
        command.respond_to_query.query_id: command.respond_to_query
        for command in completion.successful.commands
        if command.HasField("respond_to_query")
    }
    for job in jobs:
        answer = answers.get(job.query_id)
        if answer is not None and not job.query_type.startswith(_OF_THE_SDK):
            yield _query(job, answer, asked_at, answered_at)


def _query(job: Any, answer: Any, asked_at: int, answered_at: int) -> Query:
    failed = answer.HasField("failed")
    headers = job.headers
    return Query(
        job.query_id,
        job.query_type,
        asked_at,
        answered_at,
        Outcome.FAILED if failed else Outcome.COMPLETED,
        failure_from(answer.failed) if failed else None,
        {HEADER: copy.deepcopy(headers[HEADER])} if HEADER in headers else {},
    )
