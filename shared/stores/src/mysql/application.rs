//! A table that an application reads already: what it must get so that its rows and ours can be told apart, and whether
//! it can hold what is mapped to it. Its own rows and columns stay as they are.

use std::collections::BTreeSet;

use weldfleet_settings::{
    Constant,
    columns::{LONGEST_NOTE, LONGEST_REVIEWER, MIRROR_KEY, REVIEW_RESULTS},
};
use weldfleet_weld::columns::ValueKind;

use super::{
    existing_table::{EXACT_COLLATIONS, ExistingColumn, ExistingTable, MySqlType, family, holds},
    own_columns::key_columns,
    quote::identifier,
};
use crate::{
    errors::SchemaFault,
    mirror_layout::{Characters, MirrorColumn, MirrorLayout, MirrorType, Precision, Source},
};

/// The comment of `ck_ticks`, which only the fleet writes: where it is, the table has been adopted.
const TICKS_COMMENT: &str = "ck_local_time as ClickHouse stores it";

/// Character sets in which (simplified) Chinese names and notes can be written; what one lacks besides, MySQL refuses
/// note by note.
const CHINESE_SETS: [&str; 10] = [
    "utf8mb4", "utf8mb3", "utf8", "utf16", "utf16le", "utf32", "ucs2", "gbk", "gb18030", "gb2312",
];

/// Why a column of times cannot take one that the plant stores as text.
const NO_NULL: &str = "takes no NULL, but a text of the plant's may be no time";

const MIGRATE: &str = "run `scheduler migrate`";

