//! Whether the server does, now and for this account, what a worker needs of it: each capability is asked for by a
//! statement of the same kind as those that need it, over no row or one. `SELECT 1` answers while a column is renamed,
//! a grant is lost or patch parts are at their limit.

use std::time::Duration;

use super::{
    Attempt, SourceTable,
    quote::literal,
    results::results_block,
    schema::{DayType, IdType},
    sql::newest_day,
};
use crate::{
    RecordId,
    errors::{Class, StoreError},
    range::{Day, Key, LIVE_RUN, Range, Selection},
};

/// Longest wait for a probe's answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a worker does with ClickHouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Reads rows of the source table, with their curves.
    Read,
    /// Inserts into `weld_results`.
    Store,
    /// Copies results to rows of the source table.
    Commit,
    /// Reads committed NOK rows, for the mirror.
    Mirror,
}

impl Capability {
    /// All of them, in the order in which a range needs them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Store, Self::Commit, Self::Mirror];
}

impl SourceTable {
    /// Does what the capability is for, to no row's change.
    ///
    /// # Errors
    /// What the server says where it cannot. A row whose values cannot be read says nothing about the server.
    pub async fn probe(&self, capability: Capability) -> Result<(), StoreError> {
        let table = self.clone().with_patience(PATIENCE);
        let nothing = self.nothing();
        let answer = match capability {
            Capability::Read => {
                let recent = table.on_newest_day().await;
                let row = format!("{recent} LIMIT 1");
                table.rows_where(Day::EPOCH, &row).await.map(|_| ())
            }
            Capability::Store => {
                let none = table.no_rows()?;
                let block = results_block(0, LIVE_RUN, "", &none, &[]);
                table.insert_block(block).await
            }
            Capability::Commit => {
                let attempt = Attempt {
                    token: 0,
                    range: nothing,
                    overrules: false,
                };
                table.commit(&[attempt]).await
            }
            Capability::Mirror => {
                let keys = [nothing.keys()];
                let rows = table.nok_between(Day::EPOCH, &keys, Some(&[0]), &table.mirrored);
                rows.await.map(|_| ())
            }
        };
        match answer {
            Err(error) if error.class() == Class::Data => Ok(()),
            answer => answer,
        }
    }

    /// Rows of the newest day, as a condition: what one old part or a cold disk keeps from being read is not what
    /// everybody waits for. Where even that day cannot be found, or not in time, any row.
    ///
    /// A table that is partitioned by its day knows the newest one without reading a row.
    async fn on_newest_day(&self) -> String {
        let (day, source) = (self.schema.column("data_date"), &self.schema.source);
        let newest = newest_day(day, source, self.schema.day == DayType::Text);
        let sql = format!("SELECT CAST(ifNull(toString(({newest})), '') AS String)");
        match self.server.one::<String>("find the newest day", &sql).await {
            Ok(newest) if !newest.is_empty() => format!("{day} = {}", literal(&newest)),
            _ => "1".to_owned(),
        }
    }

    /// A range that no row is in.
    fn nothing(&self) -> Range {
        let id = match self.schema.id {
            IdType::Number => RecordId::Number(0),
            IdType::Text => RecordId::Text(String::new()),
        };
        let key = Key {
            leading: None,
            ticks: 0,
            id,
            text: String::new(),
        };
        Range {
            run: LIVE_RUN,
            day: Day::EPOCH,
            selection: Selection::New,
            from: key.clone(),
            to: key,
            rows: 0,
            repeated_keys: false,
        }
    }
}
