//! Where the primary is: one address, several, Sentinel, or the Cluster node that serves the queue's slot.

use std::fmt;

use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, aio::MultiplexedConnection};

use crate::QueueError;

/// A parsed `url`. Its `Display` shows no credentials.
#[derive(Clone)]
pub(crate) struct Endpoint {
    tls: bool,
    /// `user:password@` or empty.
    credentials: String,
    hosts: Vec<String>,
    kind: Kind,
    database: String,
}

#[derive(Clone)]
enum Kind {
    Direct,
    Sentinel { master: String },
    Cluster,
}

impl Endpoint {
    /// No error repeats a part of the URL: where it is broken nobody can tell which part is the password.
    pub fn parse(url: &str) -> Result<Self, QueueError> {
        let refuse = |problem: &str| QueueError::Options(format!("url: {problem}"));
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| refuse("no scheme, expected redis://host:port/db"))?;
        let (tls, kind) = match scheme {
            "redis" | "redis+sentinel" | "redis+cluster" => (false, scheme),
            "rediss" => (true, "redis"),
            "rediss+sentinel" => (true, "redis+sentinel"),
            "rediss+cluster" => (true, "redis+cluster"),
            _ => {
                return Err(refuse(
                    "unknown scheme, expected redis, rediss, redis+sentinel or redis+cluster",
                ));
            }
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') || authority.contains(['#', '?']) {
            return Err(refuse(
                "user or password hold a character that must be percent-encoded (# is %23, / is %2F, ? is %3F)",
            ));
        }
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
            None => (String::new(), authority),
        };
        let default_port = if kind == "redis+sentinel" {
            26379
        } else {
            6379
        };
        let hosts: Vec<String> = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(|host| {
                if host
                    .rsplit_once(':')
                    .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
                {
                    host.to_owned()
                } else {
                    format!("{host}:{default_port}")
                }
            })
            .collect();
        if hosts.is_empty() {
            return Err(refuse("no host, expected redis://host:port/db"));
        }
        let mut parts = path.split('/');
        let kind = match kind {
            "redis+sentinel" => {
                let master = parts
                    .next()
                    .filter(|name| !name.is_empty())
                    .ok_or_else(|| {
                        refuse("no master name, expected redis+sentinel://host:port/<master>/<db>")
                    })?;
                Kind::Sentinel {
                    master: master.to_owned(),
                }
            }
            "redis+cluster" => Kind::Cluster,
            _ => Kind::Direct,
        };
        let database = parts.next().unwrap_or_default().to_owned();
        if !database.is_empty() && database.parse::<u32>().is_err() {
            return Err(refuse("the database, behind the last /, is not a number"));
        }
        Ok(Self {
            tls,
            credentials,
            hosts,
            kind,
            database,
        })
    }

    /// Connects to the primary, or to the node a redirection named.
    pub async fn connect(
        &self,
        config: &AsyncConnectionConfig,
        moved_to: Option<String>,
    ) -> Result<MultiplexedConnection, RedisError> {
        if let Some(host) = moved_to {
            return self
                .open(&host, &self.credentials, &self.database, config)
                .await;
        }
        let mut last = RedisError::from((ErrorKind::Io, "no address to connect to"));
        for host in &self.hosts {
            let attempt = match &self.kind {
                Kind::Direct | Kind::Cluster => {
                    self.open(host, &self.credentials, &self.database, config)
                        .await
                }
                Kind::Sentinel { master } => self.through_sentinel(host, master, config).await,
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
        master: &str,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let mut asked = self.open(sentinel, "", "", config).await?;
        let address: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg(master)
            .query_async(&mut asked)
            .await?;
        let Some((host, port)) = address else {
            return Err(RedisError::from((
                ErrorKind::MasterNameNotFoundBySentinel,
                "sentinel does not know this master",
            )));
        };
        let mut connection = self
            .open(
                &format!("{host}:{port}"),
                &self.credentials,
                &self.database,
                config,
            )
            .await?;
        // a sentinel may not have heard of the failover yet
        let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
        let is_primary =
            matches!(role.first(), Some(redis::Value::BulkString(name)) if name == b"master");
        if is_primary {
            Ok(connection)
        } else {
            Err(RedisError::from((
                ErrorKind::Io,
                "sentinel named a replica",
            )))
        }
    }

    async fn open(
        &self,
        host: &str,
        credentials: &str,
        database: &str,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let client = Client::open(format!("{scheme}://{credentials}{host}/{database}"))?;
        client
            .get_multiplexed_async_connection_with_config(config)
            .await
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hosts.join(","))?;
        if let Kind::Sentinel { master } = &self.kind {
            write!(f, "/{master}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_understood_and_credentials_hidden() {
        assert_eq!(
            Endpoint::parse("redis://u:s3cret@h:1/2")
                .unwrap()
                .to_string(),
            "h:1"
        );
        assert_eq!(
            Endpoint::parse("redis+sentinel://a,b:7/main/0")
                .unwrap()
                .to_string(),
            "a:26379,b:7/main"
        );
        assert_eq!(
            Endpoint::parse("redis+cluster://a:1,b:2")
                .unwrap()
                .hosts
                .len(),
            2
        );
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        for (url, part) in [
            ("localhost", "scheme"),
            ("http://h", "unknown scheme"),
            ("redis:///", "no host"),
            ("redis+sentinel://h", "master"),
            ("redis://h/x", "not a number"),
            ("redis://:hunter2#@h:1/0", "percent-encoded"),
            ("redis://:a/hunter2@h:1/0", "percent-encoded"),
            ("redis://:a?hunter2@h:1/0", "percent-encoded"),
            ("redis://h/hunter2", "not a number"),
            ("hunter2://h", "unknown scheme"),
        ] {
            let error = Endpoint::parse(url).err().unwrap().to_string();
            assert!(error.contains(part), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
