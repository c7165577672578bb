//! The member of the fleet: renews, settles through outages, leaves in order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use weldfleet_queue::{
    Consumer, Job, Lease, LeaseRef, NewJob, Queue, QueueError, Settled, Settlement, State,
    WorkerInfo,
};

use crate::server::{RedisServer, eventually};

fn start(queue: &Queue) -> Consumer {
    Consumer::start(
        queue.clone(),
        WorkerInfo::new("host").field("device", "cpu"),
    )
    .unwrap()
}

/// A worker of a fleet that renews so rarely that only what it does itself can help.
async fn forgetful() -> (RedisServer, Consumer) {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_secs(120);
        options.renew_every = Duration::from_secs(40);
        options.idle_poll = Duration::from_secs(30);
    });
    let jobs = ["first", "second"].map(NewJob::new);
    queue.enqueue(&jobs).await.unwrap();
    (server, start(&queue))
}

/// From now on Redis confirms what it will not remember, as a primary does that is cut off from its heir.
async fn remember_nothing_more(server: &RedisServer) {
    let mut redis = server.cli().await;
    let mut command = redis::cmd("CONFIG");
    command.arg(&["SET", "appendonly", "no"]);
    let _: () = command.query_async(&mut redis).await.unwrap();
}

async fn acked(lease: &Lease) {
    let settled = lease.settle(Settlement::ack()).await;
    assert_eq!(settled, Settled::Settled(State::Done));
}

#[tokio::test]
async fn a_busy_worker_gives_back_at_once_what_redis_forgot_that_it_acked() {
    let (mut server, consumer) = forgetful().await;
    let leases = consumer.next(2).await.unwrap();
    remember_nothing_more(&server).await;
    acked(&leases[0]).await;
    server.kill();
    let second = leases[1].clone();
    let settling = tokio::spawn(async move { acked(&second).await });
    eventually("redis is missed", || async {
        (!consumer.queue().health().up).then_some(())
    })
    .await;
    server.start_again();
    settling.await.unwrap();
    comes_again(&consumer, leases[0].job()).await;
}

#[tokio::test]
async fn an_idle_worker_gives_back_at_once_what_redis_forgot_that_it_acked() {
    let (mut server, consumer) = forgetful().await;
    let leases = consumer.next(1).await.unwrap();
    // nothing that Redis remembers wakes anybody
    let wake = consumer.queue().keys().named("wake");
    let mut command = redis::cmd("DEL");
    command.arg(&wake);
    let _: i64 = command.query_async(&mut server.cli().await).await.unwrap();
    remember_nothing_more(&server).await;
    acked(&leases[0]).await;
    acked(&consumer.next(1).await.unwrap()[0]).await;
    let waiting = tokio::spawn({
        let consumer = consumer.clone();
        let job = leases[0].job().clone();
        async move { comes_again(&consumer, &job).await }
    });
    eventually("it waits to be woken", || async {
        let mut command = redis::cmd("INFO");
        command.arg("clients");
        let text: String = command.query_async(&mut server.cli().await).await.unwrap();
        text.contains("blocked_clients:1").then_some(())
    })
    .await;
    server.kill();
    server.start_again();
    waiting.await.unwrap();
}

/// Long before any renewal, and no attempt is spent.
async fn comes_again(consumer: &Consumer, job: &Job) {
    let again = tokio::time::timeout(Duration::from_secs(5), consumer.next(1)).await;
    let again = again.expect("no renewal is needed for it").unwrap();
    assert_eq!((&again[0].job().id, again[0].job().attempts), (&job.id, 1));
}

#[tokio::test]
async fn an_idle_worker_is_woken_at_once() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| options.idle_poll = Duration::from_secs(30));
    let consumer = start(&queue);
    let waiting = tokio::spawn({
        let consumer = consumer.clone();
        async move { consumer.next(4).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(300)).await; // it waits by now; if not, the test is only easier
    let enqueued = Instant::now();
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let leases = waiting.await.unwrap();
    assert!(
        enqueued.elapsed() < Duration::from_millis(250),
        "picked up after {:?}",
        enqueued.elapsed()
    );
    assert_eq!(
        leases[0].settle(Settlement::ack()).await,
        Settled::Settled(State::Done)
    );
    assert_eq!(
        leases[0].settle(Settlement::bury("again")).await,
        Settled::Settled(State::Done),
        "the first settlement counts"
    );
}

#[tokio::test]
async fn a_delayed_job_wakes_an_idle_worker_when_it_is_due() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| options.idle_poll = Duration::from_secs(30));
    let consumer = start(&queue);
    let mut job = NewJob::new("later");
    job.delay = Duration::from_millis(400);
    let enqueued = Instant::now();
    queue.enqueue(&[job]).await.unwrap();
    let leases = consumer.next(1).await.unwrap();
    assert!(
        enqueued.elapsed() >= Duration::from_millis(400)
            && enqueued.elapsed() < Duration::from_millis(1500),
        "{:?}",
        enqueued.elapsed()
    );
    leases[0].settle(Settlement::ack()).await;
}

