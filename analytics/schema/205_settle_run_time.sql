-- A sweep over the edges of all intervals of a run: each instant counts for the strongest part that
-- applies to it, so that two activities side by side do not take twice the time. How many intervals
-- of each part are open is one running number, with twelve bits for each part: part 1 in the highest.
-- One sum for all parts takes a fifth of the time that ten take; a run has at most 2,000 of anything
-- open at once.
INSERT INTO core.run_time BY NAME
WITH runs AS (
    SELECT namespace, workflow_id, run_id, row_number() OVER () AS run, started_at,
           CASE WHEN is_closed THEN closed_at ELSE last_event_at END AS ended_at
    FROM core.runs SEMI JOIN settling USING (workflow_id, run_id)
), steps AS (
    SELECT s.*, r.run, r.ended_at, r.started_at AS run_started_at,
           coalesce(s.closed_at, r.ended_at) AS until, coalesce(s.started_at, until) AS at_work,
           s.kind IN ('activity', 'local_activity', 'nexus_operation') AS is_executing
    FROM core.settled_steps s JOIN runs r USING (namespace, workflow_id, run_id)
), tries AS (
    SELECT s.run, step_id, a.outcome, a.started_at, a.ended_at, s.at_work,
           s.scheduled_at, min(a.started_at) OVER step AS first_at
    FROM core.settled_attempts a
    JOIN steps s USING (workflow_id, run_id, step_id)
    WHERE s.is_executing AND s.n_attempts > 1 AND s.attempts_are_exact
    WINDOW step AS (PARTITION BY s.run, step_id)
), intervals AS (
    SELECT run, at_work AS a, until AS b, 1 AS part FROM steps WHERE is_executing
    UNION ALL
    SELECT run, scheduled_at, until, 2 FROM steps WHERE kind = 'child_workflow'
    UNION ALL
    SELECT run, started_at, least(ended_at, at_work), 3
    FROM tries WHERE outcome IN ('failed', 'timed_out')
    UNION ALL
    SELECT DISTINCT run, first_at, at_work, 4 FROM tries
    UNION ALL
    SELECT DISTINCT run, scheduled_at, least(first_at, at_work), 6 FROM tries
    UNION ALL
    SELECT run, scheduled_at, at_work, CASE WHEN n_attempts > 1 THEN 5 ELSE 6 END
    FROM steps WHERE is_executing AND NOT (n_attempts > 1 AND attempts_are_exact)
    UNION ALL
    SELECT r.run, t.scheduled_at, coalesce(t.started_at, t.closed_at, r.ended_at), 6
    FROM core.workflow_tasks t JOIN runs r USING (namespace, workflow_id, run_id)
    UNION ALL
    SELECT r.run, coalesce(t.started_at, t.closed_at, r.ended_at), coalesce(t.closed_at, r.ended_at), 7
    FROM core.workflow_tasks t JOIN runs r USING (namespace, workflow_id, run_id)
    UNION ALL
    SELECT r.run, w.opened_at, coalesce(w.closed_at, r.ended_at),
           CASE WHEN w.is_human THEN 8 WHEN w.woken_by = 'timer' THEN 10 ELSE 9 END
    FROM core.waits w JOIN runs r USING (namespace, workflow_id, run_id)
    UNION ALL
    SELECT run, scheduled_at, until, 10 FROM steps WHERE kind = 'timer'
), clipped AS (
    SELECT run, greatest(i.a, r.started_at) AS a, least(i.b, r.ended_at) AS b,
           1::HUGEINT << (12 * (10 - i.part)) AS unit
    FROM intervals i JOIN runs r USING (run)
    WHERE greatest(i.a, r.started_at) < least(i.b, r.ended_at)
), edges AS (
    SELECT run, a AS moment, unit FROM clipped
    UNION ALL
    SELECT run, b, -unit FROM clipped
), pieces AS (
    -- Edges of one moment may come in any order: between them no time passes.
    SELECT run, (epoch_us(lead(moment) OVER so_far) - epoch_us(moment)) / 1e6 AS s,
           sum(unit) OVER so_far AS units
    FROM edges
    WINDOW so_far AS (PARTITION BY run ORDER BY moment ROWS UNBOUNDED PRECEDING)
), explained AS (
    SELECT run, s,
           CASE WHEN units >= 1::HUGEINT << 108 THEN 1 WHEN units >= 1::HUGEINT << 96 THEN 2
                WHEN units >= 1::HUGEINT << 84 THEN 3 WHEN units >= 1::HUGEINT << 72 THEN 4
                WHEN units >= 1::HUGEINT << 60 THEN 5 WHEN units >= 1::HUGEINT << 48 THEN 6
                WHEN units >= 1::HUGEINT << 36 THEN 7 WHEN units >= 1::HUGEINT << 24 THEN 8
                WHEN units >= 1::HUGEINT << 12 THEN 9 ELSE 10 END AS part
    FROM pieces
    WHERE s > 0 AND units > 0
), parts AS (
    SELECT run,
           round(sum(s) FILTER (part = 1), 9) AS activity_s, round(sum(s) FILTER (part = 2), 9) AS child_s,
           round(sum(s) FILTER (part = 3), 9) AS failed_attempt_s, round(sum(s) FILTER (part = 4), 9) AS backoff_s,
           round(sum(s) FILTER (part = 5), 9) AS retry_s, round(sum(s) FILTER (part = 6), 9) AS queue_s,
           round(sum(s) FILTER (part = 7), 9) AS workflow_s, round(sum(s) FILTER (part = 8), 9) AS human_wait_s,
           round(sum(s) FILTER (part = 9), 9) AS wait_s, round(sum(s) FILTER (part = 10), 9) AS timer_s,
           round(sum(s), 9) AS explained_s
    FROM explained
    GROUP BY run
)
SELECT r.namespace, workflow_id, run_id,
       coalesce(activity_s, 0) AS activity_s, coalesce(child_s, 0) AS child_s,
       coalesce(failed_attempt_s, 0) AS failed_attempt_s, coalesce(backoff_s, 0) AS backoff_s,
       coalesce(retry_s, 0) AS retry_s, coalesce(queue_s, 0) AS queue_s,
       coalesce(workflow_s, 0) AS workflow_s, coalesce(human_wait_s, 0) AS human_wait_s,
       coalesce(wait_s, 0) AS wait_s, coalesce(timer_s, 0) AS timer_s,
       coalesce(greatest((epoch_us(r.ended_at) - epoch_us(r.started_at)) / 1e6, 0), 0) AS total_s,
       greatest(total_s - coalesce(explained_s, 0), 0) AS other_s
FROM runs r LEFT JOIN parts p USING (run);
