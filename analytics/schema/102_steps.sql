-- Steps with their attempts counted, how long they take, and what retries cost.
CREATE VIEW mart.steps AS
SELECT namespace, workflow_id, run_id, workflow_type, is_fork, step_id, seq, kind, name, scheduled_at,
       started_at, closed_at, outcome, n_attempts, n_failed_attempts, attempts_are_exact, queue_s,
       retry_s, last_attempt_s, total_s, failed_s, n_llm_calls, cost_usd,
       critical_gap_s IS NOT NULL AS is_critical, input_bytes, result_bytes, failure_type,
       failure_message, failure_fingerprint
FROM core.settled_steps;
COMMENT ON VIEW mart.steps IS 'One row per step, with its attempts counted from the best source';
COMMENT ON COLUMN mart.steps.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.steps.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.steps.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.steps.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.steps.is_fork IS 'Made by forking another run: it did not happen in production';
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
COMMENT ON COLUMN mart.steps.n_llm_calls IS 'Model calls';
COMMENT ON COLUMN mart.steps.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN mart.steps.is_critical IS 'On the critical path of its run: had it taken less time, the run would have';
COMMENT ON COLUMN mart.steps.input_bytes IS 'Bytes of its input';
COMMENT ON COLUMN mart.steps.result_bytes IS 'Bytes of its result';
COMMENT ON COLUMN mart.steps.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN mart.steps.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN mart.steps.failure_fingerprint IS 'Fingerprint of the failure';

CREATE VIEW mart.retries AS
SELECT namespace, workflow_id, run_id, workflow_type, is_fork, step_id, name, outcome, n_attempts,
       n_failed_attempts, attempts_are_exact, waste_is_exact, wasted_s, wasted_at_least_s, wasted_at_most_s,
       wasted_usd, wasted_at_most_usd, retried_for_type AS failure_type,
       retried_for_message AS failure_message, retried_for_fingerprint AS failure_fingerprint
FROM core.settled_steps
WHERE n_attempts > 1;
COMMENT ON VIEW mart.retries IS 'One row per step that was tried more than once, with what that cost';
COMMENT ON COLUMN mart.retries.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.retries.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.retries.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.retries.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.retries.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.retries.step_id IS 'Step, as in core.steps';
COMMENT ON COLUMN mart.retries.name IS 'Name of the step';
COMMENT ON COLUMN mart.retries.outcome IS 'How it ended; NULL while it is open';
COMMENT ON COLUMN mart.retries.n_attempts IS 'Tries begun';
COMMENT ON COLUMN mart.retries.n_failed_attempts IS 'Tries that failed or timed out';
COMMENT ON COLUMN mart.retries.attempts_are_exact IS 'Spans tell of every attempt; else the figures are estimates';
COMMENT ON COLUMN mart.retries.waste_is_exact IS 'The time of every failed attempt is known; else wasted_s is the most that it can have been';
COMMENT ON COLUMN mart.retries.wasted_s IS 'Seconds spent on failed attempts; where they are not known, the most that they can have taken';
COMMENT ON COLUMN mart.retries.wasted_at_least_s IS 'The least that failed attempts took: those that are known, in seconds';
COMMENT ON COLUMN mart.retries.wasted_at_most_s IS 'The most that failed attempts can have taken, in seconds';
COMMENT ON COLUMN mart.retries.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN mart.retries.wasted_at_most_usd IS 'The most that failed attempts may have cost, US dollars: where no span tells, as much each as the attempt that is known';
COMMENT ON COLUMN mart.retries.failure_type IS 'Type of the last failed attempt''s root cause';
COMMENT ON COLUMN mart.retries.failure_message IS 'Message of the last failed attempt''s root cause';
COMMENT ON COLUMN mart.retries.failure_fingerprint IS 'Fingerprint of the last failed attempt';

CREATE VIEW mart.retry_waste AS
SELECT workflow_type, kind, name, count(*) AS n_steps,
       count(*) FILTER (n_attempts > 1) AS n_retried,
       CAST(sum(n_failed_attempts) AS BIGINT) AS n_failed_attempts,
       ref.share(count(*) FILTER (n_failed_attempts > 0 AND waste_is_exact),
                 count(*) FILTER (n_failed_attempts > 0)) AS exact_share,
       sum(wasted_s) AS wasted_s, sum(wasted_at_least_s) AS wasted_at_least_s,
       sum(wasted_at_most_s) AS wasted_at_most_s, sum(wasted_usd) AS wasted_usd,
       sum(wasted_at_most_usd) AS wasted_at_most_usd,
       ref.share(sum(wasted_usd), sum(cost_usd)) AS wasted_cost_share
