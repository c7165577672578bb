//! The console at `/ui`: what people see in a browser, and do there. Pages are made on the server from the status
//! model, whole; a little script puts their content in again. Nothing comes from elsewhere.
//!
//! - [`access`]: who asks, the [`visitor`], and what they may do; [`page_request`]: what every page needs of them;
//!   [`cookies`]: what their browser keeps;
//! - [`changes`]: tells open pages that there is news;
//! - [`actions`]: what buttons do; [`flash`]: how it is told;
//! - [`weld_query`]: which welds a page is about; [`welds`]: what is read of them; [`reviews`]: what people say of
//!   them; [`undo`]: what of it can be taken back;
//! - [`shares`]: how many welds of this shift are NOK; [`dead_jobs`]; [`svg`]: a weld's curves; [`limits`]: how far it
//!   is from being NOK; [`export`]: lists for a spreadsheet;
//! - [`words`]: what things are called, in both languages; [`problem`]: why something is not shown or done; [`views`]:
//!   the content of each page, pure; `templates/`: their form; [`answers`]: how it is sent.

mod access;
mod actions;
mod answers;
mod changes;
mod cookies;
mod dead_jobs;
mod export;
mod flash;
mod limits;
mod page_request;
mod problem;
mod reviews;
mod shares;
mod svg;
mod undo;
mod views;
mod visitor;
mod weld_query;
mod welds;
pub mod words;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{FromRef, Query, Request, State},
    http::{Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::{Deserialize, Deserializer};
use tokio_util::sync::CancellationToken;
use weldfleet_queue::Queue;
use weldfleet_service::Failure;
use weldfleet_settings::Settings;
use weldfleet_stores::{Day, clickhouse::EventKey};

use crate::{
    clock::{now_ms, plant_time},
    dependencies,
    status::{cache::Cache, report::Report},
    users::Role,
};
use access::sign_in;
pub use access::{Access, under_no_name};
use answers::{html, plain};
use changes::Streams;
use dead_jobs::DeadJobs;
use page_request::PageRequest;
use problem::Problem;
use shares::Shares;
use weld_query::WeldQuery;
use welds::Welds;

/// How long a viewer waits for a fresh look.
const PATIENCE: Duration = Duration::from_secs(8);
/// Events on a page.
const EVENTS: u32 = 100;
/// Pages that are reached one after the other.
const MOST_PAGES: u64 = 1000;

#[derive(Clone)]
struct Console {
    settings: Arc<Settings>,
    access: Access,
    cache: Cache,
    queue: Queue,
    welds: Welds,
    shares: Shares,
    dead: DeadJobs,
    streams: Streams,
    /// The scheduler ends.
    stop: CancellationToken,
}

impl FromRef<Console> for Access {
    fn from_ref(console: &Console) -> Self {
        console.access.clone()
    }
}

/// The routes, until `stop`.
pub fn router(
    settings: &Arc<Settings>,
    cache: Cache,
    stop: CancellationToken,
) -> Result<Router, Failure> {
    // By ClickHouse's account for the console.
    let looking = Arc::new(settings.for_console());
    let queue = dependencies::queue(settings)?;
    let console = Console {
        settings: settings.clone(),
        access: Access::new(settings),
        welds: Welds::new(looking.clone()).map_err(dependencies::store_failure)?,
        shares: Shares::new(looking),
        cache,
        dead: DeadJobs::new(queue.clone()),
        queue,
        streams: Streams::of(weldfleet_service::http::most_connections()),
        stop,
    };
    let looking = Router::new()
        .route("/ui", get(now))
        .route("/ui/", get(without_slash))
        .route("/ui/backfills", get(backfills))
        .route("/ui/workers", get(workers))
        .route("/ui/jobs", get(jobs))
        .route("/ui/nok", get(nok))
        .route("/ui/weld", get(weld))
        .route("/ui/next", get(reviews::next))
        .route(changes::PATH, get(changes::changes))
        .route("/ui/events", get(events))
        .route("/ui/{list}", get(export::list))
        .route("/ui/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/ui/style.css", get(style))
        .route("/ui/live.js", get(script));
    let changing = |role, routes: Router<Console>| {
        let state = (console.access.clone(), role);
        routes.route_layer(from_fn_with_state(state, access::changing))
    };
    let viewing = Router::new().route("/ui/sign-out", post(sign_in::sign_out));
    let reviewing = Router::new()
        .route("/ui/review", post(reviews::review))
        .route("/ui/review/undo", post(reviews::undo));
    let operating = Router::new()
        .route("/ui/pause", post(actions::pause))
        .route("/ui/resume", post(actions::resume))
        .route("/ui/backfills/change", post(actions::steer))
        .route("/ui/jobs/change", post(actions::change_jobs));
    Ok(looking
        .merge(changing(Role::Viewer, viewing))
        .merge(changing(Role::Reviewer, reviewing))
        .merge(changing(Role::Operator, operating))
        .layer(from_fn_with_state(
            console.access.clone(),
            reviews::offer_undo,
        ))
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

async fn without_slash(uri: Uri) -> Redirect {
    match uri.query() {
        Some(query) => Redirect::to(&format!("/ui?{query}")),
        None => Redirect::to("/ui"),
    }
}

async fn now(State(console): State<Console>, request: PageRequest) -> Response {
    let shares = console.shares.latest();
    let report = console.report().await;
    let page = report.map(|report| views::now::page(&report, shares.as_ref(), &request));
    html_or_plain(page, &request)
}

async fn backfills(State(console): State<Console>, request: PageRequest) -> Response {
    let dead = console.dead.oldest().await;
    let report = console.report().await;
    let page = report.map(|report| views::backfills::page(&report, &dead, &request));
    html_or_plain(page, &request)
}

async fn workers(
    State(console): State<Console>,
    Query(query): Query<PageQuery>,
    request: PageRequest,
) -> Response {
    let place = usize::try_from(query.page.unwrap_or(0).min(MOST_PAGES)).unwrap_or(0);
    let report = console.report().await;
    let page = report.map(|report| views::workers::page(&report, place, &request));
    html_or_plain(page, &request)
}

async fn jobs(State(console): State<Console>, request: PageRequest) -> Response {
    let dead = console.dead.oldest().await;
    let report = console.report().await;
    let page = report.map(|report| views::jobs::page(&report, &dead, &request));
    html_or_plain(page, &request)
}

#[derive(Deserialize)]
struct PageQuery {
    page: Option<u64>,
}

/// Behind which event a list goes on.
struct EventsQuery {
    before: Option<EventKey>,
}

impl<'de> Deserialize<'de> for EventsQuery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Typed {
            before: Option<String>,
        }
        let typed = Typed::deserialize(deserializer)?.before;
        let before = typed.map(|typed| typed.parse()).transpose();
        let before = before.map_err(serde::de::Error::custom)?;
        Ok(Self { before })
    }
}

async fn events(
    State(console): State<Console>,
    Query(query): Query<EventsQuery>,
    request: PageRequest,
) -> Response {
    let latest = console.welds.events(EVENTS + 1, query.before).await;
    html(views::events::page(
        latest,
        EVENTS as usize,
        query.before,
        now_ms(),
        &request,
    ))
}

async fn nok(
    State(console): State<Console>,
    Query(query): Query<WeldQuery>,
    request: PageRequest,
) -> Response {
    let typed = query.day.clone();
    let query = console.of_today(query);
    let found = console.welds.nok(&query).await;
    let settings = &console.settings;
    html(views::nok::page(
        &query,
        &typed,
        &found,
        settings,
        now_ms(),
        &request,
    ))
}

async fn weld(
    State(console): State<Console>,
    Query(query): Query<WeldQuery>,
    request: PageRequest,
) -> Response {
    let query = console.of_today(query);
    let found = console.welds.one(&query).await;
    let kept = match &found {
        Ok(None) => console.welds.kept(&query).await,
        _ => Ok(None),
    };
    // Only for a threshold: whatever was seen last will do.
    let report = console.cache.get(Duration::ZERO).await;
    let report = report.as_ref().map(|(report, _)| report);
    let judges = views::Judges {
        settings: &console.settings,
        workers: report.and_then(|report| report.workers.as_deref()),
    };
    html(views::weld::page(
        &query,
        &found,
        &kept,
        judges,
        now_ms(),
        &request,
    ))
}

fn html_or_plain(
    page: Result<Result<String, askama::Error>, Problem>,
    request: &PageRequest,
) -> Response {
    match page {
        Ok(drawn) => html(drawn),
        Err(why) => plain(&why, request.text),
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
    /// The status, from a fresh look if there is one in time.
    async fn report(&self) -> Result<Arc<Report>, Problem> {
        let seen = self.cache.get(PATIENCE).await;
        seen.map(|(report, _)| report).ok_or(Problem::NothingSeen)
    }

    /// Where no day is given, today is meant, or that on which the shift began last.
    fn of_today(&self, mut query: WeldQuery) -> WeldQuery {
        let now = plant_time(&self.settings.scheduler.timezone);
        let began = self.settings.console.last_began(&query.shift, now);
        if query.day.is_empty()
            && let Ok(day) = Day::from_date(began)
        {
            query.day = day.to_string();
        }
        query
    }
}
