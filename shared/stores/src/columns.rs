//! The result columns as each store has them: their SQL types.

use weldfleet_weld::columns::{RESULT_COLUMNS, ResultColumn, ValueKind};

/// The type of a column that the fleet adds to the source table.
pub(crate) fn source_type(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Word(_) => "LowCardinality(Nullable(String))",
        ValueKind::Text => "Nullable(String)",
        ValueKind::Float => "Nullable(Float32)",
        ValueKind::Integer => "Nullable(UInt64)",
        ValueKind::Time => "Nullable(DateTime64(3))",
    }
}

/// What the plant may make of it itself.
pub(crate) fn plain_type(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Word(_) => "Nullable(String)",
        kind => source_type(kind),
    }
}

/// The type in `weld_results`, where no column takes NULL: NaN and the empty text stand for it.
pub(crate) fn results_type(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Word(_) | ValueKind::Text => "String",
        ValueKind::Float => "Float32",
        ValueKind::Integer => "UInt64",
        ValueKind::Time => "DateTime64(3)",
    }
}

/// The type in MySQL; `text` is the character set and the collation of texts.
pub(crate) fn mysql_type(kind: ValueKind, text: &str) -> String {
    match kind {
        ValueKind::Word(longest) => format!("VARCHAR({longest}) {text}"),
        ValueKind::Text => format!("MEDIUMTEXT {text}"),
        ValueKind::Float => "DOUBLE".to_owned(),
        ValueKind::Integer => "BIGINT UNSIGNED".to_owned(),
        ValueKind::Time => "DATETIME(3)".to_owned(),
    }
}

pub(crate) fn result_column(name: &str) -> Option<&'static ResultColumn> {
    RESULT_COLUMNS.iter().find(|column| column.name == name)
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, fs, path::Path};

    use weldfleet_weld::columns::Origin;

    use super::*;

    const BEGIN: &str = "the_contract_lists -->\n";
    const END: &str = "<!-- end of columns -->";

    fn table() -> String {
        let mut text = String::from(
            "\n| column | holds | ClickHouse | MySQL | CSV | `predict` |\n|---|---|---|---|---|---|\n",
        );
        let yes = |there: bool| if there { "yes" } else { "" };
        for column in RESULT_COLUMNS {
            let mysql = mysql_type(column.kind, "");
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {} | {} |",
                column.name,
                column.meaning,
                source_type(column.kind),
                if column.mirrored { mysql.trim() } else { "" },
                yes(!matches!(column.origin, Origin::Commit)),
                yes(matches!(column.origin, Origin::Verdict(_))),
            );
        }
        text.push('\n');
        text
    }

    #[test]
    fn the_contract_lists_every_column_as_it_is() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONTRACT.md");
        let contract = fs::read_to_string(&path).unwrap();
        let (before, rest) = contract.split_once(BEGIN).unwrap();
        let (listed, after) = rest.split_once(END).unwrap();
        if std::env::var_os("WRITE_DOCS").is_some() {
            let written = format!("{before}{BEGIN}{}{END}{after}", table());
            return fs::write(&path, written).unwrap();
        }
        assert_eq!(listed, table(), "WRITE_DOCS=1 writes it anew");
    }

    #[test]
    fn a_meaning_can_stand_in_a_comment() {
        for column in RESULT_COLUMNS {
            assert!(
                !column.meaning.contains(['\'', '\\', '|']),
                "{}",
                column.name
            );
        }
    }
}
