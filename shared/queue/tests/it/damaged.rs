//! Records of jobs that somebody changed by hand: one is named and set aside, everything else goes on.

use std::{collections::BTreeMap, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection};
use weldfleet_queue::{
    Consumer, Ending, LeaseRef, NewJob, Outcome, Queue, Settlement, State, WorkerInfo,
};

use crate::{
    protocol::lease,
    server::{RedisServer, eventually, worker},
};

async fn set(
    redis: &mut MultiplexedConnection,
    queue: &Queue,
    id: &str,
    field: &str,
    value: &[u8],
) {
    let () = redis
        .hset(queue.keys().job(id), field, value)
        .await
        .unwrap();
}

/// What somebody may write over a field, and which.
const DAMAGE: &[(&str, &[u8])] = &[
    ("rows", b"-5"),
    ("rows", b"1e400"),
    ("priority", b"NaN"),
    ("priority", b"100"),
    ("priority", b"%\t\n"),
    ("attempts", b"nan"),
    ("attempts", b"-7"),
    ("max_attempts", b"\xff\xfe"),
    ("enqueued_at", b"inf"),
    ("deaths", b"many"),
];

#[tokio::test]
async fn a_job_that_cannot_be_read_waits_in_dead_and_the_others_are_handed_out() {
    let server = RedisServer::start();
    let queue = server.queue();
    let mut redis = server.cli().await;
    for (n, (field, value)) in DAMAGE.iter().enumerate() {
        let (bad, good) = (format!("{n}-bad"), format!("{n}-good"));
        let jobs = [&bad, &good].map(|id| NewJob::new(id.clone()).group("day").weight(7));
        queue.enqueue(&jobs).await.unwrap();
        set(&mut redis, &queue, &bad, field, value).await;

        let plan = queue.plan("day").await.unwrap();
        let unread = plan.jobs.iter().find(|job| job.id == bad).unwrap();
        assert!(unread.unreadable[0].starts_with(field), "{unread:?}");

        let claim = queue.claim(&worker("w"), 10).await.unwrap();
        let ids: Vec<_> = claim.jobs.iter().map(|job| job.id.as_str()).collect();
        assert_eq!(ids, [good.as_str()], "{field} = {value:?}");
        let there = queue.get(&bad).await.unwrap().unwrap();
        assert_eq!(there.state, State::Dead, "{field} = {value:?}: {there:?}");
        assert!(there.error.contains(field), "{}", there.error);
        queue
            .settle(&lease(&claim.jobs[0]), Settlement::ack())
            .await
            .unwrap();

        assert!(
            queue.claim(&worker("w"), 10).await.unwrap().jobs.is_empty(),
            "no loop"
        );
        let listed = queue.list(State::Dead, 0, 10).await.unwrap().jobs;
        assert_eq!(listed[0].id, bad);
        assert!(
            queue.drop_job(&bad).await.unwrap(),
            "a person gets rid of it"
        );
        let stats = queue.stats().await.unwrap();
        assert_eq!(
            (stats.outstanding(0), stats.count(State::Dead)),
            (0, 0),
            "{field} = {value:?}"
        );
        assert!(queue.plan("day").await.unwrap().jobs.is_empty());
    }
}

/// Each operation meets every damage that can be done to the job it is about, in each state.
#[tokio::test]
async fn no_script_breaks_off_for_one_damaged_job() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(300);
        options.renew_every = Duration::from_millis(100);
    });
    let mut redis = server.cli().await;
    for (n, (field, value)) in DAMAGE.iter().enumerate() {
        let id = |name: &str| format!("{n}-{name}");
        let names = [
            "acked",
            "retried",
            "released",
            "buried",
            "split",
            "expired",
            "given-back",
        ];
        let jobs = names.map(|name| NewJob::new(id(name)).weight(7));
        queue.enqueue(&jobs).await.unwrap();
        let claimed = queue.claim(&worker("w"), 10).await.unwrap().jobs;
        assert_eq!(claimed.len(), names.len());
        for job in &claimed {
            set(&mut redis, &queue, &job.id, field, value).await;
        }
        let of = |name: &str| lease(claimed.iter().find(|job| job.id == id(name)).unwrap());
        queue.settle(&of("acked"), Settlement::ack()).await.unwrap();
        queue
            .settle(
                &of("retried"),
                Settlement::Retry {
                    error: "busy".to_owned(),
                    delay: Some(Duration::from_millis(1)),
                },
            )
            .await
            .unwrap();
        queue
            .settle(&of("released"), Settlement::release("not now"))
            .await
            .unwrap();
        queue
            .settle(&of("buried"), Settlement::bury("no"))
            .await
            .unwrap();
        queue
            .settle(&of("split"), Settlement::split("halves"))
            .await
            .unwrap();
        queue.requeue(&id("buried")).await.unwrap();
        queue
            .split(&id("split"), &[NewJob::new(id("half"))])
            .await
            .unwrap();
        queue.stats().await.unwrap();
        eventually("the leases left to run out and be collected", || async {
            queue.collect().await.unwrap();
            queue.claim(&worker("v"), 10).await.unwrap();
            (queue.stats().await.unwrap().count(State::Delayed) == 0
                && queue.stats().await.unwrap().count(State::Leased) == 0)
                .then_some(())
        })
        .await;
        queue.give_back(&worker("w"), &[]).await.unwrap();
        for state in State::ALL {
            for job in queue.list(state, 0, 100).await.unwrap().jobs {
                queue.cancel(&job.id).await.unwrap();
            }
        }
        let stats = queue.stats().await.unwrap();
        let open: u64 = State::ALL
            .into_iter()
            .filter(|state| *state != State::Done)
            .map(|state| stats.count(state))
            .sum();
        assert_eq!(open, 0, "{field} = {value:?}: {stats:?}");
    }
}

