//! The mirror's layout as SQL.

use super::quote::identifier;
use crate::mirror_layout::{MirrorColumn, MirrorLayout};

impl MirrorColumn {
    pub fn quoted(&self) -> String {
        identifier(&self.theirs)
    }
}

impl MirrorLayout {
    /// The key's columns, quoted.
    pub fn quoted_key(&self) -> [String; 4] {
        self.key.each_ref().map(|name| identifier(name))
    }

    /// The key, and what is held behind it, quoted.
    pub fn held(&self) -> Vec<String> {
        let columns = self.columns.iter().map(MirrorColumn::quoted);
        self.quoted_key().into_iter().chain(columns).collect()
    }

    /// Every column that a row is written with, quoted: what is held, and constants.
    pub fn written(&self) -> Vec<String> {
        let constants = self.constants.iter().map(|(name, _)| identifier(name));
        self.held().into_iter().chain(constants).collect()
    }

    fn final_result(&self) -> Option<&MirrorColumn> {
        let mut columns = self.columns.iter();
        columns.find(|column| column.ours() == "final_result")
    }

    /// Whether a row of ours says NOK (SQL). Where the verdict is not held, nothing else is there.
    pub fn is_nok(&self) -> String {
        self.final_result().map_or_else(
            || "TRUE".to_owned(),
            |column| format!("({} <=> 'NOK')", column.quoted()),
        )
    }

    /// Whether a row of ours has a verdict (SQL).
    pub fn is_judged(&self) -> String {
        self.final_result().map_or_else(
            || "TRUE".to_owned(),
            |column| format!("(IFNULL({}, '') <> '')", column.quoted()),
        )
    }

    /// Whether the fleet made the row (SQL): an application's own has no key of ours.
    pub fn is_ours(&self) -> String {
        format!("{} IS NOT NULL", identifier(&self.key[1]))
    }

    /// Whether a person has written into the row (SQL). Such a row is never removed.
    pub fn is_reviewed(&self) -> String {
        let written = self.review.iter().map(|(_, name)| {
            let name = identifier(name);
            match self.is_applications {
                // It may take no NULL.
                true => format!("IFNULL(CONCAT({name}, ''), '') <> ''"),
                false => format!("{name} IS NOT NULL"),
            }
        });
        let written: Vec<String> = written.collect();
        match written.is_empty() {
            true => "FALSE".to_owned(),
            false => format!("({})", written.join(" OR ")),
        }
    }
}
