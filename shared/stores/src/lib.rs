//! The three places a verdict is written to, and the one it is read from.
//!
//! # Layout
//! - [`range`]: days, keys and ranges, the words in which the other modules are asked;
//! - [`errors`]: one error type and the one table of what is an outage, what is worth a retry
//!   and what needs a person, with the servers' codes;
//! - [`clickhouse`]: the truth. Connection, the plant's table as it really is, migration, slicing
//!   reads, fetch into a [`clickhouse::RowBlock`], write-back, runs;
//! - [`mysql`]: the projection for the people who act on NOK welds, and [`mysql::Mirror`], which
//!   makes it equal to what is committed; `mirror_layout`: what both sides of the mirror hold;
//! - [`audit_csv`]: one csv.gz per attempt, complete or absent;
//! - [`grants`]: the least that each account must be allowed;
//! - [`migrate`]: what either server lacks, and adding it; `columns`: the result columns' SQL types.
//!
//! SQL that creates or upgrades tables is in `config/sql`, embedded at build time. The result columns in it come from
//! [`weldfleet_weld::columns`].
//!
//! What must never live here: judging (that is `weldfleet-weld`), leases and jobs (that is
//! `weldfleet-queue`), and the wall clock: times in ClickHouse are ClickHouse's.

pub mod audit_csv;
pub mod clickhouse;
mod columns;
pub mod errors;
pub mod grants;
pub mod migrate;
mod mirror_layout;
pub mod mysql;
pub mod range;
mod statement;

use std::{
    fmt::{Display, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

pub use errors::{Class, StoreError};
pub use range::{
    Coverage, Day, Key, KeyOrder, KeyRange, KeyRef, LIVE_RUN, Leading, LeadingRef, Range,
    RangeError, Selection,
};
pub use weldfleet_weld::{IdRef, RecordId};

/// A list as people and SQL write it.
fn commas(items: impl IntoIterator<Item = impl Display>) -> String {
    let mut list = String::new();
    for (place, item) in items.into_iter().enumerate() {
        let between = if place > 0 { ", " } else { "" };
        let _ = write!(list, "{between}{item}"); // writing to a String cannot fail
    }
    list
}

/// What the mutex holds, whoever panicked while holding it: what is kept behind one here is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
