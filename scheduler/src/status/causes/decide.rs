//! Which causes there are, from what is known.
//!
//! They come in the order in which they matter. Those at the end only say why a fleet stands still, so they are told
//! only while it does: nothing is leased, and for some seconds nothing was claimed or enqueued. And they are told only
//! where no earlier cause explains it.

use jiff::tz::TimeZone;
use weldfleet_queue::{State, WorkerEntry};
use weldfleet_stores::clickhouse::RunState;

use super::{AGAIN, Cause, MIRROR, RUN, UNREACHED};
use crate::{
    clock::time_of_day,
    pass::{BACKFILL, LIVE},
    status::report::{DayLine, Report, RunLine, StoreLine, Thresholds},
};

/// A disk with less room than this is full for people: a merge of parts takes more.
const FULL_BYTES: u64 = 64 * 1024 * 1024;
/// Clocks of hosts that are kept right differ by less.
const CLOCKS_MAY_DIFFER_MS: u64 = 60_000;
/// How the operating system says that a disk is full.
const NO_ROOM: &str = "No space left";
/// Rows that wait no longer than this to fill a range are how rows come in.
const MOST_WAIT_MS: u64 = 5_000;
/// What explains a standstill, however rows come in, is told after so long: within five seconds, with the second for
/// which a look is good.
const SOON_MS: u64 = 3_600;
/// A long `scheduler.max_wait` is told after so long: rows are seen up to a second after they came.
const PARTIAL_MS: u64 = 2_500;
/// What nothing explains is told after so long: a slow pass over a large day explains itself.
const UNEXPLAINED_MS: u64 = 30_000;

/// Every cause, the most important first.
pub fn causes(report: &Report, zone: &TimeZone) -> Vec<Cause> {
    let mut found = Vec::new();
    stores(report, &mut found);
    fleet(report, zone, &mut found);
    // Where a backfill waits all else goes on.
    let is_backfill =
        |cause: &Cause| matches!(cause, Cause::LeaderWaits { component, .. } if component == RUN);
    let explains = |cause: &Cause| {
        let waits = matches!(cause, Cause::LeaderWaits { .. }) && !is_backfill(cause);
        cause.stops_everything() || waits
    };
    let explained = found.iter().any(explains);
    let backfill_waits = found.iter().any(is_backfill);
    circumstances(report, &mut found);
    if !explained && leased(report) == 0 {
        let still = still(report, zone, backfill_waits);
        found.extend(still.filter(|cause| !(backfill_waits && *cause == Cause::NothingToDo)));
    }
    found
}

fn stores(report: &Report, found: &mut Vec<Cause>) {
    let stores = [
        ("clickhouse", &report.stores.clickhouse),
        ("redis", &report.stores.redis),
    ];
    for (store, line) in stores {
        match line {
            StoreLine::Away(why) => found.push(Cause::StoreAway {
                store,
                why: why.clone(),
                leader: None,
            }),
            StoreLine::Refuses(why) => found.push(Cause::StoreRefuses {
                store,
                why: why.clone(),
            }),
            StoreLine::Slow(why) => found.push(Cause::StoreSlow {
                store,
                why: why.clone(),
            }),
            StoreLine::Works | StoreLine::Off => {}
        }
    }
    if let Some(disk) = report
        .disk
        .as_ref()
        .filter(|disk| disk.free_bytes < FULL_BYTES)
    {
        found.push(Cause::DiskFull {
            place: format!("clickhouse, disk {}", disk.name),
            why: format!("{} MiB free", disk.free_bytes / (1024 * 1024)),
        });
    }
    if let Some(patches) = &report.patches
        && patches.limit_bytes > 0
        && patches.bytes >= patches.limit_bytes / 2
    {
        found.push(Cause::PatchesMany {
            bytes: patches.bytes,
            limit: patches.limit_bytes,
        });
    }
}

