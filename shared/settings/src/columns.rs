//! The plant's column names, ours to theirs.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

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

/// `[columns]`: our name to the plant's; a column that is not listed has our name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Columns(BTreeMap<String, String>);

impl Columns {
    /// The plant's name of one of our columns.
    pub fn name<'a>(&'a self, ours: &'a str) -> &'a str {
        self.0.get(ours).map_or(ours, String::as_str)
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
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, String>::deserialize(deserializer)?;
        for (ours, theirs) in &map {
            if !Self::known().any(|known| known == ours) {
                return Err(D::Error::custom(format!(
                    "unknown column `{ours}`, expected one of: {}",
                    Self::known().collect::<Vec<_>>().join(", ")
                )));
            }
            if theirs.is_empty() {
                return Err(D::Error::custom(format!(
                    "column `{ours}` is mapped to an empty name; remove the line to use our name"
                )));
            }
        }
        let columns = Self(map);
        // Also against the columns that keep our name: a result written over an input would be the end of it.
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        let optional = |ours: &str| {
            let may_lack = TRUTH_COLUMNS.contains(&ours) || COMPARED_COLUMNS.contains(&ours);
            may_lack && !columns.0.contains_key(ours)
        };
        for ours in Self::known().filter(|ours| !optional(ours)) {
            let theirs = columns.name(ours);
            if let Some(other) = taken.insert(theirs, ours) {
                return Err(D::Error::custom(format!(
                    "`{other}` and `{ours}` are both mapped to `{theirs}`; each needs a column of its own"
                )));
            }
        }
        Ok(columns)
    }
}
