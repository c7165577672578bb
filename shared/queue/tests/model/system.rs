//! Workers, calls, faults and the owner around the machine.

use std::collections::{BTreeMap, BTreeSet};

use stateright::{Model, Property};
use weldfleet_queue::invariants::faults;

use crate::reference::{End, Id, Machine, Mutation, State, ledger::Ledger};

const TTL: i64 = 2;
const MAX_ATTEMPTS: u32 = 3;
const JOBS: [&str; 2] = ["a", "b"];
const WORKERS: usize = 2;
/// How far ahead the second worker's own clock is.
const SKEW: i64 = 1;

/// How often each fault may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    pub crashes: u8,
    /// Calls that are lost before or after their effect, or arrive late.
    pub errors: u8,
    pub forget_all: u8,
    pub forget_last: u8,
    /// Handlers may fail, not only die.
    pub retries: bool,
}

pub struct System {
    faults: Faults,
    mutation: Mutation,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Worker {
    /// A restarted worker is a new one.
    incarnation: u8,
    leases: BTreeSet<(Id, u64)>,
    /// Jobs whose effect is written, ready to be acked.
    written: BTreeSet<(Id, u64)>,
    /// The answer to a claim was lost.
    reconcile: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    Claim {
        most: usize,
    },
    Renew,
    Ack(Id, u64),
    Retry(Id, u64),
    /// An ack and a claim in one step.
    Turn {
        ack: (Id, u64),
        most: usize,
    },
}

impl Call {
    /// The token of the lease that it ends.
    fn ended(&mut self) -> Option<&mut u64> {
        match self {
            Call::Ack(_, token)
            | Call::Retry(_, token)
            | Call::Turn {
                ack: (_, token), ..
            } => Some(token),
            Call::Claim { .. } | Call::Renew => None,
        }
    }

