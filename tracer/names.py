"""Every name that Retrospan puts into telemetry: the one place for spans, attributes and metrics.

Docs, SQL and dashboards are generated from or checked against this module. Three families:
`temporal…ID` in camel case are the names that Temporal's own SDK plugins write, kept so that traces
join; dotted `temporal.*` are facts about Temporal; `retrospan.*` are our own ideas.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

TRACER_NAME: Final = "retrospan"
"""The instrumentation scope of all spans and metrics."""

HEADER: Final = "_tracer-data"
"""The header that carries W3C trace context; the same as in Temporal's own plugins."""

STEP_HEADER: Final = "_retrospan-step"
"""The same, where another tracer has taken `HEADER` for spans of its own. It precedes `HEADER`."""

NEXUS_STEP_HEADER: Final = "retrospan-step"
"""The same for Nexus, whose headers are plain strings: a W3C `traceparent`."""

NEXUS_STATE_HEADER: Final = "retrospan-state"
"""The `tracestate` that belongs to it."""

LINK_HEADER: Final = "_retrospan-link"
"""Carries the trace context of a run to the run that it continues as: a link, not a parent."""

TENANT_HEADER: Final = "_retrospan-tenant"
"""Carries a run's tenant to its attempts, which see neither search attributes nor memo."""


class SpanKind(StrEnum):
    """What a span stands for: the value of `retrospan.span.kind`, and part of its id."""

    RUN = "run"
    """`run {type}`: zero length, exported as soon as the run starts. The root of its spans, so that
    the trace of an open run, or of one that was terminated, has no orphans."""
    WORKFLOW = "workflow"
    """`workflow {type}`: from start to close, whatever the outcome."""
    STEP = "step"
    """`step {name}`: an activity, from the command to its answer."""
    LOCAL = "local"
    """`local {name}`: a local activity."""
    CHILD = "child"
    """`child {type}`: a child workflow, as its parent sees it."""
    NEXUS = "nexus"
    """`nexus {service}/{operation}`"""
    TIMER = "timer"
    """`timer`: from start to firing or cancellation."""
    EXTERNAL = "external"
    """`external {name}`: a signal or cancel request to another workflow."""
    ATTEMPT = "attempt"
    """`attempt {name}`: one try of a step, on the activity worker."""
    WAIT = "wait"
    """`wait {label}`: the run stood still."""
    SIGNAL = "signal"
    """`signal {name}`: received; zero length."""
    UPDATE = "update"
    """`update {name}`: from admission to answer."""
    QUERY = "query"
    """`query {name}`: answered by the worker. In no history, so never told by `backfill`."""
    HANDLER = "handler"
    """`handle {service}/{operation}`: one try of a Nexus operation, on the worker that handles it.
    In no history either."""
    TASK_FAILURE = "task_failure"
    """`task failure`: a failed workflow task."""
    START = "start"
    """`start {type}`: a client starts a workflow."""
    LIMIT = "limit"
    """`limit {name}`: a run came near a limit. Zero length for its history, once for each limit;
    for an activation that took long, from its begin to its end."""
    BRANCH = "branch"
    """`branch {function}`, or `branch {name}` of a named decision: zero length, at the time of the
    activation that took it; those of one activation are a nanosecond apart, in their order."""


