-- What follows from several facts at once, settled for each run that a batch touches: views that had
-- to find it out anew for every run would not answer in a second. The rules are the files from 200.
DROP TABLE core.run_time;
ALTER TABLE core.steps ADD COLUMN critical_gap_s DOUBLE;
COMMENT ON COLUMN core.steps.critical_gap_s IS 'Of what is on the critical path of its run, seconds between it and what came before on the path; NULL for the rest';
ALTER TABLE core.waits ADD COLUMN critical_gap_s DOUBLE;
COMMENT ON COLUMN core.waits.critical_gap_s IS 'Of what is on the critical path of its run, seconds between it and what came before on the path; NULL for the rest';

CREATE TABLE raw.unsettled (
    workflow_id VARCHAR,
    run_id VARCHAR,
    trace_id VARCHAR
);
COMMENT ON TABLE raw.unsettled IS 'Runs, or traces with runs, whose facts changed and that are still to be settled; empty whenever somebody may read';
COMMENT ON COLUMN raw.unsettled.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN raw.unsettled.run_id IS 'Run id of the run; NULL where a trace is named';
COMMENT ON COLUMN raw.unsettled.trace_id IS 'Trace whose runs are meant, hex; NULL where a run is named';

CREATE TABLE core.run_time (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    activity_s DOUBLE NOT NULL,
    child_s DOUBLE NOT NULL,
    failed_attempt_s DOUBLE NOT NULL,
    backoff_s DOUBLE NOT NULL,
    retry_s DOUBLE NOT NULL,
    queue_s DOUBLE NOT NULL,
    workflow_s DOUBLE NOT NULL,
    human_wait_s DOUBLE NOT NULL,
    wait_s DOUBLE NOT NULL,
    timer_s DOUBLE NOT NULL,
    other_s DOUBLE NOT NULL,
    total_s DOUBLE NOT NULL
);
COMMENT ON TABLE core.run_time IS 'One row per run: its duration cut into parts that add up; each instant counts once, for the first part in the order of the columns that applies';
COMMENT ON COLUMN core.run_time.namespace IS 'Temporal namespace of the run; empty where the source did not say';
COMMENT ON COLUMN core.run_time.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.run_time.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.run_time.activity_s IS 'Seconds in which the last try of an activity, or a Nexus operation, ran';
COMMENT ON COLUMN core.run_time.child_s IS 'Seconds in which a child workflow ran';
COMMENT ON COLUMN core.run_time.failed_attempt_s IS 'Seconds in which tries ran that failed, as spans tell';
COMMENT ON COLUMN core.run_time.backoff_s IS 'Seconds between such tries: backoff, and queueing after it';
COMMENT ON COLUMN core.run_time.retry_s IS 'Seconds of earlier tries and backoff of steps whose tries no span tells apart';
COMMENT ON COLUMN core.run_time.queue_s IS 'Seconds in which steps or workflow tasks waited for a worker';
COMMENT ON COLUMN core.run_time.workflow_s IS 'Seconds in which workflow code ran';
COMMENT ON COLUMN core.run_time.human_wait_s IS 'Seconds of waits that a person ended';
COMMENT ON COLUMN core.run_time.wait_s IS 'Seconds of waits for another message, or that still last';
COMMENT ON COLUMN core.run_time.timer_s IS 'Seconds of waits that a timer ended, and of timers';
COMMENT ON COLUMN core.run_time.other_s IS 'Seconds that nothing in the history explains';
COMMENT ON COLUMN core.run_time.total_s IS 'Seconds from start to end, or to the last event read while it is open';

