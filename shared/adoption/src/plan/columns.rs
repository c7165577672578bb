//! The plant's columns: which of them is which of ours.

use std::collections::{BTreeMap, BTreeSet};

use weldfleet_settings::columns::{NOK_WORDS, OK_WORDS, RESULT_COLUMNS};
use weldfleet_words::{Words, words};

use crate::{
    AdoptError, Facts, OldConfig,
    facts::{SourceColumn, SourceTable},
    old::Old,
};

use super::{Adoption, number, short};

/// What a column must be to be taken for one of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A key that is never NULL: text or an unsigned number.
    Id,
    Day,
    Time,
    Text,
    /// A number, also as text.
    Number,
    /// An array, or its text.
    Curve,
}

/// One of our columns and what plants call it, the likeliest name first.
struct Target {
    section: &'static str,
    ours: &'static str,
    form: Form,
    /// A weld cannot be judged without it.
    required: bool,
    names: &'static str,
}

const fn input(ours: &'static str, form: Form, names: &'static str) -> Target {
    let required = !matches!(form, Form::Text);
    Target {
        section: "columns",
        ours,
        form,
        required,
        names,
    }
}

const fn further(
    section: &'static str,
    ours: &'static str,
    form: Form,
    names: &'static str,
) -> Target {
    Target {
        section,
        ours,
        form,
        required: false,
        names,
    }
}

/// Every column that is looked for. One more is one more line.
const TARGETS: &[Target] = &[
    input("record_id", Form::Id, "id weld_id uid uuid recordid 记录号"),
    input("data_date", Form::Day, "dt day weld_date date 日期"),
    input(
        "ck_local_time",
        Form::Time,
        "insert_time create_time created_at weld_time 时间",
    ),
    input(
        "part_no",
        Form::Text,
        "part_all part part_number part_name 零件号 车型",
    ),
    input(
        "spot_name",
        Form::Text,
        "spot_tag spot spot_no spot_id weld_spot 焊点 焊点号",
    ),
    input(
        "timer_name",
        Form::Text,
        "serial_no timer timer_no controller controller_no 控制器",
    ),
    input("umax", Form::Number, "u_max voltage_max max_voltage"),
    input("imax", Form::Number, "i_max current_max max_current"),
    input(
        "u_curve",
        Form::Curve,
        "voltage_curve curve_u u_curves voltage 电压曲线",
    ),
    input(
        "i_curve",
        Form::Curve,
        "current_curve curve_i i_curves current 电流曲线",
    ),
    further(
        "columns.scalars",
        "program",
        Form::Number,
        "prog_no program_no prog 程序号",
    ),
    further(
        "columns.scalars",
        "wear_percent",
        Form::Number,
        "wear electrode_wear",
    ),
    further(
        "columns.scalars",
        "tip_dress_count",
        Form::Number,
        "tipdresscounter tip_dress_counter dress_count",
    ),
    further(
        "columns.scalars",
        "energy",
        Form::Number,
        "energie energy_j",
    ),
    further(
        "columns.scalars",
        "force_kn",
        Form::Number,
        "force weld_force 电极力",
    ),
    further(
        "columns.carried",
        "body_no",
        Form::Text,
        "rfid vin body body_id body_number 车身号",
    ),
    further(
        "columns.carried",
        "workshop_section",
        Form::Text,
        "section 工段",
    ),
    further("columns.carried", "area", Form::Text, "zone 区域"),
    further(
        "columns.carried",
        "weld_time",
        Form::Text,
        "weldtime 焊接时间",
    ),
];