/// What Redis says of the fleet; nothing while Redis is away.
fn fleet(report: &Report, zone: &TimeZone, found: &mut Vec<Cause>) {
    let Some(queue) = report.queue.as_ref().filter(|_| report.workers.is_some()) else {
        return;
    };
    let clocks = [
        ("redis", i64::try_from(queue.now_ms).ok()),
        ("clickhouse", report.clickhouse_ms),
    ];
    let differ = clocks.into_iter().find_map(|(store, theirs)| {
        let off_ms = report.at_ms.abs_diff(theirs?);
        (off_ms > CLOCKS_MAY_DIFFER_MS).then_some((store, off_ms / 1000))
    });
    found.extend(differ.map(|(store, seconds)| Cause::ClockDiffers { store, seconds }));
    if let Some(pause) = &report.paused {
        found.push(Cause::paused(pause, queue.now_ms, zone));
    }
    if report.leader.is_none() {
        found.push(Cause::NoLeader);
    }
    leader(report, found);
    let living: Vec<&WorkerEntry> = report.living_workers().collect();
    if living.is_empty() {
        found.push(Cause::NoWorker);
    } else if living.iter().all(|worker| waits_for(worker).is_some())
        && let Some((worker, why)) = living.first().and_then(|one| Some((one, waits_for(one)?)))
    {
        let cause = waiting(worker, why, living.len(), found);
        found.push(cause);
    }
    if let Some(until) = queue.kept_until_ms
        && queue.expired_leases > 0
        && until > queue.now_ms
    {
        found.push(Cause::AfterOutage {
            leases: queue.expired_leases,
            until: time_of_day(until, zone),
        });
    }
}

/// What the leader waits for, as it says itself, `component` and reason.
fn said_by_leader(report: &Report) -> impl Iterator<Item = (&str, &str)> {
    let lines = report.leader.iter().flat_map(move |_| &report.leader_says);
    lines.filter_map(|line| line.split_once(": "))
}

/// What keeps the leader's passes from what they should do; this process may see it otherwise.
fn leader(report: &Report, found: &mut Vec<Cause>) {
    for (component, why) in said_by_leader(report) {
        let why = why.to_owned();
        let cause = match component {
            // Judging goes on without it.
            MIRROR | AGAIN => continue,
            "clickhouse" | UNREACHED if is_told(found, "clickhouse") => continue,
            "redis" if is_told(found, "redis") => continue,
            UNREACHED => Cause::StoreAway {
                store: "clickhouse",
                why,
                leader: report.leader.clone(),
            },
            "clickhouse" => Cause::StoreRefuses {
                store: "clickhouse",
                why,
            },
            other => Cause::LeaderWaits {
                component: other.to_owned(),
                why,
            },
        };
        found.push(cause);
    }
}

/// That a store is away or refuses is known.
fn is_told(found: &[Cause], store: &str) -> bool {
    found.iter().any(|cause| {
        matches!(cause, Cause::StoreAway { store: of, .. } | Cause::StoreRefuses { store: of, .. } if *of == store)
    })
}

fn waits_for(worker: &WorkerEntry) -> Option<&str> {
    worker
        .fields
        .get("waits_for")
        .map(String::as_str)
        .filter(|why| !why.is_empty())
}

/// What all workers wait for, by what the first says; `why` begins with the component.
fn waiting(worker: &WorkerEntry, why: &str, workers: usize, found: &[Cause]) -> Cause {
    match why.split_once(": ") {
        Some(("save_dir", reason)) if reason.contains(NO_ROOM) => Cause::DiskFull {
            place: format!(
                "worker.save_dir, {}",
                worker.fields.get("host").map_or("?", String::as_str)
            ),
            why: reason.to_owned(),
        },
        // This process can reach it, and does not write as a worker does.
        Some(("clickhouse", reason)) if !is_told(found, "clickhouse") => Cause::StoreRefuses {
            store: "clickhouse",
            why: reason.to_owned(),
        },
        _ => Cause::WorkersWait {
            workers,
            why: why.to_owned(),
        },
    }
}

