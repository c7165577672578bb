//! The plant's columns: which of them is which of ours.

use std::collections::{BTreeMap, BTreeSet};

use weldfleet_settings::columns::{NOK_WORDS, OK_WORDS, RESULT_COLUMNS, TRUTH_COLUMNS};
use weldfleet_words::{Words, words};

use crate::{
    AdoptError, Facts, OldConfig,
    facts::{SourceColumn, SourceTable, name_beside},
};

use super::{
    Adoption, listed, number,
    targets::{Form, TARGETS, Target, Wanted, fits, names_of, same},
};

/// Where the old service's verdict is, for people to compare with.
const PREVIOUS: &str = "previous_result";

/// Columns in which an old service may have left its verdict.
const OLD_VERDICTS: &[&str] = &[
    PREVIOUS,
    "final_result",
    "alg_result",
    "ai_result",
    "pred_result",
    "predict_result",
    "ml_result",
    "result",
];

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

/// Also columns that may hold the old service's verdicts.
pub(super) fn plan(
    adoption: &mut Adoption,
    old: &OldConfig,
    facts: &Facts,
) -> Result<(ColumnMap, Vec<String>), AdoptError> {
    let told = told(adoption, old)?;
    let mut map = ColumnMap::default();
    let seen = facts.source.told();
    let plants = seen.map(SourceTable::before_the_fleet);
    let table = plants.as_ref();
    let mut taken: BTreeSet<String> = told.iter().map(|(_, _, theirs)| theirs.clone()).collect();
    for target in TARGETS {
        if let Some((_, path, theirs)) = told.iter().find(|(ours, ..)| *ours == target.ours) {
            if let Some(table) = table
                && table.column(theirs).is_none()
            {
                no_such(
                    adoption,
                    target.section,
                    (target.ours, theirs),
                    path,
                    of_kind(table, target.form),
                );
                continue;
            }
            map.theirs.insert(target.ours, theirs.clone());
            if theirs != target.ours || target.section != "columns" {
                adoption.mapped(target.section, target.ours, theirs.as_str(), path);
            }
            continue;
        }
        let Some(table) = table else { continue };
        guess(adoption, target, table, &mut taken, &mut map);
    }
    if let (Some(table), Some(seen)) = (table, seen) {
        note_unreadable(adoption, table, &map);
        results(adoption, table, seen);
    }
    let verdicts = previous_result(adoption, &told, table, &map);
    Ok((map, verdicts))
}

