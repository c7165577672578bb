//! What must be done, or said, when Redis is not the one it was.

use std::collections::BTreeMap;

use weldfleet_queue::{Pause, Stats};
use weldfleet_service::environment::host;
use weldfleet_stores::{
    Day, StoreError,
    clickhouse::{EventLine, Events},
};

use crate::{
    actions::By,
    dependencies::{Dependencies, DependencyError},
    events::{OF_PAUSES, PAUSE_LOST, RESUMED},
    settle,
};

/// What counts what was ever done; of all others a repair may take something back.
const ONLY_GROW: [&str; 3] = ["added", "done", "deaths"];

/// Redis as the last pass saw it.
#[derive(Debug, Default)]
pub struct Memory {
    born_at: Option<u64>,
    token: u64,
    totals: BTreeMap<String, u64>,
    pause: Option<Pause>,
}

/// What has become of Redis since the last pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// It is the one it was.
    Same,
    /// This process has not seen it before.
    New,
    /// It knows nothing of what was.
    Forgot,
    /// It is as it was some time ago: an older file was loaded, or a replica that had not heard of all took over.
    WentBack,
}

impl Memory {
    /// Compares; lifts the fencing counter above every token in ClickHouse where Redis is new to this process. True if
    /// the queue may hold jobs that were taken off it.
    pub async fn compare(
        &mut self,
        deps: &Dependencies,
        stats: &Stats,
        live_days: &[Day],
    ) -> Result<bool, DependencyError> {
        let since = self.since(stats);
        if since != Since::Same {
            // Before anything is enqueued, so before anything can be claimed.
            let largest = deps.table.max_token(live_days).await?;
            deps.queue.raise_token(largest).await?;
            if stats.born_at == 0 {
                // It forgot who leads, too: nothing of this pass will be accepted, and the next one tells.
                return Ok(false);
            }
        }
        match since {
            Since::Forgot => tracing::warn!(
                "redis forgot everything; jobs are made again from the rows and the open runs"
            ),
            Since::WentBack => tracing::warn!(
                "redis went back to what it was some time ago (an older file, a failover); jobs that are missing are made again"
            ),
            Since::Same | Since::New => {}
        }
        // Who was not there when it was lost finds it among the events.
        if since != Since::Same && self.pause.is_none() && stats.paused.is_none() {
            match kept_pause(deps, stats).await {
                Ok(kept) => self.pause = kept,
                Err(error) => tracing::debug!(error = error.chain(), "no event of a pause is read"),
            }
        }
        let lost = match (&self.pause, &stats.paused) {
            (Some(pause), None) if stats.resumed_at < pause.since => !is_resumed(deps, pause).await,
            _ => false,
        };
        match (&self.pause, &stats.paused) {
            (Some(pause), None) if lost => {
                tracing::warn!(
                    reason = pause.reason,
                    by = pause.by,
                    "the fleet was paused and redis forgot that, or somebody deleted its key: it is claiming again; `scheduler pause` stops it"
                );
                keep_lost(deps, pause).await;
            }
            (None, Some(pause)) if settle::ends_ms(pause).is_some() => tracing::info!(
                by = pause.by,
                "the fleet stands still while a finished day is settled, and goes on by itself"
            ),
            (None, Some(pause)) => tracing::warn!(
                reason = pause.reason,
                by = pause.by,
                "the fleet is paused; `scheduler resume` lets it go on"
            ),
            (Some(_), None) => tracing::info!("the fleet is not paused any more"),
            _ => {}
        }
        self.born_at = Some(stats.born_at);
        self.token = stats.token;
        self.totals.clone_from(&stats.totals);
        self.pause.clone_from(&stats.paused);
        Ok(since != Since::Same)
    }

    fn since(&self, now: &Stats) -> Since {
        match self.born_at {
            None => return Since::New,
            Some(born_at) if born_at != now.born_at => return Since::Forgot,
            Some(_) => {}
        }
        let total = |of: &BTreeMap<String, u64>, what: &str| of.get(what).copied().unwrap_or(0);
        let fell = |what: &&str| total(&now.totals, what) < total(&self.totals, what);
        if now.token < self.token || ONLY_GROW.iter().any(fell) {
            return Since::WentBack;
        }
        Since::Same
    }
}

/// Whether the events end with a resume of this pause: one by a program that leaves no mark of it in Redis.
async fn is_resumed(deps: &Dependencies, pause: &Pause) -> bool {
    let last = Events::new(&deps.settings).last_of(&OF_PAUSES).await;
    let since = i64::try_from(pause.since).unwrap_or(i64::MAX);
    last.is_ok_and(|last| last.is_some_and(|last| last.what == "resume" && last.at_ms >= since))
}

/// The pause that the events end with, if nobody has resumed since.
async fn kept_pause(deps: &Dependencies, stats: &Stats) -> Result<Option<Pause>, StoreError> {
    let last = Events::new(&deps.settings).last_of(&OF_PAUSES).await?;
    Ok(last.and_then(|event| open_pause(event, stats.resumed_at)))
}

fn open_pause(event: EventLine, resumed_at: u64) -> Option<Pause> {
    let since = u64::try_from(event.at_ms).ok()?;
    // Of a resume that nobody kept Redis knows.
    (event.what == "pause" && resumed_at < since).then_some(Pause {
        reason: event.why,
        by: event.who,
        since,
    })
}

/// That a pause was lost is shown until somebody pauses or resumes; one for settling ends by itself.
async fn keep_lost(deps: &Dependencies, pause: &Pause) {
    if settle::ends_ms(pause).is_some() {
        return;
    }
    let by = By::new(format!("scheduler@{}", host()), "");
    let was = RESUMED.words(&[&pause.by, &pause.reason]).en;
    let event = by.event(PAUSE_LOST, "fleet", was);
    if let Err(error) = Events::new(&deps.settings).record(&[event]).await {
        tracing::warn!(
            error = error.chain(),
            "that a pause was lost is not kept in weld_events"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_open_until_somebody_resumes() {
        let event = |what: &str| EventLine {
            at_ms: 1000,
            id: 0,
            who: "ana@desk".to_owned(),
            what: what.to_owned(),
            on_what: "fleet".to_owned(),
            why: "tip dress".to_owned(),
            detail: String::new(),
        };
        let open = open_pause(event("pause"), 0).unwrap();
        assert_eq!(
            (open.by.as_str(), open.reason.as_str(), open.since),
            ("ana@desk", "tip dress", 1000)
        );
        assert_eq!(
            open_pause(event("pause"), 1000),
            None,
            "resumed, and that is not kept"
        );
        for over in ["resume", PAUSE_LOST] {
            assert_eq!(open_pause(event(over), 0), None);
        }
    }

    #[test]
    fn a_redis_that_went_back_is_told_by_what_only_grows() {
        let seen = |token, added, left| Stats {
            born_at: 7,
            token,
            totals: [("added".to_owned(), added), ("left".to_owned(), left)].into(),
            ..Stats::default()
        };
        let memory = Memory {
            born_at: Some(7),
            token: 100,
            totals: seen(100, 5, 3).totals,
            pause: None,
        };
        for (now, since) in [
            (seen(100, 5, 3), Since::Same),
            (seen(101, 6, 2), Since::Same),
            (seen(99, 5, 3), Since::WentBack),
            // Tokens go with the clock, and claims went on.
            (seen(200, 4, 3), Since::WentBack),
        ] {
            assert_eq!(memory.since(&now), since, "{now:?}");
        }
        let flushed = Stats::default();
        assert_eq!(memory.since(&flushed), Since::Forgot);
        assert_eq!(Memory::default().since(&flushed), Since::New);
    }
}