/// What is true whether or not anything moves.
fn circumstances(report: &Report, found: &mut Vec<Cause>) {
    let own = Some(report.stores.mysql.why()).filter(|why| !why.is_empty());
    // It may let itself be read, and take no row of the mirror.
    let said = || Some(said_by_leader(report).find(|(of, _)| *of == MIRROR)?.1);
    if let Some(why) = own.or_else(said) {
        let why = why.to_owned();
        found.push(Cause::MirrorAway { why });
    }
    let most = report.thresholds.max_outstanding;
    if let Some(queue) = &report.queue
        && most > 0
    {
        let [live, backfill] =
            [LIVE, BACKFILL].map(|class| queue.outstanding.get(&class).copied().unwrap_or(0));
        // With somebody at it, that is what a large backfill looks like.
        if live >= most || (backfill >= most && leased(report) == 0) {
            found.push(Cause::BackPressure {
                live: live >= most,
                jobs: if live >= most { live } else { backfill },
                miscounted: miscounted(report),
            });
        }
    }
    for run in report.runs.iter().flatten() {
        if run.state == RunState::Held && run.left.is_some_and(|rows| rows > 0) {
            found.push(Cause::RunHeld {
                run: run.run,
                by: run.changed_by.clone(),
                why: run.changed_why.clone(),
            });
        }
    }
    if let Some(patches) = &report.patches
        && let (Some(first), Some(last)) =
            (patches.days_overdue.first(), patches.days_overdue.last())
    {
        found.push(Cause::DaysUnsettled {
            first: first.clone(),
            last: last.clone(),
        });
    }
}

fn count(report: &Report, state: State) -> u64 {
    let jobs = report.jobs.as_ref();
    jobs.and_then(|jobs| jobs.get(&state)).copied().unwrap_or(0)
}

/// Outstanding jobs that are counted beyond those there are; both were read in one step.
fn miscounted(report: &Report) -> u64 {
    let counted: u64 = report
        .queue
        .iter()
        .flat_map(|queue| queue.outstanding.values())
        .sum();
    let states = [
        State::Pending,
        State::Leased,
        State::Delayed,
        State::Splitting,
    ];
    let there: u64 = states.into_iter().map(|state| count(report, state)).sum();
    counted.saturating_sub(there)
}

/// Jobs that somebody is at.
fn leased(report: &Report) -> u64 {
    count(report, State::Leased)
}

/// Rows that are left may be on their way for so long: until the leader looks, as often as a partial range may wait at
/// least, and until the range is full or has waited, with a second for the rest.
fn on_the_way_ms(thresholds: &Thresholds) -> u64 {
    let look = thresholds.poll_interval_ms.min(thresholds.max_wait_ms);
    thresholds.max_wait_ms.min(MOST_WAIT_MS) + look + 1000
}

