//! What the stores lack, and adding it.
//!
//! A migration is read off the servers, so that the second one of a migrated fleet is empty. A plant's own table only
//! ever gets columns and settings it has not. What cannot be done is refused with the remedy, and what a migration
//! would break is said in it.

use weldfleet_settings::Settings;

pub use crate::{
    clickhouse::writers::Notice,
    mysql::migrate::TableNotice,
    statement::{Statement, Store},
};
use crate::{
    clickhouse::{self, SourceTable},
    errors::StoreError,
    mysql,
};

/// Most tables and columns at which two migrations of one moment meet.
const COLLISIONS: u32 = 10;

/// Everything that is missing, in the order in which it is added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migration {
    /// The steps; none when all is there.
    pub statements: Vec<Statement>,
    /// What people must agree to first, of the table of welds.
    pub notice: Option<Notice>,
    /// The same, of the table of NOK welds.
    pub nok_notice: Option<TableNotice>,
}

impl Migration {
    /// Both notices, each with what would be done in a few words.
    pub fn asked(&self) -> Vec<(String, String)> {
        let welds = self.notice.iter().map(|notice| {
            let done = format!(
                "{} columns would be added to {}",
                notice.columns, notice.table
            );
            (notice.to_string(), done)
        });
        let noks = self.nok_notice.iter().map(|notice| {
            let done = format!("{} would be changed", notice.table);
            (notice.to_string(), done)
        });
        welds.chain(noks).collect()
    }
}

/// Looks at both servers and says what is missing. Changes nothing.
pub async fn plan(settings: &Settings) -> Result<Migration, StoreError> {
    let (mut statements, notice) = clickhouse::migrate::statements(settings).await?;
    let mut nok_notice = None;
    if settings.mysql.enabled {
        let (further, notice) = mysql::migrate::statements(settings).await?;
        statements.extend(further);
        nok_notice = notice;
    }
    Ok(Migration {
        statements,
        notice,
        nok_notice,
    })
}

/// What ClickHouse's tables beside the plant's lack, in words; the mirror's is looked at by whoever writes it.
pub async fn own_tables(settings: &Settings) -> Result<Vec<String>, StoreError> {
    clickhouse::migrate::of_own_tables(settings).await
}

/// Adds what is missing. Safe to repeat after a failure: plan anew and apply that.
///
/// What another migration has made meanwhile is looked at as if it had always been there, so that a stranger's table is
/// never taken for it.
pub async fn apply(settings: &Settings, migration: &Migration) -> Result<(), StoreError> {
    let mut done = statements(settings, migration).await;
    for _ in 0..COLLISIONS {
        if !matches!(&done, Err(error) if error.is_there_already()) {
            break;
        }
        let anew = plan(settings).await?;
        // People have agreed to the first plan alone.
        let agreed = migration.asked();
        if anew.asked().iter().any(|asked| !agreed.contains(asked)) {
            break;
        }
        done = statements(settings, &anew).await;
    }
    done?;
    // What was made must be what the fleet can work with.
    SourceTable::inspect(settings).await.map(|_| ())
}

async fn statements(settings: &Settings, migration: &Migration) -> Result<(), StoreError> {
    let (clickhouse, mysql): (Vec<_>, Vec<_>) = migration
        .statements
        .iter()
        .partition(|statement| statement.store == Store::ClickHouse);
    clickhouse::migrate::apply(settings, &clickhouse).await?;
    if !mysql.is_empty() {
        mysql::migrate::apply(settings, &mysql).await?;
    }
    Ok(())
}
