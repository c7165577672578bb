//! Where the old service left its verdicts.

use std::collections::BTreeSet;

use weldfleet_settings::columns::{NOK_WORDS, OK_WORDS, RESULT_COLUMNS, TRUTH_COLUMNS};
use weldfleet_words::{Words, words};

use super::{
    Adoption,
    columns::ColumnMap,
    listed,
    targets::{Form, of_kind},
    told::{self, PREVIOUS, Told},
};
use crate::facts::{SourceColumn, SourceTable};

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

/// Answers every column that holds the old service's verdicts.
pub(super) fn plan(
    adoption: &mut Adoption,
    table: Option<&SourceTable>,
    told: &Told,
    map: &ColumnMap,
) -> Vec<String> {
    let told = told.column(PREVIOUS);
    let Some(table) = table else {
        let Some(told) = told else {
            return Vec::new();
        };
        adoption.mapped("columns", PREVIOUS, told.theirs.as_str(), &told.path);
        return vec![told.theirs.clone()];
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
        (Some(told), ..) if table.column(&told.theirs).is_some() => {
            adoption.mapped("columns", PREVIOUS, told.theirs.as_str(), &told.path);
            Some(told.theirs.as_str())
        }
        (Some(told), ..) => {
            let names = match by_values.is_empty() {
                true => of_kind(table, Form::Text),
                false => listed(&by_values),
            };
            told::ask(adoption, ("columns", PREVIOUS), told, names);
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
