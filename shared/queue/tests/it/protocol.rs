//! Each operation, step by step.

use std::{collections::BTreeMap, time::Duration};

use redis::AsyncCommands;
use weldfleet_queue::{
    Ending, Job, LeaseRef, NewJob, Outcome, Queue, QueueError, Renewal, Settlement, State,
};

use crate::{
    dump::assert_sound,
    server::{RedisServer, eventually, worker},
};

pub fn lease(job: &Job) -> LeaseRef {
    LeaseRef {
        id: job.id.clone(),
        token: job.token,
    }
}

fn acks(jobs: &[Job]) -> Vec<Ending> {
    let fields = vec![("rows_ok".to_owned(), "7".to_owned())];
    jobs.iter()
        .map(|job| Ending {
            lease: lease(job),
            settlement: Settlement::Ack {
                fields: fields.clone(),
            },
        })
        .collect()
}

/// `scheduler jobs repair`: names the jobs that are damaged, repairs them, and then none is.
async fn repair(queue: &Queue, damaged: usize) {
    let seen = queue.repair(false).await.unwrap();
    assert_eq!(seen.jobs.len(), damaged, "{seen:?}");
    let repaired = queue.repair(true).await.unwrap();
    assert_eq!(repaired.jobs, seen.jobs);
    let sound = queue.repair(false).await.unwrap();
    assert!(sound.jobs.is_empty(), "{sound:?}");
    assert_eq!(sound.miscounted, Some(BTreeMap::new()));
    assert_sound(queue).await;
}

async fn claim_one(queue: &Queue, name: &str) -> Job {
    let mut claim = queue.claim(&worker(name), 1).await.unwrap();
    assert_eq!(claim.jobs.len(), 1, "nothing to claim for {name}");
    claim.jobs.remove(0)
}

#[tokio::test]
async fn a_job_lives_from_enqueue_to_ack_with_its_fields() {
    let server = RedisServer::start();
    let queue = server.queue();
    let job = NewJob::new("j1")
        .group("day")
        .priority(1)
        .weight(7)
        .field("from", "a 1")
        .field("to", "b 2");
    let enqueued = queue.enqueue(&[job]).await.unwrap();
    assert_eq!((enqueued.added, enqueued.deduplicated), (1, 0));

    let job = claim_one(&queue, "w").await;
    assert_eq!(
        (job.state, job.attempts, job.weight, job.priority),
        (State::Leased, 1, 7, 1)
    );
    assert_eq!(job.get("from"), Some("a 1"));
    assert_eq!(queue.get("j1").await.unwrap().unwrap().worker, "w");

    let answer = queue.renew(&worker("w"), &[lease(&job)]).await.unwrap();
    assert_eq!(answer.renewals, [Renewal::Renewed]);

    let results = vec![("rows_ok".to_owned(), "7".to_owned())];
    let acked = Settlement::Ack { fields: results };
    let ack = || async { queue.settle(&lease(&job), acked.clone()).await.unwrap() };
    assert_eq!(ack().await, Outcome::Settled(State::Done));
    let done = queue.get("j1").await.unwrap().unwrap();
    assert_eq!((done.state, done.get("rows_ok")), (State::Done, Some("7")));
    let stats = queue.stats().await.unwrap();
    assert_eq!(
        (
            stats.count(State::Done),
            stats.count(State::Leased),
            stats.outstanding(1)
        ),
        (1, 0, 0)
    );
    // the answer to the first ack was lost: the same answer
    assert_eq!(ack().await, Outcome::Settled(State::Done));
    assert_eq!(
        queue
            .settle(&lease(&job), Settlement::release(""))
            .await
            .unwrap(),
        Outcome::Settled(State::Done)
    );
}

