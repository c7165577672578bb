//! Connection to ClickHouse: one client, settings of a request, time limits.

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use clickhouse::{Client, Compression, RowOwned, RowRead, error::Error, query::BytesCursor};

use super::native::{ChunkSource, Reader};
use crate::errors::StoreError;

/// How long an answer, or the next piece of one, is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server's version; compares as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `26` of 26.7.2.1.
    pub major: u32,
    /// `7` of 26.7.2.1.
    pub minor: u32,
}

impl Version {
    /// The oldest server that has lightweight UPDATE.
    pub const LIGHTWEIGHT_UPDATE: Self = Self {
        major: 25,
        minor: 7,
    };
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.').map(|part| part.parse().map_err(|_| ()));
        Ok(Self {
            major: parts.next().ok_or(())??,
            minor: parts.next().ok_or(())??,
        })
    }
}

/// A ClickHouse server. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Server {
    client: Client,
    /// Without credentials, for people.
    shown_url: String,
    database: String,
    patience: Duration,
}

impl Server {
    /// A client of the configured server; connects with the first request.
    ///
    /// Every table is named with its database, so that the database need not exist yet. Answers are
    /// compressed unless the server is on this machine, where bytes are cheaper than packing them.
    pub fn new(settings: &weldfleet_settings::ClickHouse) -> Self {
        let compression = if is_loopback(&settings.url) {
            Compression::None
        } else {
            Compression::Lz4
        };
        let client = Client::default()
            .with_url(&settings.url)
            .with_user(&settings.user)
            .with_password(settings.password.expose())
            .with_compression(compression)
            .with_product_info("weldfleet", env!("CARGO_PKG_VERSION"));
        Self {
            client,
            shown_url: weldfleet_settings::secret::without_credentials(&settings.url),
            database: settings.database.clone(),
            patience: PATIENCE,
        }
    }

    /// The same server, waited for at most this long.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Database of every table.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Answers when the server does, with these credentials.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.one::<u8>("ping", "SELECT 1").await.map(|_| ())
    }

    /// Whether the server answers anything at all within seconds.
    pub async fn answers_soon(&self) -> bool {
        let ping = self.clone().with_patience(Duration::from_secs(5));
        ping.ping().await.is_ok()
    }

    /// The server's version.
    pub async fn version(&self) -> Result<Version, StoreError> {
        let what = "read the server's version";
        // Without settings and in the oldest format: a server that is too old must still be able to say so.
        let cursor = self
            .client
            .query_raw("SELECT version()")
            .fetch_bytes("TabSeparated")
            .map_err(|error| self.failed(what, error))?;
        let text = self.in_time(what, read_all(cursor)).await?;
        let text = String::from_utf8_lossy(&text);
        text.trim()
            .parse()
            .map_err(|()| StoreError::answer(what, format!("`{}`", text.trim())))
    }

    /// Runs a statement to its end.
    pub async fn execute(&self, what: &str, sql: &str) -> Result<(), StoreError> {
        self.execute_with(what, sql, &[]).await
    }

    pub(crate) async fn execute_with(
        &self,
        what: &str,
        sql: &str,
        settings: &[(&str, &str)],
    ) -> Result<(), StoreError> {
        let mut query = self.client.query_raw(sql);
        for (name, value) in settings {
            query = query.with_setting(*name, *value);
        }
        self.in_time(what, query.execute()).await
    }

    /// All rows of a small answer.
    pub(crate) async fn all<T>(&self, what: &str, sql: &str) -> Result<Vec<T>, StoreError>
    where
        T: RowOwned + RowRead,
    {
        let query = self.query(sql);
        self.in_time(what, query.fetch_all::<T>()).await
    }

    /// The only row of a small answer.
    pub(crate) async fn one<T>(&self, what: &str, sql: &str) -> Result<T, StoreError>
    where
        T: RowOwned + RowRead,
    {
        let query = self.query(sql);
        self.in_time(what, query.fetch_one::<T>()).await
    }

    /// A stream of `Native` blocks.
    pub(crate) fn native(
        &self,
        what: &'static str,
        sql: &str,
        settings: &[(&str, &str)],
    ) -> Result<Reader<HttpSource>, StoreError> {
        let mut query = self.query(sql);
        for (name, value) in settings {
            query = query.with_setting(*name, *value);
        }
        let cursor = query
            .fetch_bytes("Native")
            .map_err(|error| StoreError::clickhouse(what, error))?;
        Ok(Reader::new(
            HttpSource {
                cursor,
                what,
                patience: self.patience,
            },
            what,
        ))
    }

    /// Inserts one body of `Native` blocks; `sql` ends in `FORMAT Native`.
    pub(crate) async fn insert_native(
        &self,
        what: &str,
        sql: &str,
        body: Vec<u8>,
    ) -> Result<(), StoreError> {
        let mut insert = self
            .client
            .insert_formatted_with(sql)
            .with_setting("async_insert", "0");
        let work = async {
            insert.send(Bytes::from(body)).await?;
            insert.end().await
        };
        self.in_time(what, work).await
    }

    fn query(&self, sql: &str) -> clickhouse::query::Query {
        self.client
            .query_raw(sql)
            .with_setting("max_query_size", "33554432")
            // A plant's column may be called what an alias of ours is called.
            .with_setting("prefer_column_name_to_alias", "1")
    }

    async fn in_time<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.patience, work).await {
            Ok(result) => result.map_err(|error| self.failed(what, error)),
            Err(_) => Err(silent(what, self.patience)),
        }
    }

    /// Whoever cannot reach the server wants to know which one was meant, and where that is written.
    fn failed(&self, what: &str, error: Error) -> StoreError {
        match error {
            Error::Network(_) => StoreError::clickhouse(
                format!("{what} at clickhouse.url = {}", self.shown_url),
                error,
            ),
            _ => StoreError::clickhouse(what, error),
        }
    }
}

async fn read_all(mut cursor: BytesCursor) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    while let Some(piece) = cursor.next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

fn silent(what: &str, patience: Duration) -> StoreError {
    StoreError::ClickHouseSilent {
        what: what.to_owned(),
        seconds: patience.as_secs(),
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|start| host.starts_with(start))
}

/// Pieces of an HTTP answer.
pub struct HttpSource {
    cursor: BytesCursor,
    what: &'static str,
    patience: Duration,
}

impl ChunkSource for HttpSource {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match tokio::time::timeout(self.patience, self.cursor.next()).await {
            Ok(result) => result.map_err(|error| StoreError::clickhouse(self.what, error)),
            Err(_) => Err(silent(self.what, self.patience)),
        }
    }
}
