//! What people and the fleet itself did, in `weld_events`.

use std::{fmt, str::FromStr};

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::Settings;

use super::{
    Server,
    quote::{literals, qualified},
};
use crate::{commas, errors::StoreError};

/// What is written; the server adds the time.
const COLUMNS: [&str; 5] = ["who", "what", "on_what", "why", "detail"];
/// Rows of one INSERT.
const CHUNK: usize = 500;

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `user@host` of a command, or the id of a scheduler.
    pub who: String,
    /// The command, as typed, or what the fleet did: `settle`, `hit streak`.
    pub what: &'static str,
    /// `fleet`, `run N`, `job ID`, `weld DAY TIME ID`, `user NAME`, `days FROM..TO` or `spot NAME of part …`.
    pub on_what: String,
    /// The reason that was given; empty where none was.
    pub why: String,
    /// What it did, in words.
    pub detail: String,
}

/// One that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct EventLine {
    /// ms since 1970.
    pub at_ms: i64,
    /// Tells events of one time apart.
    pub id: u64,
    pub who: String,
    pub what: String,
    pub on_what: String,
    pub why: String,
    pub detail: String,
}

/// A place in the list of events, `MS.ID` in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKey {
    pub at_ms: i64,
    pub id: u64,
}

impl EventLine {
    pub fn key(&self) -> EventKey {
        let (at_ms, id) = (self.at_ms, self.id);
        EventKey { at_ms, id }
    }
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at_ms, self.id)
    }
}

impl FromStr for EventKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = text.split_once('.').and_then(|(at_ms, id)| {
            let (at_ms, id) = (at_ms.parse().ok()?, id.parse().ok()?);
            Some(Self { at_ms, id })
        });
        key.ok_or_else(|| format!("`{text}` is no place in the list of events"))
    }
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
        Self::on(Server::new(&settings.clickhouse))
    }

    /// The events of this server.
    pub fn on(server: Server) -> Self {
        let table = qualified(server.database(), "weld_events");
        Self { server, table }
    }

    /// The latest first, `before` this one.
    pub async fn latest(
        &self,
        limit: u32,
        before: Option<EventKey>,
    ) -> Result<Vec<EventLine>, StoreError> {
        let id = Self::id();
        let before = before.map_or_else(String::new, |key| {
            let at = format!("fromUnixTimestamp64Milli(toInt64({}))", key.at_ms);
            format!("WHERE e.at <= {at} AND (e.at < {at} OR {id} < {})", key.id)
        });
        self.list(limit, &before).await
    }

    /// The latest that is one of these.
    pub async fn last_of(&self, whats: &[&str]) -> Result<Option<EventLine>, StoreError> {
        let condition = format!("WHERE toString(e.what) IN ({})", literals(whats));
        Ok(self.list(1, &condition).await?.into_iter().next())
    }

    fn id() -> String {
        let names = COLUMNS.map(|name| format!("e.{name}"));
        format!("cityHash64({})", names.join(", "))
    }

    async fn list(&self, limit: u32, condition: &str) -> Result<Vec<EventLine>, StoreError> {
        let id = Self::id();
        let texts = COLUMNS.map(|name| format!("toValidUTF8(toString({name})) AS {name}"));
        let sql = format!(
            "SELECT toUnixTimestamp64Milli(e.at) AS at_ms, {id} AS id, {} FROM {} AS e {condition} \
             ORDER BY e.at DESC, id DESC LIMIT {limit}",
            texts.join(", "),
            self.table
        );
        self.server.all("list events", &sql).await
    }

    /// Adds what was done, at the server's time.
    pub async fn record(&self, events: &[Event]) -> Result<(), StoreError> {
        for chunk in events.chunks(CHUNK) {
            let sql = format!(
                "INSERT INTO {} ({}) VALUES {}",
                self.table,
                COLUMNS.join(", "),
                rows(chunk)
            );
            self.server.execute("record an event", &sql).await?;
        }
        Ok(())
    }

    /// Adds those of which none is kept with the same `what`, `on_what` and `why`; returns how many these are.
    pub async fn record_once(&self, events: &[Event]) -> Result<u64, StoreError> {
        let (table, columns) = (&self.table, COLUMNS.join(", "));
        let mut added = 0;
        for chunk in events.chunks(CHUNK) {
            let news = format!(
                "FROM (SELECT arrayJoin([{}]) AS new) WHERE (new.2, new.3, new.4) NOT IN (SELECT toString(what), on_what, why FROM {table})",
                rows(chunk)
            );
            let sql = format!("SELECT count() {news}");
            let count: u64 = self.server.one("look for events", &sql).await?;
            if count > 0 {
                let sql = format!(
                    "INSERT INTO {table} ({columns}) SELECT new.1, new.2, new.3, new.4, new.5 {news}"
                );
                self.server.execute("record an event", &sql).await?;
            }
            added += count;
        }
        Ok(added)
    }
}

fn rows(events: &[Event]) -> String {
    commas(events.iter().map(|event| {
        let values = [
            &event.who,
            event.what,
            &event.on_what,
            &event.why,
            &event.detail,
        ];
        format!("({})", literals(values))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_list_is_read_as_it_was_written() {
        let key = EventKey {
            at_ms: -7,
            id: u64::MAX,
        };
        assert_eq!(key.to_string().parse(), Ok(key));
        for none in ["", "7", "7.", ".7", "7.-1", "7.7.7"] {
            assert!(none.parse::<EventKey>().is_err(), "{none}");
        }
    }
}
