//! Whether one server answers at `clickhouse.url`, and not several in turn.
//!
//! An attempt's results are inserted by one request and copied to their rows by the next. Where that comes to another
//! server, the UPDATE finds no results, changes nothing and is no error.

use std::{collections::BTreeSet, fmt};

use weldfleet_settings::Settings;

use super::{Server, quote::literal};
use crate::errors::StoreError;

/// Connections that are tried: a balancer that takes its servers in turn shows two of them at the second.
const TRIES: usize = 8;

/// Several servers answer at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeveralServers {
    /// How many were met.
    pub servers: usize,
}

impl fmt::Display for SeveralServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} servers answer at clickhouse.url in turn: what one is given another does not have when it is asked for it, \
             and verdicts are lost without an error; name one of them, or an address that leads to the same one until it fails",
            self.servers
        )
    }
}

/// Asks who answers, on a connection of its own each time. Where the service shares its storage (`SharedMergeTree`),
/// whoever answers is as good as another.
///
/// # Errors
/// If a server cannot be asked.
pub async fn several_servers(settings: &Settings) -> Result<Option<SeveralServers>, StoreError> {
    let sql = format!(
        "SELECT toString(serverUUID()) AS server, ifNull((SELECT concat(any(engine), ' ', toString(any(uuid))) \
         FROM system.tables WHERE database = {} AND name = 'weld_results'), '') AS results",
        literal(&settings.clickhouse.database)
    );
    let mut met: BTreeSet<(String, String)> = BTreeSet::new();
    for _ in 0..TRIES {
        let server = Server::new(&settings.clickhouse);
        met.insert(server.one("ask which server it is", &sql).await?);
    }
    let shared = met.iter().all(|(_, results)| results.starts_with("Shared"));
    Ok((met.len() > 1 && !shared).then_some(SeveralServers { servers: met.len() }))
}
