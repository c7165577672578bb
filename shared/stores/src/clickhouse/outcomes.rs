//! Rows by what became of them: one type and one piece of SQL for all that count them.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::Schema;

/// Rows by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct OutcomeCounts {
    pub ok: u64,
    pub nok: u64,
    /// Refused by validation, or dropped.
    pub invalid: u64,
    /// Killed their worker.
    pub poison: u64,
    /// Could not be judged.
    pub error: u64,
}

impl OutcomeCounts {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("ok", self.ok),
            ("nok", self.nok),
            ("invalid", self.invalid),
            ("poison", self.poison),
            ("error", self.error),
        ]
    }

    pub fn rows(&self) -> u64 {
        self.named().iter().map(|(_, rows)| rows).sum()
    }
}

impl Schema {
    /// Columns that are read as [`OutcomeCounts`]; a row that waits for its verdict is in none.
    pub(super) fn outcome_counts(&self) -> String {
        let [complete, status, verdict] =
            ["alg_complete_time", "alg_status", "final_result"].map(|name| self.column(name));
        let all = OutcomeCounts::default().named().map(|(name, _)| {
            let is = match name {
                "ok" => format!("{status} = 'ok' AND {verdict} = 'OK'"),
                "nok" => format!("{status} = 'ok' AND {verdict} = 'NOK'"),
                name => format!("{status} = '{name}'"),
            };
            format!("countIf({complete} IS NOT NULL AND {is}) AS {name}")
        });
        all.join(", ")
    }
}
