-- Backfill runs. The last version of a row counts; read with FINAL.
CREATE TABLE {weld_runs}
(
    run UInt64 COMMENT 'id, reads as UTC time YYYYMMDDhhmmssSSS; later runs have larger ids',
    request String COMMENT 'who asked; tells two runs apart that got one id at one moment',
    `from` UInt32 COMMENT 'first day',
    `to` UInt32 COMMENT 'last day',
    force UInt8 COMMENT '1: rows that have a verdict too',
    status String COMMENT 'only rows with one of these statuses, comma-separated',
    state LowCardinality(String) COMMENT 'open, held, cancelled, closed, or void: never begun',
    requested_at DateTime64(3),
    closed_at Nullable(DateTime64(3)) COMMENT 'when it was closed or cancelled',
    version UInt64,
    {steering_columns}
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (run, request)
