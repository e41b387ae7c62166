-- Which tools agents use, and which they were not allowed to use.
CREATE VIEW mart.tool_use AS
SELECT r.workflow_type, t.tool_name, t.tool_type, t.agent_name, count(*) AS n_calls,
       count(*) FILTER (t.outcome != 'blocked') AS n_allowed,
       count(*) FILTER (t.outcome = 'blocked') AS n_blocked,
       count(*) FILTER (t.outcome = 'failed') AS n_failed, count(DISTINCT t.run_id) AS n_runs,
       ref.p50(CASE WHEN t.outcome != 'blocked' THEN t.latency_s END) AS p50_s,
       ref.p95(CASE WHEN t.outcome != 'blocked' THEN t.latency_s END) AS p95_s,
       max(t.result_bytes) AS max_result_bytes, max(t.started_at) AS last_used
FROM core.tool_calls t
LEFT JOIN core.runs r ON r.workflow_id = t.workflow_id AND r.run_id = t.run_id
LEFT JOIN core.settled_runs f ON f.workflow_id = t.workflow_id AND f.run_id = t.run_id
WHERE NOT t.is_nested AND NOT coalesce(f.is_fork, false)
GROUP BY r.workflow_type, t.tool_name, t.tool_type, t.agent_name;
COMMENT ON VIEW mart.tool_use IS 'One row per workflow type, tool and agent: calls that were allowed, blocked, or failed; forks are left out';
COMMENT ON COLUMN mart.tool_use.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.tool_use.tool_name IS 'Name of the tool';
COMMENT ON COLUMN mart.tool_use.tool_type IS 'function, extension or datastore';
COMMENT ON COLUMN mart.tool_use.agent_name IS 'Agent that called it';
COMMENT ON COLUMN mart.tool_use.n_calls IS 'Calls that the model asked for';
COMMENT ON COLUMN mart.tool_use.n_allowed IS 'Calls that were let run';
COMMENT ON COLUMN mart.tool_use.n_blocked IS 'Calls that a policy or a person refused';
COMMENT ON COLUMN mart.tool_use.n_failed IS 'Calls that were let run and failed';
COMMENT ON COLUMN mart.tool_use.n_runs IS 'Runs';
COMMENT ON COLUMN mart.tool_use.p50_s IS 'Median seconds of a call that was let run';
COMMENT ON COLUMN mart.tool_use.p95_s IS '95th percentile of seconds of a call that was let run';
COMMENT ON COLUMN mart.tool_use.max_result_bytes IS 'Bytes of the largest result; NULL if not reported';
COMMENT ON COLUMN mart.tool_use.last_used IS 'When last, UTC';

CREATE VIEW mart.tool_blocks AS
SELECT workflow_type, tool_name, block_policy, count(*) AS n_blocked,
       count(DISTINCT run_id) AS n_runs, min(started_at) AS first_seen,
       max(started_at) AS last_seen, max(CASE WHEN place = 1 THEN block_reason END) AS example_reason,
       max(CASE WHEN place = 1 THEN workflow_id END) AS example_workflow_id,
       max(CASE WHEN place = 1 THEN run_id END) AS example_run_id
FROM (
    SELECT r.workflow_type, t.tool_name, t.block_policy, t.block_reason, t.workflow_id, t.run_id,
           t.started_at,
           row_number() OVER (
               PARTITION BY r.workflow_type, t.tool_name, t.block_policy
               ORDER BY t.started_at DESC NULLS LAST, t.trace_id DESC, t.span_id DESC) AS place
    FROM core.tool_calls t
    LEFT JOIN core.runs r ON r.workflow_id = t.workflow_id AND r.run_id = t.run_id
    LEFT JOIN core.settled_runs f ON f.workflow_id = t.workflow_id AND f.run_id = t.run_id
    WHERE NOT t.is_nested AND t.outcome = 'blocked' AND NOT coalesce(f.is_fork, false)
) b
GROUP BY workflow_type, tool_name, block_policy;
COMMENT ON VIEW mart.tool_blocks IS 'One row per tool and the policy that did not let it run; forks are left out';
COMMENT ON COLUMN mart.tool_blocks.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.tool_blocks.tool_name IS 'Name of the tool';
COMMENT ON COLUMN mart.tool_blocks.block_policy IS 'Rule that did not let it run';
COMMENT ON COLUMN mart.tool_blocks.n_blocked IS 'How often';
COMMENT ON COLUMN mart.tool_blocks.n_runs IS 'Runs';
COMMENT ON COLUMN mart.tool_blocks.first_seen IS 'When first, UTC';
COMMENT ON COLUMN mart.tool_blocks.last_seen IS 'When last, UTC';
COMMENT ON COLUMN mart.tool_blocks.example_reason IS 'Reason that was given last';
COMMENT ON COLUMN mart.tool_blocks.example_workflow_id IS 'Workflow id of an example';
COMMENT ON COLUMN mart.tool_blocks.example_run_id IS 'Run id of an example';
