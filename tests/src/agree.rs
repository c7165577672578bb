//! Whether every place tells the same about the same welds.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use serde_json::Value;
use weldfleet_weld::columns::{RESULT_COLUMNS, ValueKind};

use crate::{
    Process, audit,
    clickhouse::{ClickHouse, Row},
    mysql::MySql,
    queue::Queue,
};

/// What every place holds of a weld besides its verdict.
const OF_THE_WELD: [&str; 5] = ["part_no", "spot_name", "timer_name", "umax", "imax"];

/// What every place holds of a judged weld and writes alike.
fn told_everywhere() -> impl Iterator<Item = &'static str> {
    let mirrored = RESULT_COLUMNS.iter().filter(|column| column.mirrored);
    let told = mirrored.filter(|column| column.kind != ValueKind::Time);
    OF_THE_WELD
        .into_iter()
        .chain(told.map(|column| column.name))
}

/// Whether a column holds single-precision numbers.
fn is_number(name: &str) -> bool {
    let floats = RESULT_COLUMNS
        .iter()
        .filter(|column| column.kind == ValueKind::Float);
    ["umax", "imax"].contains(&name) || floats.map(|column| column.name).any(|float| float == name)
}

/// Welds by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub ok: u64,
    pub nok: u64,
    pub invalid: u64,
    /// Could not be judged.
    pub error: u64,
}

impl Counts {
    pub fn welds(&self) -> u64 {
        self.ok + self.nok + self.invalid + self.error
    }

    /// From an object that has these names as keys.
    pub fn of_json(value: &Value) -> Self {
        let field = |name: &str| {
            value[name]
                .as_u64()
                .unwrap_or_else(|| panic!("no count `{name}` in {value}"))
        };
        Self {
            ok: field("ok"),
            nok: field("nok"),
            invalid: field("invalid"),
            error: field("error"),
        }
    }

    /// What the finished jobs say of themselves.
    pub async fn of_done_jobs(queue: &Queue) -> Self {
        let mut counts = Self::default();
        for job in queue.jobs("done").await {
            let field = |name: &str| -> u64 {
                let text = job
                    .get(name)
                    .unwrap_or_else(|| panic!("no `{name}` in {job:?}"));
                text.parse()
                    .unwrap_or_else(|_| panic!("`{name}` in {job:?}"))
            };
            counts.ok += field("rows_ok");
            counts.nok += field("rows_nok");
            counts.invalid += field("rows_invalid");
            counts.error += field("rows_error");
        }
        counts
    }

    /// What the workers count in `/metrics`.
    pub async fn of_metrics(workers: &[&Process]) -> Self {
        let mut counts = Self::default();
        for worker in workers {
            let count = async |outcome: &str| {
                let label = format!("outcome=\"{outcome}\"");
                worker.metric("weldfleet_rows_total", &[&label]).await as u64
            };
            counts.ok += count("ok").await;
            counts.nok += count("nok").await;
            counts.invalid += count("invalid").await;
            counts.error += count("error").await;
        }
        counts
    }
}

/// A weld: day, raw time, id.
pub type Key = (String, i64, String);

/// The welds of the truth, each key once.
pub struct Truth {
    /// By key, with our column names.
    pub welds: BTreeMap<Key, Row>,
    /// Rows, duplicates too.
    pub rows: u64,
}

impl Truth {
    /// Reads a table, or a `(SELECT … )` that gives its columns our names.
    ///
    /// # Panics
    /// When rows that are one weld have different verdicts.
    pub async fn read(clickhouse: &ClickHouse, from: &str) -> Self {
        let columns: Vec<&str> = told_everywhere()
            .chain(["alg_status", "alg_error"])
            .collect();
        let columns = columns.join(", ");
        let rows = clickhouse
            .rows(&format!(
                "SELECT replaceAll(toString(data_date), '-', '') AS day, reinterpretAsInt64(ck_local_time) AS ticks, \
                 toString(ck_local_time) AS time, toString(record_id) AS id, \
                 toString(toDateTime64(alg_complete_time, 3, 'UTC')) AS completed, {columns} FROM {from}"
            ))
            .await;
        let count = rows.len() as u64;
        let mut welds: BTreeMap<Key, Row> = BTreeMap::new();
        for row in rows {
            let ticks = text(&row, "ticks").parse().expect("ticks");
            let key = (text(&row, "day"), ticks, text(&row, "id"));
            if let Some(twin) = welds.get(&key) {
                assert_eq!(twin, &row, "rows that are one weld differ");
            }
            welds.insert(key, row);
        }
        Self { welds, rows: count }
    }

