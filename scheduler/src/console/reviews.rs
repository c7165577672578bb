//! Reviewing NOK welds: what is said of one, taken back, and the way to the next.

use axum::{
    Extension,
    extract::{Query, State},
    http::HeaderMap,
    response::{IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::{
    Form,
    cookie::{Cookie, SignedCookieJar},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weldfleet_stores::mysql::{Review, Reviewed, WeldKey};

use super::{
    Console,
    access::{Access, Visitor, session},
    asked::Asked,
    said::Said,
    wanted::{OfReview, Wanted},
    welds::NoReview,
};
use crate::{
    actions::{
        self, By,
        reviews::{self, RESULTS},
    },
    status::gather::now_ms,
};

/// Characters of a note.
pub const LONGEST_NOTE: usize = 300;
/// What the browser keeps so that the last review can be taken back.
const UNDO: &str = "weldfleet_undo";
/// Bytes of it; a cookie holds no more than 4 kB.
const MOST_UNDO: usize = 1200;

/// A form: what is said of the weld in the address, by somebody who saw `was_*`.
#[derive(Debug, Deserialize)]
pub struct ReviewForm {
    result: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    was_result: String,
    #[serde(default)]
    was_by: String,
    #[serde(default)]
    was_at: String,
    #[serde(default)]
    was_note: String,
}

/// The last review of a browser, and what it replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    wanted: Wanted,
    /// Result, by, at: what must be there still.
    now: [String; 3],
    /// Result, by, at, note.
    was: [String; 4],
}

/// `POST /ui/review`
pub async fn review(
    State(console): State<Console>,
    Query(wanted): Query<Wanted>,
    Extension(visitor): Extension<Visitor>,
    asked: Asked,
    Form(form): Form<ReviewForm>,
) -> Response {
    let text = asked.text;
    let here = wanted.link("/ui/weld", text.lang);
    if !RESULTS.contains(&form.result.as_str()) {
        return Said::badly(format!("{}: {}", form.result, text.no_such_review)).on(&here);
    }
    let note: String = form.note.trim().chars().take(LONGEST_NOTE).collect();
    let name = visitor.name.clone().unwrap_or_default();
    let new = Review {
        result: form.result,
        by: name.clone(),
        at: in_utc(now_ms()),
        note: note.clone(),
    };
    let seen = Review {
        result: form.was_result,
        by: form.was_by,
        at: form.was_at,
        note: form.was_note,
    };
    let now = match console
        .write_review(&wanted, &seen, &new, By::new(name, note))
        .await
    {
        Ok(now) => now,
        Err(why) => return why.said(&asked).on(&here),
    };
    let undo = Undo {
        now: [now.result, now.by, now.at],
        was: [seen.result, seen.by, seen.at, seen.note],
        wanted: wanted.clone(),
    };
    let id = &wanted.id;
    let mut said = Said::well(format!("{id}: {}", text.review_word(&new.result)));
    let kept = undo.cookie(&console.access);
    said.undo = kept.is_some();
    let mut answer = console.to_next(&wanted, OfReview::Open, said, &asked).await;
    if let Some(cookie) = kept {
        session::put(&mut answer, cookie);
    }
    answer
}

/// `POST /ui/review/undo`: takes the browser's last review back.
pub async fn undo(
    State(console): State<Console>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    asked: Asked,
) -> Response {
    let text = asked.text;
    let Some(undo) = Undo::of(&headers, &console.access) else {
        return Said::badly(text.nothing_to_undo).on(&asked.page("/ui/nok"));
    };
    let here = undo.wanted.link("/ui/weld", text.lang);
    match console.take_back(&undo, &visitor).await {
        Ok(()) => Said::well(format!("{}: {}", undo.wanted.id, text.undone)).on(&here),
        Err(why) => why.said(&asked).on(&here),
    }
}

/// `GET /ui/next`: the weld that the list has behind the one in the address.
pub async fn next(
    State(console): State<Console>,
    Query(wanted): Query<Wanted>,
    asked: Asked,
) -> Response {
    let of_review = wanted.of_review().unwrap_or(OfReview::Any);
    match console.welds.next(&wanted, of_review).await {
        Ok(Some(weld)) => {
            let page = wanted.at(&weld).link("/ui/weld", asked.text.lang);
            Redirect::to(&page).into_response()
        }
        Ok(None) => Said::well(asked.text.no_more)
            .on(&wanted.filter_only().link("/ui/nok", asked.text.lang)),
        Err(why) => Said::badly(why).on(&wanted.link("/ui/weld", asked.text.lang)),
    }
}

/// Why a review was not written.
enum NotKept {
    /// Somebody was faster.
    Otherwise(Review),
    No(NoReview),
    Wanted(String),
}

impl NotKept {
    fn said(self, asked: &Asked) -> Said {
        let text = asked.text;
        Said::badly(match self {
            Self::Otherwise(there) if there.is_none() => text.review_gone.to_owned(),
            Self::Otherwise(there) => format!(
                "{} {}: {} {}",
                text.review_otherwise,
                there.by,
                text.review_word(&there.result),
                there.note
            ),
            Self::No(why) => text.no_review(&why),
            Self::Wanted(why) => why,
        })
    }
}

impl Console {
    /// Writes it, keeps the event, and says what MySQL now has.
    async fn write_review(
        &self,
        wanted: &Wanted,
        seen: &Review,
        new: &Review,
        by: By,
    ) -> Result<Review, NotKept> {
        let records = self.welds.reviewed().map_err(NotKept::No)?;
        let key = weld_key(wanted).map_err(NotKept::Wanted)?;
        let reviewed = reviews::review(records, &key, seen, new, &by).await;
        let (reviewed, event) =
            reviewed.map_err(|error| NotKept::No(NoReview::Failed(error.chain_and_remedy())))?;
        if let Some(event) = event
            && let Some(why) = actions::keep(&self.settings, &[event]).await
        {
            tracing::warn!(error = why, "a review is not kept as an event");
        }
        match reviewed {
            Reviewed::Kept(now) => Ok(now),
            Reviewed::Otherwise(there) => Err(NotKept::Otherwise(there)),
            Reviewed::NoRow => Err(NotKept::No(NoReview::NoRow)),
        }
    }

    async fn take_back(&self, undo: &Undo, visitor: &Visitor) -> Result<(), NotKept> {
        let records = self.welds.reviewed().map_err(NotKept::No)?;
        let key = weld_key(&undo.wanted).map_err(NotKept::Wanted)?;
        let there = records.review(&key).await;
        let there = there
            .map_err(|error| NotKept::No(NoReview::Failed(error.chain_and_remedy())))?
            .ok_or(NotKept::No(NoReview::NoRow))?;
        if undo.now != [there.result.as_str(), &there.by, &there.at] {
            return Err(NotKept::Otherwise(there));
        }
        let [result, by, at, note] = undo.was.clone();
        let was = Review {
            result,
            by,
            at,
            note,
        };
        let name = visitor.name.clone().unwrap_or_default();
        let by = By::new(name, "taken back");
        self.write_review(&undo.wanted, &there, &was, by)
            .await
            .map(|_| ())
    }

    /// To the next weld of the list, or back to the list behind the last.
    async fn to_next(
        &self,
        wanted: &Wanted,
        of_review: OfReview,
        mut said: Said,
        asked: &Asked,
    ) -> Response {
        // Whoever looks at reviewed welds goes on with those.
        let of_review = match wanted.of_review() {
            Ok(OfReview::Any) | Err(_) => of_review,
            Ok(asked_for) => asked_for,
        };
        let lang = asked.text.lang;
        match self.welds.next(wanted, of_review).await {
            Ok(Some(weld)) => said.on(&wanted.at(&weld).link("/ui/weld", lang)),
            Ok(None) => {
                said.text = format!("{}. {}", said.text, asked.text.no_more);
                said.on(&wanted.filter_only().link("/ui/nok", lang))
            }
            Err(why) => {
                said.text = format!("{} ({why})", said.text);
                said.on(&wanted.link("/ui/weld", lang))
            }
        }
    }
}

fn in_utc(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| String::new(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// The weld in an address of ours.
fn weld_key(wanted: &Wanted) -> Result<WeldKey, String> {
    let ticks = wanted.ticks.parse();
    Ok(WeldKey {
        day: wanted.day()?,
        ticks: ticks.map_err(|_| format!("ticks = {}: not a whole number", wanted.ticks))?,
        time: wanted.time.clone(),
        record_id: wanted.id.clone(),
    })
}

impl Undo {
    /// As the browser is to keep it; `None` if it is more than a cookie holds.
    fn cookie(&self, access: &Access) -> Option<axum::http::HeaderValue> {
        let users = access.users().ok().flatten()?;
        let text = serde_json::to_string(self).ok()?;
        (text.len() <= MOST_UNDO).then(|| session::signed(Cookie::new(UNDO, text), &users))
    }

    fn of(headers: &HeaderMap, access: &Access) -> Option<Self> {
        let users = access.users().ok().flatten()?;
        let jar = SignedCookieJar::from_headers(headers, session::key(&users));
        serde_json::from_str(jar.get(UNDO)?.value()).ok()
    }
}
