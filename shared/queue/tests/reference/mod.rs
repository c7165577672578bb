//! The protocol as a small pure machine: the reference that a real Redis is compared with, step by step, and that the
//! model checker explores. All times are relative to now (`in`), in any unit, so that equal situations are equal
//! states.

pub mod ledger;

use std::collections::BTreeMap;

use weldfleet_queue::invariants::{JobView, View};

pub type Id = String;
pub type Name = String;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    Pending,
    Leased,
    Delayed,
    Splitting,
    Dead,
    Done,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Leased => "leased",
            State::Delayed => "delayed",
            State::Splitting => "splitting",
            State::Dead => "dead",
            State::Done => "done",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Job {
    pub state: State,
    pub group: String,
    pub priority: u8,
    pub weight: u64,
    /// Age: jobs enqueued earlier have smaller numbers.
    pub age: u64,
    pub attempts: u32,
    pub max_attempts: u32,
    pub deaths: u32,
    pub isolated_deaths: u32,
    pub isolate: bool,
    pub isolated: bool,
    pub poison: bool,
    pub worker: Name,
    pub token: u64,
    /// A lease was ended by this token, not by running out.
    pub settled: u64,
    /// Until the lease runs out, or the delay is over.
    pub due_in: i64,
    /// Until a busy worker's reservation ends, if there is one.
    pub reserved_in: Option<i64>,
}

/// Rules that can be broken on purpose, to see that somebody notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mutation {
    pub no_token_check: bool,
    pub attempts_at_ack: bool,
    pub collect_by_client_clock: bool,
    pub token_restarts: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    pub ttl: i64,
    pub jobs: BTreeMap<Id, Job>,
    pub counter: u64,
    /// What the clock would make of a token if the counter were lost.
    pub clock_token: u64,
    pub paused: bool,
    /// What each busy worker has reserved, and for how long it remembers.
    pub reservations: BTreeMap<Name, (Id, i64)>,
    /// Since the last script of a kind that a live fleet calls often; `None` if there was none yet.
    pub silence: Option<i64>,
    pub hold_in: i64,
    pub next_age: u64,
    pub mutation: Mutation,
}

#[allow(
    dead_code,
    reason = "the model ends leases in fewer ways than the comparison with Redis"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    Ack,
    Retry { delay: i64 },
    Bury,
    Release,
    Split,
}

#[allow(
    dead_code,
    reason = "the model needs fewer of them than the comparison with Redis"
)]
impl Machine {
    pub fn new(ttl: i64) -> Self {
        Self {
            ttl,
            jobs: BTreeMap::new(),
            counter: 0,
            clock_token: 0,
            paused: false,
            reservations: BTreeMap::new(),
            silence: None,
            hold_in: 0,
            next_age: 0,
            mutation: Mutation::default(),
        }
    }

    pub fn advance(&mut self, by: i64) {
        for job in self.jobs.values_mut() {
            if matches!(job.state, State::Leased | State::Delayed) {
                // further in the past makes no difference
                job.due_in = (job.due_in - by).max(0);
            }
            job.reserved_in = job.reserved_in.map(|left| (left - by).max(0));
        }
        // longer than half a ttl is long
        self.silence = self
            .silence
            .map(|silence| (silence + by).min(self.ttl / 2 + 1));
        self.hold_in = (self.hold_in - by).max(0);
        self.reservations.retain(|_, (_, left)| {
            *left -= by;
            *left > 0
        });
    }

    fn note_activity(&mut self) {
        if self.silence.is_some_and(|silence| silence * 2 > self.ttl) {
            self.hold_in = self.ttl;
        }
    }

