//! No call holds Redis up, however much there is: each is measured by the CPU time that Redis spent between its start and its end, which
//! unlike a stopwatch does not count what the machine did meanwhile. `make test-nightly` sets `BOUNDED_JOBS` to a million.

use std::{collections::BTreeMap, time::Duration};

use weldfleet_queue::{Ending, LeaseRef, NewJob, Queue, Settlement, State};

use crate::server::{RedisServer, worker};

/// What one call may take of Redis.
const MOST: Duration = Duration::from_millis(10);

struct Watch {
    schedule: String,
    took: BTreeMap<&'static str, Vec<Duration>>,
}

impl Watch {
    fn new(server: &RedisServer) -> Self {
        Self {
            schedule: format!("/proc/{}/schedstat", server.pid()),
            took: BTreeMap::new(),
        }
    }

    fn on_cpu(&self) -> Duration {
        let text = std::fs::read_to_string(&self.schedule).unwrap();
        Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
    }

    async fn call<T>(&mut self, name: &'static str, call: impl Future<Output = T>) -> T {
        let before = self.on_cpu();
        let answer = call.await;
        let took = self.on_cpu().saturating_sub(before);
        self.took.entry(name).or_default().push(took);
        answer
    }

    fn verdict(&self) {
        for (name, took) in &self.took {
            let mut sorted = took.clone();
            sorted.sort_by(|a, b| b.cmp(a));
            let (calls, worst, half) = (took.len(), sorted[0], sorted[took.len() / 2]);
            println!(
                "redis spent on {calls} calls of {name}: half of them {half:?} or less, worst {worst:?}"
            );
            assert!(worst <= MOST, "{name} held redis up for {worst:?}");
        }
    }
}

fn jobs() -> usize {
    std::env::var("BOUNDED_JOBS").map_or(100_000, |text| text.parse().unwrap())
}

async fn enqueue(watch: &mut Watch, queue: &Queue, total: usize, change: impl Fn(&mut NewJob)) {
    for from in (0..total).step_by(64) {
        let chunk: Vec<_> = (from..total.min(from + 64))
            .map(|n| {
                let mut job = NewJob::new(format!("{n:08}"))
                    // as many groups as one call lists
                    .group(format!("g{}", n % 100))
                    .field("from", "a")
                    .field("to", "b");
                change(&mut job);
                job
            })
            .collect();
        watch.call("enqueue", queue.enqueue(&chunk)).await.unwrap();
    }
}

/// A command that may take its time.
async fn raw(server: &RedisServer, command: &[&str]) {
    let mut cmd = redis::cmd(command[0]);
    cmd.arg(&command[1..]);
    let patient = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&patient)
        .await
        .unwrap();
    let _: redis::Value = cmd.query_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_flood_of_due_jobs_is_worked_off_without_holding_redis_up() {
    let server = RedisServer::start_with(&["--appendonly", "no"]);
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_secs(60);
        options.retain_done = 0;
    });
    let (mut watch, total) = (Watch::new(&server), jobs());
    queue.pause("until all are due", "test").await.unwrap();
    enqueue(&mut watch, &queue, total, |job| {
        job.delay = Duration::from_millis(1);
    })
    .await;
    watch.call("resume", queue.resume()).await.unwrap();
    let (me, mut done, mut endings) = (worker("w"), 0, Vec::new());
    while done < total {
        let turn = watch
            .call("turn", queue.turn(&me, &endings, 64))
            .await
            .unwrap();
        done += turn.outcomes.len();
        endings = turn
            .claim
            .jobs
            .into_iter()
            .map(|job| Ending {
                lease: LeaseRef {
                    id: job.id,
                    token: job.token,
                },
                settlement: Settlement::ack(),
            })
            .collect();
    }
    while watch.call("collect", queue.collect()).await.unwrap().more {}
    let stats = watch.call("stats", queue.stats()).await.unwrap();
    assert_eq!(
        (stats.outstanding(0), stats.count(State::Done)),
        (0, 0),
        "{stats:?}"
    );
    watch.verdict();
}

#[tokio::test]
async fn a_flood_of_expired_leases_is_collected_without_holding_redis_up() {
    let server = RedisServer::start_with(&["--appendonly", "no"]);
    let long = server.queue_with(|options| options.ttl = Duration::from_secs(3600));
    let queue = server.queue();
    let (mut watch, total) = (Watch::new(&server), jobs());
    enqueue(&mut watch, &long, total, |_| {}).await;
    for n in 0..total.div_ceil(64) {
        let name = worker(&format!("w{n}"));
        let claim = watch.call("claim", long.claim(&name, 64)).await.unwrap();
        assert!(!claim.jobs.is_empty());
    }
    // every lease runs out at once; by then Redis has been up for one ttl of the second handle
    let leased = queue.keys().state(State::Leased);
    raw(
        &server,
        &["ZUNIONSTORE", &leased, "1", &leased, "WEIGHTS", "0"],
    )
    .await;
    raw(&server, &["SET", &queue.keys().named("due"), "0"]).await;
    let mut expired = 0;
    while expired < total as u64 {
        let collected = watch.call("collect", queue.collect()).await.unwrap();
        if collected.held {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        expired += collected.expired;
    }
    // all of them must run alone now; what people look at meanwhile costs as little
    let mut seen = 0;
    for group in watch.call("groups", queue.groups()).await.unwrap() {
        seen += group.outstanding;
    }
    assert_eq!(seen, total as u64);
    let page = watch
        .call("list", queue.list(State::Pending, total as u64 / 2, 100))
        .await
        .unwrap();
    assert_eq!(page.jobs.len(), 100);
    let me = worker("heir");
    for _ in 0..100 {
        let job = watch
            .call("claim", queue.claim(&me, 64))
            .await
            .unwrap()
            .jobs
            .remove(0);
        assert_eq!(job.deaths, 1);
        let lease = LeaseRef {
            id: job.id,
            token: job.token,
        };
        watch
            .call("ack", queue.ack(&lease, &Vec::new()))
            .await
            .unwrap();
    }
    watch
        .call("release_all", queue.release_all(&me))
        .await
        .unwrap();
    watch
        .call("pause", queue.pause("enough", "test"))
        .await
        .unwrap();
    watch.call("resume", queue.resume()).await.unwrap();
    watch.verdict();
}
