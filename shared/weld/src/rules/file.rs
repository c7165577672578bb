//! `rules.toml`: the settings of all parts, with overrides for some.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::settings::RuleSettings;
use crate::BadValue;

/// The parsed file. `[parts."NAME".…]` holds only what differs from the settings of all parts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RulesFile {
    /// For every part that is not named.
    pub all: RuleSettings,
    /// For the named ones, complete.
    pub parts: BTreeMap<String, RuleSettings>,
}

/// Why a `rules.toml` was refused.
#[derive(Debug, thiserror::Error)]
pub enum RulesFileError {
    #[error("not valid TOML")]
    Syntax(#[source] toml::de::Error),
    /// An unknown key or a value of the wrong type.
    #[error("{place}{problem}")]
    Shape {
        /// Empty, or `parts."NAME": `.
        place: String,
        /// What is wrong, with the key.
        problem: String,
    },
    /// A value outside its range.
    #[error(transparent)]
    Value(#[from] BadValue),
}

impl RulesFile {
    /// Parses and checks the file's content.
    ///
    /// # Errors
    /// [`RulesFileError`], naming the key and, in an override, the part.
    pub fn from_toml(text: &str) -> Result<Self, RulesFileError> {
        let mut table: Table = text.parse().map_err(RulesFileError::Syntax)?;
        let parts = match table.remove("parts") {
            None => Table::new(),
            Some(Value::Table(parts)) => parts,
            Some(_) => {
                return Err(shape(
                    "",
                    "`parts` must be a table, as in [parts.\"NAME\".expulsion]",
                ));
            }
        };
        let all = settings(table.clone(), "")?;
        all.check()?;
        let mut named = BTreeMap::new();
        for (part, changes) in parts {
            let place = format!("parts.{part:?}");
            let Value::Table(changes) = changes else {
                return Err(shape(
                    &place,
                    "must be a table, as in [parts.\"NAME\".expulsion]",
                ));
            };
            let mut merged = table.clone();
            lay_over(&mut merged, changes);
            let merged = settings(merged, &place)?;
            merged.check().map_err(|problem| problem.within(&place))?;
            named.insert(part, merged);
        }
        Ok(Self { all, parts: named })
    }

    #[must_use]
    pub fn settings(&self, part_no: &str) -> &RuleSettings {
        self.parts.get(part_no).unwrap_or(&self.all)
    }
}

fn settings(table: Table, place: &str) -> Result<RuleSettings, RulesFileError> {
    RuleSettings::deserialize(table).map_err(|error| shape(place, error.to_string().trim_end()))
}

fn shape(place: &str, problem: &str) -> RulesFileError {
    let place = if place.is_empty() {
        String::new()
    } else {
        format!("{place}: ")
    };
    RulesFileError::Shape {
        place,
        problem: problem.replace('\n', " "),
    }
}

/// Lays `changes` over `base`: tables are merged, everything else is replaced.
fn lay_over(base: &mut Table, changes: Table) {
    for (key, change) in changes {
        match (base.get_mut(&key), change) {
            (Some(Value::Table(inner)), Value::Table(change)) => lay_over(inner, change),
            (_, change) => {
                base.insert(key, change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_states_every_default() {
        let text = include_str!("../../../../config/rules.toml");
        let file = RulesFile::from_toml(text).unwrap();
        assert_eq!(file, RulesFile::default());
        let shipped: Table = text.parse().unwrap();
        let complete = Table::try_from(RuleSettings::default()).unwrap();
        let keys = |table: &Table| {
            let mut keys = Vec::new();
            for (section, value) in table {
                match value {
                    Value::Table(inner) => {
                        keys.extend(inner.keys().map(|key| format!("{section}.{key}")))
                    }
                    _ => keys.push(section.clone()),
                }
            }
            keys.sort();
            keys
        };
        assert_eq!(keys(&shipped), keys(&complete));
        file.all.check().unwrap();
    }

    #[test]
    fn a_part_takes_what_it_does_not_override_from_all() {
        let file = RulesFile::from_toml(
            "[expulsion]\nflag = 0.2\n[parts.\"零件 7\".expulsion]\nwarn = 0.05\n[parts.P2]\nnok_on = []\n",
        )
        .unwrap();
        assert_eq!(file.settings("零件 7").expulsion.flag, 0.2);
        assert_eq!(file.settings("零件 7").expulsion.warn, 0.05);
        assert_eq!(file.settings("other").expulsion.warn, 0.06);
        assert!(file.settings("P2").nok_on.is_empty());
    }

    #[test]
    fn errors_name_the_key_and_the_part() {
        let cases = [
            ("[expulsion]\nflagg = 0.1", "unknown field `flagg`"),
            ("[expulsion]\nflagg = 0.1", "in `expulsion"),
            ("[expulsions]\nflag = 0.1", "unknown field `expulsions`"),
            ("[expulsion]\nflag = \"high\"", "in `expulsion.flag`"),
            (
                "[expulsion]\nflag = 10",
                "`expulsion.flag` is 10: give a number above 0, at most 1",
            ),
            (
                "[expulsion]\nwarn = 0.2",
                "`expulsion.warn` is 0.2: it may not be above `expulsion.flag`, which is 0.1",
            ),
            (
                "nok_on = [\"expulsion:bad\"]",
                "`expulsion:bad` is neither a rule nor rule:flag nor rule:warn",
            ),
            (
                "nok_on = [\"explosion\"]",
                "rules are expulsion, interruption, resistance_peak",
            ),
            (
                "[resistance_peak]\nmeasure = \"area\"",
                "unknown variant `area`, expected `prominence` or `height`",
            ),
            (
                "[resistance_peak]\nmeasure = \"height\"\nmin_prominence_mohm = 0.05",
                "`resistance_peak.min_prominence_mohm` is 0.05: it may not be above `resistance_peak.warn_mohm`, which is 0.01",
            ),
            (
                "[resistance_peak]\nbegin_after_ms = -1.0",
                "`resistance_peak.begin_after_ms` is -1: give a number from 0 to 1000000",
            ),
            ("parts = 3", "`parts` must be a table"),
            ("[parts]\nP1 = 3", "parts.\"P1\": must be a table"),
            (
                "[parts.P1.expulsion]\nflagg = 1",
                "parts.\"P1\": unknown field `flagg`",
            ),
            (
                "[parts.P1.expulsion]\nflag = -1.0",
                "`parts.\"P1\".expulsion.flag` is -1",
            ),
            (
                "[pulses]\nmain_ms = [400, 300]",
                "`pulses.main_ms` is [400, 300]: give [shortest, longest] with 0 <= shortest <= longest",
            ),
            (
                "[pulses]\ncurrent_floor_ka = 0.0",
                "`pulses.current_floor_ka` is 0",
            ),
        ];
        for (text, wanted) in cases {
            let error = RulesFile::from_toml(text).unwrap_err().to_string();
            assert!(
                error.contains(wanted),
                "{text:?} gave {error:?}, which lacks {wanted:?}"
            );
            assert!(!error.contains('\n'), "{error:?}");
        }
        assert!(matches!(
            RulesFile::from_toml("[expulsion"),
            Err(RulesFileError::Syntax(_))
        ));
    }
}
