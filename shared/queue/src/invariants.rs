//! What must always be true of the protocol, as plain functions without dependencies. The property tests call them after every step
//! against a real Redis, the model after every transition; whoever operates a queue may call them over a dump.
//!
//! Two kinds: [`snapshot`] looks at one moment, [`Ledger`] follows what was promised over time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Names of the states whose jobs are outstanding.
pub const OUTSTANDING: [&str; 5] = ["pending", "leased", "delayed", "splitting", "dead"];

/// One job at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobView {
    /// Its id.
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
    /// Its last attempt failed, and it says why.
    pub failed: bool,
}

/// A lease as its worker's list has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HoldView {
    /// Token of the lease.
    pub token: u64,
    /// Priority and group, if an ack may do without reading the job.
    pub plain: Option<(u32, String)>,
}

/// A queue at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Every job that has a record or is listed anywhere.
    pub jobs: Vec<JobView>,
    /// The fencing counter.
    pub counter: u64,
    /// What each worker holds, by job id.
    pub held: BTreeMap<String, BTreeMap<String, HoldView>>,
    /// The index of outstanding jobs by group.
    pub outstanding: BTreeMap<String, BTreeSet<String>>,
    /// Outstanding jobs that back-pressure counts: all but the dead.
    pub counted: u64,
}

/// A broken invariant, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

fn must(holds: bool, text: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(text())) }
}

/// What must be true at every moment.
///
/// # Errors
/// The first invariant that is broken.
pub fn snapshot(view: &View) -> Result<(), Broken> {
    let mut leases = BTreeMap::<&str, BTreeSet<&str>>::new();
    let mut outstanding = BTreeMap::<&str, BTreeSet<&str>>::new();
    let mut counted = 0;
    for job in &view.jobs {
        let id = &job.id;
        must(job.listed_in == [job.state.as_str()], || {
            format!("job {id} says {}, listed in {:?}", job.state, job.listed_in)
        })?;
        must(job.attempts <= job.max_attempts, || {
            format!(
                "job {id} has {} attempts of {}",
                job.attempts, job.max_attempts
            )
        })?;
        must(job.token <= view.counter, || {
            format!(
                "job {id} has token {}, the counter is at {}",
                job.token, view.counter
            )
        })?;
        if job.state == "leased" {
            must(job.token > 0 && !job.worker.is_empty(), || {
                format!("job {id} is leased to nobody")
            })?;
            must(job.attempts > 0, || {
                format!("job {id} is leased without an attempt")
            })?;
            leases.entry(&job.worker).or_default().insert(id);
        }
        if job.state == "pending" || job.state == "delayed" {
            must(job.attempts < job.max_attempts, || {
                format!("job {id} is {} without an attempt left", job.state)
            })?;
        }
        if OUTSTANDING.contains(&job.state.as_str()) {
            counted += u64::from(job.state != "dead");
            if !job.group.is_empty() {
                outstanding.entry(&job.group).or_default().insert(id);
            }
        }
    }
    // one worker holds a lease, exactly the one the job names
    let held: BTreeMap<&str, BTreeSet<&str>> = view
        .held
        .iter()
        .filter(|(_, holds)| !holds.is_empty())
        .map(|(worker, holds)| (worker.as_str(), holds.keys().map(String::as_str).collect()))
        .collect();
    must(held == leases, || {
        format!("jobs name their workers {leases:?}, workers hold {held:?}")
    })?;
    for job in view.jobs.iter().filter(|job| job.state == "leased") {
        let hold = &view.held[&job.worker][&job.id];
        must(hold.token == job.token, || {
            format!(
                "job {} has token {}, its holder's list says {}",
                job.id, job.token, hold.token
            )
        })?;
        if let Some((priority, group)) = &hold.plain {
            must(
                (*priority, group) == (job.priority, &job.group) && !job.failed,
                || format!("the list of its holder says {hold:?} of {job:?}"),
            )?;
        }
    }
    for job in view
        .jobs
        .iter()
        .filter(|job| job.isolated && job.state == "leased")
    {
        let beside = leases.get(job.worker.as_str()).map_or(0, BTreeSet::len);
        must(beside == 1, || {
            format!("job {} must run isolated, its worker holds {beside}", job.id)
        })?;
    }
    let indexed: BTreeMap<&str, BTreeSet<&str>> = view
        .outstanding
        .iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(group, ids)| (group.as_str(), ids.iter().map(String::as_str).collect()))
        .collect();
    must(indexed == outstanding, || {
        format!("outstanding are {outstanding:?}, the index says {indexed:?}")
    })?;
    must(counted == view.counted, || {
        format!(
            "{counted} jobs count for back-pressure, the counter says {}",
            view.counted
        )
    })
}

/// What was promised over time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    largest: u64,
    /// The token that may end each job's lease now.
    valid: BTreeMap<String, u64>,
    acked: BTreeSet<String>,
    needed: BTreeSet<String>,
}

