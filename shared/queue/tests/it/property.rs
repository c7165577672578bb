//! Random sequences of commands against a real Redis, compared after every step with the reference machine, and against
//! the invariants.
//!
//! Time passes by moving every stored time into the past (`advance.lua`), so that a sequence takes milliseconds. One
//! step is one tick of 100 ms; a sequence that took longer than a tick for real proves nothing about deadlines and is
//! repeated.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use weldfleet_queue::{
    Claim, Ending, LeaseRef, NewJob, Outcome, Queue, Renewal, Settlement, SplitOutcome,
    invariants::{JobView, faults},
};

use crate::{
    dump::{dump, view},
    reference::{End, Machine, Mutation, State, ledger::Ledger},
    server::{RedisServer, worker},
};

const TICK_MS: i64 = 100;
/// Odd, so that half of it is never a whole number of ticks.
const TTL: i64 = 101;
const MAX_ATTEMPTS: u32 = 3;

#[derive(Debug, Clone)]
enum Command {
    Enqueue {
        jobs: Vec<(u8, u8, u8, bool)>,
    },
    Claim {
        worker: u8,
        most: u8,
    },
    Renew {
        worker: u8,
    },
    End {
        lease: u8,
        end: End,
    },
    Turn {
        leases: (u8, u8),
        end: End,
        worker: u8,
        most: u8,
    },
    Collect,
    Advance {
        ticks: i64,
    },
    Pause,
    Resume,
    Requeue {
        job: u8,
    },
    Forget {
        job: u8,
        leased_too: bool,
    },
    Split {
        job: u8,
    },
    Resolve {
        job: u8,
    },
    ReleaseAll {
        worker: u8,
        keep_half: bool,
    },
    Flush,
}

fn command() -> impl Strategy<Value = Command> {
    let end = prop_oneof![
        4 => Just(End::Ack),
        2 => prop_oneof![Just(0_i64), Just(30), Just(150)].prop_map(|delay| End::Retry { delay }),
        1 => Just(End::Bury),
        1 => Just(End::Release),
        1 => Just(End::Split),
    ];
    prop_oneof![
        4 => prop::collection::vec((0_u8..8, 0_u8..2, 0_u8..3, any::<bool>()), 1..4).prop_map(|jobs| Command::Enqueue { jobs }),
        8 => (0_u8..3, 1_u8..4).prop_map(|(worker, most)| Command::Claim { worker, most }),
        3 => (0_u8..3).prop_map(|worker| Command::Renew { worker }),
        6 => (any::<u8>(), end.clone()).prop_map(|(lease, end)| Command::End { lease, end }),
        6 => (any::<(u8, u8)>(), end, 0_u8..3, 0_u8..4).prop_map(|(leases, end, worker, most)| Command::Turn { leases, end, worker, most }),
        3 => Just(Command::Collect),
        5 => prop_oneof![Just(7_i64), Just(23), Just(61), Just(113)].prop_map(|ticks| Command::Advance { ticks }),
        1 => Just(Command::Pause),
        1 => Just(Command::Resume),
        2 => (0_u8..8).prop_map(|job| Command::Requeue { job }),
        1 => (0_u8..8, any::<bool>()).prop_map(|(job, leased_too)| Command::Forget { job, leased_too }),
        3 => (0_u8..8).prop_map(|job| Command::Split { job }),
        1 => (0_u8..8).prop_map(|job| Command::Resolve { job }),
        1 => (0_u8..3, any::<bool>()).prop_map(|(worker, keep_half)| Command::ReleaseAll { worker, keep_half }),
        1 => Just(Command::Flush),
    ]
}

struct Run<'a> {
    queue: &'a Queue,
    connection: redis::aio::MultiplexedConnection,
    machine: Machine,
    ledger: Ledger,
    /// Every lease ever granted: job, token of Redis, token of the reference, worker.
    granted: Vec<(String, u64, u64, String)>,
    children: u32,
}

