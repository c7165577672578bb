//! What the stores lack, and adding it.
//!
//! A migration is read off the servers, so that the second one of a migrated fleet is empty. A plant's own table only
//! ever gets columns and settings it has not. What cannot be done is refused with the remedy, and what a migration
//! would break is said in it.

use weldfleet_settings::Settings;

pub use crate::{
    clickhouse::writers::Notice,
    statement::{Statement, Store},
};
use crate::{
    clickhouse::{self, SourceTable},
    errors::StoreError,
    mysql,
};

/// Everything that is missing, in the order in which it is added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migration {
    /// The steps; none when all is there.
    pub statements: Vec<Statement>,
    /// What people must agree to first.
    pub notice: Option<Notice>,
}

/// Looks at both servers and says what is missing. Changes nothing.
pub async fn plan(settings: &Settings) -> Result<Migration, StoreError> {
    let (mut statements, notice) = clickhouse::migrate::statements(settings).await?;
    if settings.mysql.enabled {
        statements.extend(mysql::migrate::statements(settings).await?);
    }
    Ok(Migration { statements, notice })
}

/// Adds what is missing. Safe to repeat after a failure: plan anew and apply that.
pub async fn apply(settings: &Settings, migration: &Migration) -> Result<(), StoreError> {
    let (clickhouse, mysql): (Vec<_>, Vec<_>) = migration
        .statements
        .iter()
        .partition(|statement| statement.store == Store::ClickHouse);
    clickhouse::migrate::apply(settings, &clickhouse).await?;
    if !mysql.is_empty() {
        mysql::migrate::apply(settings, &mysql).await?;
    }
    // What was made must be what the fleet can work with.
    SourceTable::inspect(settings).await.map(|_| ())
}
