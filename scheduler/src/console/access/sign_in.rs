//! Signing in by name and password, and out.

use std::time::{Duration, Instant};

use askama::Template;
use axum::{
    Extension,
    body::Body,
    extract::{FromRequest as _, Query, Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::Form;
use serde::Deserialize;
use tokio::time::timeout;

use super::{Access, form, peer, session, session::Session};
use crate::{
    clock::now_ms,
    console::{
        answers::html,
        cookies,
        page_request::{PageRequest, text_of},
        visitor::Visitor,
        words::Text,
    },
    users,
};

/// How long a password waits for its turn to be hashed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of the form: whoever sends it has not signed in.
const MOST_FORM: usize = 8 << 10;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    t: &'static Text,
    next: &'a str,
    said: &'a str,
}

impl SignInPage<'_> {
    /// Where it goes on in the other language, as it stands in an address.
    fn other_next(&self) -> String {
        let lang = self.t.lang;
        let other = format!("lang={}", lang.other());
        encoded(&self.next.replace(&format!("lang={lang}"), &other))
    }
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
    let next = encoded(next);
    let lang = text_of(request.uri(), headers).lang;
    Redirect::to(&format!("/ui/sign-in?next={next}&lang={lang}")).into_response()
}

fn encoded(next: &str) -> String {
    form_urlencoded::byte_serialize(next.as_bytes()).collect()
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
pub async fn sign_in(State(access): State<Access>, request: Request) -> Response {
    let t = text_of(request.uri(), request.headers());
    let refused = |status, next: &str, said| {
        let page = SignInPage { t, next, said };
        (status, html(page.render())).into_response()
    };
    let peer = peer(&request);
    if !access.proxies.is_from_here(request.headers(), peer) {
        return refused(StatusCode::FORBIDDEN, "/ui", t.not_from_here);
    }
    let secure = access.proxies.is_https(request.headers(), peer);
    let address = access.client_of(&request);
    let form: Credentials = match credentials(request, t).await {
        Ok(form) => form,
        Err(answer) => return answer,
    };
    let next = ours(form.next.as_deref());
    let refused = |status, said| refused(status, next, said);
    let users = match access.users() {
        Ok(Some(users)) => users,
        // Nobody can sign in; the guard says so.
        _ => return Redirect::to("/ui").into_response(),
    };
    let attempts = &access.attempts;
    let Ok(Ok(_turn)) = timeout(PATIENCE, attempts.turn.acquire()).await else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, t.wait_and_sign_in);
    };
    if attempts.must_wait(address, &form.name, Instant::now()) {
        return refused(StatusCode::TOO_MANY_REQUESTS, t.wait_and_sign_in);
    }
    let user = users.get(&form.name);
    let hash = user.and_then(|user| user.password.clone());
    let right = tokio::task::spawn_blocking(move || match hash {
        Some(hash) => users::check(&form.password, &hash),
        None => users::pretend(&form.password),
    });
    let right = right.await.unwrap_or(false);
    attempts.was(right, address, &form.name, Instant::now());
    let Some(user) = user.filter(|_| right) else {
        // What nobody is called may be a password that was typed in the wrong place.
        let name = user.map_or("an unknown name", |_| &form.name);
        tracing::warn!(name, %address, "a wrong name or password for the console");
        return refused(StatusCode::UNAUTHORIZED, t.wrong_password);
    };
    tracing::info!(name = form.name, role = user.role.name(), %address, "signed in to the console");
    let session = Session::begin(&form.name, user, false, now_ms());
    let mut answer = Redirect::to(next).into_response();
    cookies::put(&mut answer, session.cookie(&users, secure));
    answer
}

/// What the form holds, or what is answered in its place.
async fn credentials(request: Request, t: &'static Text) -> Result<Credentials, Response> {
    let (head, body) = request.into_parts();
    let bytes = form::read(body, MOST_FORM, t).await?;
    let request = Request::from_parts(head, Body::from(bytes));
    let form = Form::<Credentials>::from_request(request, &()).await;
    form.map(|Form(form)| form)
        .map_err(|why| why.into_response())
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
        cookies::put(&mut answer, session::gone(&users));
    }
    tracing::info!(name = visitor.name, "signed out of the console");
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_language_leads_to_the_same_page() {
        let page = SignInPage {
            t: Text::of(weldfleet_words::Language::Chinese),
            next: "/ui/nok?day=20261129&lang=zh",
            said: "",
        };
        let html = page.render().unwrap();
        let other = "/ui/sign-in?lang=en&next=%2Fui%2Fnok%3Fday%3D20261129%26lang%3Den";
        assert!(html.contains(other) && html.contains("English"), "{html}");
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