CREATE TABLE core.branches (
    namespace VARCHAR,
    workflow_id VARCHAR,
    run_id VARCHAR,
    workflow_type VARCHAR,
    taken_at TIMESTAMP_NS NOT NULL,
    function VARCHAR,
    file VARCHAR,
    line INTEGER,
    kind VARCHAR,
    condition VARCHAR,
    decision VARCHAR,
    outcome VARCHAR,
    because VARCHAR,
    occurrence BIGINT,
    rounds BIGINT,
    n_dropped BIGINT NOT NULL,
    reasons VARCHAR,
    trace_id VARCHAR NOT NULL,
    span_id VARCHAR NOT NULL
);
COMMENT ON TABLE core.branches IS 'One row per decision of workflow code that a worker told of; histories do not know them';
COMMENT ON COLUMN core.branches.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN core.branches.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.branches.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.branches.workflow_type IS 'Workflow type';
COMMENT ON COLUMN core.branches.taken_at IS 'Time of the activation, UTC; decisions of one activation are a nanosecond apart, in their order';
COMMENT ON COLUMN core.branches.function IS 'Function that decided';
COMMENT ON COLUMN core.branches.file IS 'Its file, from the top-level package on';
COMMENT ON COLUMN core.branches.line IS 'Line of the decision';
COMMENT ON COLUMN core.branches.kind IS 'What the author wrote: if, elif, while, match, boolean, ternary, filter, except, assert, or decision where the workflow named it';
COMMENT ON COLUMN core.branches.condition IS 'Source text of the condition; NULL for a named decision';
COMMENT ON COLUMN core.branches.decision IS 'Name that the workflow gave it; NULL for others';
COMMENT ON COLUMN core.branches.outcome IS 'true or false; of a named decision, what it came to';
COMMENT ON COLUMN core.branches.because IS 'Part that settled a condition of several parts';
COMMENT ON COLUMN core.branches.occurrence IS 'Which evaluation at this place in this run it was, from 1';
COMMENT ON COLUMN core.branches.rounds IS 'Where a while ended: rounds it made';
COMMENT ON COLUMN core.branches.n_dropped IS 'Decisions of the same activation that were only counted, on the last that was told';
COMMENT ON COLUMN core.branches.reasons IS 'JSON object: reasons of a named decision; values of a condition where capture was allowed';
COMMENT ON COLUMN core.branches.trace_id IS 'Trace id of its span, hex';
COMMENT ON COLUMN core.branches.span_id IS 'Span id of its span, hex';

CREATE TABLE core.tool_calls (
    namespace VARCHAR,
    workflow_id VARCHAR,
    run_id VARCHAR,
    step_id VARCHAR,
    attempt INTEGER,
    trace_id VARCHAR NOT NULL,
    span_id VARCHAR NOT NULL,
    is_nested BOOLEAN NOT NULL,
    tool_name VARCHAR,
    tool_type VARCHAR,
    tool_call_id VARCHAR,
    agent_name VARCHAR,
    started_at TIMESTAMP,
    latency_s DOUBLE,
    outcome VARCHAR NOT NULL,
    error_type VARCHAR,
    block_policy VARCHAR,
    block_reason VARCHAR,
    input_bytes BIGINT,
    result_bytes BIGINT
);
COMMENT ON TABLE core.tool_calls IS 'One row per call of a tool that a span told of, those that were blocked included';
COMMENT ON COLUMN core.tool_calls.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN core.tool_calls.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.tool_calls.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.tool_calls.step_id IS 'Step, as in core.steps';
COMMENT ON COLUMN core.tool_calls.attempt IS 'Attempt that made the call, NULL where it is not known';
COMMENT ON COLUMN core.tool_calls.trace_id IS 'Trace of the span, hex';
COMMENT ON COLUMN core.tool_calls.span_id IS 'The span, hex';
COMMENT ON COLUMN core.tool_calls.is_nested IS 'A span around it reports the same call: not to be counted again';
COMMENT ON COLUMN core.tool_calls.tool_name IS 'Name of the tool';
COMMENT ON COLUMN core.tool_calls.tool_type IS 'function, extension or datastore';
COMMENT ON COLUMN core.tool_calls.tool_call_id IS 'The models id of the call';
COMMENT ON COLUMN core.tool_calls.agent_name IS 'Agent that called it';
COMMENT ON COLUMN core.tool_calls.started_at IS 'Start of the call, UTC';
COMMENT ON COLUMN core.tool_calls.latency_s IS 'Seconds of the call';
COMMENT ON COLUMN core.tool_calls.outcome IS 'completed, failed or blocked';
COMMENT ON COLUMN core.tool_calls.error_type IS 'Error of the call, NULL if it succeeded';
COMMENT ON COLUMN core.tool_calls.block_policy IS 'Rule that did not let it run';
COMMENT ON COLUMN core.tool_calls.block_reason IS 'Why it was not let run, for people';
COMMENT ON COLUMN core.tool_calls.input_bytes IS 'Bytes of its arguments as JSON, NULL if not reported';
COMMENT ON COLUMN core.tool_calls.result_bytes IS 'Bytes of its result as JSON, NULL if not reported';