impl Run<'_> {
    async fn script(&mut self, code: &str, arg: i64) -> redis::Value {
        let key = self.queue.keys().named("pending");
        redis::cmd("EVAL")
            .arg(code)
            .arg(1)
            .arg(key)
            .arg(arg)
            .query_async(&mut self.connection)
            .await
            .unwrap()
    }

    async fn advance(&mut self, ticks: i64) {
        self.script(include_str!("advance.lua"), ticks * TICK_MS)
            .await;
        self.machine.advance(ticks);
        self.machine.next_age += 1;
    }

    async fn step(&mut self, command: &Command) -> Result<(), String> {
        match command {
            Command::Enqueue { jobs } => {
                let new: Vec<NewJob> = jobs
                    .iter()
                    .map(|&(id, priority, weight, delayed)| {
                        let mut job = NewJob::new(format!("j{id}"))
                            .group(format!("g{priority}"))
                            .priority(priority)
                            .weight(u64::from(weight));
                        job.delay = Duration::from_millis(if delayed { 4000 } else { 0 });
                        job.max_attempts = Some(MAX_ATTEMPTS);
                        job
                    })
                    .collect();
                let mut added = 0;
                for job in &new {
                    let delay = if job.delay.is_zero() { 0 } else { 40 };
                    if self.machine.enqueue(
                        &job.id,
                        &job.group,
                        job.priority,
                        job.weight,
                        delay,
                        MAX_ATTEMPTS,
                    ) {
                        self.ledger.enqueued(&job.id);
                        added += 1;
                    }
                }
                let enqueued = self.queue.enqueue(&new).await.unwrap();
                same("added", &enqueued.added, &added)
            }
            Command::Claim { worker: name, most } => {
                let name = format!("w{name}");
                let claim = self
                    .queue
                    .claim(&worker(&name), u32::from(*most))
                    .await
                    .unwrap();
                self.claimed(&name, usize::from(*most), &claim)
            }
            Command::Turn {
                leases,
                end,
                worker: name,
                most,
            } => {
                let name = format!("w{name}");
                let mut endings = Vec::new();
                let mut expected = Vec::new();
                // two that may be the same, or of anybody
                for lease in [leases.0, leases.1] {
                    if let Some((lease, known)) = self.pick(lease) {
                        endings.push(Ending {
                            lease: lease.clone(),
                            settlement: settlement(*end),
                        });
                        expected.push(self.end(&lease, known, *end)?);
                    }
                }
                let turn = self
                    .queue
                    .turn(&worker(&name), &endings, u32::from(*most))
                    .await
                    .unwrap();
                let states: Vec<_> = turn
                    .outcomes
                    .iter()
                    .map(|outcome| state(*outcome))
                    .collect();
                same("settled", &states, &expected)?;
                self.claimed(&name, usize::from(*most), &turn.claim)
            }
            Command::Renew { worker: name } => {
                let name = format!("w{name}");
                let mine: Vec<_> = self
                    .granted
                    .iter()
                    .filter(|(_, _, _, holder)| *holder == name)
                    .cloned()
                    .collect();
                let leases: Vec<_> = mine
                    .iter()
                    .map(|(id, token, ..)| LeaseRef {
                        id: id.clone(),
                        token: *token,
                    })
                    .collect();
                let renewed = self
                    .queue
                    .renew(&worker(&name), &leases)
                    .await
                    .unwrap()
                    .renewals;
                let pairs: Vec<_> = mine
                    .iter()
                    .map(|(id, _, token, _)| (id.clone(), *token))
                    .collect();
                let expected = self.machine.renew(&name, &pairs);
                same(
                    "renewed",
                    &renewed
                        .iter()
                        .map(|renewal| *renewal == Renewal::Renewed)
                        .collect(),
                    &expected,
                )?;
                for (lease, _) in leases.iter().zip(expected).filter(|(_, renewed)| *renewed) {
                    self.ledger
                        .accepted(&lease.id, lease.token)
                        .map_err(|broken| broken.to_string())?;
                }
                Ok(())
            }
            Command::End { lease, end } => {
                let Some((lease, known)) = self.pick(*lease) else {
                    return Ok(());
                };
                let expected = self.end(&lease, known, *end)?;
                let outcome = self.queue.settle(&lease, settlement(*end)).await;
                same("settled", &state(outcome.unwrap()), &expected)
            }
            Command::Collect => {
                let collected = self.queue.collect().await.unwrap();
                self.machine.collect_now();
                same("more", &collected.more, &false)
            }
            Command::Advance { ticks } => {
                self.advance(*ticks).await;
                Ok(())
            }
            Command::Pause => {
                self.queue.pause("why", "test").await.unwrap();
                self.machine.paused = true;
                Ok(())
            }
            Command::Resume => {
                self.queue.resume().await.unwrap();
                self.machine.paused = false;
                Ok(())
            }
            Command::Requeue { job } => {
                let id = format!("j{job}");
                same(
                    "requeued",
                    &self.queue.requeue(&id).await.unwrap(),
                    &self.machine.requeue(&id),
                )
            }
            Command::Forget { job, leased_too } => {
                let id = format!("j{job}");
                let gone = if *leased_too {
                    self.queue.cancel(&id).await
                } else {
                    self.queue.drop_job(&id).await
                }
                .unwrap();
                if gone {
                    self.ledger.resolved(&id);
                }
                same("forgotten", &gone, &self.machine.forget(&id, *leased_too))
            }
            Command::Split { job } => {
                let id = format!("j{job}");
                self.children += 1;
                let children = [
                    (format!("{id}-{}a", self.children), 1),
                    (format!("{id}-{}b", self.children), 1),
                ];
                let new: Vec<_> = children
                    .iter()
                    .map(|(child, weight)| {
                        let mut job = NewJob::new(child).weight(*weight);
                        job.max_attempts = Some(MAX_ATTEMPTS);
                        job
                    })
                    .collect();
                let split = self.queue.split(&id, &new).await.unwrap() == SplitOutcome::Split(2);
                if split {
                    self.ledger.resolved(&id);
                    children
                        .iter()
                        .for_each(|(child, _)| self.ledger.enqueued(child));
                }
                same("split", &split, &self.machine.split(&id, &children))
            }
            Command::Resolve { job } => {
                let id = format!("j{job}");
                let resolved = self.queue.resolve(&id, &Vec::new()).await.unwrap();
                if resolved {
                    self.ledger.resolved(&id);
                }
                same("resolved", &resolved, &self.machine.resolve(&id))
            }
            Command::ReleaseAll {
                worker: name,
                keep_half,
            } => {
                let name = format!("w{name}");
                if *keep_half {
                    return Ok(()); // the consumer's own part, see consumer.rs
                }
                self.queue.give_back(&worker(&name), &[]).await.unwrap();
                self.machine.give_back_except(&name, &[]);
                Ok(())
            }
            Command::Flush => {
                let _: () = redis::cmd("FLUSHALL")
                    .query_async(&mut self.connection)
                    .await
                    .unwrap();
                self.machine.flush();
                self.ledger.forgotten();
                Ok(())
            }
        }
    }

    /// One of the leases ever granted, with its token in the reference.
    fn pick(&self, lease: u8) -> Option<(LeaseRef, u64)> {
        let at = usize::from(lease).checked_rem(self.granted.len())?;
        let (id, token, known, _) = self.granted[at].clone();
        Some((LeaseRef { id, token }, known))
    }

    /// Ends a lease in the reference: the job's state afterwards, `None` if the lease is lost.
    fn end(
        &mut self,
        lease: &LeaseRef,
        known: u64,
        end: End,
    ) -> Result<Option<&'static str>, String> {
        let was_leased = self
            .machine
            .jobs
            .get(&lease.id)
            .is_some_and(|job| job.state == State::Leased && job.token == known);
        let settled = self.machine.settle(&lease.id, known, end);
        // a lease that its holder ended before: the same answer again, and nothing changes
        if settled.is_some() && was_leased {
            self.ledger
                .accepted(&lease.id, lease.token)
                .map_err(|broken| broken.to_string())?;
            if end == End::Ack {
                self.ledger.acked(&lease.id);
            }
        }
        Ok(settled.map(State::name))
    }

    /// Claims in the reference and compares.
    fn claimed(&mut self, name: &str, most: usize, claim: &Claim) -> Result<(), String> {
        let (expected, draining) = self.machine.claim(name, most, 0);
        let ids: Vec<_> = claim.jobs.iter().map(|job| job.id.clone()).collect();
        same(
            "claimed",
            &ids,
            &expected.iter().map(|(id, _)| id.clone()).collect(),
        )?;
        same("draining", &claim.draining, &draining)?;
        for (job, (id, token)) in claim.jobs.iter().zip(expected) {
            self.ledger
                .claimed(&id, job.token)
                .map_err(|broken| broken.to_string())?;
            self.granted.push((id, job.token, token, name.to_owned()));
        }
        Ok(())
    }

    /// Redis is as the reference says, and the invariants hold.
    async fn compare(&mut self) -> Result<(), String> {
        let dump = dump(self.queue).await;
        let view = view(&dump);
        let stats = self.queue.stats().await.unwrap();
        same(
            "outstanding",
            &stats.outstanding.values().sum(),
            &view.counted,
        )?;
        for JobView { id, .. } in &view.jobs {
            let empty = BTreeMap::new();
            let fields = dump.jobs.get(id).unwrap_or(&empty);
            let text = |name: &str| fields.get(name).cloned().unwrap_or_default();
            let number = |name: &str| text(name).parse::<u64>().unwrap_or(0);
            let Some(job) = self.machine.jobs.get(id) else {
                return Err(format!("{id} should not be there"));
            };
            same(
                &format!("{id} state"),
                &text("state").as_str(),
                &job.state.name(),
            )?;
            same(
                &format!("{id} attempts"),
                &number("attempts"),
                &u64::from(job.attempts),
            )?;
            same(
                &format!("{id} deaths"),
                &(number("deaths"), number("isolated_deaths")),
                &(u64::from(job.deaths), u64::from(job.isolated_deaths)),
            )?;
            same(
                &format!("{id} isolate, poison"),
                &(text("isolate") == "1", text("poison") == "1"),
                &(job.isolate, job.poison),
            )?;
            if job.state == State::Leased {
                same(
                    &format!("{id} isolated"),
                    &(text("isolated") == "1"),
                    &job.isolated,
                )?;
            }
        }
        same("jobs", &view.jobs.len(), &self.machine.jobs.len())?;
        if let Some(broken) = faults(&view).first() {
            return Err(broken.to_string());
        }
        let outstanding = view
            .jobs
            .iter()
            .filter(|job| job.state != "done")
            .map(|job| job.id.clone())
            .collect();
        self.ledger
            .all_there(&outstanding)
            .map_err(|broken| broken.to_string())
    }
}

