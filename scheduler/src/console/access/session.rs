//! The cookie of somebody who has signed in: signed with the secret of the file of users, so that every scheduler that
//! has the file takes it, and a restart signs nobody out.

use axum::http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::{
    console::{cookies, visitor::Visitor},
    users::{Role, User, Users},
};

const COOKIE: &str = "weldfleet_session";
/// A shift and a half.
const LASTS_MS: i64 = 12 * 3_600_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub name: String,
    /// A proxy said who it is, and must say so each time.
    pub by_proxy: bool,
    /// The user's key when it began.
    key: String,
    /// What forms must hold.
    token: String,
    until_ms: i64,
}

impl Session {
    pub fn begin(name: &str, user: &User, by_proxy: bool, now_ms: i64) -> Self {
        Self {
            name: name.to_owned(),
            by_proxy,
            key: user.key.clone(),
            token: uuid::Uuid::new_v4().simple().to_string(),
            until_ms: now_ms + LASTS_MS,
        }
    }

    /// Whether the user's password is the same still.
    pub fn is_of(&self, user: &User) -> bool {
        self.key == user.key
    }

    pub fn visitor(&self, role: Role) -> Visitor {
        Visitor {
            name: Some(self.name.clone()),
            role,
            token: self.token.clone(),
            by_proxy: self.by_proxy,
        }
    }

    /// As the browser is to keep it.
    pub fn cookie(&self, users: &Users, secure: bool) -> HeaderValue {
        let mut cookie = cookies::holding(COOKIE, self);
        cookie.set_secure(secure);
        cookies::signed(cookie, users)
    }
}

/// A session that holds, `None` if there is none.
pub fn of(headers: &HeaderMap, users: &Users, now_ms: i64) -> Option<Session> {
    let session: Session = cookies::read_signed(COOKIE, headers, users)?;
    (session.until_ms > now_ms).then_some(session)
}

pub fn gone(users: &Users) -> HeaderValue {
    cookies::signed(cookies::forgetting(COOKIE), users)
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn user() -> User {
        User::new(Role::Reviewer, None)
    }

    /// As a browser sends back what it was given.
    fn sent(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, pair.parse().unwrap())])
    }

    #[test]
    fn it_holds_for_a_shift_and_only_as_it_was_given() {
        let (users, user) = (Users::nobody(), user());
        let session = Session::begin("李 娜", &user, false, 1000);
        let cookie = session.cookie(&users, true);
        let text = cookie.to_str().unwrap();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/ui", "Secure"] {
            assert!(text.contains(part), "{text}");
        }
        let headers = sent(&cookie);
        assert_eq!(of(&headers, &users, 2000), Some(session.clone()));
        assert_eq!(of(&headers, &users, 1000 + LASTS_MS), None);
        assert_eq!(of(&headers, &Users::nobody(), 2000), None, "another secret");
        let forged = text.split(';').next().unwrap().replace("1000", "9999");
        let forged = forged.replacen('%', "%2", 1);
        let forged = HeaderMap::from_iter([(header::COOKIE, forged.parse().unwrap())]);
        assert_eq!(of(&forged, &users, 2000), None);
    }

    #[test]
    fn another_password_ends_it() {
        let first = user();
        let session = Session::begin("li", &first, false, 0);
        assert!(session.is_of(&first) && !session.is_of(&user()));
    }
}
