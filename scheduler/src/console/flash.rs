//! What came of an action, told on the page that follows it.

use axum::{
    http::HeaderMap,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::{Deserialize, Serialize};

use super::{cookies, problem::Problem, words::Text};

const COOKIE: &str = "weldfleet_said";
/// Characters that are told; a cookie holds no more than 4 kB.
const MOST: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    pub well: bool,
    pub text: String,
}

impl Flash {
    pub fn done(text: impl Into<String>) -> Self {
        Self {
            well: true,
            text: text.into(),
        }
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Self {
            well: false,
            text: text.into(),
        }
    }

    pub fn problem(problem: &Problem, text: &Text) -> Self {
        Self::failed(problem.text(text.lang))
    }

    /// To a page, which tells it.
    pub fn on(mut self, page: &str) -> Response {
        if self.text.chars().count() > MOST {
            self.text = self.text.chars().take(MOST).chain(['…']).collect();
        }
        let mut answer = Redirect::to(page).into_response();
        let cookie = cookies::holding(COOKIE, &self);
        cookies::put(&mut answer, cookies::unsigned(cookie));
        answer
    }
}

/// What is to be told, once.
pub fn of(headers: &HeaderMap) -> Option<Flash> {
    cookies::read(COOKIE, headers)
}

pub fn clear(answer: &mut Response) {
    let cookie = cookies::forgetting(COOKIE);
    cookies::put(answer, cookies::unsigned(cookie));
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[test]
    fn it_is_told_as_it_was_said_shortened() {
        for text in ["li; 李 \"x\" = 5 & <b>", &"错".repeat(1000)] {
            let answer = Flash::failed(text).on("/ui/jobs");
            let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
            assert!(
                cookie.len() < 4000 && cookie.contains("HttpOnly"),
                "{cookie}"
            );
            let pair = cookie.split(';').next().unwrap().parse().unwrap();
            let told = of(&HeaderMap::from_iter([(header::COOKIE, pair)])).unwrap();
            assert!(!told.well);
            let shown = told.text.trim_end_matches('…');
            assert!(text.starts_with(shown) && shown.chars().count() <= MOST);
        }
    }
}