CREATE TABLE core.settled_attempts (
    namespace VARCHAR,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    workflow_type VARCHAR,
    is_fork BOOLEAN NOT NULL,
    step_id VARCHAR NOT NULL,
    step_name VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    is_overruled BOOLEAN NOT NULL,
    attempt_source VARCHAR NOT NULL,
    started_at TIMESTAMP,
    ended_at TIMESTAMP,
    duration_s DOUBLE,
    outcome VARCHAR,
    failure_type VARCHAR,
    failure_message VARCHAR,
    failure_fingerprint VARCHAR,
    worker_identity VARCHAR,
    trace_id VARCHAR,
    span_id VARCHAR
);
COMMENT ON TABLE core.settled_attempts IS 'Each attempt once, by the source that knows it best; read it as mart.attempts';
COMMENT ON COLUMN core.settled_attempts.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN core.settled_attempts.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.settled_attempts.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.settled_attempts.workflow_type IS 'Workflow type';
COMMENT ON COLUMN core.settled_attempts.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN core.settled_attempts.step_id IS 'Step, as in core.steps';
COMMENT ON COLUMN core.settled_attempts.step_name IS 'Name of the step';
COMMENT ON COLUMN core.settled_attempts.attempt IS '1 for the first';
COMMENT ON COLUMN core.settled_attempts.is_overruled IS 'The worker saw it end well or be cancelled, the server had given it up before';
COMMENT ON COLUMN core.settled_attempts.attempt_source IS 'span: exact. history: only the last try, and of the one before its failure';
COMMENT ON COLUMN core.settled_attempts.started_at IS 'Start, UTC; NULL where only the failure is known';
COMMENT ON COLUMN core.settled_attempts.ended_at IS 'End, UTC; NULL while it runs';
COMMENT ON COLUMN core.settled_attempts.duration_s IS 'Seconds from start to end';
COMMENT ON COLUMN core.settled_attempts.outcome IS 'completed, failed, timed_out or canceled; NULL while it runs';
COMMENT ON COLUMN core.settled_attempts.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN core.settled_attempts.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN core.settled_attempts.failure_fingerprint IS 'Fingerprint of the failure';
COMMENT ON COLUMN core.settled_attempts.worker_identity IS 'Worker that ran it';
COMMENT ON COLUMN core.settled_attempts.trace_id IS 'Trace of the span, hex';
COMMENT ON COLUMN core.settled_attempts.span_id IS 'The span, hex';

