//! Two people act on the same thing within milliseconds, each at another scheduler: one of them acts, and the other is
//! told what happened.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{
    Hands, SOON,
    console::{Browser, Plant, said},
    day_before, lease,
};
use weldfleet_queue::{Settlement, State};
use weldfleet_tests::eventually;

const ROUNDS: usize = 20;

/// Both ask at once. Returns what each was told, who acted first.
async fn both(
    browsers: &[Browser<'_>; 2],
    path: &str,
    [first, second]: [&[(&str, &str)]; 2],
    acted: impl Fn(&str) -> bool,
) -> [String; 2] {
    let [leader, standby] = browsers;
    let (first, second) = tokio::join!(leader.post(path, first), standby.post(path, second));
    let mut told = [said(&first), said(&second)];
    told.sort_by_key(|told| !acted(told));
    assert!(acted(&told[0]) && !acted(&told[1]), "{path}: {told:?}");
    told
}

#[tokio::test]
async fn of_two_operators_one_acts_and_the_other_is_told() {
    let plant = Plant::start(&[("scheduler.batch_size", "50")]).await;
    let standby = plant.fleet.scheduler();
    standby.ready().await;
    let mut browsers = [
        plant.signed_in("operator").await,
        plant.signed_in("operator").await,
    ];
    browsers[1].base = standby.http().await;
    let events = async |of: &str| {
        let told = format!("weld_events WHERE on_what = '{of}'");
        plant.fleet.clickhouse.count(&told).await
    };

    // The pause of everything.
    for _ in 0..ROUNDS {
        let why: &[_] = &[("reason", "tip dress")];
        let pause = "/ui/pause?lang=en";
        let told = both(&browsers, pause, [why, why], |told| {
            told.contains("nothing new")
        })
        .await;
        assert!(told[1].contains("operator: tip dress"), "{told:?}");
        let resume = "/ui/resume?lang=en";
        let told = both(&browsers, resume, [why, why], |told| {
            !told.contains("not paused")
        })
        .await;
        assert!(told[1].contains("not paused"), "{told:?}");
    }
    assert_eq!(events("fleet").await, 2 * ROUNDS as u64);

    // Dead jobs.
    let (hands, _) = plant.backfilled().await;
    let bury_all = async |hands: &Hands| loop {
        let jobs = hands.claim(25).await;
        for job in &jobs {
            hands
                .queue
                .settle(&lease(job), Settlement::bury("broken"))
                .await
                .unwrap();
        }
        if jobs.is_empty() {
            break;
        }
    };
    bury_all(&hands).await;
    let dead = hands.queue.list(State::Dead, 0, 100).await.unwrap().jobs;
    let [retry, drop] = ["retry", "drop"];
    let pairs = [
        (retry, retry, "is pending, not dead"),
        (retry, drop, ""),
        (drop, drop, "1 are gone already"),
    ];
    let rows = "spot_records WHERE alg_error = 'dropped'";
    for (round, job) in dead.iter().enumerate().take(3 * ROUNDS) {
        let id = job.id.as_str();
        let (first, second, otherwise) = pairs[round % 3];
        let [first, second] =
            [first, second].map(|change| [("change", change), ("id", id), ("reason", "a test")]);
        let before = plant.fleet.clickhouse.count(rows).await;
        let path = "/ui/jobs/change?lang=en";
        let acted = |told: &str| told.contains("\"1 jobs ");
        let told = both(&browsers, path, [&first, &second], acted).await;
        let is_dropped = told[0].contains("dropped");
        let otherwise = match (otherwise, is_dropped) {
            ("", true) => "1 are gone already",
            ("", false) => "is pending, not dead",
            (otherwise, _) => otherwise,
        };
        assert!(told[1].contains(otherwise), "{told:?}");
        assert_eq!(events(&format!("job {id}")).await, 1, "{told:?}");
        // What is retried keeps its rows.
        let marked = plant.fleet.clickhouse.count(rows).await - before;
        assert_eq!(marked, if is_dropped { 50 } else { 0 }, "{told:?}");
        let kept = hands.queue.get(id).await.unwrap();
        assert_eq!(kept.is_none(), is_dropped, "{told:?}");
    }

    // Backfills that nobody has begun.
    let day = day_before(30);
    plant.fleet.simulate(&day, 10, &[]);
    let insert = format!(
        "INSERT INTO weld_runs (run, request, `from`, `to`, force, status, state, requested_at, version) \
         SELECT 20260101000000000 + number, toString(number), {day}, {day}, 1, '', 'held', now64(3), 1 FROM numbers({ROUNDS})"
    );
    plant.fleet.clickhouse.execute(&insert).await;
    for round in 0..ROUNDS {
        let run = (20_260_101_000_000_000 + round).to_string();
        let on_what = format!("run {run}");
        let steps = [
            ("newest", "already"),
            ("resume", "already (by operator)"),
            ("hold", "already held (by operator)"),
            ("cancel", "already cancelled (by operator)"),
        ];
        for (step, (change, otherwise)) in steps.into_iter().enumerate() {
            let fields: &[_] = &[("run", &*run), ("change", change), ("reason", "a test")];
            let path = "/ui/backfills/change?lang=en";
            let acted = |told: &str| !told.contains("already");
            let told = both(&browsers, path, [fields, fields], acted).await;
            assert!(told[1].contains(otherwise), "{told:?}");
            assert_eq!(events(&on_what).await, step as u64 + 1, "{told:?}");
        }
    }
    eventually("all are cancelled", SOON, async || {
        let left = plant.fleet.status()["runs"].to_string();
        (!left.contains("\"held\"")).then_some(())
    })
    .await;
}
