//! The servers' codes: what to do about each, and what a person can do.

use super::Class;

/// ClickHouse's codes that are not [`Class::Fatal`], by class. What is not here is not guessed: whoever meets it asks
/// the server whether it does the same kind of statement for other rows.
pub const CLICKHOUSE_CODES: &[(i32, Class, &str)] = &[
    (6, Class::Data, "CANNOT_PARSE_TEXT"),
    (8, Class::Refused, "THERE_IS_NO_COLUMN"),
    (10, Class::Refused, "NOT_FOUND_COLUMN_IN_BLOCK"),
    (15, Class::Refused, "DUPLICATE_COLUMN"),
    (16, Class::Refused, "NO_SUCH_COLUMN_IN_TABLE"),
    (19, Class::Data, "SIZE_OF_FIXED_STRING_DOESNT_MATCH"),
    (20, Class::Refused, "NUMBER_OF_COLUMNS_DOESNT_MATCH"),
    (25, Class::Data, "CANNOT_PARSE_ESCAPE_SEQUENCE"),
    (26, Class::Data, "CANNOT_PARSE_QUOTED_STRING"),
    (27, Class::Data, "CANNOT_PARSE_INPUT_ASSERTION_FAILED"),
    (38, Class::Data, "CANNOT_PARSE_DATE"),
    (39, Class::Size, "TOO_LARGE_SIZE_COMPRESSED"),
    (41, Class::Data, "CANNOT_PARSE_DATETIME"),
    (43, Class::Refused, "ILLEGAL_TYPE_OF_ARGUMENT"),
    (44, Class::Refused, "ILLEGAL_COLUMN"),
    (46, Class::Refused, "UNKNOWN_FUNCTION"),
    (47, Class::Refused, "UNKNOWN_IDENTIFIER"),
    (48, Class::Refused, "NOT_IMPLEMENTED"),
    (50, Class::Refused, "UNKNOWN_TYPE"),
    (53, Class::Refused, "TYPE_MISMATCH"),
    (60, Class::Refused, "UNKNOWN_TABLE"),
    (62, Class::Refused, "SYNTAX_ERROR"),
    (63, Class::Refused, "UNKNOWN_AGGREGATE_FUNCTION"),
    (69, Class::Data, "ARGUMENT_OUT_OF_BOUND"),
    (70, Class::Data, "CANNOT_CONVERT_TYPE"),
    (72, Class::Data, "CANNOT_PARSE_NUMBER"),
    (81, Class::Refused, "UNKNOWN_DATABASE"),
    (95, Class::Outage, "CANNOT_READ_FROM_SOCKET"),
    (96, Class::Outage, "CANNOT_WRITE_TO_SOCKET"),
    (115, Class::Refused, "UNKNOWN_SETTING"),
    (117, Class::Data, "INCORRECT_DATA"),
    (119, Class::Refused, "ENGINE_REQUIRED"),
    (128, Class::Size, "TOO_LARGE_ARRAY_SIZE"),
    (130, Class::Data, "CANNOT_READ_ARRAY_FROM_TEXT"),
    (131, Class::Size, "TOO_LARGE_STRING_SIZE"),
    (153, Class::Data, "ILLEGAL_DIVISION"),
    (158, Class::Size, "TOO_MANY_ROWS"),
    (159, Class::Size, "TIMEOUT_EXCEEDED"),
    (160, Class::Size, "TOO_SLOW"),
    (164, Class::Refused, "READONLY"),
    (167, Class::Size, "TOO_DEEP_AST"),
    (168, Class::Size, "TOO_BIG_AST"),
    (173, Class::Size, "CANNOT_ALLOCATE_MEMORY"),
    (190, Class::Data, "SIZES_OF_ARRAYS_DONT_MATCH"),
    (191, Class::Size, "SET_SIZE_LIMIT_EXCEEDED"),
    (192, Class::Refused, "UNKNOWN_USER"),
    (193, Class::Refused, "WRONG_PASSWORD"),
    (194, Class::Refused, "REQUIRED_PASSWORD"),
    (195, Class::Refused, "IP_ADDRESS_NOT_ALLOWED"),
    (198, Class::Outage, "DNS_ERROR"),
    (201, Class::Outage, "QUOTA_EXCEEDED"),
    (202, Class::Outage, "TOO_MANY_SIMULTANEOUS_QUERIES"),
    (203, Class::Outage, "NO_FREE_CONNECTION"),
    (204, Class::Outage, "CANNOT_FSYNC"),
    (207, Class::Refused, "AMBIGUOUS_IDENTIFIER"),
    (209, Class::Outage, "SOCKET_TIMEOUT"),
    (210, Class::Outage, "NETWORK_ERROR"),
    (214, Class::Outage, "CANNOT_STATVFS"),
    (218, Class::Refused, "TABLE_IS_DROPPED"),
    (225, Class::Outage, "NO_ZOOKEEPER"),
    (229, Class::Size, "QUERY_IS_TOO_LARGE"),
    (232, Class::Retry, "NO_SUCH_DATA_PART"),
    (234, Class::Outage, "NO_REPLICA_HAS_PART"),
    (236, Class::Outage, "ABORTED"),
    (241, Class::Size, "MEMORY_LIMIT_EXCEEDED"),
    (242, Class::Outage, "TABLE_IS_READ_ONLY"),
    (243, Class::Outage, "NOT_ENOUGH_SPACE"),
    (244, Class::Outage, "UNEXPECTED_ZOOKEEPER_ERROR"),
    (252, Class::Outage, "TOO_MANY_PARTS"),
    (254, Class::Outage, "NO_ACTIVE_REPLICAS"),
    (265, Class::Outage, "NO_AVAILABLE_REPLICA"),
    (277, Class::Refused, "INDEX_NOT_USED"),
    (279, Class::Outage, "ALL_CONNECTION_TRIES_FAILED"),
    (285, Class::Outage, "TOO_FEW_LIVE_REPLICAS"),
    (286, Class::Outage, "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE"),
    (289, Class::Outage, "REPLICA_IS_NOT_IN_QUORUM"),
    (291, Class::Refused, "DATABASE_ACCESS_DENIED"),
    (307, Class::Size, "TOO_MANY_BYTES"),
    (319, Class::Retry, "UNKNOWN_STATUS_OF_INSERT"),
    (321, Class::Data, "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE"),
    (336, Class::Refused, "UNKNOWN_DATABASE_ENGINE"),
    (341, Class::Retry, "UNFINISHED"),
    (344, Class::Refused, "SUPPORT_IS_DISABLED"),
    (346, Class::Data, "CANNOT_CONVERT_CHARSET"),
    (349, Class::Data, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN"),
    (352, Class::Refused, "AMBIGUOUS_COLUMN_NAME"),
    (354, Class::Data, "ZLIB_INFLATE_FAILED"),
    (364, Class::Outage, "RECEIVED_ERROR_TOO_MANY_REQUESTS"),
    (369, Class::Outage, "ALL_REPLICAS_ARE_STALE"),
    (376, Class::Data, "CANNOT_PARSE_UUID"),
    (384, Class::Retry, "PART_IS_TEMPORARILY_LOCKED"),
    (392, Class::Refused, "QUERY_IS_PROHIBITED"),
    (394, Class::Retry, "QUERY_WAS_CANCELLED"),
    (395, Class::Data, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    (396, Class::Size, "TOO_MANY_ROWS_OR_BYTES"),
    (407, Class::Data, "DECIMAL_OVERFLOW"),
    (411, Class::Outage, "PTHREAD_ERROR"),
    (416, Class::Retry, "REPLICA_STATUS_CHANGED"),
    (420, Class::Refused, "CANNOT_UPDATE_COLUMN"),
    (439, Class::Outage, "CANNOT_SCHEDULE_TASK"),
    (441, Class::Data, "CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING"),
    (446, Class::Refused, "FUNCTION_NOT_ALLOWED"),
    (448, Class::Data, "BROTLI_READ_FAILED"),
    (452, Class::Refused, "SETTING_CONSTRAINT_VIOLATION"),
    (467, Class::Data, "CANNOT_PARSE_BOOL"),
    (471, Class::Refused, "INVALID_SETTING_VALUE"),
    (472, Class::Refused, "READONLY_SETTING"),
    (473, Class::Retry, "DEADLOCK_AVOIDED"),
    (492, Class::Refused, "ACCESS_ENTITY_NOT_FOUND"),
    (495, Class::Refused, "ACCESS_STORAGE_READONLY"),
    (496, Class::Refused, "QUOTA_REQUIRES_CLIENT_KEY"),
    (497, Class::Refused, "ACCESS_DENIED"),
    (499, Class::Outage, "S3_ERROR"),
    (508, Class::Refused, "UNKNOWN_ACCESS_TYPE"),
    (511, Class::Refused, "UNKNOWN_ROLE"),
    (512, Class::Refused, "SET_NON_GRANTED_ROLE"),
    (516, Class::Refused, "AUTHENTICATION_FAILED"),
    (524, Class::Refused, "ALTER_OF_COLUMN_IS_FORBIDDEN"),
    (525, Class::Refused, "INCORRECT_DISK_INDEX"),
    (554, Class::Data, "LZMA_STREAM_DECODER_FAILED"),
    (561, Class::Data, "ZSTD_DECODER_FAILED"),
    (563, Class::Data, "CANNOT_READ_MAP_FROM_TEXT"),
    (594, Class::Data, "BZIP2_STREAM_DECODER_FAILED"),
    (620, Class::Refused, "QUERY_NOT_ALLOWED"),
    (632, Class::Data, "UNEXPECTED_DATA_AFTER_PARSED_VALUE"),
    (638, Class::Data, "SNAPPY_UNCOMPRESS_FAILED"),
    (645, Class::Data, "NUMBER_OF_DIMENSIONS_MISMATCHED"),
    (659, Class::Retry, "UNKNOWN_STATUS_OF_TRANSACTION"),
    (673, Class::Refused, "RESOURCE_ACCESS_DENIED"),
    (675, Class::Data, "CANNOT_PARSE_IPV4"),
    (676, Class::Data, "CANNOT_PARSE_IPV6"),
    (677, Class::Retry, "THREAD_WAS_CANCELED"),
    (691, Class::Data, "UNKNOWN_ELEMENT_OF_ENUM"),
    (692, Class::Retry, "TOO_MANY_MUTATIONS"),
    (700, Class::Outage, "USER_SESSION_LIMIT_EXCEEDED"),
    (703, Class::Refused, "INVALID_IDENTIFIER"),
    (720, Class::Refused, "USER_EXPIRED"),
    (727, Class::Refused, "UNEXPECTED_TABLE_ENGINE"),
    (733, Class::Outage, "TABLE_IS_BEING_RESTARTED"),
    (735, Class::Retry, "QUERY_WAS_CANCELLED_BY_CLIENT"),
    (738, Class::Retry, "PART_IS_LOCKED"),
    (741, Class::Refused, "TABLE_UUID_MISMATCH"),
    (745, Class::Outage, "SERVER_OVERLOADED"),
    (749, Class::Outage, "TCP_CONNECTION_LIMIT_REACHED"),
    (755, Class::Outage, "TOO_LARGE_LIGHTWEIGHT_UPDATES"),
    (760, Class::Data, "UNICODE_ERROR"),
    (762, Class::Outage, "HTTP_CONNECTION_LIMIT_REACHED"),
    (763, Class::Refused, "SESSION_REFUSED"),
    (765, Class::Refused, "UNKNOWN_MASKING_POLICY"),
    (767, Class::Refused, "REQUIRED_SECOND_FACTOR"),
    (774, Class::Refused, "TABLE_IS_PERMANENTLY_READ_ONLY"),
    (776, Class::Outage, "RESOURCE_LIMIT_EXCEEDED"),
    (777, Class::Size, "MEMORY_RESERVATION_KILLED"),
    (778, Class::Size, "MEMORY_RESERVATION_FAILED"),
    (999, Class::Outage, "KEEPER_EXCEPTION"),
];

/// MySQL's and MariaDB's codes that are not [`Class::Fatal`], by class.
pub const MYSQL_CODES: &[(u16, Class, &str)] = &[
    (1021, Class::Outage, "ER_DISK_FULL"),
    (1040, Class::Outage, "ER_CON_COUNT_ERROR"),
    (1041, Class::Outage, "ER_OUT_OF_RESOURCES"),
    (1044, Class::Refused, "ER_DBACCESS_DENIED_ERROR"),
    (1045, Class::Refused, "ER_ACCESS_DENIED_ERROR"),
    (1049, Class::Refused, "ER_BAD_DB_ERROR"),
    (1053, Class::Outage, "ER_SERVER_SHUTDOWN"),
    (1054, Class::Refused, "ER_BAD_FIELD_ERROR"),
    (1064, Class::Refused, "ER_PARSE_ERROR"),
    (1129, Class::Outage, "ER_HOST_IS_BLOCKED"),
    (1114, Class::Outage, "ER_RECORD_FILE_FULL"),
    (1142, Class::Refused, "ER_TABLEACCESS_DENIED_ERROR"),
    (1143, Class::Refused, "ER_COLUMNACCESS_DENIED_ERROR"),
    (1146, Class::Refused, "ER_NO_SUCH_TABLE"),
    (1152, Class::Outage, "ER_ABORTING_CONNECTION"),
    (1158, Class::Outage, "ER_NET_READ_ERROR"),
    (1159, Class::Outage, "ER_NET_READ_INTERRUPTED"),
    (1160, Class::Outage, "ER_NET_ERROR_ON_WRITE"),
    (1161, Class::Outage, "ER_NET_WRITE_INTERRUPTED"),
    (1184, Class::Outage, "ER_NEW_ABORTING_CONNECTION"),
    (1203, Class::Outage, "ER_TOO_MANY_USER_CONNECTIONS"),
    (1205, Class::Retry, "ER_LOCK_WAIT_TIMEOUT"),
    (1213, Class::Retry, "ER_LOCK_DEADLOCK"),
    (1226, Class::Outage, "ER_USER_LIMIT_REACHED"),
    (1227, Class::Refused, "ER_SPECIFIC_ACCESS_DENIED_ERROR"),
    (1290, Class::Outage, "ER_OPTION_PREVENTS_STATEMENT"),
    (1317, Class::Retry, "ER_QUERY_INTERRUPTED"),
    (1356, Class::Refused, "ER_VIEW_INVALID"),
    (1364, Class::Refused, "ER_NO_DEFAULT_FOR_FIELD"),
    (1412, Class::Retry, "ER_TABLE_DEF_CHANGED"),
    (1449, Class::Refused, "ER_NO_SUCH_USER"),
    (1820, Class::Refused, "ER_MUST_CHANGE_PASSWORD"),
    (1836, Class::Outage, "ER_READ_ONLY_MODE"),
    (1927, Class::Outage, "ER_CONNECTION_KILLED"),
    (1969, Class::Retry, "ER_STATEMENT_TIMEOUT"),
    (3024, Class::Retry, "ER_QUERY_TIMEOUT"),
    (3169, Class::Outage, "ER_SESSION_WAS_KILLED"),
    (4031, Class::Outage, "ER_CLIENT_INTERACTION_TIMEOUT"),
];

/// Tables beside the plant's, which `migrate` makes and completes.
const OWN_TABLES: [&str; 3] = ["weld_results", "weld_runs", "weld_events"];

/// What to do where one of them is missing or lacks a column; where the statement is about the plant's table too; and
/// where it is the mirror's, in MySQL.
pub(super) const OWN_REMEDY: &str = "a table of the fleet's own is missing or lacks a column: `scheduler migrate` creates and completes it";
pub(super) const EITHER_REMEDY: &str = "a table or a column is not what it was: put the plant's back or map it under [columns]; `scheduler migrate` brings the \
     fleet's own back";
pub(super) const MIRROR_REMEDY: &str = "the mirror's table is missing or lacks a column: restore a dump with the reviews first, if they are lost; then \
     `scheduler migrate` creates and completes it";

/// Codes of a table or a column that is not what it was.
const NOT_WHAT_IT_WAS: &[i32] = &[8, 10, 15, 16, 43, 44, 47, 50, 53, 60, 81, 218, 352, 420];

const GRANTS_REMEDY: &str =
    "give the account its grants back: `scheduler migrate --grants` prints all of them";

/// What a person can do about a code of ClickHouse that waits for one.
pub(super) const REMEDIES: &[(&[i32], &str)] = &[
    (
        &[192, 193, 194, 195, 516, 720, 763, 767],
        "compare the user and the password with the server's account",
    ),
    (
        &[164, 291, 446, 497, 508, 511, 512, 620, 673],
        GRANTS_REMEDY,
    ),
    (
        NOT_WHAT_IT_WAS,
        "a table or a column is not what it was: put it back or map it under [columns]; `worker check` names it",
    ),
    (
        &[115, 452, 471, 472],
        "let the account change this setting: the statements depend on it",
    ),
    (
        &[755],
        "patch parts of the table are at their limit: `ALTER TABLE … APPLY PATCHES IN PARTITION` for finished days, or raise its \
         max_uncompressed_bytes_in_patches",
    ),
];

/// The class of a code that may be in the table.
fn class_of<C: PartialEq>(codes: &[(C, Class, &str)], code: C) -> Class {
    let mut codes = codes.iter();
    let found = codes.find(|(known, ..)| *known == code);
    found.map_or(Class::Fatal, |(_, class, _)| *class)
}

pub(super) fn clickhouse_class(code: i32) -> Class {
    class_of(CLICKHOUSE_CODES, code)
}

pub(super) fn mysql_class(code: u16) -> Class {
    class_of(MYSQL_CODES, code)
}

/// What a person can do about a code of ClickHouse; `said` is the whole error.
pub(super) fn clickhouse_remedy(code: i32, said: &str) -> Option<&'static str> {
    if NOT_WHAT_IT_WAS.contains(&code) && OWN_TABLES.iter().any(|table| said.contains(table)) {
        // The commit reads one table and changes the other.
        return Some(match said.contains("UPDATE ") {
            true => EITHER_REMEDY,
            false => OWN_REMEDY,
        });
    }
    let mut remedies = REMEDIES.iter();
    let found = remedies.find(|(codes, _)| codes.contains(&code));
    found.map(|(_, remedy)| *remedy)
}

/// The same about a code of MySQL.
pub(super) fn mysql_remedy(code: u16) -> Option<&'static str> {
    match code {
        // No such column, no such table.
        1054 | 1146 => Some(MIRROR_REMEDY),
        1044 | 1142 | 1143 | 1227 | 1370 => Some(GRANTS_REMEDY),
        _ => None,
    }
}
