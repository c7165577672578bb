//! A result table of the fleet's own: its columns as SQL, and what one that is there lacks of them.

use std::collections::BTreeSet;

use weldfleet_settings::columns::{MIRROR_KEY, REVIEW_COLUMNS};

use super::{
    existing_table::{
        ExistingColumn, ExistingTable, GENERATED, MIGRATE, MySqlType, family, holds, table_fault,
    },
    quote::identifier,
};
use crate::{
    columns::{mysql_type, result_column},
    commas,
    errors::SchemaFault,
    mirror_layout::{MirrorLayout, Source},
    statement::without_comments,
};

const RESULT_TABLE: &str = include_str!("../../../../config/sql/mysql/result_table.sql");
const COLUMN_LIST: &str = include_str!("../../../../config/sql/mysql/result_columns.sql");

/// A column of ours.
pub(super) struct OwnColumn {
    name: String,
    /// Name, type and the rest.
    sql: String,
}

impl OwnColumn {
    /// The type with its size.
    pub(super) fn sql_type(&self) -> &str {
        self.sql.split_whitespace().nth(1).unwrap_or_default()
    }

    /// What stands behind the name.
    pub(super) fn definition(&self) -> &str {
        self.sql.split_once(' ').unwrap_or_default().1
    }

    fn takes_null(&self) -> bool {
        self.sql.contains(" NULL") && !self.sql.contains("NOT NULL")
    }
}

/// Our columns.
fn columns(collation: &str, layout: &MirrorLayout) -> Vec<OwnColumn> {
    let text = character_set(collation);
    let mut columns = Vec::new();
    for line in COLUMN_LIST.lines().filter(|line| !line.starts_with("--")) {
        match line.split_whitespace().next() {
            Some("{mirrored_columns}") => columns.extend(mirrored_columns(layout, &text)),
            Some(name) => columns.push(OwnColumn {
                name: name.to_owned(),
                sql: line.replace("{text}", &text),
            }),
            None => {}
        }
    }
    columns
}

fn character_set(collation: &str) -> String {
    format!("CHARACTER SET utf8mb4 COLLATE {collation}")
}

/// Those that make up the key, in its order.
pub(super) fn key_columns(collation: &str) -> [OwnColumn; 4] {
    MIRROR_KEY.map(|name| {
        let mut lines = COLUMN_LIST.lines();
        let line = lines.find(|line| line.split_whitespace().next() == Some(name));
        let column = line.unwrap_or_default();
        OwnColumn {
            name: name.to_owned(),
            sql: column.replace("{text}", &character_set(collation)),
        }
    })
}

fn mirrored_columns(layout: &MirrorLayout, text: &str) -> impl Iterator<Item = OwnColumn> {
    layout.columns.iter().map(move |column| {
        let name = column.ours().to_owned();
        let mut sql = format!("{} {} NULL", column.quoted(), mysql_type(column.kind, text));
        if let Some(result) = result_column(&name) {
            sql.push_str(&format!(" COMMENT '{}'", result.meaning));
        }
        OwnColumn { name, sql }
    })
}

fn carried_columns(layout: &MirrorLayout) -> impl Iterator<Item = &str> {
    let columns = layout.columns.iter();
    columns.filter_map(|column| match &column.source {
        Source::Carried(name) => Some(name.as_str()),
        Source::Known(_) => None,
    })
}

/// What makes the table, called `target`.
pub(super) fn creation(target: &str, collation: &str, layout: &MirrorLayout) -> String {
    let columns = columns(collation, layout);
    let columns = columns.iter().map(|column| format!("    {}", column.sql));
    let keys = carried_columns(layout).map(|name| format!("    KEY ({})", identifier(name)));
    let list: Vec<String> = columns.chain(keys).collect();
    without_comments(RESULT_TABLE)
        .replace("{result_table}", target)
        .replace("{result_columns}", &list.join(",\n"))
        .replace("{collation}", collation)
}

impl ExistingTable {
    /// Whether the fleet made the table: in an application's, the key columns are NULL that `migrate` added.
    pub(super) fn is_fleets(&self) -> bool {
        let mut key = MIRROR_KEY.into_iter();
        key.all(|name| self.column(name).is_some_and(|column| !column.nullable))
    }

    /// What `migrate` adds and changes.
    pub(super) fn changes(&self, layout: &MirrorLayout) -> Vec<String> {
        let mut changes: Vec<String> = Vec::new();
        for column in columns(&self.collation, layout) {
            match self.column(&column.name) {
                None => {
                    changes.push(format!("ADD COLUMN {}", column.sql));
                    // People look a weld up by it.
                    if carried_columns(layout).any(|carried| carried == column.name) {
                        changes.push(format!("ADD KEY ({})", identifier(&column.name)));
                    }
                }
                Some(found) if found.falls_short(&column).is_some() => {
                    changes.push(format!("MODIFY COLUMN {}", column.sql));
                }
                Some(_) => {}
            }
        }
        if self.lacks_unique_key(layout).is_some() {
            let key = MIRROR_KEY.join(", ");
            changes.push(format!("ADD UNIQUE KEY weldfleet_weld ({key})"));
        }
        changes
    }

