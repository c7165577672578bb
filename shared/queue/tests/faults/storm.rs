//! Kills, zombies and restarts of Redis, all over one fleet while it works.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    dump,
    member::TTL_MS,
    server::RedisServer,
    size,
    trial::{Plan, Trial},
    verdict::{Memory, judge},
};

/// Longer than a lease, so that a zombie wakes up to work that is somebody else's.
const FROZEN: Duration = Duration::from_millis(TTL_MS + 700);
/// What a power cut may take with `appendfsync everysec`.
const FORGOTTEN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    Freeze,
    Restart,
}

#[tokio::test]
#[ignore = "minutes: fault profile"]
async fn a_redis_that_syncs_always_loses_nothing_and_acks_nothing_twice() {
    storm("always", Memory::Whole, &long()).await;
}

/// Every second restart is a power cut: Redis comes back without its last second.
#[tokio::test]
#[ignore = "minutes: fault profile"]
async fn what_a_redis_that_syncs_every_second_forgets_is_rebuilt() {
    storm("everysec", Memory::Torn, &long()).await;
}

#[tokio::test]
async fn a_breeze_over_a_redis_that_syncs_always() {
    storm("always", Memory::Whole, &SHORT).await;
}

#[tokio::test]
async fn a_breeze_over_a_redis_that_syncs_every_second() {
    storm("everysec", Memory::Torn, &SHORT).await;
}

struct Sizes {
    jobs: usize,
    members: usize,
    kills: usize,
    zombies: usize,
    restarts: usize,
}

const SHORT: Sizes = Sizes {
    jobs: 600,
    members: 4,
    kills: 4,
    zombies: 2,
    restarts: 2,
};

fn long() -> Sizes {
    Sizes {
        jobs: size("JOBS", 20_000),
        members: size("MEMBERS", 8),
        kills: size("KILLS", 200),
        zombies: size("ZOMBIES", 100),
        restarts: size("RESTARTS", 20),
    }
}

async fn storm(appendfsync: &str, memory: Memory, sizes: &Sizes) {
    let mut faults = vec![Fault::Kill; sizes.kills];
    faults.resize(faults.len() + sizes.zombies, Fault::Freeze);
    faults.resize(faults.len() + sizes.restarts, Fault::Restart);
    let mut dice = ChaCha8Rng::seed_from_u64(20_000);
    faults.shuffle(&mut dice);

    // one file that only grows, so that a power cut is a shorter file
    let whole_log = ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"];
    let extra = [&whole_log[..], &["--appendfsync", appendfsync]].concat();
    let mut server = RedisServer::start_with(&extra);
    let mut trial = Trial::start(
        &server.url(),
        &Plan {
            jobs: sizes.jobs,
            members: sizes.members,
            ms: 40,
            // kills are nobody's fault here
            max_attempts: 10_000,
        },
    )
    .await;
    let mut log = Log::of(&server).await;
    let mut zombies = Zombies::default();
    let mut restarts = 0;
    for (n, fault) in faults.iter().enumerate() {
        // spread over the whole work, so that every fault meets a busy fleet
        let next = trial.jobs * n / faults.len();
        while !trial.reached(next).await {
            log.look();
            zombies.thaw(&trial, FROZEN);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // whoever is frozen wakes up again: no kill makes a zombie less
        let awake = loop {
            let awake: Vec<_> = (0..trial.members.len())
                .filter(|place| zombies.is_awake(*place))
                .collect();
            if !awake.is_empty() {
                break awake;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            zombies.thaw(&trial, FROZEN);
        };
        let place = awake[dice.random_range(0..awake.len())];
        match fault {
            Fault::Kill => trial.replace(place),
            Fault::Freeze => zombies.freeze(&trial, place),
            Fault::Restart => {
                restarts += 1;
                server.kill();
                if memory == Memory::Torn && restarts % 2 == 0 {
                    log.forget_the_last_second();
                }
                server.start_again();
                dump::assert_sound(&trial.queue).await;
            }
        }
    }
    zombies.thaw(&trial, Duration::ZERO);
    trial.finish().await;
    let verdict = judge(&trial, memory).await;
    let planned = faults
        .iter()
        .filter(|fault| **fault == Fault::Freeze)
        .count();
    assert_eq!(zombies.woken, planned, "zombies that came back");
    println!(
        "storm, appendfsync {appendfsync}: {} members, {} kills, {} zombies, {restarts} restarts in {:.0} s: {verdict}{}",
        trial.members.len(),
        faults.iter().filter(|fault| **fault == Fault::Kill).count(),
        zombies.woken,
        trial.started.elapsed().as_secs_f64(),
        if memory == Memory::Whole {
            ", 0 acked twice".to_owned()
        } else {
            format!(", {} bytes of log forgotten", log.forgotten)
        }
    );
}

/// Members under SIGSTOP, and since when.
#[derive(Default)]
struct Zombies {
    frozen: Vec<(Instant, usize)>,
    woken: usize,
}

impl Zombies {
    fn is_awake(&self, place: usize) -> bool {
        self.frozen.iter().all(|(_, frozen)| *frozen != place)
    }

    fn freeze(&mut self, trial: &Trial, place: usize) {
        trial.members[place].signal(Signal::SIGSTOP);
        self.frozen.push((Instant::now(), place));
    }

    fn thaw(&mut self, trial: &Trial, after: Duration) {
        self.frozen.retain(|(since, place)| {
            let enough = since.elapsed() >= after;
            if enough {
                trial.members[*place].signal(Signal::SIGCONT);
                self.woken += 1;
            }
            !enough
        });
    }
}

/// The append-only file of a Redis, and how long it was when.
struct Log {
    file: PathBuf,
    lengths: Vec<(Instant, u64)>,
    forgotten: u64,
}

impl Log {
    async fn of(server: &RedisServer) -> Self {
        let asked: Vec<String> = redis::cmd("CONFIG")
            .arg("GET")
            .arg("dir")
            .query_async(&mut server.cli().await)
            .await
            .unwrap();
        let file = PathBuf::from(&asked[1]).join("appendonlydir/appendonly.aof.1.incr.aof");
        let mut log = Self {
            file,
            lengths: Vec::new(),
            forgotten: 0,
        };
        log.look();
        log
    }

    fn look(&mut self) {
        self.lengths.push((Instant::now(), self.length()));
    }

    fn length(&self) -> u64 {
        std::fs::metadata(&self.file).unwrap().len()
    }

    /// Cuts what was written in the last second, as far as it was looked at.
    fn forget_the_last_second(&mut self) {
        let old_enough = |(when, _): &&(Instant, u64)| when.elapsed() >= FORGOTTEN;
        let Some((_, kept)) = self.lengths.iter().rev().find(old_enough) else {
            return;
        };
        let (kept, written) = (*kept, self.length());
        self.forgotten += written - kept;
        let file = std::fs::OpenOptions::new().write(true).open(&self.file);
        file.unwrap().set_len(kept).unwrap();
        self.lengths.clear();
        self.look();
    }
}
