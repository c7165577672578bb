//! An attempt's results, and their commit to the rows.
//!
//! An attempt first stores its results under its fencing token, in one insert. One lightweight UPDATE
//! then copies them to exactly those rows for which that token has a result and which no newer run,
//! and no attempt of the same run, has written. So a row that arrived after the fetch is not touched,
//! two attempts never mix inside a row, and a statement that finishes late changes nothing wrongly.
//! Several attempts of one run and day share an UPDATE: its cost is mostly fixed.
//!
//! One verdict may be overruled: that of a row whose key another row has with different content. An attempt that saw
//! both takes both verdicts away, and nothing but a later look at the rows gives one back. The later look has the
//! larger token, so the guard compares tokens there. Such an attempt has an UPDATE of its own.
//!
//! In the UPDATE all columns come out of one scalar subquery, one array of tuples, so that the results
//! are read once and what belongs to one row stays together. A `groupArray` per column would not do:
//! where a column is nearly empty (`alg_error`), the server keeps it sparse and `groupArray` of a
//! sparse column gives the values first and the empty ones after them (26.7), so that errors end up
//! in other rows. The subquery is written once, under an alias, and so is the row's place in the array:
//! each further mention costs the server some 3 ms of analysis (measured: 4,096 rows in 150 ms with
//! the text repeated, 40 ms with aliases). `groupArray` skips NULL, hence `weld_results` has none: NaN
//! and the empty text stand for it.

use std::collections::BTreeMap;

use weldfleet_weld::{
    Status, Verdict,
    columns::{
        AttemptField, Cell, Origin, RESULT_COLUMNS, ResultColumn, ValueKind, verdict_columns,
    },
};

use super::{RowBlock, Schema, SourceTable, block::DUPLICATE_KEY, native::Writer, quote::literal};
use crate::{
    columns::{result_column, results_type, source_type},
    commas,
    errors::StoreError,
    range::{Day, KeyOrder, LIVE_RUN, Range, Selection, neighbours},
};

/// An attempt whose results are stored and which is to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Fencing token under which its results are.
    pub token: u64,
    /// Rows it was given.
    pub range: Range,
    /// Whether it saw a key with different content in rows that have a verdict; see [`RowBlock::overrules`].
    pub overrules: bool,
}

/// An attempt's results as they go to the server; far smaller than the rows they are of.
#[derive(Debug)]
pub struct EncodedResults {
    block: Vec<u8>,
    overrules: bool,
}

impl EncodedResults {
    /// Encodes one block of the `Native` format, none for zero rows. `verdicts[k]` is of row `k` of the block.
    ///
    /// # Errors
    /// If there is not one verdict a row.
    pub fn new(
        token: u64,
        run: u64,
        job: &str,
        block: &RowBlock,
        verdicts: &[Verdict],
    ) -> Result<Self, StoreError> {
        if block.len() != verdicts.len() {
            return Err(StoreError::answer(
                "store results",
                format!("{} verdicts for {} rows", verdicts.len(), block.len()),
            ));
        }
        let overrules = block.overrules();
        let block = if block.is_empty() {
            Vec::new()
        } else {
            results_block(token, run, job, block, verdicts)
        };
        Ok(Self { block, overrules })
    }

    /// Whether their attempt overrules verdicts; see [`Attempt::overrules`].
    pub fn overrules(&self) -> bool {
        self.overrules
    }
}

/// Columns of `weld_results` that say whose a result is, in the order in which they are written.
const ATTEMPT_COLUMNS: [&str; 5] = ["token", "key_hash", "run", "day", "job"];

/// The column of `weld_results` that the UPDATE takes a column's values from, if it does.
fn stored(column: &ResultColumn) -> Option<&'static str> {
    match column.origin {
        Origin::Verdict(_) => Some(column.name),
        Origin::Attempt(AttemptField::Token) => Some("token"),
        Origin::Attempt(AttemptField::Job) => Some("job"),
        Origin::Attempt(AttemptField::Run) | Origin::Commit => None,
    }
}

