//! Which rows are the fleet's.

use std::collections::{BTreeMap, BTreeSet};

use weldfleet_settings::columns::RESULT_COLUMNS;
use weldfleet_words::{Words, words};

use super::{
    Adoption,
    columns::ColumnMap,
    short,
    targets::{Form, first_of, fits},
};
use crate::{
    OldConfig,
    facts::{SourceColumn, SourceTable},
    old::{Located, Old},
};

pub(super) fn plan(
    adoption: &mut Adoption,
    old: &OldConfig,
    table: Option<&SourceTable>,
    map: &ColumnMap,
    verdicts: &[String],
) {
    let mut clauses = Vec::new();
    let mut sources = Vec::new();
    let mut progress = None;
    let found = old.text(Old::Filter);
    let is_filtered = found.is_some();
    if let Some(found) = found {
        match old_verdict(&found.value, verdicts) {
            Some(column) => progress = Some((found, column)),
            None => {
                clauses.push(found.value);
                sources.push(found.path);
            }
        }
    }
    let column = |ours| Some((table?, table?.column(map.get(ours)?)?));
    let skipped = old
        .texts(Old::SkippedPrograms)
        .filter(|found| !found.value.is_empty());
    if let (Some((_, column)), Some(skipped)) = (column("program"), &skipped) {
        clauses.push(not_in(column, &skipped.value));
        sources.push(skipped.path.clone());
    }
    if !clauses.is_empty() {
        adoption.mapped("tables", "filter", all_of(&clauses), &sources.join("`, `"));
    }
    let mut asked = clauses.clone();
    if let Some((found, column)) = progress {
        // Later lines stand in the place of this one, so they say it too.
        asked.push(found.value.clone());
        of_progress(adoption, &clauses, found, &column);
    }
    let mut ask = |clause: String, why: Words| {
        asked.push(clause);
        adoption.question("tables", "filter", all_of(&asked), why);
    };
    match (column("program"), &skipped) {
        (Some(_), Some(_)) => {}
        (Some((table, column)), None) => {
            let (counts, rows) = programs(table, &column.name);
            if counts.len() > 1 || !is_filtered {
                let (name, shown) = (&column.name, in_words(&counts));
                let why = words!(
                    "which programs are tip dresses or tests, which nobody may judge? `{name}` {rows}: {shown}",
                    "哪些程序是修磨或试焊，不得判定？{rows_zh} `{name}`：{shown}",
                    rows_zh = &rows.zh,
                );
                ask(not_in(column, &tip_dresses(&counts)), why);
            }
        }
        (None, Some(skipped)) => {
            let (path, Words { en, zh }) = (&skipped.path, candidates(table, map));
            let why = words!(
                "`{path}` needs the column of weld programs, which was not found: {en}",
                "`{path}` 需要焊接程序列，但没有找到：{zh}",
            );
            ask(in_unknown_column(&skipped.value), why);
        }
        (None, None) if is_filtered => {}
        (None, None) => {
            let Words { en, zh } = candidates(table, map);
            let why = words!(
                "which welds are tip dresses or tests, which nobody may judge? No column of weld programs was found: {en}",
                "哪些是修磨或试焊，不得判定？没有找到焊接程序列：{zh}",
            );
            ask(in_unknown_column(&TIP_DRESSES.map(str::to_owned)), why);
        }
    }
    if let Some((table, column)) = column("spot_name") {
        let is_dry = |value: &Option<String>| {
            let value = value.as_deref().unwrap_or_default();
            ["", "0", "none", "null"].contains(&value.to_lowercase().as_str())
        };
        let mut dry = counted(table, &column.name);
        dry.retain(|(value, _)| is_dry(value));
        if !dry.is_empty() {
            let (name, shown) = (&column.name, in_words(&dry));
            let mut values: Vec<String> = Vec::new();
            for (value, _) in dry {
                let value = value.unwrap_or_default();
                if !values.contains(&value) {
                    values.push(value);
                }
            }
            ask(
                not_in(column, &values),
                words!(
                    "are welds without a spot dry shots, which nobody may judge? `{name}` of the last rows: {shown}",
                    "没有焊点号的是空打，不得判定吗？最近各行的 `{name}`：{shown}",
                ),
            );
        }
    }
}

/// The programs of a table's welds, and of which rows.
fn programs(table: &SourceTable, column: &str) -> (Vec<(Option<String>, u64)>, Words) {
    match table.programs.as_slice() {
        [] => (
            counted(table, column),
            Words::new("of the last rows", "最近各行的"),
        ),
        counts => (
            counts.to_vec(),
            Words::new("of the newest days", "最近几天各行的"),
        ),
    }
}

/// Those of [`TIP_DRESSES`] that occur.
fn tip_dresses(counts: &[(Option<String>, u64)]) -> Vec<String> {
    let occurs = |program: &&str| {
        let mut values = counts.iter().filter_map(|(value, _)| value.as_deref());
        values.any(|value| value.trim() == *program)
    };
    let dresses = TIP_DRESSES.into_iter().filter(occurs).map(str::to_owned);
    match dresses.collect::<Vec<_>>() {
        none if none.is_empty() => vec!["?".to_owned()],
        dresses => dresses,
    }
}

