-- What workflow code decided: only spans tell, histories do not know it.
CREATE VIEW core.branches AS
SELECT namespace, workflow_id, run_id, found[1] AS workflow_type, start_time_unix_nano AS taken_at,
       found[2] AS function, found[3] AS file, TRY_CAST(found[4] AS INTEGER) AS line, found[5] AS kind,
       found[6] AS condition, found[7] AS decision, found[8] AS outcome, found[9] AS because,
       TRY_CAST(found[10] AS BIGINT) AS occurrence, TRY_CAST(found[11] AS BIGINT) AS rounds,
       coalesce(TRY_CAST(found[12] AS BIGINT), 0) AS n_dropped, coalesce(found[13], found[14]) AS reasons,
       trace_id, span_id
FROM (
    SELECT namespace, workflow_id, run_id, start_time_unix_nano, trace_id, span_id,
           json_extract_string(span_attributes, [
               '$."temporal.workflow.type"', '$."code.function.name"', '$."code.file.path"',
               '$."code.line.number"', '$."retrospan.branch.kind"',
               '$."retrospan.branch.condition"', '$."retrospan.decision.name"',
               '$."retrospan.branch.outcome"', '$."retrospan.branch.because"',
               '$."retrospan.branch.occurrence"', '$."retrospan.branch.rounds"',
               '$."retrospan.branch.dropped"', '$."retrospan.decision.why"',
               '$."retrospan.branch.values"'
           ]) AS found
    FROM core.spans
    WHERE span_kind = 'branch'
);
COMMENT ON VIEW core.branches IS 'One row per decision of workflow code that a worker told of';
COMMENT ON COLUMN core.branches.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN core.branches.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN core.branches.run_id IS 'Run id of the run';
COMMENT ON COLUMN core.branches.workflow_type IS 'Workflow type';
COMMENT ON COLUMN core.branches.taken_at IS 'Time of the activation, UTC; decisions of one activation are a nanosecond apart, in their order';
COMMENT ON COLUMN core.branches.function IS 'Function that decided';
COMMENT ON COLUMN core.branches.file IS 'Its file, from the top-level package on';
COMMENT ON COLUMN core.branches.line IS 'Line of the decision';
COMMENT ON COLUMN core.branches.kind IS 'What the author wrote: if, elif, while, match, boolean, ternary, filter, except, assert, or decision where the workflow named it';
COMMENT ON COLUMN core.branches.condition IS 'Source text of the condition; NULL for a named decision';
COMMENT ON COLUMN core.branches.decision IS 'Name that the workflow gave it; NULL for others';
COMMENT ON COLUMN core.branches.outcome IS 'true or false; of a named decision, what it came to';
COMMENT ON COLUMN core.branches.because IS 'Part that settled a condition of several parts';
COMMENT ON COLUMN core.branches.occurrence IS 'Which evaluation at this place in this run it was, from 1';
COMMENT ON COLUMN core.branches.rounds IS 'Where a while ended: rounds it made';
COMMENT ON COLUMN core.branches.n_dropped IS 'Decisions of the same activation that were only counted, on the last that was told';
COMMENT ON COLUMN core.branches.reasons IS 'JSON object: reasons of a named decision; values of a condition where capture was allowed';
COMMENT ON COLUMN core.branches.trace_id IS 'Trace id of its span, hex';
COMMENT ON COLUMN core.branches.span_id IS 'Span id of its span, hex';

CREATE VIEW mart.branch_outcomes AS
SELECT *, ref.share(n, sum(n) OVER (
              PARTITION BY workflow_type, build_id, file, function, line, kind, name
          )) AS share
FROM (
    SELECT b.workflow_type, r.build_id, b.file, b.function, b.line, b.kind,
           coalesce(b.decision, b.condition) AS name, b.outcome, count(*) AS n,
           count(DISTINCT b.run_id) AS n_runs, min(b.taken_at) AS first_seen,
           max(b.taken_at) AS last_seen
    FROM core.branches b
    LEFT JOIN core.runs r ON r.workflow_id = b.workflow_id AND r.run_id = b.run_id
    GROUP BY ALL
);
COMMENT ON VIEW mart.branch_outcomes IS 'How often each decision came to each outcome, by version of the workers';
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
