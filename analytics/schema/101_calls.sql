-- Each attempt and each model call once, from the source that knows it best.
CREATE MACRO ref.share(part, whole) AS CASE WHEN whole > 0 THEN part / whole END;
COMMENT ON MACRO ref.share IS 'part / whole, NULL where whole is 0: a share of nothing is not 0 %';

CREATE MACRO ref.quantile(value, q) AS quantile_cont(value, q);
COMMENT ON MACRO ref.quantile IS 'The q-th quantile of a column, 0 to 1, interpolated; the one place that names it, for engines that call it otherwise';

-- A column's values are gathered and ordered once for all three, which is most of what they cost.
CREATE MACRO ref.p50(value) AS quantile_cont(value, [0.5, 0.95, 0.99])[1];
COMMENT ON MACRO ref.p50 IS 'Median of a column, interpolated; p50, p95 and p99 of one column side by side cost what one of them does';

CREATE MACRO ref.p95(value) AS quantile_cont(value, [0.5, 0.95, 0.99])[2];
COMMENT ON MACRO ref.p95 IS '95th percentile of a column, interpolated';

CREATE MACRO ref.p99(value) AS quantile_cont(value, [0.5, 0.95, 0.99])[3];
COMMENT ON MACRO ref.p99 IS '99th percentile of a column, interpolated';

CREATE MACRO ref.is_fork(memo) AS coalesce(json_exists(memo, '$."retrospan.fork"'), false);
COMMENT ON MACRO ref.is_fork IS 'Whether a run with this memo was made by forking another, and did not happen in production';

CREATE MACRO ref.tenant(attributes) AS coalesce(
    attributes ->> '$.tenant', attributes ->> '$.Tenant', attributes ->> '$.tenant_id',
    attributes ->> '$.TenantId');
COMMENT ON MACRO ref.tenant IS 'Tenant named in a memo or in search attributes: their field tenant, Tenant, tenant_id or TenantId';

CREATE VIEW core.payloads_json AS
SELECT namespace, workflow_id, run_id, event_id, slot, idx, encoding, n_bytes,
       TRY_CAST(TRY(decode(data)) AS JSON) AS value
FROM core.payloads
WHERE encoding LIKE 'json/%';
COMMENT ON VIEW core.payloads_json IS 'Payloads whose bytes are JSON, with the value';
COMMENT ON COLUMN core.payloads_json.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN core.payloads_json.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.payloads_json.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.payloads_json.event_id IS 'Event that carries it';
COMMENT ON COLUMN core.payloads_json.slot IS 'Place in the event';
COMMENT ON COLUMN core.payloads_json.idx IS 'Position in that place, from 0';
COMMENT ON COLUMN core.payloads_json.encoding IS 'Encoding named in its metadata';
COMMENT ON COLUMN core.payloads_json.n_bytes IS 'True size in bytes';
COMMENT ON COLUMN core.payloads_json.value IS 'The value; NULL if the bytes are not JSON';

CREATE VIEW mart.attempts AS
SELECT namespace, workflow_id, run_id, workflow_type, is_fork, step_id, step_name, attempt,
       is_overruled, attempt_source, started_at, ended_at, duration_s, outcome, failure_type,
       failure_message, failure_fingerprint, worker_identity, trace_id, span_id
FROM core.settled_attempts;
COMMENT ON VIEW mart.attempts IS 'One row per attempt: the span''s account where there is one, else the history''s; an attempt that the server timed out is timed out, whatever its worker saw';
COMMENT ON COLUMN mart.attempts.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.attempts.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.attempts.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.attempts.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.attempts.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.attempts.step_id IS 'Step, as in core.steps';
COMMENT ON COLUMN mart.attempts.step_name IS 'Name of the step';
COMMENT ON COLUMN mart.attempts.attempt IS '1 for the first';
COMMENT ON COLUMN mart.attempts.is_overruled IS 'The worker saw it end well or be cancelled, the server had given it up before';
COMMENT ON COLUMN mart.attempts.attempt_source IS 'span: exact. history: only the last try, and of the one before its failure';
COMMENT ON COLUMN mart.attempts.started_at IS 'Start, UTC; NULL where only the failure is known';
COMMENT ON COLUMN mart.attempts.ended_at IS 'End, UTC; NULL while it runs';
COMMENT ON COLUMN mart.attempts.duration_s IS 'Seconds from start to end';
COMMENT ON COLUMN mart.attempts.outcome IS 'completed, failed, timed_out or canceled; NULL while it runs';
COMMENT ON COLUMN mart.attempts.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN mart.attempts.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN mart.attempts.failure_fingerprint IS 'Fingerprint of the failure';
COMMENT ON COLUMN mart.attempts.worker_identity IS 'Worker that ran it';
COMMENT ON COLUMN mart.attempts.trace_id IS 'Trace of the span, hex';
COMMENT ON COLUMN mart.attempts.span_id IS 'The span, hex';

