//! What can go wrong in a store, and the one table of what to do about it.

use std::error::Error as StdError;

/// What a caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The server cannot be reached or cannot serve anybody now: wait for it, spend no attempt.
    Outage,
    /// The server works, but not for us: a name, a grant, a password, a setting or a limit of an account. The same
    /// whatever the rows: wait for a person, spend no attempt.
    Refused,
    /// This statement was unlucky: try it again after a moment.
    Retry,
    /// The statement was too much for a limit, or for the memory there was: fewer rows may do.
    Size,
    /// A value of a row cannot be read: the others can be without it.
    Data,
    /// Nothing changes until a person, or other data, does; which of the two is not told by the error.
    Fatal,
}

/// An error of a store. Its text names the thing, the value and the remedy; the cause is its source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// ClickHouse refused or could not be reached.
    #[error("clickhouse: {what}")]
    ClickHouse {
        what: String,
        /// The server's code, if it answered.
        code: Option<i32>,
        #[source]
        source: clickhouse::error::Error,
    },
    /// ClickHouse did not answer in time.
    #[error("clickhouse: {what}: no answer for {seconds} s")]
    ClickHouseSilent { what: String, seconds: u64 },
    /// MySQL refused or could not be reached.
    #[error("mysql: {what}")]
    MySql {
        what: String,
        #[source]
        source: mysql_async::Error,
    },
    /// MySQL did not answer in time.
    #[error("mysql: {what}: no answer for {seconds} s")]
    MySqlSilent { what: String, seconds: u64 },
    /// An answer that is not what its statement must give.
    #[error("{what}: unexpected answer: {why}")]
    Answer { what: String, why: String },
    /// A table or column that cannot be used as it is.
    #[error("{0}")]
    Schema(SchemaError),
    /// Two different welds of one attempt have the same `key_hash`.
    #[error(
        "two welds of one range have the same key hash {key_hash}: `{first}` and `{second}`; split the range between them"
    )]
    HashCollision {
        key_hash: u64,
        first: String,
        second: String,
    },
    /// A `record_id` that cannot be named.
    #[error(
        "record_id is not utf-8 or longer than 512 bytes: 0x{hex}…; the scheduler's next pass marks such rows invalid"
    )]
    RecordId { hex: String },
    /// The server or a setting cannot do what is asked.
    #[error("{what}; {remedy}")]
    Refused { what: String, remedy: String },
    /// More bytes of curves than a range may have.
    #[error(
        "curves of more than {limit} bytes ({rows} rows had been read); worker.max_range_bytes bounds them, scheduler.batch_size \
         the rows of a range"
    )]
    RangeBytes {
        limit: u64,
        /// Rows that had been read by then.
        rows: u64,
    },
    /// A file could not be written or read.
    #[error("{what}: {path}")]
    File {
        what: &'static str,
        path: std::path::PathBuf,
        /// Bytes that were to be written; 0 where it was not about bytes.
        bytes: u64,
        #[source]
        source: std::io::Error,
    },
}

/// Everything wrong with the plant's table, found in one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    /// Table that was looked at.
    pub table: String,
    /// One entry for each fault, never empty.
    pub faults: Vec<SchemaFault>,
}

/// One fault of a table or column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFault {
    /// Configuration key that leads there, `columns.record_id`.
    pub key: String,
    pub problem: String,
    pub remedy: String,
}

impl std::fmt::Display for SchemaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, fault) in self.faults.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            write!(
                f,
                "{}: table `{}`: {}; {}",
                fault.key, self.table, fault.problem, fault.remedy
            )?;
        }
        Ok(())
    }
}

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

/// Letters of the longest [`StoreError::words`], the code's name aside.
const MOST_WORDS: usize = 200;

/// Tables beside the plant's, which `migrate` makes and completes.
const OWN_TABLES: [&str; 3] = ["weld_results", "weld_runs", "weld_events"];

/// What to do where one of them is missing or lacks a column; where the statement is about the plant's table too; and
/// where it is the mirror's, in MySQL.
const OWN_REMEDY: &str = "a table of the fleet's own is missing or lacks a column: `scheduler migrate` creates and completes it";
const EITHER_REMEDY: &str = "a table or a column is not what it was: put the plant's back or map it under [columns]; `scheduler migrate` brings the \
     fleet's own back";
const MIRROR_REMEDY: &str = "the mirror's table is missing or lacks a column: restore a dump with the reviews first, if they are lost; then \
     `scheduler migrate` creates and completes it";

