//! Redis restarted, frozen, flushed: no attempt is spent, tokens still grow.

use std::time::Duration;

use nix::sys::signal::Signal;
use weldfleet_queue::{LeaseRef, NewJob, Outcome, QueueError, Renewal, Settlement, State};

use crate::server::{RedisServer, eventually, worker};

#[tokio::test]
async fn a_flush_forgets_everything_but_tokens_still_grow() {
    let server = RedisServer::start();
    let queue = server.queue();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let before = queue.claim(&worker("w"), 1).await.unwrap();
    let _: () = redis::cmd("FLUSHALL")
        .query_async(&mut server.cli().await)
        .await
        .unwrap();
    let stale = LeaseRef {
        id: "j".into(),
        token: before.jobs[0].token,
    };
    assert_eq!(
        queue.settle(&stale, Settlement::ack()).await.unwrap(),
        Outcome::Lost
    );
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let after = queue.claim(&worker("w"), 1).await.unwrap();
    assert!(after.jobs[0].token > before.jobs[0].token);
    assert_ne!(after.born_at, before.born_at, "the loss can be noticed");
    assert_eq!(
        queue.settle(&stale, Settlement::ack()).await.unwrap(),
        Outcome::Lost
    );
}

#[tokio::test]
async fn a_token_floor_from_elsewhere_is_respected() {
    let server = RedisServer::start();
    let queue = server.queue();
    let far_ahead = 4_000_000_000_000_000; // a clock that was wrong once
    queue.raise_token(far_ahead).await.unwrap();
    assert_eq!(
        queue.raise_token(5).await.unwrap(),
        far_ahead,
        "never lowered"
    );
    queue
        .enqueue(&[NewJob::new("a"), NewJob::new("b")])
        .await
        .unwrap();
    let jobs = queue.claim(&worker("w"), 2).await.unwrap().jobs;
    assert_eq!(
        (jobs[0].token, jobs[1].token),
        (far_ahead + 1, far_ahead + 2)
    );
    // exact also as text in the hash
    assert_eq!(queue.get("b").await.unwrap().unwrap().token, far_ahead + 2);
}

#[tokio::test]
async fn after_a_restart_nothing_is_collected_for_one_ttl_and_a_late_lease_can_be_renewed() {
    let mut server = RedisServer::start();
    let queue = server.queue();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let job = queue.claim(&worker("w"), 1).await.unwrap().jobs.remove(0);
    let lease = LeaseRef {
        id: job.id.clone(),
        token: job.token,
    };
    server.kill();
    let error = queue.ping().await.unwrap_err();
    assert!(
        matches!(error, QueueError::Unavailable { .. }) && error.is_outage() && !queue.health().up,
        "{error}"
    );
    tokio::time::sleep(Duration::from_millis(2200)).await; // longer than the lease
    server.start_again();

    let collected = eventually("redis", || async { queue.collect().await.ok() }).await;
    assert!(collected.held, "{collected:?}");
    assert!(queue.health().up);
    assert!(
        queue
            .claim(&worker("other"), 1)
            .await
            .unwrap()
            .jobs
            .is_empty(),
        "the expired lease is kept"
    );
    assert_eq!(
        queue
            .renew(&worker("w"), std::slice::from_ref(&lease))
            .await
            .unwrap()
            .renewals,
        [Renewal::Renewed]
    );
    assert_eq!(
        queue.settle(&lease, Settlement::ack()).await.unwrap(),
        Outcome::Settled(State::Done)
    );
    assert_eq!(queue.get("j").await.unwrap().unwrap().deaths, 0);
}

