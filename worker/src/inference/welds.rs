//! Rows of a table or records of a file, seen alike.

use weldfleet_stores::clickhouse::RowBlock;
use weldfleet_weld::{Record, Verdict, Weld};

/// Welds that can be judged, by place.
pub trait Welds: Send + Sync {
    fn count(&self) -> usize;
    fn weld(&self, row: usize) -> Weld<'_>;
    /// Its `record_id` as text; empty where there is none.
    fn record_id(&self, row: usize) -> String;
    /// Takes verdicts away that a weld cannot have for what is known of its neighbours.
    fn refuse(&self, _verdicts: &mut [Verdict]) {}
}

impl Welds for RowBlock {
    fn count(&self) -> usize {
        self.len()
    }

    fn weld(&self, row: usize) -> Weld<'_> {
        self.weld(row)
    }

    fn record_id(&self, row: usize) -> String {
        self.id(row).to_string()
    }

    fn refuse(&self, verdicts: &mut [Verdict]) {
        RowBlock::refuse(self, verdicts);
    }
}

impl Welds for Vec<Record> {
    fn count(&self) -> usize {
        self.len()
    }

    fn weld(&self, row: usize) -> Weld<'_> {
        self[row].weld()
    }

    fn record_id(&self, row: usize) -> String {
        self[row]
            .record_id
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    }
}
