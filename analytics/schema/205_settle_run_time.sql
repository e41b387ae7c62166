-- A sweep over the edges of all intervals of a run: each instant counts for the strongest part that
-- applies to it, so that two activities side by side do not take twice the time.
INSERT INTO core.run_time BY NAME
WITH runs AS (
    SELECT namespace, workflow_id, run_id, started_at,
           CASE WHEN is_closed THEN closed_at ELSE last_event_at END AS ended_at
    FROM core.runs SEMI JOIN settling USING (workflow_id, run_id)
), steps AS (
    SELECT s.*, r.ended_at, r.started_at AS run_started_at,
           coalesce(s.closed_at, r.ended_at) AS until, coalesce(s.started_at, until) AS at_work,
           s.kind IN ('activity', 'local_activity', 'nexus_operation') AS is_executing
    FROM core.settled_steps s JOIN runs r USING (namespace, workflow_id, run_id)
), tries AS (
    SELECT s.namespace, workflow_id, run_id, step_id, a.attempt, a.started_at, a.ended_at, s.at_work,
           s.scheduled_at, min(a.started_at) OVER step AS first_at
    FROM core.settled_attempts a
    JOIN steps s USING (workflow_id, run_id, step_id)
    WHERE s.is_executing AND s.n_attempts > 1 AND s.attempts_are_exact
    WINDOW step AS (PARTITION BY workflow_id, run_id, step_id)
), intervals AS (
    SELECT namespace, workflow_id, run_id, at_work AS a, until AS b, 1 AS part
    FROM steps WHERE is_executing
    UNION ALL
    SELECT namespace, workflow_id, run_id, scheduled_at, until, 2
    FROM steps WHERE kind = 'child_workflow'
    UNION ALL
    SELECT namespace, workflow_id, run_id, started_at, least(ended_at, at_work), 3 FROM tries
    UNION ALL
    SELECT DISTINCT namespace, workflow_id, run_id, first_at, at_work, 4 FROM tries
    UNION ALL
    SELECT DISTINCT namespace, workflow_id, run_id, scheduled_at, least(first_at, at_work), 6
    FROM tries
    UNION ALL
    SELECT namespace, workflow_id, run_id, scheduled_at, at_work, CASE WHEN n_attempts > 1 THEN 5 ELSE 6 END
    FROM steps WHERE is_executing AND NOT (n_attempts > 1 AND attempts_are_exact)
    UNION ALL
    SELECT t.namespace, t.workflow_id, t.run_id, t.scheduled_at,
           coalesce(t.started_at, t.closed_at, r.ended_at), 6
    FROM core.workflow_tasks t JOIN runs r USING (namespace, workflow_id, run_id)
    UNION ALL
    SELECT t.namespace, t.workflow_id, t.run_id, coalesce(t.started_at, t.closed_at, r.ended_at),
           coalesce(t.closed_at, r.ended_at), 7
    FROM core.workflow_tasks t JOIN runs r USING (namespace, workflow_id, run_id)
    UNION ALL
    SELECT w.namespace, w.workflow_id, w.run_id, w.opened_at, coalesce(w.closed_at, r.ended_at),
           CASE WHEN w.is_human THEN 8 WHEN w.woken_by = 'timer' THEN 10 ELSE 9 END
    FROM core.waits w JOIN runs r USING (namespace, workflow_id, run_id)
    UNION ALL
    SELECT namespace, workflow_id, run_id, scheduled_at, until, 10
    FROM steps WHERE kind = 'timer'
), clipped AS (
    SELECT workflow_id, run_id, namespace, greatest(i.a, r.started_at) AS a,
           least(i.b, r.ended_at) AS b, i.part
    FROM intervals i JOIN runs r USING (namespace, workflow_id, run_id)
    WHERE greatest(i.a, r.started_at) < least(i.b, r.ended_at)
), edges AS (
    SELECT namespace, workflow_id, run_id, moment,
           sum(n) FILTER (part = 1) AS p1, sum(n) FILTER (part = 2) AS p2,
           sum(n) FILTER (part = 3) AS p3, sum(n) FILTER (part = 4) AS p4,
           sum(n) FILTER (part = 5) AS p5, sum(n) FILTER (part = 6) AS p6,
           sum(n) FILTER (part = 7) AS p7, sum(n) FILTER (part = 8) AS p8,
           sum(n) FILTER (part = 9) AS p9, sum(n) FILTER (part = 10) AS p10
    FROM (
        SELECT namespace, workflow_id, run_id, a AS moment, part, 1 AS n FROM clipped
        UNION ALL SELECT namespace, workflow_id, run_id, b, part, -1 FROM clipped
    )
    GROUP BY ALL
), pieces AS (
    SELECT namespace, workflow_id, run_id,
           (epoch_us(lead(moment) OVER run) - epoch_us(moment)) / 1e6 AS s,
           CASE WHEN sum(p1) OVER run > 0 THEN 1 WHEN sum(p2) OVER run > 0 THEN 2
                WHEN sum(p3) OVER run > 0 THEN 3 WHEN sum(p4) OVER run > 0 THEN 4
                WHEN sum(p5) OVER run > 0 THEN 5 WHEN sum(p6) OVER run > 0 THEN 6
                WHEN sum(p7) OVER run > 0 THEN 7 WHEN sum(p8) OVER run > 0 THEN 8
                WHEN sum(p9) OVER run > 0 THEN 9 WHEN sum(p10) OVER run > 0 THEN 10 END AS part
    FROM edges
    WINDOW run AS (PARTITION BY namespace, workflow_id, run_id ORDER BY moment)
), parts AS (
    SELECT namespace, workflow_id, run_id,
           sum(s) FILTER (part = 1) AS activity_s, sum(s) FILTER (part = 2) AS child_s,
           sum(s) FILTER (part = 3) AS failed_attempt_s, sum(s) FILTER (part = 4) AS backoff_s,
           sum(s) FILTER (part = 5) AS retry_s, sum(s) FILTER (part = 6) AS queue_s,
           sum(s) FILTER (part = 7) AS workflow_s, sum(s) FILTER (part = 8) AS human_wait_s,
           sum(s) FILTER (part = 9) AS wait_s, sum(s) FILTER (part = 10) AS timer_s,
           sum(s) FILTER (part IS NOT NULL) AS explained_s
    FROM pieces
    GROUP BY ALL
)
SELECT r.namespace, workflow_id, run_id,
       coalesce(activity_s, 0) AS activity_s, coalesce(child_s, 0) AS child_s,
       coalesce(failed_attempt_s, 0) AS failed_attempt_s, coalesce(backoff_s, 0) AS backoff_s,
       coalesce(retry_s, 0) AS retry_s, coalesce(queue_s, 0) AS queue_s,
       coalesce(workflow_s, 0) AS workflow_s, coalesce(human_wait_s, 0) AS human_wait_s,
       coalesce(wait_s, 0) AS wait_s, coalesce(timer_s, 0) AS timer_s,
       coalesce(greatest((epoch_us(r.ended_at) - epoch_us(r.started_at)) / 1e6, 0), 0) AS total_s,
       greatest(total_s - coalesce(explained_s, 0), 0) AS other_s
FROM runs r LEFT JOIN parts p USING (namespace, workflow_id, run_id);
