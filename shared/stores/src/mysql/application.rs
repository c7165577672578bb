//! A table that an application reads already: what it must get so that its rows and ours can be told apart, and whether
//! it can hold what is mapped to it. Its own rows and columns stay as they are.

mod constants;
mod review_columns;

use weldfleet_settings::columns::MIRROR_KEY;
use weldfleet_weld::columns::ValueKind;

use super::{
    existing_table::{
        ExistingColumn, ExistingTable, GENERATED, MIGRATE, MySqlType, family, holds, table_fault,
    },
    own_table::key_columns,
    quote::identifier,
};
use crate::{
    commas,
    errors::SchemaFault,
    mirror_layout::{Characters, MirrorColumn, MirrorLayout, MirrorType, Precision, Source},
};

/// The comment of `ck_ticks`, which only the fleet writes: where it is, the table has been adopted.
const TICKS_COMMENT: &str = "ck_local_time as ClickHouse stores it";

/// Why a column of times cannot take one that the plant stores as text.
const NO_NULL: &str = "takes no NULL, but a text of the plant's may be no time";

impl ExistingTable {
    /// What `migrate` adds: key columns, which are NULL in the application's own rows, and a unique key over them.
    pub(super) fn lacking(&self, layout: &MirrorLayout) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, column) in layout.key.iter().zip(key_columns(&self.collation)) {
            if self.column(name).is_none() {
                let definition = column.definition().replace(" NOT NULL", " NULL");
                changes.push(format!("ADD COLUMN {} {definition}", identifier(name)));
            }
        }
        if self.lacks_unique_key(layout).is_some() {
            let key = layout.quoted_key().join(", ");
            changes.push(format!("ADD UNIQUE KEY weldfleet_weld ({key})"));
        }
        changes
    }

    /// Everything that would keep rows from being written as they are.
    pub(super) fn application_faults(&self, layout: &MirrorLayout) -> Vec<SchemaFault> {
        let mut faults = self.unmappable(layout);
        if !self.columns.is_empty() {
            faults.extend(self.yet_to_do(layout));
        }
        faults
    }

    /// What `migrate` has yet to do.
    fn yet_to_do(&self, layout: &MirrorLayout) -> Option<SchemaFault> {
        let missing = layout.key.iter().filter(|name| self.column(name).is_none());
        let missing = commas(missing.map(|name| format!("`{name}`")));
        if missing.is_empty() {
            return self.lacks_unique_key(layout);
        }
        let problem = format!("lacks {missing}, by which the fleet knows the rows that it made");
        Some(table_fault(problem, MIGRATE))
    }

    /// Everything that cannot be mapped.
    pub(super) fn unmappable(&self, layout: &MirrorLayout) -> Vec<SchemaFault> {
        if self.columns.is_empty() {
            return vec![table_fault(
                "there is no such table",
                "name the application's, or remove [mysql.columns]: `scheduler migrate` then makes one",
            )];
        }
        self.fit(layout).1
    }

    /// The layout as the table's columns can hold it, and everything that cannot be mapped.
    pub(super) fn fit(&self, layout: &MirrorLayout) -> (MirrorLayout, Vec<SchemaFault>) {
        let mut faults = Vec::new();
        let mut fitted = layout.clone();
        for column in &mut fitted.columns {
            let (problem, remedy) = match self.column(&column.theirs) {
                None => (
                    format!("no column `{}`", column.theirs),
                    format!(
                        "map it to a column that is there, or remove the line; there are: {}",
                        self.names()
                    ),
                ),
                Some(found) => match fit(column, found) {
                    Ok(held) => {
                        column.held = held;
                        column.takes_null = found.nullable;
                        continue;
                    }
                    Err(problem) => (
                        format!("column `{}` {problem}", column.theirs),
                        match problem.ends_with(NO_NULL) {
                            true => "let it be NULL, map another column, or remove the line and give it a value in [mysql.constants]",
                            false => "map it to another column, or remove the line",
                        }
                        .to_owned(),
                    ),
                },
            };
            let key = format!("mysql.columns.{}", column.ours());
            faults.push(SchemaFault::new(key, problem, remedy));
        }
        faults.extend(self.unfit_for_key(layout));
        self.check_key(layout, &mut faults);
        self.check_review(layout, &mut faults);
        self.check_constants(layout, &mut faults);
        self.check_demanded(layout, &mut faults);
        self.check_unique_keys(layout, &mut faults);
        (fitted, faults)
    }

    fn names(&self) -> String {
        commas(self.columns.keys())
    }

    fn check_key(&self, layout: &MirrorLayout, faults: &mut Vec<SchemaFault>) {
        let ours = MIRROR_KEY.iter().zip(key_columns(&self.collation));
        for ((ours, column), theirs) in ours.zip(&layout.key) {
            let Some(found) = self.column(theirs) else {
                continue;
            };
            let wanted = column.sql_type();
            let problem = if *ours == "ck_ticks" && found.comment != TICKS_COMMENT {
                "is not the fleet's, which could not tell its rows from the application's"
                    .to_owned()
            } else if found.generated {
                GENERATED.to_owned()
            } else if family(&found.data_type) != family(&MySqlType::of(wanted).name)
                || !holds(&found.column_type, wanted)
            {
                format!(
                    "is {}, and a weld's key needs {}",
                    found.column_type,
                    wanted.to_lowercase()
                )
            } else if let Some(problem) = found.confuses_keys() {
                problem
            } else {
                continue;
            };
            faults.push(SchemaFault::new(
                format!("mysql.columns.{ours}"),
                format!("column `{theirs}` {problem}"),
                format!("name a new column, such as {ours} = \"weldfleet_{ours}\", which `scheduler migrate` adds"),
            ));
        }
    }

    fn check_demanded(&self, layout: &MirrorLayout, faults: &mut Vec<SchemaFault>) {
        for (name, found) in &self.columns {
            if found.demands_value && !layout.is_review(name) && !layout.fills(name) {
                faults.push(table_fault(
                    format!("column `{name}` ({}) takes no NULL and has no default, and nothing fills it", found.column_type),
                    format!("map one of ours to it in [mysql.columns], or give it a value in [mysql.constants], such as {name} = {}", found.example()),
                ));
            }
        }
    }

    /// Another unique key could let a weld change a row that is not its own.
    fn check_unique_keys(&self, layout: &MirrorLayout, faults: &mut Vec<SchemaFault>) {
        let key = layout.key_in_lower_case();
        for unique in &self.unique_keys {
            let differs_by_itself = |name: &String| {
                self.columns.get(name).is_some_and(|found| {
                    let is_null = found.nullable && !found.has_value_by_itself();
                    !layout.fills(name) && (found.fills_itself || is_null)
                })
            };
            let is_weld = unique.whole && key.is_subset(&unique.columns);
            if is_weld || unique.columns.iter().any(differs_by_itself) {
                continue;
            }
            faults.push(table_fault(
                format!(
                    "unique key `{}` over ({}) would let a weld change another row",
                    unique.name,
                    commas(&unique.columns)
                ),
                "leave one of its columns out of [mysql.columns] and [mysql.constants] where it may be NULL or counts by itself, or make \
                 the key an ordinary index",
            ));
        }
    }
}

