-- The schemas, and what this file itself is made of.
CREATE SCHEMA raw;
CREATE SCHEMA core;
CREATE SCHEMA mart;
CREATE SCHEMA ref;

CREATE TABLE ref.schema_version (
    number INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    applied_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE ref.schema_version IS 'Schema files that were applied to this warehouse';
COMMENT ON COLUMN ref.schema_version.number IS 'Number of the file; below 100 for tables, from 100 for views and macros';
COMMENT ON COLUMN ref.schema_version.name IS 'Name of the file';
COMMENT ON COLUMN ref.schema_version.sha256 IS 'SHA-256 of the file, hex';
COMMENT ON COLUMN ref.schema_version.applied_at IS 'When it was applied, UTC';
