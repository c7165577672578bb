//! `kill -9` of a worker: between every two of its durable steps, and whenever.

use std::time::Duration;

use weldfleet_tests::{
    Fleet,
    agree::{Counts, text},
    audit, eventually,
    faults::{EndState, FailPoint, LEASE_MS, PATIENCE, assert_whole, simulate, worker_id},
};

/// After this long a range of a killed worker is claimed again: its lease, and a margin for a busy machine.
const BACK_WITHIN_MS: u64 = LEASE_MS + 2000;

/// The way of a range; each point comes after the step that names it.
const POINTS: [&str; 7] = [
    "claimed",
    "fetched",
    "judged",
    "audited",
    "stored",
    "committed",
    "mirrored",
];

const ROWS: u64 = 2500;

/// A migrated plant with ranges of so many rows.
async fn plant(batch_size: &str) -> Fleet {
    let fleet = Fleet::with(&[("scheduler.batch_size", batch_size)]).await;
    fleet.migrate();
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_any_two_steps_the_range_comes_back_and_ends_as_if_nothing_had_happened() {
    let (day, undisturbed) = undisturbed_day().await;
    for point in POINTS {
        eprintln!("killed at {point}");
        let fleet = plant("500").await;
        simulate(&fleet, &day, ROWS);
        killed_at(&fleet, point).await;
        EndState::read(&fleet).await.assert_is(&undisturbed);
    }
}

async fn undisturbed_day() -> (String, EndState) {
    let fleet = plant("500").await;
    // By number, so that a midnight during the test changes nothing.
    let day = fleet.day_before(0).await;
    simulate(&fleet, &day, ROWS);
    let (_scheduler, _worker) = (fleet.scheduler(), fleet.worker());
    fleet.done(PATIENCE).await;
    let counts = assert_whole(&fleet, ROWS).await;
    assert!(
        counts.nok > 20 && counts.invalid > 5,
        "too few to compare: {counts:?}"
    );
    (day, EndState::read(&fleet).await)
}

async fn killed_at(fleet: &Fleet, point: &str) {
    let _scheduler = fleet.scheduler();
    let gate = FailPoint::new(fleet, &format!("worker::{point}"));
    let mut victim = fleet.worker_with(&[("FAILPOINTS", &gate.armed())]);
    gate.reached().await;
    let victim_id = worker_id(&victim).await;
    let heir = fleet.worker();
    heir.ready().await;
    let heir_id = worker_id(&heir).await;

    let job = only_job_held(fleet, &victim_id).await;
    let token = job_field(fleet, &job, "token").await;
    assert_steps_done(fleet, point, token).await;
    let killed_at = fleet.queue.now().await;
    victim.kill();

    eventually("the range is claimed again", PATIENCE, async || {
        (job_field(fleet, &job, "token").await != token).then_some(())
    })
    .await;
    let again = fleet.queue.job(&job).await;
    let took = job_field(fleet, &job, "started_at")
        .await
        .saturating_sub(killed_at);
    eprintln!("claimed again {took} ms after the kill");
    assert!(took <= BACK_WITHIN_MS, "claimed again only after {took} ms");
    assert_eq!(again["worker"], heir_id);
    assert!(job_field(fleet, &job, "token").await > token);
    assert_eq!(
        (again["attempts"].as_str(), again["deaths"].as_str()),
        ("2", "1")
    );

    fleet.done(PATIENCE).await;
    let counts = assert_whole(fleet, ROWS).await;
    assert_eq!(
        Counts::of_done_jobs(&fleet.queue).await,
        counts,
        "what the jobs say"
    );
    let committed_by_victim = fleet
        .clickhouse
        .count(&format!("spot_records WHERE alg_token = {token}"))
        .await;
    let committed_before = matches!(point, "committed" | "mirrored");
    assert_eq!(
        committed_by_victim > 0,
        committed_before,
        "rows of the killed attempt"
    );
}

/// Everything else is done; only what waits at the fail point is left.
async fn only_job_held(fleet: &Fleet, worker: &str) -> String {
    eventually(
        "only the range at the fail point is left",
        PATIENCE,
        async || {
            let leased = fleet.queue.ids("leased").await;
            let [job] = leased.as_slice() else {
                return None;
            };
            let nothing_else = fleet.queue.count("pending").await == 0;
            let left = fleet
                .clickhouse
                .count("spot_records WHERE alg_complete_time IS NULL")
                .await;
            let held = fleet.queue.job(job).await["worker"] == worker;
            (nothing_else && held && left <= 500).then(|| job.clone())
        },
    )
    .await
}

async fn job_field(fleet: &Fleet, job: &str, field: &str) -> u64 {
    let job = fleet.queue.job(job).await;
    job[field]
        .parse()
        .unwrap_or_else(|_| panic!("`{field}` of {job:?}"))
}

/// The killed attempt has done exactly the steps before the fail point.
async fn assert_steps_done(fleet: &Fleet, point: &str, token: u64) {
    let reached = POINTS
        .iter()
        .position(|name| *name == point)
        .expect("a point");
    let step = |name: &str| POINTS.iter().position(|point| *point == name) <= Some(reached);
    let file = audit::files(&fleet.save_dir())
        .iter()
        .any(|path| path.to_string_lossy().contains(&format!("-{token}.csv.gz")));
    assert_eq!(file, step("audited"), "audit file");
    let results = fleet
        .clickhouse
        .count(&format!("weld_results WHERE token = {token}"))
        .await;
    assert_eq!(results > 0, step("stored"), "results");
    let rows = fleet
        .clickhouse
        .rows(&format!(
            "SELECT toString(record_id) AS id, final_result FROM spot_records WHERE alg_token = {token}"
        ))
        .await;
    assert_eq!(!rows.is_empty(), step("committed"), "committed rows");
    if step("mirrored") {
        let nok = rows
            .iter()
            .filter(|row| text(row, "final_result") == "NOK")
            .count() as u64;
        let mirrored = fleet
            .mysql
            .count(&format!("nok_records WHERE alg_token = {token}"))
            .await;
        assert_eq!(mirrored, nok, "mirrored rows");
    }
}

/// Times of the kills, ms after the victim holds a range: any moment of a range's way.
const MOMENTS_MS: [u64; 6] = [0, 13, 160, 37, 290, 84];
const BATCH: u64 = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_time_the_ranges_come_back_and_end_as_if_nothing_had_happened() {
    let (day, undisturbed) = {
        let fleet = plant("250").await;
        let day = fleet.day_before(0).await;
        for _ in MOMENTS_MS {
            simulate(&fleet, &day, BATCH);
        }
        let (_scheduler, _worker) = (fleet.scheduler(), fleet.worker());
        fleet.done(PATIENCE).await;
        (day, EndState::read(&fleet).await)
    };

    let fleet = plant("250").await;
    let _scheduler = fleet.scheduler();
    let heir = fleet.worker();
    heir.ready().await;
    let mut victim = fleet.worker();
    let mut charged = 0;
    for moment in MOMENTS_MS {
        victim.ready().await;
        let id = worker_id(&victim).await;
        simulate(&fleet, &day, BATCH);
        eventually("the victim holds ranges", PATIENCE, async || {
            (!fleet.queue.held_by(&id).await.is_empty()).then_some(())
        })
        .await;
        // Not waiting for something: the fault comes at this moment.
        tokio::time::sleep(Duration::from_millis(moment)).await;
        let killed_at = fleet.queue.now().await;
        victim.kill();
        charged += come_back(&fleet, &id, killed_at).await;
        victim = fleet.worker();
    }
    fleet.done(PATIENCE).await;
    eprintln!("{charged} ranges were in the victim's hands");
    assert!(
        charged >= MOMENTS_MS.len() / 2,
        "nearly every kill missed: {charged}"
    );
    assert_whole(&fleet, BATCH * MOMENTS_MS.len() as u64).await;
    EndState::read(&fleet).await.assert_is(&undisturbed);
}

/// Waits until whatever the killed worker held was claimed again, in time; answers how much that was.
async fn come_back(fleet: &Fleet, victim: &str, killed_at: u64) -> usize {
    let lost = fleet.queue.held_by(victim).await;
    for (id, token) in &lost {
        let again = eventually("the range is claimed again", PATIENCE, async || {
            let job = fleet.queue.job(id).await;
            // Split, because it had died alone before: its halves have ids of their own.
            let split = job.get("state").is_none_or(|state| state == "splitting");
            (split || job["token"] != token.to_string()).then_some(job)
        })
        .await;
        if let Some(started) = again.get("started_at")
            && again["state"] != "splitting"
        {
            let took = started
                .parse::<u64>()
                .expect("a time")
                .saturating_sub(killed_at);
            eprintln!("claimed again {took} ms after the kill");
            assert!(
                took <= BACK_WITHIN_MS,
                "claimed again only after {took} ms: {again:?}"
            );
        }
    }
    lost.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_abort_leave_nothing_half_done() {
    let fleet = plant("250").await;
    simulate(&fleet, "today", ROWS);
    let _scheduler = fleet.scheduler();
    let mut victims = ["audited", "stored", "committed"].map(|point| {
        let action = format!("worker::{point}=1*return(abort)");
        fleet.worker_with(&[("FAILPOINTS", &action)])
    });
    for victim in &mut victims {
        let status = victim.ended(PATIENCE).await;
        assert!(!status.success(), "it was to abort and ended with {status}");
    }
    let _heir = fleet.worker();
    fleet.done(PATIENCE).await;
    assert_whole(&fleet, ROWS).await;
}
