//! Workers that die: who runs isolated, what is split, what is poison, and how many deaths it takes.

use std::{collections::BTreeSet, time::Duration};

use weldfleet_queue::{
    LeaseRef, NewJob, Outcome, Queue, Settlement, SplitOutcome, State, WorkerId,
};

use crate::server::{RedisServer, eventually, worker};

fn short(server: &RedisServer) -> Queue {
    server.queue_with(|options| {
        options.ttl = Duration::from_millis(120);
        options.renew_every = Duration::from_millis(40);
    })
}

async fn claimed(queue: &Queue, worker: &WorkerId, max: u32) -> Vec<weldfleet_queue::Job> {
    eventually("a claim", || async {
        let jobs = queue.claim(worker, max).await.unwrap().jobs;
        (!jobs.is_empty()).then_some(jobs)
    })
    .await
}

/// Calls collect often, as a live fleet does, until `state` holds something.
async fn collected(queue: &Queue, state: State) -> Vec<weldfleet_queue::Job> {
    eventually("a collect", || async {
        queue.collect().await.unwrap();
        let jobs = queue.list(state, 0, 10).await.unwrap().jobs;
        (!jobs.is_empty()).then_some(jobs)
    })
    .await
}

#[tokio::test]
async fn innocents_of_a_shared_death_come_through_and_each_runs_isolated() {
    let server = RedisServer::start();
    let queue = short(&server);
    queue
        .enqueue(&[
            NewJob::new("a").weight(4),
            NewJob::new("b").weight(4),
            NewJob::new("c").weight(4),
        ])
        .await
        .unwrap();
    assert_eq!(queue.claim(&worker("dies"), 3).await.unwrap().jobs.len(), 3);
    let mut seen = BTreeSet::new();
    let heir = worker("heir");
    for _ in 0..3 {
        let jobs = claimed(&queue, &heir, 5).await;
        assert_eq!(jobs.len(), 1, "a job that has died is claimed isolated");
        assert_eq!((jobs[0].deaths, jobs[0].attempts), (1, 2));
        let more = queue.claim(&heir, 5).await.unwrap();
        assert!(
            more.jobs.is_empty() && more.draining,
            "its worker gets nothing else"
        );
        let lease = LeaseRef {
            id: jobs[0].id.clone(),
            token: jobs[0].token,
        };
        assert_eq!(
            queue.settle(&lease, Settlement::ack()).await.unwrap(),
            Outcome::Settled(State::Done)
        );
        seen.insert(jobs[0].id.clone());
    }
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn a_busy_worker_reserves_a_job_that_must_run_isolated_and_cannot_starve_it() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(400);
        options.renew_every = Duration::from_millis(100);
    });
    queue
        .enqueue(&[NewJob::new("poor").weight(4)])
        .await
        .unwrap();
    let _ = queue.claim(&worker("dies"), 1).await.unwrap();
    collected(&queue, State::Pending).await;
    queue
        .enqueue(&[NewJob::new("n1"), NewJob::new("n2"), NewJob::new("n3")])
        .await
        .unwrap();

    // a busy worker: one ordinary job in hand (taken before `poor` came back would be the same)
    let busy = worker("busy");
    queue.pause("set the stage", "test").await.unwrap();
    queue.resume().await.unwrap();
    let other = worker("other");
    let poor = queue.claim(&busy, 1).await.unwrap().jobs.remove(0);
    assert_eq!(poor.id, "poor");
    queue
        .settle(
            &LeaseRef {
                id: poor.id,
                token: poor.token,
            },
            Settlement::release("stage"),
        )
        .await
        .unwrap();
    // make `other` hold an ordinary job, then let both meet the isolated job
    let reserved = {
        let jobs = queue.claim(&other, 1).await.unwrap().jobs;
        assert_eq!(jobs[0].id, "poor", "an idle worker takes it at once");
        let lease = LeaseRef {
            id: jobs[0].id.clone(),
            token: jobs[0].token,
        };
        let ordinary = queue.claim(&busy, 1).await.unwrap().jobs;
        assert_eq!(ordinary.len(), 1);
        queue
            .settle(&lease, Settlement::release("back"))
            .await
            .unwrap();
        ordinary
    };
    let meets = queue.claim(&busy, 2).await.unwrap();
    assert!(
        meets.draining && meets.jobs.is_empty(),
        "the busy worker reserves it and gets nothing"
    );
    // another busy worker goes on with ordinary work meanwhile
    let n = queue.claim(&worker("third"), 1).await.unwrap().jobs;
    assert_eq!(
        n[0].id, "poor",
        "a worker without leases takes even a reserved job"
    );
    queue
        .settle(
            &LeaseRef {
                id: n[0].id.clone(),
                token: n[0].token,
            },
            Settlement::release("back again"),
        )
        .await
        .unwrap();
    queue.claim(&busy, 2).await.unwrap();
    let lease = LeaseRef {
        id: reserved[0].id.clone(),
        token: reserved[0].token,
    };
    queue.settle(&lease, Settlement::ack()).await.unwrap();
    let then = queue.claim(&busy, 2).await.unwrap().jobs;
    assert_eq!(
        (then.len(), then[0].id.as_str()),
        (1, "poor"),
        "then it gets that job, isolated"
    );
}

