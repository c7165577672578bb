//! What the tests of pages are made of.

use std::sync::Arc;

use weldfleet_queue::{Job, State};
use weldfleet_settings::Zone;
use weldfleet_stores::clickhouse::{OutcomeCounts, RunState};
use weldfleet_words::Words;

use crate::{
    console::{dead_jobs::Dead, page_request::PageRequest, words::Text},
    status::{
        causes::Cause,
        report::{DayLine, Hint, Report, RunLine},
    },
};

/// What a page must not take for its own.
const HOSTILE: &str = "</td><script>alert('x')</script>";

pub fn request(text: &'static Text) -> PageRequest {
    PageRequest {
        text,
        visitor: None,
        flash: None,
        undo: None,
        zone: Zone::default(),
        rest: String::new(),
    }
}

pub fn report() -> Report {
    Report {
        causes: vec![
            Cause::NoLeader.line(),
            Cause::Paused {
                by: "ana@desk".to_owned(),
                reason: HOSTILE.to_owned(),
            }
            .line(),
        ],
        hints: vec![Hint {
            code: "dead",
            words: Words::new(HOSTILE, HOSTILE),
            needs_a_person: true,
        }],
        days: Some(vec![DayLine {
            day: "20261128".to_owned(),
            live: true,
            total: 2000,
            left: 1234,
            outcomes: OutcomeCounts {
                ok: 750,
                nok: 6,
                ..OutcomeCounts::default()
            },
        }]),
        runs: Some(vec![RunLine {
            run: 20_261_128_210_501_123,
            state: RunState::Held,
            left: Some(7),
            by: HOSTILE.to_owned(),
            note: HOSTILE.to_owned(),
            changed_by: "ben@line".to_owned(),
            changed_why: "night shift".to_owned(),
            ..RunLine::default()
        }]),
        ..Report::default()
    }
}

pub fn job(number: u32) -> Job {
    Job {
        state: State::Dead,
        group: format!("7:202611{}", 10 + number % 2),
        weight: 1,
        max_attempts: 5,
        error: "no such column".to_owned(),
        ..Job::named(&format!("20261128-{number}"))
    }
}

pub fn dead(count: u32) -> Dead {
    Ok(Arc::new((0..count).map(job).collect()))
}