/// Names of the shared expressions in an UPDATE; no plant's column is called that.
const RESULTS_ALIAS: &str = "weldfleet_results";
const PLACE_ALIAS: &str = "weldfleet_place";

impl SourceTable {
    /// Stores the results of several attempts, each under its own token, in one insert: a part of the table to make and
    /// later to merge costs the server more than the rows in it.
    pub async fn insert_results(&self, results: &[&EncodedResults]) -> Result<(), StoreError> {
        let bytes = results.iter().map(|results| results.block.len()).sum();
        let mut body = Vec::with_capacity(bytes);
        for results in results {
            body.extend_from_slice(&results.block);
        }
        if body.is_empty() {
            return Ok(());
        }
        self.insert_block(body).await
    }

    /// Inserts one body of `Native` blocks of results.
    pub(super) async fn insert_block(&self, body: Vec<u8>) -> Result<(), StoreError> {
        let verdict = verdict_columns().map(|(column, _)| column.name);
        let columns = commas(ATTEMPT_COLUMNS.into_iter().chain(verdict));
        let target = (self.schema.results.as_str(), columns.as_str());
        self.server
            .insert_native("store results", target, body)
            .await
    }

    /// Copies stored results to their rows: one UPDATE for all attempts of one run and day.
    /// An attempt whose rows are all taken, or whose results are gone, changes nothing.
    pub async fn commit(&self, attempts: &[Attempt]) -> Result<(), StoreError> {
        let mut groups: BTreeMap<(u64, Day), Vec<&Attempt>> = BTreeMap::new();
        for attempt in attempts {
            groups
                .entry((attempt.range.run, attempt.range.day))
                .or_default()
                .push(attempt);
        }
        for ((run, day), group) in groups {
            let (overruling, together): (Vec<&Attempt>, Vec<&Attempt>) =
                group.into_iter().partition(|attempt| attempt.overrules);
            let statements =
                std::iter::once(together).chain(overruling.into_iter().map(|one| vec![one]));
            for attempts in statements.filter(|attempts| !attempts.is_empty()) {
                let sql = self.schema.commit_sql(run, day, &attempts);
                self.server.update("commit results", &sql).await?;
            }
        }
        Ok(())
    }

    /// Rows of the range that carry the token.
    pub async fn committed(&self, range: &Range, token: u64) -> Result<u64, StoreError> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT count() FROM {} WHERE {} AND {} AND {} = {token}",
            schema.rows(),
            schema.on_day(range.day),
            schema.between(&range.keys()),
            schema.column("alg_token"),
        );
        self.server.one("count committed rows", &sql).await
    }

    /// Of a run that overwrites verdicts: rows of the range that have one keep it, and the run wants them no more.
    /// Returns how many these are.
    pub async fn keep_verdicts(&self, range: &Range) -> Result<u64, StoreError> {
        if range.selection != Selection::Force {
            return Ok(0);
        }
        let schema = &self.schema;
        let kept = format!(
            "{on_day} AND {between} AND {wanted} AND {complete} IS NOT NULL",
            on_day = schema.on_day(range.day),
            between = schema.between(&range.keys()),
            wanted = schema.judgeable(range.run, &range.selection),
            complete = schema.column("alg_complete_time"),
        );
        let rows = format!("SELECT count() FROM {} WHERE {kept}", schema.rows());
        let rows: u64 = self.server.one("count verdicts to keep", &rows).await?;
        let run =
            result_column("alg_run").map(|column| schema.assign(column, &range.run.to_string()));
        let sql = format!(
            "UPDATE {} SET {} WHERE {kept} AND {}",
            schema.source,
            run.unwrap_or_default(),
            schema.selected(),
        );
        self.server.update("keep verdicts", &sql).await?;
        Ok(rows)
    }

    /// Gives the range's wanted rows a status and a reason without judging them (poison, dropped),
    /// through the same results and commit as a judgement. The rows never leave the server.
    /// Returns how many have it now; less than there are where another attempt was there first.
    pub async fn mark(
        &self,
        token: u64,
        job: &str,
        range: &Range,
        status: Status,
        reason: &str,
    ) -> Result<u64, StoreError> {
        let schema = &self.schema;
        let verdict = Verdict::unjudged(status, reason);
        let attempt = [
            ("token", format!("toUInt64({token})")),
            ("key_hash", schema.row_hash()),
            ("run", format!("toUInt64({})", range.run)),
            ("day", format!("toUInt32({})", range.day)),
            ("job", literal(job)),
        ];
        let given = verdict_columns()
            .map(|(column, read)| (column.name, constant(column.kind, read(&verdict))));
        let (names, values): (Vec<&str>, Vec<String>) = attempt.into_iter().chain(given).unzip();
        let insert = format!(
            "INSERT INTO {results} ({names}) SELECT {values} \
             FROM {source} WHERE {on_day} AND {between} AND {wanted}",
            results = schema.results,
            names = names.join(", "),
            values = values.join(", "),
            source = schema.rows(),
            on_day = schema.on_day(range.day),
            between = schema.between(&range.keys()),
            wanted = schema.judgeable(range.run, &range.selection),
        );
        self.server.execute("mark rows", &insert).await?;
        weldfleet_failpoints::reach("stores::mark_before_commit").await;
        self.commit(&[Attempt {
            token,
            range: range.clone(),
            overrules: false,
        }])
        .await?;
        self.committed(range, token).await
    }
}

