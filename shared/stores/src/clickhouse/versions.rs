//! What a table's sorting key tells: its members, and by which of them few rows are found before `FINAL` compares
//! versions.

use super::quote::identifier;

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
