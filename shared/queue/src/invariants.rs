//! What must be true of a queue at every moment, as plain functions without dependencies. The property tests call them
//! after every step against a real Redis, the model after every transition, [`Queue::repair`](crate::Queue::repair)
//! over a queue that somebody changed by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Names of the states whose jobs are outstanding.
const OUTSTANDING: [&str; 5] = ["pending", "leased", "delayed", "splitting", "dead"];

/// One job at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobView {
    /// What its key and the sets call it.
    pub id: String,
    /// What its own record says.
    pub state: String,
    /// The state sets that list it.
    pub listed_in: Vec<String>,
    /// Token of its current or last lease.
    pub token: u64,
    /// Claims so far.
    pub attempts: u32,
    /// Claims it may use up.
    pub max_attempts: u32,
    /// Who holds it.
    pub worker: String,
    /// It is being run isolated.
    pub isolated: bool,
    /// The plan it belongs to, empty if none.
    pub group: String,
    /// Smaller is sooner.
    pub priority: u32,
}

/// A queue at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Every job that has a record or is listed anywhere.
    pub jobs: Vec<JobView>,
    /// The fencing counter.
    pub counter: u64,
    /// What each worker holds: tokens by job id.
    pub held: BTreeMap<String, BTreeMap<String, u64>>,
    /// The index of outstanding jobs by group.
    pub outstanding: BTreeMap<String, BTreeSet<String>>,
    /// Outstanding jobs that back-pressure counts: all but the dead.
    pub counted: u64,
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The job it is about, if it is about one.
    pub job: Option<String>,
    /// In words.
    pub text: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(job) = &self.job {
            write!(f, "job {job}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// Every invariant of one moment that is broken, job by job, those of the whole queue at last.
#[must_use]
pub fn faults(view: &View) -> Vec<Broken> {
    let mut faults = Faults::default();
    let places = Places::of(view);
    let mut counted = 0;
    for job in &view.jobs {
        let outstanding = OUTSTANDING.contains(&job.state.as_str());
        counted += u64::from(outstanding && job.state != "dead");
        check_record(&mut faults, job, view.counter);
        check_holders(&mut faults, job, &places);
        let group = (outstanding && !job.group.is_empty()).then_some(job.group.as_str());
        let listed = places.groups_of(&job.id);
        faults.unless(listed == group.into_iter().collect(), &job.id, || {
            format!("outstanding in group {group:?}, the index says {listed:?}")
        });
    }
    let known: BTreeSet<&str> = view.jobs.iter().map(|job| job.id.as_str()).collect();
    for id in places.ids().filter(|id| !known.contains(id)) {
        let (workers, groups) = (places.workers_of(id), places.groups_of(id));
        faults.push(
            id,
            format!("there is no such job, workers {workers:?} hold it, the index says {groups:?}"),
        );
    }
    if counted != view.counted {
        let text = format!(
            "{counted} jobs count for back-pressure, the counter says {}",
            view.counted
        );
        faults.0.push(Broken { job: None, text });
    }
    faults.0
}

#[derive(Default)]
struct Faults(Vec<Broken>);

impl Faults {
    fn push(&mut self, id: &str, text: String) {
        let job = Some(id.to_owned());
        self.0.push(Broken { job, text });
    }

    fn unless(&mut self, holds: bool, id: &str, text: impl FnOnce() -> String) {
        if !holds {
            self.push(id, text());
        }
    }
}

/// Where each job is listed besides the sets of states.
#[derive(Default)]
struct Places<'v> {
    workers: BTreeMap<&'v str, BTreeMap<&'v str, u64>>,
    groups: BTreeMap<&'v str, BTreeSet<&'v str>>,
    leases: BTreeMap<&'v str, usize>,
}

impl<'v> Places<'v> {
    fn of(view: &'v View) -> Self {
        let mut places = Self::default();
        for (worker, held) in &view.held {
            places.leases.insert(worker, held.len());
            for (id, token) in held {
                places.workers.entry(id).or_default().insert(worker, *token);
            }
        }
        for (group, ids) in &view.outstanding {
            for id in ids {
                places.groups.entry(id).or_default().insert(group);
            }
        }
        places
    }

    fn ids(&self) -> impl Iterator<Item = &'v str> {
        let ids: BTreeSet<&str> = self
            .workers
            .keys()
            .chain(self.groups.keys())
            .copied()
            .collect();
        ids.into_iter()
    }

    fn workers_of(&self, id: &str) -> BTreeMap<&'v str, u64> {
        self.workers.get(id).cloned().unwrap_or_default()
    }

    fn groups_of(&self, id: &str) -> BTreeSet<&'v str> {
        self.groups.get(id).cloned().unwrap_or_default()
    }
}

