//! Connection to ClickHouse: one client, settings of a request, time limits.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use clickhouse::{Client, Compression, RowOwned, RowRead, error::Error, query::BytesCursor};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioExecutor};
use uuid::Uuid;
use weldfleet_tls::{ClientConfig, Schemes, Tls, plain_advice};

use super::{
    native::{ChunkSource, Reader},
    pinned::{FILTERS, PINNED},
    quote,
    server_version::Version,
};
use crate::errors::{StoreError, chain};

/// How long an answer, or the next piece of one, is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a busy server takes for an answer that costs it nothing.
const SOON: Duration = Duration::from_secs(5);

/// A ClickHouse server. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Server {
    /// Sends [`PINNED`] with every statement.
    client: Client,
    /// Sends no settings.
    plain: Client,
    /// Without credentials, for people.
    shown_url: String,
    user: String,
    /// `user` is `clickhouse.console_user`.
    is_of_console: bool,
    database: String,
    patience: Duration,
    tls: Option<Tls>,
}

/// How the configuration writes an address with TLS and one without.
const SCHEMES: Schemes = Schemes {
    encrypted: "https://",
    plain: "http://",
};

/// As hyper says that an answer is none of HTTP. Not that a connection was cut: a server that dies does that too.
const NOT_HTTP: [&str; 1] = ["invalid HTTP"];

