//! What an application's table demands besides: values that the settings give once and for all.

use weldfleet_settings::Constant;

use crate::{
    errors::SchemaFault,
    mirror_layout::{MirrorLayout, Precision},
    mysql::existing_table::{ExistingColumn, ExistingTable, GENERATED, MySqlType, family},
};

impl ExistingTable {
    pub(super) fn check_constants(&self, layout: &MirrorLayout, faults: &mut Vec<SchemaFault>) {
        for (name, constant) in &layout.constants {
            if let Some((problem, remedy)) = self.constant_fault(layout, name, constant) {
                let key = format!("mysql.constants.{name}");
                faults.push(SchemaFault::new(key, problem, remedy));
            }
        }
    }

    /// What is wrong with a constant, and what to do.
    fn constant_fault(
        &self,
        layout: &MirrorLayout,
        name: &str,
        constant: &Constant,
    ) -> Option<(String, String)> {
        let keep_one = || "keep one of the two".to_owned();
        if let Some(ours) = layout.mapped_to(name) {
            return Some((format!("`{ours}` is mapped to this column"), keep_one()));
        }
        if layout.is_review(name) {
            return Some(("a reviewer fills this column".to_owned(), keep_one()));
        }
        let Some(found) = self.column(name) else {
            let remedy = format!("remove the line; there are: {}", self.names());
            return Some(("no such column".to_owned(), remedy));
        };
        Some((
            refused(constant, found)?,
            "give a value that it takes".to_owned(),
        ))
    }
}

impl ExistingColumn {
    /// A constant that the column takes, as TOML.
    pub(super) fn example(&self) -> String {
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
        return Some(format!("it {GENERATED}"));
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
    use super::{super::tests::existing, *};

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
}
