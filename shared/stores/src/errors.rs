//! What can go wrong in a store, and the one table of what to do about it.

use std::error::Error as StdError;

/// What a caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The server cannot be reached or cannot serve anybody now: wait for it, spend no attempt.
    Outage,
    /// This statement was unlucky: try it again after a moment.
    Retry,
    /// Nothing changes until a person, or other data, does.
    Fatal,
}

/// An error of a store. Its text names the thing, the value and the remedy; the cause is its source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// ClickHouse refused or could not be reached.
    #[error("clickhouse: {what}")]
    ClickHouse {
        /// What was being done.
        what: String,
        /// The server's code, if it answered.
        code: Option<i32>,
        /// What the server or the network said.
        #[source]
        source: clickhouse::error::Error,
    },
    /// ClickHouse did not answer in time.
    #[error("clickhouse: {what}: no answer for {seconds} s")]
    ClickHouseSilent {
        /// What was being done.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// MySQL refused or could not be reached.
    #[error("mysql: {what}")]
    MySql {
        /// What was being done.
        what: String,
        /// What the server or the network said.
        #[source]
        source: mysql_async::Error,
    },
    /// MySQL did not answer in time.
    #[error("mysql: {what}: no answer for {seconds} s")]
    MySqlSilent {
        /// What was being done.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// An answer that is not what its statement must give.
    #[error("{what}: unexpected answer: {why}")]
    Answer {
        /// What was being read.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A table or column that cannot be used as it is.
    #[error("{0}")]
    Schema(SchemaError),
    /// Two different welds of one attempt have the same `key_hash`.
    #[error(
        "two welds of one range have the same key hash {key_hash}: `{first}` and `{second}`; split the range between them"
    )]
    HashCollision {
        /// The shared hash.
        key_hash: u64,
        /// The smaller key.
        first: String,
        /// The larger key.
        second: String,
    },
    /// A `record_id` that cannot be named.
    #[error(
        "record_id is not utf-8 or longer than 512 bytes: 0x{hex}…; the scheduler's next pass marks such rows invalid"
    )]
    RecordId {
        /// Its first bytes.
        hex: String,
    },
    /// The server or a setting cannot do what is asked.
    #[error("{what}; {remedy}")]
    Refused {
        /// What cannot be done.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// A file could not be written or read.
    #[error("{what}: {path}")]
    File {
        /// What was being done.
        what: &'static str,
        /// To which file.
        path: std::path::PathBuf,
        /// Why not.
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
    /// What is wrong, with names and types.
    pub problem: String,
    /// What to do about it.
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

/// ClickHouse's codes that are not [`Class::Fatal`], by class.
pub const CLICKHOUSE_CODES: &[(i32, Class, &str)] = &[
    (32, Class::Outage, "ATTEMPT_TO_READ_AFTER_EOF"),
    (95, Class::Outage, "CANNOT_READ_FROM_SOCKET"),
    (96, Class::Outage, "CANNOT_WRITE_TO_SOCKET"),
    (159, Class::Retry, "TIMEOUT_EXCEEDED"),
    (198, Class::Outage, "DNS_ERROR"),
    (201, Class::Outage, "QUOTA_EXCEEDED"),
    (202, Class::Outage, "TOO_MANY_SIMULTANEOUS_QUERIES"),
    (203, Class::Outage, "NO_FREE_CONNECTION"),
    (209, Class::Outage, "SOCKET_TIMEOUT"),
    (210, Class::Outage, "NETWORK_ERROR"),
    (225, Class::Outage, "NO_ZOOKEEPER"),
    (232, Class::Retry, "NO_SUCH_DATA_PART"),
    (234, Class::Outage, "NO_REPLICA_HAS_PART"),
    (236, Class::Outage, "ABORTED"),
    (241, Class::Retry, "MEMORY_LIMIT_EXCEEDED"),
    (242, Class::Outage, "TABLE_IS_READ_ONLY"),
    (243, Class::Outage, "NOT_ENOUGH_SPACE"),
    (244, Class::Outage, "UNEXPECTED_ZOOKEEPER_ERROR"),
    (252, Class::Outage, "TOO_MANY_PARTS"),
    (254, Class::Outage, "NO_ACTIVE_REPLICAS"),
    (265, Class::Outage, "NO_AVAILABLE_REPLICA"),
    (279, Class::Outage, "ALL_CONNECTION_TRIES_FAILED"),
    (285, Class::Outage, "TOO_FEW_LIVE_REPLICAS"),
    (286, Class::Outage, "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE"),
    (289, Class::Outage, "REPLICA_IS_NOT_IN_QUORUM"),
    (319, Class::Retry, "UNKNOWN_STATUS_OF_INSERT"),
    (341, Class::Retry, "UNFINISHED"),
    (364, Class::Outage, "RECEIVED_ERROR_TOO_MANY_REQUESTS"),
    (369, Class::Outage, "ALL_REPLICAS_ARE_STALE"),
    (384, Class::Retry, "PART_IS_TEMPORARILY_LOCKED"),
    (394, Class::Retry, "QUERY_WAS_CANCELLED"),
    (416, Class::Retry, "REPLICA_STATUS_CHANGED"),
    (439, Class::Outage, "CANNOT_SCHEDULE_TASK"),
    (473, Class::Retry, "DEADLOCK_AVOIDED"),
    (499, Class::Outage, "S3_ERROR"),
    (659, Class::Retry, "UNKNOWN_STATUS_OF_TRANSACTION"),
    (677, Class::Retry, "THREAD_WAS_CANCELED"),
    (692, Class::Retry, "TOO_MANY_MUTATIONS"),
    (700, Class::Outage, "USER_SESSION_LIMIT_EXCEEDED"),
    (735, Class::Retry, "QUERY_WAS_CANCELLED_BY_CLIENT"),
    (738, Class::Retry, "PART_IS_LOCKED"),
    (745, Class::Outage, "SERVER_OVERLOADED"),
    (749, Class::Outage, "TCP_CONNECTION_LIMIT_REACHED"),
    (762, Class::Outage, "HTTP_CONNECTION_LIMIT_REACHED"),
    (999, Class::Outage, "KEEPER_EXCEPTION"),
];

/// MySQL's and MariaDB's codes that are not [`Class::Fatal`], by class.
pub const MYSQL_CODES: &[(u16, Class, &str)] = &[
    (1021, Class::Outage, "ER_DISK_FULL"),
    (1040, Class::Outage, "ER_CON_COUNT_ERROR"),
    (1041, Class::Outage, "ER_OUT_OF_RESOURCES"),
    (1053, Class::Outage, "ER_SERVER_SHUTDOWN"),
    (1129, Class::Outage, "ER_HOST_IS_BLOCKED"),
    (1114, Class::Outage, "ER_RECORD_FILE_FULL"),
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
    (1290, Class::Outage, "ER_OPTION_PREVENTS_STATEMENT"),
    (1317, Class::Retry, "ER_QUERY_INTERRUPTED"),
    (1412, Class::Retry, "ER_TABLE_DEF_CHANGED"),
    (1836, Class::Outage, "ER_READ_ONLY_MODE"),
    (1927, Class::Outage, "ER_CONNECTION_KILLED"),
    (3024, Class::Retry, "ER_QUERY_TIMEOUT"),
    (3169, Class::Outage, "ER_SESSION_WAS_KILLED"),
    (4031, Class::Outage, "ER_CLIENT_INTERACTION_TIMEOUT"),
];

impl StoreError {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::ClickHouse { code, source, .. } => clickhouse_class(*code, source),
            Self::ClickHouseSilent { .. } | Self::MySqlSilent { .. } => Class::Outage,
            Self::MySql { source, .. } => mysql_class(source),
            Self::File { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Class::Outage
                }
                std::io::ErrorKind::Interrupted => Class::Retry,
                _ => Class::Fatal,
            },
            Self::Answer { .. }
            | Self::Schema(_)
            | Self::HashCollision { .. }
            | Self::RecordId { .. }
            | Self::Refused { .. } => Class::Fatal,
        }
    }

    /// Whether to wait for the server and spend no attempt.
    pub fn is_outage(&self) -> bool {
        self.class() == Class::Outage
    }

    /// The error and its causes in one line, for logs and job fields.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
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
            ("Code: 60. DB::Exception: Unknown table", Class::Fatal),
            ("Code: 241. DB::Exception: Memory limit", Class::Retry),
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
    fn a_chain_says_everything_once() {
        assert_eq!(
            answered("Code: 60. gone").chain(),
            "clickhouse: test: bad response: Code: 60. gone"
        );
    }
}
