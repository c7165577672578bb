//! The plant's column names, ours to theirs.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeMap as _,
};
use weldfleet_weld::columns::ValueKind;

/// Columns that identify and describe a weld; read from the source table.
pub const INPUT_COLUMNS: &[&str] = &[
    "record_id",
    "data_date",
    "ck_local_time",
    "part_no",
    "spot_name",
    "timer_name",
    "umax",
    "imax",
    "u_curve",
    "i_curve",
];

/// Columns the fleet writes back to the source table.
pub const RESULT_COLUMNS: &[&str] = weldfleet_weld::columns::RESULT_COLUMN_NAMES;

/// Ground truth of simulated or destructively tested welds; optional in a plant's table.
pub const TRUTH_COLUMNS: &[&str] = &[
    "label",
    "label_defect",
    "measured_diameter",
    "measured_indentation",
    "measured_front_thickness",
    "measured_stack_thickness",
];

/// What a person compares verdicts with and nobody judges by; optional in a plant's table.
pub const COMPARED_COLUMNS: &[&str] = &["previous_result"];

/// What labels and other services call the two verdicts, lower case. Numbers are none: 1 is OK to one and NOK to the
/// next.
pub const NOK_WORDS: &[&str] = &["nok", "ng", "bad", "nio", "n.i.o.", "不合格"];
pub const OK_WORDS: &[&str] = &["ok", "good", "io", "i.o.", "合格"];

/// What tells a record of MySQL from all others; `ck_ticks` is the time as ClickHouse stores it.
pub const MIRROR_KEY: [&str; 4] = ["data_date", "ck_ticks", "ck_local_time", "record_id"];

/// What people find a record of MySQL by; and how that is held; the others of its columns are result columns.
pub const DESCRIBING_COLUMNS: [(&str, ValueKind); 5] = [
    ("part_no", ValueKind::Word(255)),
    ("spot_name", ValueKind::Word(255)),
    ("timer_name", ValueKind::Word(255)),
    ("umax", ValueKind::Float),
    ("imax", ValueKind::Float),
];

/// Columns of MySQL that a reviewer fills, in the console or elsewhere, and no worker or mirror does.
pub const REVIEW_COLUMNS: [&str; 4] =
    ["review_result", "reviewed_by", "reviewed_at", "review_note"];

/// What can be said of a NOK weld, as `review_result` holds it.
pub const REVIEW_RESULTS: [&str; 3] = ["confirmed", "false alarm", "unsure"];

/// Characters of a reviewer's name: of a user of the console.
pub const LONGEST_REVIEWER: u32 = 64;

/// Characters of a review's note: what the most usual column of texts holds.
pub const LONGEST_NOTE: u32 = 255;

/// The most characters of a name that every store takes.
const LONGEST_NAME: usize = 64;

/// `[columns]`: our name to the plant's; a column that is not listed has our name. What has no name of ours by itself
/// gets one in `[columns.carried]` (texts, for people) and `[columns.scalars]` (numbers, for models too).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    names: BTreeMap<String, String>,
    carried: BTreeMap<String, String>,
    scalars: BTreeMap<String, String>,
}

impl Columns {
    /// The plant's name of one of our columns.
    pub fn name<'a>(&'a self, ours: &'a str) -> &'a str {
        self.names.get(ours).map_or(ours, String::as_str)
    }

    /// Columns that are carried as text: ours and theirs, in the order in which every store has them.
    pub fn carried(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(&self.carried)
    }

    /// Further numbers of a weld: ours and theirs, in order.
    pub fn scalars(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(&self.scalars)
    }

    /// All names that a mapping may use, in contract order.
    pub fn known() -> impl Iterator<Item = &'static str> {
        [
            INPUT_COLUMNS,
            RESULT_COLUMNS,
            TRUTH_COLUMNS,
            COMPARED_COLUMNS,
        ]
        .into_iter()
        .flatten()
        .copied()
    }

    fn check(&self) -> Result<(), String> {
        for (ours, theirs) in &self.names {
            if !Self::known().any(|known| known == ours) {
                return Err(format!(
                    "unknown column `{ours}`, expected one of: {}",
                    Self::known().collect::<Vec<_>>().join(", ")
                ));
            }
            if theirs.is_empty() {
                return Err(format!(
                    "column `{ours}` is mapped to an empty name; remove the line to use our name"
                ));
            }
        }
        // Also against the columns that keep our name: a result written over an input would be the end of it.
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        let optional = |ours: &str| {
            let may_lack = TRUTH_COLUMNS.contains(&ours) || COMPARED_COLUMNS.contains(&ours);
            may_lack && !self.names.contains_key(ours)
        };
        for ours in Self::known().filter(|ours| !optional(ours)) {
            let theirs = self.name(ours);
            if let Some(other) = taken.insert(theirs, ours) {
                return Err(format!(
                    "`{other}` and `{ours}` are both mapped to `{theirs}`; each needs a column of its own"
                ));
            }
        }
        self.check_further()
    }

    /// Everything that is wrong with the names that a plant gives, at once.
    fn check_further(&self) -> Result<(), String> {
        let mut problems = Vec::new();
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        for (section, columns) in [("carried", &self.carried), ("scalars", &self.scalars)] {
            for (ours, theirs) in columns {
                // MySQL does not tell upper from lower case.
                let plain = ours.to_lowercase();
                let twin = taken.insert(plain.clone(), section);
                let problem = if let Some(what) = taken_by_us(&plain) {
                    format!("is {what} already")
                } else if !is_name(ours) {
                    format!(
                        "is no name of letters, digits and _, at most {LONGEST_NAME} characters"
                    )
                } else if theirs.is_empty() {
                    "is mapped to an empty name".to_owned()
                } else if let Some(other) = twin {
                    format!("is in [columns.{other}] too")
                } else {
                    continue;
                };
                problems.push(format!("columns.{section}: `{ours}` {problem}"));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{}; give each a name of its own, such as body_no = \"rfid\"",
            problems.join("; ")
        ))
    }
}

fn pairs(columns: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    let columns = columns.iter();
    columns.map(|(ours, theirs)| (ours.as_str(), theirs.as_str()))
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || c == '_';
    name.chars().all(fits)
        && !name.starts_with(|c: char| c.is_numeric())
        && (1..=LONGEST_NAME).contains(&name.chars().count())
}

/// What a name means already.
fn taken_by_us(name: &str) -> Option<&'static str> {
    if RESULT_COLUMNS.contains(&name) {
        Some("a result column")
    } else if Columns::known().any(|known| known == name) {
        Some("a column of ours")
    } else if MIRROR_KEY.contains(&name) || REVIEW_COLUMNS.contains(&name) {
        Some("a column of the mirror")
    } else {
        None
    }
}

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (ours, theirs) in &self.names {
            map.serialize_entry(ours, theirs)?;
        }
        map.serialize_entry("carried", &self.carried)?;
        map.serialize_entry("scalars", &self.scalars)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ColumnsVisitor)
    }
}

struct ColumnsVisitor;

impl<'de> Visitor<'de> for ColumnsVisitor {
    type Value = Columns;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("column names, ours = \"theirs\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
        let mut columns = Columns::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "carried" => columns.carried = map.next_value()?,
                "scalars" => columns.scalars = map.next_value()?,
                _ => {
                    let theirs = map.next_value()?;
                    columns.names.insert(key, theirs);
                }
            }
        }
        columns.check().map_err(A::Error::custom)?;
        Ok(columns)
    }
}
