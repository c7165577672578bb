//! What the Redis server is set up to lose.

use redis::Value;

use crate::{QueueError, conn::Link, reply::Reply};

/// A setting that puts jobs at risk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Short name, stable: `version`, `role`, `maxmemory-policy`, `appendonly`, `min-replicas-to-write`.
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
    // `CONFIG GET` would tell more, and passwords too.
    let info = match link.send("check", &redis::cmd("INFO")).await? {
        Value::VerbatimString { text, .. } => text,
        other => Reply::of("check").text(&other)?,
    };
    Ok(ServerCheck {
        server: Server::of(&info).name,
        endpoint: link.endpoint(),
        warnings: warnings(&info),
    })
}

fn warnings(info: &str) -> Vec<Warning> {
    let Server { name, compatible } = Server::of(info);
    let mut warnings = Vec::new();
    let mut warn = |code, text| warnings.push(Warning { code, text });
    let mut numbers = compatible
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST {
        let (major, minor) = OLDEST;
        warn(
            "version",
            format!(
                "{name} works like redis {compatible}, older than {major}.{minor}, which the queue is made for"
            ),
        );
    }
    if field(info, "role").as_deref() == Some("slave") {
        warn("role", "this redis is a replica: every write will be refused; connect to the primary, or through redis+sentinel://".to_owned());
    }
    let replicas = field(info, "connected_slaves").and_then(|count| count.parse::<u32>().ok());
    let replicas = replicas.unwrap_or(0);
    // It is there where both settings are above 0.
    if replicas > 0 && field(info, "min_slaves_good_slaves").is_none() {
        warn(
            "min-replicas-to-write",
            format!(
                "min-replicas-to-write or min-replicas-max-lag is 0 with {replicas} replicas: a primary that was cut off goes on accepting claims and acks which the failover then forgets; owners rebuild their jobs, but acked ones run again; set them to 1 and 10"
            ),
        );
    }
    if let Some(policy) = field(info, "maxmemory_policy").filter(|policy| policy != "noeviction") {
        warn(
            "maxmemory-policy",
            format!(
                "maxmemory-policy is {policy}: redis may silently drop jobs and leases when memory is full; set it to noeviction"
            ),
        );
    }
    if field(info, "aof_enabled").as_deref() == Some("0") {
        warn("appendonly", "appendonly is no: a restart of redis forgets the queue up to the last snapshot; owners rebuild their jobs, but pauses and finished jobs are lost; set it to yes".to_owned());
    }
    warnings
}

/// A line of `INFO`.
fn field(info: &str, name: &str) -> Option<String> {
    info.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        (field == name).then(|| value.trim().to_owned())
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
    /// From `INFO`.
    fn of(info: &str) -> Self {
        let field = |name: &str| field(info, name);
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
