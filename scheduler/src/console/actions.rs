//! What buttons do: the [`crate::actions`] of the commands, by whoever has signed in.

use std::time::Duration;

use axum::{Extension, extract::State, response::Response};
use axum_extra::extract::Form;
use serde::Deserialize;
use tokio::time::timeout;
use weldfleet_queue::Pause;
use weldfleet_service::{Failure, output::grouped};
use weldfleet_stores::{
    StoreError,
    clickhouse::{Change, Event, Order},
};
use weldfleet_words::Language;

use super::{
    Console, flash::Flash, page_request::PageRequest, problem::Problem, visitor::Visitor,
    words::Text,
};
use crate::{
    actions::{
        self, By, LONGEST_REASON,
        jobs::{self, Droppable, Tried},
        pause::{self, Paused, Resumed},
        refused::{OfRun, Refused},
        runs,
    },
    dependencies::{self, Dependencies, store_failure},
    events::pause_in_chinese,
};

/// How long ClickHouse may take to be looked at before something is done there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Jobs beyond which their number must be typed.
pub const UNCONFIRMED: usize = 10;

#[derive(Deserialize)]
pub struct Why {
    #[serde(default)]
    reason: String,
}

/// `POST /ui/pause`
pub async fn pause(
    State(console): State<Console>,
    Extension(visitor): Extension<Visitor>,
    request: PageRequest,
    Form(why): Form<Why>,
) -> Response {
    let text = request.text;
    let pausing = async {
        let by = by(&visitor, &why.reason)?;
        Ok(match pause::pause(&console.queue, &by).await? {
            Paused::Now(event) => console.kept(text.paused, &[event], text).await,
            Paused::Already(Pause { by, reason, .. }) => {
                let why = match text.lang {
                    Language::English => reason,
                    Language::Chinese => pause_in_chinese(&reason),
                };
                Flash::failed(format!("{} {by}{}{why}", text.paused_by, text.colon))
            }
            Paused::Resumed => Flash::failed(text.not_paused),
        })
    };
    tell(pausing.await, &request, "/ui")
}

/// `POST /ui/resume`
pub async fn resume(
    State(console): State<Console>,
    Extension(visitor): Extension<Visitor>,
    request: PageRequest,
    Form(why): Form<Why>,
) -> Response {
    let text = request.text;
    let resuming = async {
        // Whoever lets it go on need not say why.
        let by = in_bounds(&visitor, &why.reason)?;
        let resumed = pause::resume(&console.settings, &console.queue, &by).await?;
        Ok(match resumed {
            Resumed::Now(event) => console.kept(text.resumed, &[event], text).await,
            Resumed::WasNot => Flash::failed(text.not_paused),
            Resumed::Refused(why) => Flash::failed(why.words().of(text.lang)),
        })
    };
    tell(resuming.await, &request, "/ui")
}

/// On the page that follows.
fn tell(done: Result<Flash, Problem>, request: &PageRequest, page: &str) -> Response {
    let flash = done.unwrap_or_else(|why| Flash::problem(&why, request.text));
    flash.on(&request.page(page))
}

#[derive(Deserialize)]
pub struct Steer {
    run: u64,
    change: Button,
    #[serde(default)]
    reason: String,
}

/// On the page of backfills.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Button {
    Cancel,
    Hold,
    Resume,
    /// This day first.
    Oldest,
    Newest,
}

/// `POST /ui/backfills/change`
pub async fn steer(
    State(console): State<Console>,
    Extension(visitor): Extension<Visitor>,
    request: PageRequest,
    Form(steer): Form<Steer>,
) -> Response {
    let change = match steer.change {
        Button::Cancel => OfRun::Change(Change::Cancel),
        Button::Hold => OfRun::Change(Change::Hold),
        Button::Resume => OfRun::Change(Change::Resume),
        Button::Oldest => OfRun::Order(Order::Oldest),
        Button::Newest => OfRun::Order(Order::Newest),
    };
    let text = request.text;
    let steering = async {
        let by = by(&visitor, &steer.reason)?;
        let deps = console.opened().await?;
        let steered = match change {
            OfRun::Change(change) => runs::steer(&deps, steer.run, change, &by).await?,
            OfRun::Order(order) => runs::reorder(&deps, steer.run, order, &by).await?,
        };
        let (done, events) = (steered.said(change), steered.event.as_slice());
        let kept = console.kept(done.of(text.lang), events, text).await;
        match steered.still_queued {
            Some(failure) => Err(failure.into()),
            None => Ok(kept),
        }
    };
    tell(steering.await, &request, "/ui/backfills")
}

