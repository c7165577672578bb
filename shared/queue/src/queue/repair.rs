//! For a queue that somebody changed by hand: what breaks [`invariants`](crate::invariants), and repairing it. The
//! scripts of daily work do not look for such damage beyond going on with the other jobs. The walk over the queue is no
//! moment, since work goes on meanwhile; so what it finds is a suspicion, and `repair.lua` looks again, job by job,
//! before it says or does anything.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;

use super::Queue;
use crate::{
    QueueError, State,
    invariants::{JobView, View, faults},
    reply::Reply,
    scripts::{Arg, Operation},
};

/// Records that are read at a time.
const PAGE: usize = 500;
/// The fields of a record that invariants speak of.
const FIELDS: [&str; 8] = [
    "state",
    "token",
    "attempts",
    "max_attempts",
    "worker",
    "isolated",
    "group",
    "priority",
];
const OPERATION: &str = "repair";

/// One damaged job.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Repair {
    /// What its key, or what lists it, calls it.
    pub id: String,
    /// What is wrong with it, in words.
    pub faults: Vec<String>,
}

/// What [`Queue::repair`] found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Repairs {
    /// Jobs that are damaged, or were until they were repaired.
    pub jobs: Vec<Repair>,
    /// By priority, how many more outstanding jobs were counted than there are; only those that are wrong. `None` if it
    /// cannot be told, since jobs were added or ended meanwhile.
    pub miscounted: Option<BTreeMap<u8, i64>>,
}

/// A queue as a walk found it.
struct Survey {
    view: View,
    /// Who runs which job isolated, as their marks say: workers by job.
    isolated: BTreeMap<String, BTreeSet<String>>,
    /// The counts, if they are the same before and after the walk.
    counts: Option<BTreeMap<String, String>>,
}

