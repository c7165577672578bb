//! What people do to the fleet, by a command or in the console: the same code, and a row of `weld_events` each.
//!
//! - [`pause`]: the whole fleet; [`runs`]: a backfill; [`jobs`]: single jobs; [`reviews`]: a NOK weld;
//! - [`withdraw`]: the jobs of a run that was cancelled or is held, or has another order now;
//! - [`refused`]: why something is not done.

pub mod jobs;
pub mod pause;
pub mod refused;
pub mod reviews;
pub mod runs;
pub mod withdraw;

use std::time::Duration;

use refused::Refused;
use weldfleet_settings::Settings;
use weldfleet_stores::{
    StoreError,
    clickhouse::{Event, Events, Server},
};

/// Characters of a reason, as of a review's note.
pub const LONGEST_REASON: usize = weldfleet_settings::columns::LONGEST_NOTE as usize;
/// How long ClickHouse may take to keep an event: what was done is done, and somebody waits to be told.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who acts, and why.
#[derive(Debug, Clone)]
pub struct By {
    /// `user@host` of a command, the name of the console's user.
    pub who: String,
    /// Empty where no reason was given; its end is cut off where it is too long for a line.
    pub why: String,
}

impl By {
    pub fn new(who: impl Into<String>, why: &str) -> Self {
        let why = why.chars().take(LONGEST_REASON).collect();
        Self {
            who: who.into(),
            why,
        }
    }

    pub fn event(
        &self,
        what: &'static str,
        on_what: impl Into<String>,
        detail: impl Into<String>,
    ) -> Event {
        Event {
            who: self.who.clone(),
            what,
            on_what: on_what.into(),
            why: self.why.clone(),
            detail: detail.into(),
        }
    }
}

/// Keeps them. What was done is done: without ClickHouse, or its table, the person is told why it is not kept.
pub async fn keep(settings: &Settings, events: &[Event]) -> Option<Refused> {
    let server = Server::new(&settings.clickhouse).with_patience(PATIENCE);
    let why = Events::on(server).record(events).await.err()?;
    Some(match why {
        // It may have been read, and be kept once the server goes on.
        StoreError::ClickHouseSilent { .. } => Refused::PerhapsKept(why.chain()),
        why => Refused::NotKept(why.chain()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_line() {
        let by = By::new("li", &"修".repeat(300));
        assert_eq!(by.why, "修".repeat(LONGEST_REASON));
        assert_eq!(By::new("li", "tip dress").why, "tip dress");
    }
}
