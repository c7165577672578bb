//! Signing in by name and password, and out.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use askama::Template;
use axum::{
    Extension,
    extract::{ConnectInfo, Query, Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::Form;
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};

use super::{Access, session, session::Session};
use crate::{
    console::{
        html,
        page_request::{PageRequest, text_of},
        visitor::Visitor,
        words::Text,
    },
    status::now_ms,
    users,
};

/// Wrong passwords in a row after which somebody waits.
const WRONG: u32 = 5;
/// How long.
const WAIT: Duration = Duration::from_secs(30);
/// Names and addresses that are remembered.
const REMEMBERED: usize = 1000;
/// How long a password waits for its turn to be hashed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Wrong passwords, by address and name.
pub struct Attempts {
    wrong: Mutex<HashMap<(IpAddr, String), (u32, Instant)>>,
    /// Hashing takes memory and a core: one at a time.
    turn: Semaphore,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            wrong: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }
}

impl Attempts {
    fn must_wait(&self, who: &(IpAddr, String), now: Instant) -> bool {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let known = wrong.get(who);
        known.is_some_and(|(times, last)| *times >= WRONG && now < *last + WAIT)
    }

    fn was(&self, right: bool, who: (IpAddr, String), now: Instant) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.retain(|_, (_, last)| now < *last + WAIT);
        if right {
            wrong.remove(&who);
        } else if wrong.len() < REMEMBERED || wrong.contains_key(&who) {
            let (times, last) = wrong.entry(who).or_insert((0, now));
            *times += 1;
            *last = now;
        }
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    t: &'static Text,
    next: &'a str,
    said: &'a str,
}

#[derive(Template)]
#[template(path = "go_on.html")]
struct GoOnPage<'a> {
    t: &'static Text,
    next: &'a str,
}

/// To the page that asks who it is, and back afterwards.
pub fn lead(request: &Request) -> Response {
    let asked = request.uri().path_and_query();
    let next = ours(asked.map(|asked| asked.as_str()));
    let headers = request.headers();
    // A link in a mail: the browser keeps the cookie back until a page of ours is asked for by one of ours.
    if headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site")
    {
        let t = text_of(request.uri(), headers);
        return html(GoOnPage { t, next }.render());
    }
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    let lang = text_of(request.uri(), headers).lang;
    Redirect::to(&format!("/ui/sign-in?next={next}&lang={lang}")).into_response()
}

#[derive(Deserialize)]
pub struct SignInQuery {
    next: Option<String>,
}

/// `GET /ui/sign-in`
pub async fn page(Query(wanted): Query<SignInQuery>, uri: Uri, headers: HeaderMap) -> Response {
    let t = text_of(&uri, &headers);
    let next = ours(wanted.next.as_deref());
    html(SignInPage { t, next, said: "" }.render())
}

/// Only a page of the console.
fn ours(next: Option<&str>) -> &str {
    next.filter(|next| next.starts_with("/ui") && !next.contains(['\\', '\n', '\r']))
        .unwrap_or("/ui")
}

#[derive(Deserialize)]
pub struct Credentials {
    name: String,
    password: String,
    next: Option<String>,
}

/// `POST /ui/sign-in`
pub async fn sign_in(
    State(access): State<Access>,
    ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>,
    uri: Uri,
    headers: HeaderMap,
    Form(form): Form<Credentials>,
) -> Response {
    let t = text_of(&uri, &headers);
    let next = ours(form.next.as_deref());
    let refused = |status, said| {
        let page = SignInPage { t, next, said };
        (status, html(page.render())).into_response()
    };
    if !access.is_from_here(&headers, peer.ip()) {
        return refused(StatusCode::FORBIDDEN, t.not_from_here);
    }
    let users = match access.users() {
        Ok(Some(users)) => users,
        // Nobody can sign in; the guard says so.
        _ => return Redirect::to("/ui").into_response(),
    };
    let who = (peer.ip(), form.name.chars().take(64).collect::<String>());
    let Ok(Ok(_turn)) = timeout(PATIENCE, access.attempts.turn.acquire()).await else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, t.wait_and_sign_in);
    };
    if access.attempts.must_wait(&who, Instant::now()) {
        return refused(StatusCode::TOO_MANY_REQUESTS, t.wait_and_sign_in);
    }
    let hash = users.get(&form.name).and_then(|user| user.password.clone());
    let right = tokio::task::spawn_blocking(move || match hash {
        Some(hash) => users::check(&form.password, &hash),
        None => users::pretend(&form.password),
    });
    let right = right.await.unwrap_or(false);
    access.attempts.was(right, who, Instant::now());
    let Some(user) = users.get(&form.name).filter(|_| right) else {
        tracing::warn!(name = form.name, %peer, "a wrong name or password for the console");
        return refused(StatusCode::UNAUTHORIZED, t.wrong_password);
    };
    tracing::info!(name = form.name, role = user.role.name(), %peer, "signed in to the console");
    let session = Session::begin(&form.name, user, now_ms());
    let mut answer = Redirect::to(next).into_response();
    let secure = access.is_https(&headers, peer.ip());
    session::put(&mut answer, session.cookie(&users, secure));
    answer
}

/// `POST /ui/sign-out`
pub async fn sign_out(
    State(access): State<Access>,
    Extension(visitor): Extension<Visitor>,
    request: PageRequest,
) -> Response {
    let lang = request.text.lang;
    let mut answer = Redirect::to(&format!("/ui?lang={lang}")).into_response();
    if let Ok(Some(users)) = access.users() {
        session::put(&mut answer, session::gone(&users));
    }
    tracing::info!(name = visitor.name, "signed out of the console");
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_errs_five_times_waits_and_others_do_not() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let li = || (IpAddr::from([10, 0, 0, 1]), "li".to_owned());
        for _ in 0..WRONG {
            assert!(!attempts.must_wait(&li(), now));
            attempts.was(false, li(), now);
        }
        assert!(attempts.must_wait(&li(), now + WAIT / 2));
        assert!(!attempts.must_wait(&li(), now + WAIT));
        assert!(!attempts.must_wait(&(IpAddr::from([10, 0, 0, 2]), "li".to_owned()), now));
        for number in 0..2 * REMEMBERED as u32 {
            let address = IpAddr::from(number.to_be_bytes());
            attempts.was(false, (address, "guess".to_owned()), now);
        }
        assert!(attempts.wrong.lock().unwrap().len() <= REMEMBERED);
        attempts.was(true, li(), now);
        assert!(!attempts.must_wait(&li(), now));
    }

    #[tokio::test]
    async fn nobody_is_led_elsewhere() {
        for next in ["//evil.example", "https://evil.example/ui", "/\\evil", ""] {
            assert_eq!(ours(Some(next)), "/ui", "{next}");
        }
        assert_eq!(ours(Some("/ui/nok?day=20261129")), "/ui/nok?day=20261129");
        // Whatever is asked for: a link of another site may lead to it.
        let request = Request::builder()
            .uri("//evil.example/x")
            .header("sec-fetch-site", "cross-site");
        let answer = lead(&request.body(axum::body::Body::empty()).unwrap());
        assert_eq!(answer.status(), 200);
        let bytes = axum::body::to_bytes(answer.into_body(), 10_000);
        let bytes = bytes.await.unwrap();
        let html = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(
            html.contains("url=/ui\"") && !html.contains("evil"),
            "{html}"
        );
    }
}