/// Three leases' time; `make test-nightly` sets `SPIN_S` to 60.
#[tokio::test(flavor = "multi_thread")]
async fn handlers_that_occupy_every_core_cost_no_lease() {
    let spin = std::env::var("SPIN_S").map_or(6, |text| text.parse().unwrap());
    let spin = Duration::from_secs(spin);
    let server = RedisServer::start();
    let queue = server.queue();
    let consumer = start(&queue);
    queue
        .enqueue(&[NewJob::new("a"), NewJob::new("b")])
        .await
        .unwrap();
    let leases = consumer.next(2).await.unwrap();
    assert_eq!(leases.len(), 2);
    // every thread of the runtime spins, and there is one for each core
    let cores = std::thread::available_parallelism().unwrap().get();
    let spinning: Vec<_> = (0..cores)
        .map(|_| {
            tokio::spawn(async move {
                let until = Instant::now() + spin;
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    let thief = std::thread::spawn({
        let queue = queue.with_own_connection().unwrap();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let until = Instant::now() + spin;
                let mut stolen = 0;
                while Instant::now() < until {
                    stolen += queue
                        .claim(&crate::server::worker("thief"), 2)
                        .await
                        .unwrap()
                        .jobs
                        .len();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                stolen
            })
        }
    });
    for spin in spinning {
        spin.await.unwrap();
    }
    assert_eq!(
        thief.join().unwrap(),
        0,
        "a lease was lost to a busy runtime"
    );
    for lease in leases {
        assert!(!lease.is_lost());
        assert_eq!(
            lease.settle(Settlement::ack()).await,
            Settled::Settled(State::Done)
        );
    }
}

#[tokio::test]
async fn a_handler_without_progress_loses_its_lease() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(300);
        options.renew_every = Duration::from_millis(50);
        options.job_timeout = Some(Duration::from_millis(400));
    });
    let consumer = start(&queue);
    queue
        .enqueue(&[NewJob::new("hangs"), NewJob::new("works")])
        .await
        .unwrap();
    let leases = consumer.next(2).await.unwrap();
    let (hangs, works) = (leases[0].clone(), leases[1].clone());
    let done = Arc::new(AtomicBool::new(false));
    let working = tokio::spawn({
        let (works, done) = (works.clone(), done.clone());
        async move {
            while !done.load(Ordering::Relaxed) {
                works.progress();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    tokio::time::timeout(Duration::from_secs(5), hangs.lost())
        .await
        .expect("the hung one is lost");
    assert!(!works.is_lost());
    assert_eq!(hangs.settle(Settlement::ack()).await, Settled::Lost);
    done.store(true, Ordering::Relaxed);
    working.await.unwrap();
    assert_eq!(
        works.settle(Settlement::ack()).await,
        Settled::Settled(State::Done)
    );
    let status = eventually("the books to close", || async {
        Some(consumer.status()).filter(|status| status.leases == 0)
    })
    .await;
    assert_eq!(status.lost, 1);
    // It ran out as that of a dead worker does; nobody gave it back as if nothing had been.
    let again = consumer.next(1).await.unwrap();
    let again = again[0].job();
    assert_eq!(
        (
            again.id.as_str(),
            again.attempts,
            again.deaths,
            again.isolate
        ),
        ("hangs", 2, 1, true)
    );
}

#[tokio::test]
async fn a_dropped_lease_is_given_back_and_an_untaken_one_spends_no_attempt() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| options.retry.base = Duration::from_millis(10));
    let consumer = start(&queue);
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    drop(consumer.next(1).await.unwrap());
    let again = consumer.next(1).await.unwrap();
    assert_eq!(again[0].job().attempts, 2);
    assert!(again[0].job().error.contains("without settling"));
    again[0]
        .settle(Settlement::release("for the next part"))
        .await;

    // the future of `next` is dropped while its claim is under way
    let mut next = Box::pin(consumer.next(1));
    let _ = futures::poll!(&mut next);
    drop(next);
    let job = eventually("the job to come back", || async {
        queue
            .get("j")
            .await
            .unwrap()
            .filter(|job| job.state == State::Pending)
    })
    .await;
    assert_eq!(job.attempts, 1);
}

#[tokio::test]
async fn a_settlement_waits_out_a_restart_of_redis() {
    let mut server = RedisServer::start();
    let queue = server.queue();
    let consumer = start(&queue);
    queue
        .enqueue(&[NewJob::new("j"), NewJob::new("k")])
        .await
        .unwrap();
    let leases = consumer.next(2).await.unwrap();
    server.kill();
    let settling = tokio::spawn({
        let lease = leases[0].clone();
        async move { lease.settle(Settlement::ack()).await }
    });
    tokio::time::sleep(Duration::from_millis(2500)).await; // longer than the lease
    assert!(!settling.is_finished());
    server.start_again();
    assert_eq!(settling.await.unwrap(), Settled::Settled(State::Done));
    assert!(!leases[1].is_lost(), "what was held is held on");
    assert_eq!(
        leases[1].settle(Settlement::ack()).await,
        Settled::Settled(State::Done)
    );
    // and claiming goes on
    queue.enqueue(&[NewJob::new("l")]).await.unwrap();
    let lease = consumer.next(1).await.unwrap().remove(0);
    assert_eq!(lease.job().attempts, 1);
    lease.settle(Settlement::ack()).await;
}

#[tokio::test]
async fn a_claim_that_was_never_answered_is_given_back_without_a_death() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.response_timeout = Duration::from_millis(150);
        options.connect_timeout = Duration::from_millis(150);
        options.ttl = Duration::from_secs(3);
        options.renew_every = Duration::from_millis(300);
    });
    let consumer = start(&queue);
    eventually("registration", || async {
        queue
            .workers()
            .await
            .ok()
            .filter(|workers| workers.len() == 1)
    })
    .await;
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    // the claim is sent to a frozen redis, which answers it when nobody listens any more
    server.signal(nix::sys::signal::Signal::SIGSTOP);
    assert!(consumer.try_next(1).await.unwrap_err().is_outage());
    server.signal(nix::sys::signal::Signal::SIGCONT);
    let lease = tokio::time::timeout(Duration::from_secs(5), consumer.next(1))
        .await
        .unwrap()
        .unwrap()
        .remove(0);
    assert_eq!((lease.job().attempts, lease.job().deaths), (1, 0));
    lease.settle(Settlement::ack()).await;
}

