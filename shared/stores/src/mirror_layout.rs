//! What the mirror holds of a weld: which of our columns, where they lie in MySQL, and how they are held there.
//!
//! A table of the fleet's own has all of them under our names. A table that an application reads has those that
//! `[mysql.columns]` names, as its own columns can hold them: a text is cut where the column ends, a number rounded to
//! its digits. That is done where the values are read, in ClickHouse, so that both stores hold the same and no
//! difference is found for ever.

use std::collections::BTreeSet;

use weldfleet_settings::{
    Constant, Settings,
    columns::{DESCRIBING_COLUMNS, MIRROR_KEY, REVIEW_COLUMNS},
};
use weldfleet_weld::columns::{RESULT_COLUMNS, ValueKind};

use crate::commas;

/// Characters of a carried text in a table of the fleet's own.
const CARRIED: u16 = 255;

/// Whose values a column has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A column that every fleet has.
    Known(&'static str),
    /// One of `[columns.carried]`.
    Carried(String),
}

/// What a column of texts takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Characters {
    pub most: Option<u32>,
    /// No character beyond U+FFFF: MySQL's three-byte UTF-8.
    pub basic_plane: bool,
    /// Blanks at the end are not kept: CHAR.
    pub no_trailing_blanks: bool,
}

/// What a column of numbers takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    Double,
    Single,
    /// DECIMAL or DOUBLE of so many digits, so many of them behind the point.
    Decimal(u8, u8),
    /// FLOAT of so many digits.
    SingleDecimal(u8, u8),
}

/// How a column of MySQL holds its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MirrorType {
    Text(Characters),
    Number {
        precision: Precision,
        unsigned: bool,
    },
    Integer,
    /// To so many digits of a second.
    Time(u8),
}

impl MirrorType {
    /// As a table of the fleet's own has it.
    fn own(kind: ValueKind) -> Self {
        match kind {
            ValueKind::Word(longest) => Self::Text(Characters {
                most: Some(longest.into()),
                ..Characters::default()
            }),
            ValueKind::Text => Self::Text(Characters::default()),
            ValueKind::Float => Self::Number {
                precision: Precision::Double,
                unsigned: false,
            },
            ValueKind::Integer => Self::Integer,
            ValueKind::Time => Self::Time(3),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MirrorColumn {
    pub source: Source,
    /// Its name in MySQL.
    pub theirs: String,
    /// What it is with us.
    pub kind: ValueKind,
    pub held: MirrorType,
    /// Where it takes no NULL, an empty text or 0 stands for "there is none".
    pub takes_null: bool,
}

impl MirrorColumn {
    pub fn ours(&self) -> &str {
        match &self.source {
            Source::Known(name) => name,
            Source::Carried(name) => name,
        }
    }

    /// Characters it holds of a text that may be longer.
    fn cuts_at(&self) -> Option<u32> {
        let longest = match self.kind {
            // OK or NOK.
            _ if self.ours() == "final_result" => 3,
            ValueKind::Word(longest) => longest.into(),
            ValueKind::Text => u32::MAX,
            _ => return None,
        };
        match self.held {
            MirrorType::Text(characters) => characters.most.filter(|most| *most < longest),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MirrorLayout {
    /// Names of the key's columns, in the order of [`MIRROR_KEY`].
    pub key: [String; 4],
    /// What is held behind the key, in order.
    pub columns: Vec<MirrorColumn>,
    /// The columns that a reviewer fills, ours and theirs.
    pub review: Vec<(&'static str, String)>,
    /// Name and value of what an application demands besides.
    pub constants: Vec<(String, Constant)>,
    /// Whether an application reads the table and has rows of its own in it.
    pub is_applications: bool,
}

impl MirrorLayout {
    pub fn of(settings: &Settings) -> Self {
        let map = &settings.mysql.columns;
        let is_applications = !map.is_empty();
        let theirs = |ours: &str| match map.get(ours) {
            Some(theirs) => Some(theirs.clone()),
            None if is_applications => None,
            None => Some(ours.to_owned()),
        };
        let known = DESCRIBING_COLUMNS.map(|(name, kind)| (Source::Known(name), kind));
        let results = RESULT_COLUMNS.iter().filter(|column| column.mirrored);
        let results = results.map(|column| (Source::Known(column.name), column.kind));
        let carried = settings.columns.carried().map(|(ours, _)| {
            let source = Source::Carried(ours.to_owned());
            (source, ValueKind::Word(CARRIED))
        });
        let mut columns = Vec::new();
        for (source, kind) in known.into_iter().chain(results).chain(carried) {
            let mut column = MirrorColumn {
                source,
                theirs: String::new(),
                kind,
                held: MirrorType::own(kind),
                takes_null: true,
            };
            if let Some(theirs) = theirs(column.ours()) {
                column.theirs = theirs;
                columns.push(column);
            }
        }
        Self {
            key: MIRROR_KEY.map(|ours| map.get(ours).map_or(ours, String::as_str).to_owned()),
            columns,
            review: REVIEW_COLUMNS
                .into_iter()
                .filter_map(|ours| Some((ours, theirs(ours)?)))
                .collect(),
            constants: settings
                .mysql
                .constants
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            is_applications,
        }
    }

    /// Which texts the columns cannot hold whole, for people; `None` if they hold all.
    pub fn cut_texts(&self) -> Option<String> {
        let cut = commas(self.columns.iter().filter_map(|column| {
            let (theirs, ours) = (&column.theirs, column.ours());
            let most = column.cuts_at()?;
            Some(format!("`{theirs}` holds {most} characters of `{ours}`"))
        }));
        (!cut.is_empty()).then(|| format!("longer texts are cut: {cut}"))
    }

    /// The key's columns as MySQL compares names.
    pub fn key_in_lower_case(&self) -> BTreeSet<String> {
        self.key.iter().map(|name| name.to_lowercase()).collect()
    }

    /// Whether there is a column for what a reviewer says.
    pub fn takes_reviews(&self) -> bool {
        let mut columns = self.review.iter();
        columns.any(|(ours, _)| *ours == "review_result")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_our_own_has_everything_and_an_applications_what_is_mapped() {
        let carried = serde_json::json!({"carried": {"body_no": "rfid"}});
        let mut settings = Settings {
            columns: serde_json::from_value(carried).unwrap(),
            ..Settings::default()
        };
        let own = MirrorLayout::of(&settings);
        let names: Vec<&str> = own.columns.iter().map(MirrorColumn::ours).collect();
        assert_eq!(names[0], "part_no");
        assert_eq!(names.last(), Some(&"body_no"));
        assert!(!own.is_applications && own.review.len() == 4);

        for (ours, theirs) in [("body_no", "atlas_info"), ("ck_ticks", "t")] {
            settings.mysql.columns.insert(ours.into(), theirs.into());
        }
        let mapped = MirrorLayout::of(&settings);
        assert_eq!(mapped.key, ["data_date", "t", "ck_local_time", "record_id"]);
        let [only] = &mapped.columns[..] else {
            panic!("{:?}", mapped.columns)
        };
        assert_eq!(
            (only.ours(), only.theirs.as_str()),
            ("body_no", "atlas_info")
        );
        assert_eq!(mapped.is_nok(), "TRUE");
        assert_eq!(mapped.is_reviewed(), "FALSE");
    }
}
