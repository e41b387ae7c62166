"""Metrics of Temporal's own SDK core that the dashboards ask for, beside those of `tracer.names`.

The names are Temporal's. Units are those of `tracer.temporal_runtime`: seconds, where the core left
alone reports milliseconds. Written once, so that a query cannot ask for a label that Temporal does
not write; a test compares them with what a worker exports.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from tracer.names import Instrument, Metric

__all__ = ["METRICS", "Label"]


class Label(StrEnum):
    """Temporal's own labels; its dashboards have a variable `namespace` too."""

    NAMESPACE = "namespace"
    TASK_QUEUE = "task_queue"
    WORKER_TYPE = "worker_type"
    """`WorkflowWorker`, `ActivityWorker`, `LocalActivityWorker`, `NexusWorker`."""
    POLLER_TYPE = "poller_type"
    """`workflow_task`, `sticky_workflow_task`, `activity_task`, `nexus_task`."""
    FAILURE_REASON = "failure_reason"
    """`NonDeterminismError`, `WorkflowError`, `timeout`, `GrpcMessageTooLarge`, …"""
    ACTIVITY_TYPE = "activity_type"
    WORKFLOW_TYPE = "workflow_type"
    OPERATION = "operation"
    STATUS_CODE = "status_code"


_QUEUE: Final = (Label.NAMESPACE, Label.TASK_QUEUE)

POLLERS: Final = Metric(
    "temporal_num_pollers",
    "{poller}",
    "Polls that are open.",
    (*_QUEUE, Label.POLLER_TYPE),
    Instrument.GAUGE,
)
SLOTS_AVAILABLE: Final = Metric(
    "temporal_worker_task_slots_available",
    "{slot}",
    "Slots that are free.",
    (*_QUEUE, Label.WORKER_TYPE),
    Instrument.GAUGE,
)
SLOTS_USED: Final = Metric(
    "temporal_worker_task_slots_used",
    "{slot}",
    "Slots in which a task runs.",
    (*_QUEUE, Label.WORKER_TYPE),
    Instrument.GAUGE,
)
CACHED_RUNS: Final = Metric(
    "temporal_sticky_cache_size",
    "{run}",
    "Runs in the cache of a worker.",
    _QUEUE,
    Instrument.GAUGE,
)
CACHE_HITS: Final = Metric(
    "temporal_sticky_cache_hit",
    "{task}",
    "Workflow tasks whose run was in the cache.",
    (*_QUEUE, Label.WORKFLOW_TYPE),
)
FORCED_EVICTIONS: Final = Metric(
    "temporal_sticky_cache_forced_eviction",
    "{run}",
    "Runs that had to leave the cache.",
    _QUEUE,
)
TASK_QUEUE_TIME: Final = Metric(
    "temporal_workflow_task_schedule_to_start_latency",
    "s",
    "From the scheduling of a workflow task to its start on a worker.",
    _QUEUE,
)
TASK_TIME: Final = Metric(
    "temporal_workflow_task_execution_latency",
    "s",
    "How long a workflow task takes on its worker.",
    (*_QUEUE, Label.WORKFLOW_TYPE),
)
REPLAY_TIME: Final = Metric(
    "temporal_workflow_task_replay_latency",
    "s",
    "How long it takes to replay a run that is not in the cache.",
    (*_QUEUE, Label.WORKFLOW_TYPE),
)
TASKS_FAILED: Final = Metric(
    "temporal_workflow_task_execution_failed",
    "{task}",
    "Workflow tasks that failed.",
    (*_QUEUE, Label.WORKFLOW_TYPE, Label.FAILURE_REASON),
)
ACTIVITY_QUEUE_TIME: Final = Metric(
    "temporal_activity_schedule_to_start_latency",
    "s",
    "From the scheduling of an activity task to its start on a worker.",
    _QUEUE,
)
ACTIVITY_TIME: Final = Metric(
    "temporal_activity_execution_latency",
    "s",
    "How long an activity runs.",
    (*_QUEUE, Label.ACTIVITY_TYPE),
)
ACTIVITIES_FAILED: Final = Metric(
    "temporal_activity_execution_failed",
    "{attempt}",
    "Attempts of activities that failed.",
    (*_QUEUE, Label.ACTIVITY_TYPE, Label.FAILURE_REASON),
)
REQUEST_TIME: Final = Metric(
    "temporal_request_latency",
    "s",
    "How long the server takes to answer; polls are left out.",
    (Label.NAMESPACE, Label.OPERATION),
)
REQUESTS_FAILED: Final = Metric(
    "temporal_request_failure",
    "{request}",
    "Requests that the server refused or did not answer.",
    (Label.NAMESPACE, Label.OPERATION, Label.STATUS_CODE),
)

METRICS: Final = (
    POLLERS,
    SLOTS_AVAILABLE,
    SLOTS_USED,
    CACHED_RUNS,
    CACHE_HITS,
    FORCED_EVICTIONS,
    TASK_QUEUE_TIME,
    TASK_TIME,
    REPLAY_TIME,
    TASKS_FAILED,
    ACTIVITY_QUEUE_TIME,
    ACTIVITY_TIME,
    ACTIVITIES_FAILED,
    REQUEST_TIME,
    REQUESTS_FAILED,
)
"""All that the dashboards use; Temporal's own dashboards show more."""
