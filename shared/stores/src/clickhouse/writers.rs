//! Who writes into the plant's table, and whom added columns would break.
//!
//! An INSERT that names its columns goes on as before. One without a list means all columns, and there are more of them
//! afterwards.

use std::fmt;

use clickhouse::Row;
use serde::Deserialize;

use super::{
    Server, SourceTable,
    plant_table::rows_of_a_plant,
    quote::literal,
    schema::{OWN_RECORD_ID, Schema},
};
use crate::errors::StoreError;

/// Inserts that are listed one by one.
const MOST_INSERTS: usize = 20;
/// Kinds of inserts that are read from the log.
const MOST_READ: u32 = 1000;
/// Days of the log.
const DAYS: u32 = 7;

/// Formats that say which column a value is for.
const NAMING_FORMATS: &[&str] = &[
    "native",
    "jsoneachrow",
    "jsonlines",
    "ndjson",
    "json",
    "jsoncompact",
    "jsoncolumns",
    "jsonobjecteachrow",
    "bsoneachrow",
    "tskv",
    "parquet",
    "arrow",
    "arrowstream",
    "orc",
    "avro",
];

/// What people must know before columns are added to a table that is not ours and has rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Database and table.
    pub table: String,
    /// Columns that are added.
    pub columns: usize,
    /// Inserts without a column list, the most frequent first; or why they could not be looked for.
    pub inserts: Result<Vec<LoggedInsert>, String>,
    /// Tables of the same columns, such as an archive: parts cannot be exchanged with them any more, nor rows by
    /// `SELECT *`.
    pub alike: Vec<String>,
}

/// One kind of INSERT in the server's log.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct LoggedInsert {
    pub user: String,
    /// The statement's beginning, without its values.
    pub query: String,
    /// How often in the last week.
    pub times: u64,
    /// When last, as the server prints it.
    pub last: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} has rows and gets {} columns. An INSERT into it that names no columns means all of them, and breaks:",
            self.table, self.columns
        )?;
        writeln!(
            f,
            "  VALUES (error 62), CSV, TSV and other texts (27), SELECT (20), RowBinary (33, or values in the wrong columns without an error)"
        )?;
        writeln!(
            f,
            "  these go on: INSERT INTO t (a, b, …), Native, JSONEachRow, Parquet, …WithNames, materialized views, Buffer tables"
        )?;
        if !self.alike.is_empty() {
            writeln!(
                f,
                "  tables of the same columns: {}; INSERT … SELECT * (20) and MOVE, ATTACH or REPLACE PARTITION (122) between them fail \
                 until they have the columns, too",
                self.alike.join(", ")
            )?;
        }
        match &self.inserts {
            Err(why) => write!(f, "which inserts there are is not known: {why}"),
            Ok(inserts) if inserts.is_empty() => write!(
                f,
                "system.query_log of the last {DAYS} days has no INSERT into it without a column list"
            ),
            Ok(inserts) => {
                write!(
                    f,
                    "without a column list in the last {DAYS} days (system.query_log):"
                )?;
                for insert in inserts.iter().take(MOST_INSERTS) {
                    write!(
                        f,
                        "\n  {} times by {}, last {}: {}",
                        insert.times, insert.user, insert.last, insert.query
                    )?;
                }
                if inserts.len() > MOST_INSERTS {
                    write!(f, "\n  and {} more", inserts.len() - MOST_INSERTS)?;
                }
                Ok(())
            }
        }
    }
}

/// Rows of a table that is not of our own making.
async fn foreign_rows(server: &Server, schema: &Schema) -> Result<u64, StoreError> {
    let sql = format!(
        "SELECT CAST(assumeNotNull((SELECT count() FROM {})) AS UInt64), toUInt8(count() > 0) FROM system.columns \
         WHERE {} AND comment = '{OWN_RECORD_ID}'",
        schema.source,
        schema.about("table")
    );
    let (rows, is_ours): (u64, u8) = server.one("look at the source table", &sql).await?;
    Ok(if is_ours == 1 { 0 } else { rows })
}

impl SourceTable {
    /// Rows of a plant, beside which invented welds would stand; 0 in a table of our own making, and in one that was
    /// made for invented welds.
    pub async fn foreign_rows(&self) -> Result<u64, StoreError> {
        // Also those that `tables.filter` leaves out.
        let server = self.server.clone().selecting_all();
        match foreign_rows(&server, &self.schema).await? {
            0 => Ok(0),
            _ => rows_of_a_plant(&self.server, &self.schema.database, &self.schema.table).await,
        }
    }
}