/// Why a fleet that could work does not; `None` if days were not all looked at.
fn still(report: &Report, zone: &TimeZone, backfill_waits: bool) -> Option<Cause> {
    let (queue, days) = (report.queue.as_ref()?, report.days.as_ref()?);
    let thresholds = &report.thresholds;
    let on_the_way = on_the_way_ms(thresholds);
    let waits_long = thresholds.max_wait_ms > MOST_WAIT_MS;
    let soon = if waits_long { PARTIAL_MS } else { SOON_MS };
    if queue.still_ms < soon.min(on_the_way) {
        return None;
    }
    let nothing_comes = queue.still_ms >= on_the_way;
    let [pending, delayed, splitting, dead] = [
        State::Pending,
        State::Delayed,
        State::Splitting,
        State::Dead,
    ]
    .map(|state| count(report, state));
    // What takes a moment is no reason for long: whoever should do it fails or hangs.
    let is_soon = queue.still_ms < UNEXPLAINED_MS + thresholds.max_wait_ms;
    if pending > 0 && pending == queue.isolated && is_soon {
        return Some(Cause::OnlyIsolated { jobs: pending });
    }
    if pending == 0 && splitting > 0 && is_soon {
        return Some(Cause::OnlySplitting { jobs: splitting });
    }
    if pending == 0 && delayed > 0 {
        let until = queue.next_delayed_ms.unwrap_or(queue.now_ms);
        return Some(Cause::OnlyDelayed {
            jobs: delayed,
            until: time_of_day(until, zone),
        });
    }
    if thresholds.one_day {
        return None;
    }
    let live: Vec<&DayLine> = days.iter().filter(|day| day.live).collect();
    let left: u64 = live.iter().map(|day| day.left).sum();
    let open = report.runs.iter().flatten();
    // What runs wait for is told already, if one of them does.
    let wanted: Vec<&RunLine> = open
        .filter(|run| !backfill_waits && run.is_open() && run.left != Some(0))
        .collect();
    if pending == 0 && left == 0 && wanted.is_empty() {
        let later = report.rows_later.filter(|rows| *rows > 0);
        return Some(later.map_or(Cause::NothingToDo, |rows| Cause::OnlyLater {
            rows,
            lookahead_days: thresholds.lookahead_days,
        }));
    }
    // More rows than dead jobs hold wait for something else. Those of runs may be as they were long ago.
    let known = wanted.iter().filter(|_| report.details_age().is_none());
    let of_runs: u64 = known.filter_map(|run| run.left).sum();
    if pending == 0 && dead > 0 && nothing_comes && left + of_runs <= queue.dead_rows {
        return Some(Cause::OnlyDead { jobs: dead });
    }
    let largest = live.iter().map(|day| day.left).max().unwrap_or(0);
    let is_partial = left > 0 && largest < thresholds.batch_size && is_soon;
    if pending == 0 && is_partial && (waits_long || nothing_comes) {
        return Some(Cause::PartialRange {
            rows: left,
            max_wait_ms: thresholds.max_wait_ms,
        });
    }
    (queue.still_ms >= UNEXPLAINED_MS).then_some(Cause::Unexplained {
        rows: left + of_runs,
        jobs: pending,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use weldfleet_queue::Pause;

    use super::*;
    use crate::status::{
        report::{DiskLine, PatchLine, QueueFacts, Stores},
        worker_entry,
    };

    fn worker(waits_for: &str) -> WorkerEntry {
        worker_entry(&[("host", "press-2"), ("waits_for", waits_for)])
    }

    /// A fleet that can work, has 10,000 rows left, and has stood still for ten seconds.
    fn still_fleet() -> Report {
        Report {
            at_ms: 1_795_900_000_000,
            stores: Stores {
                redis: StoreLine::Works,
                clickhouse: StoreLine::Works,
                mysql: StoreLine::Works,
                ..Stores::default()
            },
            days: Some(vec![DayLine {
                live: true,
                left: 10_000,
                total: 20_000,
                ..DayLine::default()
            }]),
            runs: Some(Vec::new()),
            jobs: Some(BTreeMap::new()),
            queue: Some(QueueFacts {
                now_ms: 1_795_900_000_000,
                still_ms: 10_000,
                ..QueueFacts::default()
            }),
            workers: Some(vec![worker("")]),
            leader: Some("press-1".to_owned()),
            thresholds: Thresholds {
                batch_size: 4096,
                max_outstanding: 1000,
                max_wait_ms: 5000,
                poll_interval_ms: 2000,
                silent_ms: 15_000,
                ..Thresholds::default()
            },
            ..Report::default()
        }
    }

    fn codes(change: impl FnOnce(&mut Report)) -> Vec<&'static str> {
        let mut report = still_fleet();
        change(&mut report);
        causes(&report, &TimeZone::UTC)
            .iter()
            .map(Cause::code)
            .collect()
    }

    fn jobs(report: &mut Report, state: State, count: u64) {
        report.jobs.get_or_insert_default().insert(state, count);
    }

    fn queue(report: &mut Report) -> &mut QueueFacts {
        report.queue.get_or_insert_default()
    }

    fn left(report: &mut Report, rows: u64) {
        for day in report.days.iter_mut().flatten() {
            day.left = rows;
        }
    }

    #[test]
    fn while_something_moves_there_is_no_cause() {
        let none: [&str; 0] = [];
        assert_eq!(codes(|report| jobs(report, State::Leased, 1)), none);
        // Rows may be on their way.
        assert_eq!(codes(|report| queue(report).still_ms = 3_599), none);
        let waiting = |dead, max_wait_ms, still_ms| {
            codes(|report| {
                left(report, 1000);
                jobs(report, State::Dead, dead);
                queue(report).dead_rows = 1000 * dead;
                report.thresholds.max_wait_ms = max_wait_ms;
                queue(report).still_ms = still_ms;
            })
        };
        for (dead, code) in [(0, "partial_range"), (1, "only_dead")] {
            assert_eq!(waiting(dead, 5000, 7_999), none);
            assert_eq!(waiting(dead, 5000, 8_000), [code]);
        }
        // A long wait is told of in less than five seconds, with the one until rows are seen, and the one for which a
        // look is good.
        assert_eq!(waiting(0, 60_000, 2_499), none);
        assert_eq!(waiting(0, 60_000, 2_500), ["partial_range"]);
        // At shipped settings it is told of in less than five seconds, with the second for which a look is good.
        let shipped = |still_ms| {
            codes(|report| {
                (
                    report.thresholds.max_wait_ms,
                    report.thresholds.poll_interval_ms,
                ) = (1300, 2000);
                queue(report).still_ms = still_ms;
                left(report, 0);
            })
        };
        assert_eq!(shipped(3599), none);
        assert_eq!(shipped(3600), ["nothing_to_do"]);
        // A slow pass over a large day.
        assert_eq!(codes(|_| {}), none);
        assert_eq!(
            codes(|report| {
                jobs(report, State::Leased, 3);
                jobs(report, State::Dead, 1);
                jobs(report, State::Delayed, 1);
                queue(report).outstanding.insert(BACKFILL, 1000);
            }),
            none
        );
    }

    #[test]
    fn a_store_that_is_away_or_refuses_is_named_even_while_something_moves() {
        let away = |report: &mut Report| {
            report.stores.clickhouse = StoreLine::Away("connection refused".to_owned());
            report.days = None;
            jobs(report, State::Leased, 1);
        };
        assert_eq!(codes(away), ["store_away"]);
        let refuses = |report: &mut Report| {
            report.stores.redis = StoreLine::Refuses("OOM".to_owned());
        };
        assert_eq!(codes(refuses), ["store_refuses"]);
        let gone = |report: &mut Report| {
            report.stores.redis = StoreLine::Away("connection refused".to_owned());
            (report.queue, report.workers, report.jobs, report.leader) = (None, None, None, None);
        };
        assert_eq!(
            codes(gone),
            ["store_away"],
            "nothing is said of workers nobody can see"
        );
        let slow = |report: &mut Report| {
            report.stores.clickhouse = StoreLine::Slow("10 s".to_owned());
            report.days = None;
        };
        assert_eq!(codes(slow), ["store_slow"]);
        let mirror = |report: &mut Report| {
            report.stores.mysql = StoreLine::Away("connection refused".to_owned());
            jobs(report, State::Leased, 1);
        };
        assert_eq!(codes(mirror), ["mirror_away"]);
    }

    #[test]
    fn what_workers_say_they_wait_for_is_told_as_what_it_is() {
        let said = |why: &str| codes(|report| report.workers = Some(vec![worker(why)]));
        assert_eq!(
            said("clickhouse: code 497, not enough privileges"),
            ["store_refuses"]
        );
        assert_eq!(
            said("save_dir: data/csv: No space left on device (os error 28)"),
            ["disk_full"]
        );
        assert_eq!(said("save_dir: permission denied"), ["workers_wait"]);
        // One that can work is enough.
        let none: [&str; 0] = [];
        assert_eq!(
            codes(|report| report.workers = Some(vec![worker("clickhouse: away"), worker("")])),
            none
        );
        // Known already from our own look.
        let both = |report: &mut Report| {
            report.stores.clickhouse = StoreLine::Away("connection refused".to_owned());
            report.workers = Some(vec![worker("clickhouse: connection refused")]);
        };
        assert_eq!(codes(both), ["store_away", "workers_wait"]);
    }

    #[test]
    fn what_the_leader_says_it_waits_for_is_told_and_nothing_that_contradicts_it() {
        let said = |lines: &[&str], change: fn(&mut Report)| {
            codes(|report| {
                left(report, 0);
                report.leader_says = lines.iter().map(|line| (*line).to_owned()).collect();
                change(report);
            })
        };
        let nothing: fn(&mut Report) = |_| {};
        for (line, code) in [
            (
                "clickhouse: code 497, not enough privileges",
                "store_refuses",
            ),
            ("clickhouse unreached: connection refused", "store_away"),
            ("redis: no permissions", "leader_waits"),
            ("jobs: job 7: its day waits", "leader_waits"),
            ("clock: no time zone", "leader_waits"),
        ] {
            assert_eq!(said(&[line], nothing), [code], "{line}");
        }
        // Judging goes on without the mirror, which this process may read.
        let mirror = "mysql: INSERT command denied";
        assert_eq!(said(&[mirror], nothing), ["mirror_away", "nothing_to_do"]);
        let is_away: fn(&mut Report) =
            |report| report.stores.mysql = StoreLine::Away("refused".to_owned());
        assert_eq!(said(&[mirror], is_away), ["mirror_away", "nothing_to_do"]);
        // A row that comes back keeps nothing else from being judged.
        let again = "rows again: 20261122 2026-11-22 06:00:00.000 7";
        assert_eq!(said(&[again], nothing), ["nothing_to_do"]);
        // A job that cannot be read is no dead letter, and holds one day.
        let dead: fn(&mut Report) = |report| {
            left(report, 1000);
            jobs(report, State::Dead, 1);
            queue(report).dead_rows = 1000;
        };
        assert_eq!(
            said(&["jobs: job 7: its day waits"], dead),
            ["leader_waits"]
        );
        let long: fn(&mut Report) = |report| {
            left(report, 5000);
            queue(report).still_ms = UNEXPLAINED_MS;
        };
        assert_eq!(
            said(&["jobs: job 7: its day waits"], long),
            ["leader_waits"]
        );
        // A run that waits holds nothing up, and hides no other cause.
        let run = "backfill: run 7, 20261101: no such part";
        assert_eq!(said(&[run], nothing), ["leader_waits"]);
        assert_eq!(said(&[run], dead), ["leader_waits", "only_dead"]);
        assert_eq!(said(&[run], long), ["leader_waits", "unexplained"]);
        let open: fn(&mut Report) = |report| {
            let run = |left| RunLine {
                left,
                ..RunLine::default()
            };
            report.runs = Some(vec![run(Some(100)), run(None)]);
            queue(report).still_ms = UNEXPLAINED_MS;
        };
        assert_eq!(said(&[run], open), ["leader_waits"]);
        let moves: fn(&mut Report) = |report| jobs(report, State::Leased, 3);
        assert_eq!(
            said(&["jobs: job 7: its day waits"], moves),
            ["leader_waits"]
        );
    }

    #[test]
    fn what_the_leader_says_is_told_once_and_only_while_it_leads() {
        let lines = ["clickhouse unreached: refused", "redis: OOM", "mysql: X"];
        let said = |change: fn(&mut Report)| {
            codes(|report| {
                jobs(report, State::Leased, 1);
                report.leader_says = lines.map(str::to_owned).to_vec();
                change(report);
            })
        };
        let away: fn(&mut Report) = |report| {
            report.stores.clickhouse = StoreLine::Away("refused".to_owned());
            report.stores.redis = StoreLine::Refuses("OOM".to_owned());
        };
        assert_eq!(said(away), ["store_away", "store_refuses", "mirror_away"]);
        assert_eq!(said(|report| report.leader = None), ["no_leader"]);
    }

    #[test]
    fn a_full_disk_and_patches_near_their_limit_are_named() {
        let disk = |free_bytes| {
            codes(|report| {
                report.disk = Some(DiskLine {
                    name: "default".to_owned(),
                    free_bytes,
                })
            })
        };
        assert_eq!(disk(FULL_BYTES - 1), ["disk_full"]);
        assert!(disk(FULL_BYTES).is_empty());
        let patches = |bytes, limit_bytes, overdue: &[&str]| {
            codes(|report| {
                jobs(report, State::Leased, 1);
                report.patches = Some(PatchLine {
                    bytes,
                    limit_bytes,
                    days_overdue: overdue.iter().map(|day| (*day).to_owned()).collect(),
                    days_unsettled: vec!["20261127".to_owned()],
                })
            })
        };
        assert_eq!(patches(50, 100, &[]), ["patches_many"]);
        assert!(patches(49, 100, &[]).is_empty());
        assert!(patches(50, 0, &[]).is_empty());
        assert_eq!(patches(1, 100, &["20261126"]), ["days_unsettled"]);
    }

    #[test]
    fn a_fleet_without_leader_or_worker_or_on_pause_says_so_and_nothing_less() {
        assert_eq!(codes(|report| report.leader = None), ["no_leader"]);
        assert_eq!(
            codes(|report| report.workers = Some(Vec::new())),
            ["no_worker"]
        );
        let silent = |report: &mut Report| {
            for worker in report.workers.iter_mut().flatten() {
                worker.silent_ms = 15_001;
            }
        };
        assert_eq!(codes(silent), ["no_worker"]);
        let all = |report: &mut Report| {
            report.paused = Some(Pause {
                reason: "tip dress".to_owned(),
                by: "ana@desk".to_owned(),
                since: 0,
            });
            report.leader = None;
            report.workers = Some(Vec::new());
            jobs(report, State::Delayed, 4);
        };
        assert_eq!(codes(all), ["paused", "no_leader", "no_worker"]);
    }

    #[test]
    fn a_pause_for_settling_is_calm_until_it_should_have_ended() {
        let settling = |age_ms| {
            codes(|report| {
                report.paused = Some(Pause {
                    reason: "of an older release".to_owned(),
                    by: "settling, press-1".to_owned(),
                    since: queue(report).now_ms - age_ms,
                })
            })
        };
        assert_eq!(settling(599_999), ["settling"]);
        assert_eq!(settling(600_000), ["paused"]);
    }

    #[test]
    fn leases_that_are_kept_after_an_outage_are_named_until_their_time() {
        let kept = |expired, until_from_now: i64| {
            codes(|report| {
                jobs(report, State::Leased, expired);
                let queue = queue(report);
                queue.expired_leases = expired;
                queue.kept_until_ms = queue.now_ms.checked_add_signed(until_from_now);
            })
        };
        assert_eq!(kept(2, 500), ["after_outage"]);
        assert!(kept(2, -1).is_empty());
        assert!(!kept(0, 500).contains(&"after_outage"));
    }

    #[test]
    fn back_pressure_of_live_work_is_named_always_and_of_backfills_when_nobody_is_at_them() {
        let full = |class, leased| {
            codes(|report| {
                queue(report).outstanding.insert(class, 1000);
                jobs(report, State::Pending, 1000);
                jobs(report, State::Leased, leased);
            })
        };
        assert_eq!(full(LIVE, 1), ["back_pressure"]);
        assert_eq!(full(BACKFILL, 0), ["back_pressure"]);
        assert!(full(BACKFILL, 1).is_empty());
    }

    #[test]
    fn outstanding_jobs_that_are_not_there_are_found_by_their_number() {
        let mut report = still_fleet();
        queue(&mut report).outstanding.insert(LIVE, 1000);
        jobs(&mut report, State::Pending, 7);
        jobs(&mut report, State::Splitting, 3);
        jobs(&mut report, State::Dead, 90);
        let found = causes(&report, &TimeZone::UTC);
        let wanted = Cause::BackPressure {
            live: true,
            jobs: 1000,
            miscounted: 990,
        };
        assert!(found.contains(&wanted), "{found:?}");
    }

    #[test]
    fn a_held_run_is_named_while_it_wants_rows() {
        let held = |left| {
            codes(|report| {
                jobs(report, State::Leased, 1);
                report.runs = Some(vec![RunLine {
                    state: RunState::Held,
                    left: Some(left),
                    ..RunLine::default()
                }]);
            })
        };
        assert_eq!(held(1), ["run_held"]);
        assert!(held(0).is_empty());
    }

    #[test]
    fn what_a_still_fleet_waits_for_is_found_in_its_jobs() {
        assert_eq!(
            codes(|report| jobs(report, State::Delayed, 2)),
            ["only_delayed"]
        );
        assert_eq!(
            codes(|report| jobs(report, State::Splitting, 2)),
            ["only_splitting"]
        );
        let isolated = |all| {
            codes(|report| {
                jobs(report, State::Pending, all);
                queue(report).isolated = 2;
            })
        };
        assert_eq!(isolated(2), ["only_isolated"]);
        assert!(isolated(3).is_empty());
        let dead = |rows, of_run| {
            codes(|report| {
                jobs(report, State::Dead, 2);
                queue(report).dead_rows = 10_000;
                left(report, rows);
                report.runs = Some(vec![RunLine {
                    state: RunState::Open,
                    left: Some(of_run),
                    ..RunLine::default()
                }]);
            })
        };
        assert_eq!(dead(9_000, 1_000), ["only_dead"]);
        assert!(dead(10_000, 1).is_empty(), "other rows wait for something");
        assert!(dead(10_001, 0).is_empty());
    }

    #[test]
    fn what_takes_a_moment_explains_no_long_standstill() {
        let after = |still_ms: u64, change: fn(&mut Report)| {
            codes(|report| {
                change(report);
                queue(report).still_ms = still_ms;
            })
        };
        for (change, code) in [
            (
                (|report| {
                    jobs(report, State::Pending, 2);
                    queue(report).isolated = 2;
                }) as fn(&mut Report),
                "only_isolated",
            ),
            (|report| jobs(report, State::Splitting, 2), "only_splitting"),
            (|report| left(report, 4095), "partial_range"),
        ] {
            assert_eq!(after(UNEXPLAINED_MS + 4999, change), [code]);
            assert_eq!(after(UNEXPLAINED_MS + 5000, change), ["unexplained"]);
        }
    }

    #[test]
    fn what_a_still_fleet_waits_for_is_found_in_its_rows() {
        assert_eq!(codes(|report| left(report, 4095)), ["partial_range"]);
        assert!(codes(|report| left(report, 4096)).is_empty());
        assert_eq!(codes(|report| left(report, 0)), ["nothing_to_do"]);
        let open = |report: &mut Report| {
            left(report, 0);
            report.runs = Some(vec![RunLine {
                state: RunState::Open,
                left: Some(7),
                ..RunLine::default()
            }]);
        };
        let later = |report: &mut Report| {
            left(report, 0);
            report.rows_later = Some(3000);
        };
        assert_eq!(codes(later), ["only_later"], "not that nothing is to do");
        assert!(codes(open).is_empty(), "a run is about to be sliced");
        let one_day = |report: &mut Report| {
            left(report, 0);
            report.thresholds.one_day = true;
        };
        assert!(codes(one_day).is_empty(), "other days were not looked at");
        let long = |report: &mut Report| queue(report).still_ms = UNEXPLAINED_MS;
        assert_eq!(codes(long), ["unexplained"]);
    }

    #[test]
    fn a_clock_that_differs_is_named_beside_what_it_makes_look_fine() {
        let told = |at_ms| {
            codes(|report| {
                report.at_ms += at_ms;
                left(report, 0);
            })
        };
        assert_eq!(told(-60_000), ["nothing_to_do"]);
        assert_eq!(told(-86_400_000), ["clock_differs", "nothing_to_do"]);
        assert_eq!(told(60_001), ["clock_differs", "nothing_to_do"]);
        let of_clickhouse = |off_ms| {
            codes(|report| {
                report.clickhouse_ms = Some(report.at_ms + off_ms);
                jobs(report, State::Leased, 1);
            })
        };
        assert_eq!(of_clickhouse(60_001), ["clock_differs"]);
        assert!(of_clickhouse(-60_000).is_empty());
    }
}