    fn claims(&self) -> bool {
        matches!(self, Call::Claim { .. } | Call::Turn { .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    Fine,
    /// No effect, an error.
    RequestLost,
    /// Effect, an error.
    ReplyLost,
    /// An error now, the effect at any later time.
    Late,
}

/// Worker, its incarnation, the call, the leases it knew.
type Late = (usize, u8, Call, Vec<(Id, u64)>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    redis: Machine,
    /// Redis before its last write, while it may still forget that.
    before: Option<Box<Machine>>,
    workers: Vec<Worker>,
    /// A call that arrives late: from whom, what.
    late: Option<Late>,
    /// The owner's truth: the largest token whose effect it took.
    effects: BTreeMap<Id, u64>,
    acked_with_effect: BTreeSet<Id>,
    ledger: Ledger,
    /// Claims that were not given back.
    spent: BTreeMap<Id, u32>,
    faults: Faults,
    broken: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    Call(usize, Call, Fate),
    Arrive,
    Effect(usize, Id, u64),
    Crash(usize),
    Tick,
    ForgetAll,
    ForgetLast,
    OwnerPass,
}

const GROW: &str = "tokens grow, acked jobs stay acked";
const STALE: &str = "stale tokens change nothing";
const EARLY: &str = "a lease in force is not taken";
const CLAIMS: &str = "no more claims than attempts";
const ALL_THERE: &str = "no outstanding job disappears";
const AT_ONCE: &str = "every moment is consistent";
const OVERWRITE: &str = "an ack comes with the effect of its own claim";

impl System {
    pub fn new(faults: Faults) -> Self {
        Self {
            faults,
            mutation: Mutation::default(),
        }
    }

    pub fn broken_by(mut self, mutation: Mutation) -> Self {
        self.mutation = mutation;
        self
    }
}

fn name(worker: usize, incarnation: u8) -> String {
    format!("w{worker}.{incarnation}")
}

impl World {
    fn name(&self, worker: usize) -> String {
        name(worker, self.workers[worker].incarnation)
    }

    fn fail(&mut self, holds: bool, property: &'static str) {
        if !holds && self.broken.is_none() {
            self.broken = Some(property);
        }
    }

    /// A script runs; the answer, as far as the worker needs it.
    fn effect(
        &mut self,
        worker: usize,
        incarnation: u8,
        call: &Call,
        known: &[(Id, u64)],
    ) -> Answer {
        let who = name(worker, incarnation);
        if self.faults.forget_last > 0 {
            self.before = Some(Box::new(self.redis.clone()));
        }
        let in_force: Vec<(Id, u64)> = self
            .redis
            .jobs
            .iter()
            .filter(|(_, job)| job.state == State::Leased && job.due_in > 0)
            .map(|(id, job)| (id.clone(), job.token))
            .collect();
        let answer = match call {
            Call::Claim { most } => Answer::Claimed(self.claim(worker, &who, *most)),
            Call::Renew => Answer::Renewed(self.redis.renew(&who, known)),
            Call::Ack(id, token) => {
                self.settle(id, *token, End::Ack);
                Answer::Settled
            }
            Call::Retry(id, token) => {
                self.settle(id, *token, End::Retry { delay: 0 });
                Answer::Settled
            }
            Call::Turn {
                ack: (id, token),
                most,
            } => {
                self.settle(id, *token, End::Ack);
                Answer::Claimed(self.claim(worker, &who, *most))
            }
        };
        for (id, token) in in_force {
            let kept = self.redis.jobs.get(&id).is_some_and(|job| {
                job.token == token && (job.state == State::Leased || job.settled == token)
            });
            self.fail(kept, EARLY);
        }
        answer
    }

    fn claim(&mut self, worker: usize, who: &str, most: usize) -> Vec<(Id, u64)> {
        let skew = if worker == 1 { SKEW } else { 0 };
        let (claimed, _) = self.redis.claim(who, most, skew);
        for (id, token) in &claimed {
            let grows = self.ledger.claimed(id, *token).is_ok();
            self.fail(grows, GROW);
            let spent = self.spent.entry(id.clone()).or_default();
            *spent += 1;
            let within = *spent <= MAX_ATTEMPTS;
            self.fail(within, CLAIMS);
        }
        claimed
    }

    fn settle(&mut self, id: &str, token: u64, end: End) {
        let fresh = self
            .redis
            .jobs
            .get(id)
            .is_some_and(|job| job.state == State::Leased);
        let settled = self.redis.settle(id, token, end);
        if settled.is_some() {
            let valid = self.ledger.accepted(id, token).is_ok();
            self.fail(valid, STALE);
        }
        if end == End::Ack && fresh && settled == Some(State::Done) {
            let own_effect = self.effects.get(id).is_some_and(|effect| *effect >= token);
            self.fail(own_effect, OVERWRITE);
            self.ledger.acked(id);
            self.acked_with_effect.insert(id.to_owned());
        }
    }

    /// The worker hears the answer, or an error.
    fn hear(&mut self, worker: usize, call: &Call, known: &[(Id, u64)], answer: Option<Answer>) {
        let worker = &mut self.workers[worker];
        if let (Call::Turn { ack, .. }, Some(_)) = (call, &answer) {
            worker.leases.remove(ack);
            worker.written.remove(ack);
        }
        match (call, answer) {
            (Call::Claim { .. } | Call::Turn { .. }, Some(Answer::Claimed(claimed))) => {
                // the same job again: the earlier lease of it is gone
                worker
                    .leases
                    .retain(|(id, _)| claimed.iter().all(|(again, _)| again != id));
                worker.leases.extend(claimed);
                worker.written.retain(|lease| worker.leases.contains(lease));
            }
            (Call::Claim { .. } | Call::Turn { .. }, _) => worker.reconcile = true,
            (Call::Renew, Some(Answer::Renewed(renewed))) => {
                for (lease, _) in known.iter().zip(renewed).filter(|(_, renewed)| !renewed) {
                    worker.leases.remove(lease);
                    worker.written.remove(lease);
                }
            }
            (Call::Ack(id, token) | Call::Retry(id, token), Some(_)) => {
                worker.leases.remove(&(id.clone(), *token));
                worker.written.remove(&(id.clone(), *token));
            }
            _ => {} // asked again later
        }
    }

    fn outstanding(&self) -> BTreeSet<Id> {
        self.redis
            .jobs
            .iter()
            .filter(|(_, job)| job.state != State::Done)
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn needed(&self) -> Vec<Id> {
        let outstanding = self.outstanding();
        JOBS.iter()
            .map(|&id| id.to_owned())
            .filter(|id| !self.acked_with_effect.contains(id) && !outstanding.contains(id))
            .collect()
    }

    fn enqueue(&mut self, id: &str) {
        if self.redis.enqueue(id, "g", 0, 0, 0, MAX_ATTEMPTS) {
            self.ledger.enqueued(id);
            self.spent.remove(id);
        }
    }

    /// Redis comes back with less than it had: another process, maybe, so nothing is collected for one ttl.
    fn lost_memory(&mut self) {
        self.ledger.forgotten();
        self.redis.hold_in = TTL;
        self.before = None;
        for (id, job) in &self.redis.jobs {
            self.spent.insert(id.clone(), job.attempts);
            if job.state != State::Done {
                self.ledger
                    .remembered(id, (job.state == State::Leased).then_some(job.token));
            }
        }
    }
}

impl World {
    /// Makes situations that differ in nothing that matters equal: of tokens only the order counts, and only while
    /// somebody knows them.
    fn simplify(&mut self) {
        let mut known: BTreeSet<u64> = self
            .workers
            .iter()
            .flat_map(|worker| worker.leases.iter().map(|(_, token)| *token))
            .collect();
        if let Some((_, _, call, leases)) = &mut self.late {
            known.extend(leases.iter().map(|(_, token)| *token));
            known.extend(call.ended().map(|token| *token));
        }
        let machines = || std::iter::once(&self.redis).chain(self.before.as_deref());
        let leased: BTreeSet<u64> = machines()
            .flat_map(|redis| redis.jobs.values())
            .filter(|job| job.state == State::Leased)
            .map(|job| job.token)
            .collect();
        known.extend(leased);
        let mut tokens = known.clone();
        tokens.extend(self.effects.values());
        tokens.extend(machines().flat_map(|redis| [redis.counter, redis.clock_token]));
        tokens.insert(self.ledger.largest());
        tokens.remove(&0);
        let rank: BTreeMap<u64, u64> = tokens
            .iter()
            .zip(1..)
            .map(|(token, rank)| (*token, rank))
            .collect();
        let of = |token: u64| rank.get(&token).copied().unwrap_or(0);
        let known = |token: u64| if known.contains(&token) { of(token) } else { 0 };
        for redis in std::iter::once(&mut self.redis).chain(self.before.as_deref_mut()) {
            redis.counter = of(redis.counter);
            redis.clock_token = of(redis.clock_token);
            for job in redis.jobs.values_mut() {
                job.token = known(job.token);
                job.settled = known(job.settled);
                if job.state != State::Leased {
                    job.worker.clear();
                    job.due_in = 0;
                }
            }
        }
        for worker in &mut self.workers {
            for leases in [&mut worker.leases, &mut worker.written] {
                *leases = std::mem::take(leases)
                    .into_iter()
                    .map(|(id, token)| (id, of(token)))
                    .collect();
            }
        }
        if let Some((_, _, call, leases)) = &mut self.late {
            leases.iter_mut().for_each(|(_, token)| *token = of(*token));
            if let Some(token) = call.ended() {
                *token = of(*token);
            }
        }
        self.effects
            .values_mut()
            .for_each(|token| *token = of(*token));
        self.ledger.rename(of, known);
    }
}

pub enum Answer {
    Claimed(Vec<(Id, u64)>),
    Renewed(Vec<bool>),
    Settled,
}

impl Model for System {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut redis = Machine::new(TTL);
        redis.mutation = self.mutation;
        let worker = Worker {
            incarnation: 0,
            leases: BTreeSet::new(),
            written: BTreeSet::new(),
            reconcile: false,
        };
        let mut world = World {
            redis,
            before: None,
            workers: vec![worker; WORKERS],
            late: None,
            effects: BTreeMap::new(),
            acked_with_effect: BTreeSet::new(),
            ledger: Ledger::default(),
            spent: BTreeMap::new(),
            faults: self.faults,
            broken: None,
        };
        JOBS.iter().for_each(|id| world.enqueue(id));
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken.is_some() {
            return;
        }
        for (at, worker) in world.workers.iter().enumerate() {
            let mut calls = Vec::new();
            if worker.leases.len() < 2 {
                calls.push(Call::Claim {
                    most: 2 - worker.leases.len(),
                });
            }
            if !worker.leases.is_empty() {
                calls.push(Call::Renew);
            }
            for (id, token) in &worker.leases {
                if worker.written.contains(&(id.clone(), *token)) {
                    calls.push(Call::Ack(id.clone(), *token));
                    calls.push(Call::Turn {
                        ack: (id.clone(), *token),
                        most: 3 - worker.leases.len(),
                    });
                } else {
                    if world.faults.retries {
                        calls.push(Call::Retry(id.clone(), *token));
                    }
                    actions.push(Action::Effect(at, id.clone(), *token));
                }
            }
            for call in calls {
                if world.faults.errors > 0 {
                    actions.push(Action::Call(at, call.clone(), Fate::RequestLost));
                    actions.push(Action::Call(at, call.clone(), Fate::ReplyLost));
                    if world.late.is_none() {
                        actions.push(Action::Call(at, call.clone(), Fate::Late));
                    }
                }
                actions.push(Action::Call(at, call, Fate::Fine));
            }
            if world.faults.crashes > 0 && !worker.leases.is_empty() {
                actions.push(Action::Crash(at));
            }
        }
        if world.late.is_some() {
            actions.push(Action::Arrive);
        }
        if world
            .redis
            .jobs
            .values()
            .any(|job| job.state == State::Leased)
            || world.redis.hold_in > 0
        {
            actions.push(Action::Tick);
        }
        if world.faults.forget_all > 0 {
            actions.push(Action::ForgetAll);
        }
        if world.before.is_some() {
            actions.push(Action::ForgetLast);
        }
        if !world.needed().is_empty() {
            actions.push(Action::OwnerPass);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Call(at, call, fate) => {
                let (incarnation, known) = (
                    world.workers[at].incarnation,
                    world.workers[at].leases.iter().cloned().collect::<Vec<_>>(),
                );
                if call.claims() && world.workers[at].reconcile && fate != Fate::RequestLost {
                    // before a claim, what an unanswered one may have taken goes back
                    let who = world.name(at);
                    for (id, job) in &world.redis.jobs {
                        if job.state == State::Leased
                            && job.worker == who
                            && !known.contains(&(id.clone(), job.token))
                        {
                            *world.spent.entry(id.clone()).or_default() -= 1;
                        }
                    }
                    world.redis.give_back_except(&who, &known);
                    world.workers[at].reconcile = false;
                }
                if fate != Fate::Fine {
                    world.faults.errors -= 1;
                }
                match fate {
                    Fate::Fine => {
                        let answer = world.effect(at, incarnation, &call, &known);
                        world.hear(at, &call, &known, Some(answer));
                    }
                    Fate::RequestLost => world.hear(at, &call, &known, None),
                    Fate::ReplyLost => {
                        world.effect(at, incarnation, &call, &known);
                        world.hear(at, &call, &known, None);
                    }
                    Fate::Late => {
                        world.hear(at, &call, &known, None);
                        world.late = Some((at, incarnation, call, known));
                    }
                }
            }
            Action::Arrive => {
                let (at, incarnation, call, known) = world.late.take()?;
                world.effect(at, incarnation, &call, &known);
                // nobody hears the answer; a renewal of the worker shows that it holds more than it knows
                if world.workers[at].incarnation == incarnation && call.claims() {
                    world.workers[at].reconcile = true;
                }
            }
            Action::Effect(at, id, token) => {
                // the owner's store takes an effect unless it has one by a later claim
                let effect = world.effects.entry(id.clone()).or_default();
                *effect = (*effect).max(token);
                world.workers[at].written.insert((id, token));
            }
            Action::Crash(at) => {
                world.faults.crashes -= 1;
                let worker = &mut world.workers[at];
                *worker = Worker {
                    incarnation: worker.incarnation + 1,
                    leases: BTreeSet::new(),
                    written: BTreeSet::new(),
                    reconcile: false,
                };
            }
            Action::Tick => world.redis.advance(1),
            Action::ForgetAll => {
                world.faults.forget_all -= 1;
                world.redis.flush();
                world.lost_memory();
            }
            Action::ForgetLast => {
                world.faults.forget_last -= 1;
                let largest = world.redis.counter.max(world.redis.clock_token);
                world.redis = *world.before.take()?;
                world.redis.clock_token = largest + 1;
                world.lost_memory();
            }
            Action::OwnerPass => {
                for id in world.needed() {
                    world.enqueue(&id);
                }
            }
        }
        world.simplify();
        let consistent = faults(&world.redis.view()).is_empty();
        world.fail(consistent, AT_ONCE);
        let all_there = world.ledger.all_there(&world.outstanding()).is_ok();
        world.fail(all_there, ALL_THERE);
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! never_broken {
            ($($name:ident),*) => { vec![$(Property::always($name, |_, world: &World| world.broken != Some($name))),*] };
        }
        let mut properties =
            never_broken![GROW, STALE, EARLY, CLAIMS, ALL_THERE, AT_ONCE, OVERWRITE];
        properties.push(Property::sometimes(
            "sometimes both jobs are done",
            |_, world: &World| world.acked_with_effect.len() == JOBS.len(),
        ));
        properties.push(Property::sometimes(
            "sometimes a job outlives its worker",
            |_, world: &World| {
                world
                    .redis
                    .jobs
                    .values()
                    .any(|job| job.deaths > 0 && job.state == State::Done)
            },
        ));
        properties.push(Property::sometimes(
            "sometimes a job runs isolated",
            |_, world: &World| {
                world
                    .redis
                    .jobs
                    .values()
                    .any(|job| job.isolated && job.state == State::Leased)
            },
        ));
        properties.push(Property::sometimes(
            "sometimes attempts are used up",
            |_, world: &World| {
                world
                    .redis
                    .jobs
                    .values()
                    .any(|job| job.state == State::Dead)
            },
        ));
        properties
    }
}
