//! The MySQL table that an application reads already: our columns to its own, and what it demands besides.

use std::collections::BTreeSet;

use toml::Value;
use weldfleet_settings::columns::{DESCRIBING_COLUMNS, MIRROR_KEY};
use weldfleet_weld::columns::{RESULT_COLUMNS, ValueKind};
use weldfleet_words::words;

use crate::{Facts, OldConfig, facts::MySqlColumn};

use super::{
    Adoption,
    columns::{ColumnMap, names_of, same},
};

/// What such tables call a column of the mirror besides what [`names_of`] knows.
const FURTHER_NAMES: [(&str, &str); 5] = [
    (
        "ml_nok_prob",
        "nok_prob nok_probability prob score confidence",
    ),
    ("final_result", "result alg_result"),
    ("defect", "defect_type_alg defect_type defect_name"),
    ("diameter", "nugget_diameter nugget_size"),
    ("indentation", "indentation_depth"),
];

pub(super) fn plan(adoption: &mut Adoption, old: &OldConfig, facts: &Facts, map: &ColumnMap) {
    let Some(table) = facts.mysql.told().filter(|_| old.wants_mysql()) else {
        return;
    };
    let has = |name: &str| table.columns.iter().any(|column| column.name == name);
    // A table that the fleet made has our names.
    if table.columns.is_empty() || (has("record_id") && has("ck_ticks")) {
        return;
    }
    // Columns of its own that are called like those of a weld's key are another thing's.
    for ours in MIRROR_KEY.into_iter().filter(|ours| has(ours)) {
        adoption.guessed(
            "mysql.columns",
            ours,
            format!("weldfleet_{ours}"),
            words!(
                "the application has a `{ours}` of its own; `scheduler migrate` adds this one",
                "应用自己已有 `{ours}`；`scheduler migrate` 会增加本列",
            ),
        );
    }
    let carried: Vec<&'static str> = map.carried().collect();
    let mirrored = RESULT_COLUMNS.iter().filter(|column| column.mirrored);
    let wanted = DESCRIBING_COLUMNS.map(|(ours, _)| ours).into_iter();
    let wanted = wanted.chain(mirrored.map(|column| column.name));
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for ours in wanted.chain(carried) {
        let mut names = names_of(ours);
        let further = FURTHER_NAMES.iter().filter(|(name, _)| *name == ours);
        names.extend(further.flat_map(|(_, further)| further.split(' ')));
        // What the plant calls it in ClickHouse it probably calls so here.
        let theirs = map.get(ours).unwrap_or(ours);
        let named = |name: &str| {
            table.columns.iter().find(|column| {
                same(name, &column.name)
                    && !used.contains(column.name.as_str())
                    && may_hold(ours, &column.kind)
            })
        };
        let candidate = named(ours)
            .or_else(|| named(theirs))
            .or_else(|| names.iter().find_map(|name| named(name)));
        let Some(column) = candidate else { continue };
        used.insert(&column.name);
        let kind = &column.kind;
        adoption.guessed(
            "mysql.columns",
            ours,
            column.name.as_str(),
            words!("by its name; its type is {kind}", "按列名；类型为 {kind}"),
        );
    }
    for column in &table.columns {
        if column.demanded && !used.contains(column.name.as_str()) {
            constant(adoption, column, used.is_empty());
        }
    }
}

/// Whether a column of this type may be meant by one of ours. One of the same name that holds something else is the
/// application's own.
fn may_hold(ours: &str, kind: &str) -> bool {
    let result = RESULT_COLUMNS.iter().find(|column| column.name == ours);
    let is_whole = kind.ends_with("int");
    let is_time = matches!(kind, "date" | "datetime" | "timestamp" | "time" | "year");
    match result.map(|column| column.kind) {
        Some(ValueKind::Word(_) | ValueKind::Text) => {
            !is_whole
                && !is_time
                && !matches!(kind, "decimal" | "float" | "double" | "bit" | "json")
        }
        Some(ValueKind::Integer) => kind == "bigint",
        Some(ValueKind::Time) => matches!(kind, "datetime" | "timestamp"),
        Some(ValueKind::Float) => true,
        None => !matches!(kind, "json" | "timestamp"),
    }
}

/// What a column gets that every row must have and that the fleet knows nothing of.
fn constant(adoption: &mut Adoption, column: &MySqlColumn, is_unmapped: bool) {
    let (name, kind) = (column.name.as_str(), column.kind.as_str());
    if is_unmapped {
        return adoption.question(
            "mysql.constants",
            name,
            "",
            words!(
                "every row must have `{name}` ({kind}), and no column of [mysql.columns] was found",
                "每行都必须有 `{name}`（{kind}），而 [mysql.columns] 中没有找到任何列",
            ),
        );
    }
    let value = match kind {
        "char" | "varchar" | "text" | "tinytext" | "mediumtext" | "longtext" => Value::from(""),
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "float"
        | "double" => Value::from(0),
        _ => {
            return adoption.question(
                "mysql.constants",
                name,
                "",
                words!(
                    "every row must have `{name}` ({kind}); which value?",
                    "每行都必须有 `{name}`（{kind}）；取什么值？",
                ),
            );
        }
    };
    adoption.guessed(
        "mysql.constants",
        name,
        value,
        words!(
            "every row must have `{name}` ({kind}), of which the fleet knows nothing; is an empty value right?",
            "每行都必须有 `{name}`（{kind}），而weldfleet 没有这个值；空值可以吗？",
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_names_are_of_columns_that_the_mirror_has() {
        for (ours, further) in FURTHER_NAMES {
            let column = RESULT_COLUMNS.iter().find(|column| column.name == ours);
            assert!(column.is_some_and(|column| column.mirrored), "{ours}");
            assert!(further.split(' ').all(|name| !name.is_empty()), "{ours}");
        }
    }

    #[test]
    fn a_column_of_another_type_is_another_thing() {
        for (ours, kind, may) in [
            ("rule_result", "varchar", true),
            ("rule_result", "enum", true),
            ("rule_result", "tinyint", false),
            ("final_result", "decimal", false),
            ("alg_run", "bigint", true),
            ("alg_run", "int", false),
            ("alg_complete_time", "datetime", true),
            ("alg_complete_time", "date", false),
            ("diameter", "decimal", true),
            ("part_no", "int", true),
        ] {
            assert_eq!(may_hold(ours, kind), may, "{ours} in {kind}");
        }
    }
}