impl Queue {
    /// Finds jobs whose record, sets, worker and group disagree, and, if `repair`, makes them agree with the record.
    /// Walks over the whole queue and over the keys of its Redis; each job is repaired in one step, while work goes on.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn repair(&self, repair: bool) -> Result<Repairs, QueueError> {
        let mut survey = self.survey().await?;
        let suspects: BTreeSet<String> = faults(&survey.view)
            .into_iter()
            .filter_map(|fault| fault.job)
            .chain(survey.isolated.keys().cloned())
            .collect();
        let mut jobs = Vec::new();
        for id in suspects {
            let faults = self.repair_job(&survey, &id, repair).await?;
            if !faults.is_empty() {
                jobs.push(Repair { id, faults });
            }
        }
        if repair && !jobs.is_empty() {
            survey = self.survey().await?;
        }
        let miscounted = self.recount(&survey, repair).await?;
        Ok(Repairs { jobs, miscounted })
    }

    async fn repair_job(
        &self,
        survey: &Survey,
        id: &str,
        repair: bool,
    ) -> Result<Vec<String>, QueueError> {
        let view = &survey.view;
        let holding = view.held.iter().filter(|(_, held)| held.contains_key(id));
        let mut workers: BTreeSet<&str> = holding.map(|(worker, _)| worker.as_str()).collect();
        workers.extend(
            survey
                .isolated
                .get(id)
                .into_iter()
                .flatten()
                .map(String::as_str),
        );
        let listing = view.outstanding.iter().filter(|(_, ids)| ids.contains(id));
        let mut args = vec![
            Arg::Text(id),
            Arg::Number(u64::from(repair)),
            Arg::Number(workers.len() as u64),
        ];
        args.extend(workers.into_iter().map(Arg::Text));
        args.extend(listing.map(|(group, _)| Arg::Text(group)));
        let (reply, value) = self.run(Operation::Repair, &args).await?;
        reply.texts(&value)
    }

    /// Compares the counts with what is there; corrects them if `repair`.
    async fn recount(
        &self,
        survey: &Survey,
        repair: bool,
    ) -> Result<Option<BTreeMap<u8, i64>>, QueueError> {
        let Some(counts) = &survey.counts else {
            return Ok(None);
        };
        let read = |what: &str, priority: u8| {
            let count = counts.get(&format!("{what}:{priority}"));
            count.map_or("", String::as_str)
        };
        let number = |text: &str| text.parse::<i64>().unwrap_or(0);
        let mut there = BTreeMap::<u8, i64>::new();
        for name in counts.keys() {
            if let Some(Ok(priority)) = name.split_once(':').map(|(_, text)| text.parse()) {
                there.entry(priority).or_default();
            }
        }
        for job in &survey.view.jobs {
            *there
                .entry(u8::try_from(job.priority).unwrap_or(0))
                .or_default() += i64::from(counts_as_outstanding(job));
        }
        let [added, done, left] = ["added", "done", "left"];
        let mut miscounted = BTreeMap::new();
        let mut texts = Vec::new();
        for (priority, outstanding) in there {
            let columns = [added, done, left].map(|what| read(what, priority));
            let counted = number(columns[0]) - number(columns[1]) - number(columns[2]);
            if counted != outstanding {
                miscounted.insert(priority, counted - outstanding);
                texts.extend([priority.to_string(), outstanding.to_string()]);
                texts.extend(columns.map(str::to_owned));
            }
        }
        if repair && !miscounted.is_empty() {
            let args: Vec<_> = texts.iter().map(|text| Arg::Text(text)).collect();
            if !self.run_flag(Operation::Recount, &args).await? {
                return Ok(None);
            }
        }
        Ok(Some(miscounted))
    }

    async fn survey(&self) -> Result<Survey, QueueError> {
        let counts = self.counts().await?;
        let mut view = View::default();
        let mut listed = BTreeMap::<String, Vec<String>>::new();
        for state in State::ALL {
            let key = self.keys().state(state);
            let members = self.scan(OPERATION, "ZSCAN", &key).await?;
            for [id, _score] in members.as_chunks().0 {
                let listed_in = listed.entry(id.clone()).or_default();
                listed_in.push(state.to_string());
            }
        }
        let mut isolated = BTreeMap::<String, BTreeSet<String>>::new();
        for name in self.names().await? {
            let key = self.keys().named(&name);
            if let Some(id) = name.strip_prefix("job:") {
                listed.entry(id.to_owned()).or_default();
            } else if let Some(group) = name.strip_prefix("outstanding:") {
                let ids = self.scan(OPERATION, "SSCAN", &key).await?;
                let ids = ids.into_iter().collect();
                view.outstanding.insert(group.to_owned(), ids);
            } else if let Some(worker) = name.strip_prefix("worker:") {
                if let Some(worker) = worker.strip_suffix(":leases") {
                    // One that is no hash lists nothing; the jobs' records say who holds them.
                    if self.ask("TYPE", &key).await? == "hash" {
                        let leases = self.scan(OPERATION, "HSCAN", &key).await?;
                        view.held.insert(worker.to_owned(), tokens(&leases));
                    }
                } else if let Some(worker) = worker.strip_suffix(":isolated") {
                    let id = self.ask("GET", &key).await?;
                    isolated.entry(id).or_default().insert(worker.to_owned());
                }
            }
        }
        for page in listed.into_iter().collect::<Vec<_>>().chunks(PAGE) {
            view.jobs.extend(self.job_views(page).await?);
        }
        // at last: tokens only grow
        let mut get = redis::cmd("GET");
        let counter = self.command(get.arg(self.keys().named("token"))).await?;
        view.counter = Reply::of(OPERATION).number(&counter)?;
        let still = self.counts().await? == counts;
        // the counts are compared by priority, not in all
        view.counted = view
            .jobs
            .iter()
            .filter(|job| counts_as_outstanding(job))
            .count() as u64;
        Ok(Survey {
            view,
            isolated,
            counts: still.then_some(counts),
        })
    }

    /// What a command of one key answers, a text.
    async fn ask(&self, verb: &str, key: &str) -> Result<String, QueueError> {
        let value = self.command(redis::cmd(verb).arg(key)).await?;
        Reply::of(OPERATION).text(&value)
    }

    async fn counts(&self) -> Result<BTreeMap<String, String>, QueueError> {
        let mut all = redis::cmd("HGETALL");
        let value = self.command(all.arg(self.keys().named("counts"))).await?;
        Ok(Reply::of(OPERATION).pairs(&value)?.into_iter().collect())
    }

    /// The names of all the queue's keys, without what all begin with.
    async fn names(&self) -> Result<BTreeSet<String>, QueueError> {
        let base = self.keys().base();
        let mut pattern = String::new();
        for letter in base.chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('*');
        let from = |cursor: &str| {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(PAGE);
            scan
        };
        let keys = self.pages(OPERATION, from).await?;
        let names = keys.iter().filter_map(|key| key.strip_prefix(base));
        Ok(names.map(str::to_owned).collect())
    }

    /// Jobs with a record, or without one but listed somewhere.
    async fn job_views(
        &self,
        listed: &[(String, Vec<String>)],
    ) -> Result<Vec<JobView>, QueueError> {
        let reply = Reply::of(OPERATION);
        let mut pipeline = redis::pipe();
        for (id, _) in listed {
            pipeline.cmd("HMGET").arg(self.keys().job(id)).arg(&FIELDS);
        }
        let values = self.inner.link.send_each(OPERATION, &pipeline).await?;
        let mut views = Vec::with_capacity(listed.len());
        for ((id, listed_in), value) in listed.iter().zip(&values) {
            let texts = match value {
                Value::ServerError(_) => vec![String::new(); FIELDS.len()],
                value => reply.texts(value)?,
            };
            let [
                state,
                token,
                attempts,
                max_attempts,
                worker,
                isolated,
                group,
                priority,
            ] = &texts[..]
            else {
                return Err(reply.wrong("the fields of a record", value));
            };
            views.push(JobView {
                id: id.clone(),
                state: state.clone(),
                listed_in: listed_in.clone(),
                token: token.parse().unwrap_or(0),
                attempts: attempts.parse().unwrap_or(0),
                max_attempts: max_attempts.parse().unwrap_or(1),
                worker: worker.clone(),
                isolated: isolated == "1",
                group: group.clone(),
                priority: priority
                    .parse()
                    .ok()
                    .filter(|priority| *priority <= 99)
                    .unwrap_or(0),
            });
        }
        Ok(views)
    }
}

/// As the counts have it: a dead job has left.
fn counts_as_outstanding(job: &JobView) -> bool {
    !matches!(job.state.as_str(), "dead" | "done" | "")
}

/// By job, of a worker's list of leases.
fn tokens(leases: &[String]) -> BTreeMap<String, u64> {
    let leases = leases.as_chunks().0.iter();
    leases
        .map(|[id, token]| (id.clone(), token.parse().unwrap_or(0)))
        .collect()
}