CREATE TABLE core.settled_llm_calls (
    namespace VARCHAR,
    workflow_id VARCHAR,
    run_id VARCHAR,
    workflow_type VARCHAR,
    status VARCHAR,
    tenant VARCHAR,
    is_fork BOOLEAN NOT NULL,
    step_id VARCHAR,
    step_kind VARCHAR,
    step_name VARCHAR,
    attempt INTEGER,
    is_wasted BOOLEAN NOT NULL,
    usage_source VARCHAR NOT NULL,
    trace_id VARCHAR,
    span_id VARCHAR,
    operation VARCHAR NOT NULL,
    provider VARCHAR,
    model VARCHAR,
    started_at TIMESTAMP,
    latency_s DOUBLE,
    input_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    output_tokens BIGINT,
    reasoning_tokens BIGINT,
    finish_reason VARCHAR,
    error_type VARCHAR,
    input_cost_usd DECIMAL(18,9),
    cache_read_cost_usd DECIMAL(18,9),
    cache_write_cost_usd DECIMAL(18,9),
    output_cost_usd DECIMAL(18,9),
    cost_usd DECIMAL(18,9),
    price_source VARCHAR NOT NULL,
    is_billable BOOLEAN NOT NULL
);
COMMENT ON TABLE core.settled_llm_calls IS 'Each model call of a run once, by the source that knows it best; read it as mart.llm_calls';
COMMENT ON COLUMN core.settled_llm_calls.namespace IS 'Temporal namespace of the run, NULL where no run is known';
COMMENT ON COLUMN core.settled_llm_calls.workflow_id IS 'Workflow id of the run, NULL where no run is known';
COMMENT ON COLUMN core.settled_llm_calls.run_id IS 'Run id of the run, NULL where no run is known';
COMMENT ON COLUMN core.settled_llm_calls.workflow_type IS 'Workflow type';
COMMENT ON COLUMN core.settled_llm_calls.status IS 'Status of the run; NULL where no history tells';
COMMENT ON COLUMN core.settled_llm_calls.tenant IS 'Whom the run is for: what spans tell, else a memo or search attribute named tenant or TenantId, else the namespace';
COMMENT ON COLUMN core.settled_llm_calls.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN core.settled_llm_calls.step_id IS 'Step, as in core.steps';
COMMENT ON COLUMN core.settled_llm_calls.step_kind IS 'Kind of the step';
COMMENT ON COLUMN core.settled_llm_calls.step_name IS 'Name of the step';
COMMENT ON COLUMN core.settled_llm_calls.attempt IS 'Attempt that made the call, NULL where it is not known';
COMMENT ON COLUMN core.settled_llm_calls.is_wasted IS 'The attempt that made the call failed';
COMMENT ON COLUMN core.settled_llm_calls.usage_source IS 'span or history';
COMMENT ON COLUMN core.settled_llm_calls.trace_id IS 'Trace of the span, hex';
COMMENT ON COLUMN core.settled_llm_calls.span_id IS 'The span, hex';
COMMENT ON COLUMN core.settled_llm_calls.operation IS 'chat, text_completion, generate_content, embeddings';
COMMENT ON COLUMN core.settled_llm_calls.provider IS 'Provider, by OpenTelemetry''s name if it has one';
COMMENT ON COLUMN core.settled_llm_calls.model IS 'Model that answered, else the one asked for';
COMMENT ON COLUMN core.settled_llm_calls.started_at IS 'Start of the call, UTC';
COMMENT ON COLUMN core.settled_llm_calls.latency_s IS 'Seconds of the call; NULL with source history';
COMMENT ON COLUMN core.settled_llm_calls.input_tokens IS 'Input tokens, cached ones included; NULL if not reported';
COMMENT ON COLUMN core.settled_llm_calls.cache_read_tokens IS 'Input tokens that came from a cache';
COMMENT ON COLUMN core.settled_llm_calls.cache_write_tokens IS 'Input tokens that were written to a cache';
COMMENT ON COLUMN core.settled_llm_calls.output_tokens IS 'Output tokens, reasoning included; NULL if not reported';
COMMENT ON COLUMN core.settled_llm_calls.reasoning_tokens IS 'Output tokens spent on reasoning';
COMMENT ON COLUMN core.settled_llm_calls.finish_reason IS 'Why the model stopped';
COMMENT ON COLUMN core.settled_llm_calls.error_type IS 'Error of the call, NULL if it succeeded';
COMMENT ON COLUMN core.settled_llm_calls.input_cost_usd IS 'Cost of input outside any cache, US dollars';
COMMENT ON COLUMN core.settled_llm_calls.cache_read_cost_usd IS 'Cost of input from a cache, US dollars';
COMMENT ON COLUMN core.settled_llm_calls.cache_write_cost_usd IS 'Cost of input written to a cache, US dollars';
COMMENT ON COLUMN core.settled_llm_calls.output_cost_usd IS 'Cost of output, US dollars';
COMMENT ON COLUMN core.settled_llm_calls.cost_usd IS 'Cost of the call, US dollars; NULL if its price is not known';
COMMENT ON COLUMN core.settled_llm_calls.price_source IS 'genai-prices, or unpriced';
COMMENT ON COLUMN core.settled_llm_calls.is_billable IS 'It succeeded or reported tokens; a refused call costs nothing and needs no price';