/// A list of another type is of an older release, or by hand. The job's record is the truth.
#[tokio::test]
async fn a_workers_list_of_another_type_costs_no_job() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(2000);
        options.renew_every = Duration::from_millis(500);
    });
    let mut redis = server.cli().await;
    for (n, (verb, member)) in [
        ("SET", vec![]),
        ("SADD", vec!["x"]),
        ("ZADD", vec!["1", "x"]),
    ]
    .into_iter()
    .enumerate()
    {
        let value = if member.is_empty() {
            vec!["by hand"]
        } else {
            member
        };
        let names = ["acked", "renewed", "repaired", "expired"].map(|name| format!("{n}-{name}"));
        let jobs = names.clone().map(NewJob::new);
        queue.enqueue(&jobs).await.unwrap();
        let (w, v) = (worker(&format!("w{n}")), worker(&format!("v{n}")));
        for id in [&w, &v] {
            queue.register(id, &BTreeMap::new()).await.unwrap();
        }
        let claimed = queue.claim(&w, 10).await.unwrap().jobs;
        assert_eq!(claimed.len(), names.len(), "{verb}");
        let key = queue.keys().worker_leases(w.as_str());
        let mut overwrite = redis::pipe();
        overwrite.del(&key).cmd(verb).arg(&key).arg(&value);
        let () = overwrite.query_async(&mut redis).await.unwrap();

        let listed = queue.workers().await.unwrap();
        assert!(
            listed.iter().any(|entry| entry.id == v),
            "{verb}: {listed:?}"
        );
        let found = queue.repair(false).await.unwrap();
        assert!(!found.jobs.is_empty(), "{verb}: {found:?}");
        queue.repair(true).await.unwrap();
        let listed = queue.workers().await.unwrap();
        let entry = listed.iter().find(|entry| entry.id == w).unwrap();
        assert_eq!(entry.leases, 4, "{verb}: repaired");
        let () = overwrite.query_async(&mut redis).await.unwrap();
        queue
            .settle(&lease(&claimed[0]), Settlement::ack())
            .await
            .unwrap();
        let () = overwrite.query_async(&mut redis).await.unwrap();
        eventually("the others are handed out again", || async {
            queue.collect().await.unwrap();
            let again = queue.claim(&v, 10).await.unwrap().jobs;
            for job in &again {
                queue.settle(&lease(job), Settlement::ack()).await.unwrap();
            }
            let stats = queue.stats().await.unwrap();
            (stats.count(State::Done) == 4 * (n as u64 + 1)).then_some(())
        })
        .await;
        let stats = queue.stats().await.unwrap();
        assert_eq!(stats.outstanding(0), 0, "{verb}: {stats:?}");
    }
}

