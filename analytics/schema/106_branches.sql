-- What workflow code decided: which ways it takes, which it never took, and what a version changed.
CREATE VIEW mart.branch_outcomes AS
SELECT workflow_type, build_id, file, function, line, kind, name, outcome, n, n_runs, first_seen,
       last_seen,
       ref.share(n, sum(n) OVER (
           PARTITION BY workflow_type, build_id, file, function, line, kind, name
       )) AS share
FROM (
    SELECT b.workflow_type, r.build_id, b.file, b.function, b.line, b.kind,
           coalesce(b.decision, b.condition) AS name, b.outcome, count(*) AS n,
           count(DISTINCT b.run_id) AS n_runs, min(b.taken_at) AS first_seen,
           max(b.taken_at) AS last_seen
    FROM core.branches b
    LEFT JOIN core.runs r ON r.workflow_id = b.workflow_id AND r.run_id = b.run_id
    LEFT JOIN core.settled_runs f ON f.workflow_id = b.workflow_id AND f.run_id = b.run_id
    WHERE NOT coalesce(f.is_fork, false)
    GROUP BY b.workflow_type, r.build_id, b.file, b.function, b.line, b.kind,
             coalesce(b.decision, b.condition), b.outcome
) o;
COMMENT ON VIEW mart.branch_outcomes IS 'How often each decision came to each outcome, by version of the workers; forks are left out';
COMMENT ON COLUMN mart.branch_outcomes.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.branch_outcomes.build_id IS 'Build id of the worker that ran the run last; NULL where no history tells';
COMMENT ON COLUMN mart.branch_outcomes.file IS 'File of the decision';
COMMENT ON COLUMN mart.branch_outcomes.function IS 'Function that decided';
COMMENT ON COLUMN mart.branch_outcomes.line IS 'Line of the decision';
COMMENT ON COLUMN mart.branch_outcomes.kind IS 'What the author wrote, as in core.branches';
COMMENT ON COLUMN mart.branch_outcomes.name IS 'The condition, or the name of the decision';
COMMENT ON COLUMN mart.branch_outcomes.outcome IS 'What it came to';
COMMENT ON COLUMN mart.branch_outcomes.n IS 'How often';
COMMENT ON COLUMN mart.branch_outcomes.n_runs IS 'In how many runs';
COMMENT ON COLUMN mart.branch_outcomes.first_seen IS 'When first, UTC';
COMMENT ON COLUMN mart.branch_outcomes.last_seen IS 'When last, UTC';
COMMENT ON COLUMN mart.branch_outcomes.share IS 'Share of all outcomes of this decision and version, 0 to 1';

CREATE VIEW mart.branch_coverage AS
SELECT workflow_type, build_id, file, function, line, kind, name, CAST(sum(n) AS BIGINT) AS n,
       count(DISTINCT outcome) AS n_outcomes,
       CAST(coalesce(sum(n) FILTER (outcome = 'true'), 0) AS BIGINT) AS n_true,
       CAST(coalesce(sum(n) FILTER (outcome = 'false'), 0) AS BIGINT) AS n_false,
       CASE WHEN kind = 'decision' THEN NULL
            WHEN count(*) FILTER (outcome = 'true') = 0 THEN 'true'
            WHEN count(*) FILTER (outcome = 'false') = 0 THEN 'false' END AS never,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen
FROM mart.branch_outcomes
GROUP BY workflow_type, build_id, file, function, line, kind, name;
COMMENT ON VIEW mart.branch_coverage IS 'One row per decision and version: which way it never went in production; forks are left out';
COMMENT ON COLUMN mart.branch_coverage.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.branch_coverage.build_id IS 'Build id of the worker that ran the run last; NULL where no history tells';
COMMENT ON COLUMN mart.branch_coverage.file IS 'File of the decision';
COMMENT ON COLUMN mart.branch_coverage.function IS 'Function that decided';
COMMENT ON COLUMN mart.branch_coverage.line IS 'Line of the decision';
COMMENT ON COLUMN mart.branch_coverage.kind IS 'What the author wrote, as in core.branches';
COMMENT ON COLUMN mart.branch_coverage.name IS 'The condition, or the name of the decision';
COMMENT ON COLUMN mart.branch_coverage.n IS 'How often';
COMMENT ON COLUMN mart.branch_coverage.n_outcomes IS 'Different outcomes';
COMMENT ON COLUMN mart.branch_coverage.n_true IS 'How often the condition held';
COMMENT ON COLUMN mart.branch_coverage.n_false IS 'How often it did not';
COMMENT ON COLUMN mart.branch_coverage.never IS 'true or false, where the condition never came to that; NULL where it came to both, and for named decisions';
COMMENT ON COLUMN mart.branch_coverage.first_seen IS 'When first, UTC';
COMMENT ON COLUMN mart.branch_coverage.last_seen IS 'When last, UTC';