/// What must be known before `columns` columns are added; `None` where the table is empty or of our own making.
pub(crate) async fn notice(
    server: &Server,
    schema: &Schema,
    columns: usize,
) -> Result<Option<Notice>, StoreError> {
    if foreign_rows(server, schema).await? == 0 {
        return Ok(None);
    }
    let (database, table) = (literal(&schema.database), literal(&schema.table));
    let sql = format!(
        "SELECT concat(database, '.', table) FROM system.columns WHERE (database, table) IN \
         (SELECT database, name FROM system.tables WHERE engine LIKE '%MergeTree') \
         GROUP BY database, table HAVING (database, table) != ({database}, {table}) \
         AND arraySort(groupArray((name, type))) = (SELECT arraySort(groupArray((name, type))) FROM system.columns \
         WHERE {}) ORDER BY 1 LIMIT 20",
        schema.about("table")
    );
    let alike = server.all("look for tables of the same columns", &sql);
    let alike = alike.await?;
    Ok(Some(Notice {
        table: format!("{}.{}", schema.database, schema.table),
        columns,
        inserts: logged(server, schema).await,
        alike,
    }))
}

async fn logged(server: &Server, schema: &Schema) -> Result<Vec<LoggedInsert>, String> {
    let sql = "SELECT count() FROM system.tables WHERE database = 'system' AND name = 'query_log'";
    let there = server.one("look for the query log", sql).await;
    let there: u64 = there.map_err(|error| error.chain())?;
    if there == 0 {
        return Err("the server keeps no system.query_log that this user may read".to_owned());
    }
    // The table may be named with or without its database, and quoted or not: its name is somewhere in the text.
    let sql = format!(
        "SELECT user, substring(any(query), 1, 2000) AS query, count() AS times, toString(max(event_time)) AS last \
         FROM system.query_log WHERE event_date >= today() - {DAYS} AND type = 'QueryFinish' AND query_kind = 'Insert' \
         AND position(query, {}) > 0 GROUP BY user, normalized_query_hash ORDER BY times DESC, last DESC LIMIT {MOST_READ}",
        literal(&schema.table),
    );
    let found = server.all("read the query log", &sql).await;
    let found: Vec<LoggedInsert> = found.map_err(|error| error.chain())?;
    let found = found.into_iter().filter_map(|insert| {
        let query = without_columns(&insert.query, &schema.database, &schema.table)?;
        Some(LoggedInsert { query, ..insert })
    });
    Ok(found.collect())
}

/// The beginning of an INSERT into the table that names no columns and whose format does not either; `None` for any
/// other statement.
fn without_columns(query: &str, database: &str, table: &str) -> Option<String> {
    let mut words = Words(query);
    words.keyword("insert")?;
    words.keyword("into")?;
    let mut name = words.name()?;
    if name.eq_ignore_ascii_case("table") && !words.0.trim_start().starts_with('.') {
        // `INSERT INTO TABLE t`; a table called `table` is not worth a parser.
        if let Some(next) = words.name() {
            name = next;
        }
    }
    let mut of = None;
    if words.symbol('.').is_some() {
        of = Some(name);
        name = words.name()?;
    }
    if name != table || of.is_some_and(|of| of != database) {
        return None;
    }
    let head_end = query.len() - words.0.len();
    let mut rest = words.0.trim_start();
    if let Some(list) = rest.strip_prefix('(') {
        let inside = list.trim_start();
        // `(*)` and `(* EXCEPT …)` mean all columns, too; `(SELECT …)` is the rows.
        let all = inside.starts_with('*') || starts_with_word(inside, "select");
        if !all {
            return None;
        }
        rest = list.split_once(')').map_or("", |(_, rest)| rest);
    }
    // What stands behind VALUES is data, and so may be the word.
    let data = starts_with_word(rest, "values");
    let format = after_word(rest, "format").filter(|_| !data).map(|format| {
        let end = format
            .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .unwrap_or(format.len());
        format[..end].to_ascii_lowercase()
    });
    let names_columns = format.as_deref().is_some_and(|format| {
        NAMING_FORMATS.contains(&format)
            || format.contains("withnames")
            || format.starts_with("jsoncolumnswith")
    });
    if names_columns {
        return None;
    }
    let head = query[..head_end].trim();
    let how = match format {
        Some(format) if !starts_with_word(rest, "select") => format!("FORMAT {format}"),
        _ => rest
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .chars()
            .take_while(|letter| letter.is_alphanumeric())
            .collect(),
    };
    Some(format!("{head} {how}").trim_end().replace('\n', " "))
}

