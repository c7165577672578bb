//! One fleet at work: members, the owner, the store.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weldfleet_queue::{Options, Queue, QueueError, State};

use crate::{
    member::{Member, TTL_MS},
    owner::Owner,
    store::Store,
};

/// Jobs that a member claims at a time.
const BATCH: u32 = 4;
const QUEUE: &str = "test";
/// Longest time without any progress, whatever is being done to the fleet.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Plan {
    pub jobs: usize,
    pub members: usize,
    /// How long a handler works.
    pub ms: u64,
    pub max_attempts: u32,
}

pub struct Trial {
    pub jobs: usize,
    pub queue: Queue,
    pub store: Arc<Store>,
    pub members: Vec<Member>,
    pub started: Instant,
    url: String,
    born: usize,
    /// Effects when they last became more, and when that was.
    last_move: (usize, Instant),
    stop: CancellationToken,
    owner: JoinHandle<Result<(), QueueError>>,
}

impl Trial {
    pub async fn start(url: &str, plan: &Plan) -> Self {
        let mut options = Options::new(url, QUEUE);
        options.ttl = Duration::from_millis(TTL_MS);
        options.renew_every = options.ttl / 4;
        options.max_attempts = plan.max_attempts;
        let queue = Queue::new(options).unwrap();
        let store = Arc::new(Store::start().await);
        let stop = CancellationToken::new();
        let owner = Owner {
            queue: queue.with_own_connection().unwrap(),
            store: store.clone(),
            jobs: plan.jobs,
            ms: plan.ms,
        };
        let mut trial = Self {
            jobs: plan.jobs,
            queue,
            store,
            members: Vec::new(),
            started: Instant::now(),
            url: url.to_owned(),
            born: 0,
            last_move: (0, Instant::now()),
            owner: tokio::spawn(owner.run(stop.clone())),
            stop,
        };
        for _ in 0..plan.members {
            let member = trial.another();
            trial.members.push(member);
        }
        trial
    }

    fn another(&mut self) -> Member {
        self.born += 1;
        let name = format!("m{}", self.born);
        Member::start(&self.url, &self.store.url, QUEUE, &name, BATCH)
    }

    /// `kill -9`; a new member takes the place.
    pub fn replace(&mut self, place: usize) {
        self.members[place].kill();
        self.members[place] = self.another();
    }

    /// Waits until `count` jobs have their effect.
    pub async fn until(&mut self, count: usize) {
        while !self.reached(count).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until `count` more jobs have their effect.
    ///
    /// # Panics
    /// If there are not so many left.
    pub async fn work_on(&mut self, count: usize) {
        let goal = self.store.progress().await + count;
        assert!(
            goal <= self.jobs,
            "the work ran out before the faults did: set JOBS higher than {}, or fewer faults",
            self.jobs
        );
        self.until(goal).await;
    }

    /// Have `count` jobs their effect?
    ///
    /// # Panics
    /// If nothing has moved for a minute, or the owner has given up.
    pub async fn reached(&mut self, count: usize) -> bool {
        let progress = self.store.progress().await;
        if progress >= count {
            return true;
        }
        if progress > self.last_move.0 {
            self.last_move = (progress, Instant::now());
        }
        let still = self.last_move.1.elapsed();
        if self.owner.is_finished() {
            let end = (&mut self.owner).await;
            panic!("the owner gave up at {progress} of {count} effects: {end:?}");
        }
        if still > PATIENCE {
            let stats = self.queue.stats().await;
            panic!("{progress} of {count} effects, none for {still:?}: {stats:?}");
        }
        false
    }

    /// Waits until every job has its effect and nothing is outstanding; nobody may have left on the way.
    pub async fn finish(&mut self) {
        self.until(self.jobs).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = self.queue.stats().await;
            if let Ok(stats) = &stats
                && stats.outstanding(0) == 0
                && stats.count(State::Dead) == 0
            {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "the last jobs are not acked: {stats:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stop.cancel();
        let owner = &mut self.owner;
        owner.await.unwrap().unwrap();
        for member in &mut self.members {
            member.assert_alive();
        }
    }

    /// No lease was taken for an outage.
    pub async fn assert_no_death(&self) {
        let stats = self.queue.stats().await.unwrap();
        if stats.totals.contains_key("deaths") {
            let mut died = Vec::new();
            let mut at = Some(0);
            while let Some(from) = at {
                let page = self.queue.list(State::Done, from, 1000).await.unwrap();
                died.extend(page.jobs.into_iter().filter(|job| job.deaths > 0));
                at = page.next;
            }
            panic!(
                "leases ran out: {:?}; of jobs still known: {died:#?}",
                stats.totals
            );
        }
    }
}
