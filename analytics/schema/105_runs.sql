-- Runs: summary, time, who waits for whom, and how they do against an objective.
CREATE VIEW mart.run_summary AS
SELECT r.namespace, r.workflow_id, r.run_id, r.workflow_type, r.status, r.is_stuck, f.is_fork,
       f.tenant, r.started_at, r.closed_at, r.duration_s, r.n_events, f.n_steps, f.n_attempts,
       f.n_failed_attempts, f.n_llm_calls, f.input_tokens, f.output_tokens, f.cost_usd,
       f.wasted_usd, f.wasted_s, ref.share(f.n_priced, f.n_billable) AS priced_share,
       f.human_wait_s, r.build_id, r.failure_type, r.failure_message, r.failure_fingerprint,
       r.trace_id
FROM core.runs r
JOIN core.settled_runs f USING (namespace, workflow_id, run_id);
COMMENT ON VIEW mart.run_summary IS 'One row per run: how it ended, what it did, what it cost';
COMMENT ON COLUMN mart.run_summary.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.run_summary.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.run_summary.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.run_summary.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.run_summary.status IS 'Status of the run, as in core.runs';
COMMENT ON COLUMN mart.run_summary.is_stuck IS 'Open, and its workflow task fails again and again';
COMMENT ON COLUMN mart.run_summary.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.run_summary.tenant IS 'Whom the run is for: what spans tell, else a memo or search attribute named tenant or TenantId, else the namespace';
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
COMMENT ON COLUMN mart.run_summary.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN mart.run_summary.wasted_s IS 'Seconds spent on attempts that failed, as in mart.retries';
COMMENT ON COLUMN mart.run_summary.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';
COMMENT ON COLUMN mart.run_summary.human_wait_s IS 'Seconds in which it waited for a person';
COMMENT ON COLUMN mart.run_summary.build_id IS 'Build id of the worker that ran it last';
COMMENT ON COLUMN mart.run_summary.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN mart.run_summary.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN mart.run_summary.failure_fingerprint IS 'Fingerprint of the failure';
COMMENT ON COLUMN mart.run_summary.trace_id IS 'Trace of the run, hex';

CREATE VIEW mart.time_split AS
SELECT t.namespace, t.workflow_id, t.run_id, r.workflow_type, r.status, f.is_fork, t.total_s,
       t.activity_s, t.child_s, t.failed_attempt_s, t.backoff_s, t.retry_s, t.queue_s, t.workflow_s,
       t.human_wait_s, t.wait_s, t.timer_s, t.other_s,
       ref.share(t.human_wait_s, t.total_s) AS human_wait_share
FROM core.run_time t
JOIN core.runs r USING (namespace, workflow_id, run_id)
JOIN core.settled_runs f USING (namespace, workflow_id, run_id);
COMMENT ON VIEW mart.time_split IS 'One row per run: where its time went; the parts add up to the total';
COMMENT ON COLUMN mart.time_split.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.time_split.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.time_split.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.time_split.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.time_split.status IS 'Status of the run, as in core.runs';
COMMENT ON COLUMN mart.time_split.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.time_split.total_s IS 'Seconds from start to end, or to the last event known while it is open';
COMMENT ON COLUMN mart.time_split.activity_s IS 'Seconds in which the last try of an activity, or a Nexus operation, ran';
COMMENT ON COLUMN mart.time_split.child_s IS 'Seconds in which a child workflow ran and no activity';
COMMENT ON COLUMN mart.time_split.failed_attempt_s IS 'Seconds in which tries ran that failed, as spans tell';
COMMENT ON COLUMN mart.time_split.backoff_s IS 'Seconds between such tries: backoff, and queueing after it';
COMMENT ON COLUMN mart.time_split.retry_s IS 'Seconds of earlier tries and backoff of steps whose tries no span tells apart';
COMMENT ON COLUMN mart.time_split.queue_s IS 'Seconds of waiting for a worker';
COMMENT ON COLUMN mart.time_split.workflow_s IS 'Seconds in which workflow code ran';
COMMENT ON COLUMN mart.time_split.human_wait_s IS 'Seconds of waiting for a person';
COMMENT ON COLUMN mart.time_split.wait_s IS 'Seconds of waits for another message, or that still last';
COMMENT ON COLUMN mart.time_split.timer_s IS 'Seconds of waits that a timer ended, and of timers';
COMMENT ON COLUMN mart.time_split.other_s IS 'Seconds that nothing in the history explains';
COMMENT ON COLUMN mart.time_split.human_wait_share IS 'Share of the total spent waiting for a person, 0 to 1';