/// Codes of a table or a column that is not what it was.
const NOT_WHAT_IT_WAS: &[i32] = &[8, 10, 15, 16, 43, 44, 47, 50, 53, 60, 81, 218, 352, 420];

const GRANTS_REMEDY: &str =
    "give the account its grants back: `scheduler migrate --grants` prints all of them";

/// What a person can do about a code of ClickHouse that waits for one.
const REMEDIES: &[(&[i32], &str)] = &[
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

impl StoreError {
    pub fn class(&self) -> Class {
        match self {
            Self::ClickHouse { code, source, .. } => clickhouse_class(*code, source),
            Self::ClickHouseSilent { .. } | Self::MySqlSilent { .. } => Class::Outage,
            Self::MySql { source, .. } => mysql_class(source),
            Self::RangeBytes { .. } | Self::HashCollision { .. } => Class::Data,
            Self::File { source, .. } => file_class(source),
            Self::Answer { .. }
            | Self::Schema(_)
            | Self::RecordId { .. }
            | Self::Refused { .. } => Class::Fatal,
        }
    }

    /// Whether to wait for the server and spend no attempt.
    pub fn is_outage(&self) -> bool {
        self.class() == Class::Outage
    }

    /// Whether a store did not answer in time.
    pub fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::ClickHouseSilent { .. } | Self::MySqlSilent { .. }
        )
    }

    /// Whether MySQL answered that it does not do this statement for rows of it, as far as can be told: with other rows
    /// it may.
    pub(crate) fn may_be_of_rows(&self) -> bool {
        self.mysql_server().is_some() && !matches!(self.class(), Class::Outage | Class::Refused)
    }

    /// Whether a lock was waited for long enough.
    pub(crate) fn is_locked(&self) -> bool {
        self.mysql_server()
            .is_some_and(|server| server.code == 1205)
    }

    fn mysql_server(&self) -> Option<&mysql_async::ServerError> {
        match self {
            Self::MySql {
                source: mysql_async::Error::Server(server),
                ..
            } => Some(server),
            _ => None,
        }
    }

    /// What MySQL said, without our statement's name and not for ever.
    pub(crate) fn said(&self) -> String {
        match self.mysql_server() {
            Some(server) => {
                let words: String = server.message.chars().take(MOST_WORDS).collect();
                format!("{words} ({})", server.code)
            }
            None => self.words(),
        }
    }

    /// Whether MySQL refuses to have two rows of one key.
    pub fn is_twin(&self) -> bool {
        matches!(self, Self::MySql { source: mysql_async::Error::Server(server), .. } if server.code == 1062)
    }

    /// What a person can do about it, where the error's own text does not say.
    pub fn remedy(&self) -> Option<&'static str> {
        let code = match self {
            Self::ClickHouse { code, .. } => (*code)?,
            // No such column, no such table.
            Self::MySql {
                source: mysql_async::Error::Server(server),
                ..
            } => {
                return match server.code {
                    1054 | 1146 => Some(MIRROR_REMEDY),
                    1044 | 1142 | 1143 | 1227 | 1370 => Some(GRANTS_REMEDY),
                    _ => None,
                };
            }
            _ => return None,
        };
        if NOT_WHAT_IT_WAS.contains(&code) {
            let said = self.chain();
            if OWN_TABLES.iter().any(|table| said.contains(table)) {
                // The commit reads one table and changes the other.
                return Some(match said.contains("UPDATE ") {
                    true => EITHER_REMEDY,
                    false => OWN_REMEDY,
                });
            }
        }
        REMEDIES
            .iter()
            .find(|(codes, _)| codes.contains(&code))
            .map(|(_, remedy)| *remedy)
    }

    /// The error, its causes and what to do about it in one line, for `/readyz`.
    pub fn chain_and_remedy(&self) -> String {
        let mut text = self.chain();
        if let Some(remedy) = self.remedy() {
            text.push_str("; ");
            text.push_str(remedy);
        }
        text
    }

    /// What the server said, without its version, its stack and the text of our statement, and not for ever.
    pub fn words(&self) -> String {
        let text = self.chain();
        let text = text
            .split_once("DB::Exception: ")
            .map_or(text.as_str(), |(_, said)| said);
        let text = text.split(" (version ").next().unwrap_or(text);
        let (text, name) = match text.rsplit_once(" (") {
            Some((text, name)) if name.ends_with(')') && !name.contains(' ') => {
                (text, format!(" ({name}"))
            }
            _ => (text, String::new()),
        };
        let end = [
            ": In scope ",
            ": while executing ",
            ": While executing ",
            ": (while ",
        ]
        .iter()
        .filter_map(|start| text.find(start))
        .min()
        .unwrap_or(text.len());
        let mut short: String = text[..end].chars().take(MOST_WORDS).collect();
        if short.len() < end {
            short.push('…');
        }
        short + &name
    }

    /// The error and its causes in one line, for logs and job fields.
    pub fn chain(&self) -> String {
        chain(self)
    }

    pub(crate) fn clickhouse(
        what: impl Into<String>,
        source: clickhouse::error::Error,
    ) -> StoreError {
        StoreError::ClickHouse {
            what: what.into(),
            code: clickhouse_code(&source),
            source,
        }
    }

    pub(crate) fn mysql(what: impl Into<String>, source: impl Into<mysql_async::Error>) -> Self {
        StoreError::MySql {
            what: what.into(),
            source: source.into(),
        }
    }

    pub(crate) fn answer(what: impl Into<String>, why: impl Into<String>) -> Self {
        StoreError::Answer {
            what: what.into(),
            why: why.into(),
        }
    }

    pub(crate) fn refused(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        StoreError::Refused {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = error.to_string();
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = error.source();
    }
    text
}

