//! The columns of a result table of the fleet's own, as SQL.

use weldfleet_settings::columns::MIRROR_KEY;

use crate::{
    columns::{mysql_type, result_column},
    mirror_layout::{MirrorLayout, Source},
};

const COLUMN_LIST: &str = include_str!("../../../../config/sql/mysql/result_columns.sql");

/// Our columns: name, and the column's SQL.
pub(super) fn columns(collation: &str, layout: &MirrorLayout) -> Vec<(String, String)> {
    let text = character_set(collation);
    let mut columns = Vec::new();
    for line in COLUMN_LIST.lines().filter(|line| !line.starts_with("--")) {
        match line.split_whitespace().next() {
            Some("{mirrored_columns}") => columns.extend(mirrored_columns(layout, &text)),
            Some(name) => columns.push((name.to_owned(), line.replace("{text}", &text))),
            None => {}
        }
    }
    columns
}

fn character_set(collation: &str) -> String {
    format!("CHARACTER SET utf8mb4 COLLATE {collation}")
}

/// Those of [`columns`] that make up the key, in its order.
pub(super) fn key_columns(collation: &str) -> [(&'static str, String); 4] {
    MIRROR_KEY.map(|name| {
        let mut lines = COLUMN_LIST.lines();
        let line = lines.find(|line| line.split_whitespace().next() == Some(name));
        let column = line.unwrap_or_default();
        (name, column.replace("{text}", &character_set(collation)))
    })
}

fn mirrored_columns(layout: &MirrorLayout, text: &str) -> impl Iterator<Item = (String, String)> {
    layout.columns.iter().map(move |column| {
        let name = column.ours();
        let mut sql = format!("{} {} NULL", column.quoted(), mysql_type(column.kind, text));
        if let Some(result) = result_column(name) {
            sql.push_str(&format!(" COMMENT '{}'", result.meaning));
        }
        (name.to_owned(), sql)
    })
}

pub(super) fn carried_columns(layout: &MirrorLayout) -> impl Iterator<Item = &str> {
    let columns = layout.columns.iter();
    columns.filter_map(|column| match &column.source {
        Source::Carried(name) => Some(name.as_str()),
        Source::Known(_) => None,
    })
}
