//! The console at `/ui`: what people see in a browser, and do there. Pages are made on the server from the status model,
//! whole; a little script puts their content in again. Nothing comes from elsewhere.
//!
//! - [`access`]: who asks, and what they may do; [`asked`]: what every page needs of them;
//! - [`actions`]: what buttons do; [`said`]: how it is told;
//! - [`welds`]: what pages of welds are made of; [`svg`]: a weld's curves;
//! - [`words`]: what things are called, in both languages; [`views`]: the content of each page, pure; `templates/`:
//!   their form.

mod access;
mod actions;
mod asked;
mod said;
mod svg;
mod views;
mod welds;
mod words;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{FromRef, Query, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::sync::Mutex;
use weldfleet_queue::{Job, Queue, State as JobState};
use weldfleet_service::Failure;
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day,
    clickhouse::{Events, NokFilter},
};

use crate::{
    args::today,
    dependencies,
    status::{cache::Cache, gather::now_ms, report::Report},
    users::Role,
};
use access::{Access, sign_in};
use asked::Asked;
use views::NokAsked;
use welds::Welds;

/// How long a viewer waits for a fresh look.
const PATIENCE: Duration = Duration::from_secs(8);
/// How old the list of dead jobs may be.
const FRESH: Duration = Duration::from_secs(1);
/// Dead jobs that are grouped.
const MOST_DEAD: u32 = 1000;
/// Events on a page.
const EVENTS: u32 = 100;
/// Pages that are reached one after the other.
const MOST_PAGES: u64 = 1000;

/// Dead jobs as last read.
type DeadJobs = Arc<Mutex<Option<(Instant, Arc<Vec<Job>>)>>>;

#[derive(Clone)]
struct Console {
    settings: Arc<Settings>,
    /// By ClickHouse's account for the console.
    looking: Arc<Settings>,
    access: Access,
    cache: Cache,
    queue: Queue,
    welds: Welds,
    dead: DeadJobs,
}

impl FromRef<Console> for Access {
    fn from_ref(console: &Console) -> Self {
        console.access.clone()
    }
}

/// The routes.
pub fn router(settings: &Arc<Settings>, cache: Cache) -> Result<Router, Failure> {
    let looking = Arc::new(settings.for_console());
    let console = Console {
        settings: settings.clone(),
        access: Access::new(settings),
        welds: Welds::new(looking.clone()),
        looking,
        cache,
        queue: dependencies::queue(settings)?,
        dead: DeadJobs::default(),
    };
    let looking = Router::new()
        .route("/ui", get(now))
        .route("/ui/backfills", get(backfills))
        .route("/ui/workers", get(workers))
        .route("/ui/jobs", get(jobs))
        .route("/ui/nok", get(nok))
        .route("/ui/weld", get(weld))
        .route("/ui/events", get(events))
        .route("/ui/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/ui/style.css", get(style))
        .route("/ui/live.js", get(script));
    let changing = |role, routes: Router<Console>| {
        let state = (console.access.clone(), role);
        routes.route_layer(from_fn_with_state(state, access::changing))
    };
    let viewing = Router::new().route("/ui/sign-out", post(sign_in::sign_out));
    let operating = Router::new()
        .route("/ui/pause", post(actions::pause))
        .route("/ui/resume", post(actions::resume))
        .route("/ui/backfills/change", post(actions::steer))
        .route("/ui/jobs/change", post(actions::change_jobs));
    Ok(looking
        .merge(changing(Role::Viewer, viewing))
        .merge(changing(Role::Operator, operating))
        .layer(from_fn_with_state(console.access.clone(), access::guard))
        .with_state(console))
}

/// Sends a browser that asks for `/` to the console; programs get the JSON.
pub async fn browsers_to_console(request: Request, next: Next) -> Response {
    let wants_html = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if request.uri().path() == "/" && wants_html {
        return Redirect::to("/ui").into_response();
    }
    next.run(request).await
}

async fn now(State(console): State<Console>, asked: Asked) -> Response {
    page(&console, |report| views::now(report, &asked)).await
}

async fn backfills(State(console): State<Console>, asked: Asked) -> Response {
    page(&console, |report| views::backfills(report, &asked)).await
}

