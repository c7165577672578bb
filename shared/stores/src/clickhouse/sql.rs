//! Where rows of the source table are read, and conditions on them: bounds and guards.

use super::{
    leading::Side,
    quote::{literal, literals},
    schema::{DayType, IdType, Schema, TimeType},
};
use crate::{
    IdRef, RecordId, commas,
    range::{Day, Key, KeyOrder, KeyRange, Leading, Selection},
};

/// Bytes of the longest `record_id` there is room for in MySQL's unique key.
pub(crate) const LONGEST_ID: usize = 512;

/// Keys that one statement names.
pub(super) const MOST_KEYS: usize = 5000;

/// Spans in order, those that touch as one.
fn joined<T: Copy + Ord>(mut spans: Vec<(T, T)>) -> Vec<(T, T)> {
    spans.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::new();
    for (from, to) in spans {
        match joined.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// The newest day of a table, as a question. Texts that are no days, `None` and the like, lie behind all days.
pub(super) fn newest_day(day: &str, source: &str, is_text: bool) -> String {
    let dated = if is_text {
        format!(" WHERE {day} < ':'")
    } else {
        String::new()
    };
    format!("SELECT max({day}) FROM {source}{dated}")
}

/// The number behind a prefix in a text column; 0 where the text is not so.
pub(super) fn number_behind(prefix: &str, column: &str) -> String {
    let prefix = literal(prefix);
    format!(
        "if(startsWith({column}, {prefix}), toUInt64OrZero(substring({column}, length({prefix}) + 1)), toUInt64(0))"
    )
}

/// A SELECT of these expressions by their names, with `rest` behind them. Inside a name is `f_…`: the plant may have a
/// column of that name, and an expression that uses it.
pub(super) fn renamed(columns: &[(&str, String)], rest: &str) -> String {
    let outer = columns
        .iter()
        .map(|(name, _)| format!("f_{name} AS {name}"));
    let inner = columns
        .iter()
        .map(|(name, sql)| format!("{sql} AS f_{name}"));
    format!(
        "SELECT {} FROM (SELECT {} {rest})",
        commas(outer),
        commas(inner)
    )
}

impl Schema {
    /// What names a weld in a list for people, for [`renamed`].
    pub(super) fn named_weld(&self) -> Vec<(&'static str, String)> {
        let text = |ours| (ours, format!("toValidUTF8({})", self.text(ours)));
        let time = self.column("ck_local_time");
        vec![
            ("day", format!("toUInt32({})", self.day_number())),
            ("ticks", self.ticks()),
            ("time", format!("toString({time})")),
            ("record_id", format!("toValidUTF8({})", self.id_text())),
            text("part_no"),
            text("spot_name"),
            text("timer_name"),
        ]
    }

    /// Where rows are read: of a table that keeps versions, the version that counts.
    ///
    /// `FINAL` is the table's own notion of it, deleted rows included. Writes name the table itself: a result is of one
    /// physical row (see [`Self::row_hash`]), whatever version of its weld that is.
    pub(crate) fn rows(&self) -> String {
        if self.keeps_versions {
            format!("{} FINAL", self.source)
        } else {
            self.source.clone()
        }
    }

    /// As [`Self::rows`], for a statement with curves whose rows are few: all of them meet `candidates` (SQL, may end
    /// with ORDER BY and LIMIT), as do others, also versions that do not count.
    ///
    /// `FINAL` compares versions before any other condition holds, with every column that is asked for: of a table that
    /// is not ordered by time, each range would read its whole day. Conditions on the sorting key alone are safe before
    /// it, since a row's versions share their key.
    pub(crate) fn rows_among(&self, candidates: &str) -> String {
        let rows = self.rows();
        if self.narrowing.is_empty() {
            return rows;
        }
        let key = self.narrowing.join(", ");
        let source = &self.source;
        format!("{rows} PREWHERE ({key}) IN (SELECT {key} FROM {source} WHERE {candidates})")
    }

    /// `ck_local_time` at an instant, free of time zones: the column's own integer, reinterpreted.
    pub(crate) fn instant(&self, ticks: i64) -> String {
        match self.time {
            TimeType::Seconds => format!("reinterpret(toUInt32({ticks}), 'DateTime')"),
            TimeType::Ticks(precision) => {
                format!("reinterpret(toInt64({ticks}), 'DateTime64({precision})')")
            }
        }
    }

    /// `ck_local_time` as the column's own integer.
    pub(crate) fn ticks(&self) -> String {
        let time = self.column("ck_local_time");
        match self.time {
            TimeType::Seconds => format!("toInt64(toUInt32({time}))"),
            TimeType::Ticks(_) => format!("reinterpret({time}, 'Int64')"),
        }
    }

    /// `record_id` as the reader expects it.
    pub(crate) fn id(&self) -> String {
        let id = self.column("record_id");
        match self.id {
            IdType::Number => format!("toUInt64({id})"),
            IdType::Text => format!("CAST({id} AS String)"),
        }
    }

    /// Rows whose id can be named in a job and in MySQL (`None`: every id of the column can). The others are marked by
    /// the pass.
    pub(crate) fn has_usable_id(&self) -> Option<String> {
        let id = self.column("record_id");
        match self.id {
            IdType::Number => None,
            IdType::Text => Some(format!(
                "(isValidUTF8(CAST({id} AS String)) AND length(CAST({id} AS String)) <= {LONGEST_ID})"
            )),
        }
    }

    /// Rows that a run wants and that can be judged.
    pub(crate) fn judgeable(&self, run: u64, selection: &Selection) -> String {
        let wanted = self.wanted(run, selection);
        match self.has_usable_id() {
            None => wanted,
            Some(usable) => format!("{wanted} AND {usable}"),
        }
    }

    /// `record_id` as text.
    pub(crate) fn id_text(&self) -> String {
        format!("toString({})", self.column("record_id"))
    }

    /// A key of an id as text; `None` if the column cannot hold it.
    pub fn key_of(&self, ticks: i64, id: &str) -> Option<Key> {
        Some(Key {
            leading: None,
            ticks,
            id: self.id_of(id)?,
            text: String::new(),
        })
    }

    /// An id that the column can hold.
    pub(crate) fn id_of(&self, text: &str) -> Option<RecordId> {
        match self.id {
            IdType::Number => text.parse().ok().map(RecordId::Number),
            IdType::Text => Some(RecordId::Text(text.to_owned())),
        }
    }

    pub(crate) fn id_value(&self, id: IdRef<'_>) -> String {
        match id {
            IdRef::Number(number) => number.to_string(),
            IdRef::Text(text) => literal(text),
        }
    }

    /// Rows of one day.
    pub(crate) fn on_day(&self, day: Day) -> String {
        self.on_days(&[day])
    }

    /// Rows of any of the days.
    pub(crate) fn on_days(&self, days: &[Day]) -> String {
        let column = self.column("data_date");
        let values: Vec<String> = days
            .iter()
            .flat_map(|day| match self.day {
                DayType::Number => vec![day.to_string()],
                DayType::Date => vec![format!("toDate({})", literal(&day.iso()))],
                DayType::Date32 => vec![format!("toDate32({})", literal(&day.iso()))],
                DayType::Text => vec![literal(&day.to_string()), literal(&day.iso())],
            })
            .collect();
        match values.as_slice() {
            [] => "0".to_owned(),
            [one] => format!("{column} = {one}"),
            _ => format!("{column} IN ({})", values.join(", ")),
        }
    }

    /// The row's day as a number `YYYYMMDD`, 0 when it is none.
    pub(crate) fn day_number(&self) -> String {
        let column = self.column("data_date");
        match self.day {
            DayType::Number => format!("toUInt32({column})"),
            DayType::Date | DayType::Date32 => format!("toYYYYMMDD({column})"),
            DayType::Text => {
                format!("toUInt32OrZero(replaceAll(CAST({column} AS String), '-', ''))")
            }
        }
    }

    /// `cityHash64` of one physical row: the weld's key, and where the row was inserted, which merges, mutations and
    /// patches keep.
    ///
    /// The key alone would not do: a row with the same key that arrives after the fetch would get the verdict of the
    /// row that was judged. If a server did move a row after all, its result would find no row, and the next pass would
    /// judge it again.
    pub(crate) fn row_hash(&self) -> String {
        let day = match self.day {
            DayType::Text => format!(
                "replaceAll(CAST({} AS String), '-', '')",
                self.column("data_date")
            ),
            _ => self.column("data_date").to_owned(),
        };
        format!(
            "cityHash64({day}, {}, {}, _partition_id, _block_number, _block_offset)",
            self.column("ck_local_time"),
            self.column("record_id")
        )
    }

    /// Rows of the day with any of these keys, given as ticks and id.
    pub(crate) fn has_key<'k>(&self, keys: impl IntoIterator<Item = (i64, &'k str)>) -> String {
        let keys = keys.into_iter();
        let list = commas(keys.map(|(ticks, id)| format!("({ticks}, {})", literal(id))));
        if list.is_empty() {
            return "0".to_owned();
        }
        format!("({}, {}) IN (({list}))", self.ticks(), self.id_text())
    }

    /// Rows from the first key to the last. The bounds on time alone come first and use the primary key.
    pub(crate) fn between(&self, keys: &KeyRange) -> String {
        format!(
            "({} AND {})",
            self.on_side(Side::Behind, &keys.from, true),
            self.on_side(Side::Before, &keys.to, true)
        )
    }

    /// Rows of one key.
    pub(crate) fn is_key(&self, key: &Key) -> String {
        self.between(&KeyRange {
            from: key.clone(),
            to: key.clone(),
        })
    }

    /// Rows of any of the ranges, and some around them: for statements that know their rows otherwise, too, and need the
    /// primary key alone. Along a sorting key ranges are as wide as their leading values, and as few as those leave.
    pub(crate) fn around(&self, ranges: &[KeyRange]) -> String {
        let (by_time, led): (Vec<&KeyRange>, Vec<&KeyRange>) = ranges
            .iter()
            .partition(|keys| keys.order() == KeyOrder::Time);
        let mut alternatives: Vec<String> = self.between_any(&by_time).into_iter().collect();
        if let Some(column) = &self.leading {
            let spans = led.iter().filter_map(|keys| {
                let ends = [&keys.from, &keys.to].map(|key| key.as_ref().leading);
                ends[0].zip(ends[1])
            });
            let spans = joined(spans.filter(|(from, _)| column.fits(*from)).collect());
            alternatives.extend(spans.into_iter().map(|(from, to)| {
                let from = column.on_side(Side::Behind, from, true);
                format!("({from} AND {})", column.on_side(Side::Before, to, true))
            }));
        }
        match alternatives.as_slice() {
            [] => "0".to_owned(),
            [one] => one.clone(),
            _ => format!("({})", alternatives.join(" OR ")),
        }
    }

    /// Rows of any of the ranges, their hull first, which is what is left where the server does not look into the
    /// alternatives.
    fn between_any(&self, ranges: &[&KeyRange]) -> Option<String> {
        let first = ranges.iter().map(|keys| &keys.from).min()?;
        let last = ranges.iter().map(|keys| &keys.to).max()?;
        let hull = self.between(&KeyRange {
            from: first.clone(),
            to: last.clone(),
        });
        if ranges.len() == 1 {
            return Some(hull);
        }
        let each: Vec<String> = ranges.iter().map(|keys| self.between(keys)).collect();
        Some(format!("({hull} AND ({}))", each.join(" OR ")))
    }

    /// Rows on one side of a key, and at it if that is `inclusive`.
    ///
    /// A range along a sorting key that the table has no more names no row; the pass cuts its rows anew.
    pub(super) fn on_side(&self, side: Side, key: &Key, inclusive: bool) -> String {
        let (time, id) = (self.column("ck_local_time"), self.column("record_id"));
        let (at, value) = (self.instant(key.ticks), self.id_value(key.id.as_ref()));
        let [from, beyond, last] = [true, false, inclusive].map(|inclusive| side.sign(inclusive));
        let by_time =
            format!("{time} {from} {at} AND ({time} {beyond} {at} OR {id} {last} {value})");
        let Some(value) = key.leading.as_ref().map(Leading::as_ref) else {
            return by_time;
        };
        match self.leading.as_ref().filter(|column| column.fits(value)) {
            None => "0".to_owned(),
            Some(column) => format!(
                "{} AND ({} OR ({by_time}))",
                column.on_side(side, value, true),
                column.on_side(side, value, false)
            ),
        }
    }

    /// Rows that are the fleet's, for an UPDATE, to which the server does not add the filter by itself.
    pub(crate) fn selected(&self) -> &str {
        &self.selected
    }

    /// Rows that no newer run, and no attempt of this run, has written.
    pub(crate) fn guard(&self, run: u64) -> String {
        let (complete, alg_run) = (self.column("alg_complete_time"), self.column("alg_run"));
        format!("({complete} IS NULL OR {alg_run} IS NULL OR {alg_run} < {run})")
    }

    /// Rows that a run wants: the selection and the guard.
    pub(crate) fn wanted(&self, run: u64, selection: &Selection) -> String {
        match selection {
            Selection::New => format!("{} IS NULL", self.column("alg_complete_time")),
            Selection::Force => self.guard(run),
            Selection::Status(statuses) => {
                let status = self.column("alg_status");
                let list = match statuses.as_slice() {
                    [] => "NULL".to_owned(),
                    some => literals(some.iter().map(|status| status.as_str())),
                };
                format!("{status} IN ({list}) AND {}", self.guard(run))
            }
        }
    }
}