    /// Welds by what became of them.
    ///
    /// # Panics
    /// When a row has neither verdict nor reason, or both.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (key, row) in &self.welds {
            let [status, error, result, job] =
                ["alg_status", "alg_error", "final_result", "alg_job"].map(|name| text(row, name));
            let judged = error.is_empty() && !text(row, "decided_by").is_empty();
            let refused =
                !error.is_empty() && result.is_empty() && text(row, "decided_by").is_empty();
            let traced = !job.is_empty()
                && text(row, "alg_token")
                    .parse::<u64>()
                    .is_ok_and(|token| token > 0);
            assert!(
                traced && !text(row, "completed").is_empty(),
                "{key:?} does not say who judged it: {row:?}"
            );
            match (status.as_str(), result.as_str()) {
                ("ok", "OK") if judged => counts.ok += 1,
                ("ok", "NOK") if judged => counts.nok += 1,
                ("invalid" | "poison", "") if refused => counts.invalid += 1,
                ("error", "") if refused => counts.error += 1,
                _ => panic!("{key:?} has no clear verdict or reason: {row:?}"),
            }
        }
        counts
    }

    /// Whether the mirror has come as far as the truth: each NOK weld under the token that it was last judged under.
    pub async fn is_mirrored(&self, mysql: &MySql) -> bool {
        let nok = self
            .welds
            .iter()
            .filter(|(_, row)| text(row, "final_result") == "NOK");
        let wanted: BTreeSet<(String, String)> = nok
            .map(|(key, row)| (key.2.clone(), text(row, "alg_token")))
            .collect();
        let rows = mysql
            .rows("SELECT record_id, alg_token FROM nok_records")
            .await;
        let there = rows.into_iter().map(|row| (row[0].clone(), row[1].clone()));
        there.collect::<BTreeSet<_>>() == wanted
    }

    /// The mirror holds exactly the NOK welds, with exactly their values.
    ///
    /// # Panics
    /// When it does not.
    pub async fn assert_mirrored(&self, mysql: &MySql) {
        let key = [
            "data_date",
            "ck_ticks",
            "record_id",
            "ck_local_time",
            "alg_complete_time",
        ];
        let columns: Vec<&str> = key.into_iter().chain(told_everywhere()).collect();
        let mut mirrored: BTreeMap<Key, Vec<String>> = BTreeMap::new();
        for row in mysql
            .rows(&format!("SELECT {} FROM nok_records", columns.join(", ")))
            .await
        {
            let key = (
                row[0].clone(),
                row[1].parse().expect("ticks"),
                row[2].clone(),
            );
            let values = columns[3..].iter().zip(&row[3..]);
            let values: Vec<String> = values
                .map(|(column, value)| normal(column, if value == "NULL" { "" } else { value }))
                .collect();
            let shown = format!("{key:?}");
            assert!(
                mirrored.insert(key, values).is_none(),
                "{shown} is mirrored twice"
            );
        }
        let mut wanted: BTreeMap<Key, Vec<String>> = BTreeMap::new();
        for (key, row) in &self.welds {
            if text(row, "final_result") != "NOK" {
                continue;
            }
            let names = ["time", "completed"].iter().chain(&columns[5..]);
            wanted.insert(
                key.clone(),
                names.map(|name| normal(name, &text(row, name))).collect(),
            );
        }
        let keys =
            |rows: &BTreeMap<Key, Vec<String>>| rows.keys().cloned().collect::<BTreeSet<Key>>();
        let (missing, surplus): (Vec<_>, Vec<_>) = (
            keys(&wanted)
                .difference(&keys(&mirrored))
                .cloned()
                .collect(),
            keys(&mirrored)
                .difference(&keys(&wanted))
                .cloned()
                .collect(),
        );
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "the mirror lacks {missing:?} and has too many: {surplus:?}"
        );
        for (key, row) in &wanted {
            assert_eq!(
                row, &mirrored[key],
                "{key:?}: the truth and its mirror differ in {columns:?}"
            );
        }
    }

    /// For every weld exactly one line of the audit files carries its token, and says what the row says.
    ///
    /// # Panics
    /// When it does not.
    pub fn assert_audited(&self, save_dir: &Path) {
        let key = ["data_date", "record_id", "alg_status", "alg_error"];
        let columns: Vec<&str> = key.into_iter().chain(told_everywhere()).collect();
        let mut lines: HashMap<Vec<String>, u64> = HashMap::new();
        let tokens: BTreeSet<String> = self
            .welds
            .values()
            .map(|row| text(row, "alg_token"))
            .collect();
        for line in audit::lines(save_dir) {
            if !tokens.contains(&line["alg_token"]) {
                continue; // An attempt that was never committed.
            }
            let mut values = vec![line["ck_local_time"].clone()];
            values.extend(columns.iter().map(|column| normal(column, &line[*column])));
            *lines.entry(values).or_default() += 1;
        }
        for (key, row) in &self.welds {
            let mut values = vec![text(row, "time"), key.0.clone(), key.2.clone()];
            values.extend(
                columns[2..]
                    .iter()
                    .map(|column| normal(column, &text(row, column))),
            );
            match lines.get_mut(&values) {
                Some(count) if *count > 0 => *count -= 1,
                _ => panic!(
                    "no line of the audit files, or one too few, says what {key:?} says: {values:?}"
                ),
            }
        }
        let surplus: Vec<_> = lines.iter().filter(|(_, count)| **count > 0).collect();
        assert!(
            surplus.is_empty(),
            "lines with a committed token that no row has: {surplus:?}"
        );
    }
}

/// A value as text; empty where there is none.
pub fn text(row: &Row, column: &str) -> String {
    match row.get(column) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
        None => panic!("no column `{column}` in {row:?}"),
    }
}

/// Numbers as the single-precision number they are, whoever printed them.
fn normal(column: &str, value: &str) -> String {
    if !is_number(column) || value.is_empty() {
        return value.to_owned();
    }
    let number: f64 = value
        .parse()
        .unwrap_or_else(|_| panic!("`{value}` in {column} is no number"));
    (number as f32).to_string()
}
