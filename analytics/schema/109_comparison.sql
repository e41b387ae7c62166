-- What tells runs apart, and what a reset of one would do again.
CREATE VIEW mart.run_traits AS
SELECT t.namespace, t.workflow_id, t.run_id, f.is_fork, t.kind, t.name,
       CASE WHEN t.kind = 'failure' THEN e.example ELSE t.detail END AS detail
FROM core.settled_traits t
JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
LEFT JOIN (
    SELECT fingerprint, arg_min(concat_ws(': ', type, message), failed_at) AS example
    FROM core.settled_failures
    GROUP BY fingerprint
) e ON e.fingerprint = t.name AND t.kind = 'failure';
COMMENT ON VIEW mart.run_traits IS 'What tells a run apart, each once: its status, build, patches, steps, retried and failed steps, failures, models and branches';
COMMENT ON COLUMN mart.run_traits.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.run_traits.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.run_traits.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.run_traits.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.run_traits.kind IS 'status, build, patch, step, retried step, failed step, failure, model or branch';
COMMENT ON COLUMN mart.run_traits.name IS 'Which: a step''s name, a fingerprint, function and condition of a branch';
COMMENT ON COLUMN mart.run_traits.detail IS 'Of a branch its outcome, of a step its kind, of a failure the first message; NULL for others';

CREATE MACRO mart.compare_sets(left_runs, right_runs) AS TABLE
WITH sides AS (
    SELECT run_id, bool_or(is_left) AS is_left, bool_or(NOT is_left) AS is_right
    FROM (
        SELECT unnest(left_runs) AS run_id, true AS is_left
        UNION ALL
        SELECT unnest(right_runs), false
    )
    GROUP BY run_id
), runs AS (
    SELECT s.* FROM sides s SEMI JOIN core.settled_runs r ON r.run_id = s.run_id
), sizes AS (
    SELECT count(*) FILTER (is_left) AS n_left, count(*) FILTER (is_right) AS n_right FROM runs
), counts AS (
    SELECT t.kind, t.name, t.detail, count(*) FILTER (r.is_left) AS n_left,
           count(*) FILTER (r.is_right) AS n_right
    FROM core.settled_traits t JOIN runs r USING (run_id)
    GROUP BY t.kind, t.name, t.detail
), examples AS (
    SELECT fingerprint, arg_min(concat_ws(': ', type, message), failed_at) AS example
    FROM core.settled_failures
    GROUP BY fingerprint
)
SELECT c.kind, c.name, coalesce(c.detail, e.example) AS detail, c.n_left, c.n_right,
       ref.share(c.n_left, s.n_left) AS left_share, ref.share(c.n_right, s.n_right) AS right_share,
       coalesce(right_share, 0) - coalesce(left_share, 0) AS difference
FROM counts c
CROSS JOIN sizes s
LEFT JOIN examples e ON e.fingerprint = c.name AND c.kind = 'failure'
ORDER BY abs(difference) DESC, c.kind, c.name, detail NULLS LAST;
COMMENT ON MACRO TABLE mart.compare_sets IS 'What the second set of runs has more often, or less often, than the first; both are lists of run ids. retrospan diff adds how likely such a difference is by chance';

CREATE MACRO mart.reset_repeats(of_run, event) AS TABLE
SELECT step_id, seq, kind, name, outcome,
       CASE WHEN scheduled_event_id > event THEN 'again'
            WHEN closed_event_id IS NULL OR closed_event_id > event THEN 'retried' ELSE 'kept' END
           AS fate,
       n_attempts, total_s, n_llm_calls, cost_usd
FROM core.settled_steps
WHERE run_id = of_run
ORDER BY seq;
COMMENT ON MACRO TABLE mart.reset_repeats IS 'What a reset of a run to the event of a workflow task would do with each step. kept: the new run begins with it. retried: it was at work, its answer is lost. again: the code asks for it again, at the cost that it had. retrospan fork tells more, messages included';