impl Attempt {
    /// Whether it refuses rows that may lie in other ranges.
    fn refuses_elsewhere(&self) -> bool {
        self.overrules && self.range.keys().order() == KeyOrder::SortingKey
    }
}

impl Schema {
    fn commit_sql(&self, run: u64, day: Day, group: &[&Attempt]) -> String {
        let tokens = commas(group.iter().map(|attempt| attempt.token));
        // The first of each tuple is the hash.
        let tuple = std::iter::once("key_hash").chain(RESULT_COLUMNS.iter().filter_map(stored));
        // One result a row, the same in every column, should two attempts of the group have judged it.
        let all = format!(
            "(SELECT groupArray(({})) FROM (SELECT * FROM {} WHERE token IN ({tokens}) \
             ORDER BY token, key_hash LIMIT 1 BY key_hash))",
            commas(tuple),
            self.results
        );
        // What lies between neighbours is none of these tokens'.
        let ranges = neighbours(group.iter().map(|attempt| attempt.range.keys()).collect());
        let hash = self.row_hash();
        let mut place = format!(
            "(transform({hash}, tupleElement(({all} AS {RESULTS_ALIAS}), 1), \
             arrayEnumerate(tupleElement({RESULTS_ALIAS}, 1)), toUInt32(0)) AS {PLACE_ALIAS})"
        );
        let mut element = 1;
        let assignments = RESULT_COLUMNS.iter().map(|column| {
            let value = match column.origin {
                Origin::Commit => "now64(3)".to_owned(),
                Origin::Attempt(AttemptField::Run) => self.run_to_keep(run, group),
                Origin::Verdict(_) | Origin::Attempt(_) => {
                    element += 1;
                    let value =
                        format!("arrayElement(tupleElement({RESULTS_ALIAS}, {element}), {place})");
                    PLACE_ALIAS.clone_into(&mut place);
                    null_if_none(column, &value)
                }
            };
            self.assign(column, &value)
        });
        format!(
            "UPDATE {source} SET {assignments} WHERE {day} AND {ranges} \
             AND {hash} IN (SELECT key_hash FROM {results} WHERE token IN ({tokens})) AND {guard} \
             AND {selected}",
            source = self.source,
            selected = self.selected(),
            assignments = commas(assignments),
            day = self.on_day(day),
            ranges = match group {
                // The rows that it refuses may lie in other ranges.
                [one] if one.refuses_elsewhere() => "1".to_owned(),
                _ => self.around(&ranges),
            },
            results = self.results,
            guard = self.commit_guard(run, group),
        )
    }