    pub fn enqueue(
        &mut self,
        id: &str,
        group: &str,
        priority: u8,
        weight: u64,
        delay: i64,
        max_attempts: u32,
    ) -> bool {
        let age = self.next_age;
        self.add(id, group, priority, weight, delay, max_attempts, age, false)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a job")]
    fn add(
        &mut self,
        id: &str,
        group: &str,
        priority: u8,
        weight: u64,
        delay: i64,
        max_attempts: u32,
        age: u64,
        isolate: bool,
    ) -> bool {
        if self
            .jobs
            .get(id)
            .is_some_and(|job| job.state != State::Done)
        {
            return false;
        }
        let job = Job {
            state: if delay > 0 {
                State::Delayed
            } else {
                State::Pending
            },
            group: group.to_owned(),
            priority,
            weight,
            age,
            attempts: 0,
            max_attempts,
            deaths: 0,
            isolated_deaths: 0,
            isolate,
            isolated: false,
            poison: false,
            worker: String::new(),
            token: 0,
            settled: 0,
            due_in: delay,
            reserved_in: None,
        };
        self.jobs.insert(id.to_owned(), job);
        true
    }

    /// Takes back what nobody renews; `skew` is how far ahead a clock that must not matter is.
    pub fn collect(&mut self, skew: i64) {
        let skew = if self.mutation.collect_by_client_clock {
            skew
        } else {
            0
        };
        let held = self.hold_in > 0;
        for job in self.jobs.values_mut() {
            match job.state {
                State::Leased if job.due_in - skew <= 0 && !held => {
                    let isolated = job.isolated;
                    job.deaths += 1;
                    job.isolated_deaths += u32::from(isolated);
                    job.isolate = true;
                    job.isolated = false;
                    job.state = if isolated && job.weight > 1 {
                        State::Splitting
                    } else if isolated && job.isolated_deaths >= 2 {
                        job.poison = true;
                        if job.weight == 1 {
                            State::Splitting
                        } else {
                            State::Dead
                        }
                    } else if job.attempts >= job.max_attempts {
                        State::Dead
                    } else {
                        State::Pending
                    };
                }
                State::Delayed if job.due_in <= 0 => job.state = State::Pending,
                _ => {}
            }
            if job.reserved_in.is_some_and(|left| left <= 0) {
                job.reserved_in = None;
            }
        }
    }

    pub fn collect_now(&mut self) {
        self.note_activity();
        self.collect(0);
        self.silence = Some(0);
    }

    fn holds(&self, worker: &str) -> usize {
        self.jobs
            .values()
            .filter(|job| job.state == State::Leased && job.worker == worker)
            .count()
    }

    /// The pending jobs in the order in which they are claimed: reserved, free isolate, others.
    fn pending(&self) -> Vec<(&Id, &Job)> {
        let mut pending: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.state == State::Pending)
            .collect();
        pending.sort_by_key(|(id, job)| {
            let band = match (job.isolate, job.reserved_in) {
                (true, Some(left)) => return (0, 0, left, 0, (*id).clone()),
                (true, None) => 1,
                (false, _) => 2,
            };
            (band, i64::from(job.priority), 0, job.age, (*id).clone())
        });
        pending
    }

    /// Returns the claimed ids with tokens, and whether the worker must finish what it holds first.
    pub fn claim(&mut self, worker: &str, most: usize, skew: i64) -> (Vec<(Id, u64)>, bool) {
        self.note_activity();
        self.collect(skew);
        if self.silence.is_none_or(|silence| silence * 16 > self.ttl) {
            self.silence = Some(0);
        }
        if self.paused || most == 0 {
            return (Vec::new(), false);
        }
        if self
            .jobs
            .values()
            .any(|job| job.state == State::Leased && job.worker == worker && job.isolated)
        {
            return (Vec::new(), true);
        }
        let pending = self.pending();
        let mut ids: Vec<Id> = Vec::new();
        if pending.first().is_some_and(|(_, job)| job.isolate) {
            if self.holds(worker) == 0 {
                ids.push(pending[0].0.clone());
            } else {
                let still = self
                    .reservations
                    .get(worker)
                    .map(|(id, _)| id)
                    .filter(|id| {
                        self.jobs.get(*id).is_some_and(|job| {
                            job.state == State::Pending && job.isolate && job.reserved_in.is_some()
                        })
                    });
                let free = pending
                    .iter()
                    .find(|(_, job)| job.isolate && job.reserved_in.is_none())
                    .map(|(id, _)| (*id).clone());
                if let Some(reserve) = still.cloned().or(free) {
                    if let Some(job) = self.jobs.get_mut(&reserve) {
                        job.reserved_in = Some(self.ttl);
                    }
                    self.reservations
                        .insert(worker.to_owned(), (reserve, self.ttl));
                    return (Vec::new(), true);
                }
                ids.extend(
                    pending
                        .iter()
                        .filter(|(_, job)| !job.isolate)
                        .take(most)
                        .map(|(id, _)| (*id).clone()),
                );
            }
        } else {
            ids.extend(pending.iter().take(most).map(|(id, _)| (*id).clone()));
        }
        let mut claimed = Vec::new();
        for id in ids {
            let token = self.next_token();
            if let Some(job) = self.jobs.get_mut(&id) {
                if !self.mutation.attempts_at_ack {
                    job.attempts += 1;
                }
                job.state = State::Leased;
                job.worker = worker.to_owned();
                job.token = token;
                job.due_in = self.ttl;
                job.isolated = job.isolate;
                job.reserved_in = None;
                claimed.push((id, token));
            }
        }
        if claimed.iter().any(|(id, _)| self.jobs[id].isolated) {
            self.reservations.remove(worker);
        }
        (claimed, false)
    }

    pub fn next_token(&mut self) -> u64 {
        self.counter = (self.counter + 1).max(if self.mutation.token_restarts {
            0
        } else {
            self.clock_token
        });
        self.counter
    }

