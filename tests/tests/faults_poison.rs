//! A row that kills its worker costs that row.

use weldfleet_tests::{
    Fleet, Process, eventually,
    faults::{EndState, FailPoint, PATIENCE, simulate},
    poison::{Supervisor, assert_costs_that_row, poisoned_by},
    queue::UNDONE,
};

/// One range, as large as they are by default.
const RANGE: u64 = 4096;
/// Other ranges, in flight beside it. Fewer rows a day than the poison row's number, so that only one row bears that.
const OTHERS: [u64; 2] = [900, 700];
const POISON: &str = "3001";
const MOST_DEATHS: u32 = 15;
const WITHIN_MS: u64 = 90_000;

/// Today with the poison row, yesterday, and an old day with a run of its own.
async fn plant() -> Fleet {
    let fleet = Fleet::with(&[
        ("scheduler.batch_size", "4096"),
        ("scheduler.lookback_days", "2"),
    ])
    .await;
    fleet.migrate();
    for (days_ago, rows) in [(1, RANGE), (2, OTHERS[0])] {
        let day = fleet.day_before(days_ago).await;
        simulate(&fleet, &day, rows);
    }
    simulate(&fleet, "20261001", OTHERS[1]);
    fleet
}

fn request_old_day(fleet: &Fleet) {
    fleet.backfill("20261001", "20261001", &[]);
}

/// A worker that claims all there is, and what it judges beside the poison it still holds when that kills it.
async fn holds_every_range(fleet: &Fleet, ranges: usize) -> Process {
    let judged = FailPoint::new(fleet, "worker::judged");
    let armed = judged.armed_for(9);
    let worker = fleet.worker_with(&[poisoned_by(POISON), ("FAILPOINTS", &armed)]);
    eventually("it holds every range", PATIENCE, async || {
        (fleet.queue.count("leased").await == ranges as u64).then_some(())
    })
    .await;
    worker
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_kills_its_worker_is_found_and_costs_nothing_else() {
    let rows = RANGE + OTHERS.iter().sum::<u64>();
    let undisturbed = {
        let fleet = plant().await;
        let (_scheduler, _worker) = (fleet.scheduler(), fleet.worker());
        request_old_day(&fleet);
        fleet.done(PATIENCE).await;
        EndState::read(&fleet).await
    };

    let fleet = plant().await;
    let _scheduler = fleet.scheduler();
    request_old_day(&fleet);
    eventually("the three ranges wait", PATIENCE, async || {
        (fleet.queue.count("pending").await == 3).then_some(())
    })
    .await;
    let ranges = fleet.queue.ids("pending").await;

    let began = fleet.queue.now().await;
    let first = holds_every_range(&fleet, ranges.len()).await;
    let mut supervisor = Supervisor::start(&fleet, POISON, vec![first]);
    supervisor.until_judged(PATIENCE + PATIENCE / 2).await;
    let took = fleet.queue.now().await - began;
    let deaths = supervisor.deaths;
    eprintln!("{deaths} deaths, {took} ms");
    fleet.idle(PATIENCE).await;

    assert!(deaths <= MOST_DEATHS, "{deaths} deaths");
    assert!(took < WITHIN_MS, "{took} ms");
    innocents_came_through(&fleet, &ranges).await;
    assert_costs_that_row(&fleet, POISON, rows, &undisturbed).await;
    fleet.succeed("scheduler", &["status", "--json"]);
    for state in UNDONE {
        assert_eq!(fleet.queue.count(state).await, 0, "{state}");
    }
}

/// The ranges beside it were neither split nor buried, though a worker died with them in its hands.
async fn innocents_came_through(fleet: &Fleet, ranges: &[String]) {
    let mut whole = Vec::new();
    for id in ranges {
        let job = fleet.queue.job(id).await;
        let number = |field: &str| -> u64 { job[field].parse().expect("a number") };
        // The one with the poison is done too, since it was split.
        if job["state"] == "done" && number("rows") != RANGE {
            assert_eq!(
                (number("deaths"), number("attempts")),
                (1, 2),
                "it shared one death: {job:?}"
            );
            whole.push(number("rows"));
        }
    }
    whole.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(whole, OTHERS, "ranges that came through whole");
}