impl MirrorLayout {
    /// Ours that is mapped to this column.
    fn mapped_to(&self, name: &str) -> Option<&str> {
        let key = MIRROR_KEY.into_iter().zip(&self.key);
        let columns = self.columns.iter();
        let mut mapped = key.chain(columns.map(|column| (column.ours(), &column.theirs)));
        let found = mapped.find(|(_, theirs)| same(theirs, name));
        found.map(|(ours, _)| ours)
    }

    /// Whether a new row gets a value of ours in this column.
    fn fills(&self, name: &str) -> bool {
        let mut constants = self.constants.iter();
        self.mapped_to(name).is_some() || constants.any(|(constant, _)| same(constant, name))
    }

    /// Whether a reviewer fills this column.
    fn is_review(&self, name: &str) -> bool {
        let mut review = self.review.iter();
        review.any(|(_, theirs)| same(theirs, name))
    }
}

/// MySQL's names of columns are the same in upper and lower case.
fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// How their column holds ours.
fn fit(column: &MirrorColumn, found: &ExistingColumn) -> Result<MirrorType, String> {
    if found.generated {
        return Err(GENERATED.into());
    }
    let is_carried = matches!(column.source, Source::Carried(_));
    let held = match (family(&found.data_type), column.kind) {
        // MySQL writes JSON its own way, so that no text comes back as it went.
        ("text", _) if found.data_type == "json" => Err("a text as it is"),
        ("text", kind) => {
            let characters = found.characters()?;
            // What is cut there says something else.
            let least = match kind {
                _ if column.ours() == "final_result" => 3,
                ValueKind::Integer => u64::MAX.to_string().len() as u32,
                _ => 0,
            };
            if characters.most.is_some_and(|most| most < least) {
                return Err(format!(
                    "is {}, and `{}` needs {least} characters",
                    found.column_type,
                    column.ours()
                ));
            }
            Ok(MirrorType::Text(characters))
        }
        ("number", ValueKind::Float) => Ok(MirrorType::Number {
            precision: found.precision(),
            unsigned: found.column_type.contains("unsigned"),
        }),
        ("whole number", ValueKind::Integer) if found.data_type == "bigint" => {
            Ok(MirrorType::Integer)
        }
        ("time", ValueKind::Time) => Ok(found.time()),
        ("time", _) if is_carried && found.data_type == "timestamp" => Err(
            "a plant's local time: an application would read it in its session's zone (DATETIME can)",
        ),
        ("time", _) if is_carried && found.nullable => Ok(found.time()),
        ("time", _) if is_carried => {
            return Err(format!("is {} and {NO_NULL}", found.column_type));
        }
        (_, ValueKind::Float) => Err("a number with fractions"),
        (_, ValueKind::Integer) => Err("a whole number of 64 bits"),
        (_, ValueKind::Time) => Err("a time"),
        (_, ValueKind::Word(_) | ValueKind::Text) => Err("a text"),
    };
    held.map_err(|what| format!("is {}, which cannot take {what}", found.column_type))
}