#[tokio::test]
async fn after_a_restart_a_dead_workers_lease_is_collected_in_the_end() {
    let mut server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(600);
        options.renew_every = Duration::from_millis(200);
    });
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let job = queue
        .claim(&worker("dies"), 1)
        .await
        .unwrap()
        .jobs
        .remove(0);
    server.kill();
    server.start_again();
    let heir = eventually("the lease to be collected", || async {
        queue
            .claim(&worker("heir"), 1)
            .await
            .ok()
            .and_then(|mut claim| claim.jobs.pop())
    })
    .await;
    assert!(heir.token > job.token);
    assert_eq!((heir.deaths, heir.attempts), (1, 2));
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_no_dead_workers_lease() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(600);
        options.renew_every = Duration::from_millis(200);
    });
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    assert_eq!(queue.claim(&worker("dies"), 1).await.unwrap().jobs.len(), 1);
    // Every time that the queue keeps lies six hours ahead then, that of an outage, too.
    let mut redis = server.cli().await;
    let key = |name: &str| queue.keys().named(name);
    let () = redis::cmd("COPY")
        .arg(key("activity"))
        .arg(key("hold_until"))
        .query_async(&mut redis)
        .await
        .unwrap();
    let () = redis::cmd("EVAL")
        .arg(include_str!("advance.lua"))
        .arg(1)
        .arg(key("pending"))
        .arg(-6 * 3_600_000)
        .query_async(&mut redis)
        .await
        .unwrap();
    let heir = eventually("the lease to be collected", || async {
        queue.collect().await.ok()?;
        let claim = queue.claim(&worker("heir"), 1).await;
        claim.ok().and_then(|mut claim| claim.jobs.pop())
    })
    .await;
    assert_eq!((heir.deaths, heir.attempts), (1, 2));
}

#[tokio::test]
async fn a_frozen_redis_costs_no_lease() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(600);
        options.renew_every = Duration::from_millis(200);
        options.response_timeout = Duration::from_millis(200);
        options.connect_timeout = Duration::from_millis(200);
    });
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let job = queue.claim(&worker("w"), 1).await.unwrap().jobs.remove(0);
    let lease = LeaseRef {
        id: job.id.clone(),
        token: job.token,
    };
    server.signal(Signal::SIGSTOP);
    assert!(queue.ping().await.unwrap_err().is_outage());
    tokio::time::sleep(Duration::from_millis(900)).await;
    server.signal(Signal::SIGCONT);
    let claim = eventually("redis", || async {
        queue.claim(&worker("other"), 1).await.ok()
    })
    .await;
    assert!(
        claim.jobs.is_empty(),
        "the lease ran out while nobody could renew it"
    );
    assert_eq!(
        queue.renew(&worker("w"), &[lease]).await.unwrap().renewals,
        [Renewal::Renewed]
    );
}

#[tokio::test]
async fn nobody_at_home_is_an_outage_that_names_the_endpoint_without_the_password() {
    let queue = weldfleet_queue::Queue::new(weldfleet_queue::Options::new(
        "redis://u:s3cret@127.0.0.1:1/0",
        "q",
    ))
    .unwrap();
    let error = queue.stats().await.unwrap_err();
    assert!(error.is_outage());
    assert!(
        error.to_string().contains("127.0.0.1:1")
            && !format!("{error:?} {error}").contains("s3cret")
    );
}

/// One process with another `ttl` does not make a death of a lease that its worker renews in time.
#[tokio::test]
async fn a_shorter_ttl_elsewhere_ends_no_lease_early() {
    let server = RedisServer::start();
    let long = server.queue_with(|options| options.ttl = Duration::from_secs(30));
    let short = server.queue_with(|options| {
        options.ttl = Duration::from_millis(300);
        options.renew_every = Duration::from_millis(100);
    });
    long.enqueue(&[NewJob::new("j")]).await.unwrap();
    assert_eq!(long.claim(&worker("w"), 1).await.unwrap().jobs.len(), 1);
    let mut redis = server.cli().await;
    let mut deadline = async || {
        let leased = long.keys().state(State::Leased);
        let score: f64 = redis::AsyncCommands::zscore(&mut redis, leased, "j")
            .await
            .unwrap();
        score
    };
    let before = deadline().await;
    short.collect().await.unwrap();
    assert_eq!(deadline().await, before);
}