impl ExistingTable {
    /// What `migrate` adds: key columns, which are NULL in the application's own rows, and a unique key over them.
    pub(super) fn lacking(&self, layout: &MirrorLayout) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, (_, column)) in layout.key.iter().zip(key_columns(&self.collation)) {
            if self.column(name).is_none() {
                let (_, definition) = column.split_once(' ').unwrap_or_default();
                let definition = definition.replace(" NOT NULL", " NULL");
                changes.push(format!("ADD COLUMN {} {definition}", identifier(name)));
            }
        }
        if !self.has_unique_key(layout) {
            let key = layout.quoted_key().join(", ");
            changes.push(format!("ADD UNIQUE KEY weldfleet_weld ({key})"));
        }
        changes
    }

    fn has_unique_key(&self, layout: &MirrorLayout) -> bool {
        let key: BTreeSet<String> = layout.key.iter().map(|name| name.to_lowercase()).collect();
        self.unique_keys
            .iter()
            .any(|unique| unique.whole && unique.columns == key)
    }

    /// What `migrate` has yet to do, as faults.
    pub(super) fn yet_to_do(&self, layout: &MirrorLayout) -> Vec<SchemaFault> {
        let missing: Vec<String> = layout
            .key
            .iter()
            .filter(|name| self.column(name).is_none())
            .map(|name| format!("`{name}`"))
            .collect();
        let mut faults = Vec::new();
        let mut fault = |problem: String| {
            faults.push(SchemaFault {
                key: "tables.result_table".into(),
                problem,
                remedy: MIGRATE.into(),
            });
        };
        if !missing.is_empty() {
            fault(format!(
                "lacks {}, by which the fleet knows the rows that it made",
                missing.join(", ")
            ));
        } else if !self.has_unique_key(layout) {
            fault(format!(
                "no unique key over ({}), so a weld could be there twice",
                layout.key.join(", ")
            ));
        }
        faults
    }

    /// The layout as the table's columns can hold it, and everything that cannot be mapped.
    pub(super) fn fit(&self, layout: &MirrorLayout) -> (MirrorLayout, Vec<SchemaFault>) {
        let mut faults = Faults::default();
        let mut fitted = layout.clone();
        for column in &mut fitted.columns {
            let key = format!("mysql.columns.{}", column.ours());
            let Some(found) = self.column(&column.theirs) else {
                faults.add(
                    key,
                    format!("no column `{}`", column.theirs),
                    format!(
                        "map it to a column that is there, or remove the line; there are: {}",
                        self.names()
                    ),
                );
                continue;
            };
            match fit(column, found) {
                Ok((held, takes_null)) => {
                    column.held = held;
                    column.takes_null = takes_null;
                }
                Err(problem) => faults.add(
                    key,
                    format!("column `{}` {problem}", column.theirs),
                    match problem.ends_with(NO_NULL) {
                        true => "let it be NULL, map another column, or remove the line and give it a value in [mysql.constants]",
                        false => "map it to another column, or remove the line",
                    }
                    .into(),
                ),
            }
        }
        if !self.columns.is_empty() {
            let key = layout.key.iter().map(|name| name.to_lowercase()).collect();
            if let Some((problem, remedy)) = self.unfit_for_key(&key) {
                faults.add("tables.result_table".into(), problem, remedy.into());
            }
        }
        self.check_key(layout, &mut faults);
        self.check_review(layout, &mut faults);
        self.check_constants(layout, &mut faults);
        self.check_demanded(layout, &mut faults);
        self.check_unique_keys(layout, &mut faults);
        (fitted, faults.0)
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.columns.keys().map(String::as_str).collect();
        names.join(", ")
    }

    fn check_key(&self, layout: &MirrorLayout, faults: &mut Faults) {
        for ((ours, theirs), (_, column)) in MIRROR_KEY
            .iter()
            .zip(&layout.key)
            .zip(key_columns(&self.collation))
        {
            let Some(found) = self.column(theirs) else {
                continue;
            };
            let wanted = column.split_whitespace().nth(1).unwrap_or_default();
            let kind = MySqlType::of(wanted);
            let exact = |collation: &String| EXACT_COLLATIONS.contains(&collation.as_str());
            let problem = if *ours == "ck_ticks" && found.comment != TICKS_COMMENT {
                "is not the fleet's, which could not tell its rows from the application's"
                    .to_owned()
            } else if found.generated {
                "is generated, so nothing can be written into it".to_owned()
            } else if family(&found.data_type) != family(&kind.name)
                || !holds(&found.column_type, wanted)
            {
                format!(
                    "is {}, and a weld's key needs {}",
                    found.column_type,
                    wanted.to_lowercase()
                )
            } else if found
                .collation
                .as_ref()
                .is_some_and(|collation| !exact(collation))
            {
                let collation = found.collation.as_deref().unwrap_or_default();
                format!("compares by {collation}, for which different keys may be equal")
            } else {
                continue;
            };
            faults.add(
                format!("mysql.columns.{ours}"),
                format!("column `{theirs}` {problem}"),
                format!("name a new column, such as {ours} = \"weldfleet_{ours}\", which `scheduler migrate` adds"),
            );
        }
    }

    fn check_review(&self, layout: &MirrorLayout, faults: &mut Faults) {
        for (ours, name) in &layout.review {
            let problem = match self.column(name) {
                None => format!("no column `{name}`"),
                Some(found) => match found.unfit_for_mirror() {
                    Some(why) => format!("column `{name}` is {}: {why}", found.column_type),
                    None => continue,
                },
            };
            self.add_review(layout, ours, problem, faults);
        }
    }

    /// What the console could not write. The mirror does without, so only reviews wait for another column. Columns that
    /// are mapped without `review_result` only people's own applications write, and what these hold is theirs.
    pub(super) fn unfit_for_reviews(&self, layout: &MirrorLayout) -> Vec<SchemaFault> {
        let mut faults = Faults::default();
        for (ours, name) in layout.review.iter().filter(|_| layout.takes_reviews()) {
            let found = self.column(name);
            let found = found.filter(|found| found.unfit_for_mirror().is_none());
            let lacks = found.and_then(|found| Some((found, found.lacks_for_review(ours)?)));
            if let Some((found, why)) = lacks {
                let problem = format!("column `{name}` is {}: {why}", found.column_type);
                self.add_review(layout, ours, problem, &mut faults);
            }
        }
        faults.0
    }

    fn add_review(&self, layout: &MirrorLayout, ours: &str, problem: String, faults: &mut Faults) {
        let needs = match layout.takes_reviews() {
            true => format!(", and that holds {}", needs(ours)),
            false => String::new(),
        };
        faults.add(
            format!("mysql.columns.{ours}"),
            problem,
            format!(
                "map a column that stays empty until somebody reviews the row{needs}; there are: {}",
                self.names()
            ),
        );
    }

    fn check_constants(&self, layout: &MirrorLayout, faults: &mut Faults) {
        for (name, constant) in &layout.constants {
            let of_key = MIRROR_KEY.iter().zip(&layout.key);
            let of_columns = layout
                .columns
                .iter()
                .map(|column| (column.ours(), &column.theirs));
            let mut filled = of_key
                .map(|(ours, theirs)| (*ours, theirs))
                .chain(of_columns);
            let twice = filled.find(|(_, theirs)| same(theirs, name));
            let (problem, remedy) = if let Some((ours, _)) = twice {
                (
                    format!("`{ours}` is mapped to this column"),
                    "keep one of the two",
                )
            } else if layout.review.iter().any(|(_, theirs)| same(theirs, name)) {
                (
                    "a reviewer fills this column".to_owned(),
                    "keep one of the two",
                )
            } else {
                let Some(found) = self.column(name) else {
                    let remedy = format!("remove the line; there are: {}", self.names());
                    faults.add(
                        format!("mysql.constants.{name}"),
                        "no such column".into(),
                        remedy,
                    );
                    continue;
                };
                match refused(constant, found) {
                    Some(problem) => (problem, "give a value that it takes"),
                    None => continue,
                }
            };
            faults.add(format!("mysql.constants.{name}"), problem, remedy.into());
        }
    }

    fn check_demanded(&self, layout: &MirrorLayout, faults: &mut Faults) {
        for (name, found) in &self.columns {
            let is_review = layout.review.iter().any(|(_, theirs)| same(theirs, name));
            if found.demands_value && !is_review && !layout.fills(name) {
                faults.add(
                    "tables.result_table".into(),
                    format!("column `{name}` ({}) takes no NULL and has no default, and nothing fills it", found.column_type),
                    format!("map one of ours to it in [mysql.columns], or give it a value in [mysql.constants], such as {name} = {}", found.example()),
                );
            }
        }
    }

    /// Another unique key could let a weld change a row that is not its own.
    fn check_unique_keys(&self, layout: &MirrorLayout, faults: &mut Faults) {
        let key: BTreeSet<String> = layout.key.iter().map(|name| name.to_lowercase()).collect();
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
            let columns: Vec<&str> = unique.columns.iter().map(String::as_str).collect();
            faults.add(
                "tables.result_table".into(),
                format!(
                    "unique key `{}` over ({}) would let a weld change another row",
                    unique.name,
                    columns.join(", ")
                ),
                "leave one of its columns out of [mysql.columns] and [mysql.constants] where it may be NULL or counts by itself, or make \
                 the key an ordinary index".into(),
            );
        }
    }
}

