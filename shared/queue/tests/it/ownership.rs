//! A queue belongs to one owner.

use std::{collections::BTreeMap, time::Duration};

use weldfleet_queue::{Consumer, NewJob, Owner, Queue, QueueError, State, Taken, WorkerInfo};

use crate::server::{RedisServer, eventually, worker};

fn owner(name: &str, marks: &[&str]) -> Owner {
    Owner {
        name: name.to_owned(),
        marks: marks.iter().map(|&mark| mark.to_owned()).collect(),
    }
}

fn of(server: &RedisServer, name: &str, marks: &[&str]) -> Queue {
    server.queue().owned_by(owner(name, marks)).unwrap()
}

fn assert_foreign<T: std::fmt::Debug>(answer: Result<T, QueueError>, wanted: &str) {
    let error = answer.unwrap_err();
    assert!(
        matches!(error, QueueError::Foreign { .. }) && !error.is_outage(),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!("the queue \"test\" belongs to {wanted}")
    );
}

const TTL: Duration = Duration::from_secs(5);

#[tokio::test]
async fn the_first_to_use_a_queue_owns_it_and_nobody_else_leads_or_works_there() {
    let server = RedisServer::start();
    let (ours, theirs) = (
        of(&server, "north", &["a", "b"]),
        of(&server, "south", &["c"]),
    );
    theirs.check_owner().await.unwrap();
    ours.own().await.unwrap();
    ours.own().await.unwrap();
    assert_foreign(theirs.own().await, "north");
    assert_foreign(theirs.check_owner().await, "north");
    assert_foreign(theirs.try_lead("s", "", &[], TTL).await, "north");
    assert_foreign(
        theirs.register(&worker("w"), &BTreeMap::new()).await,
        "north",
    );
    assert_eq!(
        ours.stats().await.unwrap().workers,
        0,
        "refused before anything is written"
    );
    assert!(ours.leader().await.unwrap().is_none());
    // who names nobody is not asked
    server.queue().own().await.unwrap();
    server
        .queue()
        .register(&worker("w"), &BTreeMap::new())
        .await
        .unwrap();
}

#[tokio::test]
async fn one_mark_in_common_is_the_same_owner_and_the_stamp_follows() {
    let server = RedisServer::start();
    of(&server, "first", &["table 1", "place"])
        .own()
        .await
        .unwrap();
    of(&server, "restored", &["table 2", "place"])
        .own()
        .await
        .unwrap();
    of(&server, "moved", &["table 2", "elsewhere"])
        .own()
        .await
        .unwrap();
    assert_foreign(
        of(&server, "late", &["table 1", "place"]).own().await,
        "moved",
    );
    // a mark is not known by a piece of it
    assert_foreign(
        of(&server, "alike", &["table", "else", "moved"])
            .own()
            .await,
        "moved",
    );
}

#[tokio::test]
async fn a_flushed_queue_is_stamped_again_by_who_lives() {
    let server = RedisServer::start();
    let ours = of(&server, "north", &["a"]);
    ours.own().await.unwrap();
    let info = WorkerInfo {
        id: worker("w"),
        fields: BTreeMap::new(),
    };
    let consumer = Consumer::start(ours.clone(), info).unwrap();
    let () = redis::cmd("FLUSHALL")
        .query_async(&mut server.cli().await)
        .await
        .unwrap();
    let theirs = of(&server, "south", &["c"]);
    eventually("the worker to say whose it is", || async {
        theirs.check_owner().await.err()
    })
    .await;
    consumer.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_worker_whose_queue_changed_hands_claims_nothing_more() {
    let server = RedisServer::start();
    let (ours, theirs) = (of(&server, "north", &["a"]), of(&server, "south", &["c"]));
    let info = WorkerInfo {
        id: worker("w"),
        fields: BTreeMap::new(),
    };
    let consumer = Consumer::start(ours.clone(), info).unwrap();
    eventually("the worker", || async {
        let workers = ours.workers().await.unwrap();
        (workers.len() == 1).then_some(())
    })
    .await;
    let in_use = Taken::InUse {
        workers: 1,
        leader: None,
    };
    assert_eq!(theirs.take().await.unwrap(), in_use);
    // by force, as after a restore of another Redis's file
    let () = redis::cmd("SET")
        .arg(&[ours.keys().named("owner"), "south\nc".to_owned()])
        .query_async(&mut server.cli().await)
        .await
        .unwrap();
    eventually("the worker to notice", || async { consumer.status().held }).await;
    assert!(!ours.health().up);
    theirs.enqueue(&[NewJob::new("theirs")]).await.unwrap();
    assert!(consumer.try_next(1).await.unwrap().is_empty());
    assert_eq!(theirs.stats().await.unwrap().count(State::Pending), 1);
    consumer.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_queue_that_nobody_works_on_can_be_taken_and_forgets_its_jobs() {
    let server = RedisServer::start();
    let (ours, theirs) = (of(&server, "north", &["a"]), of(&server, "south", &["c"]));
    ours.own().await.unwrap();
    let jobs: Vec<_> = (0..40)
        .map(|n| NewJob::new(format!("j{n}")).group("day"))
        .collect();
    ours.enqueue(&jobs).await.unwrap();
    ours.claim(&worker("gone"), 3).await.unwrap();
    // a page of ids without records ends nothing
    let mut redis = server.cli().await;
    for n in 0..30 {
        let key = ours.keys().job(&format!("j{n}"));
        let () = redis::AsyncCommands::del(&mut redis, key).await.unwrap();
    }
    let token = ours.try_lead("s", "", &[], TTL).await.unwrap().unwrap();
    let in_use = Taken::InUse {
        workers: 0,
        leader: Some("s".to_owned()),
    };
    assert_eq!(theirs.take().await.unwrap(), in_use);
    ours.resign(token).await.unwrap();
    assert_eq!(theirs.take().await.unwrap(), Taken::Taken { forgotten: 40 });
    theirs.own().await.unwrap();
    assert_foreign(ours.own().await, "south");
    assert_eq!(theirs.stats().await.unwrap().outstanding(0), 0);
    assert!(theirs.plan("day").await.unwrap().jobs.is_empty());
}
