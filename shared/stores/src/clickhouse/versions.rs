//! Tables that keep versions of a row (`ReplacingMergeTree`): reading the one that counts, without reading its whole
//! day.

use super::{quote::identifier, schema::Schema};

impl Schema {
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
}

/// Columns of the sorting key, quoted, that find few rows before `FINAL`: the id alone where the key has it, else all
/// but the day. None where the time leads the key, which then finds them, and where a column may be NULL, which is
/// never `IN` a set.
pub(super) fn narrowing(
    sorting_key: &str,
    [day, time, id]: [&str; 3],
    may_be_null: impl Fn(&str) -> bool,
) -> Vec<String> {
    let columns: Vec<&str> = members(sorting_key)
        .flatten()
        .filter(|column| *column != day)
        .collect();
    if columns.first() == Some(&time) {
        return Vec::new();
    }
    let found: &[&str] = match columns.iter().position(|column| *column == id) {
        Some(at) => &columns[at..=at],
        None => &columns,
    };
    if found.iter().any(|column| may_be_null(column)) {
        return Vec::new();
    }
    found.iter().map(|column| identifier(column)).collect()
}

/// Members of a sorting key: columns as they are, `None` for an expression.
pub(super) fn members(sorting_key: &str) -> impl Iterator<Item = Option<&str>> {
    let mut depth = 0_usize;
    sorting_key
        .split(move |c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        })
        .map(|member| member.trim().trim_matches('`'))
        .filter(|member| !member.is_empty())
        .map(|member| (!member.contains(['(', ')', '`', '\\', ' '])).then_some(member))
}

#[cfg(test)]
mod tests {
    use super::narrowing;

    #[test]
    fn few_rows_are_found_by_the_id_or_by_the_rest_of_the_key() {
        for (key, found) in [
            ("data_date, spot_tag, id", "`id`"),
            ("data_date, robot, seq", "`robot`,`seq`"),
            ("`data_date`, `id`", "`id`"),
            ("id", "`id`"),
            // the primary key finds the rows by their time
            ("data_date, at, id", ""),
            ("at, id", ""),
            // what an expression makes of an id may be another version's
            ("data_date, lower(id), robot", "`robot`"),
            ("data_date, tuple(robot, id, seq)", ""),
            // NULL is not IN a set
            ("data_date, spot_tag, seq", ""),
            ("data_date", ""),
            ("", ""),
        ] {
            let columns = narrowing(key, ["data_date", "at", "id"], |column| {
                column == "spot_tag"
            });
            assert_eq!(columns.join(","), found, "{key}");
        }
    }
}