class Attribute(StrEnum):
    """Attribute keys."""

    WORKFLOW_ID = "temporalWorkflowID"
    """The workflow id, as Temporal's own plugins name it."""
    RUN_ID = "temporalRunID"
    """The run id."""
    ACTIVITY_ID = "temporalActivityID"
    """The activity's id in its run."""
    NAMESPACE = "temporal.namespace"
    """The Temporal namespace."""
    TASK_QUEUE = "temporal.task_queue"
    """The task queue of a run, step or attempt."""
    WORKFLOW_TYPE = "temporal.workflow.type"
    """The workflow type."""
    WORKFLOW_STATUS = "temporal.workflow.status"
    """How the run ended: `COMPLETED`, `FAILED`, `CANCELED`, `TERMINATED`, `TIMED_OUT`,
    `CONTINUED_AS_NEW`."""
    WORKFLOW_ATTEMPT = "temporal.workflow.attempt"
    """Which retry of the workflow this run is, from 1."""
    PARENT_WORKFLOW_ID = "temporal.workflow.parent.id"
    """The workflow id of the parent run."""
    CONTINUED_FROM = "temporal.workflow.continued_from.run_id"
    """The run that this one continues."""
    ACTIVITY_TYPE = "temporal.activity.type"
    """The activity type."""
    ACTIVITY_ATTEMPT = "temporal.activity.attempt"
    """The number of the attempt, from 1."""
    IS_LOCAL = "temporal.activity.local"
    """Whether it is a local activity."""
    CHILD_WORKFLOW_ID = "temporal.child.workflow.id"
    """The workflow id of a child."""
    TIMER_ID = "temporal.timer.id"
    """The timer's id in its run."""
    SIGNAL_NAME = "temporal.signal.name"
    """The signal's name."""
    UPDATE_ID = "temporal.update.id"
    """The update's id."""
    UPDATE_NAME = "temporal.update.name"
    """The update's name."""
    QUERY_NAME = "temporal.query.name"
    """The query's name."""
    NEXUS_SERVICE = "temporal.nexus.service"
    """The Nexus service."""
    NEXUS_OPERATION = "temporal.nexus.operation"
    """The operation of the service."""
    PATCHES = "temporal.workflow.patches"
    """The ids of the patches that the run took, in order, separated by commas."""
    IDENTITY = "temporal.identity"
    """The client or worker that did it."""
    SUMMARY = "temporal.summary"
    """What the workflow's author wrote for people (`summary=`)."""
    RETRY_STATE = "temporal.retry_state"
    """Why a step was not tried again, in Temporal's words."""
    MAXIMUM_ATTEMPTS = "temporal.retry_policy.maximum_attempts"
    """The most attempts that the retry policy allows; absent when unlimited."""
    TASK_FAILURE_CAUSE = "temporal.workflow_task.failure.cause"
    """Temporal's cause of a failed workflow task."""
    SPAN_KIND = "retrospan.span.kind"
    """What the span stands for: one of the span kinds above."""
    STEP_KIND = "retrospan.step.kind"
    """`activity`, `local_activity`, `child_workflow`, `nexus_operation`, `timer`,
    `signal_external`, `cancel_external`."""
    STEP_NAME = "retrospan.step.name"
    """The step's name: activity type, child type, timer summary."""
    STEP_ID = "retrospan.step.id"
    """The id that worker and history share."""
    STEP_OCCURRENCE = "retrospan.step.occurrence"
    """1, and more where a run uses kind and id again."""
    OUTCOME = "retrospan.outcome"
    """`completed`, `failed`, `timed_out`, `canceled`, `terminated`, `rejected`."""
    ATTEMPTS = "retrospan.step.attempts"
    """Attempts that a step took."""
    INPUT_BYTES = "retrospan.input.bytes"
    """Bytes of the input's payloads."""
    RESULT_BYTES = "retrospan.result.bytes"
    """Bytes of the result's payloads."""
    SCHEDULED_AT = "retrospan.attempt.scheduled_at"
    """When the server scheduled the attempt, ISO 8601."""
    QUEUE_SECONDS = "retrospan.queue.seconds"
    """From then to its start on a worker."""
    BACKOFF_SECONDS = "retrospan.attempt.backoff.seconds"
    """From the end of the attempt before, where it is known, to the scheduling of this one."""
    PREVIOUS_FAILURE_TYPE = "retrospan.attempt.previous.type"
    """Why there was an attempt before this one: the type of its failure's root cause. `HEARTBEAT`
    and `START_TO_CLOSE` are timeouts: its worker died, lost its connection or stalled."""
    PREVIOUS_FAILURE_MESSAGE = "retrospan.attempt.previous.message"
    """The message of that root cause."""
    PREVIOUS_FAILURE_FINGERPRINT = "retrospan.attempt.previous.fingerprint"
    """Its fingerprint."""
    IS_LAST_ATTEMPT = "retrospan.attempt.last"
    """Whether Temporal will not try again."""
    ATTEMPT_SOURCE = "retrospan.attempt.source"
    """`history` where no worker told of the attempt: its times are as near as a history comes."""
    IS_LOST = "retrospan.attempt.lost"
    """The worker never answered: it died, lost its connection or stalled."""
    WAIT_LABEL = "retrospan.wait.label"
    """What a run waited for."""
    WOKEN_BY = "retrospan.wait.woken_by"
    """What ended the wait: `signal`, `update`, `timer`, `cancel_request`, `run_closed`."""
    IS_HUMAN_WAIT = "retrospan.wait.human"
    """Whether a client's signal or update ended it."""
    TASK_FAILURE_KIND = "retrospan.task_failure.kind"
    """`nondeterminism`, `deadlock`, `payload_size`, `sandbox`, `unregistered`, `user_exception`,
    `reset`, `server`."""
    FAILURE_MESSAGE = "retrospan.failure.message"
    """The message of the root cause."""
    FAILURE_FINGERPRINT = "retrospan.failure.fingerprint"
    """The same for failures that differ only in ids and numbers."""
    ERROR_TYPE = "error.type"
    """The type of the root cause, as OpenTelemetry names it."""
    TENANT = "retrospan.tenant"
    """Whom the run is for: from the namespace, a search attribute, a header or the memo."""
    INPUT_CONTENT = "retrospan.input.content"
    """The input as a JSON array of its payloads; only of workflow types that were opted in."""
    RESULT_CONTENT = "retrospan.result.content"
    """The same of the result."""
    REDACTED_FIELDS = "retrospan.redacted.fields"
    """How many names, values and messages of the span redaction changed or removed."""
    LOSS_REASON = "retrospan.loss.reason"
    """`queue_full`, `export_failed`, `not_redacted`, `shut_down`."""
    TOOL_BLOCKED = "retrospan.tool.blocked"
    """True where a policy or a person did not let the tool run."""
    TOOL_BLOCK_REASON = "retrospan.tool.block.reason"
    """Why, for people."""
    TOOL_BLOCK_POLICY = "retrospan.tool.block.policy"
    """The rule that decided."""
    CALL_MESSAGES = "retrospan.call.messages"
    """How many messages the model was given."""
    CALL_CHUNKS = "retrospan.call.chunks"
    """In how many chunks a streamed answer came."""
    PRICE_SOURCE = "retrospan.price.source"
    """Where the cost is from: `genai-prices`, `price-file`, or `provider` with the answer."""
    PRICE_VERSION = "retrospan.price.version"
    """Version of the price list, or the beginning of the price file's SHA-256."""
    PRICE_MODEL = "retrospan.price.model"
    """`provider/model` of the price list or file."""
    HISTORY_EVENTS = "temporal.history.events"
    """Events of the history as the run's last workflow task found it."""
    HISTORY_BYTES = "temporal.history.bytes"
    """Its bytes."""
    HISTORY_HEADROOM = "retrospan.history.headroom"
    """The share that is left of the limit on events or on bytes, whichever is nearer: 1 to 0."""
    PAYLOAD_HEADROOM = "retrospan.payload.headroom"
    """The share of the limit on payloads that the larger of input and result leaves: 1 to 0."""
    LIMIT_NEAR = "retrospan.limit.near"
    """The limits that are almost used up, separated by commas: `payload`, `history_events`,
    `history_bytes`, `activation`. Absent if there are none."""
    LIMIT_NAME = "retrospan.limit.name"
    """Which limit a `limit` span or a metric is about."""
    LIMIT_USED = "retrospan.limit.used"
    """How much of it is used, in events, bytes or seconds."""
    LIMIT_MAXIMUM = "retrospan.limit.maximum"
    """How much there is."""
    LIMIT_HEADROOM = "retrospan.limit.headroom"
    """The share that is left: 1 to 0."""
    ACTIVATION_CPU = "retrospan.activation.cpu_seconds"
    """Seconds that the activation's thread was at work; the rest of its time it was waiting."""
    HOT_LINES = "retrospan.activation.hot_lines"
    """The lines of workflow code that a slow activation was found in most often."""
    CODE_FUNCTION = "code.function.name"
    """The function that decided, such as `Refund.run`, as OpenTelemetry names it."""
    CODE_FILE = "code.file.path"
    """Its file, from the top-level package on: `shop/refunds.py`."""
    CODE_LINE = "code.line.number"
    """The line of the decision."""
    BRANCH_KIND = "retrospan.branch.kind"
    """`if`, `elif`, `while`, `match`, `boolean`, `ternary`, `filter`, `except`, `assert`, or
    `decision` where the workflow named it."""
    BRANCH_CONDITION = "retrospan.branch.condition"
    """The condition as the author wrote it."""
    BRANCH_OUTCOME = "retrospan.branch.outcome"
    """Whether it held; of a named decision, what it came to."""
    BRANCH_BECAUSE = "retrospan.branch.because"
    """The part that settled a condition of several parts."""
    BRANCH_OCCURRENCE = "retrospan.branch.occurrence"
    """Which evaluation at this place in this run it was, from 1."""
    BRANCH_ROUNDS = "retrospan.branch.rounds"
    """Where a `while` ended: how many rounds it made."""
    BRANCH_VALUES = "retrospan.branch.values"
    """What the names in the condition stood for, as a JSON object; only where that was allowed."""
    BRANCH_DROPPED = "retrospan.branch.dropped"
    """On the last branch of an activation: decisions of it that were counted, but have no span."""
    LOOPS = "retrospan.loops"
    """On a `workflow` span: the loops of its code with the rounds they made in this run."""
    DECISION_NAME = "retrospan.decision.name"
    """The name that the workflow gave to a decision."""
    DECISION_WHY = "retrospan.decision.why"
    """The reasons that the workflow gave, as a JSON object."""


