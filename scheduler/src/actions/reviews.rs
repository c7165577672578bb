//! What a person says of a NOK weld.

pub use weldfleet_settings::columns::REVIEW_RESULTS as RESULTS;
use weldfleet_stores::{
    StoreError,
    clickhouse::Event,
    mysql::{NokTable, Review, Reviewed, WeldKey},
};

use super::By;
use crate::events::{BY, NOT_REVIEWED, REVIEW, REVIEW_WAS, REVIEW_WAS_NOTED};

/// Writes it where the row still has the review that the person saw; the event only if it is written.
pub async fn review(
    table: &NokTable,
    key: &WeldKey,
    seen: &Review,
    wanted: &Review,
    by: &By,
) -> Result<(Reviewed, Option<Event>), StoreError> {
    let reviewed = table.set_review(key, seen, wanted).await?;
    let event = matches!(reviewed, Reviewed::Kept { changed: true, .. }).then(|| {
        let on_what = format!("weld {} {} {}", key.day, key.time, key.record_id);
        by.event("review", on_what, in_words(seen, wanted))
    });
    Ok((reviewed, event))
}

fn in_words(seen: &Review, wanted: &Review) -> String {
    let said = |review: &Review| match (review.result.as_str(), review.by.as_str()) {
        ("", _) => NOT_REVIEWED.to_owned(),
        (result, "") => result.to_owned(),
        (result, by) => BY.words(&[result, by]).en,
    };
    let (now, before) = (said(wanted), said(seen));
    let words = if seen.is_none() {
        REVIEW.words(&[&now])
    } else if seen.note == wanted.note {
        REVIEW_WAS.words(&[&now, &before])
    } else {
        REVIEW_WAS_NOTED.words(&[&now, &before, &seen.note])
    };
    words.en
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_what_it_is_now_and_what_it_was() {
        let none = Review::default();
        let by = |result: &str, by: &str| Review {
            result: result.to_owned(),
            by: by.to_owned(),
            ..Review::default()
        };
        assert_eq!(in_words(&none, &by("confirmed", "li")), "confirmed by li");
        let noted = Review {
            note: "look again".to_owned(),
            ..by("unsure", "li")
        };
        assert_eq!(
            in_words(&noted, &none),
            "not reviewed; was unsure by li, `look again`"
        );
    }
}
