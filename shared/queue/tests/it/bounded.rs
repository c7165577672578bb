//! No call holds Redis up, however much there is: each is measured by the CPU time that Redis spent between its start
//! and its end, which unlike a stopwatch does not count what the machine did meanwhile. That time still has Redis's own
//! housekeeping in it, ten times a second, and on a virtual machine the pauses that its host makes. Neither hits the
//! same call of two equal runs: where a call of one run took too long, that call of a second run decides. `make
//! test-nightly` sets `BOUNDED_JOBS` to a million.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use weldfleet_queue::{
    Collected, Ending, LeaseRef, NewJob, Outcome, Queue, Renewal, Settlement, State, WorkerId,
};

use crate::{
    protocol::lease,
    server::{RedisServer, worker},
};

/// What one call may take of Redis.
const MOST: Duration = Duration::from_millis(10);
/// Jobs that one call enqueues, claims or ends.
const MOST_AT_ONCE: usize = 32;

/// What each call of a kind took, in their order.
type Took = BTreeMap<&'static str, Vec<Duration>>;

struct Watch {
    schedule: String,
    took: Took,
}

impl Watch {
    fn new(server: &RedisServer) -> Self {
        Self {
            schedule: format!("/proc/{}/schedstat", server.pid()),
            took: Took::new(),
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

    /// One that is not held back: when that happens depends on the machine, not on what is there.
    async fn collect(&mut self, queue: &Queue) -> Collected {
        loop {
            let collected = self.call("collect", queue.collect()).await.unwrap();
            if !collected.held {
                return collected;
            }
            self.took.get_mut("collect").unwrap().pop();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The calls that took too long, by name and number.
fn too_long(took: &Took) -> BTreeSet<(&'static str, usize)> {
    for (name, took) in took {
        let mut sorted = took.clone();
        sorted.sort();
        let (calls, half) = (took.len(), sorted[took.len() / 2]);
        let worst = sorted[calls - 1];
        println!(
            "redis spent on {calls} calls of {name}: half of them {half:?} or less, worst {worst:?}"
        );
    }
    let numbered = took
        .iter()
        .flat_map(|(name, took)| took.iter().enumerate().map(|(n, took)| ((*name, n), *took)));
    numbered
        .filter(|(_, took)| *took > MOST)
        .map(|(call, _)| call)
        .collect()
}

/// Kinds of calls of which more than one in a thousand took too long, and more than a few.
fn often_too_long(calls: &BTreeSet<(&'static str, usize)>, took: &Took) -> BTreeSet<&'static str> {
    let often = took.iter().filter(|(name, took)| {
        let slow = calls.iter().filter(|(slow, _)| slow == *name).count();
        slow > 5.max(took.len() / 1000)
    });
    often.map(|(name, _)| *name).collect()
}

/// `run` makes the same calls over the same data each time.
async fn assert_bounded(run: impl AsyncFn() -> Took) {
    let first = run().await;
    let slow = too_long(&first);
    if slow.is_empty() {
        return;
    }
    println!("more than {MOST:?}: {slow:?}; once more");
    let second = run().await;
    let slow_again = too_long(&second);
    let both: Vec<_> = slow.intersection(&slow_again).collect();
    assert!(both.is_empty(), "held redis up in two runs: {both:?}");
    let often = &often_too_long(&slow, &first) & &often_too_long(&slow_again, &second);
    assert!(often.is_empty(), "often held redis up: {often:?}");
}

fn jobs() -> usize {
    std::env::var("BOUNDED_JOBS").map_or(100_000, |text| text.parse().unwrap())
}

async fn enqueue(
    watch: &mut Watch,
    queue: &Queue,
    total: usize,
    mut change: impl FnMut(&mut NewJob),
) {
    for from in (0..total).step_by(MOST_AT_ONCE) {
        let chunk: Vec<_> = (from..total.min(from + MOST_AT_ONCE))
            .map(|n| {
                let mut job = NewJob::new(format!("20261122-0-1795290000000-{n:08}"))
                    // as many groups as one call lists
                    .group(format!("0:202611{:02}", n % 100))
                    .field("from", "a")
                    .field("to", "b");
                change(&mut job);
                job
            })
            .collect();
        watch.call("enqueue", queue.enqueue(&chunk)).await.unwrap();
    }
}

/// One worker gives back what it holds, one renews what a script can renew, one holds very many leases. All end theirs.
/// Returns how many ended.
async fn hold_many(watch: &mut Watch, queue: &Queue) -> usize {
    let few = worker("few");
    let leases = claim_up_to(watch, queue, &few, 50).await;
    let released = watch
        .call("give_back_all", queue.give_back(&few, &[]))
        .await;
    assert_eq!(released.unwrap(), leases.len() as u64);

    let mut ended = 0;
    for (me, wanted) in [(worker("many"), 200), (worker("most"), 1600)] {
        let leases = claim_up_to(watch, queue, &me, wanted).await;
        assert!((150..2000).contains(&leases.len()), "{}", leases.len());
        for chunk in leases.chunks(200) {
            let renewals = watch.call("renew", queue.renew(&me, chunk)).await;
            let renewals = renewals.unwrap().renewals;
            assert!(renewals.iter().all(|one| *one == Renewal::Renewed));
        }
        for chunk in leases.chunks(MOST_AT_ONCE) {
            let endings = acks(chunk.iter().cloned());
            let turn = watch.call("turn", queue.turn(&me, &endings, 0));
            ended += turn.await.unwrap().outcomes.len();
        }
    }
    ended
}

/// Claims until there are so many leases.
async fn claim_up_to(
    watch: &mut Watch,
    queue: &Queue,
    me: &WorkerId,
    wanted: usize,
) -> Vec<LeaseRef> {
    let mut leases = Vec::new();
    while leases.len() < wanted {
        let most = MOST_AT_ONCE.min(wanted - leases.len()) as u32;
        let claim = watch.call("claim", queue.claim(me, most)).await.unwrap();
        leases.extend(claim.jobs.iter().map(lease));
    }
    leases
}

fn acks(leases: impl IntoIterator<Item = LeaseRef>) -> Vec<Ending> {
    let settlement = Settlement::ack();
    let ending = |lease| Ending {
        lease,
        settlement: settlement.clone(),
    };
    leases.into_iter().map(ending).collect()
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

/// Every lease runs out at once.
async fn expire_all(server: &RedisServer, queue: &Queue) {
    let leased = queue.keys().state(State::Leased);
    raw(
        server,
        &["ZUNIONSTORE", &leased, "1", &leased, "WEIGHTS", "0"],
    )
    .await;
    raw(server, &["SET", &queue.keys().named("due"), "0"]).await;
}

#[tokio::test]
async fn a_flood_of_due_jobs_is_worked_off_without_holding_redis_up() {
    assert_bounded(work_off_due_jobs).await;
}

async fn work_off_due_jobs() -> Took {
    let server = RedisServer::start_with(&["--appendonly", "no"]);
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_secs(60);
        options.retain_done = 0;
    });
    let (mut watch, total) = (Watch::new(&server), jobs());
    queue.pause("until all are due", "test").await.unwrap();
    // every second one waits, so that a turn has as much as it may of all
    let mut waits = true;
    enqueue(&mut watch, &queue, total, |job| {
        waits = !waits;
        job.delay = Duration::from_millis(u64::from(waits));
    })
    .await;
    watch.call("resume", queue.resume()).await.unwrap();
    let mut done = hold_many(&mut watch, &queue).await;
    let (me, mut endings) = (worker("w"), Vec::new());
    while done < total {
        let turn = watch
            .call("turn", queue.turn(&me, &endings, MOST_AT_ONCE as u32))
            .await
            .unwrap();
        done += turn.outcomes.len();
        endings = acks(turn.claim.jobs.iter().map(lease));
    }
    while watch.call("collect", queue.collect()).await.unwrap().more {}
    let stats = watch.call("stats", queue.stats()).await.unwrap();
    assert_eq!(
        (stats.outstanding(0), stats.count(State::Done)),
        (0, 0),
        "{stats:?}"
    );
    watch.took
}

#[tokio::test]
async fn a_flood_of_expired_leases_is_collected_without_holding_redis_up() {
    assert_bounded(collect_expired_leases).await;
}

async fn collect_expired_leases() -> Took {
    let server = RedisServer::start_with(&["--appendonly", "no"]);
    let long = server.queue_with(|options| options.ttl = Duration::from_secs(3600));
    let queue = server.queue();
    let (mut watch, total) = (Watch::new(&server), jobs());
    enqueue(&mut watch, &long, total, |_| {}).await;
    for n in 0..total.div_ceil(MOST_AT_ONCE) {
        let name = worker(&format!("w{n}"));
        let claim = watch
            .call("claim", long.claim(&name, MOST_AT_ONCE as u32))
            .await
            .unwrap();
        assert!(!claim.jobs.is_empty());
    }
    expire_all(&server, &queue).await;
    let mut expired = 0;
    let (me, mut endings, mut acked) = (worker("heir"), Vec::new(), 0);
    while expired < total as u64 / 2 {
        expired += watch.collect(&queue).await.expired;
    }
    // the other half by those who work, each job isolated now
    while queue.stats().await.unwrap().count(State::Leased) > endings.len() as u64 {
        let turn = watch.call("turn", queue.turn(&me, &endings, MOST_AT_ONCE as u32));
        let turn = turn.await.unwrap();
        acked += turn.outcomes.len() as u64;
        endings = acks(turn.claim.jobs.iter().map(lease));
        assert!(endings.len() <= 1);
    }
    let turn = watch.call("turn", queue.turn(&me, &endings, 0)).await;
    acked += turn.unwrap().outcomes.len() as u64;
    // what people look at meanwhile costs as little
    let mut seen = 0;
    for group in watch.call("groups", queue.groups()).await.unwrap() {
        seen += group.outstanding;
    }
    assert_eq!(seen, total as u64 - acked);
    let page = watch
        .call("list", queue.list(State::Pending, total as u64 / 2, 100))
        .await
        .unwrap();
    assert_eq!(page.jobs.len(), 100);
    for _ in 0..100 {
        let job = watch
            .call("claim", queue.claim(&me, MOST_AT_ONCE as u32))
            .await
            .unwrap()
            .jobs
            .remove(0);
        assert_eq!(job.deaths, 1);
        watch
            .call("ack", queue.settle(&lease(&job), Settlement::ack()))
            .await
            .unwrap();
    }
    watch
        .call("give_back_all", queue.give_back(&me, &[]))
        .await
        .unwrap();
    watch
        .call("pause", queue.pause("enough", "test"))
        .await
        .unwrap();
    watch.call("resume", queue.resume()).await.unwrap();
    watch.took
}

#[tokio::test]
async fn jobs_whose_hashes_are_gone_are_made_anew_without_holding_redis_up() {
    assert_bounded(make_anew).await;
}

/// Somebody deletes the hashes of all that a large fleet holds. What the fleet knows of them must go, wherever it is.
async fn make_anew() -> Took {
    let server = RedisServer::start_with(&["--appendonly", "no"]);
    let long = server.queue_with(|options| options.ttl = Duration::from_secs(3600));
    let queue = server.queue();
    let (workers, held, total) = (1000, 4, 4000);
    let mut watch = Watch::new(&server);
    enqueue(&mut watch, &long, total, |_| {}).await;
    let mut leases = Vec::new();
    for n in 0..workers {
        let name = worker(&format!("w{n}"));
        long.register(&name, &BTreeMap::new()).await.unwrap();
        let claim = long.claim(&name, held).await.unwrap();
        leases.extend(claim.jobs.iter().map(lease));
    }
    assert_eq!(leases.len(), total);

    forget_hashes(&server, &queue).await;
    enqueue(&mut watch, &long, total, |_| {}).await;
    repair(&long, total).await;
    assert_eq!(long.stats().await.unwrap().outstanding(0), total as u64);
    for lease in &leases {
        let outcome = long.settle(lease, Settlement::ack()).await.unwrap();
        assert_eq!(outcome, Outcome::Lost);
    }
    assert_eq!(
        long.stats().await.unwrap().count(State::Pending),
        total as u64
    );

    for n in 0..workers {
        let name = worker(&format!("w{n}"));
        let claim = long.claim(&name, held).await.unwrap();
        assert_eq!(claim.jobs.len(), held as usize);
    }
    forget_hashes(&server, &queue).await;
    expire_all(&server, &queue).await;
    while queue.stats().await.unwrap().count(State::Leased) > 0 {
        watch.collect(&queue).await;
    }
    repair(&long, total).await;
    let stats = queue.stats().await.unwrap();
    assert_eq!(stats.outstanding(0), 0, "{stats:?}");
    watch.took
}

/// What `scheduler jobs repair --yes` does; each job is a call of its own.
async fn repair(queue: &Queue, damaged: usize) {
    let repaired = queue.repair(true).await.unwrap();
    assert_eq!(repaired.jobs.len(), damaged);
    let sound = queue.repair(false).await.unwrap();
    assert_eq!(
        (sound.jobs.len(), sound.miscounted),
        (0, Some(BTreeMap::new()))
    );
}

async fn forget_hashes(server: &RedisServer, queue: &Queue) {
    let script = "for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('DEL', ARGV[1] .. id) end";
    let (leased, hashes) = (queue.keys().state(State::Leased), queue.keys().job(""));
    raw(server, &["EVAL", script, "1", &leased, &hashes]).await;
}

/// Runs of twenty calls each, of which these take too long.
fn scripted(runs: [&'static [usize]; 2]) -> impl AsyncFn() -> Took {
    let runs = std::cell::RefCell::new(runs.into_iter());
    async move || {
        let slow = runs.borrow_mut().next().unwrap();
        let took = |n: usize| MOST * if slow.contains(&n) { 2 } else { 1 };
        Took::from([("call", (0..20).map(took).collect())])
    }
}

#[tokio::test]
async fn a_pause_of_the_machine_is_not_held_against_a_call() {
    assert_bounded(scripted([&[0, 2], &[1]])).await;
}

#[tokio::test]
#[should_panic(expected = "held redis up in two runs: [(\"call\", 2)]")]
async fn a_call_that_takes_too_long_each_time_is_noticed() {
    assert_bounded(scripted([&[0, 2], &[1, 2]])).await;
}

#[tokio::test]
#[should_panic(expected = "often held redis up: {\"call\"}")]
async fn calls_that_often_take_too_long_are_noticed() {
    assert_bounded(scripted([&[0, 2, 4, 6, 8, 10], &[1, 3, 5, 7, 9, 11]])).await;
}
