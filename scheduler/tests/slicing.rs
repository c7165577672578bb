//! What passes make of rows, on real services.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::Duration;

use common::{Hands, SOON, day_before, ids, lease, range};
use nix::sys::signal::Signal;
use weldfleet_queue::{Job, NewJob, Settlement, State};
use weldfleet_stores::{Coverage, Day, Key, KeyOrder, Range, Selection};
use weldfleet_tests::{Fleet, Process, eventually};

const TTL: Duration = Duration::from_secs(2);

/// Waits for so many more passes.
async fn passes(scheduler: &Process, more: u32) {
    let count = async || {
        let count = scheduler
            .metric_if_any("weldfleet_pass_duration_seconds_count", &[])
            .await;
        // There may be no pass yet.
        count.unwrap_or(0.0)
    };
    let before = count().await;
    eventually("passes", SOON, async || {
        (count().await >= before + f64::from(more)).then_some(())
    })
    .await;
}

/// A run of many days takes several passes to be looked through, and live rows wait for none of them.
#[tokio::test]
async fn live_rows_do_not_wait_for_a_long_run() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let hands = Hands::new(&fleet, TTL).await;
    let (from, to) = (day_before(40), day_before(11));
    fleet.simulate(&from, 10, &[]);
    fleet.succeed("scheduler", &["backfill", "--from", &from, "--to", &to]);
    let mut command = fleet.command("scheduler", &["run", "--log-format", "json"]);
    command.env("FAILPOINTS", "scheduler::day_of_run=sleep(400)");
    let scheduler = Process::start(command, fleet.folder());
    scheduler.ready().await;
    fleet.simulate("today", 500, &[]);
    hands.pending_rows(510).await;
    assert!(!scheduler.log().contains("run done"), "{}", scheduler.log());
    hands.judge_all().await;
    scheduler.logged("run done", SOON).await;
}

#[tokio::test]
async fn a_day_is_sliced_once() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 2500, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();

    let jobs = hands.pending_rows(2500).await;
    let mut rows: Vec<u64> = jobs.iter().map(|job| job.weight).collect();
    rows.sort_unstable();
    assert_eq!(rows, [500, 1000, 1000]);
    let mut keys: Vec<_> = jobs.iter().map(|job| range(job).keys()).collect();
    keys.sort_by(|a, b| a.from.cmp(&b.from));
    assert!(
        keys.windows(2).all(|pair| pair[0].to < pair[1].from),
        "{keys:?}"
    );

    passes(&scheduler, 3).await;
    assert_eq!(
        ids(&hands.pending_rows(2500).await),
        ids(&jobs),
        "a pass that has nothing to do did something"
    );
    assert_eq!(
        jobs[0].get("from").map(|from| from.split(' ').count()),
        Some(3),
        "pasteable: date, time, record_id"
    );
}

#[tokio::test]
async fn rows_that_come_late_are_sliced_and_those_of_running_jobs_are_not() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 1000, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();

    // Into a job that is outstanding: it is the job's to judge them.
    let jobs = hands.pending_rows(1000).await;
    fleet.simulate("today", 10, &["--since", "12:00", "--until", "12:10"]);
    passes(&scheduler, 6).await;
    assert_eq!(ids(&hands.pending_rows(1000).await), ids(&jobs));
    hands.judge_all().await;
    assert_eq!(
        fleet
            .clickhouse
            .count("spot_records WHERE alg_complete_time IS NULL")
            .await,
        0
    );

    // Into a range that is done.
    fleet.simulate("today", 10, &["--since", "08:00", "--until", "08:10"]);
    hands.pending_rows(10).await;
    hands.judge_all().await;
    assert_eq!(
        fleet
            .clickhouse
            .count("spot_records WHERE alg_status = 'ok'")
            .await,
        1020
    );
}

/// A timer's clock is ahead, and a worker hangs at its row.
#[tokio::test]
async fn a_row_from_the_future_holds_up_none_that_come_before_it() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 20, &["--since", "06:00", "--until", "06:10"]);
    fleet.simulate("today", 1, &["--since", "20:00", "--until", "20:01"]);
    let hands = Hands::new(&fleet, TTL).await;
    let _scheduler = fleet.scheduler();
    let jobs = hands.pending_rows(21).await;
    assert_eq!(jobs.len(), 2, "{jobs:?}");

    fleet.simulate("today", 10, &["--since", "10:00", "--until", "10:10"]);
    hands.pending_rows(31).await;
    hands.judge_all().await;
    assert_eq!(left(&fleet).await, 0);
}

