//! The plant's columns: which of them is which of ours.

use std::collections::{BTreeMap, BTreeSet};

use weldfleet_settings::columns::RESULT_COLUMNS;
use weldfleet_words::{Words, words};

use crate::{
    Facts, OldConfig,
    facts::{SourceColumn, SourceTable, name_beside},
};

use super::{
    Adoption, listed, number,
    targets::{TARGETS, Target, Wanted, fits, names_of, of_kind, same},
    told::{self, Told},
};

/// The plant's columns by our names.
#[derive(Debug, Default)]
pub(super) struct ColumnMap {
    theirs: BTreeMap<&'static str, String>,
}

impl ColumnMap {
    pub fn get(&self, ours: &str) -> Option<&str> {
        self.theirs.get(ours).map(String::as_str)
    }

    /// Whether one of ours is that column already.
    pub fn uses(&self, theirs: &str) -> bool {
        self.theirs.values().any(|used| used == theirs)
    }

    /// Carried columns, ours.
    pub fn carried(&self) -> impl Iterator<Item = &'static str> {
        TARGETS
            .iter()
            .filter(|target| {
                target.section == "columns.carried" && self.theirs.contains_key(target.ours)
            })
            .map(|target| target.ours)
    }
}

pub(super) fn plan(
    adoption: &mut Adoption,
    facts: &Facts,
    table: Option<&SourceTable>,
    told: &Told,
) -> ColumnMap {
    adoption.unknown.extend_from_slice(&told.unknown);
    let mut map = ColumnMap::default();
    let taken = told.columns.iter().map(|(_, told)| told.theirs.clone());
    let mut taken: BTreeSet<String> = taken.collect();
    for target in TARGETS {
        if let Some(told) = told.column(target.ours) {
            if let Some(table) = table
                && table.column(&told.theirs).is_none()
            {
                let of_kind = of_kind(table, target.form);
                told::ask(adoption, (target.section, target.ours), told, of_kind);
                continue;
            }
            map.theirs.insert(target.ours, told.theirs.clone());
            if told.theirs != target.ours || target.section != "columns" {
                adoption.mapped(
                    target.section,
                    target.ours,
                    told.theirs.as_str(),
                    &told.path,
                );
            }
            continue;
        }
        let Some(table) = table else { continue };
        guess(adoption, target, table, &mut taken, &mut map);
    }
    if let (Some(table), Ok(seen)) = (table, &facts.source) {
        note_unreadable(adoption, table, &map);
        results(adoption, table, seen);
    }
    map
}

/// What the plant calls a column of ours, as the old configuration or its own name tells it.
pub fn name_in(old: &OldConfig, table: &SourceTable, ours: &'static str) -> Option<String> {
    let told = Told::of(old).unwrap_or_default();
    let target = TARGETS.iter().find(|target| target.ours == ours)?;
    let guessed = || {
        let columns = table.columns.iter();
        let fitting: Vec<&SourceColumn> =
            columns.filter(|column| fits(target.form, column)).collect();
        let mut names = names_of(ours).into_iter();
        let column = names.find_map(|name| fitting.iter().find(|column| same(name, &column.name)));
        column.map(|column| column.name.clone())
    };
    told.column(ours)
        .map(|column| column.theirs.clone())
        .filter(|theirs| table.column(theirs).is_some())
        .or_else(guessed)
}

fn guess(
    adoption: &mut Adoption,
    target: &Target,
    table: &SourceTable,
    taken: &mut BTreeSet<String>,
    map: &mut ColumnMap,
) {
    let mut candidates: Vec<&SourceColumn> = Vec::new();
    for name in names_of(target.ours) {
        let named = table.columns.iter().filter(|column| {
            same(name, &column.name) && fits(target.form, column) && !taken.contains(&column.name)
        });
        for column in named {
            if !candidates.contains(&column) {
                candidates.push(column);
            }
        }
    }
    let Some(first) = candidates.first() else {
        let (ours, Words { en, zh }) = (target.ours, of_kind(table, target.form));
        let why = match target.wanted {
            Wanted::Needed => words!(
                "which column is `{ours}`? of its kind the table has: {en}",
                "哪一列是 `{ours}`？同类的列有：{zh}",
            ),
            Wanted::Asked => words!(
                "which column is `{ours}`? leave it out if there is none; of its kind the table has: {en}",
                "哪一列是 `{ours}`？没有则不必填写；同类的列有：{zh}",
            ),
            Wanted::IfThere => return,
        };
        adoption.question(target.section, target.ours, "", why);
        return;
    };
    taken.insert(first.name.clone());
    map.theirs.insert(target.ours, first.name.clone());
    let is_own_name = first.name == target.ours;
    if is_own_name && target.section == "columns" {
        return;
    }
    let kind = &first.kind;
    let mut why = words!("by its name; its type is {kind}", "按列名；类型为 {kind}");
    if let [_, others @ ..] = candidates.as_slice()
        && !others.is_empty()
    {
        let others: Vec<&str> = others.iter().map(|column| column.name.as_str()).collect();
        let Words { en, zh } = listed(&others);
        why = why.and(&words!("it might be {en} too", "也可能是 {zh}"));
    }
    adoption.guessed(target.section, target.ours, first.name.as_str(), why);
}

/// Result columns whose name is somebody else's in the plant's table; ours are beside them, or will be.
fn results(adoption: &mut Adoption, table: &SourceTable, seen: &SourceTable) {
    for ours in RESULT_COLUMNS {
        let beside = name_beside(ours);
        let why = if table.column(ours).is_some() {
            words!(
                "the table has a `{ours}` that the fleet did not make; the old service's is left alone, `scheduler migrate` adds this one",
                "表中已有不是 weldfleet 建立的 `{ours}`；旧服务的列不动，`scheduler migrate` 会增加本列",
            )
        } else if seen.column(&beside).is_some() {
            words!(
                "an earlier `scheduler migrate` added this column",
                "本列由之前的 `scheduler migrate` 添加",
            )
        } else {
            continue;
        };
        adoption.guessed("columns", ours, beside, why);
    }
}

/// Rows without a number where a weld needs one.
fn note_unreadable(adoption: &mut Adoption, table: &SourceTable, map: &ColumnMap) {
    for ours in ["umax", "imax"] {
        let Some(name) = map.get(ours) else {
            continue;
        };
        let values = table.values(name);
        let is_none = |value: &Option<&str>| number(*value).is_none_or(|value| value <= 0.0);
        let (unreadable, rows) = (
            values.iter().filter(|value| is_none(value)).count(),
            values.len(),
        );
        if unreadable > 0 {
            adoption.notes.push(words!(
                "{unreadable} of the last {rows} rows have no `{name}` above 0: they will be `invalid`",
                "最近 {rows} 行中有 {unreadable} 行没有大于 0 的 `{name}`：将标为 `invalid`（无效）",
            ));
        }
    }
}