#[derive(Default)]
struct Faults(Vec<SchemaFault>);

impl Faults {
    fn add(&mut self, key: String, problem: String, remedy: String) {
        self.0.push(SchemaFault {
            key,
            problem,
            remedy,
        });
    }
}

impl MirrorLayout {
    /// Whether a new row gets a value of ours in this column.
    fn fills(&self, name: &str) -> bool {
        let constants = self.constants.iter().map(|(name, _)| name);
        let columns = self.columns.iter().map(|column| &column.theirs);
        let mut filled = self.key.iter().chain(columns).chain(constants);
        filled.any(|theirs| same(theirs, name))
    }
}

/// MySQL's names of columns are the same in upper and lower case.
fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

impl ExistingColumn {
    /// Whether a row that says nothing of the column has a value in it.
    fn has_value_by_itself(&self) -> bool {
        self.fills_itself
            || self
                .default
                .as_deref()
                .is_some_and(|text| !["NULL", "", "''"].contains(&text))
    }

    /// Why a row that nobody reviewed would look reviewed, or could not be made to look as before.
    pub(super) fn looks_reviewed(&self) -> Option<String> {
        if self.has_value_by_itself() {
            Some("has a default, so that every row would look reviewed".into())
        } else if self.changes_itself {
            Some(
                "changes by itself (ON UPDATE), so that a corrected row would look reviewed".into(),
            )
        } else if self.demands_value {
            Some("takes no NULL and has no default, so that no row can be without a review".into())
        } else {
            None
        }
    }

    /// Why the mirror cannot do with it as a reviewer's column.
    fn unfit_for_mirror(&self) -> Option<String> {
        if self.generated {
            return Some("it is generated, so nothing can be written into it".to_owned());
        }
        Some(format!("it {}", self.looks_reviewed()?))
    }

