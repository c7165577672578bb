//! Who asks, and what they may do.
//!
//! - Without `console.users_file` whoever is on this host may look: the scheduler must listen on loopback, and be asked
//!   under a name that no other site can take (a page of theirs could otherwise read the console through a name that
//!   they point here). Nothing can be changed.
//! - With it people [sign in](sign_in), or a trusted proxy says who they are. What they may do is looked up in the file
//!   at each request, so a role that was taken away is gone at once.
//! - A change is a POST of one of our pages: its `Origin` is the address asked for, and its form holds the token of the
//!   [`session`].

pub mod session;
pub mod sign_in;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use weldfleet_settings::{Settings, Zone};

use super::{flash, page_request, plain, problem::Problem, visitor::Visitor, words::Text};
use crate::{
    status::now_ms,
    users::{Role, Users, UsersFile},
};
use session::Session;

/// Nothing from elsewhere, no code in a page, no frame around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";
/// As the script says that it only puts a page's content in again.
const RENEWS: &str = "x-renews";
/// Bytes of a form.
const MOST_FORM: usize = 1 << 20;
/// What may be had without signing in.
const OPEN: [&str; 3] = ["/ui/sign-in", "/ui/style.css", "/ui/live.js"];

/// Why a page is not shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Denied {
    SignIn,
    Forbidden(Problem),
    /// The file of users cannot be read.
    NoUsers(String),
}

/// The console's door. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    /// Where the scheduler listens.
    listens: SocketAddr,
    file: Option<UsersFile>,
    trusted_proxies: Arc<[IpAddr]>,
    user_header: HeaderName,
    zone: Zone,
    attempts: Arc<sign_in::Attempts>,
}

impl Access {
    pub fn new(settings: &Settings) -> Self {
        let console = &settings.console;
        let path = &console.users_file;
        Self {
            listens: settings.scheduler.http,
            file: (!path.as_os_str().is_empty()).then(|| UsersFile::new(path.clone())),
            trusted_proxies: console.trusted_proxies.clone().into(),
            // the settings have looked at it
            user_header: HeaderName::from_bytes(console.user_header.as_bytes())
                .unwrap_or(HeaderName::from_static("x-forwarded-user")),
            zone: settings.scheduler.timezone.clone(),
            attempts: Arc::default(),
        }
    }

    /// Who may sign in; `None`: nobody can.
    pub fn users(&self) -> Result<Option<Arc<Users>>, Denied> {
        let users = self.file.as_ref().map(UsersFile::users).transpose();
        users.map_err(Denied::NoUsers)
    }

    fn is_proxy(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        let mut trusted = self.trusted_proxies.iter();
        trusted.any(|proxy| proxy.to_canonical() == peer)
    }

    /// Who asks, and a session that is to be begun.
    fn visitor(
        &self,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<(Visitor, Option<Session>), Denied> {
        let Some(users) = self.users()? else {
            return match refusal(self.listens.ip(), headers) {
                Some(why) => Err(Denied::Forbidden(why)),
                None => Ok((Visitor::onlooker(), None)),
            };
        };
        let session = session::of(headers, &users, now_ms());
        let told = headers
            .get(&self.user_header)
            .filter(|_| self.is_proxy(peer));
        let Some(told) = told else {
            let session = session.ok_or(Denied::SignIn)?;
            let user = users.get(&session.name).ok_or(Denied::SignIn)?;
            if !session.is_of(user) {
                return Err(Denied::SignIn);
            }
            return Ok((session.visitor(user.role, false), None));
        };
        let name = String::from_utf8_lossy(told.as_bytes()).into_owned();
        let user = users.get(&name).ok_or_else(|| {
            Denied::Forbidden(Problem::UnknownToUs {
                header: self.user_header.to_string(),
                name: name.clone(),
            })
        })?;
        match session.filter(|session| session.name == name) {
            Some(session) => Ok((session.visitor(user.role, true), None)),
            None => {
                let session = Session::begin(&name, user, now_ms());
                Ok((session.visitor(user.role, true), Some(session)))
            }
        }
    }

    /// The address that the browser knows us by.
    fn authority<'h>(&self, headers: &'h HeaderMap, peer: IpAddr) -> Option<&'h str> {
        let forwarded = headers
            .get("x-forwarded-host")
            .filter(|_| self.is_proxy(peer));
        forwarded.or(headers.get(header::HOST))?.to_str().ok()
    }

    /// Whether the browser speaks TLS with the proxy.
    fn is_https(&self, headers: &HeaderMap, peer: IpAddr) -> bool {
        let proto = headers.get("x-forwarded-proto");
        self.is_proxy(peer) && proto.is_some_and(|proto| proto == "https")
    }

    /// Whether the request comes from a page of this address.
    fn is_from_here(&self, headers: &HeaderMap, peer: IpAddr) -> bool {
        let origin = headers.get(header::ORIGIN).and_then(|it| it.to_str().ok());
        let host = origin.and_then(|origin| origin.split_once("://"));
        host.is_some_and(|(_, host)| self.authority(headers, peer) == Some(host))
    }
}