impl ExistingColumn {
    fn characters(&self) -> Result<Characters, String> {
        let collation = self.collation.as_deref().unwrap_or("binary");
        let basic_plane = collation.starts_with("utf8_") || collation.starts_with("utf8mb3_");
        if !basic_plane && !collation.starts_with("utf8mb4_") && collation != "binary" {
            return Err(format!(
                "is of {collation}, which does not hold every character"
            ));
        }
        let size = MySqlType::of(&self.column_type).size;
        Ok(Characters {
            most: match self.data_type.as_str() {
                "varchar" | "char" => Some(size),
                // In bytes, of which a character has at most four.
                "tinytext" => Some(255 / 4),
                "text" => Some(65_535 / 4),
                _ => None,
            },
            basic_plane,
            no_trailing_blanks: self.data_type == "char",
        })
    }

    fn time(&self) -> MirrorType {
        let digits = MySqlType::of(&self.column_type).size.min(3);
        MirrorType::Time(u8::try_from(digits).unwrap_or(3))
    }

    fn precision(&self) -> Precision {
        let digits = self.column_type.split_once('(').map(|(_, rest)| {
            let mut digits = rest.split([',', ')']).map(|text| text.trim().parse().ok());
            let whole = digits.next().flatten().unwrap_or(10);
            (whole, digits.next().flatten().unwrap_or(0))
        });
        match (self.data_type.as_str(), digits) {
            ("decimal", None) => Precision::Decimal(10, 0),
            ("decimal" | "double", Some((whole, behind))) => Precision::Decimal(whole, behind),
            ("float", Some((whole, behind))) => Precision::SingleDecimal(whole, behind),
            ("float", None) => Precision::Single,
            _ => Precision::Double,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn existing(kind: &str) -> ExistingColumn {
        ExistingColumn {
            data_type: kind.split('(').next().unwrap().into(),
            column_type: kind.into(),
            words: Vec::new(),
            collation: None,
            nullable: false,
            demands_value: true,
            generated: false,
            fills_itself: false,
            changes_itself: false,
            default: None,
            comment: String::new(),
        }
    }

    #[test]
    fn a_time_that_may_be_missing_needs_a_column_that_may_be_empty() {
        let ours = MirrorColumn {
            source: Source::Carried("weld_time".into()),
            theirs: "weld_time".into(),
            kind: ValueKind::Word(64),
            held: MirrorType::Integer,
            takes_null: true,
        };
        let theirs = |nullable| ExistingColumn {
            nullable,
            demands_value: !nullable,
            ..existing("datetime")
        };
        assert!(fit(&ours, &theirs(true)).is_ok());
        let said = "is datetime and takes no NULL, but a text of the plant's may be no time";
        assert_eq!(fit(&ours, &theirs(false)).unwrap_err(), said);
    }
}