#[tokio::test]
async fn a_lost_redis_is_rebuilt_with_larger_tokens() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let day = day_before(2);
    fleet.simulate("today", 1500, &[]);
    fleet.simulate(&day, 1200, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    fleet.succeed(
        "scheduler",
        &["backfill", "--from", &day, "--to", &day, "--force"],
    );
    let scheduler = fleet.scheduler();
    hands.pending_rows(2700).await;
    // A token from a clock that was ahead.
    let largest = fleet.queue.token().await + 1_000_000_000_000;
    fleet
        .clickhouse
        .execute(&format!(
            "INSERT INTO weld_results (token, key_hash) VALUES ({largest}, 1)"
        ))
        .await;
    fleet.succeed(
        "scheduler",
        &["pause", "--reason", "a look at the electrodes"],
    );
    scheduler.logged("a look at the electrodes", SOON).await;

    let _: String = fleet.queue.command(&["FLUSHALL"]).await;
    let jobs = hands.pending_rows(2700).await;
    assert!(jobs.iter().any(|job| job.priority == 1), "the run's jobs");
    assert!(fleet.queue.token().await >= largest);
    scheduler
        .logged("the fleet was paused and redis forgot that", SOON)
        .await;
    hands.judge_all().await;
    assert_eq!(
        fleet
            .clickhouse
            .count("spot_records WHERE alg_complete_time IS NULL")
            .await,
        0
    );
}

#[tokio::test]
async fn of_two_schedulers_one_leads_and_a_deposed_one_adds_nothing() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let hands = Hands::new(&fleet, TTL).await;
    let (first, gate) = common::stopping_at(&fleet, "scheduler::before_enqueue");
    first.logged("this scheduler leads", SOON).await;
    let second = fleet.scheduler();
    second.ready().await;
    eventually("the second knows that it does not lead", SOON, async || {
        let leads = second
            .metric_if_any("weldfleet_scheduler_leader", &[])
            .await;
        (leads? == 0.0).then_some(())
    })
    .await;

    // The first is stopped between its reading and its enqueueing; the second takes over meanwhile.
    fleet.simulate("today", 3000, &[]);
    let reached = gate.with_extension("reached");
    eventually("the first is about to enqueue", SOON, async || {
        reached.exists().then_some(())
    })
    .await;
    first.signal(Signal::SIGSTOP);
    second.logged("this scheduler leads", SOON).await;
    let jobs = hands.pending_rows(3000).await;

    std::fs::write(&gate, "").unwrap();
    first.signal(Signal::SIGCONT);
    first.logged("another scheduler leads now", SOON).await;
    passes(&second, 3).await;
    assert_eq!(
        ids(&hands.pending_rows(3000).await),
        ids(&jobs),
        "a deposed leader enqueued"
    );
}

#[tokio::test]
async fn a_leader_that_stops_hands_over_at_once() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let mut first = fleet.scheduler();
    first.logged("this scheduler leads", SOON).await;
    let second = fleet.scheduler();
    second.ready().await;

    first.signal(Signal::SIGTERM);
    let status = first.ended(SOON).await;
    assert_eq!(status.code(), Some(0));
    // Less than the leadership's time to live, which is 10 s.
    second
        .logged("this scheduler leads", Duration::from_secs(5))
        .await;
}

#[tokio::test]
async fn a_job_that_names_no_range_stops_its_day_and_no_other() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (today, yesterday) = (day_before(0), day_before(1));
    fleet.simulate("today", 1000, &[]);
    fleet.simulate("yesterday", 300, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let odd = NewJob::new("odd").group(format!("0:{today}")).weight(7);
    hands.queue.enqueue(&[odd]).await.unwrap();

    let scheduler = fleet.scheduler();
    let jobs = hands.pending_rows(307).await;
    assert!(
        jobs.iter()
            .all(|job| job.id == "odd" || job.get("day") == Some(&yesterday))
    );
    scheduler
        .logged("the day waits until this job is dropped", SOON)
        .await;
    let dropped = fleet.succeed("scheduler", &["jobs", "drop", "odd"]);
    assert_eq!(
        dropped,
        "1 of 1 jobs dropped, 0 rows marked invalid (dropped)\n"
    );
    hands.pending_rows(1300).await;
}

#[tokio::test]
async fn back_pressure_holds_at_the_limit_and_goes_on_when_there_is_room() {
    let fleet = Fleet::with(&[
        ("scheduler.max_outstanding", "2"),
        ("scheduler.batch_size", "100"),
    ])
    .await;
    fleet.migrate();
    fleet.simulate("today", 550, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();
    hands.pending_rows(200).await;
    passes(&scheduler, 3).await;
    assert_eq!(hands.pending_rows(200).await.len(), 2);

    let judged = std::cell::Cell::new(0);
    eventually(
        "the whole day is judged, two ranges at a time",
        SOON,
        async || {
            assert!(hands.outstanding().await <= 2);
            for job in hands.claim(10).await {
                hands.judge(&job).await;
                judged.set(judged.get() + 1);
            }
            let left = fleet
                .clickhouse
                .count("spot_records WHERE alg_complete_time IS NULL")
                .await;
            (left == 0).then_some(())
        },
    )
    .await;
    assert_eq!(judged.get(), 6);
}

#[tokio::test]
async fn a_job_that_kills_its_worker_is_halved_and_one_row_is_poison() {
    let ttl = Duration::from_secs(1);
    let fleet = Fleet::with(&[("lease.ttl", "1s"), ("lease.renew_every", "300ms")]).await;
    fleet.migrate();
    fleet.simulate("today", 4, &["--since", "12:00", "--until", "12:10"]);
    let hands = Hands::new(&fleet, ttl).await;
    let scheduler = fleet.scheduler();
    hands.pending_rows(4).await;
    let poison = fleet
        .clickhouse
        .value("SELECT max(record_id) FROM spot_records")
        .await;

    eventually(
        "everything is judged or marked",
        Duration::from_secs(60),
        async || {
            for job in hands.claim(1).await {
                let keys = range(&job);
                let killed = keys.to.id.to_string() == poison;
                // A worker that dies says nothing: its lease runs out.
                if !killed {
                    hands.judge(&job).await;
                }
            }
            (hands.outstanding().await == 0).then_some(())
        },
    )
    .await;
    let rows = fleet
        .clickhouse
        .rows(
            "SELECT record_id, alg_status, alg_error, alg_run FROM spot_records ORDER BY record_id",
        )
        .await;
    let status: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["alg_status"].as_str())
        .collect();
    assert_eq!(status, ["ok", "ok", "ok", "poison"]);
    assert!(
        rows[3]["alg_error"]
            .as_str()
            .is_some_and(|reason| reason.contains("killed its worker"))
    );
    // Counted when the pass that marked the row has ended, a moment after the mark.
    eventually("the poison row is counted", SOON, async || {
        let counted = scheduler.metric("weldfleet_rows_poison_total", &[]).await;
        assert!(counted <= 1.0, "counted twice: {counted}");
        (counted == 1.0).then_some(())
    })
    .await;
    let done = hands.queue.list(State::Done, 0, 100).await.unwrap().jobs;
    assert!(done.iter().any(|job| job.get("outcome") == Some("poison")));
}

