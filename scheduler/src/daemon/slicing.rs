//! Passes, while this scheduler leads.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use weldfleet_breaker::is_breakers;
use weldfleet_queue::{LeaderToken, Pause};
use weldfleet_service::Health;
use weldfleet_service::metrics::{counter, gauge, histogram};
use weldfleet_stores::{
    StoreError,
    clickhouse::{EventLine, Events, SourceTable, TableWatch, empty_filter},
    migrate::own_tables,
};

use super::{
    Daemon, gauges,
    outage::{self, Backoff, CLICKHOUSE, REDIS},
};
use crate::{
    actions::By,
    clock::{live_days, today},
    dependencies::{Dependencies, DependencyError},
    pass::{Moment, Pass, Summary},
    status::causes::{Cause, RUN},
};

/// How far the clocks of the stores may differ.
const CLOCKS_MAY_DIFFER_MS: i64 = 60_000;
/// Events among which an earlier leader's is looked for.
const LATEST_EVENTS: u32 = 100;
/// When what ClickHouse did not answer at the start is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(10);
/// No two passes are closer than this, whatever is due.
const SHORTEST: Duration = Duration::from_millis(20);

pub async fn run(daemon: Daemon, deps: Dependencies) {
    tokio::spawn(warn_of_tables(deps.clone(), daemon.stop.clone()));
    let mut leads = daemon.leads.clone();
    let mut slicing = Slicing {
        daemon: daemon.clone(),
        pass: Pass::new(deps),
        watch: TableWatch::default(),
        backoff: Backoff::default(),
        deaths: None,
        told: None,
    };
    while !daemon.stop.is_cancelled() {
        let token = *leads.borrow_and_update();
        let Some(token) = token else {
            slicing.forget();
            tokio::select! {
                _ = leads.changed() => {}
                () = daemon.stop.cancelled() => {}
            }
            continue;
        };
        let wait = slicing.step(token).await;
        tokio::select! {
            () = sleep(wait) => {}
            () = daemon.wake.notified() => {}
            _ = leads.changed() => {}
            () = daemon.stop.cancelled() => {}
        }
    }
}

struct Slicing {
    daemon: Daemon,
    pass: Pass,
    watch: TableWatch,
    backoff: Backoff,
    /// Leases that had run out when the last pass looked.
    deaths: Option<u64>,
    /// See [`keep_breakers_pause`].
    told: Option<u64>,
}

impl Slicing {
    /// Who does not lead knows nothing of passes.
    fn forget(&mut self) {
        gauges::forget(&["weldfleet_jobs_unreadable"]);
        forget(&self.daemon.health);
        self.daemon.telling.reached(true);
        self.daemon.telling.again(None);
        self.deaths = None;
    }

    /// One pass; how long to wait for the next.
    async fn step(&mut self, token: LeaderToken) -> Duration {
        // Where ClickHouse does not answer the pass says so.
        if let Ok(true) = self.watch.sees_another(&self.pass.deps().table).await {
            self.look_at_table().await;
        }
        let began = Instant::now();
        let mut wait = SHORTEST;
        let failed = match one(&self.daemon, &mut self.pass, token).await {
            Ok(mut summary) => {
                self.went_through(&summary, began).await;
                wait = until_next(&self.daemon, &summary, began);
                let failed = summary.failed.take();
                // The others are judged on.
                self.daemon.telling.day_fails(failed.is_some());
                if failed.is_none() {
                    self.backoff.worked();
                    outage::ends(&self.daemon.health, CLICKHOUSE);
                }
                failed.map(|error| (CLICKHOUSE, outage::advice(&error)))
            }
            Err(error) => {
                self.daemon.telling.day_fails(false);
                Some(error)
            }
        };
        if let Some((dependency, reason)) = failed {
            outage::begins(&self.daemon.health, dependency, &reason);
            count_failed(dependency);
            if dependency == CLICKHOUSE {
                self.look_at_table().await;
            }
            wait = self.backoff.failed();
        }
        wait
    }

