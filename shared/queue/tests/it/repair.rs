//! What somebody broke by hand is named, nothing is changed until it is asked for, and then every invariant holds
//! again.

use std::collections::BTreeMap;

use weldfleet_queue::{NewJob, Queue, Settlement, State};

use crate::{
    dump::{assert_sound, dump},
    protocol::lease,
    server::{RedisServer, worker},
};

/// A queue with a job in each state, called like it, of group `day`.
async fn stage(queue: &Queue) {
    let me = worker("w");
    let mut delayed = NewJob::new("delayed").group("day");
    delayed.delay = std::time::Duration::from_secs(600);
    queue.enqueue(&[delayed]).await.unwrap();
    for id in ["done", "dead", "splitting", "leased"] {
        queue
            .enqueue(&[NewJob::new(id).group("day")])
            .await
            .unwrap();
        let job = queue.claim(&me, 1).await.unwrap().jobs.remove(0);
        let held = lease(&job);
        match id {
            "done" => drop(queue.settle(&held, Settlement::ack()).await.unwrap()),
            "dead" => drop(queue.settle(&held, Settlement::bury("no")).await.unwrap()),
            "splitting" => drop(
                queue
                    .settle(&held, Settlement::split("halves"))
                    .await
                    .unwrap(),
            ),
            _ => {}
        }
    }
    queue
        .enqueue(&[NewJob::new("pending").group("day")])
        .await
        .unwrap();
}

/// What is done by hand (`{}` is what keys begin with), the job that is to blame, and what is said of it.
const DAMAGE: &[(&str, &str, &str)] = &[
    ("DEL {}job:pending", "pending", "it is listed as pending"),
    ("DEL {}job:leased", "leased", "worker w lists it"),
    ("DEL {}job:dead", "dead", "group day lists it"),
    (
        "SET {}job:delayed x",
        "delayed",
        "its key is a string, not a hash",
    ),
    (
        "HDEL {}job:pending state",
        "pending",
        "its record names no state",
    ),
    (
        "HSET {}job:pending state asleep",
        "pending",
        "its record names no state",
    ),
    (
        "HSET {}job:dead state pending",
        "dead",
        "it is not listed as pending",
    ),
    (
        "ZREM {}delayed delayed",
        "delayed",
        "it is not listed as delayed",
    ),
    ("ZADD {}done 1 leased", "leased", "it is listed as done"),
    (
        "ZREM {}leased leased",
        "leased",
        "it is not listed as leased",
    ),
    (
        "HSET {}job:leased worker v",
        "leased",
        "its worker does not list it",
    ),
    (
        "HDEL {}job:leased worker",
        "leased",
        "it is leased to nobody",
    ),
    (
        "HSET {}job:leased attempts 0",
        "leased",
        "it is leased without an attempt",
    ),
    (
        "HSET {}job:pending attempts 9",
        "pending",
        "without an attempt left",
    ),
    (
        "HSET {}job:done attempts 9",
        "done",
        "more attempts than it may",
    ),
    (
        "HSET {}worker:v:leases pending 7",
        "pending",
        "worker v lists it",
    ),
    (
        "SET {}worker:v:isolated done",
        "done",
        "worker v waits for it to end",
    ),
    (
        "SREM {}outstanding:day splitting",
        "splitting",
        "group day does not list it",
    ),
    (
        "SADD {}outstanding:night dead",
        "dead",
        "group night lists it",
    ),
    (
        "SADD {}outstanding:day nothing",
        "nothing",
        "group day lists it",
    ),
    (
        "HSET {}job:dead token 9000000000000000",
        "dead",
        "beyond the last one",
    ),
];

#[tokio::test]
async fn every_damage_is_named_and_repaired() {
    let server = RedisServer::start();
    let queue = server.queue();
    let mut redis = server.cli().await;
    for (damage, id, fault) in DAMAGE {
        let _: () = redis::cmd("FLUSHALL")
            .query_async(&mut redis)
            .await
            .unwrap();
        stage(&queue).await;
        assert_sound(&queue).await;
        assert!(queue.repair(false).await.unwrap().jobs.is_empty());
        let text = damage.replace("{}", queue.keys().base());
        let mut words = text.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        let _: redis::Value = command
            .arg(words.collect::<Vec<_>>())
            .query_async(&mut redis)
            .await
            .unwrap();

        let seen = queue.repair(false).await.unwrap();
        let [job] = &seen.jobs[..] else {
            panic!("{damage}: {seen:?}");
        };
        assert_eq!(job.id, *id, "{damage}");
        assert!(
            job.faults.iter().any(|text| text.contains(fault)),
            "{damage}: {job:?}"
        );
        assert_eq!(
            queue.repair(false).await.unwrap(),
            seen,
            "{damage}: nothing was changed"
        );
        assert_eq!(
            queue.repair(true).await.unwrap().jobs,
            seen.jobs,
            "{damage}"
        );
        let after = queue.repair(false).await.unwrap();
        assert!(after.jobs.is_empty(), "{damage}: {after:?}");
        assert_eq!(after.miscounted, Some(BTreeMap::new()), "{damage}");
        assert_sound(&queue).await;
    }
}

#[tokio::test]
async fn what_was_counted_wrong_is_counted_anew() {
    let server = RedisServer::start();
    let queue = server.queue();
    stage(&queue).await;
    let mut redis = server.cli().await;
    let _: () = redis::cmd("HINCRBY")
        .arg(queue.keys().named("counts"))
        .arg("added:0")
        .arg(5)
        .query_async(&mut redis)
        .await
        .unwrap();
    let seen = queue.repair(false).await.unwrap();
    assert_eq!(seen.miscounted, Some(BTreeMap::from([(0, 5)])));
    assert_eq!(queue.repair(true).await.unwrap(), seen);
    let after = queue.repair(false).await.unwrap();
    assert_eq!(after.miscounted, Some(BTreeMap::new()));
    assert_sound(&queue).await;
}

/// A lease whose place in the leased set is gone runs out like any other once it is repaired.
#[tokio::test]
async fn a_repaired_lease_is_still_in_force() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let job = queue.claim(&worker("w"), 1).await.unwrap().jobs.remove(0);
    let mut redis = server.cli().await;
    let _: () = redis::cmd("ZREM")
        .arg(queue.keys().state(State::Leased))
        .arg("j")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(queue.repair(true).await.unwrap().jobs.len(), 1);
    let outcome = queue.settle(&lease(&job), Settlement::ack()).await.unwrap();
    assert_eq!(outcome, weldfleet_queue::Outcome::Settled(State::Done));
    assert!(!dump(&queue).await.jobs["j"]["finished_at"].is_empty());
}
