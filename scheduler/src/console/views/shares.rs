//! How many welds of this shift are NOK, by line.

use weldfleet_stores::clickhouse::{LineShares, MOST_LINES};

use super::table::{Columns, For, Table};
use crate::console::{shares::ShiftShares, words::Text};

pub fn heading(shares: &ShiftShares, text: &Text) -> String {
    let since = shares.since.strftime("%Y-%m-%d %H:%M").to_string();
    let said = match shares.shift.as_str() {
        "" => text.shares_today.to_owned(),
        shift => text.shares_of.replace("{shift}", shift),
    };
    said.replace("{since}", &since)
}

pub fn table(shares: &ShiftShares, whom: For, text: &Text) -> Table {
    let [line, judged, nok, share, before] = text.share_columns;
    let mut columns = Columns::<LineShares>::new()
        .theirs(line, |line| {
            match line.line.as_str() {
                "" if shares.by_line => text.no_line,
                "" => text.all_lines,
                name => name,
            }
            .to_owned()
        })
        .ours(judged, |line| whom.count(line.judged))
        .ours(nok, |line| whom.count(line.nok))
        .ours(share, |line| whom.share(line.nok, line.judged))
        .ours(before, |line| {
            whom.share(line.nok_before, line.judged_before)
        });
    let mut all = None;
    match whom {
        For::People => all = total(shares, text),
        // A file stands alone, away from its heading. It would count a total twice.
        For::Spreadsheet => {
            let [since, read_at] = [shares.since, shares.read_at]
                .map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
            let about = [shares.shift.clone(), since, read_at];
            let about = text.share_about.into_iter().zip(about);
            for (name, what) in about {
                columns = columns.ours(name, move |_| what.clone());
            }
        }
    }
    columns.table(shares.lines.iter().chain(&all))
}

/// All lines together, where several are told and none is left out.
fn total(shares: &ShiftShares, text: &Text) -> Option<LineShares> {
    let lines = &shares.lines;
    let sum = |of: fn(&LineShares) -> u64| lines.iter().map(of).sum();
    (1 < lines.len() && lines.len() < MOST_LINES as usize).then(|| LineShares {
        line: text.all_lines.to_owned(),
        judged: sum(|line| line.judged),
        nok: sum(|line| line.nok),
        judged_before: sum(|line| line.judged_before),
        nok_before: sum(|line| line.nok_before),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::words::ENGLISH;

    #[test]
    fn lines_are_told_with_their_total_and_one_without_a_name_is_not_all_of_them() {
        let line = |name: &str, nok| LineShares {
            line: name.to_owned(),
            judged: 100,
            nok,
            judged_before: 1000,
            nok_before: 10,
        };
        let told = |by_line, lines: &[LineShares], whom| {
            let at = jiff::civil::date(2026, 11, 29).at(6, 0, 0, 0);
            let shares = ShiftShares {
                shift: "early".to_owned(),
                since: at,
                read_at: at,
                lines: lines.to_vec(),
                by_line,
            };
            let rows = table(&shares, whom, &ENGLISH).rows.into_iter();
            rows.map(|row| row[..4].join(" ")).collect::<Vec<_>>()
        };
        let lines = [line("A", 5), line("", 1)];
        let people = told(true, &lines, For::People);
        assert_eq!(
            people,
            [
                "A 100 5 5.00 %",
                "no line named 100 1 1.00 %",
                "all 200 6 3.00 %"
            ]
        );
        assert_eq!(told(true, &lines, For::Spreadsheet).len(), 2);
        assert_eq!(told(false, &lines[1..], For::People), ["all 100 1 1.00 %"]);
    }
}
