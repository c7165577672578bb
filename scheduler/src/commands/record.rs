//! What a command did, kept in `weld_events`.

use weldfleet_service::errln;
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::{Event, Events};

use super::operator;

/// An event of whoever typed this command.
pub fn event(
    what: &'static str,
    on_what: impl Into<String>,
    why: &str,
    detail: impl Into<String>,
) -> Event {
    Event {
        who: operator(),
        what,
        on_what: on_what.into(),
        why: why.to_owned(),
        detail: detail.into(),
    }
}

/// Keeps them. What was done is done: without ClickHouse, or its table, the person is told.
pub async fn record(settings: &Settings, events: &[Event]) {
    if let Err(error) = Events::new(settings).record(events).await {
        errln!(
            "note: this is not kept in weld_events: {}; `scheduler migrate` makes the table",
            error.chain()
        );
    }
}
