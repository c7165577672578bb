//! SIGTERM: a worker leaves in order and costs nothing; what a killed one leaves behind is cleared away.

use std::{fs, path::PathBuf, time::Duration};

use nix::sys::signal::Signal;
use weldfleet_tests::{
    Fleet, audit, eventually,
    faults::{
        FailPoint, PATIENCE, assert_no_attempt_spent, assert_whole, plant_of_eight_ranges,
        worker_id,
    },
    repository,
};

const ROWS: u64 = 2000;

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_it_finishes_what_it_holds() {
    let fleet = plant_of_eight_ranges().await;
    let _scheduler = fleet.scheduler();
    let gate = FailPoint::new(&fleet, "worker::judged");
    let mut worker = fleet.worker_with(&[("FAILPOINTS", &gate.armed())]);
    gate.reached().await;
    let id = worker_id(&worker).await;
    let held = fleet.queue.held_by(&id).await;
    assert!(!held.is_empty());

    worker.signal(Signal::SIGTERM);
    worker.logged("finishing ranges in flight", PATIENCE).await;
    gate.open();
    let status = worker.ended(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{status}");
    for job in held.into_keys() {
        let job = fleet.queue.job(&job).await;
        assert_eq!(
            (
                job["state"].as_str(),
                job["attempts"].as_str(),
                job["worker"].as_str()
            ),
            ("done", "1", id.as_str()),
            "a range in flight was not finished: {job:?}"
        );
    }
    assert_eq!(fleet.queue.count("leased").await, 0);
    assert!(
        !fleet.queue.workers().await.contains(&id),
        "it is still listed"
    );

    let _next = fleet.worker();
    fleet.done(PATIENCE).await;
    assert_whole(&fleet, ROWS).await;
    assert_no_attempt_spent(&fleet).await;
}

/// An engine may take minutes to build. Whoever watches over the process must see that it lives.
#[tokio::test(flavor = "multi_thread")]
async fn while_models_are_loaded_it_answers_and_can_be_stopped() {
    let fleet = plant_of_eight_ranges().await;
    let models = fleet.folder().join("models");
    for of in ["global", "parts/TUNNEL"] {
        let folder = models.join(of);
        fs::create_dir_all(&folder).expect("folder");
        for file in ["model.onnx", "inference_config.json"] {
            let from = repository().join("models/global").join(file);
            fs::copy(from, folder.join(file)).expect("copy");
        }
    }
    for point in ["worker::load", "worker::try_part"] {
        stopped_at(&fleet, point, &models.display().to_string()).await;
    }
}

async fn stopped_at(fleet: &Fleet, point: &str, models: &str) {
    let gate = FailPoint::new(fleet, point);
    let mut worker = fleet.worker_with(&[
        ("FAILPOINTS", &gate.armed()),
        ("WELDFLEET__MODEL__MODEL_EXPORT_DIR", models),
        ("WELDFLEET__MODEL__PROVIDER", "cpu"),
    ]);
    gate.reached().await;
    assert_eq!(worker.get("/healthz").await.0, 200);
    let (code, why) = worker.get("/readyz").await;
    assert!(
        code == 503 && why.contains("loading models"),
        "{code} {why}"
    );
    let (code, says) = worker.get("/").await;
    assert!(code == 200 && says.contains("weldfleet worker"), "{says}");
    let url = format!("{}/predict", worker.http().await);
    let refused = reqwest::Client::new().post(url).body("{}").send().await;
    let refused = refused.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let refused = refused.text().await.expect("a body");
    assert!(refused.contains("are being loaded"), "{refused}");

    worker.signal(Signal::SIGTERM);
    let status = worker.ended(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_grace_period_it_gives_back_what_it_holds() {
    let mut fleet = plant_of_eight_ranges().await;
    fleet.set("worker.shutdown_grace", "1s");
    let _scheduler = fleet.scheduler();
    let gate = FailPoint::new(&fleet, "worker::stored");
    let mut worker = fleet.worker_with(&[("FAILPOINTS", &gate.armed())]);
    gate.reached().await;
    let id = worker_id(&worker).await;
    let held = fleet.queue.held_by(&id).await;
    assert!(!held.is_empty());

    let asked = fleet.queue.now().await;
    worker.signal(Signal::SIGTERM);
    let status = worker.ended(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{status}");
    let took = fleet.queue.now().await - asked;
    assert!(took < 6000, "it took {took} ms with a grace period of 1 s");
    assert!(
        worker.log().contains("no attempt spent"),
        "it does not say what it gave back"
    );
    assert_eq!(
        fleet.queue.count("leased").await,
        0,
        "leases are left to run out"
    );
    let pending = fleet.queue.jobs("pending").await;
    assert!(!pending.is_empty(), "nothing was given back");
    for job in pending {
        assert_eq!(job["attempts"], "0", "{job:?}");
    }

    let next = fleet.worker();
    fleet.done(PATIENCE).await;
    assert_ne!(
        worker_id(&next).await,
        id,
        "a restarted worker is a new one"
    );
    assert!(
        !fleet.queue.workers().await.contains(&id),
        "the old one is still listed"
    );
    assert_whole(&fleet, ROWS).await;
    assert_no_attempt_spent(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_temporary_files_are_removed_and_a_living_ones_are_not() {
    let fleet = plant_of_eight_ranges().await;
    let _scheduler = fleet.scheduler();
    let mut killed = fleet.worker();
    let alive = fleet.worker();
    fleet.done(PATIENCE).await;
    let (killed_id, alive_id) = (worker_id(&killed).await, worker_id(&alive).await);

    killed.kill();
    // As if it had been killed while it wrote: the names are those that it writes under.
    let left_by = |worker: &str| -> PathBuf {
        let finished = &audit::files(&fleet.save_dir())[0];
        let path = PathBuf::from(format!("{}.part-{worker}", finished.display()));
        fs::write(&path, "half a file").expect("a file");
        path
    };
    let (leftover, in_use) = (left_by(&killed_id), left_by(&alive_id));

    let restarted = fleet.worker();
    eventually(
        "the leftover is removed",
        Duration::from_secs(40),
        async || (!leftover.exists()).then_some(()),
    )
    .await;
    assert!(in_use.exists(), "a living worker's file was removed");
    assert_ne!(worker_id(&restarted).await, killed_id);
    fs::remove_file(in_use).expect("the file");
    assert_whole(&fleet, ROWS).await;
}
