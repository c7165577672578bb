//! What Sentinel and Cluster trials share: primaries and their replicas.

use std::time::Duration;

use redis::{Client, FromRedisValue, aio::MultiplexedConnection};

use crate::server::eventually;

/// Plain questions to one server, by port.
pub async fn ask<T: FromRedisValue>(port: u16, words: &[&str]) -> redis::RedisResult<T> {
    let mut connection = connect(port).await?;
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query_async(&mut connection).await
}

async fn connect(port: u16) -> redis::RedisResult<MultiplexedConnection> {
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(Duration::from_secs(5)));
    Client::open(format!("redis://127.0.0.1:{port}/"))?
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// A field of a section of `INFO`.
pub async fn info(port: u16, section: &str, field: &str) -> Option<String> {
    let text: String = ask(port, &["INFO", section]).await.ok()?;
    value(&text, field)
}

fn value(text: &str, field: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
}

/// Waits until `count` replicas of the primary have all that it had when this was asked.
pub async fn in_sync(primary: u16, count: usize) {
    let wanted = eventually("the primary", || async {
        info(primary, "replication", "master_repl_offset")
            .await?
            .parse::<u64>()
            .ok()
    })
    .await;
    eventually("the replicas to catch up", || async {
        let text: String = ask(primary, &["INFO", "replication"]).await.ok()?;
        let caught_up = (0..count).all(|n| {
            let replica = value(&text, &format!("slave{n}")).unwrap_or_default();
            let offset = replica
                .split(',')
                .find_map(|part| part.strip_prefix("offset="));
            let offset: u64 = offset.and_then(|text| text.parse().ok()).unwrap_or(0);
            replica.contains("state=online") && offset >= wanted
        });
        caught_up.then_some(())
    })
    .await;
}

/// From now on nothing reaches these replicas: they cannot log in any more. What the primary confirms will be missed by
/// its heir.
pub async fn cut(primary: u16, replicas: &[u16]) {
    for replica in replicas {
        done(*replica, &["CONFIG", "SET", "masterauth", "cut"]).await;
    }
    let killed: usize = ask(primary, &["CLIENT", "KILL", "TYPE", "replica"])
        .await
        .unwrap();
    assert!(killed > 0, "there was no replica to cut off");
}

/// Undoes [`cut`].
pub async fn repair(servers: &[u16]) {
    for server in servers {
        done(*server, &["CONFIG", "SET", "masterauth", ""]).await;
    }
}

/// Asks until the server says OK: one that has just been given another role hangs up on everybody.
pub async fn done(port: u16, words: &[&str]) {
    eventually(&format!("{words:?}"), || async {
        let answer: redis::Value = ask(port, words).await.ok()?;
        // "OK Already connected to specified master" is as good
        matches!(answer, redis::Value::Okay | redis::Value::SimpleString(_)).then_some(())
    })
    .await;
}
