//! The MySQL table that an application reads already: our columns to its own, and what it demands besides.

use std::collections::BTreeSet;

use toml::Value;
use weldfleet_settings::columns::{DESCRIBING_COLUMNS, MIRROR_KEY};
use weldfleet_weld::columns::{RESULT_COLUMNS, ValueKind};
use weldfleet_words::{Words, words};

use crate::{Facts, OldConfig, facts::MySqlColumn};

use super::{
    Adoption,
    columns::ColumnMap,
    targets::{names_of, same},
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
    let Some(table) = facts.mysql.as_ref().ok().filter(|_| old.wants_mysql()) else {
        return;
    };
    if table.is_empty() || is_fleets(table) {
        return;
    }
    key(adoption, table);
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
            table.iter().find(|column| {
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
        match refused(ours, column) {
            Some(why) => {
                adoption.question("mysql.columns", ours, column.name.as_str(), why);
            }
            None => {
                let kind = &column.kind;
                let why = words!("by its name; its type is {kind}", "按列名；类型为 {kind}");
                adoption.guessed("mysql.columns", ours, column.name.as_str(), why);
            }
        }
    }
    if !used.is_empty() {
        adoption.notes.push(words!(
            "a record of the fleet's in MySQL is removed once its weld is judged OK, with what people wrote into it; one whose \
             review columns are mapped in [mysql.columns] (review_note = \"…\") and filled stays",
            "焊点改判 OK 后，weldfleet 写入 MySQL 的记录会被删除，人员在其中填写的内容也一并删除；如果在 [mysql.columns] 中映射了\
             复核列（review_note = \"…\"）且已填写，则保留",
        ));
    }
    for column in table {
        if column.demanded && !used.contains(column.name.as_str()) {
            constant(adoption, column, used.is_empty());
        }
    }
}

/// Whether the fleet made the table: in an application's, the key columns are NULL that `migrate` added.
fn is_fleets(table: &[MySqlColumn]) -> bool {
    let column = |name: &str| table.iter().find(|column| column.name == name);
    let mut key = MIRROR_KEY.into_iter();
    key.all(|ours| column(ours).is_some_and(|column| !column.nullable))
}

/// Columns of its own that are called like those of a weld's key are another thing's, unless an earlier `migrate` added
/// them.
fn key(adoption: &mut Adoption, table: &[MySqlColumn]) {
    let has = |name: &str| table.iter().any(|column| column.name == name);
    let is_adopted = has("ck_ticks") || has("weldfleet_ck_ticks");
    for ours in MIRROR_KEY {
        let name = format!("weldfleet_{ours}");
        let is_there = has(&name);
        if !is_there && (is_adopted || !has(ours)) {
            continue;
        }
        let why = match is_there {
            true => words!(
                "an earlier `scheduler migrate` added this column",
                "本列由之前的 `scheduler migrate` 添加",
            ),
            false => words!(
                "the application has a `{ours}` of its own; `scheduler migrate` adds this one",
                "应用程序自己已有 `{ours}`；`scheduler migrate` 会增加本列",
            ),
        };
        adoption.guessed("mysql.columns", ours, name, why);
    }
}

/// Why `migrate` would not write ours into this column.
fn refused(ours: &str, column: &MySqlColumn) -> Option<Words> {
    let kind = column.kind.as_str();
    let describing = DESCRIBING_COLUMNS
        .iter()
        .find(|(name, _)| *name == ours)
        .map(|(_, kind)| *kind);
    let result = RESULT_COLUMNS.iter().find(|column| column.name == ours);
    let value = describing.or(result.map(|column| column.kind));
    let takes = match value {
        Some(ValueKind::Float) => matches!(kind, "double" | "float" | "decimal"),
        Some(ValueKind::Integer) => kind == "bigint",
        Some(ValueKind::Time) => matches!(kind, "datetime" | "timestamp"),
        Some(ValueKind::Word(_) | ValueKind::Text) => false,
        None if kind == "datetime" && !column.nullable => {
            return Some(words!(
                "it takes no NULL, and a text of the plant's may be no time: let it be NULL in MySQL, or remove this line and give it a \
                 value in [mysql.constants]",
                "该列不允许 NULL，而工厂的文本可能不是时间：请在 MySQL 中改为允许 NULL，或删除本行并在 [mysql.constants] 中给出一个值",
            ));
        }
        None => kind == "datetime",
    };
    let is_text = matches!(kind, "char" | "varchar") || kind.ends_with("text");
    (!takes && !is_text).then(|| match value {
        Some(ValueKind::Float) => words!(
            "by its name; but its type is {kind}, which takes no fractions: which column does?",
            "按列名；但类型为 {kind}，不能保存小数：应写入哪一列？",
        ),
        _ => words!(
            "by its name; but its type is {kind}, which takes no text of the fleet's: which column does?",
            "按列名；但类型为 {kind}，不能写入 weldfleet 的文本：应写入哪一列？",
        ),
    })
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
                "every row must have `{name}` ({kind}), and no column of the table was found for [mysql.columns]; which value?",
                "每行都必须有 `{name}`（{kind}），而表中没有找到可用于 [mysql.columns] 的列；取什么值？",
            ),
        );
    }
    let value = match kind {
        "char" | "varchar" | "text" | "tinytext" | "mediumtext" | "longtext" => Value::from(""),
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "float"
        | "double" => Value::from(0),
        _ => {
            let example = match kind {
                "date" | "datetime" | "timestamp" => Value::from("2000-01-01"),
                "time" => Value::from("00:00:00"),
                "bit" => Value::from(0),
                "year" => Value::from(2000),
                _ => Value::from(""),
            };
            return adoption.question(
                "mysql.constants",
                name,
                example,
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
            "每行都必须有 `{name}`（{kind}），而 weldfleet 没有这个值；空值可以吗？",
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