    async fn went_through(&mut self, summary: &Summary, began: Instant) {
        self.daemon.telling.reached(true);
        histogram!("weldfleet_pass_duration_seconds").record(began.elapsed());
        show(&self.daemon, summary);
        let paused = summary.stats.paused.as_ref();
        self.told = keep_breakers_pause(&self.daemon, paused, self.told).await;
        let died = summary.stats.totals.get("deaths").copied().unwrap_or(0);
        counter!("weldfleet_leases_expired_total").increment(more_than(self.deaths, died));
        self.deaths = Some(died);
        if summary.failed_days > 0 {
            count_failed(CLICKHOUSE);
        }
    }

    /// Works on with the source table as it is now, if it can be worked with and is not what it was.
    async fn look_at_table(&mut self) {
        let deps = self.pass.deps();
        let Ok(table) = SourceTable::inspect(&deps.settings).await else {
            return;
        };
        if table.schema() != deps.table.schema() {
            tracing::warn!("the source table has changed, reading it anew");
            let (settings, queue) = (deps.settings.clone(), deps.queue.clone());
            self.pass = Pass::new(Dependencies::of(settings, queue, table));
        }
    }
}

fn count_failed(dependency: &'static str) {
    counter!("weldfleet_passes_failed_total", "dependency" => dependency).increment(1);
}

/// What passes found out is no longer true of this scheduler: whoever leads now says how its passes go. Redis is asked
/// on by the leadership task, ClickHouse by nobody here.
fn forget(health: &Health) {
    outage::is_unknown(CLICKHOUSE);
    for component in [CLICKHOUSE, "clock", "paused", "jobs", RUN] {
        health.ready(component);
    }
}

/// Leases that ran out since a pass looked, whoever took them back. Where Redis forgot its count, that begins anew.
fn more_than(before: Option<u64>, now: u64) -> u64 {
    before.map_or(0, |before| now.checked_sub(before).unwrap_or(now))
}

