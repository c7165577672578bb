//! Who is alive.

use std::{collections::BTreeMap, time::Duration};

use redis::Value;

use super::{Queue, WorkerEntry};
use crate::{
    QueueError, WorkerId,
    reply::Reply,
    scripts::{Arg, Operation},
    timing::millis,
};

/// Workers that one listing shows.
const MOST_LISTED: u64 = 10_000;
/// Jobs that are named of each.
const MOST_JOBS_LISTED: usize = 100;
/// The free field in which a worker says how often it says that it lives, ms, where there are few.
pub(crate) const BEAT_FIELD: &str = "beat_ms";
/// Workers that are heard often enough together.
const ENOUGH: u64 = 16;

/// How many times less often each of so many workers must do what one of them must do.
pub(crate) fn rarer(workers: u64) -> u32 {
    u32::try_from(workers / ENOUGH).unwrap_or(u32::MAX).max(1)
}

/// How often each of these says that it lives, at least; `None` if one does not say.
#[must_use]
pub fn beat_of(workers: &[&WorkerEntry]) -> Option<Duration> {
    let mut longest = Duration::ZERO;
    for worker in workers {
        let beat = worker.fields.get(BEAT_FIELD)?.parse().ok()?;
        longest = longest.max(Duration::from_millis(beat));
    }
    longest.checked_mul(rarer(workers.len() as u64))
}

impl Queue {
    /// Lists a worker as alive, with free fields for people (host, device, …). Returns when this Redis first knew the
    /// queue, ms.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn register(
        &self,
        worker: &WorkerId,
        fields: &BTreeMap<String, String>,
    ) -> Result<u64, QueueError> {
        let owner = self.owner_text();
        let mut args = vec![
            Arg::Text(worker.as_str()),
            Arg::Number(millis(self.options().worker_expiry())),
            Arg::Text(&owner),
        ];
        for (name, value) in fields
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "started_at" | "seen_at" | "leases"))
        {
            args.push(Arg::Text(name));
            args.push(Arg::Text(value));
        }
        self.run_number(Operation::Register, &args).await
    }

    /// Takes a worker off the list.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn deregister(&self, worker: &WorkerId) -> Result<(), QueueError> {
        self.run(Operation::Deregister, &[Arg::Text(worker.as_str())])
            .await
            .map(drop)
    }

    /// Registered workers that were heard of lately, by id.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn workers(&self) -> Result<Vec<WorkerEntry>, QueueError> {
        let reply = Reply::of("workers");
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("TIME")
            .cmd("ZREVRANGE")
            .arg(self.keys().named("workers"))
            .arg(0)
            .arg(MOST_LISTED - 1);
        let values = self.inner.link.send_all("workers", &pipeline).await?;
        let (Some(time), Some(ids)) = (values.first(), values.get(1)) else {
            return Ok(Vec::new());
        };
        let [seconds, micros] = reply.entries(time)?;
        let now = reply.number(seconds)? * 1000 + reply.number(micros)? / 1000;
        let ids = reply.texts(ids)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in &ids {
            pipeline.cmd("HGETALL").arg(self.keys().worker(id));
            pipeline.cmd("HKEYS").arg(self.keys().worker_leases(id));
        }
        let values = self.inner.link.send_each("workers", &pipeline).await?;
        let mut workers = Vec::with_capacity(ids.len());
        for (id, [told, held]) in ids.iter().zip(values.as_chunks().0) {
            workers.extend(worker_entry(&reply, id, told, held, now)?);
        }
        workers.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(workers)
    }
}

/// What a worker's record and its list of leases say at `now`; `None` if it is silent.
fn worker_entry(
    reply: &Reply,
    id: &str,
    told: &Value,
    held: &Value,
    now: u64,
) -> Result<Option<WorkerEntry>, QueueError> {
    // What is no hash, of an older release or by hand, hides no other worker.
    if let Value::ServerError(_) = told {
        return Ok(None);
    }
    let mut fields: BTreeMap<String, String> = reply.pairs(told)?.into_iter().collect();
    // the hash expires by itself when the worker falls silent
    let seen_at = fields.remove("seen_at");
    let Some(seen_at) = seen_at.and_then(|text| text.parse::<u64>().ok()) else {
        return Ok(None);
    };
    fields.remove("leases");
    let mut jobs = match held {
        Value::ServerError(_) => Vec::new(),
        held => reply.texts(held)?,
    };
    let leases = jobs.len() as u64;
    jobs.truncate(MOST_JOBS_LISTED);
    jobs.sort();
    Ok(Some(WorkerEntry {
        id: WorkerId::from_text(id),
        silent_ms: now.saturating_sub(seen_at),
        leases,
        jobs,
        fields,
    }))
}
