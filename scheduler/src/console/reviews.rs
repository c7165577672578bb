//! Reviewing NOK welds: what is said of one, taken back, and the way to the next.

use axum::{
    Extension,
    extract::{Query, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::Form;
use jiff::Timestamp;
use serde::Deserialize;
use weldfleet_settings::columns;
use weldfleet_stores::{
    Class, StoreError,
    clickhouse::Event,
    mysql::{Review, Reviewed},
};

use super::{
    Console,
    access::Access,
    cookies,
    flash::Flash,
    page_request::PageRequest,
    problem::Problem,
    undo::{self, Undo},
    visitor::Visitor,
    weld_query::{ReviewFilter, WeldQuery},
};
use crate::{
    actions::{
        By,
        reviews::{self, RESULTS},
    },
    clock::now_ms,
    events::TAKEN_BACK,
};

/// Characters of a note.
pub const LONGEST_NOTE: usize = columns::LONGEST_NOTE as usize;

/// A form: what is said of the weld in the address, by somebody who saw `was`.
#[derive(Debug, Deserialize)]
pub struct ReviewForm {
    result: String,
    #[serde(default)]
    note: String,
    /// [`Review`] in JSON: browsers change the ends of lines in a text.
    was: String,
}

/// A form that takes a review back.
#[derive(Debug, Deserialize)]
pub struct UndoForm {
    /// The weld that its page speaks of.
    of: String,
}

/// `POST /ui/review`
pub async fn review(
    State(console): State<Console>,
    Query(query): Query<WeldQuery>,
    Extension(visitor): Extension<Visitor>,
    request: PageRequest,
    Form(form): Form<ReviewForm>,
) -> Response {
    let text = request.text;
    let here = query.link("/ui/weld", text.lang);
    if !RESULTS.contains(&form.result.as_str()) {
        let said = format!("{}{}{}", form.result, text.colon, text.no_such_review);
        return Flash::failed(said).on(&here);
    }
    let Ok(seen) = serde_json::from_str::<Review>(&form.was) else {
        return Flash::failed(text.not_from_here).on(&here);
    };
    let note: String = form.note.trim().chars().take(LONGEST_NOTE).collect();
    let name = visitor.name.clone().unwrap_or_default();
    let new = Review {
        result: form.result,
        by: name.clone(),
        at: in_utc(now_ms()),
        // Who says nothing leaves what others have noted.
        note: match note.as_str() {
            "" => seen.note.clone(),
            note => note.to_owned(),
        },
    };
    let by = By::new(name.clone(), &note);
    let written = match console.write_review(&query, &seen, &new, by).await {
        Ok(written) => written,
        Err(why) => {
            // What was typed is not lost.
            let again = WeldQuery {
                note,
                ..query.clone()
            };
            return why.flash(&request).on(&again.link("/ui/weld", text.lang));
        }
    };
    let undo = Undo::new(query.clone(), name, &written.now, seen);
    let (id, word) = (&query.id, text.review_word(&new.result));
    // Neither has to wait for the other.
    let keeping = console.keep(written.event.as_slice(), text);
    let (unkept, (page, more)) = tokio::join!(keeping, console.to_next(&query, &request));
    let mut answer = Flash::done(format!("{id}{}{word}{unkept}{more}", text.colon)).on(&page);
    if let Ok(Some(users)) = console.access.users() {
        cookies::put(&mut answer, undo.cookie(&users));
    }
    answer
}

/// `POST /ui/review/undo`: takes the browser's last review back.
pub async fn undo(
    State(console): State<Console>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    request: PageRequest,
    Form(form): Form<UndoForm>,
) -> Response {
    let text = request.text;
    // Another tab may have reviewed since, or somebody else have signed in.
    let undo = last_of(&headers, &console.access)
        .filter(|undo| undo.of() == form.of && Some(&undo.by) == visitor.name.as_ref());
    let Some(undo) = undo else {
        return Flash::failed(text.nothing_to_undo).on(&request.page("/ui/nok"));
    };
    let here = undo.query.link("/ui/weld", text.lang);
    match console.take_back(&undo).await {
        Ok(written) => {
            let unkept = console.keep(written.event.as_slice(), text).await;
            let (id, colon, undone) = (&undo.query.id, text.colon, text.undone);
            let mut answer = Flash::done(format!("{id}{colon}{undone}{unkept}")).on(&here);
            if let Ok(Some(users)) = console.access.users() {
                cookies::put(&mut answer, undo::gone(&users));
            }
            answer
        }
        Err(why) => why.flash(&request).on(&here),
    }
}

/// `GET /ui/next`: the weld that the list has behind the one in the address.
pub async fn next(
    State(console): State<Console>,
    Query(query): Query<WeldQuery>,
    request: PageRequest,
) -> Response {
    let query = console.of_today(query);
    let lang = request.text.lang;
    let list = || query.filter_only().link("/ui/nok", lang);
    let review_filter = query.review_filter().unwrap_or(ReviewFilter::Any);
    match console.welds.next(&query, review_filter).await {
        Ok(Some(weld)) => Redirect::to(&query.at(&weld).link("/ui/weld", lang)).into_response(),
        Ok(None) => Flash::done(request.text.no_more).on(&list()),
        Err(why) => Flash::problem(&why, request.text).on(&list()),
    }
}

/// A review that is in MySQL.
struct Written {
    now: Review,
    /// Not kept yet.
    event: Option<Event>,
}

/// Why a review was not written.
enum NotWritten {
    Problem(Problem),
    /// Somebody was faster.
    Otherwise(Review),
}

impl From<Problem> for NotWritten {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl NotWritten {
    fn flash(self, request: &PageRequest) -> Flash {
        let text = request.text;
        Flash::failed(match self {
            Self::Problem(why) => why.text(text.lang),
            Self::Otherwise(there) if there.is_none() => text.review_gone.to_owned(),
            Self::Otherwise(there) => {
                let there = in_words(&there, request);
                format!("{}{}{there}", text.review_otherwise, text.colon)
            }
        })
    }
}

impl Console {
    async fn write_review(
        &self,
        query: &WeldQuery,
        seen: &Review,
        new: &Review,
        by: By,
    ) -> Result<Written, NotWritten> {
        let records = self.welds.reviewable().await?;
        let reviewed = reviews::review(records, &query.weld()?, seen, new, &by).await;
        match reviewed.map_err(|error| not_written(&error))? {
            (Reviewed::Kept { now, .. }, event) => Ok(Written { now, event }),
            (Reviewed::Otherwise(there), _) => Err(NotWritten::Otherwise(there)),
            (Reviewed::NoRow, _) => Err(Problem::NoReviewRow.into()),
        }
    }

    async fn take_back(&self, undo: &Undo) -> Result<Written, NotWritten> {
        let records = self.welds.reviewed()?;
        let there = records.review(&undo.query.weld()?).await;
        let there = there.map_err(Problem::from)?.ok_or(Problem::NoReviewRow)?;
        if !undo.left(&there) {
            return Err(NotWritten::Otherwise(there));
        }
        let by = By::new(undo.by.clone(), &TAKEN_BACK.words(&[]).en);
        self.write_review(&undo.query, &there, &undo.was, by).await
    }

    /// Where the next weld of the list is, or the list itself behind the last, with what is to be told of it.
    async fn to_next(&self, query: &WeldQuery, request: &PageRequest) -> (String, String) {
        // Whoever looks at reviewed welds goes on with those.
        let review_filter = match query.review_filter() {
            Ok(ReviewFilter::Any) | Err(_) => ReviewFilter::Open,
            Ok(asked_for) => asked_for,
        };
        let text = request.text;
        match self.welds.next(query, review_filter).await {
            Ok(Some(weld)) => (query.at(&weld).link("/ui/weld", text.lang), String::new()),
            Ok(None) => {
                let list = query.filter_only().link("/ui/nok", text.lang);
                (list, format!("{}{}", text.stop, text.no_more))
            }
            Err(why) => {
                let why = format!("{}{}{}", text.open, why.text(text.lang), text.close);
                (query.link("/ui/weld", text.lang), why)
            }
        }
    }
}

/// A review in words.
pub fn in_words(review: &Review, request: &PageRequest) -> String {
    let at = request.time_of(&review.at);
    let words = [
        request.text.review_word(&review.result),
        &review.by,
        &at,
        &review.note,
    ];
    let words = words.into_iter().filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" · ")
}

/// What keeps MySQL from it may be the kind of a column.
fn not_written(error: &StoreError) -> Problem {
    match error.class() {
        Class::Outage | Class::Retry => Problem::from(error),
        class => Problem::ReviewRefused {
            class,
            said: error.chain_and_remedy(),
        },
    }
}

fn in_utc(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| String::new(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// Around every route: tells the pages of the last review of this browser, where whoever made it is still signed in.
pub async fn offer_undo(
    State(access): State<Access>,
    mut request: Request,
    next: Next,
) -> Response {
    let visitor = request.extensions().get::<Visitor>();
    let name = visitor.and_then(|visitor| visitor.name.as_ref());
    let undo = last_of(request.headers(), &access).filter(|undo| Some(&undo.by) == name);
    if let Some(undo) = undo {
        request.extensions_mut().insert(undo);
    }
    next.run(request).await
}

/// The last review of this browser.
fn last_of(headers: &HeaderMap, access: &Access) -> Option<Undo> {
    let users = access.users().ok()??;
    undo::sent(headers, &users)
}
