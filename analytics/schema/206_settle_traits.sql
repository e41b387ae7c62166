-- Runs are counted, not occurrences: a step that one run repeats a thousand times is one trait.
INSERT INTO core.settled_traits BY NAME
WITH runs AS (
    SELECT * FROM core.runs SEMI JOIN settling USING (workflow_id, run_id)
), steps AS (
    SELECT * FROM core.settled_steps SEMI JOIN settling USING (workflow_id, run_id)
)
SELECT DISTINCT namespace, workflow_id, run_id, kind, name, detail FROM (
    SELECT namespace, workflow_id, run_id, 'status' AS kind,
           CASE WHEN is_stuck THEN 'STUCK' ELSE status END AS name, NULL AS detail
    FROM runs
    UNION ALL
    SELECT namespace, workflow_id, run_id, 'build', build_id, NULL FROM runs
    WHERE build_id IS NOT NULL
    UNION ALL
    SELECT namespace, workflow_id, run_id, 'patch', patch_id, NULL
    FROM core.patches SEMI JOIN settling USING (workflow_id, run_id)
    UNION ALL
    SELECT namespace, workflow_id, run_id, 'step', name, kind FROM steps
    -- Timers without a summary are named by ids and numbers, which tell nothing.
    WHERE kind != 'timer' OR NOT regexp_matches(name, '^[0-9a-f-]*$')
    UNION ALL
    SELECT namespace, workflow_id, run_id, 'retried step', name, kind FROM steps
    WHERE n_attempts > 1
    UNION ALL
    SELECT namespace, workflow_id, run_id, 'failed step', name, kind FROM steps
    WHERE outcome IN ('failed', 'timed_out')
    UNION ALL
    SELECT namespace, workflow_id, run_id, 'failure', fingerprint, NULL
    FROM core.settled_failures SEMI JOIN settling USING (workflow_id, run_id)
    UNION ALL
    SELECT namespace, workflow_id, run_id, 'model', model, NULL
    FROM core.settled_llm_calls SEMI JOIN settling USING (workflow_id, run_id)
    WHERE model IS NOT NULL
    UNION ALL
    SELECT coalesce(r.namespace, b.namespace), workflow_id, run_id, 'branch',
           concat(b.function, ': ', coalesce(b.decision, b.condition)), b.outcome
    FROM core.branches b SEMI JOIN settling USING (workflow_id, run_id)
    LEFT JOIN runs r USING (workflow_id, run_id)
)
WHERE namespace IS NOT NULL;
