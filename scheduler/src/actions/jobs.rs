//! Dead jobs run again, or are given up with their rows.

use std::{collections::BTreeMap, time::Duration};

use weldfleet_fleet::queue_failure;
use weldfleet_queue::{Job, Queue, State};
use weldfleet_service::Failure;
use weldfleet_settings::Settings;
use weldfleet_stores::{
    LIVE_RUN,
    clickhouse::{Event, RunState, Runs, Server},
};
use weldfleet_weld::Status;

use super::{By, refused::Refused};
use crate::{
    dependencies::{Dependencies, store_failure},
    events,
};

/// `alg_error` of dropped rows.
pub const DROPPED: &str = "dropped";

/// Retries of one INSERT of events: who is stopped midway leaves few untold. Drops, each of which writes rows, are told
/// one by one.
const RETRIES_AT_A_TIME: usize = 20;

/// How long a run's state is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of it, job by job.
#[derive(Default)]
pub struct Tried {
    /// Jobs that were retried or dropped.
    pub done: u64,
    /// Jobs that are gone already.
    pub gone: u64,
    /// Rows that were marked.
    pub rows: u64,
    /// Rows that keep a verdict of before.
    pub kept: u64,
    /// Why others were not, one line each.
    pub refused: Vec<Refused>,
    /// What else is to be known.
    pub notes: Vec<Refused>,
    /// Why what was done is not in `weld_events`.
    pub unkept: Option<Refused>,
    /// What ended it early.
    pub failure: Option<Failure>,
    /// Events that are not kept yet.
    untold: Vec<Event>,
}

impl Tried {
    /// Keeps the events as they come. A ClickHouse that does not take them is asked again once, in the end; not for
    /// those that it may have, or they would be there twice.
    async fn tell(&mut self, settings: &Settings, event: Event, at_a_time: usize) {
        self.untold.push(event);
        if self.untold.len() >= at_a_time && self.unkept.is_none() {
            self.tell_all(settings).await;
        }
    }

    async fn tell_all(&mut self, settings: &Settings) {
        if !self.untold.is_empty() {
            let unkept = super::keep(settings, &self.untold).await;
            let is_unknown = |why: &Refused| matches!(why, Refused::PerhapsKept(_));
            if unkept.as_ref().is_none_or(is_unknown) {
                self.untold.clear();
            }
            self.unkept = self.unkept.take().filter(is_unknown).or(unkept);
        }
    }
}

/// Runs dead jobs again.
pub async fn retry(settings: &Settings, queue: &Queue, ids: &[String], by: &By) -> Tried {
    let (mut tried, mut runs) = (Tried::default(), RunStates::default());
    for id in ids {
        let retrying = retry_one(settings, queue, id, by, &mut runs, &mut tried);
        if let Err(failure) = queue.one_at_a_time(&format!("job:{id}"), retrying).await {
            tried.failure = Some(failure);
            break;
        }
    }
    tried.failure = tried.failure.take().or(runs.failure);
    tried.tell_all(settings).await;
    tried
}

/// What is known of runs, each asked for once.
#[derive(Default)]
struct RunStates {
    known: BTreeMap<u64, Option<RunState>>,
    /// ClickHouse does not say; it is not asked again.
    failure: Option<Failure>,
}

impl RunStates {
    /// `None` where that cannot be told.
    async fn of(&mut self, settings: &Settings, run: u64) -> Option<Option<RunState>> {
        if let Some(state) = self.known.get(&run) {
            return Some(*state);
        }
        if self.failure.is_some() {
            return None;
        }
        let server = Server::new(&settings.clickhouse).with_patience(PATIENCE);
        match Runs::on(server).get(run).await {
            Ok(found) => {
                let state = found.map(|run| run.state);
                self.known.insert(run, state);
                Some(state)
            }
            Err(error) => {
                self.failure = Some(store_failure(error));
                None
            }
        }
    }
}