#[tokio::test]
async fn a_stale_token_changes_nothing() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(300);
        options.renew_every = Duration::from_millis(100);
    });
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let zombie = claim_one(&queue, "zombie").await;
    let heir = eventually("the lease to run out", || async {
        queue.claim(&worker("heir"), 1).await.unwrap().jobs.pop()
    })
    .await;
    assert!(heir.token > zombie.token);
    assert_eq!((heir.attempts, heir.deaths), (2, 1));

    let before = queue.get("j").await.unwrap();
    let stale = lease(&zombie);
    assert_eq!(
        queue
            .renew(&worker("zombie"), std::slice::from_ref(&stale))
            .await
            .unwrap()
            .renewals,
        [Renewal::Lost]
    );
    assert_eq!(
        queue.settle(&stale, Settlement::ack()).await.unwrap(),
        Outcome::Lost
    );
    assert_eq!(
        queue
            .settle(
                &stale,
                Settlement::Retry {
                    error: "no".to_owned(),
                    delay: Some(Duration::ZERO)
                }
            )
            .await
            .unwrap(),
        Outcome::Lost
    );
    assert_eq!(
        queue.settle(&stale, Settlement::bury("no")).await.unwrap(),
        Outcome::Lost
    );
    assert_eq!(
        queue
            .settle(&stale, Settlement::release("no"))
            .await
            .unwrap(),
        Outcome::Lost
    );
    assert_eq!(
        queue.settle(&stale, Settlement::split("no")).await.unwrap(),
        Outcome::Lost
    );
    assert_eq!(queue.get("j").await.unwrap(), before);
    assert_eq!(
        queue
            .settle(&lease(&heir), Settlement::ack())
            .await
            .unwrap(),
        Outcome::Settled(State::Done)
    );
    assert_eq!(
        queue.settle(&stale, Settlement::ack()).await.unwrap(),
        Outcome::Lost
    );
}

#[tokio::test]
async fn jobs_removed_or_replaced_by_hand_are_lost_to_their_worker_and_leave_nothing() {
    let server = RedisServer::start();
    let queue = server.queue();
    let jobs = ["gone", "replaced", "whole"].map(|id| NewJob::new(id).group("day"));
    queue.enqueue(&jobs).await.unwrap();
    let claim = queue.claim(&worker("w"), 3).await.unwrap();
    let mut redis = server.cli().await;
    let key = |id| queue.keys().job(id);
    let () = redis.del(key("gone")).await.unwrap();
    let () = redis.set(key("replaced"), "by hand").await.unwrap();

    let turn = queue
        .turn(&worker("w"), &acks(&claim.jobs), 0)
        .await
        .unwrap();
    assert_eq!(
        turn.outcomes,
        [Outcome::Lost, Outcome::Lost, Outcome::Settled(State::Done)]
    );
    let left: bool = redis.exists(key("gone")).await.unwrap();
    assert!(!left, "an ack must not bring back a job without its fields");
    let replaced: String = redis.get(key("replaced")).await.unwrap();
    assert_eq!(replaced, "by hand");
    repair(&queue, 2).await;
    let mut listed = async |state| -> Vec<String> {
        let key = queue.keys().state(state);
        redis.zrange(key, 0, -1).await.unwrap()
    };
    assert_eq!(listed(State::Done).await, ["whole"]);
    assert!(listed(State::Leased).await.is_empty());
    let held: bool = redis.exists(queue.keys().worker_leases("w")).await.unwrap();
    assert!(!held, "the worker holds nothing any more");
    assert_eq!(queue.stats().await.unwrap().outstanding(0), 0);
}

#[tokio::test]
async fn a_job_replaced_by_hand_does_not_stop_the_other_endings_of_a_call() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue
        .enqueue(&["replaced", "whole"].map(NewJob::new))
        .await
        .unwrap();
    let claim = queue.claim(&worker("w"), 2).await.unwrap();
    let mut redis = server.cli().await;
    let () = redis
        .set(queue.keys().job("replaced"), "by hand")
        .await
        .unwrap();
    let retries: Vec<Ending> = claim
        .jobs
        .iter()
        .map(|job| Ending {
            lease: lease(job),
            settlement: Settlement::Retry {
                error: "busy".to_owned(),
                delay: Some(Duration::ZERO),
            },
        })
        .collect();
    let turn = queue.turn(&worker("w"), &retries, 0).await.unwrap();
    let wanted = [Outcome::Lost, Outcome::Settled(State::Pending)];
    assert_eq!(turn.outcomes, wanted);
    // Asked by nobody in particular, it is looked up who holds the job.
    let of_nobody = queue
        .settle(&lease(&claim.jobs[0]), Settlement::ack())
        .await;
    assert_eq!(of_nobody.unwrap(), Outcome::Lost);
    let replaced: String = redis.get(queue.keys().job("replaced")).await.unwrap();
    assert_eq!(replaced, "by hand");
}

