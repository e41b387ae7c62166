-- What is about to hit a limit of Temporal.
CREATE VIEW ref.limits AS
SELECT 'payload' AS limit_name, CAST(2097152 AS DOUBLE) AS maximum, CAST(0.8 AS DOUBLE) AS near_share
UNION ALL SELECT 'history_events', 51200.0, 0.8
UNION ALL SELECT 'history_bytes', 52428800.0, 0.8
UNION ALL SELECT 'activation', 2.0, 0.8;
COMMENT ON VIEW ref.limits IS 'Limits of Temporal''s server and SDK by default, as the tracer measures against them';
COMMENT ON COLUMN ref.limits.limit_name IS 'payload: bytes of one input or result. history_events, history_bytes. activation: seconds of workflow code without yielding';
COMMENT ON COLUMN ref.limits.maximum IS 'How much there is';
COMMENT ON COLUMN ref.limits.near_share IS 'Share of it from which on it is time to warn';

CREATE VIEW mart.history_headroom AS
SELECT namespace, workflow_id, run_id, workflow_type, status, is_fork, n_events, history_bytes,
       suggest_continue_as_new, CASE WHEN events_share >= bytes_share THEN 'history_events'
                                     ELSE 'history_bytes' END AS nearest_limit,
       greatest(0, 1 - greatest(events_share, bytes_share)) AS headroom,
       greatest(events_share, bytes_share) >= near_share AS is_near
FROM (
    SELECT r.namespace, r.workflow_id, r.run_id, r.workflow_type, r.status, f.is_fork, r.n_events,
           r.history_bytes, r.suggest_continue_as_new, r.n_events / e.maximum AS events_share,
           coalesce(r.history_bytes, 0) / b.maximum AS bytes_share, e.near_share
    FROM core.runs r
    JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
    CROSS JOIN (SELECT maximum, near_share FROM ref.limits WHERE limit_name = 'history_events') e
    CROSS JOIN (SELECT maximum FROM ref.limits WHERE limit_name = 'history_bytes') b
) s;
COMMENT ON VIEW mart.history_headroom IS 'One row per run: how near its history is to the limits at which the server ends a run';
COMMENT ON COLUMN mart.history_headroom.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.history_headroom.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.history_headroom.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.history_headroom.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.history_headroom.status IS 'Status of the run, as in core.runs';
COMMENT ON COLUMN mart.history_headroom.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.history_headroom.n_events IS 'Events in it';
COMMENT ON COLUMN mart.history_headroom.history_bytes IS 'Size of the history as the server counts it, as of the last workflow task';
COMMENT ON COLUMN mart.history_headroom.suggest_continue_as_new IS 'The server advised to continue as new';
COMMENT ON COLUMN mart.history_headroom.nearest_limit IS 'history_events or history_bytes, whichever is used up more';
COMMENT ON COLUMN mart.history_headroom.headroom IS 'Share of that limit that is left, 1 to 0';
COMMENT ON COLUMN mart.history_headroom.is_near IS 'It is time to do something: 80 % are used';

CREATE VIEW mart.payload_headroom AS
SELECT workflow_type, kind, name, count(*) AS n_steps, max(input_bytes) AS max_input_bytes,
       max(result_bytes) AS max_result_bytes,
       greatest(0, 1 - greatest(max(input_bytes), max(result_bytes)) / max(l.maximum)) AS headroom,
       count(*) FILTER (greatest(input_bytes, result_bytes) >= l.near_share * l.maximum) AS n_near,
       arg_max(namespace, greatest(input_bytes, result_bytes)) AS example_namespace,
       arg_max(workflow_id, greatest(input_bytes, result_bytes)) AS example_workflow_id,
       arg_max(run_id, greatest(input_bytes, result_bytes)) AS example_run_id