#[tokio::test]
async fn a_job_without_fields_or_of_another_type_is_named_and_can_be_dropped() {
    let server = RedisServer::start();
    let queue = server.queue();
    let mut redis = server.cli().await;
    let jobs = ["text", "bare", "whole"].map(|id| NewJob::new(id).group("day"));
    queue.enqueue(&jobs).await.unwrap();
    let () = redis
        .set(queue.keys().job("text"), "by hand")
        .await
        .unwrap();
    let () = redis.del(queue.keys().job("bare")).await.unwrap();
    set(&mut redis, &queue, "bare", "note", b"by hand").await;

    let listed = queue.list(State::Pending, 0, 10).await.unwrap().jobs;
    assert_eq!(listed.len(), 3);
    let text = queue.get("text").await.unwrap().unwrap();
    assert_eq!(text.state, State::Pending);
    assert_eq!(text.unreadable, ["its key is not a hash"]);
    assert_eq!(queue.plan("day").await.unwrap().jobs.len(), 3);

    assert!(queue.drop_job("text").await.unwrap());
    assert!(queue.drop_job("bare").await.unwrap());
    assert!(!queue.drop_job("text").await.unwrap());
    let plan = queue.plan("day").await.unwrap();
    let ids: Vec<_> = plan.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["whole"]);
    let groups = queue.groups().await.unwrap();
    assert_eq!(
        groups[0].outstanding, 1,
        "the list of the group has no stale ids"
    );
}

#[tokio::test]
async fn an_id_that_no_answer_can_carry_is_set_aside() {
    let server = RedisServer::start();
    let queue = server.queue();
    let mut redis = server.cli().await;
    for (n, id) in ["a\u{1e}b", "a\u{1f}b", "a\nb", "a\tb"]
        .into_iter()
        .enumerate()
    {
        let whole = format!("whole-{n}");
        queue.enqueue(&[NewJob::new(whole.clone())]).await.unwrap();
        set(&mut redis, &queue, id, "state", b"pending").await;
        let () = redis
            .zadd(queue.keys().state(State::Pending), id, 1)
            .await
            .unwrap();
        let claim = queue.claim(&worker("w"), 10).await.unwrap();
        let ids: Vec<_> = claim.jobs.iter().map(|job| job.id.as_str()).collect();
        assert_eq!(ids, [whole.as_str()], "{id:?}");
        queue
            .settle(&lease(&claim.jobs[0]), Settlement::ack())
            .await
            .unwrap();
        let dead = queue.list(State::Dead, 0, 10).await.unwrap().jobs;
        assert_eq!(dead[0].id, id);
        assert!(queue.drop_job(id).await.unwrap());
    }
}