#[tokio::test]
async fn leases_removed_or_replaced_by_hand_do_not_stop_the_collection_of_others() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(600);
        options.renew_every = Duration::from_millis(100);
    });
    let jobs = ["gone", "replaced", "whole"].map(|id| NewJob::new(id).group("day"));
    queue.enqueue(&jobs).await.unwrap();
    queue
        .register(&worker("w"), &BTreeMap::new())
        .await
        .unwrap();
    queue.claim(&worker("w"), 3).await.unwrap();
    let mut redis = server.cli().await;
    let () = redis.del(queue.keys().job("gone")).await.unwrap();
    let replaced = queue.keys().job("replaced");
    let () = redis.set(replaced, "by hand").await.unwrap();
    eventually("the whole one is collected", || async {
        queue.collect().await.unwrap();
        let job = queue.get("whole").await.unwrap().unwrap();
        Some(()).filter(|()| job.state == State::Pending)
    })
    .await;
    repair(&queue, 2).await;
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.count(State::Leased), stats.outstanding(0)), (0, 1));
    let held: bool = redis.exists(queue.keys().worker_leases("w")).await.unwrap();
    assert!(!held, "the dead worker holds nothing any more");
}

#[tokio::test]
async fn a_job_made_anew_after_it_was_removed_by_hand_is_not_ended_by_its_old_worker() {
    let server = RedisServer::start();
    let queue = server.queue();
    let (old, new) = (worker("old"), worker("new"));
    queue.register(&old, &BTreeMap::new()).await.unwrap();
    let mut redis = server.cli().await;
    for (id, group, group_anew) in [
        ("j", "day", "day"),
        ("k", "", ""),
        ("l", "day", "night"),
        ("m", "day", ""),
    ] {
        let job = |group| NewJob::new(id).group(group);
        queue.enqueue(&[job(group)]).await.unwrap();
        let first = queue.claim(&old, 1).await.unwrap().jobs;
        let () = redis.del(queue.keys().job(id)).await.unwrap();
        let anew = queue.enqueue(&[job(group_anew)]).await.unwrap();
        assert_eq!(anew.added, 1);

        let turn = queue.turn(&old, &acks(&first), 0).await.unwrap();
        assert_eq!(turn.outcomes, [Outcome::Lost], "{id}");
        let second = queue.claim(&new, 1).await.unwrap().jobs;
        assert_eq!(second.len(), 1, "{id} is there to be claimed");
        let turn = queue.turn(&old, &acks(&first), 0).await.unwrap();
        assert_eq!(turn.outcomes, [Outcome::Lost], "{id}");
        let turn = queue.turn(&new, &acks(&second), 0).await.unwrap();
        assert_eq!(turn.outcomes, [Outcome::Settled(State::Done)], "{id}");
        queue.repair(true).await.unwrap();
        let stats = queue.stats().await.unwrap();
        assert_eq!(stats.outstanding(0), 0, "{id}");
        assert!(queue.groups().await.unwrap().is_empty(), "{id}");
    }
}

#[tokio::test]
async fn a_job_made_anew_after_it_was_removed_by_hand_is_in_one_state_and_counted_once() {
    let server = RedisServer::start();
    let queue = server.queue();
    let mut redis = server.cli().await;
    let job = NewJob::new("j").group("day");
    for state in [
        State::Pending,
        State::Delayed,
        State::Splitting,
        State::Dead,
        State::Done,
    ] {
        let mut first = job.clone();
        if state == State::Delayed {
            first.delay = Duration::from_secs(60);
        }
        queue.enqueue(&[first]).await.unwrap();
        if !matches!(state, State::Pending | State::Delayed) {
            let lease = lease(&claim_one(&queue, "w").await);
            let ended = match state {
                State::Splitting => queue.settle(&lease, Settlement::split("test")).await,
                State::Dead => queue.settle(&lease, Settlement::bury("test")).await,
                _ => queue.settle(&lease, Settlement::ack()).await,
            };
            assert_eq!(ended.unwrap(), Outcome::Settled(state));
        }
        let () = redis.del(queue.keys().job("j")).await.unwrap();

        assert_eq!(
            queue
                .enqueue(std::slice::from_ref(&job))
                .await
                .unwrap()
                .added,
            1
        );
        queue.repair(true).await.unwrap();
        assert_sound(&queue).await;
        let stats = queue.stats().await.unwrap();
        assert_eq!(stats.outstanding(0), 1, "it was {state}");
        assert_eq!(stats.count(State::Pending), 1, "it was {state}");
        if state != State::Pending {
            assert_eq!(stats.count(state), 0, "it was {state}");
        }
        let lease = lease(&claim_one(&queue, "w").await);
        queue.settle(&lease, Settlement::ack()).await.unwrap();
        let stats = queue.stats().await.unwrap();
        assert_eq!(
            (stats.outstanding(0), stats.count(State::Done)),
            (0, 1),
            "it was {state}"
        );
    }
}

