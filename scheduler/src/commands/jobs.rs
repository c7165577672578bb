//! `scheduler jobs`: list, show, retry, drop, repair, take-queue.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use weldfleet_fleet::queue_failure;
use weldfleet_queue::{Job, Queue, QueueError, State, Taken};
use weldfleet_service::{
    Exit, Failure, errln, out, outln,
    output::{self, grouped, table},
};
use weldfleet_settings::Settings;
use weldfleet_stores::Day;

use super::{keep, operator, plain};
use crate::{
    actions::jobs::{self as actions, DROPPED, Droppable, Tried},
    args::{JobFilter, Jobs},
    dependencies::{Dependencies, own_queue, queue, store_failure},
    events,
};

/// Jobs read at a time.
const PAGE: u32 = 500;
/// States that are listed when none is asked for, those that need a person first.
const OUTSTANDING: [State; 5] = [
    State::Dead,
    State::Splitting,
    State::Leased,
    State::Delayed,
    State::Pending,
];

pub async fn run(settings: Arc<Settings>, what: Jobs) -> Result<Exit, Failure> {
    match what {
        Jobs::List {
            filter,
            limit,
            json,
        } => list(&settings, &filter, limit, json).await,
        Jobs::Show { id, json } => show(&settings, &id, json).await,
        Jobs::Retry { ids, all, why, of } => {
            let filter = JobFilter {
                state: Some(State::Dead),
                of,
            };
            retry(&settings, ids, all, &filter, &why.reason).await
        }
        Jobs::Drop {
            ids,
            all,
            filter,
            why,
            ..
        } => drop_jobs(settings, ids, all, &filter, &why.reason).await,
        Jobs::Repair { yes, why, json } => repair(&settings, yes, &why.reason, json).await,
        Jobs::TakeQueue { why } => take_queue(&settings, &why.reason).await,
    }
}

/// A filter with its day resolved.
struct JobQuery {
    states: Vec<State>,
    day: Option<Day>,
    run: Option<u64>,
}

impl JobQuery {
    fn new(filter: &JobFilter, settings: &Settings, otherwise: &[State]) -> Result<Self, Failure> {
        let day = filter
            .of
            .day
            .map(|day| day.resolve(&settings.scheduler.timezone))
            .transpose()?;
        Ok(Self {
            states: filter
                .state
                .map_or_else(|| otherwise.to_vec(), |state| vec![state]),
            day,
            run: filter.of.run,
        })
    }

    fn takes(&self, job: &Job) -> bool {
        let is = |name: &str, wanted: Option<String>| {
            wanted.is_none_or(|wanted| job.get(name) == Some(&wanted))
        };
        is("day", self.day.map(|day| day.to_string()))
            && is("run", self.run.map(|run| run.to_string()))
    }
}

/// How many dead jobs a run has.
pub async fn dead_of(queue: &Queue, run: u64) -> Result<u64, QueueError> {
    let query = JobQuery {
        states: vec![State::Dead],
        day: None,
        run: Some(run),
    };
    let mut dead = 0;
    let count = |_| {
        dead += 1;
        true
    };
    each(queue, &query, count).await?;
    Ok(dead)
}

/// Jobs that the filter lets through, `limit` at most.
async fn find(queue: &Queue, query: &JobQuery, limit: usize) -> Result<Vec<Job>, QueueError> {
    let mut found = Vec::new();
    let keep = |job| {
        found.push(job);
        found.len() < limit
    };
    each(queue, query, keep).await?;
    Ok(found)
}

/// Takes the jobs that the filter lets through, until `take` wants no more.
async fn each(
    queue: &Queue,
    query: &JobQuery,
    mut take: impl FnMut(Job) -> bool,
) -> Result<(), QueueError> {
    for state in &query.states {
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let page = queue.list(*state, at, PAGE).await?;
            for job in page.jobs {
                if query.takes(&job) && !take(job) {
                    return Ok(());
                }
            }
            cursor = page.next;
        }
    }
    Ok(())
}