    /// What `migrate` cannot change and what it has yet to change.
    pub(super) fn own_faults(&self, layout: &MirrorLayout) -> Vec<SchemaFault> {
        if self.columns.is_empty() {
            return vec![table_fault("there is no such table", MIGRATE)];
        }
        let mut faults = self.unfit(layout);
        for column in columns(&self.collation, layout) {
            let name = &column.name;
            let problem = match self.column(name) {
                None => Some(format!("no column `{name}`")),
                Some(found) if !found.is_of_kind(&column) => None,
                Some(found) => {
                    let short = found.falls_short(&column);
                    short.map(|why| format!("column `{name}` {why}"))
                }
            };
            faults.extend(problem.map(|problem| table_fault(problem, MIGRATE)));
        }
        faults.extend(self.lacks_unique_key(layout));
        faults
    }

    /// What `migrate` cannot change.
    pub(super) fn unfit(&self, layout: &MirrorLayout) -> Vec<SchemaFault> {
        let wanted = columns(&self.collation, layout);
        let mut faults = Vec::new();
        let mut fault = |problem: String, remedy: &str| faults.push(table_fault(problem, remedy));
        for (name, found) in &self.columns {
            let mut names = wanted.iter().map(|wanted| wanted.name.to_lowercase());
            if found.demands_value && !names.any(|wanted| wanted == *name) {
                fault(
                    format!(
                        "column `{name}` takes no NULL and has no default, so no row can be added"
                    ),
                    "give it a default, map one of ours to it in [mysql.columns], give it a value in [mysql.constants], or name another table",
                );
            }
        }
        for column in &wanted {
            let name = &column.name;
            let Some(found) = self.column(name) else {
                continue;
            };
            let is_review = REVIEW_COLUMNS.contains(&name.as_str());
            if let Some(problem) = found.looks_reviewed().filter(|_| is_review) {
                fault(
                    format!("column `{name}` {problem}"),
                    "let it stay NULL until somebody reviews the row",
                );
            }
            if found.generated {
                fault(
                    format!("column `{name}` {GENERATED}"),
                    "make it an ordinary column, or name another table",
                );
            }
            if !found.is_of_kind(column) {
                let expected = column.sql_type();
                fault(
                    format!(
                        "column `{name}` is {}, expected {expected}",
                        found.column_type
                    ),
                    "change its type, or name another table",
                );
            }
        }
        faults.extend(self.unfit_for_key(layout));
        faults.extend(self.narrower_keys());
        faults
    }

    /// Two unique keys would let one weld push another out.
    fn narrower_keys(&self) -> impl Iterator<Item = SchemaFault> {
        let key: BTreeSet<String> = MIRROR_KEY.map(str::to_owned).into();
        let unique = self.unique_keys.iter().map(|unique| &unique.columns);
        let narrower = unique.filter(move |columns| columns.is_subset(&key) && **columns != key);
        narrower.map(|columns| {
            table_fault(
                format!(
                    "unique key over ({}) is narrower than a weld's key",
                    commas(columns)
                ),
                "drop it: an id of one day is another weld on another day",
            )
        })
    }
}

impl ExistingColumn {
    /// Why a value of ours might be refused, cut or confused with another; `None` if it is written as it is. Of a
    /// column of the right kind.
    fn falls_short(&self, ours: &OwnColumn) -> Option<String> {
        let wanted = ours.sql_type();
        if !holds(&self.column_type, wanted) {
            return Some(format!(
                "is {}, narrower than {}",
                self.column_type,
                wanted.to_ascii_lowercase()
            ));
        }
        if MIRROR_KEY.contains(&ours.name.as_str())
            && let Some(why) = self.confuses_keys()
        {
            return Some(why);
        }
        // `binary` is MariaDB's and MySQL's word for bytes of any character set.
        if let Some(collation) = self.collation.as_deref()
            && !collation.starts_with("utf8mb4")
            && collation != "binary"
        {
            return Some(format!(
                "is of {collation}, which does not hold every character"
            ));
        }
        (!self.nullable && ours.takes_null())
            .then(|| "takes no NULL, but not every weld has a value".into())
    }

    /// Whether it can be made into one of ours without changing what its values are.
    fn is_of_kind(&self, ours: &OwnColumn) -> bool {
        family(&self.data_type) == family(&MySqlType::of(ours.sql_type()).name)
            && self.data_type != "decimal"
    }
}
