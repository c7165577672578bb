//! Connects to the primary: one address, several, Sentinel, or the Cluster node that serves the queue's slot.

use std::{fmt, io};

use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, TlsCertificates, aio::MultiplexedConnection,
};
use weldfleet_tls::{Schemes, Tls, plain_advice};

use crate::{
    Options, QueueError,
    server_error::ServerError,
    url::{Topology, Url},
};

/// Where the primary is found. Its `Display` shows no credentials.
pub(crate) struct Endpoint {
    url: Url,
    certificates: Option<Tls>,
}

const SCHEMES: Schemes = Schemes {
    encrypted: "rediss://",
    plain: "redis://",
};

/// As a connection ends that has not begun: a port of TLS takes plain text for nonsense and closes.
const HUNG_UP: [&str; 4] = [
    "unexpected end of file",
    "Connection reset by peer",
    "roken pipe",
    "does not speak the protocol",
];

impl Endpoint {
    pub fn of(options: &Options) -> Result<Self, QueueError> {
        Ok(Self {
            url: Url::parse(&options.url)?,
            certificates: options.tls.clone(),
        })
    }

    pub fn is_encrypted(&self) -> bool {
        self.url.tls
    }

    /// What an error of a connection has to do with TLS, in words.
    pub fn advice(&self, error: &str) -> Option<String> {
        match &self.certificates {
            Some(certificates) if self.url.tls => certificates.advice(error, SCHEMES),
            _ if self.url.tls => None,
            _ => plain_advice("redis", error, &HUNG_UP, SCHEMES),
        }
    }

    /// Connects to the primary, or to the node a redirection named.
    pub async fn connect(
        &self,
        config: &AsyncConnectionConfig,
        moved_to: Option<String>,
    ) -> Result<MultiplexedConnection, RedisError> {
        if let Some(moved_to) = moved_to {
            // without brackets, also around IPv6
            let address = moved_to.rsplit_once(':');
            let Some((host, Ok(port))) = address.map(|(host, port)| (host, port.parse())) else {
                let problem = "redirected to what is no address";
                return Err(RedisError::from(io::Error::other(problem)));
            };
            return self.open(host, port, self.login(), config).await;
        }
        let mut last = RedisError::from(io::Error::other("no address to connect to"));
        for (host, port) in &self.url.hosts {
            let attempt = match &self.url.topology {
                Topology::Direct | Topology::Cluster => {
                    self.open(host, *port, self.login(), config).await
                }
                Topology::Sentinel { master } => {
                    self.through_sentinel(host, *port, master, config).await
                }
            };
            match attempt {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn through_sentinel(
        &self,
        sentinel: &str,
        port: u16,
        master: &str,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let anonymous = RedisConnectionInfo::default();
        let mut answer = self
            .ask_sentinel(sentinel, port, master, anonymous, config)
            .await;
        let wants_login = |error: &RedisError| ServerError::from(error.clone()).code() == "NOAUTH";
        if answer.as_ref().is_err_and(wants_login) {
            let login = self.login().set_db(0); // a sentinel has no other
            answer = self
                .ask_sentinel(sentinel, port, master, login, config)
                .await;
        }
        let address = answer.map_err(|error| of_sentinel(sentinel, port, error))?;
        let Some((host, port)) = address else {
            let problem =
                format!("sentinel {sentinel}:{port} does not know a master called {master:?}");
            return Err(RedisError::from(io::Error::other(problem)));
        };
        let mut connection = self.open(&host, port, self.login(), config).await?;
        // a sentinel may not have heard of the failover yet
        let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
        let is_primary =
            matches!(role.first(), Some(redis::Value::BulkString(name)) if name == b"master");
        if is_primary {
            Ok(connection)
        } else {
            Err(RedisError::from(io::Error::other(
                "sentinel named a replica",
            )))
        }
    }

    async fn ask_sentinel(
        &self,
        sentinel: &str,
        port: u16,
        master: &str,
        login: RedisConnectionInfo,
        config: &AsyncConnectionConfig,
    ) -> Result<Option<(String, u16)>, RedisError> {
        let mut asked = self.open(sentinel, port, login, config).await?;
        redis::cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg(master)
            .query_async(&mut asked)
            .await
    }

    /// Who we are to the primary, and to a sentinel that asks.
    fn login(&self) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default().set_db(self.url.database);
        if let Some(username) = &self.url.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.url.password {
            login = login.set_password(password);
        }
        login
    }

    async fn open(
        &self,
        host: &str,
        port: u16,
        login: RedisConnectionInfo,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let host = host.to_owned();
        let address = if self.url.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let info = address.into_connection_info()?.set_redis_settings(login);
        let client = match &self.certificates {
            Some(certificates) if self.url.tls => Client::build_with_tls(info, pem(certificates))?,
            _ => Client::open(info)?,
        };
        client
            .get_multiplexed_async_connection_with_config(config)
            .await
    }
}

/// The same error with the sentinel that it comes from, not the primary.
fn of_sentinel(sentinel: &str, port: u16, error: RedisError) -> RedisError {
    let said = ServerError::from(error);
    let what = |text: &dyn fmt::Display| format!("sentinel {sentinel}:{port}: {text}");
    match said.code() {
        code if code.is_empty() => RedisError::from(io::Error::other(what(&said))),
        code => redis::make_extension_error(code, Some(what(&said.detail()))),
    }
}

fn pem(certificates: &Tls) -> TlsCertificates {
    TlsCertificates {
        client_tls: certificates
            .client_pem()
            .map(|(cert, key)| ClientTlsConfig {
                client_cert: cert.to_vec(),
                client_key: key.to_vec(),
            }),
        root_cert: certificates.ca_pem().map(<[u8]>::to_vec),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}