CREATE VIEW mart.branch_drift AS
WITH outcomes AS (
    SELECT workflow_type, build_id, file, function, kind, name, outcome, CAST(sum(n) AS BIGINT) AS n,
           min(first_seen) AS first_seen
    FROM mart.branch_outcomes
    WHERE build_id IS NOT NULL
    GROUP BY workflow_type, build_id, file, function, kind, name, outcome
), shares AS (
    SELECT workflow_type, build_id, file, function, kind, name, outcome, n,
           ref.share(n, sum(n) OVER (
               PARTITION BY workflow_type, build_id, file, function, kind, name)) AS share
    FROM outcomes
), versions AS (
    SELECT workflow_type, build_id,
           lag(build_id) OVER (PARTITION BY workflow_type ORDER BY since, build_id) AS previous_build_id
    FROM (
        SELECT workflow_type, build_id, min(first_seen) AS since
        FROM outcomes
        GROUP BY workflow_type, build_id
    ) b
), seen AS (
    SELECT v.workflow_type, v.build_id, v.previous_build_id, s.file, s.function, s.kind, s.name,
           s.outcome, CASE WHEN s.build_id = v.build_id THEN s.n END AS n,
           CASE WHEN s.build_id = v.build_id THEN s.share END AS share,
           CASE WHEN s.build_id = v.previous_build_id THEN s.n END AS previous_n,
           CASE WHEN s.build_id = v.previous_build_id THEN s.share END AS previous_share
    FROM versions v
    JOIN shares s ON s.workflow_type = v.workflow_type
                 AND (s.build_id = v.build_id OR s.build_id = v.previous_build_id)
    WHERE v.previous_build_id IS NOT NULL
)
SELECT workflow_type, build_id, previous_build_id, file, function, kind, name, outcome,
       coalesce(max(n), 0) AS n, coalesce(max(previous_n), 0) AS previous_n,
       coalesce(max(share), 0) AS share, coalesce(max(previous_share), 0) AS previous_share,
       coalesce(max(share), 0) - coalesce(max(previous_share), 0) AS drift
FROM seen
GROUP BY workflow_type, build_id, previous_build_id, file, function, kind, name, outcome;
COMMENT ON VIEW mart.branch_drift IS 'One row per outcome of a decision and version: its share beside that in the version before; lines may have moved, so a decision is known by its function and condition; forks are left out';
COMMENT ON COLUMN mart.branch_drift.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.branch_drift.build_id IS 'Build id of the version';
COMMENT ON COLUMN mart.branch_drift.previous_build_id IS 'Build id that was seen first before this one was';
COMMENT ON COLUMN mart.branch_drift.file IS 'File of the decision';
COMMENT ON COLUMN mart.branch_drift.function IS 'Function that decided';
COMMENT ON COLUMN mart.branch_drift.kind IS 'What the author wrote, as in core.branches';
COMMENT ON COLUMN mart.branch_drift.name IS 'The condition, or the name of the decision';
COMMENT ON COLUMN mart.branch_drift.outcome IS 'What it came to';
COMMENT ON COLUMN mart.branch_drift.n IS 'How often';
COMMENT ON COLUMN mart.branch_drift.previous_n IS 'How often in the version before';
COMMENT ON COLUMN mart.branch_drift.share IS 'Share of all outcomes of this decision in this version, 0 to 1';
COMMENT ON COLUMN mart.branch_drift.previous_share IS 'Share in the version before';
COMMENT ON COLUMN mart.branch_drift.drift IS 'The difference of the two, -1 to 1';