CREATE VIEW mart.time_by_workflow AS
SELECT workflow_type, count(*) AS n_runs, sum(total_s) AS total_s, sum(activity_s) AS activity_s,
       sum(child_s) AS child_s, sum(failed_attempt_s) AS failed_attempt_s,
       sum(backoff_s) AS backoff_s, sum(retry_s) AS retry_s, sum(queue_s) AS queue_s,
       sum(workflow_s) AS workflow_s, sum(human_wait_s) AS human_wait_s, sum(wait_s) AS wait_s,
       sum(timer_s) AS timer_s, sum(other_s) AS other_s,
       ref.share(sum(human_wait_s), sum(total_s)) AS human_wait_share
FROM mart.time_split
WHERE NOT is_fork
GROUP BY workflow_type;
COMMENT ON VIEW mart.time_by_workflow IS 'One row per workflow type: where the time of its runs went; the parts add up to the total; forks are left out';
COMMENT ON COLUMN mart.time_by_workflow.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.time_by_workflow.n_runs IS 'Runs';
COMMENT ON COLUMN mart.time_by_workflow.total_s IS 'Seconds of all runs';
COMMENT ON COLUMN mart.time_by_workflow.activity_s IS 'Seconds in which the last try of an activity, or a Nexus operation, ran';
COMMENT ON COLUMN mart.time_by_workflow.child_s IS 'Seconds in which a child workflow ran and no activity';
COMMENT ON COLUMN mart.time_by_workflow.failed_attempt_s IS 'Seconds in which tries ran that failed, as spans tell';
COMMENT ON COLUMN mart.time_by_workflow.backoff_s IS 'Seconds between such tries: backoff, and queueing after it';
COMMENT ON COLUMN mart.time_by_workflow.retry_s IS 'Seconds of earlier tries and backoff of steps whose tries no span tells apart';
COMMENT ON COLUMN mart.time_by_workflow.queue_s IS 'Seconds from scheduling to start, where the first attempt was the only one';
COMMENT ON COLUMN mart.time_by_workflow.workflow_s IS 'Seconds in which workflow code ran';
COMMENT ON COLUMN mart.time_by_workflow.human_wait_s IS 'Seconds of waits that a person ended';
COMMENT ON COLUMN mart.time_by_workflow.wait_s IS 'Seconds of waits for another message, or that still last';
COMMENT ON COLUMN mart.time_by_workflow.timer_s IS 'Seconds of waits that a timer ended, and of timers';
COMMENT ON COLUMN mart.time_by_workflow.other_s IS 'Seconds that nothing in the history explains';
COMMENT ON COLUMN mart.time_by_workflow.human_wait_share IS 'Share of the total spent waiting for a person, 0 to 1';

CREATE VIEW mart.human_waits AS
SELECT w.namespace, w.workflow_id, w.run_id, r.workflow_type, f.is_fork, w.label, w.opened_at,
       w.closed_at, w.wait_s, w.woken_by, w.woken_by_name, w.woken_by_identity
FROM core.waits w
JOIN core.runs r USING (namespace, workflow_id, run_id)
JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
WHERE w.is_human;
COMMENT ON VIEW mart.human_waits IS 'One row per wait that a person ended';
COMMENT ON COLUMN mart.human_waits.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.human_waits.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.human_waits.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.human_waits.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.human_waits.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.human_waits.label IS 'What it waited for';
COMMENT ON COLUMN mart.human_waits.opened_at IS 'Begin, UTC';
COMMENT ON COLUMN mart.human_waits.closed_at IS 'End, UTC';
COMMENT ON COLUMN mart.human_waits.wait_s IS 'Seconds from begin to end';
COMMENT ON COLUMN mart.human_waits.woken_by IS 'signal or update';
COMMENT ON COLUMN mart.human_waits.woken_by_name IS 'Name of the signal or update';
COMMENT ON COLUMN mart.human_waits.woken_by_identity IS 'Client that sent it';

CREATE VIEW mart.open_waits AS
SELECT w.namespace, w.workflow_id, w.run_id, r.workflow_type, f.is_fork, w.label, w.opened_at,
       r.last_event_at
