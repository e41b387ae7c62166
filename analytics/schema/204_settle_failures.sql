-- A failure counts where it began: what a step or run only passed on is not counted again.
INSERT INTO core.settled_failures BY NAME
WITH failures AS (
    SELECT * FROM core.failures SEMI JOIN settling USING (workflow_id, run_id) WHERE is_root
), runs AS (
    SELECT * FROM core.runs SEMI JOIN settling USING (workflow_id, run_id)
), steps AS (
    SELECT * FROM core.steps SEMI JOIN settling USING (workflow_id, run_id)
), tasks AS (
    SELECT * FROM core.workflow_tasks SEMI JOIN settling USING (workflow_id, run_id)
    WHERE outcome IN ('failed', 'timed_out')
), attempts AS (
    SELECT * FROM core.settled_attempts SEMI JOIN settling USING (workflow_id, run_id)
    WHERE outcome IN ('failed', 'timed_out') AND failure_fingerprint IS NOT NULL
), roots AS (
    SELECT * FROM failures WHERE NOT benign
), attempt_failures AS (
    SELECT a.namespace, a.workflow_id, a.run_id, 'attempt' AS owner_kind, a.step_id AS owner_id,
           a.step_name AS owner_name, a.attempt,
           coalesce(a.ended_at, s.started_at, s.closed_at) AS failed_at,
           a.failure_type AS type, a.failure_message AS message,
           a.failure_fingerprint AS fingerprint, a.worker_identity, NULL::VARCHAR AS build_id
    FROM attempts a
    LEFT JOIN steps s USING (workflow_id, run_id, step_id)
    WHERE NOT EXISTS (
          SELECT 1 FROM failures f
          WHERE f.benign AND f.run_id = a.run_id AND f.workflow_id = a.workflow_id
            AND f.fingerprint = a.failure_fingerprint)
), step_failures AS (
    SELECT f.namespace, f.workflow_id, f.run_id, 'step' AS owner_kind, f.owner_id,
           s.name AS owner_name, NULL::INTEGER AS attempt, f.failed_at,
           coalesce(f.type, f.kind) AS type, f.message, f.fingerprint,
           NULL::VARCHAR AS worker_identity, NULL::VARCHAR AS build_id, s.kind AS step_kind,
           s.child_run_id
    FROM roots f
    JOIN steps s ON s.namespace = f.namespace AND s.workflow_id = f.workflow_id
                AND s.run_id = f.run_id AND s.step_id = f.owner_id
    WHERE f.owner_kind = 'step' AND s.outcome IN ('failed', 'timed_out')
), task_failures AS (
    SELECT f.namespace, f.workflow_id, f.run_id, 'workflow_task' AS owner_kind, f.owner_id,
           t.failure_kind AS owner_name, t.attempt, f.failed_at, coalesce(f.type, f.kind) AS type,
           f.message, f.fingerprint, t.identity AS worker_identity, t.build_id
    FROM roots f
    JOIN tasks t ON t.namespace = f.namespace AND t.workflow_id = f.workflow_id
                AND t.run_id = f.run_id AND t.seq = TRY_CAST(f.owner_id AS INTEGER)
    WHERE f.owner_kind = 'workflow_task' AND t.failure_kind IS DISTINCT FROM 'reset'
), own_failures AS (
    SELECT f.namespace, f.workflow_id, f.run_id, f.owner_kind, f.owner_id,
           r.workflow_type AS owner_name, NULL::INTEGER AS attempt, f.failed_at,
           coalesce(f.type, f.kind) AS type, f.message, f.fingerprint,
           NULL::VARCHAR AS worker_identity, NULL::VARCHAR AS build_id
    FROM roots f
    JOIN runs r USING (namespace, workflow_id, run_id)
    WHERE f.owner_kind IN ('run', 'update')
), told AS (
    SELECT * FROM attempt_failures
    UNION ALL BY NAME
    SELECT * EXCLUDE (step_kind, child_run_id) FROM step_failures s
    WHERE NOT EXISTS (
        SELECT 1 FROM attempt_failures a
        WHERE a.workflow_id = s.workflow_id AND a.run_id = s.run_id
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
        WHERE e.workflow_id = o.workflow_id AND e.run_id = o.run_id
          AND e.fingerprint = o.fingerprint)
)
SELECT t.* EXCLUDE (build_id), r.workflow_type, coalesce(ref.is_fork(r.memo), false) AS is_fork,
       coalesce(t.build_id, r.build_id) AS build_id
FROM told t
LEFT JOIN runs r USING (workflow_id, run_id);
