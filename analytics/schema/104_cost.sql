-- What model calls cost, and how much of that is known. Each view adds up to the same total.
CREATE VIEW mart.cost_by_model AS
SELECT provider, model, count(*) AS n_calls, count(error_type) AS n_errors,
       CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
       CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
       CAST(sum(output_tokens) AS BIGINT) AS output_tokens, sum(cost_usd) AS cost_usd,
       sum(CASE WHEN is_wasted THEN cost_usd END) AS wasted_usd,
       ref.share(count(cost_usd), count(*) FILTER (is_billable)) AS priced_share
FROM mart.llm_calls
WHERE NOT is_fork
GROUP BY provider, model;
COMMENT ON VIEW mart.cost_by_model IS 'One row per provider and model; forks are left out';
COMMENT ON COLUMN mart.cost_by_model.provider IS 'Provider, by OpenTelemetry''s name if it has one';
COMMENT ON COLUMN mart.cost_by_model.model IS 'Model that answered, else the one asked for';
COMMENT ON COLUMN mart.cost_by_model.n_calls IS 'Model calls';
COMMENT ON COLUMN mart.cost_by_model.n_errors IS 'Calls that failed';
COMMENT ON COLUMN mart.cost_by_model.input_tokens IS 'Input tokens that were reported, cached ones included';
COMMENT ON COLUMN mart.cost_by_model.cache_read_tokens IS 'Input tokens that came from a cache';
COMMENT ON COLUMN mart.cost_by_model.output_tokens IS 'Output tokens that were reported, reasoning included';
COMMENT ON COLUMN mart.cost_by_model.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN mart.cost_by_model.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN mart.cost_by_model.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';

CREATE VIEW mart.cost_by_step AS
SELECT workflow_type, step_kind, step_name, count(*) AS n_calls, count(error_type) AS n_errors,
       CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
       CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
       CAST(sum(output_tokens) AS BIGINT) AS output_tokens, sum(cost_usd) AS cost_usd,
       sum(CASE WHEN is_wasted THEN cost_usd END) AS wasted_usd,
       ref.share(sum(cost_usd), sum(sum(cost_usd)) OVER ()) AS cost_share,
       ref.share(count(cost_usd), count(*) FILTER (is_billable)) AS priced_share
FROM mart.llm_calls
WHERE NOT is_fork
GROUP BY workflow_type, step_kind, step_name;
COMMENT ON VIEW mart.cost_by_step IS 'One row per workflow type and step that calls models; forks are left out';
COMMENT ON COLUMN mart.cost_by_step.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.cost_by_step.step_kind IS 'Kind of the step';
COMMENT ON COLUMN mart.cost_by_step.step_name IS 'Name of the step; NULL where a call names none';
COMMENT ON COLUMN mart.cost_by_step.n_calls IS 'Model calls';
COMMENT ON COLUMN mart.cost_by_step.n_errors IS 'Calls that failed';
COMMENT ON COLUMN mart.cost_by_step.input_tokens IS 'Input tokens that were reported, cached ones included';
COMMENT ON COLUMN mart.cost_by_step.cache_read_tokens IS 'Input tokens that came from a cache';
COMMENT ON COLUMN mart.cost_by_step.output_tokens IS 'Output tokens that were reported, reasoning included';
COMMENT ON COLUMN mart.cost_by_step.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN mart.cost_by_step.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN mart.cost_by_step.cost_share IS 'Share of the known cost of all steps, 0 to 1';
COMMENT ON COLUMN mart.cost_by_step.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';

CREATE VIEW mart.cost_by_tenant AS
SELECT tenant, count(DISTINCT run_id) AS n_runs, count(*) AS n_calls, count(error_type) AS n_errors,
       CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
       CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
       CAST(sum(output_tokens) AS BIGINT) AS output_tokens, sum(cost_usd) AS cost_usd,
       sum(CASE WHEN is_wasted THEN cost_usd END) AS wasted_usd,
       ref.share(count(cost_usd), count(*) FILTER (is_billable)) AS priced_share
FROM mart.llm_calls
WHERE NOT is_fork
GROUP BY tenant;
COMMENT ON VIEW mart.cost_by_tenant IS 'One row per tenant; forks are left out';
COMMENT ON COLUMN mart.cost_by_tenant.tenant IS 'Whom the run is for: what spans tell, else a memo or search attribute named tenant or TenantId, else the namespace';
COMMENT ON COLUMN mart.cost_by_tenant.n_runs IS 'Runs that called models';
COMMENT ON COLUMN mart.cost_by_tenant.n_calls IS 'Model calls';
COMMENT ON COLUMN mart.cost_by_tenant.n_errors IS 'Calls that failed';
COMMENT ON COLUMN mart.cost_by_tenant.input_tokens IS 'Input tokens that were reported, cached ones included';
COMMENT ON COLUMN mart.cost_by_tenant.cache_read_tokens IS 'Input tokens that came from a cache';
COMMENT ON COLUMN mart.cost_by_tenant.output_tokens IS 'Output tokens that were reported, reasoning included';
COMMENT ON COLUMN mart.cost_by_tenant.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN mart.cost_by_tenant.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN mart.cost_by_tenant.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';