PLAIN: Final = {key: key.value for key in Attribute}
"""Keys as plain text: exporters that check types strictly take no subclass of `str`. Looking up one
here costs less than asking the member for its value."""


class GenAI(StrEnum):
    """Keys of OpenTelemetry's GenAI and MCP conventions, in the spelling that the tracer writes.

    Older spellings and those of other libraries are read by `tracer.genai.reading`, never written.
    """

    OPERATION = "gen_ai.operation.name"
    PROVIDER = "gen_ai.provider.name"
    CONVERSATION_ID = "gen_ai.conversation.id"
    AGENT_NAME = "gen_ai.agent.name"
    OUTPUT_TYPE = "gen_ai.output.type"
    REQUEST_MODEL = "gen_ai.request.model"
    REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
    REQUEST_TEMPERATURE = "gen_ai.request.temperature"
    REQUEST_TOP_P = "gen_ai.request.top_p"
    REQUEST_TOP_K = "gen_ai.request.top_k"
    REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
    REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
    REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
    REQUEST_SEED = "gen_ai.request.seed"
    REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
    REQUEST_STREAM = "gen_ai.request.stream"
    REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level"
    REQUEST_ENCODING_FORMATS = "gen_ai.request.encoding_formats"
    RESPONSE_MODEL = "gen_ai.response.model"
    RESPONSE_ID = "gen_ai.response.id"
    FINISH_REASONS = "gen_ai.response.finish_reasons"
    TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
    INPUT_TOKENS = "gen_ai.usage.input_tokens"
    """All of them, those read from and written to a cache included."""
    CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
    CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    """All of them, reasoning included."""
    REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
    COST = "operation.cost"
    """US dollars. The conventions have no name for money yet; this one is what Logfire and
    pydantic-ai write, so that spans of both add up in one query."""
    TOKEN_TYPE = "gen_ai.token.type"
    """On metrics: `input` or `output`."""
    INPUT_MESSAGES = "gen_ai.input.messages"
    """Content: only where capture is switched on, as are the next four."""
    OUTPUT_MESSAGES = "gen_ai.output.messages"
    SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
    TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
    TOOL_RESULT = "gen_ai.tool.call.result"
    TOOL_NAME = "gen_ai.tool.name"
    TOOL_TYPE = "gen_ai.tool.type"
    TOOL_CALL_ID = "gen_ai.tool.call.id"
    TOOL_DESCRIPTION = "gen_ai.tool.description"
    SERVER_ADDRESS = "server.address"
    SERVER_PORT = "server.port"
    MCP_METHOD = "mcp.method.name"
    """Read, not written: it tells that the span of an MCP server is that of a tool."""
    MCP_SESSION_ID = "mcp.session.id"