    /// Which rows of the attempts' results may be written.
    ///
    /// A row that is refused for its key keeps that against an attempt with a smaller token, which looked at the rows
    /// before: it may not have seen the other row. Only a run that overwrites verdicts could do that.
    fn commit_guard(&self, run: u64, group: &[&Attempt]) -> String {
        let guard = self.guard(run);
        let (token, error) = (self.column("alg_token"), self.column("alg_error"));
        if let [attempt] = group
            && attempt.overrules
        {
            let own = attempt.token;
            // Along a sorting key an attempt does not look for rivals elsewhere unless its range has grown: a larger
            // token of the run has seen no more.
            let unseen = match attempt.refuses_elsewhere() {
                true => format!(" OR {} = {run}", self.column("alg_run")),
                false => String::new(),
            };
            return format!(
                "({guard} OR (({token} < {own}{unseen}) AND {hash} IN (SELECT key_hash FROM {results} \
                 WHERE token = {own} AND startsWith(alg_error, '{DUPLICATE_KEY}'))))",
                hash = self.row_hash(),
                results = self.results,
            );
        }
        let smallest = group.iter().map(|attempt| attempt.token).min();
        match smallest {
            Some(smallest) if run != LIVE_RUN => format!(
                "{guard} AND NOT (startsWith(ifNull({error}, ''), '{DUPLICATE_KEY}') AND ifNull({token}, 0) > {smallest})"
            ),
            _ => guard,
        }
    }

    /// The run that a row carries afterwards: one that is overruled was done by the later of two runs, and stays so.
    fn run_to_keep(&self, run: u64, group: &[&Attempt]) -> String {
        if group.iter().any(|attempt| attempt.overrules) {
            format!("greatest(ifNull({}, 0), {run})", self.column("alg_run"))
        } else {
            run.to_string()
        }
    }

    fn assign(&self, column: &'static ResultColumn, value: &str) -> String {
        let full = self
            .column_type(column.name)
            .map_or(source_type(column.kind), |found| found.full.as_str());
        format!("{} = CAST({value} AS {full})", self.column(column.name))
    }
}

/// A value of `weld_results` as a row has it: what stands for "there is none" becomes NULL.
fn null_if_none(column: &ResultColumn, value: &str) -> String {
    let name = column.name;
    match column.kind {
        ValueKind::Word(_) | ValueKind::Text => format!("nullIf({value}, '')"),
        ValueKind::Float => {
            format!("if(isNaN({value} AS weldfleet_{name}), NULL, weldfleet_{name})")
        }
        ValueKind::Integer | ValueKind::Time => value.to_owned(),
    }
}

/// A cell as a literal of `weld_results`.
fn constant(kind: ValueKind, cell: Cell<'_>) -> String {
    match kind {
        ValueKind::Float if cell.float().is_nan() => "nan".to_owned(),
        ValueKind::Float => cell.float().to_string(),
        _ => literal(&cell.text()),
    }
}

pub(super) fn results_block(
    token: u64,
    run: u64,
    job: &str,
    block: &RowBlock,
    verdicts: &[Verdict],
) -> Vec<u8> {
    let (hashes, verdicts): (Vec<u64>, Vec<&Verdict>) = block
        .results()
        .map(|(hash, row)| (hash, &verdicts[row]))
        .unzip();
    let rows = verdicts.len();
    let columns = ATTEMPT_COLUMNS.len() + verdict_columns().count();
    let mut out = Writer::new(columns, rows, 512 + rows * 128);
    let [
        token_column,
        hash_column,
        run_column,
        day_column,
        job_column,
    ] = ATTEMPT_COLUMNS;
    out.repeated(token_column, "UInt64", token);
    out.numbers(hash_column, "UInt64", &hashes);
    out.repeated(run_column, "UInt64", run);
    out.repeated(day_column, "UInt32", block.day().number());
    out.texts(job_column, std::iter::repeat_n(job, rows));
    for (column, read) in verdict_columns() {
        let cells = verdicts.iter().map(|verdict| read(verdict));
        match column.kind {
            ValueKind::Float => out.numbers_from(
                column.name,
                results_type(column.kind),
                cells.map(Cell::float),
            ),
            _ => out.texts(column.name, cells.map(Cell::text)),
        }
    }
    out.finish()
}