CREATE VIEW mart.cost_by_day AS
SELECT CAST(started_at AS DATE) AS day, workflow_type, count(DISTINCT run_id) AS n_runs,
       count(*) AS n_calls, count(error_type) AS n_errors,
       CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
       CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
       CAST(sum(output_tokens) AS BIGINT) AS output_tokens, sum(cost_usd) AS cost_usd,
       sum(CASE WHEN is_wasted THEN cost_usd END) AS wasted_usd,
       ref.share(count(cost_usd), count(*) FILTER (is_billable)) AS priced_share
FROM mart.llm_calls
WHERE NOT is_fork
GROUP BY CAST(started_at AS DATE), workflow_type;
COMMENT ON VIEW mart.cost_by_day IS 'One row per day, UTC, and workflow type; forks are left out';
COMMENT ON COLUMN mart.cost_by_day.day IS 'Day of the call, UTC; NULL where its time is not known';
COMMENT ON COLUMN mart.cost_by_day.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.cost_by_day.n_runs IS 'Runs that called models';
COMMENT ON COLUMN mart.cost_by_day.n_calls IS 'Model calls';
COMMENT ON COLUMN mart.cost_by_day.n_errors IS 'Calls that failed';
COMMENT ON COLUMN mart.cost_by_day.input_tokens IS 'Input tokens that were reported, cached ones included';
COMMENT ON COLUMN mart.cost_by_day.cache_read_tokens IS 'Input tokens that came from a cache';
COMMENT ON COLUMN mart.cost_by_day.output_tokens IS 'Output tokens that were reported, reasoning included';
COMMENT ON COLUMN mart.cost_by_day.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN mart.cost_by_day.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN mart.cost_by_day.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';

CREATE VIEW mart.cost_by_outcome AS
SELECT workflow_type, status, CAST(sum(n_runs) AS BIGINT) AS n_runs,
       CAST(sum(n_calls) AS BIGINT) AS n_calls, CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
       CAST(sum(output_tokens) AS BIGINT) AS output_tokens, sum(cost_usd) AS cost_usd,
       sum(wasted_usd) AS wasted_usd, ref.share(sum(cost_usd), sum(n_runs)) AS avg_run_usd,
       ref.share(sum(n_priced), sum(n_billable)) AS priced_share
FROM (
    SELECT r.workflow_type, r.status, 1 AS n_runs, f.n_llm_calls AS n_calls, f.input_tokens,
           f.output_tokens, f.cost_usd, f.wasted_usd, f.n_priced, f.n_billable
    FROM core.runs r JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
    WHERE NOT f.is_fork
    UNION ALL
    SELECT NULL, NULL, 0, 1, input_tokens, output_tokens, cost_usd,
           CASE WHEN is_wasted THEN cost_usd END, CASE WHEN cost_usd IS NULL THEN 0 ELSE 1 END,
           CASE WHEN is_billable THEN 1 ELSE 0 END
    FROM mart.llm_calls
    WHERE status IS NULL
) c
GROUP BY workflow_type, status;
COMMENT ON VIEW mart.cost_by_outcome IS 'One row per workflow type and status of its runs; calls of runs without history have neither; forks are left out';
COMMENT ON COLUMN mart.cost_by_outcome.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.cost_by_outcome.status IS 'Status of the run, as in core.runs';
COMMENT ON COLUMN mart.cost_by_outcome.n_runs IS 'Runs';
COMMENT ON COLUMN mart.cost_by_outcome.n_calls IS 'Model calls';
COMMENT ON COLUMN mart.cost_by_outcome.input_tokens IS 'Input tokens that were reported, cached ones included';
COMMENT ON COLUMN mart.cost_by_outcome.output_tokens IS 'Output tokens that were reported, reasoning included';
COMMENT ON COLUMN mart.cost_by_outcome.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN mart.cost_by_outcome.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN mart.cost_by_outcome.avg_run_usd IS 'Average cost of a run, US dollars; runs without known cost count as nothing';
COMMENT ON COLUMN mart.cost_by_outcome.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';

