//! The columns of an application's table that reviewers fill.

use weldfleet_settings::columns::{LONGEST_NOTE, LONGEST_REVIEWER, REVIEW_RESULTS};

use crate::{
    commas,
    errors::SchemaFault,
    mirror_layout::MirrorLayout,
    mysql::existing_table::{ExistingColumn, ExistingTable, GENERATED, MySqlType, family},
};

/// Character sets in which (simplified) Chinese names and notes can be written; what one lacks besides, MySQL refuses
/// note by note.
const CHINESE_SETS: [&str; 10] = [
    "utf8mb4", "utf8mb3", "utf8", "utf16", "utf16le", "utf32", "ucs2", "gbk", "gb18030", "gb2312",
];

impl ExistingTable {
    /// What the mirror cannot do with.
    pub(super) fn check_review(&self, layout: &MirrorLayout, faults: &mut Vec<SchemaFault>) {
        for (ours, name) in &layout.review {
            let problem = match self.column(name) {
                None => format!("no column `{name}`"),
                Some(found) => match found.unfit_for_mirror() {
                    Some(why) => format!("column `{name}` is {}: it {why}", found.column_type),
                    None => continue,
                },
            };
            faults.push(self.review_fault(layout, ours, problem));
        }
    }

    /// What the console could not write. The mirror does without, so only reviews wait for another column. Columns that
    /// are mapped without `review_result` only people's own applications write, and what these hold is theirs.
    pub(in crate::mysql) fn unfit_for_reviews(&self, layout: &MirrorLayout) -> Vec<SchemaFault> {
        let review = layout.review.iter().filter(|_| layout.takes_reviews());
        let unfit = review.filter_map(|(ours, name)| {
            let found = self.column(name);
            let found = found.filter(|found| found.unfit_for_mirror().is_none())?;
            let why = found.lacks_for_review(ours)?;
            let problem = format!("column `{name}` is {}: {why}", found.column_type);
            Some(self.review_fault(layout, ours, problem))
        });
        unfit.collect()
    }

    fn review_fault(&self, layout: &MirrorLayout, ours: &str, problem: String) -> SchemaFault {
        let needs = match layout.takes_reviews() {
            true => format!(", and that holds {}", needs(ours)),
            false => String::new(),
        };
        SchemaFault::new(
            format!("mysql.columns.{ours}"),
            problem,
            format!(
                "map a column that stays empty until somebody reviews the row{needs}; there are: {}",
                self.names()
            ),
        )
    }
}

impl ExistingColumn {
    /// Why the mirror cannot do with it as a reviewer's column.
    fn unfit_for_mirror(&self) -> Option<&'static str> {
        match self.generated {
            true => Some(GENERATED),
            false => self.looks_reviewed(),
        }
    }

    /// What the column cannot hold of that which the console writes into it.
    fn lacks_for_review(&self, ours: &str) -> Option<String> {
        if ours == "review_result" && self.data_type == "enum" {
            // Words are found whatever their case, and kept as the ENUM has them.
            let lacking = REVIEW_RESULTS
                .into_iter()
                .filter(|word| !self.words.iter().any(|known| known == word));
            let lacking = commas(lacking.map(|word| format!("`{word}`")));
            return (!lacking.is_empty()).then(|| format!("it lacks {lacking}"));
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