async fn retry_one(
    settings: &Settings,
    queue: &Queue,
    id: &str,
    by: &By,
    runs: &mut RunStates,
    tried: &mut Tried,
) -> Result<(), Failure> {
    let Some(job) = queue.get(id).await.map_err(queue_failure)? else {
        tried.gone += 1;
        return Ok(());
    };
    // Live jobs need no ClickHouse: it may be why they died.
    if let Some(run) = job.get("run").and_then(|run| run.parse().ok())
        && run != LIVE_RUN
        && job.state == State::Dead
    {
        match runs.of(settings, run).await {
            None => return Ok(()),
            Some(Some(state @ (RunState::Held | RunState::Cancelled))) => {
                let job = job.id;
                tried.refused.push(Refused::RunStopped { job, run, state });
                return Ok(());
            }
            Some(_) => {}
        }
    }
    if !queue.requeue(id).await.map_err(queue_failure)? {
        match queue.get(id).await.map_err(queue_failure)? {
            Some(now) => tried.refused.push(Refused::not_dead(&now)),
            None => tried.gone += 1,
        }
        return Ok(());
    }
    tried.done += 1;
    let event = by.event("jobs retry", format!("job {id}"), job.error);
    tried.tell(settings, event, RETRIES_AT_A_TIME).await;
    Ok(())
}

/// Which jobs may be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Droppable {
    /// Those that nobody has in hand.
    Outstanding,
    Dead,
}

impl Droppable {
    fn refuses(self, job: &Job) -> Option<Refused> {
        match (self, job.state) {
            (_, State::Dead) => None,
            (Self::Outstanding, state @ (State::Leased | State::Done)) => {
                let job = job.id.clone();
                Some(Refused::NothingToDrop { job, state })
            }
            (Self::Outstanding, _) => None,
            (Self::Dead, _) => Some(Refused::not_dead(job)),
        }
    }
}

/// Marks the rows first: if this process dies in between, the job stays and can be dropped again.
pub async fn drop_jobs(deps: &Dependencies, ids: &[String], which: Droppable, by: &By) -> Tried {
    let mut tried = Tried::default();
    for id in ids {
        let dropping = drop_one(deps, id, which, by, &mut tried);
        if let Err(failure) = deps
            .queue
            .one_at_a_time(&format!("job:{id}"), dropping)
            .await
        {
            tried.failure = Some(failure);
            break;
        }
    }
    tried.tell_all(&deps.settings).await;
    tried
}

async fn drop_one(
    deps: &Dependencies,
    id: &str,
    which: Droppable,
    by: &By,
    tried: &mut Tried,
) -> Result<(), Failure> {
    // As it is now: whoever chose it may have seen it long ago.
    let Some(job) = deps.queue.get(id).await.map_err(queue_failure)? else {
        tried.gone += 1;
        return Ok(());
    };
    if let Some(refused) = which.refuses(&job) {
        tried.refused.push(refused);
        return Ok(());
    }
    let GivenUp { rows, kept } = give_rows_up(deps, &job, &mut tried.notes).await?;
    tried.rows += rows;
    tried.kept += kept;
    if !deps.queue.drop_job(id).await.map_err(queue_failure)? {
        tried.refused.push(Refused::Overtaken { job: job.id });
        return Ok(());
    }
    tried.done += 1;
    let (rows, kept) = (rows.to_string(), kept.to_string());
    let detail = match kept.as_str() {
        "0" => events::DROPPED.words(&[&rows, DROPPED]),
        kept => events::DROPPED_KEPT.words(&[&rows, DROPPED, kept]),
    };
    let event = by.event("jobs drop", format!("job {id}"), detail.en);
    tried.tell(&deps.settings, event, 1).await;
    Ok(())
}

#[derive(Default)]
struct GivenUp {
    rows: u64,
    kept: u64,
}

/// Marks the rows that nobody has judged: a run that judges again and dies costs no verdict of before.
async fn give_rows_up(
    deps: &Dependencies,
    job: &Job,
    notes: &mut Vec<Refused>,
) -> Result<GivenUp, Failure> {
    let range = match weldfleet_fleet::range_of(job) {
        Ok(range) => range,
        Err(error) => {
            let (job, why) = (job.id.clone(), error.to_string());
            notes.push(Refused::NoRows { job, why });
            return Ok(GivenUp::default());
        }
    };
    let kept = deps.table.keep_verdicts(&range).await;
    let kept = kept.map_err(store_failure)?;
    let token = deps.queue.next_token().await.map_err(queue_failure)?;
    let marked = deps
        .table
        .mark(token, &job.id, &range, Status::Invalid, DROPPED);
    let rows = marked.await.map_err(store_failure)?;
    Ok(GivenUp { rows, kept })
}
