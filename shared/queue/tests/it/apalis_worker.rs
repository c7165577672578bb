//! apalis runs the handlers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use apalis_core::{
    error::{AbortError, BoxDynError},
    worker::{builder::WorkerBuilder, event::Event, ext::event_listener::EventListenerExt},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weldfleet_queue::{
    Consumer, Job, Lease, NewJob, Queue, Settlement, State, WorkerInfo, apalis::LeasedBackend,
};

use crate::server::{RedisServer, eventually};

fn quick_retries(server: &RedisServer) -> Queue {
    server.queue_with(|options| options.retry.base = Duration::from_millis(20))
}

/// For `run_until`: the end of a worker.
fn until(stop: &CancellationToken) -> impl Future<Output = std::io::Result<()>> + Send + 'static {
    let stop = stop.clone();
    async move {
        stop.cancelled().await;
        Ok(())
    }
}

async fn ended<E: std::fmt::Debug>(running: JoinHandle<Result<(), E>>) {
    let ended = tokio::time::timeout(Duration::from_secs(5), running).await;
    ended
        .expect("the worker ends with its handlers")
        .unwrap()
        .unwrap();
}

async fn state_of(queue: &Queue, id: &str, state: State) -> Option<Job> {
    queue
        .get(id)
        .await
        .ok()
        .flatten()
        .filter(|job| job.state == state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_ack_retry_bury_and_panic() {
    let server = RedisServer::start();
    let queue = quick_retries(&server);
    let consumer = Consumer::start(queue.clone(), WorkerInfo::new("host")).unwrap();
    let runs = Arc::new(Mutex::new(Vec::new()));
    let log = runs.clone();
    let worker = WorkerBuilder::new(consumer.id().as_str())
        .backend(LeasedBackend::new(consumer.clone()).concurrency(3))
        .layer(tower::timeout::TimeoutLayer::new(Duration::from_millis(
            300,
        )))
        .build(move |job: Job, lease: Lease| {
            let log = log.clone();
            async move {
                assert_eq!(job.token, lease.token());
                log.lock().unwrap().push(job.id.clone());
                let first = job.attempts == 1;
                match job.id.as_str() {
                    "panics" if first => panic!("out of cheese"),
                    "fails" if first => Err::<Settlement, BoxDynError>("flaky".into()),
                    "hopeless" => Err(AbortError::new("no such thing").into()),
                    "slow" if first => {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                        Ok(Settlement::ack())
                    }
                    "released"
                        if log
                            .lock()
                            .unwrap()
                            .iter()
                            .filter(|id| *id == "released")
                            .count()
                            == 1 =>
                    {
                        Ok(Settlement::release("later"))
                    }
                    _ => Ok(Settlement::Ack {
                        fields: vec![("by".into(), "handler".into())],
                    }),
                }
            }
        });
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker.run_until(until(&stop)));
    let names = ["plain", "panics", "fails", "slow", "released"];
    let mut jobs: Vec<_> = names.iter().map(|&name| NewJob::new(name)).collect();
    jobs.push(NewJob::new("hopeless"));
    queue.enqueue(&jobs).await.unwrap();
    for name in names {
        let job = eventually(name, || state_of(&queue, name, State::Done)).await;
        assert_eq!(job.get("by"), Some("handler"));
        let expected = match name {
            "panics" => (2, "out of cheese"),
            "fails" => (2, "flaky"),
            "slow" => (2, "timed out"),
            _ => (1, ""),
        };
        assert_eq!(job.attempts, expected.0, "{name}");
        assert!(
            job.history.join("\n").contains(expected.1),
            "{name}: {:?}",
            job.history
        );
    }
    let dead = eventually("hopeless", || state_of(&queue, "hopeless", State::Dead)).await;
    assert!(dead.error.contains("no such thing") && dead.attempts == 1);
    stop.cancel();
    ended(running).await;
    consumer.shutdown(Duration::from_secs(1)).await;
    assert_eq!(queue.stats().await.unwrap().count(State::Leased), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_claimed_than_handlers_are_free_and_an_outage_ends_no_worker() {
    let mut server = RedisServer::start();
    let queue = quick_retries(&server);
    let consumer = Consumer::start(queue.clone(), WorkerInfo::new("host")).unwrap();
    let (now, most, errors) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (in_hand, peak, seen) = (now.clone(), most.clone(), errors.clone());
    let observer = queue.clone();
    let worker = WorkerBuilder::new(consumer.id().as_str())
        .backend(LeasedBackend::new(consumer.clone()).concurrency(3))
        .on_event(move |_, event| {
            if matches!(event, Event::Error(_)) {
                seen.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build(move |_: Job| {
            let (in_hand, peak) = (in_hand.clone(), peak.clone());
            async move {
                peak.fetch_max(in_hand.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                in_hand.fetch_sub(1, Ordering::SeqCst);
            }
        });
    let running = tokio::spawn(async move { worker.run().await });
    let jobs: Vec<_> = (0..40).map(|n| NewJob::new(format!("a{n:02}"))).collect();
    queue.enqueue(&jobs).await.unwrap();
    let leased = AtomicU64::new(0);
    eventually("the first forty", || async {
        let stats = observer.stats().await.unwrap();
        Some(stats.count(State::Done)).filter(|done| *done == 40)
    })
    .await;
    server.kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.start_again();
    let jobs: Vec<_> = (0..40).map(|n| NewJob::new(format!("b{n:02}"))).collect();
    eventually("redis", || async { queue.enqueue(&jobs).await.ok() }).await;
    eventually("the second forty", || async {
        let stats = observer.stats().await.unwrap();
        leased.fetch_max(stats.count(State::Leased), Ordering::Relaxed);
        Some(()).filter(|()| stats.count(State::Done) == 80)
    })
    .await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert!(
        leased.load(Ordering::Relaxed) <= 3,
        "{leased:?} leases held at once"
    );
    assert_eq!(errors.load(Ordering::Relaxed), 0);
    assert!(!running.is_finished());
    consumer.stop_claiming();
    tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_lets_handlers_finish_and_gives_the_rest_back() {
    let server = RedisServer::start();
    let queue = quick_retries(&server);
    let consumer = Consumer::start(queue.clone(), WorkerInfo::new("host")).unwrap();
    let worker = WorkerBuilder::new(consumer.id().as_str())
        .backend(LeasedBackend::new(consumer.clone()).concurrency(2))
        .build(move |job: Job| async move {
            let time = if job.id == "endless" { 60_000 } else { 300 };
            tokio::time::sleep(Duration::from_millis(time)).await;
        });
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker.run_until(until(&stop)));
    queue
        .enqueue(&[
            NewJob::new("endless"),
            NewJob::new("short"),
            NewJob::new("waits"),
        ])
        .await
        .unwrap();
    eventually("both slots to be taken", || async {
        Some(()).filter(|()| consumer.status().leases == 2)
    })
    .await;
    stop.cancel();
    let report = consumer.shutdown(Duration::from_millis(900)).await;
    assert_eq!(report.released, 1);
    ended(running).await;
    assert_eq!(
        queue.get("short").await.unwrap().unwrap().state,
        State::Done
    );
    let endless = queue.get("endless").await.unwrap().unwrap();
    assert_eq!((endless.state, endless.attempts), (State::Pending, 0));
    assert_eq!(queue.get("waits").await.unwrap().unwrap().attempts, 0);
}

/// apalis's own layers lie around the handler: a panic that one of them caught, a handler that fails, one that does
/// not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_layers_of_apalis_work() {
    use apalis::layers::{
        catch_panic::CatchPanicLayer, prometheus::PrometheusLayer, tracing::TraceLayer,
    };
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
        .install_recorder()
        .unwrap();
    let server = RedisServer::start();
    let queue = quick_retries(&server);
    let consumer = Consumer::start(queue.clone(), WorkerInfo::new("host")).unwrap();
    let worker = WorkerBuilder::new(consumer.id().as_str())
        .backend(LeasedBackend::new(consumer.clone()).concurrency(2))
        .layer(TraceLayer::new())
        .layer(PrometheusLayer::default())
        .layer(CatchPanicLayer::new())
        .build(async |job: Job| match (job.id.as_str(), job.attempts) {
            ("panics", 1) => panic!("out of cheese"),
            ("fails", 1) => Err::<Settlement, BoxDynError>("flaky".into()),
            _ => Ok(Settlement::ack()),
        });
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker.run_until(until(&stop)));
    let jobs = ["plain", "panics", "fails"].map(NewJob::new);
    queue.enqueue(&jobs).await.unwrap();
    for (name, attempts, said) in [
        ("plain", 1, ""),
        ("panics", 2, "out of cheese"),
        ("fails", 2, "flaky"),
    ] {
        let job = eventually(name, || state_of(&queue, name, State::Done)).await;
        assert_eq!(job.attempts, attempts, "{name}");
        assert!(
            job.history.join("\n").contains(said),
            "{name}: {:?}",
            job.history
        );
    }
    let text = metrics.render();
    assert!(
        text.contains("Job") && text.contains("status=\"Ok\""),
        "{text}"
    );
    stop.cancel();
    ended(running).await;
}
