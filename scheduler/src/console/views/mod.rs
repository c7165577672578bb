//! The content of each page, made of the status model or of what was read of welds.
//!
//! - [`frame`]: what is around each; [`table`]: tables, for people and for spreadsheets; [`notes`]: what could not be
//!   read;
//! - [`now`] with [`shares`], [`backfills`], [`workers`], [`jobs`], [`events`], [`nok`] (the list), [`weld`] (one of
//!   it) with [`verdict`] (why it was judged so), [`hits`] and [`review`]: a page each.

pub mod backfills;
pub mod events;
#[cfg(test)]
mod fixtures;
mod frame;
pub mod hits;
pub mod jobs;
pub mod nok;
mod notes;
pub mod now;
mod review;
pub mod shares;
mod table;
mod verdict;
pub mod weld;
pub mod workers;

pub use table::{For, Table};
pub use verdict::Judges;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weldfleet_queue::State;

    use super::{
        super::{
            dead_jobs::{Dead, MOST_DEAD},
            words::{CHINESE, ENGLISH},
        },
        fixtures::{dead, report, request},
        *,
    };
    use crate::status::report::{Report, RunLine};

    #[test]
    fn nothing_that_people_wrote_becomes_part_of_a_page() {
        let report = report();
        let none: Dead = Ok(Arc::default());
        for html in [
            now::page(&report, None, &request(&ENGLISH)).unwrap(),
            backfills::page(&report, &none, &request(&CHINESE)).unwrap(),
            workers::page(&report, 0, &request(&ENGLISH)).unwrap(),
            jobs::page(&report, &none, &request(&ENGLISH)).unwrap(),
        ] {
            assert!(!html.contains("<script>alert"), "{html}");
            assert_eq!(html.matches("<script").count(), 1, "only ours: {html}");
            assert!(!html.contains("style="), "the policy forbids it: {html}");
        }
        assert!(
            backfills::page(&report, &none, &request(&ENGLISH))
                .unwrap()
                .contains("ben@line: night shift")
        );
    }

    #[test]
    fn what_is_only_the_first_part_says_so() {
        let request = request(&ENGLISH);
        let jobs = [(State::Dead, 1500)].into_iter().collect();
        let report = Report {
            jobs: Some(jobs),
            runs: Some(vec![RunLine {
                run: 7,
                ..RunLine::default()
            }]),
            ..Report::default()
        };
        for html in [
            jobs::page(&report, &dead(MOST_DEAD), &request).unwrap(),
            backfills::page(&report, &dead(MOST_DEAD), &request).unwrap(),
        ] {
            assert!(html.contains("oldest 1,000 of 1,500 dead jobs"), "{html}");
        }
        assert_eq!(jobs::first_of(&report, &dead(3), &ENGLISH), None);
    }
}