/// A told column that the table has not.
fn no_such(
    adoption: &mut Adoption,
    section: &'static str,
    (ours, key): (&'static str, &str),
    path: &str,
    Words { en, zh }: Words,
) {
    adoption.question(
        section,
        ours,
        key,
        words!(
            "`{path}` names `{key}`, which the table has not; of this kind it has: {en}",
            "`{path}` 指定了 `{key}`，但表中没有；同类的列有：{zh}",
        ),
    );
}

/// The day and the time of a weld, by which the latest rows are found; the plant's names.
pub fn newest(old: &OldConfig, table: &SourceTable) -> (Option<String>, Option<String>) {
    let name = |ours| name_in(old, table, ours);
    (name("data_date"), name("ck_local_time"))
}

/// The column of weld programs, the plant's name.
pub fn program(old: &OldConfig, table: &SourceTable) -> Option<String> {
    name_in(old, table, "program")
}

/// A column as the old configuration or its own name tells it.
fn name_in(old: &OldConfig, table: &SourceTable, ours: &'static str) -> Option<String> {
    let told = told(&mut Adoption::default(), old).unwrap_or_default();
    let told = told.into_iter().find(|(known, ..)| *known == ours);
    let target = TARGETS.iter().find(|target| target.ours == ours)?;
    let guessed = || {
        let columns = table.columns.iter();
        let fitting: Vec<&SourceColumn> =
            columns.filter(|column| fits(target.form, column)).collect();
        let mut names = names_of(ours).into_iter();
        let column = names.find_map(|name| fitting.iter().find(|column| same(name, &column.name)));
        column.map(|column| column.name.clone())
    };
    told.map(|(_, _, theirs)| theirs)
        .filter(|theirs| table.column(theirs).is_some())
        .or_else(guessed)
}

/// What the old configuration itself says: ours, the key, theirs.
fn told(
    adoption: &mut Adoption,
    old: &OldConfig,
) -> Result<Vec<(&'static str, String, String)>, AdoptError> {
    let Some(map) = old.column_map() else {
        return Ok(Vec::new());
    };
    adoption.unknown.extend(map.unused);
    let mut told: Vec<(&'static str, String, String)> = Vec::new();
    for (path, key, theirs) in map.pairs {
        let Some(ours) = ours_of(&key) else {
            adoption.unknown.push(path);
            continue;
        };
        if let Some((first, ..)) = told.iter().find(|(_, _, other)| *other == theirs) {
            return Err(AdoptError::ColumnTwice {
                key: map.path,
                first: (*first).to_owned(),
                second: ours.to_owned(),
                theirs,
            });
        }
        let before = told.iter_mut().find(|(known, ..)| *known == ours);
        if let Some((_, known_path, first)) = before {
            // A name of ours surely means it, and another may.
            let surely = known_path
                .rsplit('.')
                .next()
                .is_some_and(|key| same(ours, key));
            match (surely, same(ours, &key)) {
                (true, false) => adoption.unknown.push(path),
                (false, true) => {
                    adoption.unknown.push(std::mem::replace(known_path, path));
                    *first = theirs;
                }
                _ => {
                    return Err(AdoptError::MappedTwice {
                        key: map.path,
                        ours: ours.to_owned(),
                        first: first.clone(),
                        second: theirs,
                    });
                }
            }
            continue;
        }
        told.push((ours, path, theirs));
    }
    Ok(told)
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

/// Answers every column that holds the old service's verdicts.
fn previous_result(
    adoption: &mut Adoption,
    told: &[(&'static str, String, String)],
    table: Option<&SourceTable>,
    map: &ColumnMap,
) -> Vec<String> {
    let told = told.iter().find(|(ours, ..)| *ours == PREVIOUS);
    let Some(table) = table else {
        let Some((_, path, theirs)) = told else {
            return Vec::new();
        };
        adoption.mapped("columns", PREVIOUS, theirs.as_str(), path);
        return vec![theirs.clone()];
    };
    let is_free = |column: &&SourceColumn| {
        let is_known = RESULT_COLUMNS.contains(&column.name.as_str())
            || TRUTH_COLUMNS.contains(&column.name.as_str());
        !is_known && !map.uses(&column.name)
    };
    let columns = table.columns.iter();
    let free = columns.filter(is_free);
    let by_values: Vec<&str> = free
        .filter(|column| holds_verdicts(table, column))
        .map(|column| column.name.as_str())
        .collect();
    let by_name = OLD_VERDICTS.iter().copied().find(|name| {
        let column = table.column(name);
        column.is_some_and(|column| holds_verdicts(table, column))
    });
    let found = match (told, by_name, by_values.as_slice()) {
        (Some((_, path, theirs)), ..) if table.column(theirs).is_some() => {
            adoption.mapped("columns", PREVIOUS, theirs.as_str(), path);
            Some(theirs.as_str())
        }
        (Some((_, path, theirs)), ..) => {
            let names = match by_values.is_empty() {
                true => of_kind(table, Form::Text),
                false => listed(&by_values),
            };
            no_such(adoption, "columns", (PREVIOUS, theirs), path, names);
            None
        }
        (None, Some(name), _) => {
            let why = words!(
                "OK and NOK of the old service, by name and values; `scheduler evaluate --against previous_result` compares",
                "按列名和取值判断是旧服务的 OK/NOK；可用 `scheduler evaluate --against previous_result` 对比",
            );
            adoption.guessed("columns", PREVIOUS, name, why);
            Some(name)
        }
        (None, None, [name]) => {
            let why = words!(
                "it holds nothing but OK and NOK, the old service's as it seems; `scheduler evaluate --against previous_result` compares",
                "该列只有 OK 和 NOK，应是旧服务的判定；可用 `scheduler evaluate --against previous_result` 对比",
            );
            adoption.guessed("columns", PREVIOUS, *name, why);
            None
        }
        (None, None, [first, ..]) => {
            let Words { en, zh } = listed(&by_values);
            let why = words!(
                "which column is the verdict of the old service? nothing but OK and NOK is in: {en}",
                "哪一列是旧服务的判定？只有 OK 和 NOK 的列有：{zh}",
            );
            adoption.question("columns", PREVIOUS, *first, why);
            None
        }
        (None, None, []) => None,
    };
    let found = found.into_iter().chain(by_values).map(str::to_owned);
    found.collect()
}

/// Whether the column says OK or NOK in every row that says something.
fn holds_verdicts(table: &SourceTable, column: &SourceColumn) -> bool {
    let values = table.values(&column.name).into_iter().flatten();
    let values: BTreeSet<String> = values
        .map(|text| text.trim().to_lowercase())
        .filter(|text| !text.is_empty() && text != "none")
        .collect();
    let is_text = column.bare() == "String" || column.bare().starts_with("Enum");
    let is_verdict = |value: &String| {
        let words = [OK_WORDS, NOK_WORDS].concat();
        words.contains(&value.as_str())
    };
    is_text && !values.is_empty() && values.iter().all(is_verdict)
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

/// Names of columns that could be it.
fn of_kind(table: &SourceTable, form: Form) -> Words {
    let columns = table.columns.iter().filter(|column| fits(form, column));
    first_of(columns.map(|column| column.name.as_str()).collect())
}

/// At most twelve of the names.
pub(super) fn first_of(mut names: Vec<&str>) -> Words {
    if names.is_empty() {
        return Words::new("-", "无");
    }
    if names.len() > 12 {
        names.truncate(12);
        names.push("…");
    }
    listed(&names)
}
