-- Steps with their attempts counted, and what retries cost.
CREATE VIEW mart.steps AS
SELECT s.namespace, s.workflow_id, s.run_id, r.workflow_type, s.step_id, s.seq, s.kind, s.name,
       s.scheduled_at, s.started_at, s.closed_at, s.outcome,
       greatest(s.n_attempts, coalesce(a.n_attempts, 0)) AS n_attempts,
       CASE WHEN s.kind NOT IN ('activity', 'local_activity', 'nexus_operation') THEN 0
            WHEN a.n_attempts >= s.n_attempts THEN a.n_failed
            -- The history counts tries: all but the one that completed, was cancelled or still runs.
            ELSE greatest(0, s.n_attempts - CASE WHEN s.outcome IN ('failed', 'timed_out')
                                                 THEN 0 ELSE 1 END) END AS n_failed_attempts,
       coalesce(a.n_attempts >= s.n_attempts, false) AS attempts_are_exact,
       s.queue_s, s.retry_s, s.last_attempt_s, s.total_s, a.failed_s,
       s.failure_type, s.failure_message, s.failure_fingerprint
FROM core.steps s
JOIN core.runs r USING (namespace, workflow_id, run_id)
LEFT JOIN (
    SELECT workflow_id, run_id, step_id, count(*) AS n_attempts,
           count(*) FILTER (outcome IN ('failed', 'timed_out')) AS n_failed,
           coalesce(sum(duration_s) FILTER (outcome IN ('failed', 'timed_out')), 0) AS failed_s
    FROM mart.attempts
    WHERE attempt_source = 'span'
    GROUP BY ALL
) a ON a.workflow_id = s.workflow_id AND a.run_id = s.run_id AND a.step_id = s.step_id;
COMMENT ON VIEW mart.steps IS 'One row per step, with its attempts counted from the best source';
COMMENT ON COLUMN mart.steps.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.steps.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.steps.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.steps.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.steps.step_id IS 'Step, as in core.steps';
COMMENT ON COLUMN mart.steps.seq IS 'Place among the steps of the run, from 1';
COMMENT ON COLUMN mart.steps.kind IS 'Kind of the step';
COMMENT ON COLUMN mart.steps.name IS 'Name of the step';
COMMENT ON COLUMN mart.steps.scheduled_at IS 'When it was asked for, UTC';
COMMENT ON COLUMN mart.steps.started_at IS 'Start of its last known attempt, UTC';
COMMENT ON COLUMN mart.steps.closed_at IS 'When it was answered, UTC; NULL while it is open';
COMMENT ON COLUMN mart.steps.outcome IS 'How it ended; NULL while it is open';
COMMENT ON COLUMN mart.steps.n_attempts IS 'Tries begun';
COMMENT ON COLUMN mart.steps.n_failed_attempts IS 'Tries that failed or timed out';
COMMENT ON COLUMN mart.steps.attempts_are_exact IS 'Spans tell of every attempt; else the history''s counter is all there is';
COMMENT ON COLUMN mart.steps.queue_s IS 'Seconds from scheduling to start, where the first attempt was the only one';
COMMENT ON COLUMN mart.steps.retry_s IS 'Seconds from scheduling to the start of the last attempt, where there were several';
COMMENT ON COLUMN mart.steps.last_attempt_s IS 'Seconds from the start of the last attempt to the answer';
COMMENT ON COLUMN mart.steps.total_s IS 'Seconds from scheduling to the answer';
COMMENT ON COLUMN mart.steps.failed_s IS 'Seconds spent in failed attempts; NULL without spans';
COMMENT ON COLUMN mart.steps.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN mart.steps.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN mart.steps.failure_fingerprint IS 'Fingerprint of the failure';

CREATE VIEW mart.retries AS
SELECT s.namespace, s.workflow_id, s.run_id, s.workflow_type, s.step_id, s.name, s.outcome,
       s.n_attempts, s.n_failed_attempts, s.attempts_are_exact,
       CASE WHEN s.attempts_are_exact THEN s.failed_s ELSE s.retry_s END AS wasted_s,
       c.wasted_usd, f.failure_type, f.failure_message, f.failure_fingerprint
