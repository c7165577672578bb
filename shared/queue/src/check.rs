//! What the Redis server is set up to lose.

use redis::Value;

use crate::{QueueError, conn::Link, reply::Reply};

/// A setting that puts jobs at risk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Short name, stable: `version`, `role`, `maxmemory-policy`, `appendonly`, `appendfsync`, `min-replicas-to-write`,
    /// `config`.
    pub code: &'static str,
    /// What it is now, what is at stake, what to set.
    pub text: String,
}

/// Answer of [`Queue::check`](crate::Queue::check).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCheck {
    /// Name and version of the server, as it calls itself: `redis 8.0.6`, `valkey 8.1.1`.
    pub server: String,
    /// `host:port` that answered.
    pub endpoint: String,
    /// Settings that put jobs at risk; empty if there are none.
    pub warnings: Vec<Warning>,
}

/// Scripts rely on effects replication and `TIME` in writing scripts, the default from this version on.
const OLDEST: (u32, u32) = (6, 2);

pub(crate) async fn check(link: &Link) -> Result<ServerCheck, QueueError> {
    let reply = Reply::of("check");
    let info = reply.text(&info_text(
        link.send("check", redis::cmd("INFO").arg("server")).await?,
    ))?;
    let Server { name, compatible } = Server::of(&info);
    let mut warnings = Vec::new();
    let mut numbers = compatible
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST {
        warnings.push(Warning {
            code: "version",
            text: format!(
                "{name} works like redis {compatible}, older than {}.{}, which the queue is made for",
                OLDEST.0, OLDEST.1
            ),
        });
    }
    let replication = reply.text(&info_text(
        link.send("check", redis::cmd("INFO").arg("replication"))
            .await?,
    ))?;
    let field = |name: &str| {
        let line = replication.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    if field("role:") == "slave" {
        warnings.push(Warning {
            code: "role",
            text: "this redis is a replica: every write will be refused; connect to the primary, or through redis+sentinel://".to_owned(),
        });
    }
    let replicas = field("connected_slaves:");
    if replicas.parse::<u32>().unwrap_or(0) > 0
        && let Ok(Some(fewest)) = setting(link, "min-replicas-to-write").await
        && fewest == "0"
    {
        warnings.push(Warning {
            code: "min-replicas-to-write",
            text: format!("min-replicas-to-write is 0 with {replicas} replicas: a primary that was cut off goes on accepting claims and acks which the failover then forgets; owners rebuild their jobs, but acked ones run again; set it to 1, with min-replicas-max-lag"),
        });
    }
    match setting(link, "maxmemory-policy").await {
        Ok(Some(policy)) if policy != "noeviction" => warnings.push(Warning {
            code: "maxmemory-policy",
            text: format!("maxmemory-policy is {policy}: redis may silently drop jobs and leases when memory is full; set it to noeviction"),
        }),
        Ok(_) => {}
        Err(error) => warnings.push(Warning { code: "config", text: format!("the server's settings cannot be read ({}): check by hand that maxmemory-policy is noeviction and appendonly is yes", crate::error::chain(&error)) }),
    }
    if let Ok(Some(appendonly)) = setting(link, "appendonly").await {
        if appendonly == "no" {
            warnings.push(Warning {
                code: "appendonly",
                text: "appendonly is no: a restart of redis forgets the queue up to the last snapshot; owners rebuild their jobs, but pauses and finished jobs are lost; set it to yes".to_owned(),
            });
        } else if let Ok(Some(fsync)) = setting(link, "appendfsync").await
            && fsync == "no"
        {
            warnings.push(Warning { code: "appendfsync", text: "appendfsync is no: a power failure may forget many seconds of work; set it to everysec or always".to_owned() });
        }
    }
    Ok(ServerCheck {
        server: name,
        endpoint: link.endpoint(),
        warnings,
    })
}

/// What a server says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Server {
    /// Name and version of its own.
    name: String,
    /// The version of redis that it works like.
    compatible: String,
}

/// Servers that say of which redis they are a copy in `redis_version`, and of themselves in a field of their own.
const OTHERS: &[&str] = &["valkey", "dragonfly", "keydb", "kvrocks", "garnet"];

impl Server {
    /// From the section `server` of `INFO`.
    fn of(info: &str) -> Self {
        let field = |name: &str| {
            info.lines().find_map(|line| {
                let (field, value) = line.split_once(':')?;
                (field == name).then(|| value.trim().to_owned())
            })
        };
        let compatible = field("redis_version").unwrap_or_else(|| "unknown".to_owned());
        let named = field("server_name").filter(|name| !name.is_empty() && name != "redis");
        let known = OTHERS.iter().map(|name| (*name).to_owned());
        let own = named.clone().into_iter().chain(known).find_map(|name| {
            let version = field(&format!("{name}_version"))?;
            Some(format!(
                "{name} {}",
                version.trim_start_matches("df-v").trim_start_matches('v')
            ))
        });
        let name = own.unwrap_or_else(|| match named {
            Some(name) => format!("{name} (like redis {compatible})"),
            None => format!("redis {compatible}"),
        });
        Self { name, compatible }
    }
}

fn info_text(value: Value) -> Value {
    match value {
        Value::VerbatimString { text, .. } => Value::SimpleString(text),
        other => other,
    }
}

async fn setting(link: &Link, name: &str) -> Result<Option<String>, QueueError> {
    let value = link
        .send("check", redis::cmd("CONFIG").arg("GET").arg(name))
        .await?;
    Ok(Reply::of("check")
        .pairs(&value)?
        .into_iter()
        .next()
        .map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn servers_are_called_what_they_call_themselves() {
        for (info, name, compatible) in [
            (
                "# Server\r\nredis_version:8.0.6\r\nredis_git_sha1:00000000\r\nredis_mode:standalone\r\ngcc_version:14.2.0\r\n",
                "redis 8.0.6",
                "8.0.6",
            ),
            (
                "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\nvalkey_release_stage:ga\r\nserver_mode:standalone\r\n",
                "valkey 8.1.1",
                "7.2.4",
            ),
            (
                "# Server\r\nredis_version:7.4.0\r\ndragonfly_version:df-v1.27.1\r\nredis_mode:standalone\r\n",
                "dragonfly 1.27.1",
                "7.4.0",
            ),
            (
                "redis_version:7.0.15\r\nserver_name:futuredb\r\n",
                "futuredb (like redis 7.0.15)",
                "7.0.15",
            ),
            ("", "redis unknown", "unknown"),
        ] {
            let server = Server::of(info);
            assert_eq!((&*server.name, &*server.compatible), (name, compatible));
        }
    }
}