/// Columns in which an old service may have left its verdict.
const OLD_VERDICTS: &[&str] = &[
    "previous_result",
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

/// Names that mean one of our columns, likeliest first: ours, then what plants call it.
pub(super) fn names_of(ours: &'static str) -> Vec<&'static str> {
    let known = TARGETS.iter().find(|target| target.ours == ours);
    let mut names = vec![ours];
    names.extend(known.into_iter().flat_map(|target| target.names.split(' ')));
    names
}

pub(super) fn plan(
    adoption: &mut Adoption,
    old: &OldConfig,
    facts: &Facts,
) -> Result<ColumnMap, AdoptError> {
    let told = told(adoption, old)?;
    let mut map = ColumnMap::default();
    let table = facts.source.told();
    let mut taken: BTreeSet<String> = told.iter().map(|(_, _, theirs)| theirs.clone()).collect();
    for target in TARGETS {
        if let Some((_, path, theirs)) = told.iter().find(|(ours, ..)| *ours == target.ours) {
            if let Some(table) = table
                && table.column(theirs).is_none()
            {
                let (key, names) = (theirs.as_str(), listed(table, target.form));
                adoption.question(
                    target.section,
                    target.ours,
                    theirs.as_str(),
                    words!(
                        "`{path}` names `{key}`, which the table has not; of this kind it has: {names}",
                        "`{path}` 指定了 `{key}`，但表中没有；同类的列有：{names}",
                    ),
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
    if let Some(table) = table {
        note_unreadable(adoption, table, &map);
        results(adoption, table);
        previous_result(adoption, table);
        filter(adoption, old, table, &map);
    } else {
        if let Some(found) = old.text(Old::Filter) {
            adoption.mapped("tables", "filter", found.value, &found.path);
        }
    }
    Ok(map)
}

/// The day and the time of a weld, by which the latest rows are found; the plant's names.
pub fn newest(old: &OldConfig, table: &SourceTable) -> (Option<String>, Option<String>) {
    let told = told(&mut Adoption::default(), old).unwrap_or_default();
    let name = |ours: &'static str| {
        let told = told
            .iter()
            .find(|(known, ..)| *known == ours)
            .map(|(_, _, theirs)| theirs.clone());
        let target = TARGETS.iter().find(|target| target.ours == ours)?;
        let guessed = || {
            let columns = table.columns.iter();
            let fitting: Vec<&SourceColumn> =
                columns.filter(|column| fits(target.form, column)).collect();
            let mut names = names_of(ours).into_iter();
            let column =
                names.find_map(|name| fitting.iter().find(|column| same(name, &column.name)));
            column.map(|column| column.name.clone())
        };
        told.filter(|theirs| table.column(theirs).is_some())
            .or_else(guessed)
    };
    (name("data_date"), name("ck_local_time"))
}

/// What the old configuration itself says: ours, the key, theirs.
fn told(
    adoption: &mut Adoption,
    old: &OldConfig,
) -> Result<Vec<(&'static str, String, String)>, AdoptError> {
    let Some(map) = old.map(Old::ColumnMap) else {
        return Ok(Vec::new());
    };
    let mut told: Vec<(&'static str, String, String)> = Vec::new();
    for (key, theirs) in map.value {
        let path = format!("{}.{key}", map.path);
        let known = TARGETS
            .iter()
            .find(|target| names_of(target.ours).iter().any(|name| same(name, &key)));
        let Some(target) = known else {
            adoption.unknown.push(path);
            continue;
        };
        if let Some((first, ..)) = told.iter().find(|(_, _, other)| *other == theirs) {
            return Err(AdoptError::ColumnTwice {
                key: map.path,
                first: (*first).to_owned(),
                second: target.ours.to_owned(),
                theirs,
            });
        }
        if let Some((_, _, first)) = told.iter().find(|(ours, ..)| *ours == target.ours) {
            return Err(AdoptError::MappedTwice {
                key: map.path,
                ours: target.ours.to_owned(),
                first: first.clone(),
                second: theirs,
            });
        }
        told.push((target.ours, path, theirs));
    }
    Ok(told)
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
        if target.required {
            let (ours, names) = (target.ours, listed(table, target.form));
            adoption.question(
                target.section,
                target.ours,
                "",
                words!(
                    "which column is `{ours}`? of its kind the table has: {names}",
                    "哪一列是 `{ours}`？同类的列有：{names}",
                ),
            );
        }
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
        let others = others.join(", ");
        why = why.and(&words!("it might be {others} too", "也可能是 {others}"));
    }
    adoption.guessed(target.section, target.ours, first.name.as_str(), why);
}

/// Result columns of ours that the table has already: somebody else's, unless the fleet made them.
fn results(adoption: &mut Adoption, table: &SourceTable) {
    let is_ours = ["alg_run", "alg_token", "alg_job"]
        .iter()
        .all(|name| table.column(name).is_some());
    if is_ours {
        return;
    }
    for ours in RESULT_COLUMNS {
        if table.column(ours).is_none() {
            continue;
        }
        adoption.guessed(
            "columns",
            ours,
            format!("weldfleet_{ours}"),
            words!(
                "the table has a `{ours}` that the fleet did not make; the old service's is left alone, `scheduler migrate` adds this one",
                "表中已有不是weldfleet 建立的 `{ours}`；旧服务的列不动，`scheduler migrate` 会增加本列",
            ),
        );
    }
}

fn previous_result(adoption: &mut Adoption, table: &SourceTable) {
    let is_ours = table.column("alg_token").is_some();
    for name in OLD_VERDICTS {
        let Some(column) = table.column(name) else {
            continue;
        };
        let is_result = RESULT_COLUMNS.contains(name);
        let values: BTreeSet<String> = table
            .values(name)
            .into_iter()
            .flatten()
            .map(|text| text.trim().to_lowercase())
            .filter(|text| !text.is_empty() && text != "none")
            .collect();
        let are_verdicts = values
            .iter()
            .all(|value| [OK_WORDS, NOK_WORDS].concat().contains(&value.as_str()));
        let is_text = column.bare() == "String" || column.bare().starts_with("Enum");
        if (is_result && is_ours) || !is_text || values.is_empty() || !are_verdicts {
            continue;
        }
        adoption.guessed(
            "columns",
            "previous_result",
            *name,
            words!(
                "OK and NOK of the old service, by name and values; `scheduler evaluate --against previous_result` compares",
                "按列名和取值判断是旧服务的 OK/NOK；可用 `scheduler evaluate --against previous_result` 对比",
            ),
        );
        return;
    }
}

/// Which rows are the fleet's.
fn filter(adoption: &mut Adoption, old: &OldConfig, table: &SourceTable, map: &ColumnMap) {
    let mut clauses = Vec::new();
    let mut sources = Vec::new();
    if let Some(found) = old.text(Old::Filter) {
        clauses.push(found.value);
        sources.push(found.path);
    }
    let program = map.get("program").and_then(|name| table.column(name));
    let skipped = old
        .texts(Old::SkippedPrograms)
        .filter(|found| !found.value.is_empty());
    if let Some(skipped) = &skipped {
        match program {
            Some(column) => {
                clauses.push(not_in(column, &skipped.value));
                sources.push(skipped.path.clone());
            }
            None => {
                let path = &skipped.path;
                adoption.notes.push(words!(
                    "`{path}` needs the column of weld programs, which was not found: write tables.filter yourself",
                    "`{path}` 需要焊接程序列，但没有找到：请自己写 tables.filter",
                ));
            }
        }
    }
    if !clauses.is_empty() {
        adoption.mapped("tables", "filter", all_of(&clauses), &sources.join("`, `"));
    }
    let mut asked = clauses.clone();
    let mut why: Option<Words> = None;
    let mut ask = |clause: String, words: Words| {
        asked.push(clause);
        why = Some(match why.take() {
            Some(before) => before.and(&words),
            None => words,
        });
    };
    if let (Some(column), None) = (program, &skipped) {
        let counts = counted(table, &column.name);
        if counts.len() > 1 {
            // The most frequent program welds; which of the others do is for a person to say.
            let others: Vec<String> = counts
                .iter()
                .skip(1)
                .map(|(value, _)| value.clone())
                .collect();
            let (name, shown) = (&column.name, in_words(&counts));
            ask(
                not_in(column, &others),
                words!(
                    "which programs are tip dresses or tests, which nobody may judge? `{name}` of the last rows: {shown}",
                    "哪些程序是修磨或试焊，不得判定？最近各行的 `{name}`：{shown}",
                ),
            );
        }
    }
    if let Some(column) = map.get("spot_name").and_then(|name| table.column(name)) {
        let dry: Vec<(String, usize)> = counted_all(table, &column.name)
            .into_iter()
            .filter(|(value, _)| ["", "0", "none", "null"].contains(&value.to_lowercase().as_str()))
            .collect();
        if !dry.is_empty() {
            let (name, shown) = (&column.name, in_words(&dry));
            let values: Vec<String> = dry.iter().map(|(value, _)| value.clone()).collect();
            ask(
                not_in(column, &values),
                words!(
                    "are welds without a spot dry shots, which nobody may judge? `{name}` of the last rows: {shown}",
                    "没有焊点号的是空打，不得判定吗？最近各行的 `{name}`：{shown}",
                ),
            );
        }
    }
    if let Some(why) = why {
        adoption.question("tables", "filter", all_of(&asked), why);
    }
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
        .filter(|value| !is_number || value.parse::<i64>().is_ok())
        .map(|value| {
            if is_number {
                value.clone()
            } else {
                format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
            }
        })
        .collect();
    format!("{side} NOT IN ({})", literals.join(", "))
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

/// Values by how often they are, NULL as the empty text.
fn counted_all(table: &SourceTable, name: &str) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for value in table.values(name) {
        *counts
            .entry(value.unwrap_or_default().to_owned())
            .or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts
}

/// The most frequent ten.
fn counted(table: &SourceTable, name: &str) -> Vec<(String, usize)> {
    let mut counts = counted_all(table, name);
    counts.truncate(10);
    counts
}

fn in_words(counts: &[(String, usize)]) -> String {
    let counts: Vec<String> = counts
        .iter()
        .map(|(value, count)| format!("'{}' ×{count}", short(value)))
        .collect();
    counts.join(", ")
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
                "最近 {rows} 行中有 {unreadable} 行没有大于 0 的 `{name}`：将判为 `invalid`",
            ));
        }
    }
}

/// Names of columns that could be it, at most twelve.
fn listed(table: &SourceTable, form: Form) -> String {
    let mut names: Vec<&str> = table
        .columns
        .iter()
        .filter(|column| fits(form, column))
        .map(|column| column.name.as_str())
        .collect();
    if names.is_empty() {
        return "-".to_owned();
    }
    if names.len() > 12 {
        names.truncate(12);
        names.push("…");
    }
    names.join(", ")
}

/// Whether two names are one, whatever their case and underscores.
pub(super) fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    plain(a) == plain(b)
}

fn fits(form: Form, column: &SourceColumn) -> bool {
    let bare = column.bare();
    let is_text = bare == "String" || bare.starts_with("FixedString");
    let is_number = ["Int", "UInt", "Float", "Decimal", "BFloat16"]
        .iter()
        .any(|start| bare.starts_with(start));
    match form {
        Form::Id => !column.is_nullable() && (bare == "String" || bare.starts_with("UInt")),
        Form::Day => {
            !column.is_nullable()
                && ([
                    "String", "UInt32", "UInt64", "Int32", "Int64", "Date", "Date32",
                ]
                .contains(&bare))
        }
        Form::Time => !column.is_nullable() && bare.starts_with("DateTime"),
        Form::Text => !bare.starts_with("Array"),
        Form::Number => is_number || is_text,
        Form::Curve => bare.starts_with("Array(") || bare == "String",
    }
}