    /// What the column cannot hold of that which the console writes into it.
    fn lacks_for_review(&self, ours: &str) -> Option<String> {
        if ours == "review_result" && self.data_type == "enum" {
            // Words are found whatever their case, and kept as the ENUM has them.
            let lacking = REVIEW_RESULTS
                .into_iter()
                .filter(|word| !self.words.iter().any(|known| known == word));
            let lacking: Vec<String> = lacking.map(|word| format!("`{word}`")).collect();
            return (!lacking.is_empty()).then(|| format!("it lacks {}", lacking.join(", ")));
        }
        if ours == "reviewed_at" && family(&self.data_type) == "time" {
            return None;
        }
        if family(&self.data_type) != "text" || self.data_type == "json" {
            return Some("that is no text".into());
        }
        let longest = longest_of(ours);
        let characters = match self.data_type.as_str() {
            "varchar" | "char" => MySqlType::of(&self.column_type).size,
            // In bytes, of which a character may take four.
            "tinytext" => 255 / 4,
            _ => u32::MAX,
        };
        if characters < longest {
            return Some(format!("it holds {characters} characters, not {longest}"));
        }
        let collation = self.collation.as_deref().unwrap_or("binary");
        let plain = ["review_result", "reviewed_at"].contains(&ours);
        let set = collation.split('_').next().unwrap_or_default();
        (!plain && !CHINESE_SETS.contains(&set)).then(|| format!("{collation} holds no Chinese"))
    }

    /// A constant that the column takes, as TOML.
    fn example(&self) -> String {
        let value = match self.data_type.as_str() {
            "bit" => "0",
            "year" => "2000",
            "date" | "datetime" | "timestamp" => "\"2000-01-01\"",
            "time" => "\"00:00:00\"",
            "json" => "\"{}\"",
            "enum" => return format!("{:?}", self.words.first().map_or("", String::as_str)),
            kind if family(kind).ends_with("number") => "0",
            _ => "\"\"",
        };
        value.to_owned()
    }

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
}

/// What a reviewer's column must hold.
fn needs(ours: &str) -> String {
    let longest = longest_of(ours);
    match ours {
        "review_result" => {
            let words = REVIEW_RESULTS.map(|word| format!("`{word}`"));
            format!("{} as text or as ENUM, spelt so", words.join(", "))
        }
        "reviewed_by" => format!("a name of up to {longest} characters, Chinese ones too"),
        "reviewed_at" => {
            format!("a date with its time (DATETIME, or a text of {longest} characters)")
        }
        _ => format!("a note of up to {longest} characters, Chinese ones too"),
    }
}

fn longest_of(ours: &str) -> u32 {
    match ours {
        "review_result" => REVIEW_RESULTS.map(str::len).into_iter().max().unwrap_or(0) as u32,
        "reviewed_by" => LONGEST_REVIEWER,
        "reviewed_at" => "2026-11-22 10:00:00".len() as u32,
        _ => LONGEST_NOTE,
    }
}

/// How their column holds ours, and whether it takes NULL.
fn fit(column: &MirrorColumn, found: &ExistingColumn) -> Result<(MirrorType, bool), String> {
    if found.generated {
        return Err("is generated, so nothing can be written into it".into());
    }
    let is_carried = matches!(column.source, Source::Carried(_));
    let (held, what) = match (family(&found.data_type), column.kind) {
        // MySQL writes JSON its own way, so that no text comes back as it went.
        ("text", _) if found.data_type == "json" => (MirrorType::Integer, "a text as it is"),
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
            (MirrorType::Text(characters), "")
        }
        ("number", ValueKind::Float) => {
            let unsigned = found.column_type.contains("unsigned");
            let precision = found.precision();
            (
                MirrorType::Number {
                    precision,
                    unsigned,
                },
                "",
            )
        }
        ("whole number", ValueKind::Integer) if found.data_type == "bigint" => {
            (MirrorType::Integer, "")
        }
        ("time", ValueKind::Time) => (found.time(), ""),
        ("time", _) if is_carried && found.data_type == "timestamp" => (
            MirrorType::Integer,
            "a plant's local time: an application would read it in its session's zone (DATETIME can)",
        ),
        ("time", _) if is_carried && found.nullable => (found.time(), ""),
        ("time", _) if is_carried && found.data_type == "datetime" => {
            return Err(format!("is {} and {NO_NULL}", found.column_type));
        }
        (_, ValueKind::Float) => (MirrorType::Integer, "a number with fractions"),
        (_, ValueKind::Integer) => (MirrorType::Integer, "a whole number of 64 bits"),
        (_, ValueKind::Time) => (MirrorType::Integer, "a time"),
        (_, ValueKind::Word(_) | ValueKind::Text) => (MirrorType::Integer, "a text"),
    };
    if !what.is_empty() {
        return Err(format!(
            "is {}, which cannot take {what}",
            found.column_type
        ));
    }
    Ok((held, found.nullable))
}

impl ExistingColumn {
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