CREATE VIEW mart.cost_by_workflow AS
SELECT workflow_type, CAST(sum(n_runs) AS BIGINT) AS n_runs,
       CAST(sum(n_calls) AS BIGINT) AS n_calls, CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
       CAST(sum(output_tokens) AS BIGINT) AS output_tokens, sum(cost_usd) AS cost_usd,
       avg(CASE WHEN n_runs = 1 THEN cost_usd END) AS avg_run_usd,
       max(CASE WHEN n_runs = 1 THEN cost_usd END) AS max_run_usd,
       sum(CASE WHEN status IN ('FAILED', 'TIMED_OUT', 'TERMINATED') THEN cost_usd END)
           AS failed_runs_usd,
       sum(wasted_usd) AS wasted_usd, ref.share(sum(n_priced), sum(n_billable)) AS priced_share
FROM (
    SELECT r.workflow_type, r.status, 1 AS n_runs, f.n_llm_calls AS n_calls, f.input_tokens,
           f.output_tokens, f.cost_usd, f.wasted_usd, f.n_priced, f.n_billable
    FROM core.runs r JOIN core.settled_runs f USING (namespace, workflow_id, run_id)
    WHERE NOT f.is_fork
    UNION ALL
    SELECT NULL, NULL, 0, 1, input_tokens, output_tokens, cost_usd,
           CASE WHEN is_wasted THEN cost_usd END, CASE WHEN cost_usd IS NULL THEN 0 ELSE 1 END,
           CASE WHEN is_billable THEN 1 ELSE 0 END
    FROM mart.llm_calls
    WHERE status IS NULL
) c
GROUP BY workflow_type;
COMMENT ON VIEW mart.cost_by_workflow IS 'One row per workflow type: what its runs cost, and what was spent on runs that failed; calls of runs without history have no type; forks are left out';
COMMENT ON COLUMN mart.cost_by_workflow.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.cost_by_workflow.n_runs IS 'Runs';
COMMENT ON COLUMN mart.cost_by_workflow.n_calls IS 'Model calls';
COMMENT ON COLUMN mart.cost_by_workflow.input_tokens IS 'Input tokens that were reported, cached ones included';
COMMENT ON COLUMN mart.cost_by_workflow.output_tokens IS 'Output tokens that were reported, reasoning included';
COMMENT ON COLUMN mart.cost_by_workflow.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN mart.cost_by_workflow.avg_run_usd IS 'Average cost of a run that made priced calls, US dollars';
COMMENT ON COLUMN mart.cost_by_workflow.max_run_usd IS 'Cost of the most expensive run, US dollars';
COMMENT ON COLUMN mart.cost_by_workflow.failed_runs_usd IS 'Cost of runs that failed, timed out or were terminated, US dollars';
COMMENT ON COLUMN mart.cost_by_workflow.wasted_usd IS 'Cost of model calls in failed attempts, US dollars; NULL where none is known';
COMMENT ON COLUMN mart.cost_by_workflow.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';

CREATE VIEW mart.cost_of_success AS
SELECT workflow_type, CAST(sum(n_runs) AS BIGINT) AS n_runs,
       CAST(coalesce(sum(n_runs) FILTER (status = 'COMPLETED'), 0) AS BIGINT) AS n_successful,
       sum(cost_usd) AS cost_usd, sum(cost_usd) FILTER (status = 'COMPLETED') AS successful_usd,
       sum(cost_usd) FILTER (status IN ('FAILED', 'TIMED_OUT', 'TERMINATED', 'CANCELED'))
           AS unsuccessful_usd,
       ref.share(sum(cost_usd), coalesce(sum(n_runs) FILTER (status = 'COMPLETED'), 0))
           AS usd_per_success
FROM mart.cost_by_outcome
WHERE status IS NOT NULL
GROUP BY workflow_type;
COMMENT ON VIEW mart.cost_of_success IS 'One row per workflow type: what a run that completes costs, with all that was spent on those that did not; forks are left out';
COMMENT ON COLUMN mart.cost_of_success.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.cost_of_success.n_runs IS 'Runs';
COMMENT ON COLUMN mart.cost_of_success.n_successful IS 'Runs that completed; a run that continued as new is neither a success nor a failure';
COMMENT ON COLUMN mart.cost_of_success.cost_usd IS 'Cost of all runs as far as prices are known, US dollars';
COMMENT ON COLUMN mart.cost_of_success.successful_usd IS 'Cost of runs that completed, US dollars';
COMMENT ON COLUMN mart.cost_of_success.unsuccessful_usd IS 'Cost of runs that failed, timed out, were terminated or cancelled, US dollars';
COMMENT ON COLUMN mart.cost_of_success.usd_per_success IS 'Cost of all runs for each that completed, US dollars';