FROM core.settled_steps
WHERE NOT is_fork AND kind IN ('activity', 'local_activity', 'nexus_operation')
GROUP BY workflow_type, kind, name;
COMMENT ON VIEW mart.retry_waste IS 'One row per workflow type and step: time and money spent on attempts that failed; forks are left out';
COMMENT ON COLUMN mart.retry_waste.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.retry_waste.kind IS 'Kind of the step';
COMMENT ON COLUMN mart.retry_waste.name IS 'Name of the step';
COMMENT ON COLUMN mart.retry_waste.n_steps IS 'Steps';
COMMENT ON COLUMN mart.retry_waste.n_retried IS 'Steps that were tried more than once';
COMMENT ON COLUMN mart.retry_waste.n_failed_attempts IS 'Tries that failed or timed out';
COMMENT ON COLUMN mart.retry_waste.exact_share IS 'Share of the steps with failed attempts whose waste is known exactly, 0 to 1; that of the rest is bounded';
COMMENT ON COLUMN mart.retry_waste.wasted_s IS 'Seconds spent on failed attempts; where they are not known, the most that they can have taken';
COMMENT ON COLUMN mart.retry_waste.wasted_at_least_s IS 'The least that failed attempts took: those that are known, in seconds';
COMMENT ON COLUMN mart.retry_waste.wasted_at_most_s IS 'The most that failed attempts can have taken, in seconds';
COMMENT ON COLUMN mart.retry_waste.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN mart.retry_waste.wasted_at_most_usd IS 'The most that failed attempts may have cost, US dollars: where no span tells, as much each as the attempt that is known';
COMMENT ON COLUMN mart.retry_waste.wasted_cost_share IS 'Share of the known cost of the step that went into failed attempts, 0 to 1';

CREATE VIEW mart.step_stats AS
SELECT workflow_type, kind, name, count(*) AS n_steps,
       count(*) FILTER (outcome IN ('failed', 'timed_out')) AS n_failed,
       count(*) FILTER (outcome IS NULL) AS n_open,
       CAST(sum(n_attempts) AS BIGINT) AS n_attempts,
       CAST(sum(n_failed_attempts) AS BIGINT) AS n_failed_attempts,
       ref.p50(total_s) AS p50_s, ref.p95(total_s) AS p95_s, ref.p99(total_s) AS p99_s,
       ref.p50(last_attempt_s) AS attempt_p50_s, ref.p95(last_attempt_s) AS attempt_p95_s,
       ref.p99(last_attempt_s) AS attempt_p99_s, ref.p50(queue_s) AS queue_p50_s,
       ref.p95(queue_s) AS queue_p95_s, ref.p99(queue_s) AS queue_p99_s
FROM core.settled_steps
WHERE NOT is_fork
GROUP BY workflow_type, kind, name;
COMMENT ON VIEW mart.step_stats IS 'One row per workflow type and step: how often, how long, how reliable; forks are left out';
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
COMMENT ON COLUMN mart.step_stats.p99_s IS '99th percentile of seconds from scheduling to the answer';
COMMENT ON COLUMN mart.step_stats.attempt_p50_s IS 'Median seconds of the last attempt';
COMMENT ON COLUMN mart.step_stats.attempt_p95_s IS '95th percentile of seconds of the last attempt';
COMMENT ON COLUMN mart.step_stats.attempt_p99_s IS '99th percentile of seconds of the last attempt';
COMMENT ON COLUMN mart.step_stats.queue_p50_s IS 'Median seconds from scheduling to start';
COMMENT ON COLUMN mart.step_stats.queue_p95_s IS '95th percentile of seconds from scheduling to start';
COMMENT ON COLUMN mart.step_stats.queue_p99_s IS '99th percentile of seconds from scheduling to start';

CREATE MACRO mart.step_latency(since := NULL, until := NULL) AS TABLE
SELECT workflow_type, kind, name, count(*) AS n_steps, ref.p50(total_s) AS p50_s,
       ref.p95(total_s) AS p95_s, ref.p99(total_s) AS p99_s, ref.p50(queue_s) AS queue_p50_s,
       ref.p95(queue_s) AS queue_p95_s, ref.p99(queue_s) AS queue_p99_s, max(total_s) AS max_s
