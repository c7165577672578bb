//! What the old configuration itself says of columns.

use weldfleet_words::{Words, words};

use super::{
    Adoption,
    targets::{TARGETS, Target, same},
};
use crate::{AdoptError, OldConfig, old::MappedColumn};

/// Where the old service's verdict is, for people to compare with.
pub(super) const PREVIOUS: &str = "previous_result";

/// Its map of columns, as far as these are ours.
#[derive(Default)]
pub(super) struct Told {
    /// Each by our name.
    pub columns: Vec<(&'static str, MappedColumn)>,
    /// Keys that mean no column of ours, or one that another key means already.
    pub unknown: Vec<String>,
}

impl Told {
    pub fn of(old: &OldConfig) -> Result<Self, AdoptError> {
        let mut told = Self::default();
        let Some(map) = old.column_map() else {
            return Ok(told);
        };
        told.unknown = map.unused;
        for new in map.columns {
            let Some(ours) = ours_of(&new.key) else {
                told.unknown.push(new.path);
                continue;
            };
            let mut columns = told.columns.iter();
            if let Some((first, _)) = columns.find(|(_, other)| other.theirs == new.theirs) {
                return Err(AdoptError::ColumnTwice {
                    key: map.path,
                    first: (*first).to_owned(),
                    second: ours.to_owned(),
                    theirs: new.theirs,
                });
            }
            let mut columns = told.columns.iter_mut();
            let Some((_, known)) = columns.find(|(known, _)| *known == ours) else {
                told.columns.push((ours, new));
                continue;
            };
            // A name of ours surely means it, and another may.
            match (same(ours, &known.key), same(ours, &new.key)) {
                (true, false) => told.unknown.push(new.path),
                (false, true) => told.unknown.push(std::mem::replace(known, new).path),
                _ => {
                    return Err(AdoptError::MappedTwice {
                        key: map.path,
                        ours: ours.to_owned(),
                        first: known.theirs.clone(),
                        second: new.theirs,
                    });
                }
            }
        }
        Ok(told)
    }

    pub fn column(&self, ours: &str) -> Option<&MappedColumn> {
        let mut columns = self.columns.iter();
        columns
            .find(|(known, _)| *known == ours)
            .map(|(_, column)| column)
    }
}

/// Which of ours a key means: the one of that name, before any that is called so elsewhere.
fn ours_of(key: &str) -> Option<&'static str> {
    let mut ours = TARGETS.iter().map(|target| target.ours).chain([PREVIOUS]);
    ours.find(|ours| same(ours, key)).or_else(|| {
        let mut targets = TARGETS.iter();
        let is_called = |target: &&Target| {
            let mut names = target.names.split(' ');
            names.any(|name| same(name, key))
        };
        targets.find(is_called).map(|target| target.ours)
    })
}

/// Asks about one that the table has not; `of_kind`: those that it might be.
pub(super) fn ask(
    adoption: &mut Adoption,
    (section, ours): (&'static str, &str),
    told: &MappedColumn,
    of_kind: Words,
) {
    let (path, theirs, Words { en, zh }) = (&told.path, &told.theirs, of_kind);
    let why = words!(
        "`{path}` names `{theirs}`, which the table has not; of this kind it has: {en}",
        "`{path}` 指定了 `{theirs}`，但表中没有；同类的列有：{zh}",
    );
    adoption.question(section, ours, theirs.as_str(), why);
}
