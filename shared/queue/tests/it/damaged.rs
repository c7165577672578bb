//! Records of jobs that somebody changed by hand: one is named and set aside, everything else goes on.

use std::{collections::BTreeMap, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection};
use weldfleet_queue::{Consumer, NewJob, Queue, State, WorkerInfo};

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
            .ack(&lease(&claim.jobs[0]), &Vec::new())
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
        queue.ack(&of("acked"), &Vec::new()).await.unwrap();
        queue
            .retry(&of("retried"), "busy", Some(Duration::from_millis(1)))
            .await
            .unwrap();
        queue.release(&of("released"), "not now").await.unwrap();
        queue.bury(&of("buried"), "no").await.unwrap();
        queue.hand_to_split(&of("split"), "halves").await.unwrap();
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
        queue.give_back_all(&worker("w")).await.unwrap();
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
            .ack(&lease(&claim.jobs[0]), &Vec::new())
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