#[tokio::test]
async fn outages_are_waited_for_and_named() {
    use weldfleet_tests::Service;
    let fleet = Fleet::start().await;
    // Not even migrated: it waits for that, too.
    let mut scheduler = fleet.scheduler();
    let reason = eventually("/readyz says why", SOON, async || {
        let (status, body) = scheduler.get("/readyz").await;
        (status == 503 && body.contains("clickhouse")).then_some(body)
    })
    .await;
    assert!(reason.contains("scheduler migrate"), "{reason}");
    fleet.migrate();
    scheduler.ready().await;
    fleet.simulate("today", 1000, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    hands.pending_rows(1000).await;

    for (service, name) in [
        (Service::Redis, "redis"),
        (Service::ClickHouse, "clickhouse"),
    ] {
        fleet.services.stop(service);
        eventually("/readyz names it", SOON, async || {
            let (status, body) = scheduler.get("/readyz").await;
            (status == 503 && body.contains(name)).then_some(())
        })
        .await;
        let (gauge, part) = ("weldfleet_dependency_up", format!("\"{name}\""));
        assert_eq!(scheduler.metric(gauge, &[&part]).await, 0.0, "{name}");
        fleet.services.start_again(service);
        scheduler.ready().await;
        assert_eq!(scheduler.metric(gauge, &[&part]).await, 1.0, "{name}");
    }
    // MySQL is no reason not to be ready.
    fleet.services.stop(Service::MySql);
    scheduler
        .logged("the mirror is not looked after", SOON)
        .await;
    assert_eq!(scheduler.get("/readyz").await.0, 200);
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.ended(SOON).await.code(), Some(0));
}

#[tokio::test]
async fn the_mirror_is_repaired() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 50, &[]);
    let older = day_before(9);
    fleet.simulate(&older, 20, &[]);
    fleet
        .clickhouse
        .execute(
            "UPDATE spot_records SET alg_complete_time = now64(3), alg_status = 'ok', final_result = 'NOK', alg_run = 0, \
             alg_token = 5, alg_job = 'j' WHERE record_id % 10 = 0",
        )
        .await;
    let _scheduler = fleet.scheduler();
    let mirrored = async |rows: u64| {
        eventually(&format!("{rows} rows in MySQL"), SOON, async || {
            (fleet
                .mysql
                .count("nok_records WHERE final_result = 'NOK'")
                .await
                == rows)
                .then_some(())
        })
        .await;
    };
    mirrored(7).await;
    fleet
        .mysql
        .execute("DELETE FROM nok_records WHERE record_id = '20'")
        .await;
    mirrored(7).await;
    fleet
        .clickhouse
        .execute("UPDATE spot_records SET final_result = 'OK', alg_token = 6 WHERE record_id = 10")
        .await;
    mirrored(5).await;
}

#[tokio::test]
async fn rows_that_come_under_a_dead_job_are_sliced_and_the_dead_ones_stay_dead() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 1000, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();
    let jobs = hands.pending_rows(1000).await;
    assert_eq!(jobs.len(), 1);
    let bury = async |rows: u64| {
        let buried = std::cell::Cell::new(0);
        eventually("they are dead", SOON, async || {
            for job in hands.claim(10).await {
                hands
                    .queue
                    .settle(&lease(&job), Settlement::bury("what a person must look at"))
                    .await
                    .unwrap();
                buried.set(buried.get() + job.weight);
            }
            (buried.get() == rows).then_some(())
        })
        .await;
    };
    bury(1000).await;
    passes(&scheduler, 15).await;
    let dead = hands.queue.list(State::Dead, 0, 10).await.unwrap().jobs;
    assert_eq!(ids(&dead), ids(&jobs), "nothing came, nothing was done");

    // Ten rows come between its keys.
    fleet.simulate("today", 10, &["--since", "12:00", "--until", "12:10"]);
    let jobs = hands.pending_rows(1010).await;
    assert_eq!(jobs.len(), 2, "its halves");
    let left = "spot_records WHERE alg_complete_time IS NULL";
    // One half dies again, the other is judged. Each runs isolated.
    let first = hands.claim(10).await;
    assert_eq!(first.len(), 1);
    hands
        .queue
        .settle(&lease(&first[0]), Settlement::bury("again"))
        .await
        .unwrap();
    let second = hands.claim(10).await;
    assert_eq!(second.len(), 1);
    hands.judge(&second[0]).await;
    let judged = second[0].weight;
    passes(&scheduler, 15).await;
    assert_eq!(fleet.clickhouse.count(left).await, 1010 - judged);
    assert_eq!(hands.outstanding().await, 1, "the dead half, and it stays");
}