FROM core.settled_steps
CROSS JOIN (SELECT maximum, near_share FROM ref.limits WHERE limit_name = 'payload') l
WHERE NOT is_fork
GROUP BY workflow_type, kind, name;
COMMENT ON VIEW mart.payload_headroom IS 'One row per workflow type and step: how near its inputs and results are to the limit of a payload; forks are left out';
COMMENT ON COLUMN mart.payload_headroom.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.payload_headroom.kind IS 'Kind of the step';
COMMENT ON COLUMN mart.payload_headroom.name IS 'Name of the step';
COMMENT ON COLUMN mart.payload_headroom.n_steps IS 'Steps';
COMMENT ON COLUMN mart.payload_headroom.max_input_bytes IS 'Bytes of the largest input';
COMMENT ON COLUMN mart.payload_headroom.max_result_bytes IS 'Bytes of the largest result';
COMMENT ON COLUMN mart.payload_headroom.headroom IS 'Share of the limit that the largest of them leaves, 1 to 0';
COMMENT ON COLUMN mart.payload_headroom.n_near IS 'Steps that use 80 % of it or more';
COMMENT ON COLUMN mart.payload_headroom.example_namespace IS 'Temporal namespace of an example';
COMMENT ON COLUMN mart.payload_headroom.example_workflow_id IS 'Workflow id of an example';
COMMENT ON COLUMN mart.payload_headroom.example_run_id IS 'Run id of an example';

CREATE VIEW mart.near_deadlocks AS
SELECT d.namespace, d.workflow_id, d.run_id, r.workflow_type, f.is_fork, d.ended_at, d.seconds, d.source,
       d.is_deadlock, greatest(0, 1 - d.seconds / l.maximum) AS headroom, d.hot_lines,
       d.worker_identity
FROM (
    SELECT namespace, workflow_id, run_id, closed_at AS ended_at, exec_s AS seconds, 'history' AS source,
           coalesce(failure_kind = 'deadlock', false) AS is_deadlock, NULL AS hot_lines,
           identity AS worker_identity
    FROM core.workflow_tasks
    WHERE exec_s >= 1.6 OR failure_kind = 'deadlock'
    UNION ALL
    SELECT namespace, workflow_id, run_id, end_time,
           CAST(span_attributes ->> '$."retrospan.limit.used"' AS DOUBLE), 'span', false,
           span_attributes ->> '$."retrospan.activation.hot_lines"',
           span_attributes ->> '$."temporal.identity"'
    FROM core.spans
    WHERE span_kind = 'limit'
      AND span_attributes ->> '$."retrospan.limit.name"' = 'activation'
) d
CROSS JOIN (SELECT maximum FROM ref.limits WHERE limit_name = 'activation') l
LEFT JOIN core.runs r ON r.workflow_id = d.workflow_id AND r.run_id = d.run_id
LEFT JOIN core.settled_runs f ON f.workflow_id = d.workflow_id AND f.run_id = d.run_id;
COMMENT ON VIEW mart.near_deadlocks IS 'One row per activation that came near the time after which the SDK calls it a deadlock, or passed it';
COMMENT ON COLUMN mart.near_deadlocks.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN mart.near_deadlocks.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN mart.near_deadlocks.run_id IS 'Run id of the run';
COMMENT ON COLUMN mart.near_deadlocks.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.near_deadlocks.is_fork IS 'Made by forking another run: it did not happen in production';
COMMENT ON COLUMN mart.near_deadlocks.ended_at IS 'When it ended, UTC';
COMMENT ON COLUMN mart.near_deadlocks.seconds IS 'Seconds that it took; with source history at most, as network and local activities are part of them';
COMMENT ON COLUMN mart.near_deadlocks.source IS 'span: the worker measured the activation. history: from the start of a workflow task to its answer';
COMMENT ON COLUMN mart.near_deadlocks.is_deadlock IS 'The task failed as a deadlock';
COMMENT ON COLUMN mart.near_deadlocks.headroom IS 'Share of the time that was left, 1 to 0';
COMMENT ON COLUMN mart.near_deadlocks.hot_lines IS 'Lines of workflow code in which it was found most often; NULL with source history';
COMMENT ON COLUMN mart.near_deadlocks.worker_identity IS 'Worker that ran it';
