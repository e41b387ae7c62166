-- What came in, where from, and what was wrong with it.

CREATE TABLE raw.ingest_sources (
    source_sha256 VARCHAR NOT NULL,
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    uri VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    key_source VARCHAR NOT NULL,
    n_events BIGINT NOT NULL,
    n_bytes BIGINT NOT NULL,
    tool_version VARCHAR NOT NULL,
    ingested_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE raw.ingest_sources IS 'Ledger: one row per history that was read, written in the transaction that stored it';
COMMENT ON COLUMN raw.ingest_sources.source_sha256 IS 'SHA-256 of the raw history, hex';
COMMENT ON COLUMN raw.ingest_sources.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN raw.ingest_sources.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN raw.ingest_sources.run_id IS 'Run id of the run';
COMMENT ON COLUMN raw.ingest_sources.uri IS 'Where it was first seen';
COMMENT ON COLUMN raw.ingest_sources.format IS 'Format of the raw history';
COMMENT ON COLUMN raw.ingest_sources.key_source IS 'Where the run key was taken from';
COMMENT ON COLUMN raw.ingest_sources.n_events IS 'Events in it';
COMMENT ON COLUMN raw.ingest_sources.n_bytes IS 'Size of the raw history in bytes';
COMMENT ON COLUMN raw.ingest_sources.tool_version IS 'Version of Retrospan that read it';
COMMENT ON COLUMN raw.ingest_sources.ingested_at IS 'When it was stored, UTC';

CREATE TABLE raw.ingest_rejects (
    uri VARCHAR NOT NULL,
    error VARCHAR NOT NULL,
    rejected_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE raw.ingest_rejects IS 'Sources that could not be read; nothing of them was stored';
COMMENT ON COLUMN raw.ingest_rejects.uri IS 'The source';
COMMENT ON COLUMN raw.ingest_rejects.error IS 'Why it was refused';
COMMENT ON COLUMN raw.ingest_rejects.rejected_at IS 'When it was first refused, UTC';

CREATE TABLE raw.ingest_conflicts (
    namespace VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    event_id BIGINT NOT NULL,
    kept_hash UBIGINT NOT NULL,
    other_hash UBIGINT NOT NULL,
    source_sha256 VARCHAR NOT NULL,
    uri VARCHAR NOT NULL,
    found_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE raw.ingest_conflicts IS 'Events that a later source tells differently; the first account was kept, nothing of the later source was stored';
COMMENT ON COLUMN raw.ingest_conflicts.namespace IS 'Temporal namespace of the run';
COMMENT ON COLUMN raw.ingest_conflicts.workflow_id IS 'Workflow id of the run';
COMMENT ON COLUMN raw.ingest_conflicts.run_id IS 'Run id of the run';
COMMENT ON COLUMN raw.ingest_conflicts.event_id IS 'The event that differs';
COMMENT ON COLUMN raw.ingest_conflicts.kept_hash IS 'Content hash of the event in core.events';
COMMENT ON COLUMN raw.ingest_conflicts.other_hash IS 'Content hash of the event in the later source';
COMMENT ON COLUMN raw.ingest_conflicts.source_sha256 IS 'SHA-256 of the later source, hex';
COMMENT ON COLUMN raw.ingest_conflicts.uri IS 'The later source';
COMMENT ON COLUMN raw.ingest_conflicts.found_at IS 'When it was found, UTC';

CREATE TABLE raw.archive (
    sha256 VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    n_bytes BIGINT NOT NULL,
    file VARCHAR NOT NULL
);
COMMENT ON TABLE raw.archive IS 'Raw histories in the archive folder beside the warehouse; the warehouse can be rebuilt from them';
COMMENT ON COLUMN raw.archive.sha256 IS 'SHA-256 of the uncompressed history, hex';
COMMENT ON COLUMN raw.archive.format IS 'Format of the raw history';
COMMENT ON COLUMN raw.archive.n_bytes IS 'Uncompressed size in bytes';
COMMENT ON COLUMN raw.archive.file IS 'File inside the archive folder, zstd-compressed';

CREATE TABLE raw.spooled (
    batch_id VARCHAR NOT NULL,
    applied_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE raw.spooled IS 'Ledger of the spool: batches that were stored, so that a crash cannot store one twice';
COMMENT ON COLUMN raw.spooled.batch_id IS 'Name of the batch file';
COMMENT ON COLUMN raw.spooled.applied_at IS 'When it was stored, UTC';

CREATE TABLE raw.metric_points (
    time_unix_nano TIMESTAMP_NS NOT NULL,
    name VARCHAR NOT NULL,
    unit VARCHAR,
    metric_type VARCHAR NOT NULL,
    value DOUBLE,
    count BIGINT,
    service_name VARCHAR,
    metric_attributes VARCHAR NOT NULL,
    resource_attributes VARCHAR NOT NULL
);
COMMENT ON TABLE raw.metric_points IS 'Metric data points as OTLP brought them';
COMMENT ON COLUMN raw.metric_points.time_unix_nano IS 'Time of the point, UTC';
COMMENT ON COLUMN raw.metric_points.name IS 'Metric name';
COMMENT ON COLUMN raw.metric_points.unit IS 'Unit, such as s or {token}';
COMMENT ON COLUMN raw.metric_points.metric_type IS 'gauge, sum, histogram, exponential_histogram or summary';
COMMENT ON COLUMN raw.metric_points.value IS 'Value of a gauge or sum, sum of a histogram or summary';
COMMENT ON COLUMN raw.metric_points.count IS 'Observations in a histogram or summary, NULL for gauges and sums';
COMMENT ON COLUMN raw.metric_points.service_name IS 'Service that sent it';
COMMENT ON COLUMN raw.metric_points.metric_attributes IS 'Attributes of the point, JSON object';
COMMENT ON COLUMN raw.metric_points.resource_attributes IS 'Attributes of the resource, JSON object';
