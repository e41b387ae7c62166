-- What failed, each fault counted where it began.
CREATE VIEW mart.failure_occurrences AS
SELECT namespace, workflow_id, run_id, workflow_type, is_fork, owner_kind, owner_id, owner_name,
       attempt, failed_at, type, message, fingerprint, worker_identity, build_id
FROM core.settled_failures;
COMMENT ON VIEW mart.failure_occurrences IS 'One row per failure at the place where it began; a failure that a step or run only passed on is not counted again';
COMMENT ON COLUMN mart.failure_occurrences.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.failure_occurrences.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.failure_occurrences.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.failure_occurrences.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.failure_occurrences.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.failure_occurrences.owner_kind IS 'Where it began: attempt, step, workflow_task, update or run';
COMMENT ON COLUMN mart.failure_occurrences.owner_id IS 'Step id, number of the workflow task, or update id; NULL for the run';
COMMENT ON COLUMN mart.failure_occurrences.owner_name IS 'Name of the step, class of the task failure, or workflow type';
COMMENT ON COLUMN mart.failure_occurrences.attempt IS 'Attempt that failed, of attempts and workflow tasks';
COMMENT ON COLUMN mart.failure_occurrences.failed_at IS 'When, UTC; the start of the next try where only the failure is known';
COMMENT ON COLUMN mart.failure_occurrences.type IS 'Exception class, or kind of the failure';
COMMENT ON COLUMN mart.failure_occurrences.message IS 'What the failure says';
COMMENT ON COLUMN mart.failure_occurrences.fingerprint IS 'Fingerprint of the failure';
COMMENT ON COLUMN mart.failure_occurrences.worker_identity IS 'Worker that ran the attempt or workflow task; NULL where it is not known';
COMMENT ON COLUMN mart.failure_occurrences.build_id IS 'Build id of the worker that ran the workflow';

CREATE VIEW mart.failure_groups AS
SELECT fingerprint, max(type) AS failure_type, arg_max(message, failed_at) AS example_message,
       arg_max(owner_name, failed_at) AS where_name, count(*) AS n_failures,
       count(DISTINCT run_id) AS n_runs, count(DISTINCT workflow_type) AS n_workflow_types,
       count(DISTINCT build_id) AS n_builds, count(DISTINCT worker_identity) AS n_workers,
       min(failed_at) AS first_seen, max(failed_at) AS last_seen,
       arg_min(build_id, failed_at) AS first_build_id,
       arg_max(namespace, failed_at) AS example_namespace,
       arg_max(workflow_id, failed_at) AS example_workflow_id,
       arg_max(run_id, failed_at) AS example_run_id
FROM core.settled_failures
WHERE NOT is_fork
GROUP BY fingerprint;
COMMENT ON VIEW mart.failure_groups IS 'One row per fingerprint: failures that differ in ids and numbers only; forks are left out';
COMMENT ON COLUMN mart.failure_groups.fingerprint IS 'Fingerprint of the failure';
COMMENT ON COLUMN mart.failure_groups.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN mart.failure_groups.example_message IS 'Message of the latest one';
COMMENT ON COLUMN mart.failure_groups.where_name IS 'Where it begins most often: name of the step, class of the task failure, or workflow type';
COMMENT ON COLUMN mart.failure_groups.n_failures IS 'Times that it happened';
COMMENT ON COLUMN mart.failure_groups.n_runs IS 'Runs in which it happened';
COMMENT ON COLUMN mart.failure_groups.n_workflow_types IS 'Workflow types in which it happened';
COMMENT ON COLUMN mart.failure_groups.n_builds IS 'Versions of the workers in which it happened';
COMMENT ON COLUMN mart.failure_groups.n_workers IS 'Workers on which it happened';
COMMENT ON COLUMN mart.failure_groups.first_seen IS 'First time, UTC';
COMMENT ON COLUMN mart.failure_groups.last_seen IS 'Latest time, UTC';
COMMENT ON COLUMN mart.failure_groups.first_build_id IS 'Version of the workers in which it was first seen';
COMMENT ON COLUMN mart.failure_groups.example_namespace IS 'Namespace of the latest run that has it';
COMMENT ON COLUMN mart.failure_groups.example_workflow_id IS 'Workflow id of the latest run that has it';
COMMENT ON COLUMN mart.failure_groups.example_run_id IS 'Run id of the latest run that has it';