async fn workers(State(console): State<Console>, asked: Asked) -> Response {
    page(&console, |report| views::workers(report, &asked)).await
}

async fn jobs(State(console): State<Console>, asked: Asked) -> Response {
    let dead = console.dead_jobs().await;
    page(&console, |report| views::jobs(report, &dead, &asked)).await
}

#[derive(Deserialize)]
struct PageQuery {
    page: Option<u64>,
}

async fn events(
    State(console): State<Console>,
    Query(query): Query<PageQuery>,
    asked: Asked,
) -> Response {
    let page = query.page.unwrap_or(0).min(MOST_PAGES);
    let latest = Events::new(&console.looking);
    let latest = latest.latest(EVENTS + 1, page * u64::from(EVENTS)).await;
    let latest = latest.map_err(|error| error.chain_and_remedy());
    html(views::events(
        latest,
        EVENTS as usize,
        page,
        now_ms(),
        &asked,
    ))
}

#[derive(Deserialize)]
struct NokQuery {
    day: Option<String>,
    part: Option<String>,
    spot: Option<String>,
    timer: Option<String>,
    defect: Option<String>,
    page: Option<u64>,
}

async fn nok(
    State(console): State<Console>,
    Query(query): Query<NokQuery>,
    asked: Asked,
) -> Response {
    let today = today(&console.settings.scheduler.timezone);
    let day = query
        .day
        .filter(|day| !day.is_empty())
        .or_else(|| today.ok().map(|day| day.to_string()))
        .unwrap_or_default();
    let others = [query.part, query.spot, query.timer, query.defect].map(Option::unwrap_or_default);
    let [part_no, spot_name, timer_name, defect] = others.clone();
    let found = match day.parse::<Day>() {
        Ok(day) => {
            let filter = NokFilter {
                day,
                part_no,
                spot_name,
                timer_name,
                defect,
            };
            let page = query.page.unwrap_or(0).min(MOST_PAGES);
            console.welds.nok(&filter, page).await
        }
        Err(error) => Err(error.to_string()),
    };
    let [part, spot, timer, defect] = others;
    let wanted = NokAsked {
        values: [day, part, spot, timer, defect],
        page: query.page.unwrap_or(0).min(MOST_PAGES),
    };
    html(views::nok(&wanted, &found, now_ms(), &asked))
}

#[derive(Deserialize)]
struct WeldQuery {
    day: Option<String>,
    id: Option<String>,
    time: Option<String>,
}

async fn weld(
    State(console): State<Console>,
    Query(query): Query<WeldQuery>,
    asked: Asked,
) -> Response {
    let found = match query.day.unwrap_or_default().parse::<Day>() {
        Ok(day) => {
            let id = query.id.unwrap_or_default();
            console.welds.one(day, &id, query.time.as_deref()).await
        }
        Err(error) => Err(error.to_string()),
    };
    html(views::weld(&found, now_ms(), &asked))
}

async fn page(
    console: &Console,
    draw: impl FnOnce(&Report) -> Result<String, askama::Error>,
) -> Response {
    let Some((report, _)) = console.cache.get(PATIENCE).await else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "nothing was seen yet; ask again\n",
        )
            .into_response();
    };
    html(draw(&report))
}

fn html(drawn: Result<String, askama::Error>) -> Response {
    match drawn {
        Ok(html) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the console cannot be drawn");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, include_str!("../../templates/style.css")).into_response()
}

async fn script() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kind, include_str!("../../templates/live.js")).into_response()
}

impl Console {
    /// The oldest dead jobs, read at most once a second; none while Redis is away, which the page tells.
    async fn dead_jobs(&self) -> Arc<Vec<Job>> {
        let mut known = self.dead.lock().await;
        if let Some((at, jobs)) = &*known
            && at.elapsed() < FRESH
        {
            return jobs.clone();
        }
        let page = self.queue.list(JobState::Dead, 0, MOST_DEAD).await;
        let jobs = Arc::new(page.map(|page| page.jobs).unwrap_or_default());
        *known = Some((Instant::now(), jobs.clone()));
        jobs
    }
}