impl Ledger {
    /// A job was added.
    pub fn enqueued(&mut self, id: &str) {
        self.acked.remove(id);
        self.valid.remove(id);
        self.needed.insert(id.to_owned());
    }

    /// A claim handed out `token`.
    ///
    /// # Errors
    /// Tokens only grow; an acked job is never claimed again.
    pub fn claimed(&mut self, id: &str, token: u64) -> Result<(), Broken> {
        must(token > self.largest, || {
            format!("token {token} for {id} after {}", self.largest)
        })?;
        must(!self.acked.contains(id), || {
            format!("job {id} was acked and is claimed again")
        })?;
        self.largest = token;
        self.valid.insert(id.to_owned(), token);
        Ok(())
    }

    /// Somebody ended or renewed a lease and was told that it worked.
    ///
    /// # Errors
    /// Only the latest token may.
    pub fn accepted(&self, id: &str, token: u64) -> Result<(), Broken> {
        let valid = self.valid.get(id).copied();
        must(valid == Some(token), || {
            format!("token {token} was accepted for {id}, valid is {valid:?}")
        })
    }

    /// An ack was accepted.
    pub fn acked(&mut self, id: &str) {
        self.acked.insert(id.to_owned());
        self.needed.remove(id);
    }

    /// The owner or an operator took the job away.
    pub fn resolved(&mut self, id: &str) {
        self.needed.remove(id);
        self.valid.remove(id);
    }

    /// Redis has forgotten everything. What it promised about jobs is void; its tokens still grow.
    pub fn forgotten(&mut self) {
        self.valid.clear();
        self.acked.clear();
        self.needed.clear();
    }

    /// After [`forgotten`](Self::forgotten): Redis still (or again) has this job outstanding, under this token if it is leased.
    pub fn remembered(&mut self, id: &str, lease: Option<u64>) {
        self.needed.insert(id.to_owned());
        if let Some(token) = lease {
            self.valid.insert(id.to_owned(), token);
        }
    }

    /// The largest token handed out.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// Renames tokens, keeping their order (a model makes equal situations equal). Valid tokens that `still_known` maps to 0 are
    /// forgotten: nobody can ask with them any more.
    pub fn rename(&mut self, order: impl Fn(u64) -> u64, still_known: impl Fn(u64) -> u64) {
        self.largest = order(self.largest);
        self.valid = std::mem::take(&mut self.valid)
            .into_iter()
            .map(|(id, token)| (id, still_known(token)))
            .filter(|(_, token)| *token > 0)
            .collect();
    }

    /// No outstanding job disappears.
    ///
    /// # Errors
    /// The first job that is needed and not there.
    pub fn all_there(&self, outstanding: &BTreeSet<String>) -> Result<(), Broken> {
        self.needed
            .iter()
            .find(|id| !outstanding.contains(*id))
            .map_or(Ok(()), |id| {
                Err(Broken(format!("job {id} is outstanding and not there")))
            })
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
        let hold = HoldView {
            token: 5,
            plain: Some((0, "g".into())),
        };
        View {
            jobs: vec![job],
            counter: 5,
            held: BTreeMap::from([("w".to_owned(), BTreeMap::from([("j".to_owned(), hold)]))]),
            outstanding: BTreeMap::from([("g".to_owned(), BTreeSet::from(["j".to_owned()]))]),
            counted: 1,
        }
    }

    fn hold(view: &mut View) -> &mut HoldView {
        view.held.get_mut("w").unwrap().get_mut("j").unwrap()
    }

    #[test]
    fn every_invariant_can_be_broken() {
        assert_eq!(snapshot(&leased()), Ok(()));
        type Breakage = (&'static str, fn(&mut View));
        let breakages: [Breakage; 13] = [
            ("listed in", |view| {
                view.jobs[0].listed_in.push("done".into())
            }),
            ("attempts of", |view| view.jobs[0].attempts = 4),
            ("counter is at", |view| view.counter = 4),
            ("leased to nobody", |view| view.jobs[0].worker.clear()),
            ("without an attempt", |view| view.jobs[0].attempts = 0),
            ("workers hold", |view| view.held.clear()),
            ("holder's list says", |view| hold(view).token = 4),
            ("list of its holder", |view| {
                hold(view).plain = Some((1, "g".into()))
            }),
            ("list of its holder", |view| {
                hold(view).plain = Some((0, String::new()))
            }),
            ("list of its holder", |view| view.jobs[0].failed = true),
            ("must run isolated", |view| {
                let other = JobView {
                    id: "k".into(),
                    isolated: false,
                    ..view.jobs[0].clone()
                };
                view.jobs.push(other);
                let hold = hold(view).clone();
                view.held.get_mut("w").unwrap().insert("k".into(), hold);
            }),
            ("the index says", |view| view.outstanding.clear()),
            ("back-pressure", |view| view.counted = 0),
        ];
        for (words, breakage) in breakages {
            let mut view = leased();
            breakage(&mut view);
            let broken = snapshot(&view).unwrap_err();
            assert!(broken.0.contains(words), "{words}: {broken}");
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
}
