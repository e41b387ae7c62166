"""Workers: is there somebody to do the work, and how near are they to what they can do.

Most of it is Temporal's own: metrics and variables have its names, so that its dashboards and this
one can be read side by side. They come from `tracer.temporal_runtime`.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from dashboards import temporal_metrics
from dashboards.board import Board, board
from dashboards.panels import HALF, THIRD, Line, figure, graph
from dashboards.promql import (
    RANGE_WINDOW,
    any_of,
    legend,
    lowest,
    per_minute,
    per_second,
    present,
    quantile,
    share,
    total,
)
from dashboards.selection import (
    chosen,
    data_sources,
    explore_namespace,
    in_namespace,
    task_queue_variable,
    temporal_namespace_variable,
)
from dashboards.temporal_metrics import Label
from tracer import names
from tracer.limits import Limit
from tracer.names import Attribute, Metric, SpanKind

__all__ = ["workers"]

_DEADLOCK: Final = any_of(Attribute.LIMIT_NAME, Limit.ACTIVATION)


def workers() -> Dashboard:
    """The dashboard, complete and laid out."""
    return board(
        Board.WORKERS,
        "Workers",
        "Slots, pollers, caches and task failures of Temporal workers.",
        variables=[*data_sources(), temporal_namespace_variable(), task_queue_variable()],
        rows=[
            ("At a glance", _figures()),
            ("Slots and pollers", [_slots(), _pollers(), _cache()]),
            ("Queues", [_task_queue_time(), _activity_queue_time(), _attempt_queue_time()]),
            ("Workflow tasks", [_task_time(), _replay_time(), _failed_tasks()]),
            ("Deadlock headroom", [_headroom(), _cpu(), _failures_by_kind()]),
            ("Activities", [_activity_time(), _failed_activities()]),
            ("Requests to Temporal", [_request_time(), _failed_requests()]),
        ],
    )


def _figures() -> list[Builder[Panel]]:
    failed = temporal_metrics.TASKS_FAILED
    hits, replays = temporal_metrics.CACHE_HITS, temporal_metrics.REPLAY_TIME
    cached = total(hits, where=chosen(hits))
    return [
        figure(
            "Open polls",
            "Polls that are open now. None: nobody takes work.",
            present(temporal_metrics.POLLERS, where=chosen(temporal_metrics.POLLERS)),
            unit="short",
            steps=((None, "red"), (1, "green")),
        ),
        figure(
            "Busiest slots",
            "The highest share of slots in use now, over task queues and kinds of workers.",
            f"max ({_slots_used(by=(Label.TASK_QUEUE, Label.WORKER_TYPE))})",
            unit="percentunit",
            steps=((None, "green"), (0.8, "orange"), (1, "red")),
        ),
        figure(
            "Failed tasks",
            "Workflow tasks that failed in the time range: their runs may be stuck.",
            total(failed, where=chosen(failed)),
            unit="short",
            steps=((None, "green"), (1, "red")),
        ),
        figure(
            "Cache hits",
            "Share of the workflow tasks in the time range whose run was in the cache. The others"
            " are replayed first.",
            share(cached, f"({cached}) + ({total(replays, where=chosen(replays))} or vector(0))"),
            unit="percentunit",
        ),
        figure(
            "Task queue p95",
            "19 of 20 workflow tasks in the time range started within this.",
            quantile(
                0.95,
                temporal_metrics.TASK_QUEUE_TIME,
                where=chosen(temporal_metrics.TASK_QUEUE_TIME),
                window=RANGE_WINDOW,
            ),
            unit="s",
            steps=((None, "green"), (1, "orange"), (5, "red")),
        ),
        figure(
            "Deadlock headroom",
            "What the slowest activation of the last minutes had left of the time after which"
            " Temporal takes it for deadlocked. Not filtered by task queue.",
            lowest(names.HEADROOM, by=(), where=in_namespace(names.HEADROOM, _DEADLOCK)),
            unit="percentunit",
            steps=((None, "red"), (0.2, "orange"), (0.5, "green")),
            link=("Open slow activations", explore_namespace(SpanKind.LIMIT)),
        ),
    ]


def _slots_used(*, by: tuple[Label, ...]) -> str:
    used, free = temporal_metrics.SLOTS_USED, temporal_metrics.SLOTS_AVAILABLE
    in_use = present(used, by=by, where=chosen(used))
    return f"({in_use}) / (({in_use}) + ({present(free, by=by, where=chosen(free))}) > 0)"


def _slots() -> Builder[Panel]:
    metric, queue, kind = temporal_metrics.SLOTS_USED, Label.TASK_QUEUE, Label.WORKER_TYPE
    return graph(
        "Slots in use",
        "Share of the slots of all workers in which a task runs. At 100 % tasks wait in the queue.",
        [
            Line(
                _slots_used(by=(queue, kind)),
                f"{legend(metric, queue)} {legend(metric, kind)}",
                exemplars=False,
            )
        ],
        unit="percentunit",
        width=THIRD,
    )


def _pollers() -> Builder[Panel]:
    metric, queue, kind = temporal_metrics.POLLERS, Label.TASK_QUEUE, Label.POLLER_TYPE
    return graph(
        "Open polls",
        "Polls that are open. A task queue whose line ends has nobody to take its tasks.",
        [
            Line(
                present(metric, by=(queue, kind), where=chosen(metric)),
                f"{legend(metric, queue)} {legend(metric, kind)}",
                exemplars=False,
            )
        ],
        unit="short",
        width=THIRD,
    )


def _cache() -> Builder[Panel]:
    metric, by = temporal_metrics.CACHED_RUNS, Label.TASK_QUEUE
    evicted = temporal_metrics.FORCED_EVICTIONS
    return graph(
        "Cached runs and forced evictions",
        "Runs in the caches of workers, and how many a minute had to leave: each is replayed from"
        " its start when it goes on.",
        [
            Line(present(metric, by=(by,), where=chosen(metric)), legend(metric, by), False),
            Line(
                per_minute(evicted, by=(by,), where=chosen(evicted)),
                f"{legend(evicted, by)} evicted a minute",
                exemplars=False,
            ),
        ],
        unit="short",
        width=THIRD,
    )


def _p95(title: str, description: str, metric: Metric, by: Label, *, width: int) -> Builder[Panel]:
    return graph(
        title,
        description,
        [
            Line(
                quantile(0.95, metric, by=(by,), where=chosen(metric)),
                legend(metric, by),
                exemplars=False,
            )
        ],
        unit="s",
        width=width,
    )


def _task_queue_time() -> Builder[Panel]:
    return _p95(
        "Workflow task queue p95",
        "From the scheduling of a workflow task to its start. It should be milliseconds: more"
        " means too few workers, pollers or slots.",
        temporal_metrics.TASK_QUEUE_TIME,
        Label.TASK_QUEUE,
        width=THIRD,
    )


def _activity_queue_time() -> Builder[Panel]:
    return _p95(
        "Activity task queue p95",
        "From the scheduling of an activity task to its start, as Temporal measures it.",
        temporal_metrics.ACTIVITY_QUEUE_TIME,
        Label.TASK_QUEUE,
        width=THIRD,
    )


def _attempt_queue_time() -> Builder[Panel]:
    metric, by = names.QUEUE_TIME, Attribute.ACTIVITY_TYPE
    return graph(
        "Queue time p95 by activity type",
        "The same as the tracer measures it, with traces as exemplars. Not filtered by task queue.",
        [Line(quantile(0.95, metric, by=(by,), where=in_namespace(metric)), legend(metric, by))],
        unit="s",
        width=THIRD,
    )


def _task_time() -> Builder[Panel]:
    return _p95(
        "Workflow task p95",
        "How long a workflow task takes on its worker, replay included.",
        temporal_metrics.TASK_TIME,
        Label.WORKFLOW_TYPE,
        width=THIRD,
    )


def _replay_time() -> Builder[Panel]:
    return _p95(
        "Replay p95",
        "How long it takes to replay a run that is not in the cache.",
        temporal_metrics.REPLAY_TIME,
        Label.WORKFLOW_TYPE,
        width=THIRD,
    )


def _failed_tasks() -> Builder[Panel]:
    metric, by = temporal_metrics.TASKS_FAILED, Label.FAILURE_REASON
    return graph(
        "Failed workflow tasks by reason",
        "Per minute, in Temporal's words.",
        [Line(per_minute(metric, by=(by,), where=chosen(metric)), legend(metric, by), False)],
        unit="cpm",
        width=THIRD,
        stacked=True,
    )


def _headroom() -> Builder[Panel]:
    metric, by = names.HEADROOM, Attribute.WORKFLOW_TYPE
    return graph(
        "Deadlock headroom by workflow type",
        "What the slowest activation of a type had left of the two seconds after which Temporal"
        " takes it for deadlocked. Not filtered by task queue.",
        [Line(lowest(metric, by=(by,), where=in_namespace(metric, _DEADLOCK)), legend(metric, by))],
        unit="percentunit",
        width=THIRD,
    )


def _cpu() -> Builder[Panel]:
    metric, by = names.ACTIVATION_CPU_TIME, Attribute.WORKFLOW_TYPE
    return graph(
        "CPU of workflow code",
        "Processor seconds a second that the workflow code of a type takes. Not filtered by task"
        " queue.",
        [Line(per_second(metric, by=(by,), where=in_namespace(metric)), legend(metric, by))],
        unit="percentunit",
        width=THIRD,
        stacked=True,
    )


def _failures_by_kind() -> Builder[Panel]:
    metric, by = names.TASK_FAILURES, Attribute.TASK_FAILURE_KIND
    return graph(
        "Failed workflow tasks by kind",
        "Per minute, as the tracer tells them apart, with traces as exemplars. Not filtered by task"
        " queue.",
        [Line(per_minute(metric, by=(by,), where=in_namespace(metric)), legend(metric, by))],
        unit="cpm",
        width=THIRD,
        stacked=True,
    )


def _activity_time() -> Builder[Panel]:
    return _p95(
        "Activity p95",
        "How long an attempt runs on its worker.",
        temporal_metrics.ACTIVITY_TIME,
        Label.ACTIVITY_TYPE,
        width=HALF,
    )


def _failed_activities() -> Builder[Panel]:
    metric, by = temporal_metrics.ACTIVITIES_FAILED, Label.ACTIVITY_TYPE
    return graph(
        "Failed attempts by activity type",
        "Per minute.",
        [Line(per_minute(metric, by=(by,), where=chosen(metric)), legend(metric, by), False)],
        unit="cpm",
        width=HALF,
        stacked=True,
    )


def _request_time() -> Builder[Panel]:
    return _p95(
        "Request p95",
        "How long Temporal takes to answer, by operation; polls are left out.",
        temporal_metrics.REQUEST_TIME,
        Label.OPERATION,
        width=HALF,
    )


def _failed_requests() -> Builder[Panel]:
    metric = temporal_metrics.REQUESTS_FAILED
    operation, status = Label.OPERATION, Label.STATUS_CODE
    return graph(
        "Failed requests",
        "Per minute, by operation and status. RESOURCE_EXHAUSTED: a rate limit of the namespace.",
        [
            Line(
                per_minute(metric, by=(operation, status), where=chosen(metric)),
                f"{legend(metric, operation)}: {legend(metric, status)}",
                exemplars=False,
            )
        ],
        unit="cpm",
        width=HALF,
        stacked=True,
    )
