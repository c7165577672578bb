//! What people and the fleet itself did, in `weld_events`.

use weldfleet_settings::Settings;

use super::{
    Server,
    quote::{literal, qualified},
};
use crate::errors::StoreError;

/// Rows of one INSERT.
const CHUNK: usize = 500;

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `user@host` of a command, or the id of a scheduler.
    pub who: String,
    /// The command, as typed.
    pub what: &'static str,
    /// `fleet`, `run N`, `job ID` or `days FROM..TO`.
    pub on_what: String,
    /// The reason that was given; empty where none was.
    pub why: String,
    /// What it did, in words.
    pub detail: String,
}

/// The table of events. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    server: Server,
    table: String,
}

impl Events {
    /// The configured server's events.
    pub fn new(settings: &Settings) -> Self {
        let server = Server::new(&settings.clickhouse);
        let table = qualified(server.database(), "weld_events");
        Self { server, table }
    }

    /// Adds what was done, at the server's time.
    pub async fn record(&self, events: &[Event]) -> Result<(), StoreError> {
        for chunk in events.chunks(CHUNK) {
            let rows: Vec<String> = chunk.iter().map(row).collect();
            let sql = format!(
                "INSERT INTO {} (who, what, on_what, why, detail) VALUES {}",
                self.table,
                rows.join(", ")
            );
            self.server.execute("record an event", &sql).await?;
        }
        Ok(())
    }
}

fn row(event: &Event) -> String {
    let values = [
        &event.who,
        event.what,
        &event.on_what,
        &event.why,
        &event.detail,
    ];
    let values: Vec<String> = values.into_iter().map(literal).collect();
    format!("({})", values.join(", "))
}