class Instrument(StrEnum):
    """How a metric is recorded."""

    COUNTER = "counter"
    """A sum that only grows."""
    HISTOGRAM = "histogram"
    """A distribution."""
    GAUGE = "gauge"
    """The present value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: what it counts or measures, and by which low-cardinality attributes."""

    name: str
    unit: str
    """In UCUM, as OpenTelemetry asks."""
    brief: str
    attributes: tuple[str, ...]
    instrument: Instrument | None = None
    """Left out, a counter if the unit is an annotation such as `{run}`, else a histogram."""

    def __post_init__(self) -> None:
        """Settle the instrument, and make plain text of the attributes.

        Exporters that check types take no subclass of `str`.
        """
        object.__setattr__(self, "attributes", tuple(map(str, self.attributes)))
        if self.instrument is None:
            is_counter = self.unit.startswith("{")
            by_unit = Instrument.COUNTER if is_counter else Instrument.HISTOGRAM
            object.__setattr__(self, "instrument", by_unit)


RUNS: Final = Metric(
    "retrospan.runs",
    "{run}",
    "Runs that ended, by outcome.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE, Attribute.WORKFLOW_STATUS),
)
RUN_DURATION: Final = Metric(
    "retrospan.run.duration",
    "s",
    "From start to end of a run.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE, Attribute.WORKFLOW_STATUS),
)
STEP_DURATION: Final = Metric(
    "retrospan.step.duration",
    "s",
    "From the command to the answer, all attempts and queueing included.",
    (
        Attribute.NAMESPACE,
        Attribute.WORKFLOW_TYPE,
        Attribute.STEP_KIND,
        Attribute.STEP_NAME,
        Attribute.OUTCOME,
    ),
)
ATTEMPT_COUNT: Final = Metric(
    "retrospan.attempts",
    "{attempt}",
    "Attempts of activities that ended, by outcome and fingerprint of the failure; each that failed"
    " and is not the last is a retry to come.",
    (
        Attribute.NAMESPACE,
        Attribute.WORKFLOW_TYPE,
        Attribute.ACTIVITY_TYPE,
        Attribute.OUTCOME,
        Attribute.IS_LAST_ATTEMPT,
        Attribute.ERROR_TYPE,
        Attribute.FAILURE_FINGERPRINT,
    ),
)
QUEUE_TIME: Final = Metric(
    "retrospan.step.queue_time",
    "s",
    "From the scheduling of an attempt to its start on a worker.",
    (Attribute.NAMESPACE, Attribute.TASK_QUEUE, Attribute.ACTIVITY_TYPE),
)
WAIT_DURATION: Final = Metric(
    "retrospan.wait.duration",
    "s",
    "How long runs stood still.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE, Attribute.WOKEN_BY, Attribute.IS_HUMAN_WAIT),
)
OPEN_WAITS: Final = Metric(
    "retrospan.waits.open",
    "{wait}",
    "Runs in the worker's cache that stand still now; one that left the cache is not counted.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE),
    Instrument.GAUGE,
)
OPEN_WAIT_AGE: Final = Metric(
    "retrospan.wait.age",
    "s",
    "How long the one of them that has stood still longest does so.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE),
    Instrument.GAUGE,
)
TASK_FAILURES: Final = Metric(
    "retrospan.task_failures",
    "{failure}",
    "Failed workflow tasks, by class.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE, Attribute.TASK_FAILURE_KIND),
)
PAYLOAD_BYTES: Final = Metric(
    "retrospan.payload.bytes",
    "By",
    "Bytes of the inputs and results of steps that ended.",
    (
        Attribute.NAMESPACE,
        Attribute.WORKFLOW_TYPE,
        Attribute.STEP_KIND,
        Attribute.STEP_NAME,
    ),
    Instrument.COUNTER,
)
ACTIVATION_CPU_TIME: Final = Metric(
    "retrospan.activation.cpu_time",
    "s",
    "CPU time of workflow code; replays are left out.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE),
    Instrument.COUNTER,
)
ACTIVATIONS: Final = Metric(
    "retrospan.activations",
    "{activation}",
    "How often workflow code was run; replays are left out.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE),
)
HEADROOM: Final = Metric(
    "retrospan.limit.headroom",
    "1",
    "The least that any step, run or activation had left of a limit in the last minute or two.",
    (Attribute.NAMESPACE, Attribute.WORKFLOW_TYPE, Attribute.LIMIT_NAME),
    Instrument.GAUGE,
)
BRANCHES: Final = Metric(
    "retrospan.branches",
    "{branch}",
    "Decisions of workflow code, by place and outcome; numbers as outcomes are left out.",
    (
        Attribute.NAMESPACE,
        Attribute.WORKFLOW_TYPE,
        Attribute.CODE_FUNCTION,
        Attribute.CODE_LINE,
        Attribute.BRANCH_KIND,
        Attribute.DECISION_NAME,
        Attribute.BRANCH_OUTCOME,
    ),
)
DROPPED_SPANS: Final = Metric(
    "retrospan.dropped_spans",
    "{span}",
    "Spans lost because the exporter could not keep up.",
    (),
)
LOST_SPANS: Final = Metric(
    "retrospan.lost_spans",
    "{span}",
    "Finished spans that did not reach the collector, by reason.",
    (Attribute.LOSS_REASON,),
)
TRACER_ERRORS: Final = Metric(
    "retrospan.tracer_errors",
    "{error}",
    "Errors of the tracer itself; none of them touches a workflow.",
    (),
)