CREATE TABLE core.settled_steps (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    workflow_type VARCHAR,
    is_fork BOOLEAN NOT NULL,
    step_id VARCHAR NOT NULL,
    seq INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    scheduled_event_id BIGINT,
    closed_event_id BIGINT,
    scheduled_at TIMESTAMP,
    started_at TIMESTAMP,
    closed_at TIMESTAMP,
    outcome VARCHAR,
    n_attempts INTEGER NOT NULL,
    n_failed_attempts INTEGER NOT NULL,
    attempts_are_exact BOOLEAN NOT NULL,
    queue_s DOUBLE,
    retry_s DOUBLE,
    last_attempt_s DOUBLE,
    total_s DOUBLE,
    failed_s DOUBLE,
    waste_is_exact BOOLEAN NOT NULL,
    wasted_s DOUBLE NOT NULL,
    wasted_at_least_s DOUBLE NOT NULL,
    wasted_at_most_s DOUBLE NOT NULL,
    n_llm_calls BIGINT NOT NULL,
    cost_usd DECIMAL(18,9),
    wasted_usd DECIMAL(18,9),
    wasted_at_most_usd DECIMAL(18,9),
    critical_gap_s DOUBLE,
    input_bytes BIGINT NOT NULL,
    result_bytes BIGINT NOT NULL,
    failure_type VARCHAR,
    failure_message VARCHAR,
    failure_fingerprint VARCHAR,
    retried_for_type VARCHAR,
    retried_for_message VARCHAR,
    retried_for_fingerprint VARCHAR
);
COMMENT ON TABLE core.settled_steps IS 'Each step with its attempts and model calls counted; read it as mart.steps and mart.retries';
COMMENT ON COLUMN core.settled_steps.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN core.settled_steps.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.settled_steps.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.settled_steps.workflow_type IS 'Workflow type';
COMMENT ON COLUMN core.settled_steps.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN core.settled_steps.step_id IS 'Step, as in core.steps';
COMMENT ON COLUMN core.settled_steps.seq IS 'Place among the steps of the run, from 1';
COMMENT ON COLUMN core.settled_steps.kind IS 'Kind of the step';
COMMENT ON COLUMN core.settled_steps.name IS 'Name of the step';
COMMENT ON COLUMN core.settled_steps.scheduled_event_id IS 'Event that scheduled it';
COMMENT ON COLUMN core.settled_steps.closed_event_id IS 'Event that answered it';
COMMENT ON COLUMN core.settled_steps.scheduled_at IS 'When it was asked for, UTC';
COMMENT ON COLUMN core.settled_steps.started_at IS 'Start of its last known attempt, UTC';
COMMENT ON COLUMN core.settled_steps.closed_at IS 'When it was answered, UTC; NULL while it is open';
COMMENT ON COLUMN core.settled_steps.outcome IS 'How it ended; NULL while it is open';
COMMENT ON COLUMN core.settled_steps.n_attempts IS 'Tries begun';
COMMENT ON COLUMN core.settled_steps.n_failed_attempts IS 'Tries that failed or timed out';
COMMENT ON COLUMN core.settled_steps.attempts_are_exact IS 'Spans tell of every attempt; else the history''s counter is all there is';
COMMENT ON COLUMN core.settled_steps.queue_s IS 'Seconds from scheduling to start, where the first attempt was the only one';
COMMENT ON COLUMN core.settled_steps.retry_s IS 'Seconds from scheduling to the start of the last attempt, where there were several';
COMMENT ON COLUMN core.settled_steps.last_attempt_s IS 'Seconds from the start of the last attempt to the answer';
COMMENT ON COLUMN core.settled_steps.total_s IS 'Seconds from scheduling to the answer';
COMMENT ON COLUMN core.settled_steps.failed_s IS 'Seconds spent in failed attempts; NULL without spans';
COMMENT ON COLUMN core.settled_steps.waste_is_exact IS 'The time of every failed attempt is known; else wasted_s is the most that it can have been';
COMMENT ON COLUMN core.settled_steps.wasted_s IS 'Seconds spent on failed attempts; without spans, all seconds before the last attempt, backoff and queueing included';
COMMENT ON COLUMN core.settled_steps.wasted_at_least_s IS 'The least that failed attempts took: those that are known, in seconds';
COMMENT ON COLUMN core.settled_steps.wasted_at_most_s IS 'The most that failed attempts can have taken, in seconds';
COMMENT ON COLUMN core.settled_steps.n_llm_calls IS 'Model calls';
COMMENT ON COLUMN core.settled_steps.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN core.settled_steps.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN core.settled_steps.wasted_at_most_usd IS 'The most that failed attempts may have cost, US dollars: where no span tells, as much each as the attempt that is known';
COMMENT ON COLUMN core.settled_steps.critical_gap_s IS 'Of what is on the critical path of its run, seconds between it and what came before on the path; NULL for the rest';
COMMENT ON COLUMN core.settled_steps.input_bytes IS 'Bytes of its input';
COMMENT ON COLUMN core.settled_steps.result_bytes IS 'Bytes of its result';
COMMENT ON COLUMN core.settled_steps.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN core.settled_steps.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN core.settled_steps.failure_fingerprint IS 'Fingerprint of the failure';
COMMENT ON COLUMN core.settled_steps.retried_for_type IS 'Type of the last failed attempt''s root cause';
COMMENT ON COLUMN core.settled_steps.retried_for_message IS 'Message of the last failed attempt''s root cause';
COMMENT ON COLUMN core.settled_steps.retried_for_fingerprint IS 'Fingerprint of the last failed attempt';

