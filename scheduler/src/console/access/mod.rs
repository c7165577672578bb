//! Who asks, and what they may do.
//!
//! - Without `console.users_file` whoever is on this host may look: the scheduler must listen on loopback, and be asked
//!   under a name that no other site can take (a page of theirs could otherwise read the console through a name that
//!   they point here). Nothing can be changed.
//! - With it people [sign in](sign_in), or a trusted proxy says who they are. What they may do is looked up in the file
//!   at each request, so a role that was taken away is gone at once.
//! - A change is a POST of one of our pages: its `Origin` is the address asked for, and its form holds the token of the
//!   [`session`]. Its form must come in time ([`form`]).

mod attempts;
mod form;
mod proxies;
pub mod session;
pub mod sign_in;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use weldfleet_settings::{Settings, Zone};

use super::{
    answers::{Told, plain},
    changes, cookies, flash, page_request,
    problem::Problem,
    visitor::Visitor,
    words::Text,
};
use crate::{
    clock::now_ms,
    users::{Role, Users, UsersFile},
};
use attempts::Attempts;
use proxies::{Proxies, address};
use session::Session;

/// Nothing from elsewhere, no code in a page, no frame around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";
/// As the script says that it only puts a page's content in again.
const RENEWS: &str = "x-renews";
/// What may be had without signing in.
const OPEN: [&str; 3] = ["/ui/sign-in", "/ui/style.css", "/ui/live.js"];

/// The console's door. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    /// Where the scheduler listens.
    listens: SocketAddr,
    file: Option<UsersFile>,
    proxies: Proxies,
    zone: Zone,
    attempts: Arc<Attempts>,
}

impl Access {
    pub fn new(settings: &Settings) -> Self {
        let console = &settings.console;
        Self {
            listens: settings.scheduler.http,
            file: console
                .has_users()
                .then(|| UsersFile::new(console.users_file.clone())),
            proxies: Proxies::new(console),
            zone: settings.scheduler.timezone.clone(),
            attempts: Arc::default(),
        }
    }

    /// Who may sign in; `None`: nobody can.
    pub fn users(&self) -> Result<Option<Arc<Users>>, Problem> {
        let users = self.file.as_ref().map(UsersFile::users).transpose();
        users.map_err(Problem::NoUsers)
    }

    /// Whether whoever asks may read what people are called and have written: without users anybody.
    pub fn knows(&self, headers: &HeaderMap, peer: IpAddr) -> bool {
        self.file.is_none() || self.visitor(headers, peer).is_ok()
    }

    /// Who asks, and a session that is to be begun.
    fn visitor(
        &self,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<(Visitor, Option<Session>), Problem> {
        let Some(users) = self.users()? else {
            return match refusal(self.listens.ip(), headers) {
                Some(why) => Err(why),
                None => Ok((Visitor::onlooker(), None)),
            };
        };
        let session = session::of(headers, &users, now_ms());
        let Some((header, name)) = self.proxies.user(headers, peer)? else {
            // What a proxy's word began, holds with its word alone.
            let session = session.filter(|session| !session.by_proxy);
            let session = session.ok_or(Problem::SignInFirst)?;
            let user = users.get(&session.name).ok_or(Problem::SignInFirst)?;
            if !session.is_of(user) {
                return Err(Problem::SignInFirst);
            }
            return Ok((session.visitor(user.role), None));
        };
        let user = users.get(&name).ok_or_else(|| Problem::UnknownToUs {
            header: header.to_string(),
            name: name.clone(),
        })?;
        match session.filter(|session| session.by_proxy && session.name == name) {
            Some(session) => Ok((session.visitor(user.role), None)),
            None => {
                let session = Session::begin(&name, user, true, now_ms());
                Ok((session.visitor(user.role), Some(session)))
            }
        }
    }

    /// Where whoever asks sits.
    pub fn client_of(&self, request: &Request) -> IpAddr {
        self.proxies.client(request.headers(), peer(request))
    }
}

/// Why the console is not shown to everybody; `None`: it is.
fn refusal(listens: IpAddr, headers: &HeaderMap) -> Option<Problem> {
    if !listens.is_loopback() {
        return Some(Problem::NotOnLoopback(listens));
    }
    if is_under_a_name(headers) {
        return Some(Problem::OtherName);
    }
    // A proxy on this host asks for people elsewhere.
    let forwarded = headers.keys().find(|name| {
        let name = name.as_str();
        ["forwarded", "via", "x-real-ip"].contains(&name) || name.starts_with("x-forwarded-")
    });
    forwarded.map(|header| Problem::Forwarded(header.to_string()))
}

/// Whether we are asked under a name that others can point here.
fn is_under_a_name(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return false;
    };
    let host = host.to_str().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name != "localhost" && host != "localhost" && address(host).is_none()
}

