//! The queue, as redis-cli would see it.

use std::collections::BTreeMap;

use redis::{AsyncCommands, aio::ConnectionManager};

/// States of a job that is not done.
pub const UNDONE: [&str; 5] = ["pending", "leased", "delayed", "splitting", "dead"];

/// A connection to the queue `infer`.
pub struct Queue {
    connection: ConnectionManager,
}

impl Queue {
    pub async fn connect(url: &str) -> Self {
        let client = redis::Client::open(url).expect("url");
        let connection = client
            .get_connection_manager()
            .await
            .expect("redis answers");
        Self { connection }
    }

    /// The name of one of the queue's keys.
    pub fn key(name: &str) -> String {
        format!("weldfleet:{{infer}}:{name}")
    }

    pub async fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command
            .query_async(&mut self.connection.clone())
            .await
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Jobs in a state.
    pub async fn count(&self, state: &str) -> u64 {
        self.connection
            .clone()
            .zcard(Self::key(state))
            .await
            .unwrap_or_else(|error| panic!("ZCARD {state}: {error}"))
    }

    /// Ids of the jobs in a state.
    pub async fn ids(&self, state: &str) -> Vec<String> {
        self.command(&["ZRANGE", &Self::key(state), "0", "-1"])
            .await
    }

    pub async fn job(&self, id: &str) -> BTreeMap<String, String> {
        self.command(&["HGETALL", &Self::key(&format!("job:{id}"))])
            .await
    }

    /// The hashes of every job in a state.
    pub async fn jobs(&self, state: &str) -> Vec<BTreeMap<String, String>> {
        let mut jobs = Vec::new();
        for id in self.ids(state).await {
            jobs.push(self.job(&id).await);
        }
        jobs
    }

    /// What a worker holds: the token of each lease by job id.
    pub async fn held_by(&self, worker: &str) -> BTreeMap<String, u64> {
        let mut held = BTreeMap::new();
        for id in self.ids("leased").await {
            let job = self.job(&id).await;
            let is_leased = job.get("state").is_some_and(|state| state == "leased");
            if is_leased && job["worker"] == worker {
                held.insert(id, job["token"].parse().expect("a token"));
            }
        }
        held
    }

    /// Ids of the workers that are listed as alive.
    pub async fn workers(&self) -> Vec<String> {
        self.command(&["ZRANGE", &Self::key("workers"), "0", "-1"])
            .await
    }

    /// The time by Redis's own clock, ms.
    pub async fn now(&self) -> u64 {
        let (seconds, microseconds): (u64, u64) = self.command(&["TIME"]).await;
        seconds * 1000 + microseconds / 1000
    }

    pub async fn token(&self) -> u64 {
        let token: Option<u64> = self.command(&["GET", &Self::key("token")]).await;
        token.unwrap_or(0)
    }
}