/// Why the console is not shown to everybody; `None`: it is.
fn refusal(listens: IpAddr, headers: &HeaderMap) -> Option<Problem> {
    if !listens.is_loopback() {
        return Some(Problem::NotOnLoopback(listens));
    }
    let host = headers.get(header::HOST)?.to_str().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let known = name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    (!known).then_some(Problem::OtherName)
}

/// The client of a request, which the server put there.
pub fn peer(request: &Request) -> IpAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip())
}

/// Around every route: who asks is known behind it, or the request is answered here.
pub async fn guard(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let peer = peer(&request);
    let headers = request.headers();
    let secure = access.is_https(headers, peer);
    let text = page_request::text_of(request.uri(), headers);
    let mut answer = match access.visitor(headers, peer) {
        Ok((visitor, begun)) => {
            let extensions = request.extensions_mut();
            extensions.insert(visitor);
            extensions.insert(access.zone.clone());
            let had_flash = flash::of(request.headers()).is_some();
            let renews = request.headers().contains_key(RENEWS);
            let is_page = request.method() == Method::GET && !OPEN.contains(&request.uri().path());
            let answer = next.run(request).await;
            let mut answer = in_words(answer, text).await;
            // What puts a page's content in again shows no more of it.
            if had_flash && is_page && !renews {
                flash::clear(&mut answer);
            }
            if let (Some(session), Ok(Some(users))) = (begun, access.users()) {
                session::put(&mut answer, session.cookie(&users, secure));
            }
            answer
        }
        Err(Denied::SignIn) if OPEN.contains(&request.uri().path()) => next.run(request).await,
        Err(Denied::SignIn) if request.method() == Method::GET => sign_in::lead(&request),
        Err(Denied::SignIn) => plain(StatusCode::UNAUTHORIZED, &Problem::SignInFirst, text),
        Err(Denied::Forbidden(why)) => plain(StatusCode::FORBIDDEN, &why, text),
        Err(Denied::NoUsers(why)) => {
            tracing::warn!(error = why, "nobody can sign in to the console");
            plain(
                StatusCode::SERVICE_UNAVAILABLE,
                &Problem::NoUsers(why),
                text,
            )
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

/// What the extractors of a route say of an address or a form, in the language of who sent it.
async fn in_words(answer: Response, text: &Text) -> Response {
    let status = answer.status();
    let misread = [
        StatusCode::BAD_REQUEST,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ];
    if !misread.contains(&status) {
        return answer;
    }
    let said = to_bytes(answer.into_body(), MOST_FORM).await;
    let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
    plain(status, &Problem::NotUnderstood(said), text)
}

/// Around routes that change something: whoever asks may, and meant it.
pub async fn changing(
    State((access, role)): State<(Access, Role)>,
    request: Request,
    next: Next,
) -> Response {
    let text = page_request::text_of(request.uri(), request.headers());
    let refused = |why: Problem| plain(StatusCode::FORBIDDEN, &why, text);
    let Some(visitor) = request.extensions().get::<Visitor>().cloned() else {
        return refused(Problem::SignInFirst);
    };
    if !visitor.may(role) {
        let (has, needs) = (visitor.role, role);
        let of = |name| Problem::Role { name, has, needs };
        return refused(visitor.name.map_or(Problem::ReadOnly, of));
    }
    if !access.is_from_here(request.headers(), peer(&request)) {
        return refused(Problem::NotFromHere);
    }
    let (head, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MOST_FORM).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, &Problem::TooMuchSent, text);
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
    fn only_a_trusted_proxy_says_who_and_under_which_name() {
        let mut settings = Settings::default();
        settings.console.trusted_proxies = vec![IpAddr::from([10, 0, 0, 5])];
        let access = Access::new(&settings);
        let mut headers = host("127.0.0.1:9100");
        headers.insert("x-forwarded-host", HeaderValue::from_static("weld.plant"));
        headers.insert("origin", HeaderValue::from_static("https://weld.plant"));
        let proxy: IpAddr = "::ffff:10.0.0.5".parse().unwrap();
        assert!(access.is_from_here(&headers, proxy));
        assert!(!access.is_from_here(&headers, IpAddr::from([10, 0, 0, 6])));
        headers.remove("origin");
        assert!(
            !access.is_from_here(&headers, proxy),
            "a browser always says"
        );
    }
}
