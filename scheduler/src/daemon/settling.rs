//! Finished days are settled while this scheduler leads; apart from passes, so that a table that cannot be settled
//! delays no slicing.

use std::time::{Duration, Instant};

use weldfleet_queue::State;
use weldfleet_service::{
    backoff::doubled,
    exit::causes,
    metrics::{counter, histogram},
    output::spoken,
};
use weldfleet_stores::clickhouse::{Events, SourceTable};

use super::Daemon;
use crate::{
    actions::By,
    clock::today,
    dependencies::{DependencyError, WatchedTable},
    events,
    settle::{self, Applied, Rule, Unsettled},
};

/// Least and longest time between two looks.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A look may take this share of the time between two: 1/20.
const SHARE: u32 = 20;
/// How long a moment without leases is waited for before leases are asked to end.
const FORBEAR: Duration = Duration::from_secs(120);
/// Least and longest time between two tries after one that did not do.
const AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// How long the fleet may stand still for it at most; each try that did not do doubles what the table seems to need.
const STANDSTILL: Duration = Duration::from_secs(3600);

pub async fn run(daemon: Daemon) {
    let mut table = WatchedTable::default();
    let mut settling = DaySettling::default();
    while !daemon.stop.is_cancelled() {
        let mut wait = LOOK_EVERY.0;
        if daemon.leads.borrow().is_some() {
            match settling.step(&daemon, &mut table).await {
                Ok(idle) => wait = idle,
                // Outages are told by slicing.
                Err(error) if error.is_outage() => wait = LOOK_EVERY.1,
                Err(error) => wait = settling.did_not(&causes(&error), Duration::ZERO),
            }
        }
        daemon.sleep(wait).await;
    }
}

/// What is remembered between looks is only about time: losing it costs a wait.
#[derive(Debug, Default)]
struct DaySettling {
    /// Since when something has been ready.
    ready_since: Option<Instant>,
    /// Tries in a row that did not do.
    failures: u32,
    /// When the next try may be made where the patches come near the server's limit, and where they do not.
    soonest: Option<Instant>,
    not_before: Option<Instant>,
}

impl DaySettling {
    /// One look, and settling if it is time; how long to wait for the next.
    async fn step(
        &mut self,
        daemon: &Daemon,
        table: &mut WatchedTable,
    ) -> Result<Duration, DependencyError> {
        let (table, _) = table.get(&daemon.settings).await?;
        settle::lift_abandoned(table, &daemon.queue).await?;
        let began = Instant::now();
        let seen = settle::look(table, &daemon.queue).await?;
        let cost = began.elapsed() * SHARE;
        let Ok(today) = today(&daemon.settings.scheduler.timezone) else {
            return Ok(LOOK_EVERY.1);
        };
        let rule = Rule {
            not_over: Some(today),
            quiet: daemon.settings.tables.settle_after,
        };
        let ready = settle::ready(&seen, rule);
        if ready.is_empty() {
            self.ready_since = None;
            let often = daemon.settings.tables.settle_after / 4;
            return Ok(often.clamp(LOOK_EVERY.0, LOOK_EVERY.1).max(cost));
        }
        let not_before = match seen.patches.are_many() {
            true => self.soonest,
            false => self.not_before,
        };
        if not_before.is_some_and(|time| Instant::now() < time) {
            return Ok(LOOK_EVERY.1.max(cost));
        }
        let waited = self.ready_since.get_or_insert_with(Instant::now).elapsed();
        let leased = daemon.queue.stats().await?.count(State::Leased);
        if leased > 0 && waited < FORBEAR {
            return Ok(LOOK_EVERY.0.max(cost));
        }
        self.settle(daemon, table, &seen, &ready).await
    }

    async fn settle(
        &mut self,
        daemon: &Daemon,
        table: &SourceTable,
        seen: &Unsettled,
        ready: &[String],
    ) -> Result<Duration, DependencyError> {
        let most = doubled((settle::bound(&seen.patches), STANDSTILL), self.failures);
        let (who, began) = (&daemon.id, Instant::now());
        match settle::apply(table, &daemon.queue, who, ready, most, &daemon.stop).await? {
            Applied::Done(took) => {
                self.failures = 0;
                self.ready_since = None;
                // Applied patches count towards the limit for another half minute.
                let rest = self.rest(AGAIN.0, took);
                counter!("weldfleet_settlements_total", "outcome" => "done").increment(1);
                histogram!("weldfleet_settling_duration_seconds").record(took);
                keep(daemon, ready, took).await;
                tracing::info!(
                    partitions = ready.len(),
                    bytes = seen.patches.bytes,
                    stood_still = spoken(took),
                    next_at_the_soonest_in = spoken(rest),
                    "days settled"
                );
                Ok(LOOK_EVERY.0)
            }
            Applied::Not(_) if daemon.stop.is_cancelled() => Ok(LOOK_EVERY.0),
            Applied::Not(why) => Ok(self.did_not(&why, began.elapsed())),
        }
    }

    /// How long the fleet is not stopped again: at least so long, and its share of the time.
    fn rest(&mut self, least: Duration, stood_still: Duration) -> Duration {
        let rest = least.max(settle::rest(stood_still));
        self.soonest = Some(Instant::now() + least);
        self.not_before = Some(Instant::now() + rest);
        rest
    }

    /// Notes a try that did not do; how long to wait.
    fn did_not(&mut self, reason: &str, stood_still: Duration) -> Duration {
        let again = self.rest(doubled(AGAIN, self.failures), stood_still);
        self.failures += 1;
        self.ready_since = None;
        counter!("weldfleet_settlements_total", "outcome" => "failed").increment(1);
        tracing::warn!(
            reason,
            again_in = spoken(again),
            "days are not settled; judging goes on, backups and archives of them would leave verdicts out. \
             `scheduler settle --from D --to D --wait` does it at once"
        );
        LOOK_EVERY.1
    }
}

/// Tells `weld_events`; without it the log has it.
async fn keep(daemon: &Daemon, partitions: &[String], took: Duration) {
    let by = By::new(&*daemon.id, events::QUIET.en);
    let partitions = format!("partitions {}", partitions.join(", "));
    let detail = events::STOOD_STILL.words(&[&spoken(took)]).en;
    let event = by.event("settle", partitions, detail);
    if let Err(error) = Events::new(&daemon.settings).record(&[event]).await {
        tracing::warn!(error = error.chain(), "settling is not kept in weld_events");
    }
}
