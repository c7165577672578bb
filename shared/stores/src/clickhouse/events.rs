//! What people and the fleet itself did, in `weld_events`.

use clickhouse::Row;
use serde::Deserialize;
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
    /// `fleet`, `run N`, `job ID`, `weld DAY TIME ID`, `user NAME` or `days FROM..TO`.
    pub on_what: String,
    /// The reason that was given; empty where none was.
    pub why: String,
    /// What it did, in words.
    pub detail: String,
}

/// One that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct EventLine {
    /// UTC, to the second.
    pub at: String,
    pub who: String,
    pub what: String,
    pub on_what: String,
    pub why: String,
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

    /// The latest first.
    pub async fn latest(&self, limit: u32, offset: u64) -> Result<Vec<EventLine>, StoreError> {
        let texts = ["who", "what", "on_what", "why", "detail"]
            .map(|name| format!("toValidUTF8(toString({name})) AS {name}"));
        let sql = format!(
            "SELECT formatDateTime(e.at, '%F %T UTC', 'UTC') AS at, {} FROM {} AS e ORDER BY e.at DESC LIMIT {limit} OFFSET {offset}",
            texts.join(", "),
            self.table
        );
        self.server.all("list events", &sql).await
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