/// The peer of a request, which the server put there.
fn peer(request: &Request) -> IpAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip())
}

/// Around every route: who asks is known behind it, or the request is answered here.
pub async fn guard(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let peer = peer(&request);
    let headers = request.headers();
    let secure = access.proxies.is_https(headers, peer);
    let text = page_request::text_of(request.uri(), headers);
    let mut answer = match access.visitor(headers, peer) {
        Ok((visitor, begun)) => {
            let extensions = request.extensions_mut();
            extensions.insert(visitor);
            extensions.insert(access.zone.clone());
            let had_flash = flash::of(request.headers()).is_some();
            let renews = request.headers().contains_key(RENEWS);
            let path = request.uri().path();
            let is_page = request.method() == Method::GET && !OPEN.contains(&path);
            let renews = renews || path == changes::PATH;
            let answer = next.run(request).await;
            let mut answer = in_words(answer, text).await;
            // What puts a page's content in again shows no more of it.
            if had_flash && is_page && !renews {
                flash::clear(&mut answer);
            }
            if let (Some(session), Ok(Some(users))) = (begun, access.users()) {
                cookies::put(&mut answer, session.cookie(&users, secure));
            }
            answer
        }
        Err(Problem::SignInFirst) if OPEN.contains(&request.uri().path()) => {
            next.run(request).await
        }
        Err(Problem::SignInFirst) if request.method() == Method::GET => sign_in::lead(&request),
        Err(why) => {
            if let Problem::NoUsers(error) = &why {
                tracing::warn!(error, "nobody can sign in to the console");
            }
            plain(&why, text)
        }
    };
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Around what needs no user: on loopback no page of another site reads it through a name that it points here.
pub async fn under_no_name(State(access): State<Access>, request: Request, next: Next) -> Response {
    let is_foreign = is_under_a_name(request.headers()) && !access.proxies.has(peer(&request));
    if access.listens.ip().is_loopback() && is_foreign {
        let text = page_request::text_of(request.uri(), request.headers());
        return plain(&Problem::OtherName, text);
    }
    next.run(request).await
}

/// What the extractors of a route say of an address or a form, in the language of who sent it.
async fn in_words(answer: Response, text: &Text) -> Response {
    let status = answer.status();
    let misread = [
        StatusCode::BAD_REQUEST,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ];
    let is_told = answer.extensions().get::<Told>().is_some();
    if is_told || !misread.contains(&status) {
        return answer;
    }
    let said = to_bytes(answer.into_body(), form::MOST).await;
    let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
    plain(&Problem::NotUnderstood { status, said }, text)
}

/// Around routes that change something: whoever asks may, and meant it.
pub async fn changing(
    State((access, role)): State<(Access, Role)>,
    request: Request,
    next: Next,
) -> Response {
    let text = page_request::text_of(request.uri(), request.headers());
    let refused = |why: Problem| plain(&why, text);
    let Some(visitor) = request.extensions().get::<Visitor>().cloned() else {
        return refused(Problem::SignInFirst);
    };
    if !visitor.may(role) {
        let (has, needs) = (visitor.role, role);
        let of = |name| Problem::Role { name, has, needs };
        return refused(visitor.name.map_or(Problem::ReadOnly, of));
    }
    if !access
        .proxies
        .is_from_here(request.headers(), peer(&request))
    {
        return refused(Problem::NotFromHere);
    }
    let (head, body) = request.into_parts();
    let bytes = match form::read(body, form::MOST, text).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let mut fields = form_urlencoded::parse(&bytes);
    let token = fields.find(|(name, _)| name == "token");
    if token.is_none_or(|(_, token)| *token != visitor.token) {
        return refused(Problem::PageTooOld);
    }
    // What has begun goes on to its end, also where the browser hangs up: hyper would drop it midway.
    let acting = tokio::spawn(next.run(Request::from_parts(head, Body::from(bytes))));
    acting.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an action of the console was cut off");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(name))])
    }

    #[test]
    fn without_users_it_is_shown_on_loopback_and_under_no_name_that_others_can_take() {
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
        assert_eq!(
            open,
            Some(Problem::NotOnLoopback(IpAddr::from([0, 0, 0, 0])))
        );
    }

    #[test]
    fn without_users_it_is_not_shown_through_a_proxy_on_this_host() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        for name in ["forwarded", "via", "x-real-ip", "x-forwarded-for"] {
            let mut headers = host("127.0.0.1:9100");
            headers.insert(name, HeaderValue::from_static("10.0.0.7"));
            let why = refusal(loopback, &headers);
            assert_eq!(why, Some(Problem::Forwarded(name.to_owned())));
        }
    }
}
