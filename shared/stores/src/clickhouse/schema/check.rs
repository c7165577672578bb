//! What of a table cannot be worked with, and the remedy.

use weldfleet_settings::columns::{COMPARED_COLUMNS, RESULT_COLUMNS, TRUTH_COLUMNS};
use weldfleet_weld::columns::ValueKind;

use super::description::{ColumnRow, TableDescription, table_fault};
use crate::{
    clickhouse::{ColumnType, quote::identifier},
    columns::{plain_type, result_column},
    errors::SchemaFault,
};

/// Input columns that a plant may lack; they read as empty text.
const OPTIONAL_COLUMNS: &[&str] = &["part_no", "spot_name", "timer_name"];

impl TableDescription<'_> {
    pub(super) fn check_engine(&self, faults: &mut Vec<SchemaFault>) {
        let engine = self.table.engine.as_str();
        let family = self.engine_family();
        if !["MergeTree", "ReplacingMergeTree"].contains(&family) {
            let problem = match family {
                "CoalescingMergeTree" => "merges a row's verdict into later rows with its key",
                _ => "has no lightweight UPDATE",
            };
            let remedy = "name a MergeTree or ReplacingMergeTree table, replicated or not (for a view the table below it, for a \
                          Distributed table the table below it on one shard and a fleet for each shard), or copy the \
                          rows into one";
            faults.push(table_fault(format!("engine {engine} {problem}"), remedy));
        }
    }

    pub(super) fn check_missing(
        &self,
        ours: &'static str,
        theirs: &str,
        faults: &mut Vec<SchemaFault>,
    ) {
        let mapped = theirs != ours;
        let optional = OPTIONAL_COLUMNS.contains(&ours) || is_for_comparison(ours);
        if optional && !mapped {
            return;
        }
        faults.push(self.no_column(format!("columns.{ours}"), theirs));
    }
}

pub(super) fn check_column(
    ours: &str,
    row: &ColumnRow,
    kind: &ColumnType,
    faults: &mut Vec<SchemaFault>,
) {
    let mut fault = |problem: String, remedy: String| {
        let problem = format!("column `{}` is {}: {problem}", row.name, kind.full);
        faults.push(SchemaFault::new(format!("columns.{ours}"), problem, remedy));
    };
    let (fits, expected) = fits(ours, kind);
    if !fits {
        let remedy = "map another column, or add one of that type computed from it";
        return fault(format!("expected {expected}"), remedy.into());
    }
    let modify = format!("`ALTER TABLE … MODIFY COLUMN {}", identifier(&row.name));
    if ["record_id", "data_date", "ck_local_time"].contains(&ours) {
        if kind.nullable {
            let remedy = format!("make it non-nullable: {modify} {}`", kind.bare);
            fault("a key cannot be NULL".into(), remedy);
        }
        if row.default_kind == "ALIAS" {
            let problem = "an ALIAS column cannot identify a weld";
            fault(problem.into(), "map the stored column".into());
        }
    } else if RESULT_COLUMNS.contains(&ours) {
        if !kind.nullable {
            let problem = "a result is NULL until, and unless, there is one";
            let remedy = format!(
                "make it nullable: {modify} Nullable({})`, or map `{ours}` to a new name",
                kind.bare
            );
            fault(problem.into(), remedy);
        }
        let what = match row.default_kind.as_str() {
            "" | "DEFAULT" => None,
            computed => Some(computed.to_owned()),
        };
        let in_key = (row.in_key != 0).then(|| "part of the table's key".to_owned());
        for what in in_key.into_iter().chain(what) {
            let problem = format!("it is {what}, which UPDATE cannot change");
            let remedy = format!("map `{ours}` to a new name; `scheduler migrate` adds the column");
            fault(problem, remedy);
        }
    }
}

/// Where a result would go into a column that is not the fleet's: `migrate` has added `weldfleet_X` only because `X` is
/// another service's.
pub(super) fn beside_its_own(
    ours: &str,
    theirs: &str,
    has: impl Fn(&str) -> bool,
) -> Option<SchemaFault> {
    let own = format!("weldfleet_{ours}");
    if !RESULT_COLUMNS.contains(&ours) || theirs == own || !has(&own) {
        return None;
    }
    Some(SchemaFault::new(
        format!("columns.{ours}"),
        format!(
            "would be written into column `{theirs}`, and the table has `{own}`, which `scheduler migrate` added beside it"
        ),
        format!("map {ours} = \"{own}\"; if `{theirs}` is the fleet's by now, drop column `{own}`"),
    ))
}

/// Whether people compare verdicts with it and nobody judges by it.
pub(super) fn is_for_comparison(ours: &str) -> bool {
    TRUTH_COLUMNS.contains(&ours) || COMPARED_COLUMNS.contains(&ours)
}

/// Whether a column's type will do, and what would.
pub(super) fn fits(ours: &str, kind: &ColumnType) -> (bool, &'static str) {
    if let Some(column) = result_column(ours) {
        let fits = match column.kind {
            ValueKind::Word(_) | ValueKind::Text => kind.is_text(),
            ValueKind::Float => kind.bare.starts_with("Float"),
            ValueKind::Integer => kind.bare == "UInt64",
            ValueKind::Time => kind.is_time(),
        };
        return (fits, plain_type(column.kind));
    }
    match ours {
        "record_id" => (
            kind.is_unsigned() || kind.is_text(),
            "UInt64 (or a smaller unsigned integer) or String",
        ),
        "data_date" => (
            [
                "UInt32", "UInt64", "Int32", "Int64", "Date", "Date32", "String",
            ]
            .contains(&kind.bare.as_str()),
            "UInt32 as YYYYMMDD, Date, Date32 or String",
        ),
        "ck_local_time" => (
            kind.is_time() && !kind.full.starts_with("LowCardinality"),
            "DateTime or DateTime64",
        ),
        "part_no" | "spot_name" | "timer_name" => (
            kind.is_text()
                || kind.bare.starts_with("Enum")
                || kind.bare.starts_with("FixedString")
                || kind.bare == "UUID"
                || kind.is_number(),
            "String",
        ),
        "u_curve" | "i_curve" => (
            kind.holds_curve(),
            "an array of numbers or of text, or text",
        ),
        "label" | "label_defect" | "previous_result" => {
            (kind.is_text() || kind.bare.starts_with("Enum"), "String")
        }
        "umax" | "imax" => (kind.is_number() || kind.is_text(), "a number, or text"),
        _ => (kind.is_number(), "a number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_not_written_beside_its_own_column() {
        let has = |name: &str| ["final_result", "weldfleet_final_result"].contains(&name);
        let refused = beside_its_own("final_result", "final_result", has).unwrap();
        assert_eq!(refused.key, "columns.final_result");
        let text = format!("{} {}", refused.problem, refused.remedy);
        for name in [
            "`final_result`",
            "final_result = \"weldfleet_final_result\"",
        ] {
            assert!(text.contains(name), "{text}");
        }
        assert!(beside_its_own("final_result", "ai_result", has).is_some());
        for (ours, theirs) in [
            ("final_result", "weldfleet_final_result"),
            ("defect", "defect"),
            ("umax", "umax"),
        ] {
            assert!(beside_its_own(ours, theirs, has).is_none(), "{ours}");
        }
    }
}