async fn list(
    settings: &Settings,
    filter: &JobFilter,
    limit: usize,
    json: bool,
) -> Result<Exit, Failure> {
    let queue = own_queue(settings).await?;
    let query = JobQuery::new(filter, settings, &OUTSTANDING)?;
    // One more than shown, to know whether there is more.
    let found = find(&queue, &query, limit.saturating_add(1)).await;
    let mut jobs = found.map_err(queue_failure)?;
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    if json {
        let jobs: Vec<Value> = jobs.iter().map(as_json).collect();
        output::json(&json!({ "jobs": jobs, "more": more }))?;
        return Ok(Exit::Done);
    }
    if jobs.is_empty() {
        outln!("no such job");
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = jobs.iter().map(line).collect();
    out!(
        "{}",
        table(
            &[
                "id", "state", "rows", "attempts", "deaths", "worker", "error"
            ],
            &rows
        )
    );
    if more {
        outln!("… and more (--limit)");
    }
    Ok(Exit::Done)
}

fn line(job: &Job) -> Vec<String> {
    let error = if job.error.is_empty() {
        job.unreadable.join(", ")
    } else {
        job.error.clone()
    };
    let error: String = error.chars().take(80).collect();
    vec![
        plain(&job.id),
        job.state.to_string(),
        grouped(job.weight),
        format!("{}/{}", job.attempts, job.max_attempts),
        job.deaths.to_string(),
        plain(&job.worker),
        plain(&error),
    ]
}

/// The job with its own fields beside those of the protocol, `weight` under its name in Redis.
fn as_json(job: &Job) -> Value {
    let mut value = json!(job);
    if let Value::Object(map) = &mut value {
        map.remove("fields");
        if job.unreadable.is_empty() {
            map.remove("unreadable");
        }
        let weight = map.remove("weight").unwrap_or_default();
        map.insert("rows".to_owned(), weight);
        for (name, text) in &job.fields {
            // what could not be read is shown as it is
            if job.unreadable.is_empty() {
                map.entry(name).or_insert_with(|| json!(text));
            } else {
                map.insert(name.clone(), json!(text));
            }
        }
    }
    value
}

async fn show(settings: &Settings, id: &str, json: bool) -> Result<Exit, Failure> {
    let job = get(&own_queue(settings).await?, id).await?;
    if json {
        output::json(&as_json(&job))?;
        return Ok(Exit::Done);
    }
    let Value::Object(map) = as_json(&job) else {
        return Ok(Exit::Done);
    };
    let width = map.keys().map(String::len).max().unwrap_or(0);
    for (name, value) in &map {
        let text = match value {
            Value::String(text) => plain(text),
            Value::Array(lines) => lines
                .iter()
                .filter_map(Value::as_str)
                .map(plain)
                .collect::<Vec<_>>()
                .join(&format!("\n{:width$}  ", "")),
            Value::Number(number)
                if name.ends_with("_at") || name == "lease_until" || name == "not_before" =>
            {
                shown_time(number.as_i64().unwrap_or(0))
            }
            other => other.to_string(),
        };
        outln!("{:width$}  {text}", plain(name));
    }
    Ok(Exit::Done)
}

/// Redis times are ms since 1970; 0 is "not yet".
fn shown_time(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) if ms > 0 => format!("{time:.3}"),
        _ => "-".to_owned(),
    }
}

async fn get(queue: &Queue, id: &str) -> Result<Job, Failure> {
    queue.get(id).await.map_err(queue_failure)?.ok_or_else(|| {
        Failure::usage(format!(
            "there is no job `{id}`; `scheduler jobs list` shows those there are (finished ones are forgotten after a while)"
        ))
    })
}

async fn retry(
    settings: &Settings,
    ids: Vec<String>,
    all: bool,
    filter: &JobFilter,
    why: &str,
) -> Result<Exit, Failure> {
    let queue = own_queue(settings).await?;
    let ids = chosen(settings, &queue, ids, all, filter).await?;
    let tried = actions::retry(settings, &queue, &ids, &operator(why)).await;
    told(tried, |tried| {
        format!("{} of {} jobs run again", tried.done, ids.len())
    })
}