FROM mart.steps s
LEFT JOIN (
    SELECT a.workflow_id, a.run_id, a.step_id, sum(l.cost_usd) AS wasted_usd
    FROM mart.attempts a
    JOIN mart.llm_calls l USING (workflow_id, run_id, step_id, attempt)
    WHERE a.outcome IN ('failed', 'timed_out')
    GROUP BY ALL
) c ON c.workflow_id = s.workflow_id AND c.run_id = s.run_id AND c.step_id = s.step_id
LEFT JOIN (
    SELECT * FROM mart.attempts
    WHERE outcome IN ('failed', 'timed_out')
    QUALIFY row_number() OVER (
        PARTITION BY workflow_id, run_id, step_id ORDER BY attempt DESC
    ) = 1
) f ON f.workflow_id = s.workflow_id AND f.run_id = s.run_id AND f.step_id = s.step_id
WHERE s.n_attempts > 1;
COMMENT ON VIEW mart.retries IS 'One row per step that was tried more than once, with what that cost';
COMMENT ON COLUMN mart.retries.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.retries.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.retries.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.retries.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.retries.step_id IS 'Step, as in core.steps';
COMMENT ON COLUMN mart.retries.name IS 'Name of the step';
COMMENT ON COLUMN mart.retries.outcome IS 'How it ended; NULL while it is open';
COMMENT ON COLUMN mart.retries.n_attempts IS 'Tries begun';
COMMENT ON COLUMN mart.retries.n_failed_attempts IS 'Tries that failed or timed out';
COMMENT ON COLUMN mart.retries.attempts_are_exact IS 'Spans tell of every attempt; else the figures are estimates';
COMMENT ON COLUMN mart.retries.wasted_s IS 'Seconds in failed attempts; without spans, all seconds before the last attempt, backoff and queueing included';
COMMENT ON COLUMN mart.retries.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN mart.retries.failure_type IS 'Type of the last failed attempt''s root cause';
COMMENT ON COLUMN mart.retries.failure_message IS 'Message of the last failed attempt''s root cause';
COMMENT ON COLUMN mart.retries.failure_fingerprint IS 'Fingerprint of the last failed attempt';

CREATE VIEW mart.step_stats AS
SELECT workflow_type, kind, name, count(*) AS n_steps,
       count(*) FILTER (outcome IN ('failed', 'timed_out')) AS n_failed,
       count(*) FILTER (outcome IS NULL) AS n_open,
       sum(n_attempts)::BIGINT AS n_attempts, sum(n_failed_attempts)::BIGINT AS n_failed_attempts,
       quantile_cont(total_s, 0.5) AS p50_s, quantile_cont(total_s, 0.95) AS p95_s,
       quantile_cont(last_attempt_s, 0.5) AS attempt_p50_s,
       quantile_cont(last_attempt_s, 0.95) AS attempt_p95_s,
       quantile_cont(queue_s, 0.5) AS queue_p50_s, quantile_cont(queue_s, 0.95) AS queue_p95_s
FROM mart.steps
GROUP BY ALL;
COMMENT ON VIEW mart.step_stats IS 'One row per workflow type and step: how often, how long, how reliable';
COMMENT ON COLUMN mart.step_stats.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.step_stats.kind IS 'Kind of the step';
COMMENT ON COLUMN mart.step_stats.name IS 'Name of the step';
COMMENT ON COLUMN mart.step_stats.n_steps IS 'Steps';
COMMENT ON COLUMN mart.step_stats.n_failed IS 'Steps that failed or timed out';
COMMENT ON COLUMN mart.step_stats.n_open IS 'Steps without an answer';
COMMENT ON COLUMN mart.step_stats.n_attempts IS 'Tries begun';
COMMENT ON COLUMN mart.step_stats.n_failed_attempts IS 'Tries that failed or timed out';
COMMENT ON COLUMN mart.step_stats.p50_s IS 'Median seconds from scheduling to the answer';
COMMENT ON COLUMN mart.step_stats.p95_s IS '95th percentile of seconds from scheduling to the answer';
COMMENT ON COLUMN mart.step_stats.attempt_p50_s IS 'Median seconds of the last attempt';
COMMENT ON COLUMN mart.step_stats.attempt_p95_s IS '95th percentile of seconds of the last attempt';
COMMENT ON COLUMN mart.step_stats.queue_p50_s IS 'Median seconds from scheduling to start';
COMMENT ON COLUMN mart.step_stats.queue_p95_s IS '95th percentile of seconds from scheduling to start';
