//! Hits of a rule at one spot of a part and one timer, several welds in a row, told while this scheduler leads: as an
//! event and a line of the log, once, and as metrics. Nothing is decided by them and no verdict changes. Everything is
//! read from the rows' stored hits, so a new leader finds the streaks of the live days again; an event of the same
//! spot, rule and first weld is not kept twice.

use std::time::Instant;

use weldfleet_service::{exit::causes, metrics::gauge};
use weldfleet_stores::{Day, StoreError, clickhouse::Events};
use weldfleet_weld::rules::{Rule, Spot, SpotHit, Streak, streaks};

use super::Daemon;
use crate::{
    actions::By,
    clock::{live_days, now_ms, today},
    dependencies::WatchedTable,
    events,
};

/// Least time between two looks, in `poll_interval`s; a look may take 1/20 of the time.
const POLLS: u32 = 5;
const SHARE: u32 = 20;

pub async fn run(daemon: Daemon) {
    let rules: Vec<(Rule, u32)> = daemon.settings.scheduler.hit_streaks.rules().collect();
    if rules.is_empty() {
        return;
    }
    let mut table = WatchedTable::default();
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
            table.forget();
            if !error.is_outage() {
                tracing::warn!(reason = causes(&error), "hits in a row are not looked for");
            }
        }
        daemon.sleep(pause.max(began.elapsed() * SHARE)).await;
    }
}

async fn look(
    daemon: &Daemon,
    table: &mut WatchedTable,
    rules: &[(Rule, u32)],
    reported: &mut Reported,
) -> Result<(), StoreError> {
    let (table, is_new) = table.get(&daemon.settings).await?;
    if is_new && !table.has_spots() {
        tracing::warn!(
            "scheduler.hit_streaks finds nothing: the source table has no column for `spot_name`; map it under [columns]"
        );
    }
    let Ok(today) = today(&daemon.settings.scheduler.timezone) else {
        return Ok(());
    };
    let mut days = live_days(&daemon.settings.scheduler, today);
    let oldest = days.iter().min().copied().unwrap_or(today);
    days.extend(oldest.offset(-1));
    for (rule, least) in rules {
        let hits = table.spot_hits(*rule, &days, *least).await?;
        let found = of_live_days(streaks(&hits, *least), oldest);
        let news = reported.news(*rule, &found);
        if keep(daemon, *rule, &news).await {
            gauge!("weldfleet_hit_streak_told_timestamp_seconds", "rule" => rule.as_str())
                .set(now_ms() as f64 / 1000.0);
        }
        for streak in news {
            tracing::warn!(
                rule = rule.as_str(),
                timer = streak.first.spot.timer_name,
                part = streak.first.spot.part_no,
                spot = streak.first.spot.spot_name,
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

/// Streaks that end on a live day. One more day is read before these, to see where a streak over midnight begins: an
/// event is told apart by that, and would else be kept again once its first day is not live any more.
fn of_live_days(mut found: Vec<Streak<'_>>, oldest: Day) -> Vec<Streak<'_>> {
    found.retain(|streak| streak.last.day >= oldest.number());
    found
}

/// Tells `weld_events`; without it the log has it. Whether there is one that no leader has told.
async fn keep(daemon: &Daemon, rule: Rule, news: &[&Streak<'_>]) -> bool {
    let by = By::new(&*daemon.id, &events::STREAK_OF.words(&[rule.as_str()]).en);
    let event = |streak: &&Streak<'_>| {
        let (first, last) = (streak.first, streak.last);
        let Spot {
            timer_name,
            part_no,
            spot_name,
        } = &first.spot;
        let from = format!("{} {}", first.time, first.record_id);
        let welds = streak.welds.to_string();
        let at = [spot_name, named(part_no), named(timer_name), &from];
        let detail = [&*welds, &last.time, &last.record_id];
        by.event(
            "hit streak",
            events::STREAK_AT.words(&at).en,
            events::STREAK.words(&detail).en,
        )
    };
    let events: Vec<_> = news.iter().map(event).collect();
    match Events::new(&daemon.settings).record_once(&events).await {
        Ok(added) => added > 0,
        Err(error) => {
            tracing::warn!(
                error = error.chain(),
                "hits in a row are not kept in weld_events"
            );
            !news.is_empty()
        }
    }
}

fn named(name: &str) -> &str {
    if name.is_empty() { "-" } else { name }
}

/// Streaks that were reported. One that has grown since, at either end, is no news.
#[derive(Debug, Default)]
struct Reported(Vec<Stretch>);

#[derive(Debug, PartialEq)]
struct Stretch {
    rule: Rule,
    spot: Spot,
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
                spot: Spot {
                    timer_name: "T1".to_owned(),
                    part_no: "P".to_owned(),
                    spot_name: spot.to_owned(),
                },
                place,
                day: 20_261_128,
                time: format!("2026-11-28 08:{place:02}:00"),
                record_id: place.to_string(),
            })
            .collect()
    }

    #[test]
    fn a_streak_over_midnight_begins_where_it_began() {
        let mut welds = hits("A", 1..6);
        welds[0].day = 20_261_127;
        welds[1].day = 20_261_127;
        welds.extend(hits("B", 1..4).into_iter().map(|hit| SpotHit {
            day: 20_261_127,
            ..hit
        }));
        let oldest = Day::new(20_261_128).unwrap();
        let told = of_live_days(streaks(&welds, 3), oldest);
        assert_eq!(told.len(), 1, "what ended before is nobody's any more");
        assert_eq!((told[0].first.place, told[0].welds), (1, 5));
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
