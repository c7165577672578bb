//! Connections to MySQL or MariaDB.

use std::time::Duration;

use mysql_async::{
    ClientIdentity, Conn, Opts, OptsBuilder, Params, Pool, PoolConstraints, PoolOpts, SslOpts,
    prelude::{FromRow, Queryable},
};
use weldfleet_settings::MySql;
use weldfleet_tls::{Schemes, Tls, plain_advice};

use crate::errors::{StoreError, chain};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A MySQL server and database. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Server {
    pool: Pool,
    /// What connecting is called, with the address.
    connecting: String,
    database: String,
    tls: Option<Tls>,
}

/// A session begins in plain text whatever the address says; what asks for TLS is a key.
const SCHEMES: Schemes = Schemes {
    encrypted: "mysql.tls_ca_file",
    plain: "mysql.url",
};

/// As a server says that it takes no connection without TLS.
const DEMANDED: [&str; 1] = ["insecure transport"];

impl Server {
    /// A client of the configured server; connects with the first request.
    pub fn new(settings: &MySql) -> Result<Self, StoreError> {
        let opts = options(settings)?;
        let database = opts.db_name().unwrap_or_default().to_owned();
        let connecting = connecting(&opts);
        let constraints = PoolConstraints::new(0, 4).unwrap_or_default();
        let builder = OptsBuilder::from_opts(opts)
            .pool_opts(PoolOpts::default().with_constraints(constraints))
            .setup(session());
        Ok(Self {
            pool: Pool::new(builder),
            connecting,
            database,
            tls: settings.tls.clone(),
        })
    }

    /// A connection to the server without choosing the database, and the database's name.
    pub(crate) async fn without_database(settings: &MySql) -> Result<(Conn, String), StoreError> {
        let opts = options(settings)?;
        let database = opts.db_name().unwrap_or_default().to_owned();
        let connecting = connecting(&opts);
        let builder = OptsBuilder::from_opts(opts)
            .db_name(None::<String>)
            .setup(session());
        let conn = in_time(&connecting, Conn::new(builder))
            .await
            .map_err(|error| advised(settings.tls.as_ref(), error))?;
        Ok((conn, database))
    }

    /// Database of the result table.
    pub fn database(&self) -> &str {
        &self.database
    }

    pub(crate) async fn connect(&self) -> Result<Conn, StoreError> {
        in_time(&self.connecting, self.pool.get_conn())
            .await
            .map_err(|error| advised(self.tls.as_ref(), error))
    }

    /// All rows of an answer.
    pub(crate) async fn all<T: FromRow + Send + 'static>(
        &self,
        what: &str,
        sql: &str,
        values: impl Into<Params> + Send,
    ) -> Result<Vec<T>, StoreError> {
        let mut conn = self.connect().await?;
        in_time(what, conn.exec(sql, values)).await
    }

    /// The first row of an answer.
    pub(crate) async fn first<T: FromRow + Send + 'static>(
        &self,
        what: &str,
        sql: &str,
        values: impl Into<Params> + Send,
    ) -> Result<Option<T>, StoreError> {
        let mut conn = self.connect().await?;
        in_time(what, conn.exec_first(sql, values)).await
    }

    /// Answers when the server does, with these credentials and this database.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut conn = self.connect().await?;
        in_time("ping", conn.query_drop("SELECT 1")).await
    }

    /// Whether the server takes writes at all, as one does not that a failover led to too early. Any account may ask,
    /// and nothing is tried: whoever looks may not be allowed to write.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        let mut conn = self.connect().await?;
        // MariaDB has words for some kinds of it.
        let sql = "SELECT @@read_only NOT IN ('0', 'OFF') OR @@innodb_read_only";
        let is_read_only: Option<bool> =
            in_time("ask whether it is read-only", conn.query_first(sql)).await?;
        if is_read_only == Some(true) {
            return Err(StoreError::refused(
                "mysql: the server is read-only (read_only or innodb_read_only is on)",
                "let mysql.url lead to the server that takes writes, or make this one the primary",
            ));
        }
        Ok(())
    }
}

/// Whoever cannot reach the server wants to know which one was meant, and where that is written.
fn connecting(opts: &Opts) -> String {
    let (host, port) = (opts.ip_or_hostname(), opts.tcp_port());
    match host.contains(':') {
        true => format!("connect to mysql.url = [{host}]:{port}"),
        false => format!("connect to mysql.url = {host}:{port}"),
    }
}