CREATE TABLE core.settled_failures (
    namespace VARCHAR,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    workflow_type VARCHAR,
    is_fork BOOLEAN NOT NULL,
    owner_kind VARCHAR NOT NULL,
    owner_id VARCHAR,
    owner_name VARCHAR,
    attempt INTEGER,
    failed_at TIMESTAMP,
    type VARCHAR,
    message VARCHAR,
    fingerprint VARCHAR NOT NULL,
    worker_identity VARCHAR,
    build_id VARCHAR
);
COMMENT ON TABLE core.settled_failures IS 'Each failure once, at the place where it began; read it as mart.failure_occurrences';
COMMENT ON COLUMN core.settled_failures.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN core.settled_failures.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.settled_failures.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.settled_failures.workflow_type IS 'Workflow type';
COMMENT ON COLUMN core.settled_failures.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN core.settled_failures.owner_kind IS 'Where it began: attempt, step, workflow_task, update or run';
COMMENT ON COLUMN core.settled_failures.owner_id IS 'Step id, number of the workflow task, or update id; NULL for the run';
COMMENT ON COLUMN core.settled_failures.owner_name IS 'Name of the step, class of the task failure, or workflow type';
COMMENT ON COLUMN core.settled_failures.attempt IS 'Attempt that failed, of attempts and workflow tasks';
COMMENT ON COLUMN core.settled_failures.failed_at IS 'When, UTC; the start of the next try where only the failure is known';
COMMENT ON COLUMN core.settled_failures.type IS 'Exception class, or kind of the failure';
COMMENT ON COLUMN core.settled_failures.message IS 'What the failure says';
COMMENT ON COLUMN core.settled_failures.fingerprint IS 'Fingerprint of the failure';
COMMENT ON COLUMN core.settled_failures.worker_identity IS 'Worker that ran the attempt or workflow task; NULL where it is not known';
COMMENT ON COLUMN core.settled_failures.build_id IS 'Build id of the worker that ran the workflow';

CREATE TABLE core.settled_traits (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    name VARCHAR,
    detail VARCHAR
);
COMMENT ON TABLE core.settled_traits IS 'What tells runs apart, once per run; read it as mart.run_traits';
COMMENT ON COLUMN core.settled_traits.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN core.settled_traits.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.settled_traits.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.settled_traits.kind IS 'status, build, patch, step, retried step, failed step, failure, model or branch';
COMMENT ON COLUMN core.settled_traits.name IS 'Which: a step''s name, a fingerprint, function and condition of a branch';
COMMENT ON COLUMN core.settled_traits.detail IS 'Of a branch its outcome, of a step its kind; NULL for others';

