-- Runs: summary, time, and who waits for whom.
CREATE VIEW mart.run_summary AS
SELECT r.namespace, r.workflow_id, r.run_id, r.workflow_type, r.status, r.is_stuck, r.started_at,
       r.closed_at, r.duration_s, r.n_events, coalesce(s.n_steps, 0) AS n_steps,
       coalesce(s.n_attempts, 0) AS n_attempts,
       coalesce(s.n_failed_attempts, 0) AS n_failed_attempts,
       coalesce(c.n_calls, 0) AS n_llm_calls, c.input_tokens, c.output_tokens, c.cost_usd,
       ref.share(c.n_priced, c.n_billable) AS priced_share, coalesce(w.human_wait_s, 0) AS human_wait_s,
       r.failure_type, r.failure_message, r.failure_fingerprint, r.trace_id
FROM core.runs r
LEFT JOIN (
    SELECT namespace, workflow_id, run_id, count(*) AS n_steps,
           sum(n_attempts) FILTER (kind IN ('activity', 'local_activity', 'nexus_operation'))::BIGINT
               AS n_attempts,
           sum(n_failed_attempts)::BIGINT AS n_failed_attempts
    FROM mart.steps GROUP BY ALL
) s USING (namespace, workflow_id, run_id)
LEFT JOIN (
    SELECT workflow_id, run_id, count(*) AS n_calls, sum(input_tokens)::BIGINT AS input_tokens,
           sum(output_tokens)::BIGINT AS output_tokens, sum(cost_usd) AS cost_usd,
           count(cost_usd) AS n_priced, count(*) FILTER (is_billable) AS n_billable
    FROM mart.llm_calls GROUP BY ALL
) c ON c.workflow_id = r.workflow_id AND c.run_id = r.run_id
LEFT JOIN (
    SELECT namespace, workflow_id, run_id, sum(wait_s) AS human_wait_s
    FROM core.waits WHERE is_human GROUP BY ALL
) w USING (namespace, workflow_id, run_id);
COMMENT ON VIEW mart.run_summary IS 'One row per run: how it ended, what it did, what it cost';
COMMENT ON COLUMN mart.run_summary.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.run_summary.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.run_summary.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.run_summary.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.run_summary.status IS 'Status of the run, as in core.runs';
COMMENT ON COLUMN mart.run_summary.is_stuck IS 'Open, and its workflow task fails again and again';
COMMENT ON COLUMN mart.run_summary.started_at IS 'Start, UTC';
COMMENT ON COLUMN mart.run_summary.closed_at IS 'End, UTC; NULL while it is open';
COMMENT ON COLUMN mart.run_summary.duration_s IS 'Seconds from start to end, or to the last event known while it is open';
COMMENT ON COLUMN mart.run_summary.n_events IS 'Events in its history';
COMMENT ON COLUMN mart.run_summary.n_steps IS 'Steps of all kinds';
COMMENT ON COLUMN mart.run_summary.n_attempts IS 'Tries of activities and Nexus operations';
COMMENT ON COLUMN mart.run_summary.n_failed_attempts IS 'Tries of activities and Nexus operations that failed or timed out';
COMMENT ON COLUMN mart.run_summary.n_llm_calls IS 'Model calls';
COMMENT ON COLUMN mart.run_summary.input_tokens IS 'Input tokens that were reported, cached ones included';
COMMENT ON COLUMN mart.run_summary.output_tokens IS 'Output tokens that were reported, reasoning included';
COMMENT ON COLUMN mart.run_summary.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN mart.run_summary.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';
COMMENT ON COLUMN mart.run_summary.human_wait_s IS 'Seconds in which it waited for a person';
COMMENT ON COLUMN mart.run_summary.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN mart.run_summary.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN mart.run_summary.failure_fingerprint IS 'Fingerprint of the failure';
COMMENT ON COLUMN mart.run_summary.trace_id IS 'Trace of the run, hex';

