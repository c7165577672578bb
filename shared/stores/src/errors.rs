//! What can go wrong in a store, and the one table of what to do about it.

mod codes;

use std::{
    error::Error as StdError,
    path::{Path, PathBuf},
};

pub use codes::{CLICKHOUSE_CODES, MYSQL_CODES};

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
        path: PathBuf,
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

impl SchemaFault {
    pub(crate) fn new(
        key: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl std::fmt::Display for SchemaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let faults = self.faults.iter().map(|fault| {
            let (key, table) = (&fault.key, &self.table);
            format!(
                "{key}: table `{table}`: {}; {}",
                fault.problem, fault.remedy
            )
        });
        f.write_str(&faults.collect::<Vec<_>>().join("\n"))
    }
}

/// Letters of the longest [`StoreError::words`], the code's name aside.
const MOST_WORDS: usize = 200;

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
        self.mysql_code().is_some() && !matches!(self.class(), Class::Outage | Class::Refused)
    }

    /// Whether a lock was waited for long enough.
    pub(crate) fn is_locked(&self) -> bool {
        self.mysql_code() == Some(1205)
    }

    pub(crate) fn mysql_code(&self) -> Option<u16> {
        self.mysql_server().map(|server| server.code)
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
        self.mysql_code() == Some(1062)
    }

    /// Whether what was to be made is there already: a table, a column, a key.
    pub(crate) fn is_there_already(&self) -> bool {
        matches!(self, Self::ClickHouse { code: Some(57), .. })
            || matches!(self.mysql_code(), Some(1050 | 1060 | 1061))
    }

    /// What a person can do about it, where the error's own text does not say.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::ClickHouse { code, .. } => codes::clickhouse_remedy((*code)?, &self.chain()),
            _ => codes::mysql_remedy(self.mysql_code()?),
        }
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

    pub(crate) fn schema(table: &str, faults: Vec<SchemaFault>) -> Self {
        StoreError::Schema(SchemaError {
            table: table.to_owned(),
            faults,
        })
    }

    /// A failure with a file, of which `bytes` were to be written.
    pub(crate) fn file(
        what: &'static str,
        path: &Path,
        bytes: u64,
    ) -> impl Fn(std::io::Error) -> Self {
        move |source| StoreError::File {
            what,
            path: path.to_owned(),
            bytes,
            source,
        }
    }
}

/// Refuses a table that has faults.
pub(crate) fn refuse_faults(table: &str, faults: Vec<SchemaFault>) -> Result<(), StoreError> {
    match faults.is_empty() {
        true => Ok(()),
        false => Err(StoreError::schema(table, faults)),
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
        (Some(code), _) => codes::clickhouse_class(code),
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
        Error::Server(server) => codes::mysql_class(server.code),
        Error::Driver(DriverError::ConnectionClosed | DriverError::PoolDisconnected) => {
            Class::Outage
        }
        _ => Class::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        codes::{EITHER_REMEDY, MIRROR_REMEDY, OWN_REMEDY, REMEDIES},
        *,
    };

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
