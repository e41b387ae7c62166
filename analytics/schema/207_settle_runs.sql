-- Last, because it adds up what the others found.
-- Sums are rounded to what is known, billionths: floats that are added in another order differ.
INSERT INTO core.settled_runs BY NAME
WITH runs AS (
    SELECT * FROM core.runs SEMI JOIN settling USING (workflow_id, run_id)
), steps AS (
    SELECT namespace, workflow_id, run_id, count(*) AS n_steps,
           sum(n_attempts) FILTER (kind IN ('activity', 'local_activity', 'nexus_operation'))
               AS n_attempts,
           sum(n_failed_attempts) AS n_failed_attempts, round(sum(wasted_s), 9) AS wasted_s,
           round(sum(coalesce(total_s, 0) + critical_gap_s), 9) AS critical_s
    FROM core.settled_steps SEMI JOIN settling USING (workflow_id, run_id)
    GROUP BY ALL
), calls AS (
    SELECT workflow_id, run_id, count(*) AS n_calls, sum(input_tokens) AS input_tokens,
           sum(output_tokens) AS output_tokens, round(sum(cost_usd), 9) AS cost_usd,
           round(sum(cost_usd) FILTER (is_wasted), 9) AS wasted_usd, count(cost_usd) AS n_priced,
           count(*) FILTER (is_billable) AS n_billable
    FROM core.settled_llm_calls SEMI JOIN settling USING (workflow_id, run_id)
    GROUP BY ALL
), tenants AS (
    SELECT workflow_id, run_id, max(span_attributes ->> '$."retrospan.tenant"') AS tenant
    FROM core.spans SEMI JOIN settling USING (workflow_id, run_id)
    WHERE span_kind IN ('run', 'workflow')
    GROUP BY ALL
), waits AS (
    SELECT namespace, workflow_id, run_id, round(sum(wait_s) FILTER (is_human), 9) AS human_wait_s,
           round(sum(coalesce(wait_s, 0) + critical_gap_s), 9) AS critical_s
    FROM core.waits SEMI JOIN settling USING (workflow_id, run_id)
    GROUP BY ALL
)
SELECT r.namespace, workflow_id, run_id, ref.is_fork(r.memo) AS is_fork,
       coalesce(t.tenant, ref.tenant(r.memo), ref.tenant(r.search_attributes), r.namespace)
           AS tenant,
       coalesce(s.n_steps, 0) AS n_steps, coalesce(s.n_attempts, 0) AS n_attempts,
       coalesce(s.n_failed_attempts, 0) AS n_failed_attempts, coalesce(c.n_calls, 0) AS n_llm_calls,
       coalesce(c.n_billable, 0) AS n_billable, coalesce(c.n_priced, 0) AS n_priced,
       c.input_tokens, c.output_tokens, c.cost_usd, c.wasted_usd,
       coalesce(s.wasted_s, 0) AS wasted_s, coalesce(w.human_wait_s, 0) AS human_wait_s,
       coalesce(s.critical_s, 0) + coalesce(w.critical_s, 0) AS critical_s
FROM runs r
LEFT JOIN steps s USING (namespace, workflow_id, run_id)
LEFT JOIN calls c USING (workflow_id, run_id)
LEFT JOIN tenants t USING (workflow_id, run_id)
LEFT JOIN waits w USING (namespace, workflow_id, run_id);