/// A worker goes on with the next job at once, however many before it cannot be read.
#[tokio::test]
async fn a_consumer_passes_over_what_it_cannot_read() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| options.idle_poll = Duration::from_secs(60));
    let mut redis = server.cli().await;
    let jobs: Vec<_> = (0..5)
        .map(|n| NewJob::new(format!("job-{n}")).weight(7))
        .collect();
    queue.enqueue(&jobs).await.unwrap();
    for n in 0..4 {
        set(&mut redis, &queue, &format!("job-{n}"), "rows", b"-5").await;
    }
    let info = WorkerInfo {
        id: worker("w"),
        fields: BTreeMap::new(),
    };
    let consumer = Consumer::start(queue.clone(), info).unwrap();
    let leases = tokio::time::timeout(Duration::from_secs(5), consumer.next(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(leases[0].job().id, "job-4");
    leases[0].settle(weldfleet_queue::Settlement::ack()).await;
    assert_eq!(queue.stats().await.unwrap().count(State::Dead), 4);
    consumer.shutdown(Duration::from_secs(1)).await;
}

/// Whoever meets an id without a record, it is not outstanding any more, under the priority it had.
#[tokio::test]
async fn a_job_whose_record_is_gone_is_outstanding_no_more_whoever_meets_it() {
    let server = RedisServer::start();
    let queue = server.queue();
    let mut redis = server.cli().await;
    let me = worker("w");
    let job = |id: &str| NewJob::new(id).group("day").priority(1);
    let mut delayed = job("delayed");
    delayed.delay = Duration::from_millis(1);
    for meets in ["claim", "collect", "plan", "enqueue", "drop"] {
        queue
            .enqueue(&[job("leased"), NewJob::new("live").group("live")])
            .await
            .unwrap();
        let claimed = queue.claim(&me, 2).await.unwrap().jobs;
        for job in claimed.iter().filter(|job| job.id == "live") {
            queue
                .settle(&lease(job), Settlement::release("not now"))
                .await
                .unwrap();
        }
        queue
            .enqueue(&[job("pending"), delayed.clone()])
            .await
            .unwrap();
        for id in ["leased", "pending", "delayed", "live"] {
            let () = redis.del(queue.keys().job(id)).await.unwrap();
        }
        match meets {
            "claim" => assert!(queue.claim(&me, 9).await.unwrap().jobs.is_empty()),
            "collect" => assert!(!queue.collect().await.unwrap().more),
            "plan" => {
                for group in ["day", "live"] {
                    assert!(queue.plan(group).await.unwrap().jobs.is_empty());
                }
            }
            "enqueue" => {
                let again = [job("leased"), job("pending"), job("delayed")];
                assert_eq!(queue.enqueue(&again).await.unwrap().added, 3);
                assert_eq!(queue.stats().await.unwrap().outstanding(1), 3);
            }
            _ => {
                for id in ["leased", "pending", "delayed", "live"] {
                    assert!(!queue.cancel(id).await.unwrap(), "{id} was no job");
                }
            }
        }
        // what each leaves to others: a lease runs out, a delay is over, an id is claimed
        eventually("every id is met", || async {
            let () = redis::cmd("ZADD")
                .arg(queue.keys().state(State::Leased))
                .arg("XX")
                .arg(0)
                .arg("leased")
                .query_async(&mut redis.clone())
                .await
                .unwrap();
            queue.collect().await.unwrap();
            for job in queue.claim(&me, 9).await.unwrap().jobs {
                queue.settle(&lease(&job), Settlement::ack()).await.unwrap();
            }
            let open = queue.stats().await.unwrap();
            let states = [State::Pending, State::Leased, State::Delayed];
            states
                .iter()
                .all(|state| open.count(*state) == 0)
                .then_some(())
        })
        .await;
        let stats = queue.stats().await.unwrap();
        let left = (stats.outstanding(0), stats.outstanding(1));
        assert_eq!(left, (0, 0), "{meets}: {stats:?}");
        let counts = queue.repair(true).await.unwrap().miscounted;
        assert_eq!(counts, Some(BTreeMap::new()), "{meets}");
    }
}

/// A worker that holds what has no record any more would never be idle, so never be given a job that runs isolated.
#[tokio::test]
async fn a_record_that_vanishes_while_leased_leaves_its_worker_free() {
    let server = RedisServer::start();
    let queue = server.queue();
    let mut redis = server.cli().await;
    let me = worker("w");
    let ending = |lease: LeaseRef| Ending {
        lease,
        settlement: Settlement::ack(),
    };
    for isolated in [false, true] {
        for gives_back in [false, true] {
            queue.enqueue(&[NewJob::new("gone")]).await.unwrap();
            if isolated {
                isolate(&mut redis, &queue, "gone").await;
            }
            let held = lease(&queue.claim(&me, 1).await.unwrap().jobs[0]);
            let () = redis.del(queue.keys().job("gone")).await.unwrap();
            if gives_back {
                assert_eq!(queue.give_back(&me, &[]).await.unwrap(), 0);
            } else {
                let turn = queue.turn(&me, &[ending(held)], 0).await.unwrap();
                assert_eq!(turn.outcomes, [Outcome::Lost]);
            }
            queue.enqueue(&[NewJob::new("next")]).await.unwrap();
            isolate(&mut redis, &queue, "next").await;
            let claim = queue.claim(&me, 1).await.unwrap();
            assert!(!claim.draining, "isolated {isolated}");
            assert_eq!(claim.jobs[0].id, "next");
            queue
                .settle(&lease(&claim.jobs[0]), Settlement::ack())
                .await
                .unwrap();
            queue.cancel("gone").await.unwrap();
        }
    }
}

/// As one whose worker died.
async fn isolate(redis: &mut MultiplexedConnection, queue: &Queue, id: &str) {
    set(redis, queue, id, "isolate", b"1").await;
    let pending = queue.keys().state(State::Pending);
    let () = redis.zadd(pending, id, -1e15 + 1.0).await.unwrap();
}

/// What somebody does by hand to the pause leaves nothing behind that the next one would be told with.
#[tokio::test]
async fn a_pause_made_or_deleted_by_hand_leaves_no_name_behind() {
    let server = RedisServer::start();
    let queue = server.queue();
    let mut redis = server.cli().await;
    let paused = queue.keys().named("paused");
    let () = redis.set(&paused, "by hand").await.unwrap();
    let pause = queue.paused().await.unwrap().unwrap();
    assert_eq!(
        (&*pause.reason, &*pause.by, pause.since),
        ("by hand", "", 0)
    );
    let () = redis.del(&paused).await.unwrap();

    queue.pause("tip dress", "ana").await.unwrap();
    let () = redis.del(&paused).await.unwrap();
    assert_eq!(queue.stats().await.unwrap().resumed_at, 0, "nobody did");
    assert!(!queue.resume().await.unwrap());
    let () = redis.set(&paused, "by hand").await.unwrap();
    let pause = queue.paused().await.unwrap().unwrap();
    assert_eq!((&*pause.by, pause.since), ("", 0), "not ana's");
    assert!(queue.resume().await.unwrap());
    assert!(queue.stats().await.unwrap().resumed_at > 0);
}
