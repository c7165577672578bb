//! The last review of a browser, which keeps it so that it can be taken back.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use weldfleet_stores::mysql::Review;

use super::{cookies, weld_query::WeldQuery};
use crate::users::Users;

const COOKIE: &str = "weldfleet_undo";
/// Bytes of it; a cookie holds no more than 4 kB.
const MOST: usize = 1200;

/// A review, and what it replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    pub query: WeldQuery,
    /// Who reviewed.
    pub by: String,
    /// Hash of what must be there still.
    now: u64,
    pub was: Review,
}

impl Undo {
    pub fn new(query: WeldQuery, by: String, now: &Review, was: Review) -> Self {
        let now = hash(now);
        Self {
            query,
            by,
            now,
            was,
        }
    }

    /// Whether this is what the review left.
    pub fn left(&self, review: &Review) -> bool {
        self.now == hash(review)
    }

    /// The weld, as the form that takes the review back names it.
    pub fn of(&self) -> String {
        format!("{} {}", self.query.ticks, self.query.id)
    }

    /// As the browser is to keep it; one that is more than a cookie holds takes the place of an older one, too.
    pub fn cookie(&self, users: &Users) -> HeaderValue {
        let cookie = cookies::holding(COOKIE, self);
        match cookie.value().len() > MOST {
            true => gone(users),
            false => cookies::signed(cookie, users),
        }
    }
}

/// What the browser has sent.
pub fn sent(headers: &HeaderMap, users: &Users) -> Option<Undo> {
    cookies::read_signed(COOKIE, headers, users)
}

/// There is nothing to be taken back any more.
pub fn gone(users: &Users) -> HeaderValue {
    cookies::signed(cookies::forgetting(COOKIE), users)
}

/// Only compared with what another request of the same browser has made of the same row.
fn hash(review: &Review) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Review {
        result,
        by,
        at,
        note,
    } = review;
    [result, by, at, note].hash(&mut hasher);
    hasher.finish()
}