/// Says what came of it. Exit code 1 if a job was refused.
fn told(tried: Tried, in_words: impl FnOnce(&Tried) -> String) -> Result<Exit, Failure> {
    for why in tried.notes.iter().chain(&tried.refused) {
        errln!("{}", plain(&why.to_string()));
    }
    if tried.gone > 0 {
        errln!("{} are gone already", tried.gone);
    }
    if let Some(why) = &tried.unkept {
        errln!("note: {why}");
    }
    let said = in_words(&tried);
    if let Some(failure) = tried.failure {
        errln!("{said}");
        return Err(failure);
    }
    outln!("{said}");
    Ok(if tried.refused.is_empty() && tried.gone == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// The ids; one that no job has is a slip of the hand.
async fn chosen(
    settings: &Settings,
    queue: &Queue,
    ids: Vec<String>,
    all: bool,
    filter: &JobFilter,
) -> Result<Vec<String>, Failure> {
    if all {
        let query = JobQuery::new(filter, settings, &[State::Dead])?;
        let found = find(queue, &query, usize::MAX).await;
        let found = found.map_err(queue_failure)?;
        return Ok(found.into_iter().map(|job| job.id).collect());
    }
    for id in &ids {
        get(queue, id).await?;
    }
    Ok(ids)
}

async fn drop_jobs(
    settings: Arc<Settings>,
    ids: Vec<String>,
    all: bool,
    filter: &JobFilter,
    why: &str,
) -> Result<Exit, Failure> {
    let deps = Dependencies::open(settings.clone()).await?;
    let ids = chosen(&settings, &deps.queue, ids, all, filter).await?;
    let which = Droppable::Outstanding;
    let tried = actions::drop_jobs(&deps, &ids, which, &operator(why)).await;
    told(tried, |tried| {
        let rows = grouped(tried.rows);
        let mut said = format!(
            "{} of {} jobs dropped, {rows} rows marked invalid ({DROPPED})",
            tried.done,
            ids.len()
        );
        if tried.kept > 0 {
            said.push_str(&format!(", {} keep their verdict", grouped(tried.kept)));
        }
        said
    })
}

/// Exit code 1 if something is wrong and is left so.
async fn repair(settings: &Settings, repair: bool, why: &str, json: bool) -> Result<Exit, Failure> {
    let queue = own_queue(settings).await?;
    let found = queue.repair(repair).await.map_err(queue_failure)?;
    let sound = found.jobs.is_empty() && found.miscounted.as_ref().is_none_or(BTreeMap::is_empty);
    let exit = if sound || repair {
        Exit::Done
    } else {
        Exit::Failed
    };
    if repair && !sound {
        let detail = events::REPAIRED.words(&[&found.jobs.len().to_string()]);
        let event = operator(why).event("jobs repair", "fleet", detail.en);
        keep(settings, &[event]).await;
    }
    if json {
        output::json(&json!({
            "jobs": found.jobs,
            "miscounted": found.miscounted,
            "repaired": repair && !sound,
        }))?;
        return Ok(exit);
    }
    for job in &found.jobs {
        outln!("{}: {}", plain(&job.id), plain(&job.faults.join("; ")));
    }
    match &found.miscounted {
        Some(miscounted) => {
            for (priority, surplus) in miscounted {
                outln!(
                    "outstanding jobs of priority {priority}: {surplus:+} counted beyond those there are"
                );
            }
        }
        None => outln!(
            "whether the counts are right cannot be told while jobs come and go; `scheduler pause` and try again"
        ),
    }
    outln!(
        "{}",
        match (sound, repair) {
            (true, _) => "nothing is damaged".to_owned(),
            (false, true) => format!("{} damaged jobs repaired", found.jobs.len()),
            (false, false) => format!(
                "{} damaged jobs, nothing was changed; --yes repairs them",
                found.jobs.len()
            ),
        }
    );
    Ok(exit)
}

/// After the table was moved: the queue is this configuration's from now on.
async fn take_queue(settings: &Settings, why: &str) -> Result<Exit, Failure> {
    let queue = queue(settings)?;
    let owner = weldfleet_fleet::owner(settings)
        .await
        .map_err(store_failure)?;
    let Some(owner) = owner else {
        return Err(Failure::usage(format!(
            "clickhouse has no table {}.{}; `scheduler migrate` creates it, or tables.source_table names another",
            settings.clickhouse.database, settings.tables.source_table
        )));
    };
    let name = owner.name.clone();
    let queue = queue.owned_by(owner).map_err(queue_failure)?;
    match queue.take().await.map_err(queue_failure)? {
        Taken::Taken { forgotten } => {
            let detail = events::FORGOTTEN.words(&[&forgotten.to_string()]);
            let event = operator(why).event("jobs take-queue", "fleet", detail.en);
            keep(settings, &[event]).await;
            outln!(
                "redis.queue = \"{}\" belongs to {name} now; {} outstanding jobs were forgotten, the next pass makes what is needed",
                settings.redis.queue,
                grouped(forgotten)
            );
            Ok(Exit::Done)
        }
        Taken::InUse { workers, leader } => {
            let leader = leader.map_or_else(String::new, |id| format!(" and scheduler {id}"));
            let error = anyhow::anyhow!(
                "redis.queue = \"{}\" is in use by {workers} workers{leader}; stop them first (one that was killed is listed for a while)",
                settings.redis.queue
            );
            Err(Failure::new(Exit::Failed, error))
        }
    }
}