/// The job's record agrees with itself, with the sets of states and with the fencing counter.
fn check_record(faults: &mut Faults, job: &JobView, counter: u64) {
    let id = &job.id;
    faults.unless(job.listed_in == [job.state.as_str()], id, || {
        format!("says {:?}, listed in {:?}", job.state, job.listed_in)
    });
    faults.unless(job.attempts <= job.max_attempts, id, || {
        format!("has {} attempts of {}", job.attempts, job.max_attempts)
    });
    faults.unless(job.token <= counter, id, || {
        format!("has token {}, the counter is at {counter}", job.token)
    });
    if job.state == "leased" {
        faults.unless(job.token > 0 && !job.worker.is_empty(), id, || {
            "is leased to nobody".to_owned()
        });
        faults.unless(job.attempts > 0, id, || {
            "is leased without an attempt".to_owned()
        });
    }
    if job.state == "pending" || job.state == "delayed" {
        faults.unless(job.attempts < job.max_attempts, id, || {
            format!("is {} without an attempt left", job.state)
        });
    }
}

/// One worker holds a lease, exactly the one the job names; who runs a job isolated holds no other.
fn check_holders(faults: &mut Faults, job: &JobView, places: &Places<'_>) {
    let holders = places.workers_of(&job.id);
    let mut named = BTreeMap::new();
    if job.state == "leased" && !job.worker.is_empty() {
        named.insert(job.worker.as_str(), job.token);
    }
    faults.unless(holders == named, &job.id, || {
        format!("its record names worker and token {named:?}, workers hold {holders:?}")
    });
    if job.isolated && job.state == "leased" {
        let beside = places.leases.get(job.worker.as_str()).copied().unwrap_or(0);
        faults.unless(beside <= 1, &job.id, || {
            format!("must run isolated, its worker holds {beside}")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leased() -> View {
        let job = JobView {
            id: "j".into(),
            state: "leased".into(),
            listed_in: vec!["leased".into()],
            token: 5,
            attempts: 1,
            max_attempts: 3,
            worker: "w".into(),
            group: "g".into(),
            isolated: true,
            ..JobView::default()
        };
        View {
            jobs: vec![job],
            counter: 5,
            held: BTreeMap::from([("w".to_owned(), BTreeMap::from([("j".to_owned(), 5)]))]),
            outstanding: BTreeMap::from([("g".to_owned(), BTreeSet::from(["j".to_owned()]))]),
            counted: 1,
        }
    }

    #[test]
    fn every_invariant_can_be_broken() {
        assert_eq!(faults(&leased()), []);
        type Breakage = (&'static str, fn(&mut View));
        let breakages: [Breakage; 11] = [
            ("listed in", |view| {
                view.jobs[0].listed_in.push("done".into())
            }),
            ("attempts of", |view| view.jobs[0].attempts = 4),
            ("counter is at", |view| view.counter = 4),
            ("leased to nobody", |view| view.jobs[0].worker.clear()),
            ("without an attempt", |view| view.jobs[0].attempts = 0),
            ("workers hold", |view| view.held.clear()),
            ("workers hold", |view| {
                view.held.get_mut("w").unwrap().insert("j".into(), 4);
            }),
            ("must run isolated", |view| {
                let other = JobView {
                    id: "k".into(),
                    isolated: false,
                    ..view.jobs[0].clone()
                };
                view.jobs.push(other);
                view.held.get_mut("w").unwrap().insert("k".into(), 5);
            }),
            ("no such job", |view| {
                let stray = BTreeSet::from(["k".to_owned()]);
                view.outstanding.insert("h".into(), stray);
            }),
            ("the index says", |view| view.outstanding.clear()),
            ("back-pressure", |view| view.counted = 0),
        ];
        for (words, breakage) in breakages {
            let mut view = leased();
            breakage(&mut view);
            let broken = &faults(&view)[0];
            assert!(broken.text.contains(words), "{words}: {broken}");
        }
    }
}
