//! One file a library; each enqueues, works, and says what became of the jobs, in its own idiom and with its own
//! defaults.

mod apalis_redis;
mod bullmq;
mod floor;
mod ours;

use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};

use crate::{Error, child::Spec};

/// Name of the queue in every library.
const QUEUE: &str = "bench";

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Peer {
    Floor,
    Ours,
    /// Ours, with apalis running the handlers.
    OursInApalis,
    ApalisRedis,
    BullMq,
}

impl Peer {
    pub async fn enqueue(self, url: &str, jobs: usize) -> Result<(), Error> {
        match self {
            Self::Floor => floor::enqueue(url, jobs).await,
            Self::Ours | Self::OursInApalis => ours::enqueue(url, jobs).await,
            Self::ApalisRedis => apalis_redis::enqueue(url, jobs).await,
            Self::BullMq => bullmq::enqueue(url, jobs).await,
        }
    }

    /// Works until the process is killed.
    pub async fn work(self, spec: &Spec) -> Result<(), Error> {
        match self {
            Self::Floor => floor::work(spec).await,
            Self::Ours => ours::work(spec).await,
            Self::OursInApalis => ours::work_in_apalis(spec).await,
            Self::ApalisRedis => apalis_redis::work(spec).await,
            Self::BullMq => bullmq::work(spec).await,
        }
    }

    /// Are all `jobs` done? One command.
    pub async fn done(self, redis: &mut MultiplexedConnection, jobs: usize) -> Result<bool, Error> {
        let (command, keys, wanted) = match self {
            Self::Floor => (
                "EXISTS",
                vec!["floor:waiting".to_owned(), "floor:active".to_owned()],
                0,
            ),
            Self::Ours | Self::OursInApalis => ("EXISTS", ours::outstanding(), 0),
            Self::ApalisRedis => ("SCARD", vec![format!("{QUEUE}:done")], jobs),
            Self::BullMq => ("ZCARD", vec![format!("bull:{QUEUE}:completed")], jobs),
        };
        let found: usize = redis::cmd(command).arg(keys).query_async(redis).await?;
        Ok(found == wanted)
    }

    /// Has the library given up on a job that only ever kills its worker?
    pub async fn given_up(self, redis: &mut MultiplexedConnection) -> Result<bool, Error> {
        let (command, key) = match self {
            Self::Floor => return Ok(false),
            Self::Ours | Self::OursInApalis => ("ZCARD", ours::dead()),
            Self::ApalisRedis => ("SCARD", format!("{QUEUE}:dead")),
            Self::BullMq => ("ZCARD", format!("bull:{QUEUE}:failed")),
        };
        let found: usize = redis::cmd(command).arg(key).query_async(redis).await?;
        Ok(found > 0)
    }
}