CREATE TABLE core.settled_runs (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    is_fork BOOLEAN NOT NULL,
    tenant VARCHAR,
    n_steps BIGINT NOT NULL,
    n_attempts BIGINT NOT NULL,
    n_failed_attempts BIGINT NOT NULL,
    n_llm_calls BIGINT NOT NULL,
    n_billable BIGINT NOT NULL,
    n_priced BIGINT NOT NULL,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cost_usd DECIMAL(18,9),
    wasted_usd DECIMAL(18,9),
    wasted_s DOUBLE NOT NULL,
    human_wait_s DOUBLE NOT NULL,
    critical_s DOUBLE NOT NULL
);
COMMENT ON TABLE core.settled_runs IS 'What the steps, attempts, calls and waits of a run add up to; read it as mart.run_summary';
COMMENT ON COLUMN core.settled_runs.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN core.settled_runs.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.settled_runs.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.settled_runs.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN core.settled_runs.tenant IS 'Whom the run is for: what spans tell, else a memo or search attribute named tenant or TenantId, else the namespace';
COMMENT ON COLUMN core.settled_runs.n_steps IS 'Steps of all kinds';
COMMENT ON COLUMN core.settled_runs.n_attempts IS 'Tries of activities and Nexus operations';
COMMENT ON COLUMN core.settled_runs.n_failed_attempts IS 'Tries of activities and Nexus operations that failed or timed out';
COMMENT ON COLUMN core.settled_runs.n_llm_calls IS 'Model calls';
COMMENT ON COLUMN core.settled_runs.n_billable IS 'Calls that need a price';
COMMENT ON COLUMN core.settled_runs.n_priced IS 'Calls with a price';
COMMENT ON COLUMN core.settled_runs.input_tokens IS 'Input tokens that were reported, cached ones included';
COMMENT ON COLUMN core.settled_runs.output_tokens IS 'Output tokens that were reported, reasoning included';
COMMENT ON COLUMN core.settled_runs.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN core.settled_runs.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN core.settled_runs.wasted_s IS 'Seconds spent on attempts that failed, as in mart.retries';
COMMENT ON COLUMN core.settled_runs.human_wait_s IS 'Seconds in which it waited for a person';
COMMENT ON COLUMN core.settled_runs.critical_s IS 'Seconds of the steps and waits on the critical path, and of the gaps between them';

INSERT INTO core.branches BY NAME
SELECT namespace, workflow_id, run_id, found[1] AS workflow_type, start_time_unix_nano AS taken_at,
       found[2] AS function, found[3] AS file, TRY_CAST(found[4] AS INTEGER) AS line, found[5] AS kind,
       found[6] AS condition, found[7] AS decision, found[8] AS outcome, found[9] AS because,
       TRY_CAST(found[10] AS BIGINT) AS occurrence, TRY_CAST(found[11] AS BIGINT) AS rounds,
       coalesce(TRY_CAST(found[12] AS BIGINT), 0) AS n_dropped, coalesce(found[13], found[14]) AS reasons,
       trace_id, span_id
FROM (
    SELECT namespace, workflow_id, run_id, start_time_unix_nano, trace_id, span_id,
           json_extract_string(span_attributes, [
               '$."temporal.workflow.type"', '$."code.function.name"', '$."code.file.path"',
               '$."code.line.number"', '$."retrospan.branch.kind"',
               '$."retrospan.branch.condition"', '$."retrospan.decision.name"',
               '$."retrospan.branch.outcome"', '$."retrospan.branch.because"',
               '$."retrospan.branch.occurrence"', '$."retrospan.branch.rounds"',
               '$."retrospan.branch.dropped"', '$."retrospan.decision.why"',
               '$."retrospan.branch.values"'
           ]) AS found
    FROM core.spans
    WHERE span_kind = 'branch'
);

INSERT INTO core.tool_calls BY NAME
SELECT namespace, workflow_id, run_id, step_id, attempt, trace_id, span_id, false AS is_nested,
       coalesce(found[1], found[2]) AS tool_name, found[3] AS tool_type, found[4] AS tool_call_id,
       found[5] AS agent_name, start_time_unix_nano::TIMESTAMP AS started_at,
       duration_time_unix_nano / 1e9 AS latency_s,
       CASE WHEN found[6] = 'true' THEN 'blocked'
            WHEN status_code = 2 OR found[9] IS NOT NULL THEN 'failed' ELSE 'completed' END AS outcome,
       found[9] AS error_type, found[8] AS block_policy, found[7] AS block_reason,
       TRY_CAST(found[10] AS BIGINT) AS input_bytes, TRY_CAST(found[11] AS BIGINT) AS result_bytes
FROM (
    SELECT *, json_extract_string(span_attributes, [
               '$."gen_ai.tool.name"', '$."tool.name"', '$."gen_ai.tool.type"',
               '$."gen_ai.tool.call.id"', '$."gen_ai.agent.name"', '$."retrospan.tool.blocked"',
               '$."retrospan.tool.block.reason"', '$."retrospan.tool.block.policy"',
               '$."error.type"', '$."retrospan.input.bytes"', '$."retrospan.result.bytes"'
           ]) AS found
    FROM core.spans
    WHERE operation = 'execute_tool'
);