FROM core.waits w
JOIN core.runs r USING (namespace, workflow_id, run_id)
JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
WHERE w.closed_at IS NULL AND NOT r.is_closed;
COMMENT ON VIEW mart.open_waits IS 'One row per open run that stands still now: for a person, a message or a timer';
COMMENT ON COLUMN mart.open_waits.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.open_waits.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.open_waits.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.open_waits.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.open_waits.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.open_waits.label IS 'What it waits for: the summary of the timer that limits it';
COMMENT ON COLUMN mart.open_waits.opened_at IS 'Since when, UTC';
COMMENT ON COLUMN mart.open_waits.last_event_at IS 'Time of the last event read, UTC';

CREATE VIEW mart.approvals AS
WITH waits AS (
    SELECT w.namespace, w.workflow_id, w.run_id, r.workflow_type, f.is_fork, w.occurrence, w.label,
           w.opened_at, w.closed_at, w.wait_s, w.is_human, w.woken_by, w.woken_by_name,
           w.woken_by_identity,
           max(CASE WHEN w.is_human OR lower(w.label) LIKE 'approv%' THEN 1 ELSE 0 END) OVER (
               PARTITION BY r.workflow_type, w.label) AS is_asked_of_people
    FROM core.waits w
    JOIN core.runs r USING (namespace, workflow_id, run_id)
    JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
), rejections AS (
    SELECT workflow_id, run_id, update_id, max(rejected_at) AS rejected_at
    FROM (
        SELECT workflow_id, run_id, update_id,
               coalesce(completed_at, accepted_at, admitted_at) AS rejected_at
        FROM core.updates
        WHERE outcome IN ('rejected', 'failed')
        UNION ALL
        SELECT workflow_id, run_id, span_attributes ->> '$."temporal.update.id"', end_time
        FROM core.spans
        WHERE span_kind = 'update'
          AND span_attributes ->> '$."retrospan.outcome"' IN ('rejected', 'failed')
    ) u
    GROUP BY workflow_id, run_id, update_id
), tries AS (
    SELECT w.namespace, w.workflow_id, w.run_id, w.occurrence, count(*) AS n_rejected
    FROM waits w
    JOIN rejections j ON j.workflow_id = w.workflow_id AND j.run_id = w.run_id
                     AND j.rejected_at >= w.opened_at
                     AND (w.closed_at IS NULL OR j.rejected_at <= w.closed_at)
    GROUP BY w.namespace, w.workflow_id, w.run_id, w.occurrence
)
SELECT w.namespace, w.workflow_id, w.run_id, w.workflow_type, w.is_fork, w.label,
       CASE WHEN w.is_human THEN 'answered' WHEN w.closed_at IS NULL THEN 'open'
            WHEN w.woken_by = 'timer' THEN 'expired' ELSE 'abandoned' END AS outcome,
       w.opened_at, w.closed_at, w.wait_s, CASE WHEN w.is_human THEN w.woken_by END AS answered_by,
       CASE WHEN w.is_human THEN w.woken_by_name END AS answer,
       CASE WHEN w.is_human THEN w.woken_by_identity END AS answered_by_identity,
       coalesce(t.n_rejected, 0) AS n_rejected
FROM waits w
LEFT JOIN tries t USING (namespace, workflow_id, run_id, occurrence)
WHERE w.is_human OR (w.label IS NOT NULL AND w.is_asked_of_people = 1);
COMMENT ON VIEW mart.approvals IS 'One row per wait for a person: those that a person ended, others of the same workflow type and label, and those whose label begins with approv, for nobody may ever have answered; who answered, when, after how long';
COMMENT ON COLUMN mart.approvals.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.approvals.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.approvals.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.approvals.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.approvals.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.approvals.label IS 'What it waited for: summary of the timer that limits it, else the name of the answer';
COMMENT ON COLUMN mart.approvals.outcome IS 'answered; expired: its timer came first; open: nobody has answered yet; abandoned: the run went on or ended for another reason';
COMMENT ON COLUMN mart.approvals.opened_at IS 'Begin, UTC';
COMMENT ON COLUMN mart.approvals.closed_at IS 'End, UTC; NULL while it is open';
COMMENT ON COLUMN mart.approvals.wait_s IS 'Seconds from begin to end; NULL while it lasts';
COMMENT ON COLUMN mart.approvals.answered_by IS 'signal or update; NULL unless answered';
COMMENT ON COLUMN mart.approvals.answer IS 'Name of the signal or update; NULL unless answered';
COMMENT ON COLUMN mart.approvals.answered_by_identity IS 'Client that sent it; NULL unless answered';
COMMENT ON COLUMN mart.approvals.n_rejected IS 'Updates that were rejected or failed while it waited: tries that did not count';

