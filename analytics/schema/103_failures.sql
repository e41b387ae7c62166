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
WITH failures AS (
    SELECT fingerprint, max(type) AS failure_type, count(*) AS n_failures,
           count(DISTINCT run_id) AS n_runs, count(DISTINCT workflow_type) AS n_workflow_types,
           count(DISTINCT build_id) AS n_builds, count(DISTINCT worker_identity) AS n_workers,
           min(failed_at) AS first_seen, max(failed_at) AS last_seen
    FROM core.settled_failures
    WHERE NOT is_fork
    GROUP BY fingerprint
), latest AS (
    SELECT f.fingerprint, f.message, f.namespace, f.workflow_id, f.run_id,
           row_number() OVER (
               PARTITION BY f.fingerprint
               ORDER BY f.run_id DESC, f.owner_kind DESC, coalesce(f.owner_id, '') DESC,
                        coalesce(f.attempt, 0) DESC) AS place
    FROM core.settled_failures f
    JOIN failures s ON s.fingerprint = f.fingerprint AND s.last_seen = f.failed_at
    WHERE NOT f.is_fork
), owners AS (
    SELECT fingerprint, owner_name,
           row_number() OVER (PARTITION BY fingerprint ORDER BY n DESC, owner_name) AS place
    FROM (
        SELECT fingerprint, owner_name, count(*) AS n
        FROM core.settled_failures
        WHERE NOT is_fork AND owner_name IS NOT NULL
        GROUP BY fingerprint, owner_name
    ) o
), builds AS (
    SELECT fingerprint, build_id,
           row_number() OVER (PARTITION BY fingerprint ORDER BY since, build_id) AS place
    FROM (
        SELECT fingerprint, build_id, min(failed_at) AS since
        FROM core.settled_failures
        WHERE NOT is_fork AND build_id IS NOT NULL
        GROUP BY fingerprint, build_id
    ) b
    WHERE since IS NOT NULL
)
SELECT s.fingerprint, s.failure_type, l.message AS example_message, o.owner_name AS where_name,
       s.n_failures, s.n_runs, s.n_workflow_types, s.n_builds, s.n_workers, s.first_seen,
       s.last_seen, b.build_id AS first_build_id, l.namespace AS example_namespace,
       l.workflow_id AS example_workflow_id, l.run_id AS example_run_id
FROM failures s
LEFT JOIN latest l ON l.fingerprint = s.fingerprint AND l.place = 1
LEFT JOIN owners o ON o.fingerprint = s.fingerprint AND o.place = 1
LEFT JOIN builds b ON b.fingerprint = s.fingerprint AND b.place = 1;
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
SELECT fingerprint, failure_type, latest.message AS example_message, n_failures, n_runs, first_seen,
       last_seen, latest.workflow_id AS example_workflow_id, latest.run_id AS example_run_id
FROM (
    SELECT fingerprint, max(type) AS failure_type, count(*) AS n_failures,
           count(DISTINCT run_id) AS n_runs, min(failed_at) AS first_seen,
           max(failed_at) AS last_seen,
           arg_max({'message': message, 'workflow_id': workflow_id, 'run_id': run_id},
                   (failed_at, run_id, owner_kind, coalesce(owner_id, ''), coalesce(attempt, 0)))
               FILTER (failed_at IS NOT NULL) AS latest
    FROM core.settled_failures
    WHERE NOT is_fork AND (since IS NULL OR failed_at >= since::TIMESTAMP)
    GROUP BY fingerprint
)
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
WITH good AS (
    SELECT t.namespace, t.workflow_id, t.run_id,
           max(CASE WHEN t.outcome = 'completed' THEN t.seq ELSE 0 END) AS last_good
    FROM core.workflow_tasks t
    JOIN core.runs r USING (namespace, workflow_id, run_id)
    WHERE r.is_stuck
    GROUP BY t.namespace, t.workflow_id, t.run_id
), failed AS (
    SELECT t.namespace, t.workflow_id, t.run_id, t.cause, t.failure_kind, t.failure_type,
           t.failure_message, t.failure_fingerprint,
           min(t.closed_at) OVER (PARTITION BY t.namespace, t.workflow_id, t.run_id) AS failed_since,
           -- The last that says why: a task that timed out does not.
           row_number() OVER (
               PARTITION BY t.namespace, t.workflow_id, t.run_id
               ORDER BY CASE WHEN coalesce(t.failure_type, t.cause) IS NULL THEN 1 ELSE 0 END,
                        t.seq DESC) AS place
    FROM core.workflow_tasks t
    JOIN good g USING (namespace, workflow_id, run_id)
    WHERE t.outcome IN ('failed', 'timed_out') AND t.seq > g.last_good
)
SELECT r.namespace, r.workflow_id, r.run_id, r.workflow_type, f.is_fork,
       r.failed_task_streak AS n_failed_tasks, t.failed_since, t.cause, t.failure_kind,
       t.failure_type, t.failure_message, t.failure_fingerprint, r.last_event_at
FROM core.runs r
JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
JOIN failed t USING (namespace, workflow_id, run_id)
WHERE r.is_stuck AND t.place = 1;
COMMENT ON VIEW mart.stuck_runs IS 'One row per open run whose workflow task fails again and again';
COMMENT ON COLUMN mart.stuck_runs.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.stuck_runs.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.stuck_runs.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.stuck_runs.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.stuck_runs.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.stuck_runs.n_failed_tasks IS 'Failed workflow tasks since the last one that completed, as far as the history shows';
COMMENT ON COLUMN mart.stuck_runs.failed_since IS 'When the first of them failed, UTC';
COMMENT ON COLUMN mart.stuck_runs.cause IS 'Temporal''s cause of the last failure that has one, without prefix; what follows is of the same failure';
COMMENT ON COLUMN mart.stuck_runs.failure_kind IS 'Class of the last failure: nondeterminism, deadlock, payload_size, sandbox, unregistered, user_exception or server';
COMMENT ON COLUMN mart.stuck_runs.failure_type IS 'Type of the last failure''s root cause';
COMMENT ON COLUMN mart.stuck_runs.failure_message IS 'Message of the last failure''s root cause';
COMMENT ON COLUMN mart.stuck_runs.failure_fingerprint IS 'Fingerprint of the last failure';
COMMENT ON COLUMN mart.stuck_runs.last_event_at IS 'Time of the last event read, UTC';