#[tokio::test]
async fn an_isolated_death_splits_and_a_unit_needs_two() {
    let server = RedisServer::start();
    let queue = short(&server);
    queue
        .enqueue(&[NewJob::new("two").weight(2).group("g").field("from", "1")])
        .await
        .unwrap();
    let _ = claimed(&queue, &worker("w1"), 1).await; // first death: shared, as far as anybody knows
    let isolated = claimed(&queue, &worker("w2"), 1).await; // second: isolated
    assert_eq!(isolated[0].deaths, 1);
    let splitting = collected(&queue, State::Splitting).await;
    assert_eq!(
        (
            splitting[0].id.as_str(),
            splitting[0].isolated_deaths,
            splitting[0].poison
        ),
        ("two", 1, false)
    );
    assert_eq!(
        queue.plan("g").await.unwrap().jobs.len(),
        1,
        "a splitting job is outstanding"
    );

    let version = queue.plan("g").await.unwrap().version;
    let halves = [
        NewJob::new("left").weight(1),
        NewJob::new("right").weight(1),
    ];
    assert_eq!(
        queue.split("two", &halves).await.unwrap(),
        SplitOutcome::Split(2)
    );
    assert_eq!(
        queue.split("two", &halves).await.unwrap(),
        SplitOutcome::NotSplitting
    );
    let plan = queue.plan("g").await.unwrap();
    assert!(plan.version > version, "a split changes the plan's version");
    assert_eq!(
        plan.jobs
            .iter()
            .map(|job| job.id.as_str())
            .collect::<Vec<_>>(),
        ["left", "right"]
    );

    // left kills twice, isolated each time; right is innocent
    for death in 0..2 {
        let jobs = claimed(&queue, &worker(&format!("l{death}")), 3).await;
        assert_eq!(
            (jobs.len(), jobs[0].id.as_str(), jobs[0].attempts),
            (1, "left", death + 1)
        );
        let innocent = queue.claim(&worker("innocent"), 3).await.unwrap().jobs;
        if death == 0 {
            assert_eq!(innocent[0].id, "right");
            queue
                .settle(
                    &LeaseRef {
                        id: "right".into(),
                        token: innocent[0].token,
                    },
                    Settlement::ack(),
                )
                .await
                .unwrap();
        }
    }
    let poison = collected(&queue, State::Splitting).await;
    assert!(poison[0].poison && poison[0].isolated_deaths == 2);
    assert!(
        queue
            .resolve("left", &vec![("fate".to_owned(), "poison".to_owned())])
            .await
            .unwrap()
    );
    assert!(queue.plan("g").await.unwrap().jobs.is_empty());
    assert_eq!(queue.stats().await.unwrap().outstanding(0), 0);
}

#[tokio::test]
async fn a_job_nobody_can_split_is_buried_with_its_history() {
    let server = RedisServer::start();
    let queue = short(&server);
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    for n in 0..3 {
        claimed(&queue, &worker(&format!("w{n}")), 1).await;
    }
    let dead = collected(&queue, State::Dead).await;
    assert_eq!(
        (
            dead[0].deaths,
            dead[0].isolated_deaths,
            dead[0].attempts,
            dead[0].poison
        ),
        (3, 2, 3, true)
    );
    assert_eq!(dead[0].history.len(), 3);
    assert!(
        dead[0].history[2].contains("isolated"),
        "{:?}",
        dead[0].history
    );
}

#[tokio::test]
async fn attempts_are_counted_at_claim_so_a_crash_loop_ends() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(120);
        options.renew_every = Duration::from_millis(40);
        options.max_attempts = 2;
    });
    queue.enqueue(&[NewJob::new("j").weight(1)]).await.unwrap();
    claimed(&queue, &worker("a"), 1).await;
    claimed(&queue, &worker("b"), 1).await;
    let dead = collected(&queue, State::Dead).await;
    assert_eq!((dead[0].attempts, dead[0].deaths), (2, 2));
}

/// The arithmetic that is promised: one unit out of 4096 kills its worker; fifteen deaths later everything else is
/// done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_poisoned_unit_of_4096_costs_fifteen_deaths_and_nothing_else() {
    const POISON: u64 = 2717;
    let server = RedisServer::start_with(&["--appendonly", "no"]);
    let queue = short(&server);
    let range = |from: u64, to: u64| {
        NewJob::new(format!("{from:05}-{to:05}"))
            .weight(to - from)
            .field("from", from.to_string())
            .field("to", to.to_string())
    };
    queue.enqueue(&[range(0, 4096)]).await.unwrap();
    let (mut deaths, mut done, mut poison, mut names) = (0, 0, Vec::new(), 0);
    while done + poison.len() as u64 != 4096 {
        names += 1;
        let me = worker(&format!("w{names}"));
        queue.collect().await.unwrap();
        for job in queue.list(State::Splitting, 0, 100).await.unwrap().jobs {
            let (from, to): (u64, u64) = (
                job.get("from").unwrap().parse().unwrap(),
                job.get("to").unwrap().parse().unwrap(),
            );
            if job.poison {
                assert_eq!(to - from, 1);
                poison.push(from);
                queue.resolve(&job.id, &Vec::new()).await.unwrap();
            } else {
                let middle = u64::midpoint(from, to);
                queue
                    .split(&job.id, &[range(from, middle), range(middle, to)])
                    .await
                    .unwrap();
            }
        }
        for job in queue.claim(&me, 3).await.unwrap().jobs {
            let (from, to): (u64, u64) = (
                job.get("from").unwrap().parse().unwrap(),
                job.get("to").unwrap().parse().unwrap(),
            );
            if (from..to).contains(&POISON) {
                deaths += 1; // this worker is never heard of again
            } else {
                assert_eq!(
                    queue
                        .settle(
                            &LeaseRef {
                                id: job.id,
                                token: job.token
                            },
                            Settlement::ack()
                        )
                        .await
                        .unwrap(),
                    Outcome::Settled(State::Done)
                );
                done += to - from;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(deaths <= 15, "{deaths} deaths");
    }
    assert_eq!((deaths, done, poison), (15, 4095, vec![POISON]));
}