MODEL_CALL_DURATION: Final = Metric(
    "gen_ai.client.operation.duration",
    "s",
    "Model calls, from the request to the end of the answer.",
    (
        GenAI.OPERATION,
        GenAI.PROVIDER,
        GenAI.REQUEST_MODEL,
        GenAI.RESPONSE_MODEL,
        GenAI.SERVER_ADDRESS,
        GenAI.SERVER_PORT,
        Attribute.ERROR_TYPE,
    ),
)
TIME_TO_FIRST_CHUNK: Final = Metric(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "Streamed model calls: from the request to the first chunk.",
    MODEL_CALL_DURATION.attributes,
)
TIME_PER_CHUNK: Final = Metric(
    "gen_ai.client.operation.time_per_output_chunk",
    "s",
    "Streamed model calls: from one chunk to the next.",
    MODEL_CALL_DURATION.attributes,
)
TOKENS: Final = Metric(
    "gen_ai.client.token.usage",
    "{token}",
    "Tokens of a model call, input with cached ones and output with reasoning.",
    (*MODEL_CALL_DURATION.attributes, GenAI.TOKEN_TYPE),
    Instrument.HISTOGRAM,
)
TOOL_DURATION: Final = Metric(
    "gen_ai.execute_tool.duration",
    "s",
    "Tool calls that were let through.",
    (GenAI.TOOL_NAME, GenAI.TOOL_TYPE, GenAI.AGENT_NAME, Attribute.ERROR_TYPE),
)
TOOL_BLOCKS: Final = Metric(
    "retrospan.tool.blocks",
    "{call}",
    "Tool calls that a policy or a person refused.",
    (GenAI.TOOL_NAME, Attribute.TOOL_BLOCK_POLICY),
)
COST: Final = Metric(
    "operation.cost",
    "{USD}",
    "Cost of model calls whose price is known, at the price of their day.",
    (
        Attribute.NAMESPACE,
        Attribute.WORKFLOW_TYPE,
        Attribute.ACTIVITY_TYPE,
        GenAI.OPERATION,
        GenAI.PROVIDER,
        GenAI.REQUEST_MODEL,
        GenAI.RESPONSE_MODEL,
    ),
    Instrument.HISTOGRAM,
)

METRICS: Final = (
    RUNS,
    RUN_DURATION,
    STEP_DURATION,
    ATTEMPT_COUNT,
    QUEUE_TIME,
    WAIT_DURATION,
    OPEN_WAITS,
    OPEN_WAIT_AGE,
    TASK_FAILURES,
    BRANCHES,
    PAYLOAD_BYTES,
    ACTIVATION_CPU_TIME,
    ACTIVATIONS,
    HEADROOM,
    DROPPED_SPANS,
    LOST_SPANS,
    TRACER_ERRORS,
)
"""All metrics that the tracer emits."""

GENAI_METRICS: Final = (
    MODEL_CALL_DURATION,
    TIME_TO_FIRST_CHUNK,
    TIME_PER_CHUNK,
    TOKENS,
    TOOL_DURATION,
    TOOL_BLOCKS,
    COST,
)
"""Metrics of model and tool calls; instrumentations of model clients emit some of them too."""
