//! What is answered: a page, or a problem without a page around it.

use axum::{
    Extension,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{problem::Problem, words::Text};

/// Of an answer that says in its reader's language what is wrong.
#[derive(Clone)]
pub struct Told;

/// A problem without a page around it.
pub fn plain(problem: &Problem, text: &Text) -> Response {
    let said = format!("{}\n", problem.text(text.lang));
    (problem.status(), Extension(Told), said).into_response()
}

pub fn html(drawn: Result<String, askama::Error>) -> Response {
    match drawn {
        Ok(html) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the console cannot be drawn");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