/// The server's code out of `Code: 60. DB::Exception: …`.
fn clickhouse_code(error: &clickhouse::error::Error) -> Option<i32> {
    let clickhouse::error::Error::BadResponse(text) = error else {
        return None;
    };
    let digits = text.split_once("Code: ")?.1;
    let end = digits
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

fn clickhouse_class(code: Option<i32>, error: &clickhouse::error::Error) -> Class {
    use clickhouse::error::Error;
    match (code, error) {
        (Some(code), _) => CLICKHOUSE_CODES
            .iter()
            .find(|(known, ..)| *known == code)
            .map_or(Class::Fatal, |(_, class, _)| *class),
        (None, Error::Network(_) | Error::TimedOut | Error::NotEnoughData) => Class::Outage,
        // A proxy in front of a server that is away.
        (None, Error::BadResponse(text))
            if ["502", "503", "504", "429"]
                .iter()
                .any(|status| text.starts_with(status)) =>
        {
            Class::Outage
        }
        _ => Class::Fatal,
    }
}

/// No error of a file says anything about the rows that were to be in it. What goes by itself is an outage; what waits
/// for a person (a folder that is none, a right that is missing) is refused.
fn file_class(error: &std::io::Error) -> Class {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::AlreadyExists
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput
        | ErrorKind::Unsupported
        | ErrorKind::FileTooLarge
        | ErrorKind::TooManyLinks => Class::Refused,
        _ if error.raw_os_error() == Some(ELOOP) => Class::Refused,
        _ => Class::Outage,
    }
}

/// Too many levels of symbolic links; `ErrorKind` has no stable name for it.
const ELOOP: i32 = 40;

