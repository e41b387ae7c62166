-- Usage that spans report for a step counts instead of what its result told.
INSERT INTO core.settled_llm_calls BY NAME
WITH accounts AS (
    SELECT *,
           bool_or(usage_source = 'span' AND coalesce(input_tokens, output_tokens) IS NOT NULL)
               OVER step AS has_exact,
           bool_or(usage_source = 'history') OVER step AS has_history
    FROM core.llm_calls SEMI JOIN settling USING (workflow_id, run_id)
    WHERE NOT is_nested
    WINDOW step AS (PARTITION BY workflow_id, run_id, step_id)
), runs AS (
    SELECT * FROM core.runs SEMI JOIN settling USING (workflow_id, run_id)
), tenants AS (
    SELECT workflow_id, run_id, max(span_attributes ->> '$."retrospan.tenant"') AS tenant
    FROM core.spans SEMI JOIN settling USING (workflow_id, run_id)
    WHERE span_kind IN ('run', 'workflow')
    GROUP BY ALL
), steps AS (
    SELECT * FROM core.steps SEMI JOIN settling USING (workflow_id, run_id)
), attempts AS (
    SELECT * FROM core.settled_attempts SEMI JOIN settling USING (workflow_id, run_id)
)
SELECT coalesce(r.namespace, c.namespace) AS namespace, workflow_id, run_id, r.workflow_type,
       r.status,
       coalesce(t.tenant, ref.tenant(r.memo), ref.tenant(r.search_attributes), r.namespace,
                c.namespace) AS tenant,
       coalesce(ref.is_fork(r.memo), false) AS is_fork, c.step_id, s.kind AS step_kind,
       coalesce(s.name, a.step_name) AS step_name, c.attempt,
       coalesce(a.outcome IN ('failed', 'timed_out'), false) AS is_wasted, c.usage_source,
       c.trace_id, c.span_id, c.operation, c.provider,
       coalesce(c.response_model, c.request_model) AS model, c.started_at, c.latency_s,
       c.input_tokens, c.cache_read_tokens, c.cache_write_tokens, c.output_tokens,
       c.reasoning_tokens, c.finish_reason, c.error_type, c.input_cost_usd, c.cache_read_cost_usd,
       c.cache_write_cost_usd, c.output_cost_usd, c.cost_usd, c.price_source,
       c.error_type IS NULL OR coalesce(c.input_tokens, c.output_tokens) IS NOT NULL AS is_billable
FROM accounts c
LEFT JOIN runs r USING (workflow_id, run_id)
LEFT JOIN tenants t USING (workflow_id, run_id)
LEFT JOIN steps s USING (workflow_id, run_id, step_id)
LEFT JOIN attempts a ON a.workflow_id = c.workflow_id AND a.run_id = c.run_id
                    AND a.step_id = c.step_id AND a.attempt = c.attempt
WHERE c.step_id IS NULL
   OR CASE WHEN c.has_exact OR NOT c.has_history THEN c.usage_source = 'span'
           -- Without tokens, a span that succeeded is the call that the history tells of.
           ELSE c.usage_source = 'history' OR c.error_type IS NOT NULL END;