CREATE VIEW mart.failure_spread AS
SELECT fingerprint, workflow_type, build_id, worker_identity, count(*) AS n_failures,
       count(DISTINCT run_id) AS n_runs, min(failed_at) AS first_seen, max(failed_at) AS last_seen
FROM core.settled_failures
WHERE NOT is_fork
GROUP BY fingerprint, workflow_type, build_id, worker_identity;
COMMENT ON VIEW mart.failure_spread IS 'One row per fingerprint, workflow type, version and worker: whether a failure follows a version or a machine; forks are left out';
COMMENT ON COLUMN mart.failure_spread.fingerprint IS 'Fingerprint of the chain';
COMMENT ON COLUMN mart.failure_spread.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.failure_spread.build_id IS 'Build id of the worker that ran the workflow';
COMMENT ON COLUMN mart.failure_spread.worker_identity IS 'Worker that ran the attempt or workflow task; NULL where it is not known';
COMMENT ON COLUMN mart.failure_spread.n_failures IS 'Times that it happened';
COMMENT ON COLUMN mart.failure_spread.n_runs IS 'Runs';
COMMENT ON COLUMN mart.failure_spread.first_seen IS 'When first, UTC';
COMMENT ON COLUMN mart.failure_spread.last_seen IS 'When last, UTC';

CREATE MACRO mart.top_failures(since := NULL, n := 20) AS TABLE
SELECT fingerprint, max(type) AS failure_type, arg_max(message, failed_at) AS example_message,
       count(*) AS n_failures, count(DISTINCT run_id) AS n_runs, min(failed_at) AS first_seen,
       max(failed_at) AS last_seen, arg_max(workflow_id, failed_at) AS example_workflow_id,
       arg_max(run_id, failed_at) AS example_run_id
FROM core.settled_failures
WHERE NOT is_fork AND (since IS NULL OR failed_at >= since::TIMESTAMP)
GROUP BY fingerprint
ORDER BY n_failures DESC, last_seen DESC NULLS LAST, fingerprint
LIMIT n;
COMMENT ON MACRO TABLE mart.top_failures IS 'The n most frequent failures from since on (UTC; NULL: of all time); forks are left out';

CREATE VIEW mart.workflow_task_failures AS
SELECT t.namespace, t.workflow_id, t.run_id, r.workflow_type, f.is_fork, t.seq,
       t.closed_at AS failed_at, t.attempt, t.outcome, t.cause, t.failure_kind, t.failure_type,
       t.failure_message, t.failure_fingerprint, t.identity AS worker_identity,
       coalesce(t.build_id, r.build_id) AS build_id, r.is_stuck
