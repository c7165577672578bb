//! Part numbers of models beside those of rows: a folder's name that differs from them by a blank judges nothing.

use std::collections::{BTreeMap, BTreeSet};

use icu_normalizer::ComposingNormalizerBorrowed;
use weldfleet_stores::clickhouse::PartRows;

/// What the names of part models look like beside those of rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PartNames {
    /// Parts with a model that no row names.
    pub unasked: Vec<String>,
    /// Rows of a part without a model, and the parts with one that a person would read as the same.
    pub near: Vec<(PartRows, Vec<String>)>,
}

/// Compares the parts that have a model with those of rows.
pub fn compare(models: &[String], rows: &[PartRows]) -> PartNames {
    let asked: BTreeSet<&str> = rows.iter().map(|row| row.part_no.as_str()).collect();
    let mut by_reading: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for model in models {
        let alike = by_reading.entry(as_read(model)).or_default();
        alike.push(model.clone());
    }
    let without_model = rows.iter().filter(|row| !models.contains(&row.part_no));
    PartNames {
        unasked: models
            .iter()
            .filter(|model| !asked.contains(model.as_str()))
            .cloned()
            .collect(),
        near: without_model
            .filter_map(|row| Some((row.clone(), by_reading.get(&as_read(&row.part_no))?.clone())))
            .collect(),
    }
}

/// What a person reads: without blanks, whatever their kind, and what cannot be seen; upper case, full width and
/// composed letters like the plain ones.
fn as_read(part_no: &str) -> String {
    let normal = ComposingNormalizerBorrowed::new_nfkc().normalize(part_no);
    normal
        .chars()
        .filter(|letter| !letter.is_whitespace() && !letter.is_control() && !is_invisible(*letter))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Of no width, as texts copied from documents hold them: soft hyphen, marks of direction, joiners, byte order mark.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(parts: &[&str]) -> Vec<PartRows> {
        let of = |part_no: &&str| PartRows {
            part_no: (*part_no).to_owned(),
            rows: 3,
        };
        parts.iter().map(of).collect()
    }

    fn compared(models: &[&str], parts: &[&str]) -> (Vec<String>, Vec<(String, Vec<String>)>) {
        let models: Vec<String> = models.iter().map(|model| (*model).to_owned()).collect();
        let names = compare(&models, &rows(parts));
        let near = names.near.into_iter();
        (
            names.unasked,
            near.map(|(row, models)| (row.part_no, models)).collect(),
        )
    }

    #[test]
    fn a_text_that_reads_like_a_models_part_is_named() {
        let of_a = || vec!["5Q0 803 A".to_owned()];
        for part in [
            "5Q0 803 A ",
            " 5Q0 803 A",
            "5q0 803 a",
            "5Q0803A",
            "5Q0  803 A",
            "5Q0\u{a0}803 A",
            "5Q0\t803 A\r\n",
            "5Q0 803 A\0\0",
            "\u{feff}5Q0 803 A\u{200b}",
            "５Ｑ０　８０３　Ａ",
        ] {
            let (unasked, near) = compared(&["5Q0 803 A"], &[part]);
            assert_eq!(unasked, of_a(), "{part:?}");
            assert_eq!(near, [(part.to_owned(), of_a())]);
        }
        let composed = compared(&["Tür"], &["Tu\u{308}r"]).1;
        assert_eq!(composed.len(), 1);
    }

    #[test]
    fn what_is_asked_for_and_what_is_another_part_is_not() {
        let (unasked, near) = compared(&["A", "a ", "B"], &["A", "a ", "5Q0 803 B", ""]);
        assert_eq!(unasked, ["B"]);
        assert_eq!(
            near,
            [],
            "exact names are no near misses, nor are parts that nobody has a model of"
        );
        let (_, near) = compared(&["A", "a"], &["A "]);
        assert_eq!(near[0].1, ["A", "a"], "both that it could mean");
    }
}
