-- Each attempt and each model call once, from the source that knows it best.
CREATE MACRO ref.share(part, whole) AS CASE WHEN whole > 0 THEN part / whole END;
COMMENT ON MACRO ref.share IS 'part / whole, NULL where whole is 0: a share of nothing is not 0 %';

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
SELECT coalesce(r.namespace, a.namespace) AS namespace, a.* EXCLUDE (namespace)
FROM (
    SELECT coalesce(s.namespace, h.namespace) AS namespace, workflow_id, run_id, step_id,
           coalesce(s.step_name, h.step_name) AS step_name, attempt,
           coalesce(h.outcome IN ('failed', 'timed_out')
                    AND s.outcome IN ('completed', 'canceled'), false) AS is_overruled,
           coalesce(s.attempt_source, h.attempt_source) AS attempt_source,
           coalesce(s.started_at, h.started_at) AS started_at,
           coalesce(s.ended_at, h.ended_at) AS ended_at,
           coalesce(s.duration_s, h.duration_s) AS duration_s,
           CASE WHEN is_overruled THEN h.outcome ELSE coalesce(s.outcome, h.outcome) END AS outcome,
           CASE WHEN is_overruled OR s.step_id IS NULL THEN h.failure_type
                ELSE s.failure_type END AS failure_type,
           CASE WHEN is_overruled OR s.step_id IS NULL THEN h.failure_message
                ELSE s.failure_message END AS failure_message,
           CASE WHEN is_overruled OR s.step_id IS NULL THEN h.failure_fingerprint
                ELSE s.failure_fingerprint END AS failure_fingerprint,
           coalesce(s.worker_identity, h.worker_identity) AS worker_identity,
           s.trace_id, s.span_id
    FROM (SELECT * FROM core.attempts WHERE attempt_source = 'history') h
    FULL JOIN (
        SELECT * FROM core.attempts
        WHERE attempt_source = 'span'
        QUALIFY row_number() OVER (
            PARTITION BY workflow_id, run_id, step_id, attempt ORDER BY ended_at DESC
        ) = 1
    ) s USING (workflow_id, run_id, step_id, attempt)
) a
LEFT JOIN core.runs r ON r.workflow_id = a.workflow_id AND r.run_id = a.run_id;
COMMENT ON VIEW mart.attempts IS 'One row per attempt: the span''s account where there is one, else the history''s; an attempt that the server timed out is timed out, whatever its worker saw';
COMMENT ON COLUMN mart.attempts.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.attempts.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.attempts.run_id IS 'Run id of the run';
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
SELECT coalesce(r.namespace, c.namespace) AS namespace, c.workflow_id, c.run_id, r.workflow_type,
       c.step_id, c.attempt, c.usage_source, c.trace_id, c.span_id, c.operation, c.provider,
       coalesce(c.response_model, c.request_model) AS model, c.started_at, c.latency_s,
       c.input_tokens, c.cache_read_tokens, c.cache_write_tokens, c.output_tokens,
       c.reasoning_tokens, c.finish_reason, c.error_type, c.input_cost_usd, c.cache_read_cost_usd,
       c.cache_write_cost_usd, c.output_cost_usd, c.cost_usd, c.price_source,
       c.error_type IS NULL OR coalesce(c.input_tokens, c.output_tokens) IS NOT NULL AS is_billable
FROM (
    SELECT *,
           bool_or(usage_source = 'span' AND coalesce(input_tokens, output_tokens) IS NOT NULL)
               OVER step AS has_exact,
           bool_or(usage_source = 'history') OVER step AS has_history
    FROM core.llm_calls
    WHERE NOT is_nested
    WINDOW step AS (PARTITION BY workflow_id, run_id, step_id)
) c
LEFT JOIN core.runs r ON r.workflow_id = c.workflow_id AND r.run_id = c.run_id
WHERE c.step_id IS NULL
   OR CASE WHEN c.has_exact OR NOT c.has_history THEN c.usage_source = 'span'
           -- Without tokens, a span that succeeded is the call that the history tells of.
           ELSE c.usage_source = 'history' OR c.error_type IS NOT NULL END;
COMMENT ON VIEW mart.llm_calls IS 'One row per model call: from spans where they report usage for the step, else from the history';
COMMENT ON COLUMN mart.llm_calls.namespace IS 'Temporal namespace of the run, NULL where no run is known';
COMMENT ON COLUMN mart.llm_calls.workflow_id IS 'Workflow id of the run, NULL where no run is known';
COMMENT ON COLUMN mart.llm_calls.run_id IS 'Run id of the run, NULL where no run is known';
COMMENT ON COLUMN mart.llm_calls.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.llm_calls.step_id IS 'Step, as in core.steps';
COMMENT ON COLUMN mart.llm_calls.attempt IS 'Attempt that made the call, NULL where it is not known';
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