CREATE VIEW mart.approval_stats AS
SELECT workflow_type, label, count(*) AS n_waits, count(*) FILTER (outcome = 'answered') AS n_answered,
       count(*) FILTER (outcome = 'expired') AS n_expired,
       count(*) FILTER (outcome = 'open') AS n_open,
       count(*) FILTER (outcome = 'abandoned') AS n_abandoned,
       CAST(sum(n_rejected) AS BIGINT) AS n_rejected,
       ref.p50(CASE WHEN outcome = 'answered' THEN wait_s END) AS p50_s,
       ref.p95(CASE WHEN outcome = 'answered' THEN wait_s END) AS p95_s,
       max(CASE WHEN outcome = 'answered' THEN wait_s END) AS max_s,
       min(CASE WHEN outcome = 'open' THEN opened_at END) AS oldest_open_at
FROM mart.approvals
WHERE NOT is_fork
GROUP BY workflow_type, label;
COMMENT ON VIEW mart.approval_stats IS 'One row per workflow type and label of mart.approvals: how long people take, and how often they do not answer; forks are left out';
COMMENT ON COLUMN mart.approval_stats.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.approval_stats.label IS 'What was waited for';
COMMENT ON COLUMN mart.approval_stats.n_waits IS 'Waits for a person';
COMMENT ON COLUMN mart.approval_stats.n_answered IS 'Those that a person ended';
COMMENT ON COLUMN mart.approval_stats.n_expired IS 'Those that a timer ended';
COMMENT ON COLUMN mart.approval_stats.n_open IS 'Those that still last';
COMMENT ON COLUMN mart.approval_stats.n_abandoned IS 'Those that something else ended';
COMMENT ON COLUMN mart.approval_stats.n_rejected IS 'Tries that did not count';
COMMENT ON COLUMN mart.approval_stats.p50_s IS 'Median seconds to an answer';
COMMENT ON COLUMN mart.approval_stats.p95_s IS '95th percentile of seconds to an answer';
COMMENT ON COLUMN mart.approval_stats.max_s IS 'Most seconds to an answer';
COMMENT ON COLUMN mart.approval_stats.oldest_open_at IS 'Since when the oldest open one lasts, UTC';

CREATE MACRO mart.slo_burn(target := 0.99, max_s := NULL, until := NULL) AS TABLE
WITH closed AS (
    SELECT r.workflow_type, r.closed_at, r.status != 'COMPLETED' OR r.duration_s > max_s::DOUBLE AS is_bad
    FROM core.runs r
    JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
    WHERE r.is_closed AND NOT f.is_fork AND r.status != 'CONTINUED_AS_NEW'
), known AS (
    SELECT workflow_type, closed_at, coalesce(is_bad, false) AS is_bad,
           coalesce(until::TIMESTAMP, max(closed_at) OVER ()) AS until_at
    FROM closed
), windows AS (
    SELECT unnest([1, 6, 24, 72, 720]) AS window_h
)
SELECT k.workflow_type, w.window_h, count(*) AS n_runs, count(*) FILTER (k.is_bad) AS n_bad,
       count(*) FILTER (k.is_bad) / count(*) AS bad_share,
       (count(*) FILTER (k.is_bad) / count(*)) / (1 - target) AS burn_rate
FROM known k
JOIN windows w ON k.closed_at > k.until_at - to_hours(w.window_h) AND k.closed_at <= k.until_at
GROUP BY k.workflow_type, w.window_h
ORDER BY k.workflow_type NULLS LAST, w.window_h;
COMMENT ON MACRO TABLE mart.slo_burn IS 'How fast each workflow type uses up its error budget, over the last 1, 6, 24, 72 and 720 hours before until (UTC; NULL: the last run that ended). target: share of runs that must be good. max_s: seconds after which a run that completed is bad too (NULL: never). burn_rate 1 uses up the budget exactly; forks are left out';
