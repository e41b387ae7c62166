-- What failed attempts wasted is exact where the time of each is known: from spans, or because there
-- was but one. Elsewhere a history bounds it: from below by those that it tells of, from above by all
-- the time before the last one.
INSERT INTO core.settled_steps BY NAME
WITH steps AS (
    SELECT * FROM core.steps SEMI JOIN settling USING (workflow_id, run_id)
), runs AS (
    SELECT * FROM core.runs SEMI JOIN settling USING (workflow_id, run_id)
), attempts AS (
    SELECT workflow_id, run_id, step_id,
           count(*) FILTER (attempt_source = 'span') AS n_attempts,
           count(*) FILTER (attempt_source = 'span' AND outcome IN ('failed', 'timed_out')) AS n_failed,
           count(duration_s) FILTER (outcome IN ('failed', 'timed_out')) AS n_timed,
           coalesce(round(sum(duration_s) FILTER (outcome IN ('failed', 'timed_out')), 9), 0) AS failed_s,
           -- Of one attempt: where it has no message, an earlier one's would not be its own.
           arg_max({'type': failure_type, 'message': failure_message,
                    'fingerprint': failure_fingerprint}, attempt)
               FILTER (outcome IN ('failed', 'timed_out')) AS retried_for
    FROM core.settled_attempts SEMI JOIN settling USING (workflow_id, run_id)
    GROUP BY ALL
), calls AS (
    SELECT workflow_id, run_id, step_id, count(*) AS n_calls, round(sum(cost_usd), 9) AS cost_usd,
           round(sum(cost_usd) FILTER (is_wasted), 9) AS wasted_usd,
           round(sum(cost_usd) FILTER (NOT is_wasted), 9) AS good_usd
    FROM core.settled_llm_calls SEMI JOIN settling USING (workflow_id, run_id)
    GROUP BY ALL
), counted AS (
    SELECT s.*, r.workflow_type, ref.is_fork(r.memo) AS is_fork, a.failed_s AS known_failed_s,
           coalesce(a.n_timed, 0) AS n_timed, a.retried_for.type AS retried_for_type,
           a.retried_for.message AS retried_for_message,
           a.retried_for.fingerprint AS retried_for_fingerprint, coalesce(c.n_calls, 0) AS n_llm_calls,
           c.cost_usd, c.wasted_usd, c.good_usd,
           greatest(s.n_attempts, coalesce(a.n_attempts, 0)) AS tries,
           coalesce(a.n_attempts > 0 AND a.n_attempts >= s.n_attempts, false) AS attempts_are_exact,
           CASE WHEN s.kind NOT IN ('activity', 'local_activity', 'nexus_operation') THEN 0
                WHEN attempts_are_exact THEN a.n_failed
                -- The history counts tries: all but the one that completed, was cancelled or runs.
                ELSE greatest(0, s.n_attempts - CASE WHEN s.outcome IN ('failed', 'timed_out')
                                                     THEN 0 ELSE 1 END) END AS n_failed_attempts
    FROM steps s
    JOIN runs r USING (namespace, workflow_id, run_id)
    LEFT JOIN attempts a USING (workflow_id, run_id, step_id)
    LEFT JOIN calls c USING (workflow_id, run_id, step_id)
)
SELECT namespace, workflow_id, run_id, workflow_type, is_fork, step_id, seq, kind, name,
       scheduled_event_id, closed_event_id, scheduled_at, started_at, closed_at, outcome,
       tries AS n_attempts, n_failed_attempts, attempts_are_exact, queue_s, retry_s, last_attempt_s,
       total_s, CASE WHEN attempts_are_exact THEN known_failed_s END AS failed_s,
       CASE WHEN n_failed_attempts = 0 THEN 0 ELSE coalesce(known_failed_s, 0) END
           AS wasted_at_least_s,
       n_timed >= n_failed_attempts AS waste_is_exact,
       CASE WHEN n_failed_attempts = 0 THEN 0
            WHEN waste_is_exact THEN known_failed_s
            ELSE greatest(coalesce(known_failed_s, 0),
                          CASE WHEN outcome IN ('failed', 'timed_out')
                               THEN coalesce(total_s, 0)
                               ELSE coalesce(retry_s, 0) END) END AS wasted_at_most_s,
       wasted_at_most_s AS wasted_s,
       n_llm_calls, cost_usd, wasted_usd,
       CASE WHEN n_failed_attempts = 0 THEN NULL
            WHEN attempts_are_exact THEN wasted_usd
            -- Each failed try may have cost as much as the one that the history tells of.
            ELSE greatest(wasted_usd, (n_failed_attempts * good_usd)::DECIMAL(18,9)) END
           AS wasted_at_most_usd,
       critical_gap_s, input_bytes, result_bytes, failure_type, failure_message, failure_fingerprint,
       retried_for_type, retried_for_message, retried_for_fingerprint
FROM counted;