CREATE VIEW mart.llm_calls AS
SELECT namespace, workflow_id, run_id, workflow_type, status, tenant, is_fork, step_id, step_kind,
       step_name, attempt, is_wasted, usage_source, trace_id, span_id, operation, provider, model,
       started_at, latency_s, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
       reasoning_tokens, finish_reason, error_type, input_cost_usd, cache_read_cost_usd,
       cache_write_cost_usd, output_cost_usd, cost_usd, price_source, is_billable
FROM core.settled_llm_calls
UNION ALL
SELECT namespace, workflow_id, run_id, NULL, NULL, NULL, false, step_id, NULL, NULL, attempt, false,
       usage_source, trace_id, span_id, operation, provider,
       coalesce(response_model, request_model), started_at, latency_s, input_tokens,
       cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, finish_reason,
       error_type, input_cost_usd, cache_read_cost_usd, cache_write_cost_usd, output_cost_usd,
       cost_usd, price_source,
       error_type IS NULL OR coalesce(input_tokens, output_tokens) IS NOT NULL
FROM core.llm_calls
WHERE run_id IS NULL AND NOT is_nested;
COMMENT ON VIEW mart.llm_calls IS 'One row per model call: from spans where they report usage for the step, else from the history';
COMMENT ON COLUMN mart.llm_calls.namespace IS 'Temporal namespace of the run, NULL where no run is known';
COMMENT ON COLUMN mart.llm_calls.workflow_id IS 'Workflow id of the run, NULL where no run is known';
COMMENT ON COLUMN mart.llm_calls.run_id IS 'Run id of the run, NULL where no run is known';
COMMENT ON COLUMN mart.llm_calls.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.llm_calls.status IS 'Status of the run; NULL where no history tells';
COMMENT ON COLUMN mart.llm_calls.tenant IS 'Whom the run is for: what spans tell, else a memo or search attribute named tenant or TenantId, else the namespace';
COMMENT ON COLUMN mart.llm_calls.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.llm_calls.step_id IS 'Step, as in core.steps';
COMMENT ON COLUMN mart.llm_calls.step_kind IS 'Kind of the step';
COMMENT ON COLUMN mart.llm_calls.step_name IS 'Name of the step';
COMMENT ON COLUMN mart.llm_calls.attempt IS 'Attempt that made the call, NULL where it is not known';
COMMENT ON COLUMN mart.llm_calls.is_wasted IS 'The attempt that made the call failed';
COMMENT ON COLUMN mart.llm_calls.usage_source IS 'span or history';
COMMENT ON COLUMN mart.llm_calls.trace_id IS 'Trace of the span, hex';
COMMENT ON COLUMN mart.llm_calls.span_id IS 'The span, hex';
COMMENT ON COLUMN mart.llm_calls.operation IS 'chat, text_completion, generate_content, embeddings';
COMMENT ON COLUMN mart.llm_calls.provider IS 'Provider, by OpenTelemetry''s name if it has one';
COMMENT ON COLUMN mart.llm_calls.model IS 'Model that answered, else the one asked for';
COMMENT ON COLUMN mart.llm_calls.started_at IS 'Start of the call, UTC';
COMMENT ON COLUMN mart.llm_calls.latency_s IS 'Seconds of the call; NULL with source history';
COMMENT ON COLUMN mart.llm_calls.input_tokens IS 'Input tokens, cached ones included; NULL if not reported';
COMMENT ON COLUMN mart.llm_calls.cache_read_tokens IS 'Input tokens that came from a cache';
COMMENT ON COLUMN mart.llm_calls.cache_write_tokens IS 'Input tokens that were written to a cache';
COMMENT ON COLUMN mart.llm_calls.output_tokens IS 'Output tokens, reasoning included; NULL if not reported';
COMMENT ON COLUMN mart.llm_calls.reasoning_tokens IS 'Output tokens spent on reasoning';
COMMENT ON COLUMN mart.llm_calls.finish_reason IS 'Why the model stopped';
COMMENT ON COLUMN mart.llm_calls.error_type IS 'Error of the call, NULL if it succeeded';
COMMENT ON COLUMN mart.llm_calls.input_cost_usd IS 'Cost of input outside any cache, US dollars';
COMMENT ON COLUMN mart.llm_calls.cache_read_cost_usd IS 'Cost of input from a cache, US dollars';
COMMENT ON COLUMN mart.llm_calls.cache_write_cost_usd IS 'Cost of input written to a cache, US dollars';
COMMENT ON COLUMN mart.llm_calls.output_cost_usd IS 'Cost of output, US dollars';
COMMENT ON COLUMN mart.llm_calls.cost_usd IS 'Cost of the call, US dollars; NULL if its price is not known';
COMMENT ON COLUMN mart.llm_calls.price_source IS 'genai-prices, or unpriced';
COMMENT ON COLUMN mart.llm_calls.is_billable IS 'It succeeded or reported tokens; a refused call costs nothing and needs no price';
