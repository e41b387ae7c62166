-- What model calls cost, and how much of that is known.
CREATE VIEW mart.cost_by_model AS
SELECT provider, model, count(*) AS n_calls, count(*) FILTER (error_type IS NOT NULL) AS n_errors,
       sum(input_tokens)::BIGINT AS input_tokens,
       sum(cache_read_tokens)::BIGINT AS cache_read_tokens,
       sum(output_tokens)::BIGINT AS output_tokens, sum(cost_usd) AS cost_usd,
       ref.share(count(cost_usd), count(*) FILTER (is_billable)) AS priced_share
FROM mart.llm_calls
GROUP BY ALL;
COMMENT ON VIEW mart.cost_by_model IS 'One row per provider and model';
COMMENT ON COLUMN mart.cost_by_model.provider IS 'Provider, by OpenTelemetry''s name if it has one';
COMMENT ON COLUMN mart.cost_by_model.model IS 'Model that answered, else the one asked for';
COMMENT ON COLUMN mart.cost_by_model.n_calls IS 'Model calls';
COMMENT ON COLUMN mart.cost_by_model.n_errors IS 'Calls that failed';
COMMENT ON COLUMN mart.cost_by_model.input_tokens IS 'Input tokens that were reported, cached ones included';
COMMENT ON COLUMN mart.cost_by_model.cache_read_tokens IS 'Input tokens that came from a cache';
COMMENT ON COLUMN mart.cost_by_model.output_tokens IS 'Output tokens that were reported, reasoning included';
COMMENT ON COLUMN mart.cost_by_model.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN mart.cost_by_model.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';

CREATE VIEW mart.cost_by_workflow AS
SELECT workflow_type, count(*) AS n_runs, sum(n_calls)::BIGINT AS n_calls,
       sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens,
       sum(cost_usd) AS cost_usd, avg(cost_usd) AS avg_run_usd, max(cost_usd) AS max_run_usd,
       sum(cost_usd) FILTER (status IN ('FAILED', 'TIMED_OUT', 'TERMINATED')) AS failed_runs_usd,
       ref.share(sum(n_priced), sum(n_billable)) AS priced_share
FROM (
    SELECT r.workflow_type, r.status, count(c.workflow_id) AS n_calls,
           sum(c.input_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens,
           sum(c.cost_usd) AS cost_usd, count(c.cost_usd) AS n_priced,
           count(*) FILTER (c.is_billable) AS n_billable
    FROM core.runs r
    LEFT JOIN mart.llm_calls c ON c.workflow_id = r.workflow_id AND c.run_id = r.run_id
    GROUP BY r.namespace, r.workflow_id, r.run_id, r.workflow_type, r.status
)
GROUP BY workflow_type;
COMMENT ON VIEW mart.cost_by_workflow IS 'One row per workflow type: what its runs cost, and what was spent on runs that failed';
COMMENT ON COLUMN mart.cost_by_workflow.workflow_type IS 'Workflow type';
COMMENT ON COLUMN mart.cost_by_workflow.n_runs IS 'Runs';
COMMENT ON COLUMN mart.cost_by_workflow.n_calls IS 'Model calls';
COMMENT ON COLUMN mart.cost_by_workflow.input_tokens IS 'Input tokens that were reported, cached ones included';
COMMENT ON COLUMN mart.cost_by_workflow.output_tokens IS 'Output tokens that were reported, reasoning included';
COMMENT ON COLUMN mart.cost_by_workflow.cost_usd IS 'Cost of the calls whose price is known, US dollars; NULL if there are none';
COMMENT ON COLUMN mart.cost_by_workflow.avg_run_usd IS 'Average cost of a run that made priced calls, US dollars';
COMMENT ON COLUMN mart.cost_by_workflow.max_run_usd IS 'Cost of the most expensive run, US dollars';
COMMENT ON COLUMN mart.cost_by_workflow.failed_runs_usd IS 'Cost of runs that failed, timed out or were terminated, US dollars';
COMMENT ON COLUMN mart.cost_by_workflow.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';

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
GROUP BY usage_source;
COMMENT ON VIEW mart.cost_coverage IS 'One row per source of usage: how many calls have a price, and why the others have none';
COMMENT ON COLUMN mart.cost_coverage.usage_source IS 'span or history';
COMMENT ON COLUMN mart.cost_coverage.n_calls IS 'Model calls';
COMMENT ON COLUMN mart.cost_coverage.n_without_run IS 'Calls that no run is known for';
COMMENT ON COLUMN mart.cost_coverage.n_refused IS 'Calls that failed and report no tokens: they need no price';
COMMENT ON COLUMN mart.cost_coverage.n_without_usage IS 'Calls that succeeded and whose tokens were not reported';
COMMENT ON COLUMN mart.cost_coverage.n_without_model IS 'Calls whose tokens are known and whose model is not';
COMMENT ON COLUMN mart.cost_coverage.n_without_price IS 'Calls whose tokens and model are known and whose model is not in the price list';
COMMENT ON COLUMN mart.cost_coverage.n_priced IS 'Calls with a price';
COMMENT ON COLUMN mart.cost_coverage.priced_share IS 'Share of the billable calls whose price is known, 0 to 1; NULL without such calls';
