//! Two EVALSHA a job and no guarantee at all: what any queue with scripts pays at least.

use std::time::Duration;

use redis::Script;

use crate::{Error, child::Spec};

const TAKE: &str = "local id = redis.call('RPOPLPUSH', KEYS[1], KEYS[2]) if not id then return nil end \
    redis.call('HSET', KEYS[3] .. id, 'state', 'active') return {id, redis.call('HGET', KEYS[3] .. id, 'payload')}";
const END: &str =
    "redis.call('LREM', KEYS[2], 1, ARGV[1]) return redis.call('DEL', KEYS[3] .. ARGV[1])";
const KEYS: [&str; 3] = ["floor:waiting", "floor:active", "floor:job:"];

pub async fn enqueue(url: &str, jobs: usize) -> Result<(), Error> {
    let mut redis = redis::Client::open(url)?
        .get_multiplexed_async_connection()
        .await?;
    for from in (0..jobs).step_by(200) {
        let mut pipe = redis::pipe();
        for n in from..(from + 200).min(jobs) {
            pipe.cmd("HSET")
                .arg(format!("{}{n}", KEYS[2]))
                .arg("payload")
                .arg("1")
                .ignore();
            pipe.cmd("LPUSH").arg(KEYS[0]).arg(n).ignore();
        }
        pipe.exec_async(&mut redis).await?;
    }
    Ok(())
}

pub async fn work(spec: &Spec) -> Result<(), Error> {
    let mut redis = redis::Client::open(spec.url.as_str())?
        .get_multiplexed_async_connection()
        .await?;
    let (take, end) = (Script::new(TAKE), Script::new(END));
    loop {
        let taken: Option<(String, String)> = take.key(&KEYS[..]).invoke_async(&mut redis).await?;
        let Some((id, _payload)) = taken else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        spec.handler.run().await;
        let _: u64 = end.key(&KEYS[..]).arg(id).invoke_async(&mut redis).await?;
    }
}