fn settlement(end: End) -> Settlement {
    match end {
        End::Ack => Settlement::ack(),
        End::Retry { delay } => Settlement::Retry {
            error: "failed".to_owned(),
            delay: Some(Duration::from_millis(
                u64::try_from(delay * TICK_MS).unwrap(),
            )),
        },
        End::Bury => Settlement::bury("hopeless"),
        End::Release => Settlement::release("later"),
        End::Split => Settlement::split("too large"),
    }
}

fn state(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Settled(state) => Some(state.as_str()),
        Outcome::Lost => None,
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    redis: &T,
    reference: &T,
) -> Result<(), String> {
    if redis == reference {
        Ok(())
    } else {
        Err(format!(
            "{what}: redis says {redis:?}, the reference {reference:?}"
        ))
    }
}

async fn run(
    queue: &Queue,
    server: &RedisServer,
    commands: &[Command],
    mutation: Mutation,
    rejected: &Cell<u32>,
) -> Result<(), TestCaseError> {
    for _ in 0..5 {
        let started = Instant::now();
        let mut connection = server.cli().await;
        let _: () = redis::cmd("FLUSHALL")
            .query_async(&mut connection)
            .await
            .unwrap();
        let mut run = Run {
            queue,
            connection,
            machine: Machine::new(TTL),
            ledger: Ledger::default(),
            granted: Vec::new(),
            children: 0,
        };
        run.machine.mutation = mutation;
        let mut verdict = Ok(());
        for (number, command) in commands.iter().enumerate() {
            run.advance(1).await;
            verdict = run
                .step(command)
                .await
                .map_err(|error| format!("step {number} {command:?}: {error}"));
            if verdict.is_ok() {
                verdict = run
                    .compare()
                    .await
                    .map_err(|error| format!("after step {number} {command:?}: {error}"));
            }
            if verdict.is_err() {
                break;
            }
        }
        if verdict.is_ok()
            || started.elapsed() < Duration::from_millis(TICK_MS.unsigned_abs() * 9 / 10)
        {
            return verdict.map_err(TestCaseError::fail);
        }
    }
    // another sequence is drawn instead
    rejected.set(rejected.get() + 1);
    Err(TestCaseError::reject(
        "the machine is too busy to say anything about deadlines",
    ))
}