#[tokio::test]
async fn a_lease_given_back_whose_job_was_removed_by_hand_leaves_nothing() {
    let server = RedisServer::start();
    let queue = server.queue();
    let jobs = ["gone", "whole"].map(|id| NewJob::new(id).group(id));
    queue.enqueue(&jobs).await.unwrap();
    queue.claim(&worker("w"), 2).await.unwrap();
    let () = server
        .cli()
        .await
        .del(queue.keys().job("gone"))
        .await
        .unwrap();
    assert_eq!(queue.give_back(&worker("w"), &[]).await.unwrap(), 1);
    repair(&queue, 1).await;
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.count(State::Leased), stats.outstanding(0)), (0, 1));
    let groups = queue.groups().await.unwrap();
    let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["whole"]);
}

#[tokio::test]
async fn a_long_reason_is_cut() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let job = claim_one(&queue, "w").await;
    queue
        .settle(&lease(&job), Settlement::bury("é".repeat(5000)))
        .await
        .unwrap();
    let job = queue.get("j").await.unwrap().unwrap();
    assert_eq!(job.error, "é".repeat(2048));
}

#[tokio::test]
async fn a_retry_is_due_for_the_worker_that_asked_for_it() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let job = claim_one(&queue, "w").await;
    let ending = Ending {
        lease: lease(&job),
        settlement: Settlement::Retry {
            error: "busy".to_owned(),
            delay: Some(Duration::from_millis(300)),
        },
    };
    let turn = queue.turn(&worker("w"), &[ending], 1).await.unwrap();
    let next = turn.claim.next_due;
    assert!(next <= Duration::from_millis(300), "{next:?}");
}

#[tokio::test]
async fn results_are_checked_before_anything_is_sent() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let job = claim_one(&queue, "w").await;
    let field = |name: &str| (name.to_owned(), "1".to_owned());
    let many = (0..65).map(|number| field(&format!("f{number}"))).collect();
    for (fields, part) in [
        (vec![field("token")], "field of the protocol"),
        (vec![field("ok"), field("ok")], "given twice"),
        (many, "at most 64"),
    ] {
        let error = queue
            .settle(&lease(&job), Settlement::Ack { fields })
            .await
            .unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let job = queue.get("j").await.unwrap().unwrap();
    assert_eq!(job.state, State::Leased);
}

/// A hash with a long text keeps no order, and these texts have what may part texts elsewhere.
#[tokio::test]
async fn jobs_with_any_text_are_handed_over_whole() {
    let server = RedisServer::start();
    let queue = server.queue();
    let texts = [
        "x".repeat(5_000),
        "a\x1eb".to_owned(),
        "\x1fstate\x1fdone".to_owned(),
        format!("{}\x1f", "y".repeat(100)),
        "两\0\n\t'\"\\".to_owned(),
        String::new(),
    ];
    let jobs: Vec<_> = (1..)
        .zip(&texts)
        .map(|(n, text)| {
            let many = (0..20).map(|n| (format!("{n}{text}"), text.clone()));
            let mut job = NewJob::new(format!("j{n}"))
                .group("day")
                .priority(3)
                .weight(n);
            job.fields = many.collect();
            job
        })
        .collect();
    queue.enqueue(&jobs).await.unwrap();
    let first = queue.claim(&worker("w"), 6).await.unwrap().jobs;
    let again = Settlement::Retry {
        error: "no\x1e good\x1f".to_owned(),
        delay: Some(Duration::ZERO),
    };
    let retries: Vec<_> = first
        .iter()
        .map(|job| Ending {
            lease: lease(job),
            settlement: again.clone(),
        })
        .collect();
    let mut second = queue
        .turn(&worker("w"), &retries, 6)
        .await
        .unwrap()
        .claim
        .jobs;
    second.sort_by(|a, b| a.id.cmp(&b.id));
    for (job, claimed) in jobs.iter().zip(&second) {
        let mut fields = claimed.fields.clone();
        let mut expected = job.fields.clone();
        fields.sort();
        expected.sort();
        assert_eq!(fields, expected, "{}", job.id);
        assert_eq!(
            (
                &claimed.group,
                claimed.priority,
                claimed.weight,
                claimed.attempts
            ),
            (&job.group, 3, job.weight, 2)
        );
        assert_eq!(claimed.error, "no\x1e good\x1f");
    }
    assert_eq!(second.len(), 6);
    let outcomes = queue
        .turn(&worker("w"), &acks(&second), 0)
        .await
        .unwrap()
        .outcomes;
    assert_eq!(outcomes, [Outcome::Settled(State::Done); 6]);
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.count(State::Done), stats.outstanding(3)), (6, 0));
    assert_eq!(queue.groups().await.unwrap(), []);
}