FROM core.workflow_tasks t
JOIN core.runs r USING (namespace, workflow_id, run_id)
JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
WHERE t.outcome IN ('failed', 'timed_out') AND coalesce(t.failure_kind, '') != 'reset';
COMMENT ON VIEW mart.workflow_task_failures IS 'One row per workflow task that failed or timed out, resets left out';
COMMENT ON COLUMN mart.workflow_task_failures.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.workflow_task_failures.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.workflow_task_failures.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.workflow_task_failures.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.workflow_task_failures.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.workflow_task_failures.seq IS 'Place among the workflow tasks of the run, from 1';
COMMENT ON COLUMN mart.workflow_task_failures.failed_at IS 'When, UTC';
COMMENT ON COLUMN mart.workflow_task_failures.attempt IS '1 for the first';
COMMENT ON COLUMN mart.workflow_task_failures.outcome IS 'failed or timed_out';
COMMENT ON COLUMN mart.workflow_task_failures.cause IS 'Cause in Temporals words, without prefix';
COMMENT ON COLUMN mart.workflow_task_failures.failure_kind IS 'nondeterminism, deadlock, payload_size, sandbox, unregistered, user_exception, reset or server';
COMMENT ON COLUMN mart.workflow_task_failures.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN mart.workflow_task_failures.failure_message IS 'Message of the root cause';
COMMENT ON COLUMN mart.workflow_task_failures.failure_fingerprint IS 'Fingerprint of the failure: the same for failures that differ in ids and numbers only';
COMMENT ON COLUMN mart.workflow_task_failures.worker_identity IS 'Worker that ran it';
COMMENT ON COLUMN mart.workflow_task_failures.build_id IS 'Build id of the worker';
COMMENT ON COLUMN mart.workflow_task_failures.is_stuck IS 'Open, and its workflow task fails again and again';

CREATE VIEW mart.stuck_runs AS
WITH tasks AS (
    SELECT t.namespace, t.workflow_id, t.run_id, t.seq, t.outcome, t.closed_at, t.cause,
           t.failure_kind, t.failure_type, t.failure_message, t.failure_fingerprint,
           max(CASE WHEN t.outcome = 'completed' THEN t.seq ELSE 0 END) OVER (
               PARTITION BY t.namespace, t.workflow_id, t.run_id) AS last_good
    FROM core.workflow_tasks t
    JOIN core.runs r USING (namespace, workflow_id, run_id)
    WHERE r.is_stuck
)
SELECT r.namespace, r.workflow_id, r.run_id, r.workflow_type, f.is_fork,
       r.failed_task_streak AS n_failed_tasks, t.failed_since, t.cause, t.failure_kind,
       t.failure_type, t.failure_message, t.failure_fingerprint, r.last_event_at
FROM core.runs r
JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
JOIN (
    SELECT namespace, workflow_id, run_id, min(closed_at) AS failed_since,
           arg_max(cause, seq) AS cause, arg_max(failure_kind, seq) AS failure_kind,
           arg_max(failure_type, seq) AS failure_type,
           arg_max(failure_message, seq) AS failure_message,
           arg_max(failure_fingerprint, seq) AS failure_fingerprint
    FROM tasks
    WHERE outcome IN ('failed', 'timed_out') AND seq > last_good
    GROUP BY namespace, workflow_id, run_id
) t USING (namespace, workflow_id, run_id)
WHERE r.is_stuck;
COMMENT ON VIEW mart.stuck_runs IS 'One row per open run whose workflow task fails again and again';
COMMENT ON COLUMN mart.stuck_runs.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.stuck_runs.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.stuck_runs.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.stuck_runs.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.stuck_runs.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.stuck_runs.n_failed_tasks IS 'Failed workflow tasks since the last one that completed, as far as the history shows';
COMMENT ON COLUMN mart.stuck_runs.failed_since IS 'When the first of them failed, UTC';
COMMENT ON COLUMN mart.stuck_runs.cause IS 'Temporal''s cause of the last failure, without prefix';
COMMENT ON COLUMN mart.stuck_runs.failure_kind IS 'Class of the last failure: nondeterminism, deadlock, payload_size, sandbox, unregistered, user_exception or server';
COMMENT ON COLUMN mart.stuck_runs.failure_type IS 'Type of the last failure''s root cause';
COMMENT ON COLUMN mart.stuck_runs.failure_message IS 'Message of the last failure''s root cause';
COMMENT ON COLUMN mart.stuck_runs.failure_fingerprint IS 'Fingerprint of the last failure';
COMMENT ON COLUMN mart.stuck_runs.last_event_at IS 'Time of the last event read, UTC';