#[derive(Deserialize)]
pub struct Ids {
    change: OfJobs,
    /// Exactly those that the page showed.
    #[serde(default)]
    id: Vec<String>,
    /// Their number, if they are many.
    #[serde(default)]
    count: String,
    #[serde(default)]
    reason: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OfJobs {
    Retry,
    Drop,
}

impl Ids {
    fn is_meant(&self) -> bool {
        self.id.len() <= UNCONFIRMED || self.count.trim() == self.id.len().to_string()
    }
}

/// `POST /ui/jobs/change`
pub async fn change_jobs(
    State(console): State<Console>,
    Extension(visitor): Extension<Visitor>,
    request: PageRequest,
    Form(ids): Form<Ids>,
) -> Response {
    let text = request.text;
    let trying = async {
        let by = by(&visitor, &ids.reason)?;
        if !ids.is_meant() {
            return Ok(Flash::failed(text.type_the_number));
        }
        let tried = console.try_jobs(&ids, &by).await?;
        let done = match ids.change {
            OfJobs::Retry => text.retried,
            OfJobs::Drop => text.dropped,
        };
        Ok(console.tried(tried, done, text).await)
    };
    tell(trying.await, &request, "/ui/jobs")
}

/// Who acts, and why, which must be said.
fn by(visitor: &Visitor, reason: &str) -> Result<By, Problem> {
    match reason.trim().is_empty() {
        true => Err(Problem::NoReason),
        false => in_bounds(visitor, reason),
    }
}

/// The same where no reason need be given.
fn in_bounds(visitor: &Visitor, reason: &str) -> Result<By, Problem> {
    let reason = reason.trim();
    if reason.chars().count() > LONGEST_REASON {
        return Err(Problem::LongReason {
            most: LONGEST_REASON,
        });
    }
    Ok(By::new(visitor.name.clone().unwrap_or_default(), reason))
}

impl Console {
    /// What is worked on. While ClickHouse is looked at nothing is changed yet, so that nobody waits long for one that
    /// hangs.
    async fn opened(&self) -> Result<Dependencies, Failure> {
        let opening = Dependencies::open(self.settings.clone());
        timeout(PATIENCE, opening).await.unwrap_or_else(|_| {
            Err(store_failure(StoreError::ClickHouseSilent {
                what: "look at the table".to_owned(),
                seconds: PATIENCE.as_secs(),
            }))
        })
    }

    /// What was done, and whether it is kept.
    async fn kept(&self, done: &str, events: &[Event], text: &Text) -> Flash {
        Flash::done(format!("{done}{}", self.keep(events, text).await))
    }

    /// Keeps events; why they are not kept, behind what is told of them.
    pub async fn keep(&self, events: &[Event], text: &Text) -> String {
        let why = actions::keep(&self.settings, events).await;
        unkept(why.as_ref(), text)
    }

    async fn try_jobs(&self, ids: &Ids, by: &By) -> Result<Tried, Failure> {
        Ok(match ids.change {
            // ClickHouse may be why they died.
            OfJobs::Retry => {
                let queue = dependencies::own_queue(&self.settings).await?;
                jobs::retry(&self.settings, &queue, &ids.id, by).await
            }
            OfJobs::Drop => {
                let deps = self.opened().await?;
                jobs::drop_jobs(&deps, &ids.id, Droppable::Dead, by).await
            }
        })
    }

    async fn tried(&self, tried: Tried, done: &str, text: &Text) -> Flash {
        // The page that follows is to show it.
        self.dead.forget().await;
        let counted = |words: &str, count: u64| words.replace("{n}", &grouped(count));
        let mut told = counted(done, tried.done);
        for (count, words) in [
            (tried.rows, text.made_invalid),
            (tried.kept, text.kept_verdicts),
            (tried.gone, text.gone),
        ] {
            if count > 0 {
                told.push_str(text.semicolon);
                told.push_str(&counted(words, count));
            }
        }
        for why in tried.refused.iter().chain(&tried.notes) {
            told.push_str(text.semicolon);
            told.push_str(why.words().of(text.lang));
        }
        told.push_str(&unkept(tried.unkept.as_ref(), text));
        let well = tried.refused.is_empty() && tried.failure.is_none() && tried.gone == 0;
        if let Some(failure) = tried.failure {
            told.push_str(text.semicolon);
            told.push_str(&Problem::from(failure).text(text.lang));
        }
        Flash { well, text: told }
    }
}

/// Why what was done is not kept, behind what is told of it.
fn unkept(why: Option<&Refused>, text: &Text) -> String {
    why.map_or_else(String::new, |why| {
        let why = why.words();
        format!("{}{}{}", text.open, why.of(text.lang), text.close)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_and_is_a_line() {
        let visitor = Visitor::onlooker();
        let long = "修".repeat(LONGEST_REASON + 1);
        for blank in ["", " ", "\u{3000}\t"] {
            assert_eq!(by(&visitor, blank).err(), Some(Problem::NoReason));
            assert!(in_bounds(&visitor, blank).is_ok());
        }
        assert!(by(&visitor, &long).is_err() && in_bounds(&visitor, &long).is_err());
        assert_eq!(by(&visitor, " tip dress ").unwrap().why, "tip dress");
    }

    #[test]
    fn many_jobs_need_their_number() {
        let ids = |count: usize, typed: &str| Ids {
            change: OfJobs::Retry,
            id: vec!["a".to_owned(); count],
            count: typed.to_owned(),
            reason: String::new(),
        };
        assert!(ids(10, "").is_meant());
        assert!(!ids(11, "").is_meant() && !ids(11, "10").is_meant());
        assert!(ids(11, " 11 ").is_meant());
    }
}