/// What ended the leases before must not be mistaken for what ended the last one.
#[tokio::test]
async fn a_repeated_ending_is_answered_by_what_ended_the_lease() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(300);
        options.renew_every = Duration::from_millis(100);
        options.max_attempts = 1;
    });
    let done = Outcome::Settled(State::Done);

    queue.enqueue(&[NewJob::new("released")]).await.unwrap();
    let released = lease(&claim_one(&queue, "w").await);
    let pending = Outcome::Settled(State::Pending);
    assert_eq!(
        queue
            .settle(&released, Settlement::release(""))
            .await
            .unwrap(),
        pending
    );
    assert_eq!(
        queue
            .settle(&released, Settlement::release(""))
            .await
            .unwrap(),
        pending
    );
    let acked = lease(&claim_one(&queue, "w").await);
    for _ in 0..2 {
        assert_eq!(queue.settle(&acked, Settlement::ack()).await.unwrap(), done);
        assert_eq!(
            queue
                .settle(&released, Settlement::release(""))
                .await
                .unwrap(),
            Outcome::Lost
        );
    }

    queue.enqueue(&[NewJob::new("ran out")]).await.unwrap();
    let ran_out = lease(&claim_one(&queue, "w").await);
    eventually("its lease to run out", || async {
        queue.collect().await.unwrap();
        let job = queue.get("ran out").await.unwrap().unwrap();
        (job.state == State::Dead).then_some(())
    })
    .await;
    assert_eq!(
        queue.settle(&ran_out, Settlement::ack()).await.unwrap(),
        Outcome::Lost
    );
    assert!(queue.requeue("ran out").await.unwrap());
    assert_eq!(
        queue.settle(&ran_out, Settlement::ack()).await.unwrap(),
        Outcome::Lost
    );
    let second = lease(&claim_one(&queue, "w").await);
    for _ in 0..2 {
        assert_eq!(
            queue.settle(&second, Settlement::ack()).await.unwrap(),
            done
        );
        assert_eq!(
            queue.settle(&ran_out, Settlement::ack()).await.unwrap(),
            Outcome::Lost
        );
    }

    queue.enqueue(&[NewJob::new("resolved")]).await.unwrap();
    let resolved = lease(&claim_one(&queue, "w").await);
    eventually("its lease to run out", || async {
        queue.collect().await.unwrap();
        queue
            .resolve("resolved", &Vec::new())
            .await
            .unwrap()
            .then_some(())
    })
    .await;
    assert_eq!(
        queue.settle(&resolved, Settlement::ack()).await.unwrap(),
        Outcome::Lost
    );
}

#[tokio::test]
async fn an_ending_asked_for_again_after_a_requeue_took_effect() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let buried = lease(&claim_one(&queue, "w").await);
    queue.settle(&buried, Settlement::bury("no")).await.unwrap();
    assert!(queue.requeue("j").await.unwrap());
    let again = queue.settle(&buried, Settlement::bury("no")).await.unwrap();
    assert_eq!(again, Outcome::Settled(State::Pending));
    let acked = lease(&claim_one(&queue, "w").await);
    for _ in 0..2 {
        let outcome = queue.settle(&acked, Settlement::ack()).await.unwrap();
        assert_eq!(outcome, Outcome::Settled(State::Done));
    }
}

/// Whoever meets a job that is none any more goes on with the others.
#[tokio::test]
async fn jobs_replaced_by_hand_stop_nobody() {
    let server = RedisServer::start();
    let queue = server.queue();
    let mut redis = server.cli().await;
    let jobs = ["a", "b", "c"].map(NewJob::new);
    queue.enqueue(&jobs).await.unwrap();
    let claimed = queue.claim(&worker("w"), 3).await.unwrap().jobs;
    let retried = queue
        .settle(
            &lease(&claimed[0]),
            Settlement::Retry {
                error: "flaky".to_owned(),
                delay: Some(Duration::from_millis(20)),
            },
        )
        .await
        .unwrap();
    assert_eq!(retried, Outcome::Settled(State::Delayed));
    for id in ["a", "b"] {
        let _: () = redis.set(queue.keys().job(id), "by hand").await.unwrap();
    }

    let held: Vec<_> = claimed[1..].iter().map(lease).collect();
    let answer = queue.renew(&worker("w"), &held).await.unwrap();
    assert_eq!(answer.renewals, [Renewal::Lost, Renewal::Renewed]);
    eventually("the delayed job to be met", || async {
        assert_eq!(queue.claim(&worker("v"), 3).await.unwrap().jobs, []);
        (queue.stats().await.unwrap().count(State::Delayed) == 0).then_some(())
    })
    .await;
    assert!(queue.cancel("b").await.unwrap(), "a person gets rid of it");
    assert!(!queue.cancel("b").await.unwrap());
    assert_eq!(queue.give_back(&worker("w"), &[]).await.unwrap(), 1);
    let enqueued = queue.enqueue(&jobs).await.unwrap();
    assert_eq!((enqueued.added, enqueued.deduplicated), (2, 1));
    assert_eq!(queue.claim(&worker("v"), 3).await.unwrap().jobs.len(), 3);
}