fn mysql_class(error: &mysql_async::Error) -> Class {
    use mysql_async::{DriverError, Error};
    match error {
        Error::Io(_) => Class::Outage,
        Error::Server(server) => MYSQL_CODES
            .iter()
            .find(|(known, ..)| *known == server.code)
            .map_or(Class::Fatal, |(_, class, _)| *class),
        Error::Driver(DriverError::ConnectionClosed | DriverError::PoolDisconnected) => {
            Class::Outage
        }
        _ => Class::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(text: &str) -> StoreError {
        StoreError::clickhouse("test", clickhouse::error::Error::BadResponse(text.into()))
    }

    #[test]
    fn every_code_is_listed_once_and_in_order() {
        assert!(CLICKHOUSE_CODES.is_sorted_by(|a, b| a.0 < b.0));
        let mut codes: Vec<u16> = MYSQL_CODES.iter().map(|entry| entry.0).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), MYSQL_CODES.len());
    }

    #[test]
    fn classes_follow_the_table() {
        for (text, class) in [
            ("Code: 60. DB::Exception: Unknown table", Class::Refused),
            ("Code: 241. DB::Exception: Memory limit", Class::Size),
            ("Code: 72. DB::Exception: Cannot read", Class::Data),
            ("Code: 4711. DB::Exception: New in 30.1", Class::Fatal),
            (
                "Code: 236. DB::Exception: Shutdown is called",
                Class::Outage,
            ),
            ("503 Service Unavailable", Class::Outage),
            ("404 Not Found", Class::Fatal),
        ] {
            assert_eq!(answered(text).class(), class, "{text}");
        }
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let error = StoreError::mysql("test", mysql_async::Error::from(reset));
        assert_eq!(error.class(), Class::Outage);
    }

    #[test]
    fn a_failure_that_a_person_must_see_to_is_never_the_rows_and_says_what_to_do() {
        for code in [16, 47, 60, 164, 192, 193, 452, 497, 516, 755] {
            let error = answered(&format!("Code: {code}. DB::Exception: no"));
            assert_eq!(error.is_outage(), code == 755, "{code}");
            let text = error.chain_and_remedy();
            assert!(text.contains("; "), "{text}");
        }
        for (codes, _) in REMEDIES {
            for code in *codes {
                let known = CLICKHOUSE_CODES.iter().find(|entry| entry.0 == *code);
                assert!(
                    matches!(known, Some((_, Class::Refused | Class::Outage, _))),
                    "{code} has a remedy and may be the range's"
                );
            }
        }
    }

    /// Each would otherwise be told to put back a table of the plant's, of which nothing is missing.
    #[test]
    fn a_table_of_the_fleets_own_comes_back_by_migrate() {
        for (said, remedy) in [
            (
                "Code: 60. DB::Exception: Table weld.weld_runs does not exist",
                OWN_REMEDY,
            ),
            (
                "Code: 47. DB::Exception: Unknown expression identifier `order` in scope SELECT run FROM weld.weld_runs FINAL",
                OWN_REMEDY,
            ),
            (
                "Code: 47. DB::Exception: Unknown identifier `x` in scope UPDATE spot_records SET defect = 1 WHERE id IN (SELECT id FROM weld_results)",
                EITHER_REMEDY,
            ),
        ] {
            assert_eq!(answered(said).remedy(), Some(remedy), "{said}");
        }
        let plants = answered("Code: 60. DB::Exception: Table weld.spot_records does not exist");
        assert!(
            plants
                .remedy()
                .is_some_and(|remedy| remedy.contains("[columns]"))
        );
        let denied = answered("Code: 497. DB::Exception: weld_runs: Not enough privileges");
        assert!(
            denied
                .remedy()
                .is_some_and(|remedy| remedy.contains("grants"))
        );
        for (code, remedy) in [
            (1146, Some(MIRROR_REMEDY)),
            (1054, Some(MIRROR_REMEDY)),
            (1062, None),
        ] {
            let server = mysql_async::ServerError {
                code,
                message: "no".to_owned(),
                state: "42S02".to_owned(),
            };
            let error = StoreError::mysql("test", mysql_async::Error::Server(server));
            assert_eq!(error.remedy(), remedy, "{code}");
        }
    }

    #[test]
    fn words_are_the_servers_and_short() {
        let said = answered(
            "Code: 72. DB::Exception: Cannot read floating point value here: x]: while executing 'FUNCTION CAST(s :: 1,              'Array(Float32)'_String :: 2) -> CAST(s) Array(Float32) : 0'. (CANNOT_PARSE_NUMBER) (version 26.7.2.1)",
        );
        assert_eq!(
            said.words(),
            "Cannot read floating point value here: x] (CANNOT_PARSE_NUMBER)"
        );
        let long = answered(&format!(
            "Code: 6. DB::Exception: {}. (X)",
            "焊".repeat(500)
        ));
        assert_eq!(long.words().chars().count(), MOST_WORDS + 5);
        assert_eq!(
            answered("Code: 72").words(),
            "clickhouse: test: bad response: Code: 72"
        );
    }

    #[test]
    fn no_error_of_a_file_is_the_rows_fault() {
        let class = |errno| {
            let error = StoreError::File {
                what: "test",
                path: "x".into(),
                bytes: 0,
                source: std::io::Error::from_raw_os_error(errno),
            };
            error.class()
        };
        // Linux: EPERM ENOENT EACCES EEXIST ENOTDIR EISDIR EINVAL EFBIG EROFS EMLINK ENAMETOOLONG ELOOP
        for errno in [1, 2, 13, 17, 20, 21, 22, 27, 30, 31, 36, 40] {
            assert_eq!(class(errno), Class::Refused, "{errno}");
        }
        // EINTR EIO ENXIO EAGAIN ENOMEM EBUSY ENODEV ENFILE EMFILE ENOSPC ENOTCONN ETIMEDOUT EHOSTDOWN ESTALE EREMOTEIO
        // EDQUOT
        for errno in [
            4, 5, 6, 11, 12, 16, 19, 23, 24, 28, 107, 110, 112, 116, 121, 122,
        ] {
            assert_eq!(class(errno), Class::Outage, "{errno}");
        }
    }

    #[test]
    fn a_chain_says_everything_once() {
        assert_eq!(
            answered("Code: 60. gone").chain(),
            "clickhouse: test: bad response: Code: 60. gone"
        );
    }
}