#[tokio::test]
async fn ids_that_cannot_be_named_cost_no_other_row_its_verdict() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet
        .clickhouse
        .execute("DROP TABLE spot_records SYNC")
        .await;
    fleet
        .clickhouse
        .execute(
            "CREATE TABLE spot_records (data_date UInt32, ck_local_time DateTime64(3), record_id String, umax Float32, imax Float32, \
             u_curve Array(Float32), i_curve Array(Float32), part_no String, spot_name String, timer_name String) \
             ENGINE = MergeTree PARTITION BY data_date ORDER BY (data_date, ck_local_time, record_id)",
        )
        .await;
    fleet.migrate();
    let add = async |ids: &str, rows: u32| {
        fleet
            .clickhouse
            .execute(&format!(
                "INSERT INTO spot_records (data_date, ck_local_time, record_id) SELECT toYYYYMMDD(now('Asia/Shanghai')), \
                 toDateTime64('2026-11-24 01:00:00', 3) + number, {ids} FROM numbers({rows})"
            ))
            .await;
    };
    // 焊点 in GBK, and one that MySQL's key has no room for.
    add(
        "multiIf(number % 100 = 50, unhex('BAB8B5E3'), number = 7, repeat('x', 513), number = 8, repeat('x', 512), toString(number))",
        300,
    )
    .await;
    let hands = Hands::new(&fleet, TTL).await;
    let _scheduler = fleet.scheduler();
    let jobs = hands.pending_rows(296).await;
    // While its range is outstanding.
    add("concat('late ', unhex('FFFE'))", 2).await;
    for job in jobs {
        assert!(
            hands.table.fetch(&range(&job)).await.is_ok(),
            "the worker's look at the range stumbles over a row that is not its business"
        );
    }
    hands.judge_all().await;
    eventually("the late ones are marked too", SOON, async || {
        let left = "spot_records WHERE alg_complete_time IS NULL";
        (fleet.clickhouse.count(left).await == 0).then_some(())
    })
    .await;
    let invalid = "spot_records WHERE alg_status = 'invalid' AND alg_error LIKE 'record_id: not utf-8%' AND alg_token > 0";
    assert_eq!(fleet.clickhouse.count(invalid).await, 6);
    assert_eq!(
        fleet
            .clickhouse
            .count("spot_records WHERE alg_status = 'ok'")
            .await,
        296
    );
}

/// A leader that stands between its reading and its enqueueing, and the file that lets it go on.
async fn standing_before_enqueue(fleet: &Fleet) -> (Process, std::path::PathBuf) {
    let (scheduler, gate) = common::stopping_at(fleet, "scheduler::before_enqueue");
    let reached = gate.with_extension("reached");
    eventually("it is about to enqueue", SOON, async || {
        reached.exists().then_some(())
    })
    .await;
    (scheduler, gate)
}

#[tokio::test]
async fn a_pass_that_was_about_to_enqueue_a_run_that_is_cancelled_adds_nothing() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (first, last) = (day_before(6), day_before(5));
    for day in [&first, &last] {
        fleet.simulate(day, 1000, &[]);
    }
    let hands = Hands::new(&fleet, TTL).await;
    let asked = fleet.succeed(
        "scheduler",
        &["backfill", "--from", &first, "--to", &last, "--json"],
    );
    let asked: serde_json::Value = serde_json::from_str(&asked).unwrap();
    let run = asked["run"].to_string();
    let (scheduler, gate) = standing_before_enqueue(&fleet).await;

    fleet.succeed("scheduler", &["backfill", "cancel", &run]);
    std::fs::write(&gate, "").unwrap();
    passes(&scheduler, 4).await;
    assert_eq!(hands.outstanding().await, 0);
    let added = scheduler
        .metric("weldfleet_ranges_enqueued_total", &["backfill"])
        .await;
    assert_eq!(
        added, 0.0,
        "ranges of a cancelled run were enqueued, if only for a moment"
    );
}

