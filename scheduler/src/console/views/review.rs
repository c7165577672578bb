//! What was said of a weld, and the form in which something is said.

use weldfleet_stores::mysql::Review;

use super::verdict::value;
use crate::{
    actions::reviews::RESULTS,
    console::{
        page_request::PageRequest,
        problem::Problem,
        reviews::{self, LONGEST_NOTE},
        weld_query::WeldQuery,
        welds::OneWeld,
    },
};

/// Keys of [`RESULTS`].
const KEYS: [&str; 3] = ["c", "f", "u"];

pub struct ReviewBox {
    pub action: String,
    /// What was said, in words; empty: nothing.
    pub said: String,
    /// That it was said of a verdict before this one.
    pub of_another: Option<String>,
    pub was: String,
    /// What somebody has typed already; `None` where a note cannot be kept.
    pub note: Option<String>,
    /// Value, word and key of what can be said; none of a weld that is not NOK.
    pub choices: Vec<(&'static str, &'static str, &'static str)>,
    pub longest: usize,
}

/// `None` of a weld that is no matter of review: an OK one of which nobody said anything; `note`: what somebody has typed
/// already.
pub fn of<'w>(
    weld: &'w OneWeld,
    here: &WeldQuery,
    note: String,
    request: &PageRequest,
) -> Result<Option<ReviewBox>, &'w Problem> {
    let text = request.text;
    let is_nok = value(&weld.stored, "final_result") == "NOK";
    let review = match &weld.review {
        Ok(review) if is_nok || !review.is_none() => review,
        Ok(_) => return Ok(None),
        Err(Problem::NoReviewRow) if !is_nok => return Ok(None),
        Err(why) => return Err(why),
    };
    let judged = value(&weld.stored, "alg_complete_time");
    let of_another = review.is_of_another_verdict(judged).then(|| {
        let judged = request.time_of(judged);
        text.of_another_verdict.replace("{judged}", &judged)
    });
    let choices = RESULTS.into_iter().zip(KEYS);
    Ok(Some(ReviewBox {
        action: here.link("/ui/review", text.lang),
        said: reviews::in_words(review, request),
        of_another,
        was: serde_json::to_string(review).unwrap_or_default(),
        note: weld.takes_notes.then_some(note),
        choices: choices
            .filter(|_| is_nok)
            .zip(text.review_buttons)
            .map(|((result, key), word)| (result, word, key))
            .collect(),
        longest: LONGEST_NOTE,
    }))
}

/// Of a weld that is in MySQL and not in ClickHouse.
pub fn in_mysql_alone(review: &Review, request: &PageRequest) -> String {
    let text = request.text;
    let said = match reviews::in_words(review, request) {
        said if said.is_empty() => text.not_reviewed.to_owned(),
        said => format!("{}{}{said}", text.reviewed_as, text.colon),
    };
    format!("{}{}{said}", text.in_mysql_alone, text.blank)
}