CREATE VIEW mart.time_split AS
SELECT t.namespace, t.workflow_id, t.run_id, r.workflow_type, r.status, t.total_s, t.activity_s,
       t.child_s, t.retry_s, t.queue_s, t.workflow_s, t.human_wait_s, t.wait_s, t.other_s,
       ref.share(t.human_wait_s, t.total_s) AS human_wait_share
FROM core.run_time t
JOIN core.runs r USING (namespace, workflow_id, run_id);
COMMENT ON VIEW mart.time_split IS 'One row per run: where its time went; the parts add up to the total';
COMMENT ON COLUMN mart.time_split.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.time_split.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.time_split.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.time_split.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.time_split.status IS 'Status of the run, as in core.runs';
COMMENT ON COLUMN mart.time_split.total_s IS 'Seconds from start to end, or to the last event known while it is open';
COMMENT ON COLUMN mart.time_split.activity_s IS 'Seconds in which an activity or Nexus operation ran';
COMMENT ON COLUMN mart.time_split.child_s IS 'Seconds in which a child workflow ran and no activity';
COMMENT ON COLUMN mart.time_split.retry_s IS 'Seconds of earlier tries and backoff';
COMMENT ON COLUMN mart.time_split.queue_s IS 'Seconds of waiting for a worker';
COMMENT ON COLUMN mart.time_split.workflow_s IS 'Seconds in which workflow code ran';
COMMENT ON COLUMN mart.time_split.human_wait_s IS 'Seconds of waiting for a person';
COMMENT ON COLUMN mart.time_split.wait_s IS 'Seconds of waiting for a timer or another message';
COMMENT ON COLUMN mart.time_split.other_s IS 'Seconds that nothing in the history explains';
COMMENT ON COLUMN mart.time_split.human_wait_share IS 'Share of the total spent waiting for a person, 0 to 1';

CREATE VIEW mart.human_waits AS
SELECT w.namespace, w.workflow_id, w.run_id, r.workflow_type, w.label, w.opened_at, w.closed_at,
       w.wait_s, w.woken_by, w.woken_by_name, w.woken_by_identity
FROM core.waits w
JOIN core.runs r USING (namespace, workflow_id, run_id)
WHERE w.is_human;
COMMENT ON VIEW mart.human_waits IS 'One row per wait that a person ended';
COMMENT ON COLUMN mart.human_waits.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.human_waits.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.human_waits.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.human_waits.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.human_waits.label IS 'What it waited for';
COMMENT ON COLUMN mart.human_waits.opened_at IS 'Begin, UTC';
COMMENT ON COLUMN mart.human_waits.closed_at IS 'End, UTC';
COMMENT ON COLUMN mart.human_waits.wait_s IS 'Seconds from begin to end';
COMMENT ON COLUMN mart.human_waits.woken_by IS 'signal or update';
COMMENT ON COLUMN mart.human_waits.woken_by_name IS 'Name of the signal or update';
COMMENT ON COLUMN mart.human_waits.woken_by_identity IS 'Client that sent it';

CREATE VIEW mart.open_waits AS
SELECT w.namespace, w.workflow_id, w.run_id, r.workflow_type, w.label, w.opened_at, r.last_event_at
FROM core.waits w
JOIN core.runs r USING (namespace, workflow_id, run_id)
WHERE w.closed_at IS NULL AND NOT r.is_closed;
COMMENT ON VIEW mart.open_waits IS 'One row per open run that stands still now: for a person, a message or a timer';
COMMENT ON COLUMN mart.open_waits.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.open_waits.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.open_waits.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.open_waits.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.open_waits.label IS 'What it waits for: the summary of the timer that limits it';
COMMENT ON COLUMN mart.open_waits.opened_at IS 'Since when, UTC';
COMMENT ON COLUMN mart.open_waits.last_event_at IS 'Time of the last event read, UTC';
