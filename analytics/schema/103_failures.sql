-- What failed, each fault counted where it began.
CREATE VIEW mart.failure_occurrences AS
WITH roots AS (
    SELECT * FROM core.failures WHERE is_root AND NOT benign
), attempt_failures AS (
    SELECT a.namespace, a.workflow_id, a.run_id, 'attempt' AS owner_kind, a.step_id AS owner_id,
           a.step_name AS owner_name, coalesce(a.ended_at, s.started_at, s.closed_at) AS failed_at,
           a.failure_type AS type, a.failure_message AS message,
           a.failure_fingerprint AS fingerprint
    FROM mart.attempts a
    LEFT JOIN core.steps s ON s.namespace = a.namespace AND s.workflow_id = a.workflow_id
                          AND s.run_id = a.run_id AND s.step_id = a.step_id
    WHERE a.outcome IN ('failed', 'timed_out') AND a.failure_fingerprint IS NOT NULL
      AND NOT EXISTS (
          SELECT 1 FROM core.failures f
          WHERE f.benign AND f.is_root AND f.run_id = a.run_id AND f.workflow_id = a.workflow_id
            AND f.fingerprint = a.failure_fingerprint)
), step_failures AS (
    SELECT f.namespace, f.workflow_id, f.run_id, 'step' AS owner_kind, f.owner_id,
           s.name AS owner_name, f.failed_at, coalesce(f.type, f.kind) AS type, f.message,
           f.fingerprint, s.kind AS step_kind, s.child_run_id
    FROM roots f
    JOIN core.steps s ON s.namespace = f.namespace AND s.workflow_id = f.workflow_id
                     AND s.run_id = f.run_id AND s.step_id = f.owner_id
    WHERE f.owner_kind = 'step' AND s.outcome IN ('failed', 'timed_out')
), task_failures AS (
    SELECT f.namespace, f.workflow_id, f.run_id, 'workflow_task' AS owner_kind, f.owner_id,
           t.failure_kind AS owner_name, f.failed_at, coalesce(f.type, f.kind) AS type, f.message,
           f.fingerprint
    FROM roots f
    JOIN core.workflow_tasks t ON t.namespace = f.namespace AND t.workflow_id = f.workflow_id
                              AND t.run_id = f.run_id AND t.seq = f.owner_id::INTEGER
    WHERE f.owner_kind = 'workflow_task' AND t.failure_kind IS DISTINCT FROM 'reset'
), own_failures AS (
    SELECT f.namespace, f.workflow_id, f.run_id, f.owner_kind, f.owner_id, r.workflow_type
               AS owner_name, f.failed_at, coalesce(f.type, f.kind) AS type, f.message, f.fingerprint
    FROM roots f
    JOIN core.runs r USING (namespace, workflow_id, run_id)
    WHERE f.owner_kind IN ('run', 'update')
)
SELECT * FROM attempt_failures
UNION ALL BY NAME
SELECT * EXCLUDE (step_kind, child_run_id) FROM step_failures s
WHERE NOT EXISTS (
    SELECT 1 FROM attempt_failures a WHERE a.workflow_id = s.workflow_id AND a.run_id = s.run_id
       AND a.owner_id = s.owner_id AND a.fingerprint = s.fingerprint)
  AND NOT (s.step_kind = 'child_workflow'
           AND EXISTS (SELECT 1 FROM core.runs r WHERE r.run_id = s.child_run_id))
UNION ALL BY NAME
SELECT * FROM task_failures
UNION ALL BY NAME
SELECT * FROM own_failures o
WHERE NOT EXISTS (
    SELECT 1 FROM (
        SELECT workflow_id, run_id, fingerprint FROM attempt_failures
        UNION ALL SELECT workflow_id, run_id, fingerprint FROM step_failures
        UNION ALL SELECT workflow_id, run_id, fingerprint FROM task_failures
    ) e
    WHERE e.workflow_id = o.workflow_id AND e.run_id = o.run_id AND e.fingerprint = o.fingerprint);
COMMENT ON VIEW mart.failure_occurrences IS 'One row per failure at the place where it began; a failure that a step or run only passed on is not counted again';
COMMENT ON COLUMN mart.failure_occurrences.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.failure_occurrences.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.failure_occurrences.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.failure_occurrences.owner_kind IS 'Where it began: attempt, step, workflow_task, update or run';
COMMENT ON COLUMN mart.failure_occurrences.owner_id IS 'Step id, number of the workflow task, or update id; NULL for the run';
COMMENT ON COLUMN mart.failure_occurrences.owner_name IS 'Name of the step, class of the task failure, or workflow type';
COMMENT ON COLUMN mart.failure_occurrences.failed_at IS 'When, UTC; the start of the next try where only the failure is known';
COMMENT ON COLUMN mart.failure_occurrences.type IS 'Exception class, or kind of the failure';
COMMENT ON COLUMN mart.failure_occurrences.message IS 'What the failure says';
COMMENT ON COLUMN mart.failure_occurrences.fingerprint IS 'Fingerprint of the failure';