#[tokio::test]
async fn the_list_of_workers_says_what_each_holds() {
    let server = RedisServer::start();
    let queue = server.queue();
    let name = worker("w");
    queue.register(&name, &BTreeMap::new()).await.unwrap();
    let jobs = ["a", "b"].map(|id| NewJob::new(id).group("day"));
    queue.enqueue(&jobs).await.unwrap();
    queue.claim(&name, 2).await.unwrap();
    let workers = queue.workers().await.unwrap();
    assert_eq!(
        (workers[0].leases, &*workers[0].jobs),
        (2, &["a".to_owned(), "b".to_owned()][..])
    );
}

#[tokio::test]
async fn a_dead_job_that_runs_again_is_done_without_its_old_error() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let job = claim_one(&queue, "w").await;
    queue
        .settle(&lease(&job), Settlement::bury("no disk"))
        .await
        .unwrap();
    assert!(queue.requeue("j").await.unwrap());
    let job = claim_one(&queue, "w").await;
    assert_eq!((job.attempts, job.history.len()), (1, 1), "{job:?}");
    queue.settle(&lease(&job), Settlement::ack()).await.unwrap();
    let done = queue.get("j").await.unwrap().unwrap();
    assert_eq!((done.state, done.error.as_str()), (State::Done, ""));
    assert!(done.history[0].contains("no disk"), "{done:?}");
}

#[tokio::test]
async fn a_retry_without_a_delay_waits_longer_each_time() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.retry.base = Duration::from_millis(50);
        options.retry.factor = 100.0;
        options.retry.jitter = 0.0;
    });
    let mut redis = server.cli().await;
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    for wanted in [50, 5000] {
        let job = eventually("the delay to pass", || async {
            queue.claim(&worker("w"), 1).await.unwrap().jobs.pop()
        })
        .await;
        let (seconds, micros): (u64, u64) =
            redis::cmd("TIME").query_async(&mut redis).await.unwrap();
        let before = 1000 * seconds + micros / 1000;
        queue
            .settle(&lease(&job), Settlement::retry("flaky"))
            .await
            .unwrap();
        let delayed = queue.get("j").await.unwrap().unwrap();
        let waits = delayed.not_before - before;
        assert!((wanted..wanted + 2000).contains(&waits), "{waits}");
    }
}

#[tokio::test]
async fn retry_waits_and_ends_in_dead_when_attempts_are_used_up() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| options.max_attempts = 2);
    queue
        .enqueue(&[NewJob::new("j").priority(3)])
        .await
        .unwrap();
    let first = claim_one(&queue, "w").await;
    assert_eq!(
        queue
            .settle(
                &lease(&first),
                Settlement::Retry {
                    error: "flaky".to_owned(),
                    delay: Some(Duration::from_millis(150))
                }
            )
            .await
            .unwrap(),
        Outcome::Settled(State::Delayed)
    );
    assert!(queue.claim(&worker("w"), 1).await.unwrap().jobs.is_empty());
    let second = eventually("the delay to pass", || async {
        queue.claim(&worker("w"), 1).await.unwrap().jobs.pop()
    })
    .await;
    assert_eq!(second.attempts, 2);
    assert_eq!(
        queue
            .settle(
                &lease(&second),
                Settlement::Retry {
                    error: "flaky again".to_owned(),
                    delay: None
                }
            )
            .await
            .unwrap(),
        Outcome::Settled(State::Dead)
    );
    let dead = queue.get("j").await.unwrap().unwrap();
    assert_eq!(dead.history.len(), 2, "{:?}", dead.history);
    assert!(dead.history[1].contains("flaky again"));
    assert_eq!(queue.stats().await.unwrap().outstanding(3), 0);

    assert!(queue.requeue("j").await.unwrap());
    assert!(!queue.requeue("j").await.unwrap());
    assert_eq!(queue.stats().await.unwrap().outstanding(3), 1);
    let third = claim_one(&queue, "w").await;
    assert_eq!((third.attempts, third.history.len()), (1, 2));
    assert_eq!(
        queue
            .settle(&lease(&third), Settlement::bury("hopeless"))
            .await
            .unwrap(),
        Outcome::Settled(State::Dead)
    );
    assert!(queue.drop_job("j").await.unwrap());
    assert_eq!(queue.get("j").await.unwrap(), None);
}