#[tokio::test]
async fn what_is_in_hand_of_a_cancelled_run_is_lost_to_its_worker_and_never_comes_back() {
    let fleet = Fleet::with(&[("scheduler.batch_size", "100")]).await;
    fleet.migrate();
    let day = day_before(5);
    fleet.simulate(&day, 300, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();
    let days = ["backfill", "--from", &day, "--to", &day, "--json"];
    let asked = |text: &str| -> String {
        let asked: serde_json::Value = serde_json::from_str(text).unwrap();
        asked["run"].to_string()
    };
    let run = asked(&fleet.succeed("scheduler", &days));
    hands.pending_rows(300).await;
    // One is retried and waits, one is dead, one is in hand.
    let jobs = hands.claim(3).await;
    let delay = Some(Duration::from_secs(1));
    hands
        .queue
        .settle(
            &lease(&jobs[0]),
            Settlement::Retry {
                error: "later".to_owned(),
                delay,
            },
        )
        .await
        .unwrap();
    hands
        .queue
        .settle(&lease(&jobs[1]), Settlement::bury("broken"))
        .await
        .unwrap();

    let said = fleet.succeed("scheduler", &["backfill", "cancel", &run]);
    assert_eq!(
        said,
        format!(
            "run {run} is cancelled: 3 jobs left the queue, 1 of them leased, 1 dead; rows keep the verdicts they have\n"
        )
    );
    assert_eq!(hands.judge(&jobs[2]).await, weldfleet_queue::Outcome::Lost);
    let again = fleet.succeed("scheduler", &["backfill", "cancel", &run]);
    assert!(
        again.contains("already cancelled (by ") && again.contains("); nothing was changed"),
        "{again}"
    );

    // Rows that the lost range wrote late are of the older run, and the new one takes the others.
    let next = asked(&fleet.succeed("scheduler", &days));
    hands.pending_rows(200).await;
    hands.judge_all().await;
    passes(&scheduler, 3).await;
    assert_eq!(hands.outstanding().await, 0);
    let of = async |run: &str| {
        fleet
            .clickhouse
            .count(&format!("spot_records WHERE alg_run = {run}"))
            .await
    };
    assert_eq!((of(&run).await, of(&next).await), (100, 200));
}

/// Days in this table are read as a part that is broken.
async fn breakable(fleet: &mut Fleet) {
    fleet
        .clickhouse
        .execute(
            "CREATE TABLE broken_days (day UInt32, broken UInt8) ENGINE = Join(ANY, LEFT, day)",
        )
        .await;
    let database = fleet.clickhouse.value("SELECT currentDatabase()").await;
    let filter = format!(
        "throwIf(joinGet('{database}.broken_days', 'broken', data_date) = 1, 'broken part') = 0"
    );
    fleet.set("tables.filter", &filter);
}

async fn breaks(fleet: &mut Fleet, day: &str) {
    let sql = format!("INSERT INTO broken_days VALUES ({day}, 1)");
    fleet.clickhouse.execute(&sql).await;
    // for commands
    fleet.set("tables.filter", "");
}

#[tokio::test]
async fn jobs_of_a_day_that_cannot_be_looked_at_hold_up_no_run() {
    for dead in [false, true] {
        let mut fleet = Fleet::start().await;
        fleet.migrate();
        let (broken, sound) = (day_before(6), day_before(5));
        for day in [&broken, &sound] {
            fleet.simulate(day, 100, &[]);
        }
        let hands = Hands::new(&fleet, TTL).await;
        breakable(&mut fleet).await;
        let scheduler = fleet.scheduler();
        let backfill = ["backfill", "--from", &broken, "--to", &broken];
        fleet.succeed("scheduler", &backfill);
        hands.pending_rows(100).await;
        let job = hands.claim(1).await.remove(0);
        breaks(&mut fleet, &broken).await;
        match dead {
            true => hands
                .queue
                .settle(&lease(&job), Settlement::bury("no use"))
                .await
                .unwrap(),
            false => hands
                .queue
                .settle(&lease(&job), Settlement::split("no use"))
                .await
                .unwrap(),
        };
        let backfill = ["backfill", "--from", &sound, "--to", &sound];
        fleet.succeed("scheduler", &backfill);
        hands.pending_rows(100).await;
        let said = match dead {
            true => "dead jobs cannot be looked at",
            false => "cannot be split now; others are",
        };
        eventually("it is named", SOON, async || {
            scheduler.log().contains(said).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_day_that_cannot_be_looked_at_holds_up_no_other() {
    for broken_is_live in [false, true] {
        let mut fleet = Fleet::start().await;
        fleet.migrate();
        let days = [day_before(6), day_before(5), day_before(4)];
        for day in &days {
            fleet.simulate(day, 100, &[]);
        }
        let hands = Hands::new(&fleet, TTL).await;
        let broken = match broken_is_live {
            true => day_before(0),
            false => days[1].clone(),
        };
        breakable(&mut fleet).await;
        let scheduler = fleet.scheduler();
        // At its start it reads the largest token of all days.
        passes(&scheduler, 1).await;
        breaks(&mut fleet, &broken).await;
        fleet.simulate("today", 100, &[]);
        fleet.succeed(
            "scheduler",
            &["backfill", "--from", &days[0], "--to", &days[2]],
        );
        let jobs = hands.pending_rows(300).await;
        assert!(
            jobs.iter().all(|job| job.get("day") != Some(&broken)),
            "{jobs:?}"
        );
        eventually("it is named", SOON, async || {
            let log = scheduler.log();
            let named = match broken_is_live {
                true => log.contains("broken part"),
                false => log.contains("a day cannot be looked at; others go on"),
            };
            named.then_some(())
        })
        .await;
        eventually("the leader says that it waits", SOON, async || {
            let (_, body) = scheduler.get("/readyz").await;
            body.contains("broken part").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn the_newest_day_comes_first_where_that_is_asked_for() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let days = [day_before(4), day_before(5), day_before(6)];
    for day in &days {
        fleet.simulate(day, 500, &[]);
    }
    let hands = Hands::new(&fleet, TTL).await;
    fleet.succeed(
        "scheduler",
        &[
            "backfill", "--from", &days[2], "--to", &days[0], "--order", "newest",
        ],
    );
    let _scheduler = fleet.scheduler();
    hands.pending_rows(1500).await;
    let mut order = Vec::new();
    for _ in &days {
        let job = hands.claim(1).await.remove(0);
        order.push(job.get("day").unwrap().to_owned());
    }
    assert_eq!(order, days);
}

#[tokio::test]
async fn a_run_that_gets_another_order_goes_on_from_its_other_end() {
    let fleet = Fleet::with(&[("scheduler.batch_size", "250")]).await;
    fleet.migrate();
    let days = [day_before(4), day_before(5), day_before(6)];
    for day in &days {
        fleet.simulate(day, 500, &[]);
    }
    let hands = Hands::new(&fleet, Duration::from_secs(30)).await;
    let args = ["backfill", "--from", &days[2], "--to", &days[0], "--json"];
    let asked: serde_json::Value =
        serde_json::from_str(&fleet.succeed("scheduler", &args)).unwrap();
    let run = asked["run"].to_string();
    let scheduler = fleet.scheduler();
    hands.pending_rows(1500).await;
    // One of the oldest day is in hand, one has failed and waits.
    let mut jobs = hands.claim(2).await;
    assert!(jobs.iter().all(|job| job.get("day") == Some(&days[2])));
    let (failed, in_hand) = (jobs.remove(1), jobs.remove(0));
    let later = Some(Duration::from_secs(60));
    hands
        .queue
        .settle(
            &lease(&failed),
            Settlement::Retry {
                error: "later".to_owned(),
                delay: later,
            },
        )
        .await
        .unwrap();

    let order = [
        "backfill",
        "order",
        &run,
        "newest",
        "--reason",
        "the line waits",
    ];
    let said = fleet.succeed("scheduler", &order);
    assert_eq!(
        said,
        format!(
            "run {run} goes from the newest day: 4 jobs left the queue, to come back in this order\n"
        )
    );
    let pending = ids(&hands.pending_rows(1000).await);
    // In the order that it has already it loses nothing.
    let again = fleet.succeed("scheduler", &order);
    assert_eq!(
        again,
        format!("run {run} goes from the newest day already; nothing was changed\n")
    );
    let left = hands.queue.list(State::Pending, 0, 100).await.unwrap();
    assert_eq!(ids(&left.jobs), pending);
    let mut claimed = Vec::new();
    for _ in 0..4 {
        let job = hands.claim(1).await.remove(0);
        claimed.push(job.get("day").unwrap().to_owned());
        hands.judge(&job).await;
    }
    assert_eq!(
        claimed,
        [0, 0, 1, 1].map(|place: usize| days[place].clone())
    );
    assert_eq!(
        hands.judge(&in_hand).await,
        weldfleet_queue::Outcome::Settled(State::Done)
    );
    assert_eq!(
        hands.queue.get(&failed.id).await.unwrap().unwrap().attempts,
        1
    );

    let events = "SELECT concat(what, '|', on_what, '|', why, '|', detail) AS told FROM weld_events WHERE what = 'backfill order'";
    assert_eq!(
        fleet.clickhouse.value(events).await,
        format!(
            "backfill order|run {run}|the line waits|newest first, was oldest; 4 jobs left the queue"
        )
    );
    let shown = &fleet.status()["runs"][0];
    assert_eq!(
        (&shown["order"], &shown["state"]),
        (&"newest".into(), &"open".into())
    );
    fleet.succeed("scheduler", &["backfill", "cancel", &run]);
    passes(&scheduler, 2).await;
    let refused = fleet.run("scheduler", &order);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(1)
            && said.contains("only one that is open or held can be given another order"),
        "{said}"
    );
}

#[tokio::test]
async fn a_pass_that_knows_the_old_order_adds_nothing_in_it() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (first, last) = (day_before(6), day_before(5));
    for day in [&first, &last] {
        fleet.simulate(day, 1000, &[]);
    }
    let hands = Hands::new(&fleet, TTL).await;
    let args = ["backfill", "--from", &first, "--to", &last, "--json"];
    let asked: serde_json::Value =
        serde_json::from_str(&fleet.succeed("scheduler", &args)).unwrap();
    let (_scheduler, gate) = standing_before_enqueue(&fleet).await;
    fleet.succeed(
        "scheduler",
        &["backfill", "order", &asked["run"].to_string(), "newest"],
    );
    std::fs::write(&gate, "").unwrap();
    hands.pending_rows(2000).await;
    assert_eq!(hands.claim(1).await[0].get("day"), Some(last.as_str()));
}

/// Our own table in the order of a plant's: by spot.
async fn ordered_by_spot(fleet: &Fleet) {
    fleet.migrate();
    for sql in [
        "CREATE TABLE by_spot AS spot_records ENGINE = ReplacingMergeTree PARTITION BY data_date \
         ORDER BY (data_date, spot_name, record_id) \
         SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1",
        "DROP TABLE spot_records SYNC",
        "RENAME TABLE by_spot TO spot_records",
    ] {
        fleet.clickhouse.execute(sql).await;
    }
}

fn is_led(job: &Job) -> bool {
    range(job).keys().order() == KeyOrder::SortingKey
}

async fn left(fleet: &Fleet) -> u64 {
    let left = "spot_records WHERE alg_complete_time IS NULL";
    fleet.clickhouse.count(left).await
}

#[tokio::test]
async fn a_backfill_is_cut_along_the_tables_sorting_key_and_live_days_by_time() {
    let fleet = Fleet::with(&[("scheduler.batch_size", "100")]).await;
    ordered_by_spot(&fleet).await;
    let day = day_before(3);
    fleet.simulate("today", 300, &[]);
    fleet.simulate(&day, 1250, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    fleet.succeed("scheduler", &["backfill", "--from", &day, "--to", &day]);
    let _scheduler = fleet.scheduler();
    let jobs = hands.pending_rows(1550).await;
    let (of_run, live): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.priority == 1);
    assert_eq!((of_run.len(), live.len()), (13, 3));
    assert!(of_run.iter().all(is_led) && !live.iter().any(is_led));
    let mut keys: Vec<_> = of_run.iter().map(|job| range(job).keys()).collect();
    keys.sort_by(|a, b| a.from.cmp(&b.from));
    assert!(
        keys.windows(2).all(|pair| pair[0].to < pair[1].from),
        "{keys:?}"
    );
    // Late ones lie in ranges that are there, and between them.
    fleet.simulate(&day, 50, &[]);
    hands.judge_all().await;
    eventually("late rows are judged", SOON, async || {
        hands.judge_all().await;
        (left(&fleet).await == 0).then_some(())
    })
    .await;
}

/// As a fleet finds it that was away for long, or is new. What comes meanwhile is cut so, too; then by time again.
#[tokio::test]
async fn a_live_days_backlog_is_cut_along_the_tables_sorting_key() {
    let fleet = Fleet::with(&[
        ("scheduler.batch_size", "50"),
        ("scheduler.max_wait", "300ms"),
    ])
    .await;
    ordered_by_spot(&fleet).await;
    fleet.simulate("today", 1010, &[]);
    fleet.simulate("yesterday", 510, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let _scheduler = fleet.scheduler();
    let jobs = hands.pending_rows(1520).await;
    let (led, by_time): (Vec<&Job>, Vec<&Job>) = jobs.iter().partition(|job| is_led(job));
    let (today, yesterday) = (day_before(0), day_before(1));
    assert!(led.iter().all(|job| job.get("day") == Some(&today)));
    assert!(by_time.iter().all(|job| job.get("day") == Some(&yesterday)));
    assert_eq!((led.len(), by_time.len()), (21, 11));

    fleet.simulate("today", 40, &[]);
    eventually("all is judged", SOON, async || {
        hands.judge_all().await;
        (left(&fleet).await == 0).then_some(())
    })
    .await;
    fleet.simulate("today", 40, &[]);
    let jobs = hands.pending_rows(40).await;
    assert!(!jobs.iter().any(is_led), "{jobs:?}");
}

#[tokio::test]
async fn what_was_cut_by_time_is_gone_on_with_by_time() {
    let fleet = Fleet::with(&[("scheduler.batch_size", "100")]).await;
    ordered_by_spot(&fleet).await;
    let day = day_before(3);
    fleet.simulate(&day, 500, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    fleet.succeed("scheduler", &["backfill", "--from", &day, "--to", &day]);
    let run: u64 = fleet
        .clickhouse
        .value("SELECT max(run) FROM weld_runs")
        .await
        .parse()
        .unwrap();
    let day: Day = day.parse().unwrap();
    let (selection, none) = (Selection::New, Coverage::default());
    let mut first = hands
        .table
        .unprocessed_keys(run, day, &selection, KeyOrder::Time, &none, 200)
        .unwrap();
    let keys: Vec<Key> = first
        .next()
        .await
        .unwrap()
        .unwrap()
        .keys()
        .map(|key| key.to_owned())
        .collect();
    let before = Range {
        run,
        day,
        selection,
        from: keys[0].clone(),
        to: keys[99].clone(),
        rows: 100,
        repeated_keys: false,
    };
    let group = weldfleet_fleet::DayGroup { run, day }.to_string();
    let job = weldfleet_fleet::job(&before).group(&group).priority(1);
    hands.queue.enqueue(&[job]).await.unwrap();
    let _scheduler = fleet.scheduler();
    let jobs = hands.pending_rows(500).await;
    assert!(!jobs.iter().any(is_led));
    hands.judge_all().await;
    assert_eq!(left(&fleet).await, 0);
}

#[tokio::test]
async fn a_day_along_a_sorting_key_is_filled_up_when_few_jobs_are_left_and_days_keep_their_order() {
    let fleet = Fleet::with(&[
        ("scheduler.batch_size", "20"),
        ("scheduler.max_outstanding", "40"),
    ])
    .await;
    ordered_by_spot(&fleet).await;
    let days = [day_before(4), day_before(3)];
    fleet.simulate(&days[0], 1000, &[]);
    fleet.simulate(&days[1], 100, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    fleet.succeed(
        "scheduler",
        &[
            "backfill", "--from", &days[0], "--to", &days[1], "--order", "oldest",
        ],
    );
    let scheduler = fleet.scheduler();
    hands.pending_rows(800).await;
    let judge = async |most| {
        for job in hands.claim(most).await {
            hands.judge(&job).await;
        }
    };
    for _ in 0..7 {
        judge(1).await;
    }
    passes(&scheduler, 3).await;
    let jobs = hands.pending_rows(660).await;
    assert!(jobs.iter().all(|job| job.get("day") == Some(&days[0])));
    judge(1).await;
    // Forty, or one less if the pass began before that one was judged.
    let jobs = eventually("the day is filled up", SOON, async || {
        let jobs = hands.queue.list(State::Pending, 0, 100).await.unwrap().jobs;
        (jobs.len() >= 39).then_some(jobs)
    })
    .await;
    let later = jobs.iter().filter(|job| job.get("day") == Some(&days[1]));
    assert_eq!(later.count(), 0, "the first day has two ranges more");
    eventually("both days are judged", SOON, async || {
        judge(20).await;
        (left(&fleet).await == 0).then_some(())
    })
    .await;
}

/// The run of a backfill of this day.
fn backfilled(fleet: &Fleet, day: &str) -> String {
    let days = ["backfill", "--from", day, "--to", day, "--json"];
    let asked: serde_json::Value =
        serde_json::from_str(&fleet.succeed("scheduler", &days)).unwrap();
    asked["run"].to_string()
}

/// What a person has stopped is not run again behind their back, and no half of a dead job of it leaves the queue.
#[tokio::test]
async fn a_dead_job_of_a_held_run_stays_dead_until_the_run_is_resumed() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let day = day_before(5);
    fleet.simulate(&day, 300, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();
    let run = backfilled(&fleet, &day);
    hands.pending_rows(300).await;
    let job = hands.claim(1).await.remove(0);
    hands
        .queue
        .settle(&lease(&job), Settlement::bury("broken"))
        .await
        .unwrap();
    fleet.succeed("scheduler", &["backfill", "hold", &run]);

    let retry = ["jobs", "retry", &job.id];
    let (code, _, why) = common::text(&fleet.run("scheduler", &retry));
    let resume = format!("run {run} is held; `scheduler backfill resume {run}` first");
    assert!(code == 1 && why.contains(&resume), "{why}");
    // Rows between its keys, which would halve it.
    fleet.simulate(&day, 10, &["--since", "12:00", "--until", "12:10"]);
    tokio::time::sleep(Duration::from_secs(2)).await; // how often the leader looks for such rows
    passes(&scheduler, 3).await;
    let dead = hands.queue.list(State::Dead, 0, 10).await.unwrap().jobs;
    assert_eq!(ids(&dead), std::slice::from_ref(&job.id));

    fleet.succeed("scheduler", &["backfill", "resume", &run]);
    hands.pending_rows(310).await;
    hands.judge_all().await;
}

/// Redis is as it was before the run was cancelled and the fleet paused, as after the load of an older file.
#[tokio::test]
async fn a_redis_that_went_back_is_told_with_its_pause_and_keeps_no_job_of_an_ended_run() {
    let fleet = Fleet::with(&[("scheduler.batch_size", "100")]).await;
    fleet.migrate();
    let day = day_before(5);
    fleet.simulate(&day, 300, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();
    let run = backfilled(&fleet, &day);
    hands.pending_rows(300).await;
    // The other database is the older file. Who leads goes on leading.
    let keep = "for _, key in ipairs(redis.call('KEYS', '*')) do \
                if not string.find(key, 'leader') then redis.call('COPY', key, key, 'DB', 1, 'REPLACE') end end";
    let _: Option<String> = fleet.queue.command(&["EVAL", keep, "0"]).await;
    hands.judge_all().await;
    fleet.succeed("scheduler", &["pause", "--reason", "tip dress"]);
    scheduler.logged("tip dress", SOON).await;
    eventually("the run is closed", SOON, async || {
        let closed = fleet
            .clickhouse
            .count("weld_runs FINAL WHERE state = 'closed'");
        (closed.await == 1).then_some(())
    })
    .await;
    let back = "for _, key in ipairs(redis.call('KEYS', '*')) do \
                if not string.find(key, 'leader') then redis.call('DEL', key) end end \
                redis.call('SELECT', 1) \
                for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', key, key, 'DB', 0) end";
    let _: Option<String> = fleet.queue.command(&["EVAL", back, "0"]).await;

    scheduler.logged("redis went back", SOON).await;
    scheduler
        .logged("the fleet was paused and redis forgot that", SOON)
        .await;
    eventually("the run's jobs leave", SOON, async || {
        (hands.outstanding().await == 0).then_some(())
    })
    .await;
    let judged = format!("spot_records WHERE alg_run = {run}");
    assert_eq!(fleet.clickhouse.count(&judged).await, 300);
}
