//! Cookies that only a page of ours sends back, and no script reads.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, Key, SameSite, SignedCookieJar};
use serde::{Serialize, de::DeserializeOwned};

use crate::users::Users;

/// A cookie with this in JSON.
pub fn holding(name: &'static str, value: &impl Serialize) -> Cookie<'static> {
    ours(name, serde_json::to_string(value).unwrap_or_default())
}

/// One that makes a browser forget it.
pub fn forgetting(name: &'static str) -> Cookie<'static> {
    let mut cookie = ours(name, String::new());
    cookie.make_removal();
    cookie
}

fn ours(name: &'static str, text: String) -> Cookie<'static> {
    let mut cookie = Cookie::new(name, text);
    cookie.set_path("/ui");
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Strict);
    cookie
}

pub fn unsigned(cookie: Cookie<'static>) -> HeaderValue {
    value_of(CookieJar::new().add(cookie))
}

/// Signed with the secret of the file of users: nobody else can make it.
pub fn signed(cookie: Cookie<'static>, users: &Users) -> HeaderValue {
    value_of(SignedCookieJar::new(key(users)).add(cookie))
}

fn value_of(jar: impl IntoResponse) -> HeaderValue {
    let answer = jar.into_response();
    let cookie = answer.headers().get(header::SET_COOKIE);
    cookie.cloned().unwrap_or(HeaderValue::from_static(""))
}

pub fn put(answer: &mut Response, cookie: HeaderValue) {
    answer.headers_mut().append(header::SET_COOKIE, cookie);
}

/// What an unsigned one holds.
pub fn read<T: DeserializeOwned>(name: &str, headers: &HeaderMap) -> Option<T> {
    let jar = CookieJar::from_headers(headers);
    serde_json::from_str(jar.get(name)?.value()).ok()
}

/// What a signed one holds.
pub fn read_signed<T: DeserializeOwned>(
    name: &str,
    headers: &HeaderMap,
    users: &Users,
) -> Option<T> {
    let jar = SignedCookieJar::from_headers(headers, key(users));
    serde_json::from_str(jar.get(name)?.value()).ok()
}

fn key(users: &Users) -> Key {
    Key::derive_from(users.secret.as_bytes())
}