CREATE VIEW mart.failure_groups AS
SELECT fingerprint, max(type) AS failure_type, arg_max(message, failed_at) AS example_message,
       mode(owner_name) AS where_name, count(*) AS n_failures,
       count(DISTINCT (workflow_id, run_id)) AS n_runs,
       min(failed_at) AS first_seen, max(failed_at) AS last_seen,
       arg_max(namespace, failed_at) AS example_namespace,
       arg_max(workflow_id, failed_at) AS example_workflow_id,
       arg_max(run_id, failed_at) AS example_run_id
FROM mart.failure_occurrences
GROUP BY fingerprint;
COMMENT ON VIEW mart.failure_groups IS 'One row per fingerprint: what fails, how often, in how many runs';
COMMENT ON COLUMN mart.failure_groups.fingerprint IS 'Fingerprint of the failure';
COMMENT ON COLUMN mart.failure_groups.failure_type IS 'Type of the root cause, such as an exception class';
COMMENT ON COLUMN mart.failure_groups.example_message IS 'Message of the latest one';
COMMENT ON COLUMN mart.failure_groups.where_name IS 'Where it begins most often: name of the step, class of the task failure, or workflow type';
COMMENT ON COLUMN mart.failure_groups.n_failures IS 'Times that it happened';
COMMENT ON COLUMN mart.failure_groups.n_runs IS 'Runs in which it happened';
COMMENT ON COLUMN mart.failure_groups.first_seen IS 'First time, UTC';
COMMENT ON COLUMN mart.failure_groups.last_seen IS 'Latest time, UTC';
COMMENT ON COLUMN mart.failure_groups.example_namespace IS 'Namespace of the latest run that has it';
COMMENT ON COLUMN mart.failure_groups.example_workflow_id IS 'Workflow id of the latest run that has it';
COMMENT ON COLUMN mart.failure_groups.example_run_id IS 'Run id of the latest run that has it';

CREATE VIEW mart.stuck_runs AS
SELECT r.namespace, r.workflow_id, r.run_id, r.workflow_type,
       r.failed_task_streak AS n_failed_tasks,
       t.failed_at AS failed_since, t.cause, t.failure_kind, t.failure_type, t.failure_message,
       t.failure_fingerprint, r.last_event_at
FROM core.runs r
JOIN (
    SELECT namespace, workflow_id, run_id,
           min(closed_at) AS failed_at,
           arg_max(cause, seq) AS cause, arg_max(failure_kind, seq) AS failure_kind,
           arg_max(failure_type, seq) AS failure_type,
           arg_max(failure_message, seq) AS failure_message,
           arg_max(failure_fingerprint, seq) AS failure_fingerprint
    FROM core.workflow_tasks w
    WHERE outcome IN ('failed', 'timed_out') AND seq > coalesce((
        SELECT max(c.seq) FROM core.workflow_tasks c
        WHERE c.namespace = w.namespace AND c.workflow_id = w.workflow_id
          AND c.run_id = w.run_id AND c.outcome = 'completed'), 0)
    GROUP BY ALL
) t USING (namespace, workflow_id, run_id)
WHERE r.is_stuck;
COMMENT ON VIEW mart.stuck_runs IS 'One row per run that looks alive and never moves: its workflow task fails again and again';
COMMENT ON COLUMN mart.stuck_runs.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.stuck_runs.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.stuck_runs.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.stuck_runs.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.stuck_runs.n_failed_tasks IS 'Failed workflow tasks since the last one that completed, as far as the history shows';
COMMENT ON COLUMN mart.stuck_runs.failed_since IS 'When the first of them failed, UTC';
COMMENT ON COLUMN mart.stuck_runs.cause IS 'Temporal''s cause of the last failure, without prefix';
COMMENT ON COLUMN mart.stuck_runs.failure_kind IS 'Class of the last failure: nondeterminism, deadlock, payload_size, sandbox, unregistered, user_exception or server';
COMMENT ON COLUMN mart.stuck_runs.failure_type IS 'Type of the last failure''s root cause';
COMMENT ON COLUMN mart.stuck_runs.failure_message IS 'Message of the last failure''s root cause';
COMMENT ON COLUMN mart.stuck_runs.failure_fingerprint IS 'Fingerprint of the last failure';
COMMENT ON COLUMN mart.stuck_runs.last_event_at IS 'Time of the last event read, UTC';