fn options(settings: &MySql) -> Result<Opts, StoreError> {
    // The library's own words may repeat a part of the URL, and with it of a password.
    let opts = Opts::from_url(settings.url.expose()).map_err(|_| {
        StoreError::refused(
            "mysql.url is not a mysql url, or has a query parameter that is unknown or wrong",
            "write mysql://user:password@host:3306/database",
        )
    })?;
    if opts.db_name().is_none_or(str::is_empty) {
        return Err(StoreError::refused(
            "mysql.url names no database",
            "write mysql://user:password@host:3306/database",
        ));
    }
    // The library would look an IPv6 address up with the brackets that it has in a URL, as if it were a name.
    let host = opts.ip_or_hostname();
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let ssl = opts.ssl_opts().cloned();
    let opts = OptsBuilder::from_opts(opts).ip_or_hostname(host);
    let Some(tls) = &settings.tls else {
        return Ok(opts.into());
    };
    let certificates = certificates(ssl.unwrap_or_default(), tls);
    Ok(opts.ssl_opts(certificates).into())
}

/// Nobody is trusted but whom the settings name.
fn certificates(ssl: SslOpts, tls: &Tls) -> SslOpts {
    let identity = tls
        .client_pem()
        .map(|(cert, key)| ClientIdentity::new(cert.to_vec().into(), key.to_vec().into()));
    let roots = tls.roots().map(|root| root.to_vec().into()).collect();
    ssl.with_disable_built_in_roots(true)
        .with_root_certs(roots)
        .with_client_identity(identity)
}

/// The error of a connection, with what it has to do with TLS.
fn advised(tls: Option<&Tls>, error: StoreError) -> StoreError {
    let refused = error.mysql_code() == Some(ACCESS_DENIED);
    let StoreError::MySql { what, source } = error else {
        return error;
    };
    let text = chain(&source);
    let advice = match tls {
        Some(tls) if refused && tls.client_pem().is_none() => Some(
            "where user and password are right, the account may want a client's certificate (REQUIRE X509): give \
             mysql.tls_cert_file and mysql.tls_key_file"
                .to_owned(),
        ),
        None if refused => Some(
            "where user and password are right, the account may want TLS (REQUIRE SSL or X509): give mysql.tls_ca_file"
                .to_owned(),
        ),
        Some(tls) => tls.advice(&text, SCHEMES),
        None => plain_advice("mysql", &text, &DEMANDED, SCHEMES),
    };
    let what = match advice {
        Some(advice) => format!("{what}: {advice}"),
        None => what,
    };
    StoreError::MySql { what, source }
}

/// `ER_ACCESS_DENIED_ERROR`.
const ACCESS_DENIED: u16 = 1045;

/// Every session is strict (no silent cutting), speaks UTC, reads what others have committed, and waits for a row that
/// somebody locks no longer than others can wait for it.
fn session() -> Vec<String> {
    vec![
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'".into(),
        "SET SESSION time_zone = '+00:00'".into(),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".into(),
        "SET SESSION innodb_lock_wait_timeout = 2".into(),
        "SET NAMES utf8mb4".into(),
    ]
}

pub(crate) async fn in_time<T>(
    what: &str,
    work: impl Future<Output = Result<T, mysql_async::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result.map_err(|error| StoreError::mysql(what, error)),
        Err(_) => Err(StoreError::MySqlSilent {
            what: what.to_owned(),
            seconds: PATIENCE.as_secs(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_no_name() {
        let of = |url: &str| {
            let settings = MySql {
                url: weldfleet_settings::Secret::new(url),
                ..MySql::default()
            };
            let opts = options(&settings).unwrap();
            (opts.ip_or_hostname().to_owned(), connecting(&opts))
        };
        let (host, connecting) = of("mysql://weld:secret@[::1]:3307/weld");
        assert_eq!(host, "::1");
        assert_eq!(connecting, "connect to mysql.url = [::1]:3307");
        let (host, connecting) = of("mysql://db.plant/weld");
        assert_eq!(host, "db.plant");
        assert_eq!(connecting, "connect to mysql.url = db.plant:3306");
    }
}
