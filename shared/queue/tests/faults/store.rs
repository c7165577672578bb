//! The owner's truth: a Redis beside the queue's, which no test harms. Members write to it as `examples/member.rs`
//! says.

use std::collections::BTreeMap;

use redis::{FromRedisValue, aio::ConnectionManager};

use crate::server::RedisServer;

pub struct Store {
    _server: RedisServer,
    pub url: String,
    connection: ConnectionManager,
}

/// One try to commit an effect.
pub struct Write {
    pub job: String,
    pub token: u64,
    pub committed: bool,
}

/// A claim or an accepted ack, as the member wrote it down.
pub struct Note {
    pub member: String,
    pub job: String,
    pub token: u64,
}

impl Store {
    pub async fn start() -> Self {
        let server = RedisServer::start_with(&["--appendonly", "no"]);
        let url = server.url();
        let client = redis::Client::open(url.as_str()).unwrap();
        Self {
            connection: client.get_connection_manager().await.unwrap(),
            _server: server,
            url,
        }
    }

    async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command
            .query_async(&mut self.connection.clone())
            .await
            .unwrap()
    }

    /// Jobs that have an effect, with its token.
    pub async fn committed(&self) -> BTreeMap<String, u64> {
        self.ask(&["HGETALL", "committed"]).await
    }

    /// How many jobs have an effect.
    pub async fn progress(&self) -> usize {
        self.ask(&["HLEN", "committed"]).await
    }

    /// Every try to commit, in order.
    pub async fn writes(&self) -> Vec<Write> {
        let lines: Vec<String> = self.ask(&["LRANGE", "writes", "0", "-1"]).await;
        let parse = |line: &String| {
            let [job, token, verdict] = words(line);
            Write {
                job,
                token: token.parse().unwrap(),
                committed: verdict == "committed",
            }
        };
        lines.iter().map(parse).collect()
    }

    /// Every claim, in each member's order.
    pub async fn claims(&self) -> Vec<Note> {
        self.notes("claims").await
    }

    /// Every ack that Redis accepted and whose member lived to write it down.
    pub async fn acks(&self) -> Vec<Note> {
        self.notes("acks").await
    }

    async fn notes(&self, list: &str) -> Vec<Note> {
        let lines: Vec<String> = self.ask(&["LRANGE", list, "0", "-1"]).await;
        let parse = |line: &String| {
            let [member, job, token] = words(line);
            Note {
                member,
                job,
                token: token.parse().unwrap(),
            }
        };
        lines.iter().map(parse).collect()
    }
}

fn words(line: &str) -> [String; 3] {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    words
        .try_into()
        .unwrap_or_else(|words| panic!("three words expected: {words:?}"))
}
