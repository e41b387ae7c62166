-- An attempt that the server timed out is timed out, whatever its worker saw.
INSERT INTO core.settled_attempts BY NAME
WITH accounts AS (
    SELECT * FROM core.attempts SEMI JOIN settling USING (workflow_id, run_id)
), of_spans AS (
    SELECT * FROM accounts
    WHERE attempt_source = 'span'
    QUALIFY row_number() OVER (
        PARTITION BY workflow_id, run_id, step_id, attempt
        ORDER BY ended_at DESC NULLS LAST, span_id
    ) = 1
), of_histories AS (
    SELECT * FROM accounts WHERE attempt_source = 'history'
), runs AS (
    SELECT * FROM core.runs SEMI JOIN settling USING (workflow_id, run_id)
)
SELECT coalesce(r.namespace, a.namespace) AS namespace, r.workflow_type,
       coalesce(ref.is_fork(r.memo), false) AS is_fork, a.* EXCLUDE (namespace)
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
    FROM of_histories h
    FULL JOIN of_spans s USING (workflow_id, run_id, step_id, attempt)
) a
LEFT JOIN runs r USING (workflow_id, run_id);