CREATE VIEW mart.cost_by_branch_outcome AS
SELECT b.workflow_type, b.file, b.function, b.line, b.kind, b.name, b.outcome, count(*) AS n_runs,
       count(*) FILTER (r.status = 'COMPLETED') AS n_successful, sum(f.cost_usd) AS cost_usd,
       avg(f.cost_usd) AS avg_run_usd, max(f.cost_usd) AS max_run_usd,
       ref.share(sum(f.n_priced), sum(f.n_billable)) AS priced_share
FROM (
    SELECT DISTINCT workflow_id, run_id, workflow_type, file, function, line, kind,
           coalesce(decision, condition) AS name, outcome
    FROM core.branches
) b
JOIN core.settled_runs f ON f.workflow_id = b.workflow_id AND f.run_id = b.run_id
JOIN core.runs r ON r.namespace = f.namespace AND r.workflow_id = f.workflow_id
                AND r.run_id = f.run_id
WHERE NOT f.is_fork
GROUP BY b.workflow_type, b.file, b.function, b.line, b.kind, b.name, b.outcome;
COMMENT ON VIEW mart.cost_by_branch_outcome IS 'One row per decision and outcome: what the runs cost in which it came to that; a run counts for each of its decisions, so these costs do not add up; forks are left out';
COMMENT ON COLUMN mart.cost_by_branch_outcome.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.cost_by_branch_outcome.file IS 'File of the decision';
COMMENT ON COLUMN mart.cost_by_branch_outcome.function IS 'Function that decided';
COMMENT ON COLUMN mart.cost_by_branch_outcome.line IS 'Line of the decision';
COMMENT ON COLUMN mart.cost_by_branch_outcome.kind IS 'What the author wrote, as in core.branches';
COMMENT ON COLUMN mart.cost_by_branch_outcome.name IS 'The condition, or the name of the decision';
COMMENT ON COLUMN mart.cost_by_branch_outcome.outcome IS 'What it came to';
COMMENT ON COLUMN mart.cost_by_branch_outcome.n_runs IS 'Runs in which it came to that at least once';
COMMENT ON COLUMN mart.cost_by_branch_outcome.n_successful IS 'Those that completed';
COMMENT ON COLUMN mart.cost_by_branch_outcome.cost_usd IS 'Cost of these runs as a whole, US dollars';
COMMENT ON COLUMN mart.cost_by_branch_outcome.avg_run_usd IS 'Average cost of a run that made priced calls, US dollars';
COMMENT ON COLUMN mart.cost_by_branch_outcome.max_run_usd IS 'Cost of the most expensive run, US dollars';
COMMENT ON COLUMN mart.cost_by_branch_outcome.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';

CREATE VIEW mart.cost_coverage AS
SELECT usage_source, count(*) AS n_calls,
       count(*) FILTER (run_id IS NULL) AS n_without_run,
       count(*) FILTER (NOT is_billable) AS n_refused,
       count(*) FILTER (is_billable AND coalesce(input_tokens, output_tokens) IS NULL)
           AS n_without_usage,
       count(*) FILTER (coalesce(input_tokens, output_tokens) IS NOT NULL AND model IS NULL)
           AS n_without_model,
       count(*) FILTER (coalesce(input_tokens, output_tokens) IS NOT NULL AND model IS NOT NULL
                        AND cost_usd IS NULL) AS n_without_price,
       count(cost_usd) AS n_priced, ref.share(count(cost_usd), count(*) FILTER (is_billable)) AS priced_share
FROM mart.llm_calls
WHERE NOT is_fork
GROUP BY usage_source;
COMMENT ON VIEW mart.cost_coverage IS 'One row per source of usage: how many calls have a price, and why the others have none; forks are left out';
COMMENT ON COLUMN mart.cost_coverage.usage_source IS 'span or history';
COMMENT ON COLUMN mart.cost_coverage.n_calls IS 'Model calls';
COMMENT ON COLUMN mart.cost_coverage.n_without_run IS 'Calls that no run is known for';
COMMENT ON COLUMN mart.cost_coverage.n_refused IS 'Calls that failed and report no tokens: they need no price';
COMMENT ON COLUMN mart.cost_coverage.n_without_usage IS 'Calls that succeeded and whose tokens were not reported';
COMMENT ON COLUMN mart.cost_coverage.n_without_model IS 'Calls whose tokens are known and whose model is not';
COMMENT ON COLUMN mart.cost_coverage.n_without_price IS 'Calls whose tokens and model are known and whose model is not in the price list';
COMMENT ON COLUMN mart.cost_coverage.n_priced IS 'Calls with a price';
COMMENT ON COLUMN mart.cost_coverage.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';