/// As the library's own, for how long an idle connection is kept: less than the server keeps it.
const POOL_IDLE: Duration = Duration::from_secs(2);
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// A client that speaks TLS and nothing else.
fn encrypted(tls: &Tls) -> Client {
    let mut tcp = HttpConnector::new();
    tcp.set_keepalive(Some(TCP_KEEPALIVE));
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(ClientConfig::clone(tls.config()))
        .https_only()
        .enable_http1()
        .wrap_connector(tcp);
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(POOL_IDLE)
        .build(connector);
    Client::with_http_client(http)
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
        let plain = settings
            .tls
            .as_ref()
            .map_or_else(Client::default, encrypted)
            .with_url(&settings.url)
            .with_user(&settings.user)
            .with_password(settings.password.expose())
            .with_compression(compression)
            .with_product_info("weldfleet", env!("CARGO_PKG_VERSION"));
        let client = PINNED.iter().fold(plain.clone(), |client, (name, value)| {
            client.with_setting(*name, *value)
        });
        Self {
            client,
            plain,
            shown_url: weldfleet_settings::secret::without_credentials(&settings.url),
            user: settings.user.clone(),
            is_of_console: settings.is_of_console,
            database: settings.database.clone(),
            patience: PATIENCE,
            tls: settings.tls.clone(),
        }
    }

    /// The same server, where no statement reads a row of the source table that `tables.filter` does not select.
    ///
    /// The server adds the filter to whatever reads the table, behind `FINAL`. It adds nothing to an UPDATE.
    pub fn selecting(mut self, tables: &weldfleet_settings::Tables) -> Self {
        if !tables.filter.trim().is_empty() {
            let table = format!("{}.{}", self.database, tables.source_table);
            let filters = format!(
                "{{{}: {}}}",
                quote::literal(&table),
                quote::literal(tables.filter.trim())
            );
            self.client = self.client.with_setting(FILTERS, filters);
        }
        self
    }

    /// The same server, where statements read rows that are not the fleet's too.
    pub(crate) fn selecting_all(mut self) -> Self {
        self.client = self.client.with_setting(FILTERS, "{}");
        self
    }

    /// The same server, waited for at most this long.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The same server for people who look: it ends a question once nobody waits for the answer any more, and after
    /// `longest` at the latest. `None`: the account's own profile says how long, and may forbid another answer.
    ///
    /// It ends only what can change nothing, hence `readonly`; 2 lets the settings of a request be.
    pub fn for_looking(mut self, longest: Option<Duration>) -> Self {
        let mut settings = vec![
            ("readonly", "2".to_owned()),
            (
                "cancel_http_readonly_queries_on_client_close",
                "1".to_owned(),
            ),
        ];
        settings.extend(longest.map(|time| ("max_execution_time", time.as_secs().to_string())));
        for (name, value) in settings {
            self.client = self.client.with_setting(name, value);
        }
        self
    }

    /// Database of every table.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Account that asks.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Answers when the server does, with these credentials.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.one::<u8>("ping", "SELECT 1").await.map(|_| ())
    }

    /// The time zone in which it prints times of none.
    pub(crate) async fn time_zone(&self) -> Result<String, StoreError> {
        self.one("read the server's time zone", "SELECT timezone()")
            .await
    }

    pub async fn version(&self) -> Result<Version, StoreError> {
        match self.version_by(&self.client).await {
            // A server that is too old to know them must still be able to say so.
            Err(error) if !error.is_outage() => self.version_by(&self.plain).await,
            answered => answered,
        }
    }

    async fn version_by(&self, client: &Client) -> Result<Version, StoreError> {
        let what = "read the server's version";
        // In the oldest format.
        let cursor = client
            .query_raw("SELECT version()")
            .fetch_bytes("TabSeparated")
            .map_err(|error| self.failed(what, error))?;
        let text = self.in_time(what, read_all(cursor)).await?;
        let text = String::from_utf8_lossy(&text);
        text.trim()
            .parse()
            .map_err(|()| StoreError::answer(what, format!("`{}`", text.trim())))
    }

    /// Asks with all pinned settings whether this account may send them.
    ///
    /// # Errors
    /// [`StoreError::Refused`] names the setting that it may not, and what it is there.
    pub(crate) async fn check_settings(&self) -> Result<(), StoreError> {
        match self.ping().await {
            Err(StoreError::ClickHouse {
                code: Some(115 | 164 | 452 | 472),
                source,
                ..
            }) => Err(StoreError::refused(
                format!(
                    "clickhouse account `{}` may not set what our statements depend on: {}",
                    self.user,
                    StoreError::clickhouse("settings", source).words()
                ),
                "drop the constraint (or `readonly`) from its profile",
            )),
            answered => answered,
        }
    }

    /// Runs a statement to its end.
    pub async fn execute(&self, what: &str, sql: &str) -> Result<(), StoreError> {
        self.in_time(what, self.client.query_raw(sql).execute())
            .await
    }

    /// Runs an UPDATE to its end, once it is its turn.
    ///
    /// UPDATEs of a table wait for each other, in a large fleet for longer than a server may be silent. Giving up would
    /// not take the statement out of the line, only put another one behind it. So this waits for as long as the server
    /// says that the statement is there.
    pub(crate) async fn update(&self, what: &str, sql: &str) -> Result<(), StoreError> {
        let id = Uuid::new_v4().to_string();
        let query = self.client.query_raw(sql).with_setting("query_id", &*id);
        let mut work = pin!(query.execute());
        loop {
            let waited = self.in_time(what, work.as_mut()).await;
            if !matches!(waited, Err(StoreError::ClickHouseSilent { .. })) {
                return waited;
            }
            if !self.is_running(&id).await {
                // It may have ended since, and its answer be on the way.
                let last = self.clone().with_patience(self.patience.min(SOON));
                return match last.in_time(what, work.as_mut()).await {
                    Err(StoreError::ClickHouseSilent { .. }) => waited,
                    ended => ended,
                };
            }
            tracing::info!(statement = what, "still waiting for its turn");
        }
    }

    /// Whether the server says within seconds that it has this query.
    async fn is_running(&self, id: &str) -> bool {
        let sql = format!(
            "SELECT count() FROM system.processes WHERE query_id = {}",
            quote::literal(id)
        );
        let server = self.clone().with_patience(SOON);
        let running = server.one::<u64>("look for a statement", &sql).await;
        running.is_ok_and(|count| count > 0)
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

    /// The first row of an answer that may have none.
    pub(crate) async fn first<T>(&self, what: &str, sql: &str) -> Result<Option<T>, StoreError>
    where
        T: RowOwned + RowRead,
    {
        Ok(self.all(what, sql).await?.into_iter().next())
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

    /// Inserts one body of `Native` blocks of these columns.
    pub(crate) async fn insert_native(
        &self,
        what: &str,
        (table, columns): (&str, &str),
        body: Vec<u8>,
    ) -> Result<(), StoreError> {
        let sql = format!("INSERT INTO {table} ({columns}) FORMAT Native");
        let mut insert = self.client.insert_formatted_with(sql);
        let work = async {
            insert.send(Bytes::from(body)).await?;
            insert.end().await
        };
        self.in_time(what, work).await
    }

    fn query(&self, sql: &str) -> clickhouse::query::Query {
        self.client.query_raw(sql)
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
            Error::Network(_) => {
                let advice = self.advice(&chain(&error));
                let what = format!("{what} at clickhouse.url = {}{advice}", self.shown_url);
                StoreError::clickhouse(what, error)
            }
            _ => match StoreError::clickhouse(what, error) {
                StoreError::ClickHouse {
                    what,
                    code: code @ Some(192 | 193 | 194 | 516),
                    source,
                } => StoreError::ClickHouse {
                    what: format!("{what}: {}", self.refused_credentials()),
                    code,
                    source,
                },
                error => error,
            },
        }
    }

    /// What an error of the connection has to do with TLS, as the end of a sentence.
    fn advice(&self, error: &str) -> String {
        let advice = match &self.tls {
            Some(tls) => tls.advice(error, SCHEMES),
            None => plain_advice("clickhouse", error, &NOT_HTTP, SCHEMES),
        };
        advice.map_or_else(String::new, |advice| format!(": {advice}"))
    }

    fn refused_credentials(&self) -> String {
        let whose = if self.is_of_console { "console_" } else { "" };
        format!(
            "these credentials are not accepted; repair clickhouse.{whose}user = `{}` and clickhouse.{whose}password \
             (or clickhouse.{whose}password_file), and restart: both are read at start",
            self.user
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_credentials_are_named_by_the_keys_that_have_them() {
        let mut settings = weldfleet_settings::Settings::default();
        settings.clickhouse.console_user = "looks".to_owned();
        let said = |settings: &weldfleet_settings::Settings| {
            Server::new(&settings.clickhouse).refused_credentials()
        };
        let own = said(&settings);
        assert!(
            own.contains(
                "repair clickhouse.user = `default` and clickhouse.password (or clickhouse.password_file),"
            ),
            "{own}"
        );
        let consoles = said(&settings.for_console());
        assert!(
            consoles.contains(
                "repair clickhouse.console_user = `looks` and clickhouse.console_password (or clickhouse.console_password_file),"
            ),
            "{consoles}"
        );
    }
}
