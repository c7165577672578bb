//! The console at `/ui`: what people see in a browser. Pages are made on the server from the status model, whole; a
//! little script puts their content in again. Nothing comes from elsewhere, and nothing can be changed here.
//!
//! - [`welds`]: what pages of welds are made of; [`svg`]: a weld's curves;
//! - [`words`]: what things are called, in both languages; [`views`]: the content of each page, pure; `templates/`:
//!   their form.
//!
//! There are no users yet, so it is shown only where the scheduler listens on loopback, and only under a name that no
//! other site can take (a page of theirs could otherwise read it through a name that they point here).

mod svg;
mod views;
mod welds;
mod words;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::sync::Mutex;
use weldfleet_queue::{Job, Queue, State as JobState};
use weldfleet_service::Failure;
use weldfleet_settings::Settings;
use weldfleet_stores::{Day, clickhouse::NokFilter};

use crate::{
    args::today,
    dependencies,
    status::{cache::Cache, gather::now_ms, report::Report},
};
use views::NokAsked;
use welds::Welds;
use words::{CHINESE, ENGLISH, Text};

/// How long a viewer waits for a fresh look.
const PATIENCE: Duration = Duration::from_secs(8);
/// How old the list of dead jobs may be.
const FRESH: Duration = Duration::from_secs(1);
/// Dead jobs that are grouped.
const MOST_DEAD: u32 = 1000;
/// Nothing from elsewhere, no code in a page, no frame around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Pages of welds that are reached one after the other.
const MOST_PAGES: u64 = 1000;

/// Dead jobs as last read.
type DeadJobs = Arc<Mutex<Option<(Instant, Arc<Vec<Job>>)>>>;

#[derive(Clone)]
struct Console {
    settings: Arc<Settings>,
    cache: Cache,
    queue: Queue,
    welds: Welds,
    dead: DeadJobs,
    /// Where the scheduler listens.
    address: SocketAddr,
}

/// The routes.
pub fn router(settings: &Arc<Settings>, cache: Cache) -> Result<Router, Failure> {
    let console = Console {
        settings: settings.clone(),
        welds: Welds::new(settings.clone()),
        cache,
        queue: dependencies::queue(settings)?,
        dead: DeadJobs::default(),
        address: settings.scheduler.http,
    };
    Ok(Router::new()
        .route("/ui", get(now))
        .route("/ui/backfills", get(backfills))
        .route("/ui/workers", get(workers))
        .route("/ui/jobs", get(jobs))
        .route("/ui/nok", get(nok))
        .route("/ui/weld", get(weld))
        .route("/ui/style.css", get(style))
        .route("/ui/live.js", get(script))
        .layer(from_fn_with_state(console.clone(), guard))
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

async fn guard(State(console): State<Console>, request: Request, next: Next) -> Response {
    if let Some(refusal) = refusal(console.address.ip(), request.headers()) {
        return (StatusCode::FORBIDDEN, refusal).into_response();
    }
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Why the console is not shown; `None`: it is.
fn refusal(listens: IpAddr, headers: &HeaderMap) -> Option<String> {
    if !listens.is_loopback() {
        return Some(format!(
            "the console is shown only where scheduler.http is on loopback, not {listens}; \
             listen on 127.0.0.1 and reach it with `ssh -L 9100:127.0.0.1:9100 HOST`\n"
        ));
    }
    let host = headers.get(header::HOST)?.to_str().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let known = name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    (!known).then(|| {
        "the console is shown only under `localhost` or an address, not under another name\n"
            .to_owned()
    })
}

#[derive(Deserialize)]
struct Asked {
    lang: Option<String>,
}

/// `?lang=`, else what the browser prefers.
fn language(asked: &Asked, headers: &HeaderMap) -> &'static Text {
    let preferred = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    match asked.lang.as_deref().or(preferred) {
        Some(language) if language.trim_start().starts_with("zh") => &CHINESE,
        _ => &ENGLISH,
    }
}

async fn now(
    State(console): State<Console>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let text = language(&asked, &headers);
    page(&console, |report| views::now(report, text)).await
}

async fn backfills(
    State(console): State<Console>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let text = language(&asked, &headers);
    page(&console, |report| views::backfills(report, text)).await
}

async fn workers(
    State(console): State<Console>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let text = language(&asked, &headers);
    page(&console, |report| views::workers(report, text)).await
}

async fn jobs(
    State(console): State<Console>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let text = language(&asked, &headers);
    let dead = console.dead_jobs().await;
    page(&console, |report| views::jobs(report, &dead, text)).await
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
    Query(language_asked): Query<Asked>,
    Query(query): Query<NokQuery>,
    headers: HeaderMap,
) -> Response {
    let text = language(&language_asked, &headers);
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
    let asked = NokAsked {
        values: [day, part, spot, timer, defect],
        page: query.page.unwrap_or(0).min(MOST_PAGES),
    };
    html(views::nok(&asked, &found, now_ms(), text))
}

#[derive(Deserialize)]
struct WeldQuery {
    day: Option<String>,
    id: Option<String>,
    time: Option<String>,
}

async fn weld(
    State(console): State<Console>,
    Query(language_asked): Query<Asked>,
    Query(query): Query<WeldQuery>,
    headers: HeaderMap,
) -> Response {
    let text = language(&language_asked, &headers);
    let found = match query.day.unwrap_or_default().parse::<Day>() {
        Ok(day) => {
            let id = query.id.unwrap_or_default();
            console.welds.one(day, &id, query.time.as_deref()).await
        }
        Err(error) => Err(error.to_string()),
    };
    html(views::weld(&found, now_ms(), text))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(name))])
    }

    #[test]
    fn it_is_shown_on_loopback_and_under_no_name_that_others_can_take() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        for name in [
            "localhost:9100",
            "127.0.0.1:9100",
            "[::1]:9100",
            "localhost",
        ] {
            assert_eq!(refusal(loopback, &host(name)), None, "{name}");
        }
        for name in ["evil.example:9100", "localhost.evil.example", ""] {
            assert!(refusal(loopback, &host(name)).is_some(), "{name}");
        }
        let open = refusal(IpAddr::from([0, 0, 0, 0]), &host("localhost:9100"));
        assert!(open.is_some_and(|why| why.contains("ssh -L")));
    }

    #[test]
    fn the_language_is_the_links_or_the_browsers() {
        let lang = |asked: Option<&str>, browser: &'static str| {
            let asked = Asked {
                lang: asked.map(str::to_owned),
            };
            let accept = (header::ACCEPT_LANGUAGE, HeaderValue::from_static(browser));
            language(&asked, &HeaderMap::from_iter([accept])).lang
        };
        assert_eq!(lang(None, "zh-CN,zh;q=0.9"), "zh");
        assert_eq!(lang(None, "de"), "en");
        assert_eq!(lang(Some("en"), "zh-CN"), "en");
        assert_eq!(lang(Some("zh"), "de"), "zh");
        assert_eq!(lang(Some("\"><script>"), "de"), "en");
    }
}