#[tokio::test]
async fn release_spends_no_attempt_and_keeps_the_age() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue
        .enqueue(&[NewJob::new("a"), NewJob::new("b")])
        .await
        .unwrap();
    let a = claim_one(&queue, "w").await;
    assert_eq!(a.id, "a");
    assert_eq!(
        queue
            .settle(&lease(&a), Settlement::release("not now"))
            .await
            .unwrap(),
        Outcome::Settled(State::Pending)
    );
    let again = claim_one(&queue, "w").await;
    assert_eq!((again.id.as_str(), again.attempts), ("a", 1));
}

#[tokio::test]
async fn jobs_are_claimed_by_priority_then_age_then_id() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue
        .enqueue(&[NewJob::new("z2").priority(1), NewJob::new("z1").priority(1)])
        .await
        .unwrap();
    queue
        .enqueue(&[
            NewJob::new("live").priority(0),
            NewJob::new("back").priority(99),
        ])
        .await
        .unwrap();
    let claim = queue.claim(&worker("w"), 10).await.unwrap();
    let ids: Vec<_> = claim.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["live", "z1", "z2", "back"]);
    assert!(
        claim
            .jobs
            .windows(2)
            .all(|pair| pair[0].token < pair[1].token),
        "tokens grow within one claim"
    );
}

#[tokio::test]
async fn a_job_is_deduplicated_only_while_outstanding() {
    let server = RedisServer::start();
    let queue = server.queue();
    let job = NewJob::new("j").field("n", "1");
    queue.enqueue(std::slice::from_ref(&job)).await.unwrap();
    assert_eq!(
        queue
            .enqueue(std::slice::from_ref(&job))
            .await
            .unwrap()
            .deduplicated,
        1
    );
    let claimed = claim_one(&queue, "w").await;
    assert_eq!(
        queue
            .enqueue(std::slice::from_ref(&job))
            .await
            .unwrap()
            .deduplicated,
        1
    );
    queue
        .settle(&lease(&claimed), Settlement::ack())
        .await
        .unwrap();
    assert_eq!(queue.enqueue(&[job]).await.unwrap().added, 1);
    assert_eq!(queue.stats().await.unwrap().count(State::Done), 0);
    assert_eq!(claim_one(&queue, "w").await.attempts, 1);
}

#[tokio::test]
async fn pause_stops_claiming_and_says_why() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    assert!(queue.pause("units look wrong", "breaker").await.unwrap());
    assert!(!queue.pause("another reason", "operator").await.unwrap());
    let claim = queue.claim(&worker("w"), 1).await.unwrap();
    assert!(claim.jobs.is_empty());
    let pause = claim.paused.unwrap();
    assert_eq!(
        (pause.reason.as_str(), pause.by.as_str()),
        ("units look wrong", "breaker")
    );
    assert_eq!(queue.paused().await.unwrap(), Some(pause));
    assert!(queue.resume().await.unwrap());
    assert!(!queue.resume().await.unwrap());
    assert_eq!(claim_one(&queue, "w").await.id, "j");
}

#[tokio::test]
async fn a_pause_is_replaced_and_ended_only_where_it_is_the_one_that_is_meant() {
    let server = RedisServer::start();
    let queue = server.queue();
    let instead_of = async |other, by| queue.pause_instead_of(other, "why", by).await.unwrap();
    assert!(!queue.resume_of("settler").await.unwrap());
    assert!(queue.pause("days are settled", "settler").await.unwrap());
    assert!(!instead_of("breaker", "ana").await);
    assert!(instead_of("settler", "ana").await);
    assert!(!instead_of("settler", "ben").await);
    assert!(!queue.resume_of("settler").await.unwrap());
    let pause = queue.paused().await.unwrap().unwrap();
    assert_eq!((pause.reason.as_str(), pause.by.as_str()), ("why", "ana"));
    assert!(queue.resume_of("ana").await.unwrap());
    assert_eq!(queue.paused().await.unwrap(), None);
}