#[tokio::test]
async fn hold_and_pause_stop_claiming() {
    let server = RedisServer::start();
    let queue = server.queue();
    let consumer = start(&queue);
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    consumer.hold("clickhouse is away");
    assert_eq!(
        consumer.status().held.as_deref(),
        Some("clickhouse is away")
    );
    assert!(
        tokio::time::timeout(Duration::from_millis(200), consumer.next(1))
            .await
            .is_err()
    );
    queue.pause("breaker", "test").await.unwrap();
    consumer.proceed();
    assert!(
        tokio::time::timeout(Duration::from_millis(300), consumer.next(1))
            .await
            .is_err()
    );
    assert_eq!(consumer.status().paused.unwrap().reason, "breaker");
    let resumed = Instant::now();
    queue.resume().await.unwrap();
    let lease = consumer.next(1).await.unwrap().remove(0);
    assert!(resumed.elapsed() < Duration::from_secs(2));
    lease.settle(Settlement::ack()).await;
}

#[tokio::test]
async fn shutdown_waits_then_releases_then_deregisters() {
    let server = RedisServer::start();
    let queue = server.queue();
    let consumer = start(&queue);
    let registered = eventually("registration", || async {
        queue.workers().await.unwrap().pop()
    })
    .await;
    assert_eq!(&registered.id, consumer.id());
    assert_eq!(registered.fields["device"], "cpu");
    queue
        .enqueue(&[NewJob::new("quick"), NewJob::new("slow")])
        .await
        .unwrap();
    let leases = consumer.next(2).await.unwrap();
    let quick = leases[0].clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        quick.settle(Settlement::ack()).await
    });
    let report = consumer.shutdown(Duration::from_millis(400)).await;
    assert_eq!((report.released, report.unconfirmed), (1, 0));
    assert!(leases[1].is_lost());
    let slow = queue.get("slow").await.unwrap().unwrap();
    assert_eq!(
        (slow.state, slow.attempts, slow.deaths),
        (State::Pending, 0, 0)
    );
    assert_eq!(
        queue.get("quick").await.unwrap().unwrap().state,
        State::Done
    );
    assert!(queue.workers().await.unwrap().is_empty());
    assert!(matches!(consumer.next(1).await, Err(QueueError::ShutDown)));
}