FROM core.settled_steps
WHERE NOT is_fork AND (since IS NULL OR scheduled_at >= since::TIMESTAMP)
  AND (until IS NULL OR scheduled_at < until::TIMESTAMP)
GROUP BY workflow_type, kind, name
ORDER BY p95_s DESC NULLS LAST, workflow_type, kind, name;
COMMENT ON MACRO TABLE mart.step_latency IS 'Latency and queue time per workflow type and step, of the steps asked for from since until before until (UTC; NULL: without limit), slowest first; forks are left out';

CREATE VIEW mart.critical_path AS
SELECT s.namespace, s.workflow_id, s.run_id, s.workflow_type, s.is_fork, s.kind, s.name, s.step_id,
       s.scheduled_at AS started_at, s.closed_at AS ended_at, coalesce(s.total_s, 0) AS critical_s,
       s.critical_gap_s AS gap_s, s.outcome
FROM core.settled_steps s
WHERE s.critical_gap_s IS NOT NULL
UNION ALL
SELECT w.namespace, w.workflow_id, w.run_id, r.workflow_type, f.is_fork, 'wait', w.label, NULL,
       w.opened_at, w.closed_at, coalesce(w.wait_s, 0), w.critical_gap_s, w.woken_by
FROM core.waits w
JOIN core.runs r USING (namespace, workflow_id, run_id)
JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
WHERE w.critical_gap_s IS NOT NULL
UNION ALL
SELECT r.namespace, r.workflow_id, r.run_id, r.workflow_type, f.is_fork, 'end', r.status, NULL,
       coalesce(r.closed_at, r.last_event_at), coalesce(r.closed_at, r.last_event_at), 0,
       greatest(coalesce(r.duration_s, 0) - f.critical_s, 0), NULL
FROM core.runs r
JOIN core.settled_runs f USING (namespace, workflow_id, run_id);
COMMENT ON VIEW mart.critical_path IS 'The steps and waits that the duration of a run hangs on, one row each, and a last one for its end: critical_s and gap_s of a run add up to its duration';
COMMENT ON COLUMN mart.critical_path.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.critical_path.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.critical_path.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.critical_path.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.critical_path.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.critical_path.kind IS 'Kind of the step; wait for a wait, end for the end of the run';
COMMENT ON COLUMN mart.critical_path.name IS 'Name of the step, label of the wait, status of the run';
COMMENT ON COLUMN mart.critical_path.step_id IS 'Step, as in core.steps; NULL for waits and the end';
COMMENT ON COLUMN mart.critical_path.started_at IS 'When it was asked for or began, UTC';
COMMENT ON COLUMN mart.critical_path.ended_at IS 'When it ended, UTC';
COMMENT ON COLUMN mart.critical_path.critical_s IS 'Seconds from then to its end';
COMMENT ON COLUMN mart.critical_path.gap_s IS 'Seconds between it and what came before on the path: workflow code, queueing, or what nothing explains';
COMMENT ON COLUMN mart.critical_path.outcome IS 'How the step ended, what ended the wait';

CREATE VIEW mart.critical_steps AS
SELECT workflow_type, kind, name, count(*) AS n, count(DISTINCT run_id) AS n_runs,
       sum(critical_s) AS critical_s, avg(critical_s) AS avg_s, max(critical_s) AS max_s,
       ref.share(sum(critical_s), sum(sum(critical_s + gap_s)) OVER (PARTITION BY workflow_type))
           AS share
FROM mart.critical_path
WHERE NOT is_fork
GROUP BY workflow_type, kind, name;
COMMENT ON VIEW mart.critical_steps IS 'What the duration of the runs of a workflow type hangs on; forks are left out';
COMMENT ON COLUMN mart.critical_steps.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.critical_steps.kind IS 'Kind of the step; wait for a wait, end for the end of the run';
COMMENT ON COLUMN mart.critical_steps.name IS 'Name of the step, label of the wait, status of the run';
COMMENT ON COLUMN mart.critical_steps.n IS 'How often it was on the critical path';
COMMENT ON COLUMN mart.critical_steps.n_runs IS 'In how many runs';
COMMENT ON COLUMN mart.critical_steps.critical_s IS 'Seconds in all';
COMMENT ON COLUMN mart.critical_steps.avg_s IS 'Average seconds';
COMMENT ON COLUMN mart.critical_steps.max_s IS 'Most seconds';
COMMENT ON COLUMN mart.critical_steps.share IS 'Share of the duration of all runs of the workflow type, 0 to 1';
