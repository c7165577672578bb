//! Settings that go with every statement.

/// Conditions of tables that the server adds to each statement.
pub(super) const FILTERS: &str = "additional_table_filters";

/// Settings on which the meaning of our statements depends, sent with each of them: a profile of the server, of the
/// account or of an old `compatibility` must not change an answer. Every server that has lightweight UPDATE knows them.
///
/// Limits of a profile stay as they are, but a limit must be an error: what is cut off at one (`break`) would be taken
/// for all there is.
pub const PINNED: &[(&str, &str)] = &[
    // How a statement is read.
    ("dialect", "clickhouse"),
    ("enable_analyzer", "1"),
    ("enable_positional_arguments", "1"),
    ("max_query_size", "33554432"),
    // A plant's column may be called what an alias of ours is called.
    ("prefer_column_name_to_alias", "1"),
    // Which rows there are: with the verdicts that were committed, without those that the plant deleted, as they are
    // stored.
    ("apply_patch_parts", "1"),
    ("apply_deleted_mask", "1"),
    ("apply_mutations_on_fly", "0"),
    ("final", "0"),
    ("do_not_merge_across_partitions_select_final", "0"),
    (FILTERS, "{}"),
    ("additional_result_filter", ""),
    ("limit", "0"),
    ("offset", "0"),
    ("extremes", "0"),
    ("use_query_cache", "0"),
    ("enable_parallel_replicas", "0"),
    ("empty_result_for_aggregation_by_empty_set", "0"),
    ("force_primary_key", "0"),
    ("force_index_by_date", "0"),
    // A limit is an error, never an end.
    ("read_overflow_mode", "throw"),
    ("read_overflow_mode_leaf", "throw"),
    ("group_by_overflow_mode", "throw"),
    ("sort_overflow_mode", "throw"),
    ("distinct_overflow_mode", "throw"),
    ("set_overflow_mode", "throw"),
    ("join_overflow_mode", "throw"),
    ("transfer_overflow_mode", "throw"),
    ("result_overflow_mode", "throw"),
    ("timeout_overflow_mode", "throw"),
    // What values mean.
    ("session_timezone", ""),
    ("date_time_output_format", "simple"),
    ("date_time_overflow_behavior", "ignore"),
    ("enable_extended_results_for_datetime_functions", "0"),
    ("precise_float_parsing", "1"),
    ("join_use_nulls", "0"),
    ("transform_null_in", "0"),
    ("cast_keep_nullable", "0"),
    ("aggregate_functions_null_for_empty", "0"),
    ("use_variant_as_common_type", "0"),
    // What goes over the wire. LZ4 at the level that is the default packs no better and costs twenty times the query.
    ("http_zlib_compression_level", "1"),
    ("output_format_native_encode_types_in_binary_format", "0"),
    ("input_format_native_decode_types_in_binary_format", "0"),
    ("output_format_native_write_json_as_string", "0"),
    ("output_format_binary_encode_types_in_binary_format", "0"),
    ("input_format_binary_decode_types_in_binary_format", "0"),
    // When and how something is written: there when the server says so, and as it was given.
    ("async_insert", "0"),
    ("insert_null_as_default", "1"),
    ("input_format_null_as_default", "1"),
    ("input_format_defaults_for_omitted_fields", "1"),
    ("data_type_default_nullable", "0"),
    ("alter_sync", "1"),
    // Updates that write what others read wait for each other: the guard of a write-back relies on it. They wait as
    // long as a job may by default.
    ("allow_experimental_lightweight_update", "1"),
    ("update_parallel_mode", "auto"),
    ("update_sequential_consistency", "1"),
    ("lock_acquire_timeout", "600"),
];
