//! What Redis is asked: who leads, who works, what the queue holds.

use std::time::Duration;

use weldfleet_fleet::{LEADER_RENEWS_EVERY, LEADER_TTL};
use weldfleet_queue::{QueueError, State, Stats, WorkerEntry, beat_of};
use weldfleet_service::exit::causes as one_line;

use super::{Gatherer, SOON, silent};
use crate::status::report::{QueueFacts, Report, StoreLine};

/// Dead jobs whose rows are counted.
const MOST_DEAD: u32 = 100;
/// How long Redis is waited for, so that the rest can still be shown.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long workers, or a leader, that have missed two beats are given to be heard after all: Redis may have been away.
const BEFORE_NOBODY: Duration = Duration::from_millis(1300);

impl Gatherer {
    pub(super) async fn try_redis(&self, report: &mut Report) {
        // The smallest questions first: one that hangs is told of soon, one with much to tell may take its time.
        let small = async {
            match self.queue.check_owner().await {
                // What can be read is shown: after a restore onto another server that is what is wanted.
                Err(error @ QueueError::Foreign { .. }) => {
                    let why = format!("{:#}", weldfleet_fleet::queue_failure(error).error);
                    report.note_problem("redis", &why);
                }
                checked => checked?,
            }
            report.leader = self.queue.leader().await?.map(|leader| leader.id);
            Ok::<(), QueueError>(())
        };
        let looked = match tokio::time::timeout(SOON, small).await {
            Ok(Ok(())) => tokio::time::timeout(PATIENCE, self.look_at_redis(report))
                .await
                .map_err(|_| PATIENCE),
            Ok(refused) => Ok(refused),
            Err(_) => Err(SOON),
        };
        report.stores.redis = match looked {
            Ok(Ok(())) => StoreLine::Works,
            Ok(Err(error)) => {
                let why = one_line(&error);
                report.note_problem("redis", &format!("redis.url: {why}"));
                report.stores.redis_refuses_for_now = error.is_outage() && !error.is_denied();
                match error {
                    QueueError::Unavailable { .. } => StoreLine::Away(why),
                    _ => StoreLine::Refuses(why),
                }
            }
            Err(patience) => {
                report.note_problem("redis", &silent(patience));
                StoreLine::Away(silent(patience))
            }
        };
    }

    async fn look_at_redis(&self, report: &mut Report) -> Result<(), QueueError> {
        let stats = self.queue.stats().await?;
        let waiting = self.queue.waiting().await?;
        report.jobs = Some(stats.states.clone());
        report.paused.clone_from(&stats.paused);
        report.queue = Some(QueueFacts {
            now_ms: stats.now,
            // A token is the time in µs at which it was handed out, or later.
            still_ms: stats.now.saturating_sub(stats.token / 1000),
            outstanding: stats.outstanding.clone(),
            isolated: waiting.isolated,
            dead_rows: self.dead_rows(&stats).await?,
            next_delayed_ms: waiting.next_delayed,
            oldest_pending_ms: stats.oldest_pending_ms,
            oldest_pending_priority: stats.oldest_pending_priority,
            oldest_delayed_ms: waiting
                .delayed_since
                .map(|since| stats.now.saturating_sub(since)),
            expired_leases: waiting.expired,
            kept_until_ms: waiting.kept_until,
        });
        report.workers = Some(self.workers().await?);
        report.schedulers = self.queue.candidates().await?;
        let leader = report.schedulers.iter();
        let leader = leader.filter(|one| report.leader.as_ref() == Some(&one.id));
        report.leader_says = leader.flat_map(|one| one.says.clone()).collect();
        // What can be read is shown; but without writes nothing goes on.
        self.queue.works().await
    }

    /// Those that were heard last first.
    async fn workers(&self) -> Result<Vec<WorkerEntry>, QueueError> {
        let mut workers = self.queue.workers().await?;
        workers.sort_by(|a, b| a.silent_ms.cmp(&b.silent_ms).then_with(|| a.id.cmp(&b.id)));
        Ok(workers)
    }

    /// Rows of the dead jobs, where these may be why nothing moves. Of many the first are counted, and the others are
    /// taken for full ranges.
    async fn dead_rows(&self, stats: &Stats) -> Result<u64, QueueError> {
        let dead = stats.count(State::Dead);
        if dead == 0 || stats.count(State::Leased) + stats.count(State::Pending) > 0 {
            return Ok(0);
        }
        let counted = self.queue.list(State::Dead, 0, MOST_DEAD).await?.jobs;
        let others = dead.saturating_sub(counted.len() as u64);
        let rows: u64 = counted.iter().map(|job| job.weight).sum();
        Ok(rows + others * u64::from(self.settings.scheduler.batch_size))
    }

    /// That no worker at all is heard, or no leader, needs less patience than the silence of one worker. Returns how
    /// long they were waited for.
    pub(super) async fn listen(&self, report: &mut Report) -> Duration {
        if report.stores.redis != StoreLine::Works {
            return Duration::ZERO;
        }
        let mut leader_is_silent = self.leader_is_silent().await;
        let mut waited = Duration::ZERO;
        if leader_is_silent || misses_beats(report) {
            tokio::time::sleep(BEFORE_NOBODY).await;
            waited = BEFORE_NOBODY;
            leader_is_silent = leader_is_silent && self.leader_is_silent().await;
            if let Ok(workers) = self.workers().await {
                report.workers = Some(workers);
            }
        }
        if leader_is_silent {
            report.leader = None;
        }
        if misses_beats(report) {
            report.thresholds.silent_ms = 0;
        }
        waited
    }

    /// Somebody leads still, and has missed two renewals.
    async fn leader_is_silent(&self) -> bool {
        let silent = LEADER_RENEWS_EVERY * 2;
        let leads = self.queue.leader().await;
        leads.is_ok_and(|leads| leads.is_some_and(|leads| leads.remaining + silent < LEADER_TTL))
    }
}

/// There are workers that lived lately, and each has missed two beats.
fn misses_beats(report: &Report) -> bool {
    let living: Vec<&WorkerEntry> = report.living_workers().collect();
    let silent_ms = living.iter().map(|worker| worker.silent_ms).min();
    silent_ms
        .zip(beat_of(&living))
        .is_some_and(|(silent_ms, beat)| silent_ms > (beat * 2).as_millis() as u64)
}
