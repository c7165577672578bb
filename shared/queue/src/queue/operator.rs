//! For people and dashboards.

use std::collections::BTreeMap;

use redis::Value;

use super::{Page, Pause, Queue, Stats, Waiting};
use crate::{
    Job, QueueError, State,
    reply::Reply,
    scripts::{Arg, Operation},
};

/// Width of one priority in the score of a pending job; see `pending_score.lua`.
const PRIORITY_BAND: f64 = 1e13;

impl Queue {
    /// Stops claiming fleet-wide; false if it was paused already (the first reason stays).
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn pause(&self, reason: &str, by: &str) -> Result<bool, QueueError> {
        self.pause_instead_of("", reason, by).await
    }

    /// The same, and a pause by `other` is replaced; false if it was paused by a third.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn pause_instead_of(
        &self,
        other: &str,
        reason: &str,
        by: &str,
    ) -> Result<bool, QueueError> {
        let args = [reason, by, other].map(Arg::Text);
        self.run_flag(Operation::Pause, &args).await
    }

    /// Starts claiming again; false if it was not paused.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn resume(&self) -> Result<bool, QueueError> {
        self.resume_of("").await
    }

    /// The same if it was `by` who paused; false otherwise, too.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn resume_of(&self, by: &str) -> Result<bool, QueueError> {
        self.run_flag(Operation::Resume, &[Arg::Text(by)]).await
    }

    /// Why claiming is stopped, if it is.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn paused(&self) -> Result<Option<Pause>, QueueError> {
        Ok(self.stats().await?.paused)
    }

    /// One job by id.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn get(&self, id: &str) -> Result<Option<Job>, QueueError> {
        let Some(mut job) = self.jobs(&[id.to_owned()]).await?.pop() else {
            return Ok(None);
        };
        if !job.unreadable.is_empty() {
            // its record may not say where it is, but the sets do
            let mut pipeline = redis::pipe();
            for state in State::ALL {
                pipeline.cmd("ZSCORE").arg(self.keys().state(state)).arg(id);
            }
            let scores = self.inner.link.send_each("get", &pipeline).await?;
            let listed = State::ALL.into_iter().zip(&scores);
            let mut listed = listed
                .filter(|(_, score)| matches!(score, Value::BulkString(_) | Value::Double(_)));
            if let Some((state, _)) = listed.next() {
                job.state = state;
            }
        }
        Ok(Some(job))
    }

    /// Jobs in a state, oldest (or soonest) first; `cursor` 0 starts, `Page::next` goes on. A job that moves meanwhile
    /// may be missed or seen in its new state.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn list(&self, state: State, cursor: u64, limit: u32) -> Result<Page, QueueError> {
        let reply = Reply::of("list");
        let last = cursor + u64::from(limit.clamp(1, 1000)) - 1;
        let value = self
            .inner
            .link
            .send(
                "list",
                redis::cmd("ZRANGE")
                    .arg(self.keys().state(state))
                    .arg(cursor)
                    .arg(last),
            )
            .await?;
        let ids = reply.texts(&value)?;
        let next = (ids.len() as u64 > last - cursor).then_some(last + 1);
        let mut jobs = self.jobs(&ids).await?;
        for job in jobs.iter_mut().filter(|job| !job.unreadable.is_empty()) {
            job.state = state;
        }
        Ok(Page { jobs, next })
    }

    /// Counts, in constant time.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn stats(&self) -> Result<Stats, QueueError> {
        let (reply, value) = self.run(Operation::Stats, &[]).await?;
        let [
            now,
            token,
            born,
            reason,
            by,
            since,
            workers,
            pending,
            leased,
            delayed,
            splitting,
            dead,
            done,
            oldest,
            counts,
            resumed,
        ] = reply.entries(&value)?;
        let now = reply.number(now)?;
        let paused = match reason {
            Value::Nil => None,
            reason => Some(Pause {
                reason: reply.text(reason)?,
                by: reply.text(by)?,
                since: reply.number(since)?,
            }),
        };
        let oldest = reply.text(oldest)?.parse::<f64>().ok();
        let mut stats = Stats {
            now,
            token: reply.number(token)?,
            born_at: reply.number(born)?,
            paused,
            resumed_at: reply.number(resumed)?,
            workers: reply.number(workers)?,
            oldest_pending_ms: oldest.map(|score| age_of(score, now)),
            oldest_pending_priority: oldest.map(|score| score.div_euclid(PRIORITY_BAND) as u8),
            ..Stats::default()
        };
        let counted = [pending, leased, delayed, splitting, dead, done];
        for (state, count) in State::ALL.into_iter().zip(counted) {
            stats.states.insert(state, reply.number(count)?);
        }
        (stats.totals, stats.outstanding) = totals_and_outstanding(reply.pairs(counts)?);
        Ok(stats)
    }

    /// What jobs wait for, in logarithmic time.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn waiting(&self) -> Result<Waiting, QueueError> {
        let (reply, value) = self.run(Operation::Waiting, &[]).await?;
        let [isolated, next_delayed, delayed_since, expired, kept_until] = reply.entries(&value)?;
        let time = |value| Ok::<_, QueueError>(Some(reply.number(value)?).filter(|ms| *ms > 0));
        Ok(Waiting {
            isolated: reply.number(isolated)?,
            next_delayed: time(next_delayed)?,
            delayed_since: time(delayed_since)?,
            expired: reply.number(expired)?,
            kept_until: time(kept_until)?,
        })
    }

    /// Puts a dead job back to pending with fresh attempts; its deaths and history stay and, if it ever died, it runs
    /// isolated. False if it is not dead.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn requeue(&self, id: &str) -> Result<bool, QueueError> {
        self.run_flag(Operation::Requeue, &[Arg::Text(id)]).await
    }

    /// Forgets a job that is not leased and not done: it is no longer outstanding and its hash is gone. False if there
    /// is none such. The script is `forget.lua`.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn drop_job(&self, id: &str) -> Result<bool, QueueError> {
        self.run_flag(Operation::Forget, &[Arg::Text(id), Arg::Number(0)])
            .await
    }

    /// Forgets a job in any state but done; a worker that holds it finds its lease lost. False if there is none such.
    /// The script is `forget.lua`.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn cancel(&self, id: &str) -> Result<bool, QueueError> {
        self.run_flag(Operation::Forget, &[Arg::Text(id), Arg::Number(1)])
            .await
    }
}

fn age_of(score: f64, now: u64) -> u64 {
    now.saturating_sub(score.rem_euclid(PRIORITY_BAND) as u64)
}

/// What the hash `counts` says: how often each thing came about, and the outstanding jobs by priority.
fn totals_and_outstanding(
    counts: Vec<(String, String)>,
) -> (BTreeMap<String, u64>, BTreeMap<u8, u64>) {
    let mut totals = BTreeMap::<String, u64>::new();
    let mut open = BTreeMap::<u8, i64>::new();
    for (name, text) in counts {
        let number: i64 = text.parse().unwrap_or(0);
        let (what, priority) = name.split_once(':').unwrap_or((name.as_str(), ""));
        *totals.entry(what.to_owned()).or_default() += u64::try_from(number).unwrap_or(0);
        if let Ok(priority) = priority.parse() {
            *open.entry(priority).or_default() += if what == "added" { number } else { -number };
        }
    }
    let outstanding = open
        .into_iter()
        .map(|(priority, count)| (priority, u64::try_from(count).unwrap_or(0)));
    (totals, outstanding.collect())
}