/// 500 sequences; `make test-nightly` sets `PROPTEST_CASES` to 10,000.
#[test]
fn random_sequences_agree_with_the_reference_and_keep_the_invariants() {
    let server = RedisServer::start_with(&["--appendonly", "no"]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let queue = server.queue_with(|options| {
        options.ttl = Duration::from_millis(u64::try_from(TTL * TICK_MS).unwrap());
        options.renew_every = Duration::from_secs(3);
        options.max_attempts = MAX_ATTEMPTS;
    });
    // a server that has not been up for one ttl collects nothing
    std::thread::sleep(Duration::from_millis(
        u64::try_from(TTL * TICK_MS).unwrap() + 1000,
    ));
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(500);
    let rejected = Cell::new(0);
    let check = |mutation: Mutation, config: Config| {
        TestRunner::new(Config {
            failure_persistence: None,
            ..config
        })
        .run(&prop::collection::vec(command(), 1..30), |commands| {
            runtime.block_on(run(&queue, &server, &commands, mutation, &rejected))
        })
    };
    if let Err(error) = check(
        Mutation::default(),
        Config {
            cases,
            max_shrink_iters: 2000,
            ..Config::default()
        },
    ) {
        panic!("{error}");
    }
    let rejected = rejected.get();
    println!("{cases} sequences agree, of {rejected} more the machine was too busy to tell");
    assert!(rejected <= cases / 10, "{rejected} sequences told nothing");
    // and it would notice if one of the two broke a rule
    let broken = [
        Mutation {
            no_token_check: true,
            ..Mutation::default()
        },
        Mutation {
            attempts_at_ack: true,
            ..Mutation::default()
        },
    ];
    for mutation in broken {
        let outcome = check(
            mutation,
            // It ends with the first sequence that shows the broken rule, usually within 300; so many that chance plays
            // no part.
            Config {
                cases: 5000,
                max_shrink_iters: 0,
                ..Config::default()
            },
        );
        // giving up on a busy machine is no notice
        assert!(
            matches!(outcome, Err(TestError::Fail(..))),
            "{mutation:?} was not noticed: {outcome:?}"
        );
    }
}

#[test]
fn the_ledger_notices_what_must_not_happen() {
    let mut ledger = Ledger::default();
    ledger.enqueued("j");
    ledger.claimed("j", 7).unwrap();
    assert!(ledger.claimed("j", 7).is_err());
    ledger.claimed("j", 8).unwrap();
    assert!(ledger.accepted("j", 7).is_err());
    ledger.accepted("j", 8).unwrap();
    assert!(ledger.all_there(&BTreeSet::new()).is_err());
    ledger.acked("j");
    ledger.all_there(&BTreeSet::new()).unwrap();
    assert!(ledger.claimed("j", 9).is_err());
    ledger.forgotten();
    assert!(ledger.claimed("j", 8).is_err(), "tokens grow past a loss");
    ledger.claimed("j", 9).unwrap();
}