    /// Whether a number, as the column rounds it, is within what it holds.
    fn holds_number(&self, number: f64) -> bool {
        let unsigned = self.column_type.contains("unsigned");
        let bits = match self.data_type.as_str() {
            "tinyint" => 8,
            "smallint" => 16,
            "mediumint" => 24,
            "int" => 32,
            "bigint" => 64,
            "bit" => {
                let beyond = 2_f64.powi(MySqlType::of(&self.column_type).size as i32);
                return number.fract() == 0.0 && (0.0..beyond).contains(&number);
            }
            // Two digits are a year of this century or the last.
            "year" => {
                let holds = (0.0..100.0).contains(&number) || (1901.0..=2155.0).contains(&number);
                return number.fract() == 0.0 && holds;
            }
            _ => {
                let largest = match self.precision() {
                    Precision::Double => f64::MAX,
                    Precision::Single => f64::from(f32::MAX),
                    Precision::Decimal(digits, behind)
                    | Precision::SingleDecimal(digits, behind) => {
                        let (whole, behind) =
                            (i32::from(digits - behind.min(digits)), i32::from(behind));
                        10_f64.powi(whole) - 0.5 * 10_f64.powi(-behind)
                    }
                };
                return number.abs() < largest && !(unsigned && number < 0.0);
            }
        };
        let (least, beyond) = match unsigned {
            true => (0.0, 2_f64.powi(bits)),
            false => (-2_f64.powi(bits - 1), 2_f64.powi(bits - 1)),
        };
        number.fract() == 0.0 && (least..beyond).contains(&number)
    }
}

/// Why a column does not take a constant.
fn refused(constant: &Constant, found: &ExistingColumn) -> Option<String> {
    if found.generated {
        return Some("it is generated, so nothing can be written into it".into());
    }
    let kind = &found.column_type;
    let number = match constant {
        // MySQL takes a text into BIT byte by byte.
        Constant::Text(_) if found.data_type == "bit" => None,
        Constant::Text(text) => text.trim().parse().ok(),
        Constant::Whole(number) => Some(*number as f64),
        Constant::Number(number) => Some(*number),
        Constant::Truth(truth) => Some(f64::from(*truth)),
    };
    let shown = match constant {
        Constant::Text(text) => format!("\"{text}\""),
        Constant::Whole(number) => number.to_string(),
        Constant::Number(number) => number.to_string(),
        Constant::Truth(truth) => truth.to_string(),
    };
    let text = shown.trim_matches('"');
    let family = match found.data_type.as_str() {
        "date" => "time",
        "bit" | "year" => "whole number",
        kind => family(kind),
    };
    let fits = match family {
        "number" | "whole number" => number.is_some_and(|number| found.holds_number(number)),
        "time" => text.len() >= 8 && text.starts_with(|c: char| c.is_ascii_digit()),
        "text" if ["varchar", "char"].contains(&found.data_type.as_str()) => {
            text.chars().count() <= MySqlType::of(kind).size as usize
        }
        _ if found.data_type == "enum" => kind.contains(&format!("'{}'", text.to_lowercase())),
        _ => true,
    };
    (!fits).then(|| format!("{shown} does not fit a column of {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn existing(kind: &str) -> ExistingColumn {
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
    fn the_constant_that_is_shown_for_a_column_fits_it() {
        for (kind, example, refuses) in [
            ("date", "\"2000-01-01\"", "\"\""),
            ("datetime(3)", "\"2000-01-01\"", "\"\""),
            ("time", "\"00:00:00\"", ""),
            ("year", "2000", "1900"),
            ("bit(1)", "0", "2"),
            ("bit(8)", "0", "-1"),
            ("bit(64)", "0", "\"\""),
            ("json", "\"{}\"", ""),
            ("int", "0", "\"\""),
            ("decimal(6,2)", "0", "\"\""),
            ("varchar(8)", "\"\"", ""),
            ("enum('未确认','ok')", "\"未确认\"", "\"\""),
        ] {
            let mut found = existing(kind);
            if kind.starts_with("enum") {
                found.words = vec!["未确认".into(), "ok".into()];
            }
            assert_eq!(found.example(), example, "{kind}");
            let constant = |text: &str| match text.parse() {
                Ok(number) => Constant::Whole(number),
                Err(_) => Constant::Text(text.trim_matches('"').into()),
            };
            assert_eq!(refused(&constant(example), &found), None, "{kind}");
            if !refuses.is_empty() {
                assert!(refused(&constant(refuses), &found).is_some(), "{kind}");
            }
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