/// What keeps rows from being judged, and nothing else says. Beside the passes, which say when ClickHouse is away.
async fn warn_of_tables(deps: Dependencies, stop: CancellationToken) {
    let warnings = loop {
        match table_warnings(&deps).await {
            Ok(warnings) => break warnings,
            Err(_) if stop.run_until_cancelled(sleep(ASKED_AGAIN)).await.is_none() => return,
            Err(_) => {}
        }
    };
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

async fn table_warnings(deps: &Dependencies) -> Result<Vec<String>, StoreError> {
    let mut warnings = Vec::new();
    warnings.extend(
        empty_filter(&deps.settings)
            .await?
            .map(|empty| empty.to_string()),
    );
    warnings.extend(
        deps.table
            .row_policy()
            .await?
            .map(|policy| policy.to_string()),
    );
    let lacking = own_tables(&deps.settings).await?;
    warnings.extend(
        lacking
            .iter()
            .map(|lacking| format!("`scheduler migrate` has something to do: {lacking}")),
    );
    Ok(warnings)
}

async fn one(
    daemon: &Daemon,
    pass: &mut Pass,
    leader: LeaderToken,
) -> Result<Summary, (&'static str, String)> {
    let today =
        today(&daemon.settings.scheduler.timezone).map_err(|error| ("clock", error.to_string()))?;
    let moment = Moment {
        at: Instant::now(),
        today,
    };
    let sees = || daemon.telling.reached(true);
    let summary = pass.run(leader, moment, sees).await.map_err(|error| {
        if let DependencyError::Store(error) = &error {
            daemon.telling.reached(!outage::is_out_of_reach(error));
        }
        outage::of_pass(&error)
    })?;
    outage::ends(&daemon.health, REDIS);
    daemon.health.ready("clock");
    daemon
        .touched
        .note(live_days(&daemon.settings.scheduler, today), &summary);
    Ok(summary)
}

fn until_next(daemon: &Daemon, summary: &Summary, began: Instant) -> Duration {
    let settings = &daemon.settings.scheduler;
    // Rows that nobody has looked at yet wait, too.
    let poll = settings.poll_interval.min(settings.max_wait);
    if summary.split > 0 || summary.more {
        // There may be more to do than one pass does.
        return SHORTEST;
    }
    let now = Instant::now();
    let next = summary
        .next_due
        .map_or(began + poll, |due| due.min(began + poll));
    next.saturating_duration_since(now).max(SHORTEST)
}

fn show(daemon: &Daemon, summary: &Summary) {
    let stats = &summary.stats;
    for (class, added) in [
        ("live", summary.live_ranges),
        ("backfill", summary.backfill_ranges),
    ] {
        counter!("weldfleet_ranges_enqueued_total", "class" => class).increment(added);
        if added > 0 {
            tracing::info!(class, ranges = added, "enqueued");
        }
    }
    counter!("weldfleet_jobs_split_total").increment(summary.split);
    counter!("weldfleet_rows_poison_total").increment(summary.poisoned);
    match &stats.paused {
        Some(pause) => {
            let zone = daemon.settings.scheduler.timezone.rules();
            let told = Cause::paused(pause, stats.now, zone).line();
            let what = match daemon.settings.console.has_users() {
                true => told.nameless,
                false => told.what,
            };
            let reason = format!("{}; {}", what.en, told.remedy.en);
            daemon.health.not_ready("paused", reason);
        }
        None => {
            daemon.health.ready("paused");
        }
    }
    match summary.unreadable.first() {
        Some((job, why)) => {
            let reason = format!(
                "job {job}: {why}; what it covers is not known, so its day waits; `scheduler jobs show {job}`, then `scheduler jobs drop {job}`"
            );
            if daemon.health.not_ready("jobs", reason.clone()) {
                tracing::error!(reason, "the day waits until this job is dropped");
            }
        }
        None => {
            daemon.health.ready("jobs");
        }
    }
    if daemon.telling.again(summary.again.clone()) {
        let row = summary.again.as_deref().unwrap_or_default();
        tracing::warn!(
            row,
            "a row was given to workers again and again, and has no verdict"
        );
    }
    match &summary.backfill_waits {
        Some(why) => daemon.health.not_ready(RUN, why.clone()),
        None => daemon.health.ready(RUN),
    };
    gauge!("weldfleet_jobs_unreadable").set(summary.unreadable.len() as f64);
}

/// A pause by the breaker, which a worker cannot keep in `weld_events`; a person's is kept by the command. Answers
/// since when the pause lasts that needs no more telling.
async fn keep_breakers_pause(
    daemon: &Daemon,
    pause: Option<&Pause>,
    told: Option<u64>,
) -> Option<u64> {
    let pause = pause.filter(|pause| is_breakers(&pause.reason))?;
    if told == Some(pause.since) {
        return told;
    }
    let events = Events::new(&daemon.settings);
    let kept = async {
        // An earlier leader may have kept it; ClickHouse's clock is not Redis'.
        let earliest = i64::try_from(pause.since).unwrap_or(i64::MAX) - CLOCKS_MAY_DIFFER_MS;
        let latest = events.latest(LATEST_EVENTS, None).await?;
        let is_this = |event: &EventLine| {
            event.what == "pause" && event.why == pause.reason && event.at_ms >= earliest
        };
        if latest.iter().any(is_this) {
            return Ok(());
        }
        // It was seen when the pass began: somebody may have ended it, whose event would then be the older one.
        let now = daemon.queue.paused().await;
        if now.is_ok_and(|now| now.is_none_or(|now| now.since != pause.since)) {
            return Ok(());
        }
        // Whole, so that it is found again.
        let by = By {
            who: pause.by.clone(),
            why: pause.reason.clone(),
        };
        events.record(&[by.event("pause", "fleet", "")]).await
    };
    match kept.await {
        Ok(()) => Some(pause.since),
        // The next pass tries again.
        Err::<(), StoreError>(error) => {
            tracing::debug!(error = error.chain(), "the breaker's pause is not kept yet");
            told
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leads_no_longer_keeps_no_reason_of_a_pass() {
        let health = Health::default();
        for component in [REDIS, CLICKHOUSE, "clock", "paused", "jobs", RUN] {
            health.not_ready(component, "X");
        }
        forget(&health);
        let left = health.reasons().into_iter().map(|reason| reason.component);
        assert_eq!(left.collect::<Vec<_>>(), [REDIS], "the leadership task's");
    }

    #[test]
    fn each_lease_that_runs_out_is_counted_once() {
        assert_eq!(more_than(None, 500), 0, "before this scheduler led");
        assert_eq!(more_than(Some(500), 512), 12);
        assert_eq!(more_than(Some(512), 3), 3, "redis forgot everything");
    }
}