    pub fn renew(&mut self, worker: &str, leases: &[(Id, u64)]) -> Vec<bool> {
        self.note_activity();
        self.silence = Some(0);
        let renewed = leases
            .iter()
            .map(|(id, token)| match self.jobs.get_mut(id) {
                Some(job) if job.state == State::Leased && job.token == *token => {
                    job.due_in = self.ttl;
                    true
                }
                _ => false,
            })
            .collect();
        if let Some((id, left)) = self.reservations.get_mut(worker)
            && let Some(job) = self.jobs.get_mut(id)
            && job.state == State::Pending
            && job.reserved_in.is_some()
        {
            job.reserved_in = Some(self.ttl);
            *left = self.ttl;
        }
        renewed
    }

    /// The job's state now, or `None` if the lease was lost.
    pub fn settle(&mut self, id: &str, token: u64, end: End) -> Option<State> {
        let unfenced = self.mutation.no_token_check;
        let attempts_at_ack = self.mutation.attempts_at_ack;
        let job = self.jobs.get_mut(id)?;
        if job.state != State::Leased || (job.token != token && !unfenced) {
            return (job.token == token && job.settled == token).then_some(job.state);
        }
        if attempts_at_ack {
            job.attempts += 1;
        }
        job.settled = token;
        job.isolated = false;
        job.state = match end {
            End::Ack => State::Done,
            End::Retry { .. } if job.attempts >= job.max_attempts => State::Dead,
            End::Retry { delay } if delay <= 0 => State::Pending,
            End::Retry { delay } => {
                job.due_in = delay;
                State::Delayed
            }
            End::Bury => State::Dead,
            End::Split => State::Splitting,
            End::Release => {
                job.attempts = job.attempts.saturating_sub(1);
                State::Pending
            }
        };
        Some(job.state)
    }

    /// Gives back what `worker` holds besides `keep`.
    pub fn give_back_except(&mut self, worker: &str, keep: &[(Id, u64)]) {
        for (id, job) in &mut self.jobs {
            if job.state == State::Leased
                && job.worker == worker
                && !keep.contains(&(id.clone(), job.token))
            {
                job.state = State::Pending;
                job.attempts = job.attempts.saturating_sub(1);
                job.isolated = false;
            }
        }
    }

    pub fn split(&mut self, parent: &str, children: &[(Id, u64)]) -> bool {
        let Some(job) = self
            .jobs
            .get_mut(parent)
            .filter(|job| matches!(job.state, State::Splitting | State::Dead))
        else {
            return false;
        };
        job.state = State::Done;
        let (group, priority, age, most) =
            (job.group.clone(), job.priority, job.age, job.max_attempts);
        for (child, weight) in children {
            self.add(child, &group, priority, *weight, 0, most, age, true);
        }
        true
    }

    pub fn resolve(&mut self, id: &str) -> bool {
        match self.jobs.get_mut(id) {
            Some(job) if matches!(job.state, State::Splitting | State::Dead) => {
                job.state = State::Done;
                true
            }
            _ => false,
        }
    }

    pub fn requeue(&mut self, id: &str) -> bool {
        match self.jobs.get_mut(id) {
            Some(job) if job.state == State::Dead => {
                job.state = State::Pending;
                job.attempts = 0;
                job.isolated_deaths = 0;
                job.poison = false;
                job.isolate = job.deaths > 0;
                true
            }
            _ => false,
        }
    }

    pub fn forget(&mut self, id: &str, leased_too: bool) -> bool {
        let may = self.jobs.get(id).is_some_and(|job| {
            job.state != State::Done && (leased_too || job.state != State::Leased)
        });
        if may {
            self.jobs.remove(id);
        }
        may
    }

    /// Redis loses everything.
    pub fn flush(&mut self) {
        let fresh = Self::new(self.ttl);
        let (clock_token, next_age, mutation) = (
            self.counter.max(self.clock_token) + 1,
            self.next_age,
            self.mutation,
        );
        *self = Self {
            clock_token,
            next_age,
            mutation,
            ..fresh
        };
    }

    /// For the invariants.
    #[allow(
        dead_code,
        reason = "the model uses it, the comparison with Redis does not"
    )]
    pub fn view(&self) -> View {
        let mut view = View {
            counter: self.counter.max(self.clock_token),
            ..View::default()
        };
        for (id, job) in &self.jobs {
            view.jobs.push(JobView {
                id: id.clone(),
                state: job.state.name().to_owned(),
                listed_in: vec![job.state.name().to_owned()],
                token: job.token,
                attempts: job.attempts,
                max_attempts: job.max_attempts,
                worker: job.worker.clone(),
                isolated: job.isolated,
                group: job.group.clone(),
                ..JobView::default()
            });
            if job.state == State::Leased {
                view.held
                    .entry(job.worker.clone())
                    .or_default()
                    .insert(id.clone(), job.token);
            }
            if job.state != State::Done {
                view.counted += u64::from(job.state != State::Dead);
                if !job.group.is_empty() {
                    view.outstanding
                        .entry(job.group.clone())
                        .or_default()
                        .insert(id.clone());
                }
            }
        }
        view
    }
}