/// A condition over the column of programs that nobody found; no column is called so, so that nothing is left out by
/// mistake.
fn in_unknown_column(programs: &[String]) -> String {
    let programs: Vec<String> = programs.iter().map(|value| literal(value)).collect();
    format!("column_of_programs NOT IN ({})", programs.join(", "))
}

/// Where the programs may be: columns of few different values that are nothing else.
fn candidates(table: Option<&SourceTable>, map: &ColumnMap) -> Words {
    let Some(table) = table else {
        return words!("the table was not seen", "没有看到表");
    };
    let may_be = |column: &&SourceColumn| {
        let values: BTreeSet<Option<&str>> = table.values(&column.name).into_iter().collect();
        fits(Form::Number, column) && !map.uses(&column.name) && values.len() <= MOST_PROGRAMS
    };
    let columns = table.columns.iter().filter(may_be);
    let Words { en, zh } = first_of(columns.map(|column| column.name.as_str()).collect());
    words!("it may be one of {en}", "可能是：{zh}")
}

/// Asks about a condition by which the old service knew what it had judged.
fn of_progress(adoption: &mut Adoption, clauses: &[String], found: Located<String>, column: &str) {
    let path = &found.path;
    let why = words!(
        "`{path}` asks for `{column}`, by which the old service knew what it had judged: take that out, since the fleet knows it by \
         itself and would leave out every row that the old one judges; the rest says which rows are the fleet's",
        "`{path}` 用到 `{column}`，旧服务靠它知道哪些已判定：请去掉这部分，weldfleet 自己知道，否则旧服务判过的行都会被排除；其余部分说明哪些行归 weldfleet",
    );
    let with_it = [clauses, &[found.value]].concat();
    adoption.question("tables", "filter", all_of(&with_it), why);
}

/// Programs that dress tips wherever the old service ran.
const TIP_DRESSES: [&str; 2] = ["41", "51"];
/// A column of more values in the last rows is no column of programs.
const MOST_PROGRAMS: usize = 100;
/// So many values are shown.
const SHOWN: usize = 10;

/// The column of the old service's verdicts that a condition names, if it does.
fn old_verdict(condition: &str, verdicts: &[String]) -> Option<String> {
    // What stands in quotes is a value.
    let outside = condition.split('\'').step_by(2);
    let words = outside.flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'));
    let mut words = words.filter(|word| !word.is_empty());
    words
        .find(|word| RESULT_COLUMNS.contains(word) || verdicts.iter().any(|column| column == word))
        .map(str::to_owned)
}

/// Each in brackets where there are several: `a OR b` beside another would let pass what that other refuses.
fn all_of(clauses: &[String]) -> String {
    match clauses {
        [one] => one.clone(),
        several => {
            let several: Vec<String> = several.iter().map(|clause| format!("({clause})")).collect();
            several.join(" AND ")
        }
    }
}

/// `column NOT IN (…)` that a NULL passes only if `''` does.
fn not_in(column: &SourceColumn, values: &[String]) -> String {
    let name = identifier(&column.name);
    let is_number = !column.bare().contains("String");
    let side = if column.is_nullable() && is_number {
        format!("ifNull({name}, 0)")
    } else if column.is_nullable() {
        format!("ifNull({name}, '')")
    } else {
        name
    };
    let literals: Vec<String> = values
        .iter()
        .filter(|value| !is_number || *value == "?" || value.parse::<i64>().is_ok())
        .map(|value| {
            if is_number {
                value.clone()
            } else {
                literal(value)
            }
        })
        .collect();
    format!("{side} NOT IN ({})", literals.join(", "))
}

fn literal(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn identifier(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if plain {
        name.to_owned()
    } else {
        format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
    }
}

/// Values of the last rows by how often they are.
fn counted(table: &SourceTable, name: &str) -> Vec<(Option<String>, u64)> {
    let mut counts: BTreeMap<Option<&str>, u64> = BTreeMap::new();
    for value in table.values(name) {
        *counts.entry(value).or_default() += 1;
    }
    let counts = counts.into_iter();
    let mut counts: Vec<(Option<String>, u64)> = counts
        .map(|(value, count)| (value.map(str::to_owned), count))
        .collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts
}

/// The most frequent.
fn in_words(counts: &[(Option<String>, u64)]) -> String {
    let shown = counts.iter().take(SHOWN);
    let mut shown: Vec<String> = shown
        .map(|(value, count)| match value {
            Some(value) => format!("'{}' ×{count}", short(value)),
            None => format!("NULL ×{count}"),
        })
        .collect();
    if counts.len() > SHOWN {
        shown.push("…".to_owned());
    }
    match shown.is_empty() {
        true => "-".to_owned(),
        false => shown.join(", "),
    }
}