#[tokio::test]
async fn a_flush_is_survived_and_the_worker_registers_again() {
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(600);
        options.renew_every = Duration::from_millis(100);
    });
    let consumer = start(&queue);
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let lease = consumer.next(1).await.unwrap().remove(0);
    let _: () = redis::cmd("FLUSHALL")
        .query_async(&mut server.cli().await)
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(5), lease.lost())
        .await
        .expect("the lease is gone");
    eventually("registration", || async {
        queue.workers().await.unwrap().pop()
    })
    .await;
    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let again = consumer.next(1).await.unwrap().remove(0);
    assert!(again.token() > lease.token());
    again.settle(Settlement::ack()).await;
    assert_eq!(
        queue
            .settle(
                &LeaseRef {
                    id: "j".into(),
                    token: lease.token()
                },
                Settlement::ack()
            )
            .await
            .unwrap(),
        weldfleet_queue::Outcome::Lost
    );
}

/// Commands that Redis ran, those inside scripts counted.
async fn commands(server: &RedisServer) -> u64 {
    let stats: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(&mut server.cli().await)
        .await
        .unwrap();
    let calls = stats.lines().filter_map(|line| {
        let calls = line.split_once("calls=")?.1.split(',').next()?;
        calls.parse::<u64>().ok()
    });
    calls.sum()
}

#[tokio::test]
async fn an_ending_that_is_handed_in_travels_with_the_next_claim() {
    const JOBS: u64 = 2000;
    let server = RedisServer::start_with(&["--appendonly", "no"]);
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_secs(60);
        options.renew_every = Duration::from_secs(20);
    });
    let jobs: Vec<_> = (0..JOBS).map(|n| NewJob::new(format!("{n:05}"))).collect();
    queue.enqueue(&jobs).await.unwrap();
    let consumer = start(&queue);
    eventually("registration", || async {
        queue.workers().await.unwrap().pop()
    })
    .await;
    let before = commands(&server).await;
    let mut last = None;
    for _ in 0..JOBS {
        let lease = consumer.next(1).await.unwrap().remove(0);
        lease.hand_in(Settlement::ack());
        last = Some(lease);
    }
    // nobody claims any more: the last one goes alone, and soon
    let last = last.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(1), last.settled());
    assert_eq!(ended.await.unwrap(), Settled::Settled(State::Done));
    let each = (commands(&server).await - before) as f64 / JOBS as f64;
    println!("{each:.2} commands a job");
    assert!(each < 16.0, "{each:.2} commands a job");
    assert_eq!(queue.stats().await.unwrap().count(State::Done), JOBS);
}

/// When the worker was last heard, in ms of Redis time.
async fn seen_at(server: &RedisServer, queue: &Queue, consumer: &Consumer) -> Option<u64> {
    redis::cmd("HGET")
        .arg(queue.keys().worker(consumer.id().as_str()))
        .arg("seen_at")
        .query_async(&mut server.cli().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_idle_worker_of_a_large_fleet_speaks_seldom_and_its_next_lease_is_renewed_all_the_same()
{
    let server = RedisServer::start();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(900);
        options.renew_every = Duration::from_millis(200);
        options.worker_expiry = Some(Duration::from_secs(60));
    });
    for n in 0..300 {
        let id = crate::server::worker(&format!("other-{n}"));
        queue.register(&id, &Default::default()).await.unwrap();
    }
    let consumer = start(&queue);
    // the renewal after its registration tells it how many they are
    let registered = eventually("registration", || seen_at(&server, &queue, &consumer)).await;
    let renews_rarely_since = eventually("a renewal", || async {
        seen_at(&server, &queue, &consumer)
            .await
            .filter(|seen| *seen > registered)
    })
    .await;
    tokio::time::sleep(queue.options().ttl).await;
    assert_eq!(
        seen_at(&server, &queue, &consumer).await,
        Some(renews_rarely_since),
        "it has nothing to say"
    );

    queue.enqueue(&[NewJob::new("j")]).await.unwrap();
    let lease = consumer.next(1).await.unwrap().remove(0);
    let until = Instant::now() + queue.options().ttl * 3;
    while Instant::now() < until {
        let thief = queue.claim(&crate::server::worker("thief"), 1).await;
        assert!(
            thief.unwrap().jobs.is_empty(),
            "the lease was not renewed in time"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        lease.settle(Settlement::ack()).await,
        Settled::Settled(State::Done)
    );
}