fn starts_with_word(text: &str, word: &str) -> bool {
    let mut words = Words(text);
    words.keyword(word).is_some()
}

/// What follows the first occurrence of a whole word.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let lower = text.to_ascii_lowercase();
    let mut from = 0;
    while let Some(place) = lower[from..].find(word) {
        let (begin, end) = (from + place, from + place + word.len());
        let free = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
        if free(lower[..begin].chars().next_back()) && free(lower[end..].chars().next()) {
            return Some(text[end..].trim_start());
        }
        from = end;
    }
    None
}

/// The rest of a statement.
struct Words<'a>(&'a str);

impl Words<'_> {
    fn keyword(&mut self, word: &str) -> Option<()> {
        let text = self.0.trim_start();
        let head = text.get(..word.len())?;
        let rest = &text[word.len()..];
        let ends = !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        if !head.eq_ignore_ascii_case(word) || !ends {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    fn symbol(&mut self, symbol: char) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(symbol)?;
        Some(())
    }

    /// A name, quoted or not.
    fn name(&mut self) -> Option<String> {
        let text = self.0.trim_start();
        let quote = text.chars().next()?;
        if quote == '`' || quote == '"' {
            let mut name = String::new();
            let mut letters = text[1..].char_indices();
            while let Some((place, letter)) = letters.next() {
                match letter {
                    '\\' => name.push(letters.next()?.1),
                    _ if letter == quote => {
                        self.0 = &text[place + 2..];
                        return Some(name);
                    }
                    _ => name.push(letter),
                }
            }
            return None;
        }
        let end = text
            .find(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '$')
            .unwrap_or(text.len());
        if end == 0 {
            return None;
        }
        self.0 = &text[end..];
        Some(text[..end].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserts_without_a_column_list_are_told_from_others() {
        for (query, told) in [
            (
                "INSERT INTO spot_records VALUES (1, 'format')",
                Some("INSERT INTO spot_records VALUES"),
            ),
            (
                "insert into plant.spot_records\nFORMAT RowBinary",
                Some("insert into plant.spot_records FORMAT rowbinary"),
            ),
            (
                "INSERT INTO TABLE `plant`.`spot_records` SELECT * FROM stage",
                Some("INSERT INTO TABLE `plant`.`spot_records` SELECT"),
            ),
            (
                "INSERT INTO spot_records (* EXCEPT label) FORMAT CSV",
                Some("INSERT INTO spot_records FORMAT csv"),
            ),
            (
                "INSERT INTO spot_records SETTINGS async_insert=1 FORMAT TSV",
                Some("INSERT INTO spot_records FORMAT tsv"),
            ),
            (
                "INSERT INTO spot_records (SELECT 1)",
                Some("INSERT INTO spot_records"),
            ),
            ("INSERT INTO spot_records (a, b) VALUES (1, 2)", None),
            ("INSERT INTO spot_records FORMAT Native", None),
            (
                "INSERT INTO spot_records FORMAT JSONEachRow {\"a\": 1}",
                None,
            ),
            (
                "INSERT INTO spot_records FORMAT RowBinaryWithNamesAndTypes",
                None,
            ),
            ("INSERT INTO other.spot_records VALUES (1)", None),
            ("INSERT INTO spot_records_old VALUES (1)", None),
            ("INSERT INTO stage SELECT * FROM spot_records", None),
            ("INSERT INTO FUNCTION file('spot_records') VALUES (1)", None),
            ("SELECT 1", None),
        ] {
            assert_eq!(
                without_columns(query, "plant", "spot_records").as_deref(),
                told,
                "{query}"
            );
        }
        assert_eq!(
            without_columns("INSERT INTO 焊点记录 VALUES (1)", "plant", "焊点记录").as_deref(),
            Some("INSERT INTO 焊点记录 VALUES")
        );
    }
}
