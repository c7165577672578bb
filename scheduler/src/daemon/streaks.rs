//! Hits of a rule at one spot, several welds in a row, told while this scheduler leads: as an event and a line of the
//! log, once, and as a metric. Nothing is decided by them and no verdict changes. Everything is read from the rows'
//! stored hits, so a new leader finds the streaks of the live days again; an event of the same spot, rule and first
//! weld is not kept twice.

use std::time::Instant;

use weldfleet_service::{exit::causes, metrics::gauge};
use weldfleet_stores::{
    Day, StoreError,
    clickhouse::{Event, Events, SourceTable},
};
use weldfleet_weld::rules::{Rule, SpotHit, Streak, streaks};

use super::Daemon;
use crate::{clock::today, events};

/// Least time between two looks, in `poll_interval`s; a look may take 1/20 of the time.
const POLLS: u32 = 5;
const SHARE: u32 = 20;

pub async fn run(daemon: Daemon) {
    let rules: Vec<(Rule, u32)> = daemon.settings.scheduler.hit_streaks.rules().collect();
    if rules.is_empty() {
        return;
    }
    let mut table: Option<SourceTable> = None;
    let mut reported = Reported::default();
    let pause = daemon.settings.scheduler.poll_interval * POLLS;
    while !daemon.stop.is_cancelled() {
        let began = Instant::now();
        if daemon.leads.borrow().is_none() {
            for (rule, _) in &rules {
                gauge!("weldfleet_hit_streaks", "rule" => rule.as_str()).set(f64::NAN);
            }
        } else if let Err(error) = look(&daemon, &mut table, &rules, &mut reported).await {
            // The table may have changed; outages are told by slicing.
            table = None;
            if !error.is_outage() {
                tracing::warn!(reason = causes(&error), "hits in a row are not looked for");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause.max(began.elapsed() * SHARE)) => {}
            () = daemon.stop.cancelled() => {}
        }
    }
}

async fn look(
    daemon: &Daemon,
    table: &mut Option<SourceTable>,
    rules: &[(Rule, u32)],
    reported: &mut Reported,
) -> Result<(), StoreError> {
    let table = match table {
        Some(table) => table,
        None => {
            let found = SourceTable::inspect(&daemon.settings).await?;
            if !found.has_spots() {
                tracing::warn!(
                    "scheduler.hit_streaks finds nothing: the source table has no column for `spot_name`; map it under [columns]"
                );
            }
            table.insert(found)
        }
    };
    let Ok(today) = today(&daemon.settings.scheduler.timezone) else {
        return Ok(());
    };
    let days: Vec<Day> = (0..=i32::from(daemon.settings.scheduler.lookback_days))
        .filter_map(|days| today.offset(-days))
        .collect();
    for (rule, least) in rules {
        let hits = table.spot_hits(*rule, &days, *least).await?;
        let found = streaks(&hits, *least);
        let news = reported.news(*rule, &found);
        keep(daemon, *rule, &news).await;
        for streak in news {
            tracing::warn!(
                rule = rule.as_str(),
                spot = streak.first.spot,
                welds = streak.welds,
                from = streak.first.time,
                to = streak.last.time,
                first = streak.first.record_id,
                last = streak.last.record_id,
                "hits in a row at one spot"
            );
        }
        gauge!("weldfleet_hit_streaks", "rule" => rule.as_str()).set(found.len() as f64);
    }
    Ok(())
}

/// Tells `weld_events`; without it the log has it.
async fn keep(daemon: &Daemon, rule: Rule, news: &[&Streak<'_>]) {
    let event = |streak: &&Streak<'_>| {
        let (first, last) = (streak.first, streak.last);
        Event {
            who: daemon.id.to_string(),
            what: "hit streak",
            on_what: format!(
                "spot {} from weld {} {}",
                first.spot, first.time, first.record_id
            ),
            why: events::STREAK_OF.words(&[rule.as_str()]).en,
            detail: events::STREAK
                .words(&[&streak.welds.to_string(), &last.time, &last.record_id])
                .en,
        }
    };
    let events: Vec<Event> = news.iter().map(event).collect();
    if let Err(error) = Events::new(&daemon.settings).record_once(&events).await {
        tracing::warn!(
            error = error.chain(),
            "hits in a row are not kept in weld_events"
        );
    }
}

/// Streaks that were reported. One that has grown since, at either end, is no news.
#[derive(Debug, Default)]
struct Reported(Vec<Stretch>);

#[derive(Debug, PartialEq)]
struct Stretch {
    rule: Rule,
    spot: String,
    /// First and last time.
    times: [String; 2],
}

impl Reported {
    /// Those of `found` that were not told; all of `rule` that is not found any more is forgotten.
    fn news<'f, 'h>(&mut self, rule: Rule, found: &'f [Streak<'h>]) -> Vec<&'f Streak<'h>> {
        let overlaps = |stretch: &Stretch, streak: &Streak<'_>| {
            let (from, to): (&SpotHit, &SpotHit) = (streak.first, streak.last);
            stretch.rule == rule
                && stretch.spot == from.spot
                && stretch.times[0] <= to.time
                && from.time <= stretch.times[1]
        };
        let news = found
            .iter()
            .filter(|streak| !self.0.iter().any(|stretch| overlaps(stretch, streak)))
            .collect();
        self.0.retain(|stretch| stretch.rule != rule);
        self.0.extend(found.iter().map(|streak| Stretch {
            rule,
            spot: streak.first.spot.clone(),
            times: [streak.first.time.clone(), streak.last.time.clone()],
        }));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(spot: &str, places: std::ops::Range<u64>) -> Vec<SpotHit> {
        places
            .map(|place| SpotHit {
                spot: spot.to_owned(),
                place,
                time: format!("2026-11-28 08:{place:02}:00"),
                record_id: place.to_string(),
            })
            .collect()
    }

    #[test]
    fn a_streak_is_told_once_however_it_grows() {
        let mut reported = Reported::default();
        let mut news = |rule, hits: &[SpotHit]| reported.news(rule, &streaks(hits, 3)).len();
        assert_eq!(news(Rule::ResistancePeak, &hits("A", 4..7)), 1);
        assert_eq!(news(Rule::ResistancePeak, &hits("A", 4..7)), 0);
        assert_eq!(news(Rule::ResistancePeak, &hits("A", 2..9)), 0);
        assert_eq!(news(Rule::Expulsion, &hits("A", 4..7)), 1);
        assert_eq!(news(Rule::ResistancePeak, &hits("B", 4..7)), 1);
        let two = [hits("B", 4..7), hits("B", 11..15)].concat();
        assert_eq!(news(Rule::ResistancePeak, &two), 1);
        // Judged anew and gone; back again it is told again.
        assert_eq!(news(Rule::ResistancePeak, &[]), 0);
        assert_eq!(news(Rule::ResistancePeak, &hits("B", 4..7)), 1);
    }
}