#[tokio::test]
async fn cancel_takes_a_job_from_its_worker() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue.enqueue(&[NewJob::new("j").group("g")]).await.unwrap();
    let job = claim_one(&queue, "w").await;
    assert!(
        !queue.drop_job("j").await.unwrap(),
        "drop leaves a leased job alone"
    );
    assert!(queue.cancel("j").await.unwrap());
    assert_eq!(
        queue
            .renew(&worker("w"), &[lease(&job)])
            .await
            .unwrap()
            .renewals,
        [Renewal::Lost]
    );
    assert_eq!(
        queue.settle(&lease(&job), Settlement::ack()).await.unwrap(),
        Outcome::Lost
    );
    assert!(queue.groups().await.unwrap().is_empty());
}

#[tokio::test]
async fn finished_jobs_are_kept_by_count_and_age() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| options.retain_done = 10);
    for round in 0..20 {
        let jobs: Vec<_> = (0..30)
            .map(|n| NewJob::new(format!("{round:02}-{n:02}")))
            .collect();
        queue.enqueue(&jobs).await.unwrap();
        for job in queue.claim(&worker("w"), 30).await.unwrap().jobs {
            queue.settle(&lease(&job), Settlement::ack()).await.unwrap();
        }
    }
    let done = queue.stats().await.unwrap().count(State::Done);
    assert!(
        (10..=150).contains(&done),
        "{done} kept before the collect, each hundredth ack trims"
    );
    queue.collect().await.unwrap();
    let page = queue.list(State::Done, 0, 100).await.unwrap();
    assert_eq!(page.jobs.len(), 10);
    assert!(
        page.jobs.iter().all(|job| job.id.starts_with("19-")),
        "the latest stay"
    );

    let aged = server.queue_with(|options| options.retain_done_for = Duration::from_millis(1));
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(aged.collect().await.unwrap().trimmed, 10);
    assert_eq!(
        queue.get("14-39").await.unwrap(),
        None,
        "the hash is gone too"
    );
}

#[tokio::test]
async fn lists_have_pages() {
    let server = RedisServer::start();
    let queue = server.queue();
    let jobs: Vec<_> = (0..25).map(|n| NewJob::new(format!("{n:02}"))).collect();
    queue.enqueue(&jobs).await.unwrap();
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        let page = queue.list(State::Pending, cursor, 10).await.unwrap();
        seen.extend(page.jobs.into_iter().map(|job| job.id));
        match page.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn impossible_jobs_are_refused_before_anything_is_sent() {
    let server = RedisServer::start();
    let queue = server.queue();
    for (job, part) in [
        (NewJob::new(""), "1 to 200 bytes"),
        (NewJob::new("j").priority(100), "0 to 99"),
        (
            NewJob::new("j").field("token", "1"),
            "field of the protocol",
        ),
        (NewJob::new("j").field("rows", "1"), "field of the protocol"),
    ] {
        let error = queue
            .enqueue(&[NewJob::new("good"), job])
            .await
            .unwrap_err();
        assert!(
            matches!(error, QueueError::InvalidJob { .. }) && error.to_string().contains(part),
            "{error}"
        );
    }
    assert_eq!(queue.stats().await.unwrap().count(State::Pending), 0);
}

#[tokio::test]
async fn dangerous_settings_are_warned_of() {
    let server =
        RedisServer::start_with(&["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"]);
    let check = server.queue().check().await.unwrap();
    let codes: Vec<_> = check.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["maxmemory-policy", "appendonly"]);
    assert!(
        RedisServer::start()
            .queue()
            .check()
            .await
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[tokio::test]
async fn what_a_failover_may_forget_is_warned_of() {
    let primary = RedisServer::start();
    let port = primary.port.to_string();
    let replica =
        RedisServer::start_with(&["--appendonly", "yes", "--replicaof", "127.0.0.1", &port]);
    let warned = |queue: Queue| async move {
        let check = queue.check().await.unwrap();
        check
            .warnings
            .into_iter()
            .map(|warning| warning.code)
            .collect::<Vec<_>>()
    };
    eventually("the replica to be noticed", || async {
        (warned(primary.queue()).await == ["min-replicas-to-write"]).then_some(())
    })
    .await;
    assert_eq!(warned(replica.queue()).await, ["role"]);
    let _: () = redis::cmd("CONFIG")
        .arg(&["SET", "min-replicas-to-write", "1"])
        .query_async(&mut primary.cli().await)
        .await
        .unwrap();
    assert!(warned(primary.queue()).await.is_empty());
}
