-- Results of attempts, by fencing token, until their copy to the rows is old enough.
-- No column is Nullable: groupArray would skip NULLs and shift columns against each other. NaN and empty text: none.
CREATE TABLE {weld_results}
(
    token UInt64,
    key_hash UInt64 COMMENT 'cityHash64 of the row: its key, _partition_id, _block_number, _block_offset',
    run UInt64,
    day UInt32,
    job String,
    created DateTime DEFAULT now(),
    {result_columns},
    INDEX day_range day TYPE minmax
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(created)
ORDER BY (token, key_hash)
TTL created + toIntervalSecond({results_ttl})
SETTINGS ttl_only_drop_parts = 1, index_granularity = 1024, ratio_of_defaults_for_sparse_serialization = 1
