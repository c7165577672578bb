//! Tables, JSON and numbers for people; colour only on a terminal.

use std::time::Duration;

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde::Serialize;

/// Prints a value as indented JSON on standard output.
///
/// # Errors
/// If the value cannot be serialised.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    crate::outln!("{text}");
    Ok(())
}

/// Whether this stream is to have colours: on a terminal that can show them, unless `NO_COLOR` is set; `CLICOLOR` and
/// `CLICOLOR_FORCE` are heard too.
pub(crate) fn has_colours(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// Colours of a screen; plain text where standard output is to have none.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Colours if standard output is to have them.
    #[expect(clippy::disallowed_methods, reason = "asks, does not write")]
    pub fn for_stdout() -> Self {
        Self {
            on: has_colours(&std::io::stdout()),
        }
    }

    pub fn plain() -> Self {
        Self { on: false }
    }

    fn wrap(self, style: Style, text: &str) -> String {
        if self.on {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    pub fn green(self, text: &str) -> String {
        self.wrap(AnsiColor::Green.on_default(), text)
    }

    pub fn yellow(self, text: &str) -> String {
        self.wrap(AnsiColor::Yellow.on_default(), text)
    }

    pub fn red(self, text: &str) -> String {
        self.wrap(AnsiColor::Red.on_default(), text)
    }

    pub fn bold(self, text: &str) -> String {
        self.wrap(Style::new().bold(), text)
    }
}

/// The number as it was written: 0.9999, not 0.9998999834.
pub fn exact(number: f32) -> f64 {
    let text = number.to_string();
    text.parse().unwrap_or_else(|_| f64::from(number))
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration as people say it: `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A table with left-aligned headings; columns whose cells are all numbers are right-aligned.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let numeric = |text: &String| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_digit() || ",.-%".contains(c))
    };
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(headings.iter().copied())
        .add_rows(rows);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if !rows.is_empty() && rows.iter().all(|row| row.get(at).is_some_and(numeric)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(spoken(Duration::from_millis(850)), "850 ms");
        assert_eq!(spoken(Duration::from_secs(200)), "3 min 20 s");
    }

    #[test]
    fn numbers_align_right_and_text_left() {
        let rows = vec![
            vec!["a".into(), "1,000".into()],
            vec!["bc".into(), "5".into()],
        ];
        assert_eq!(
            table(&["day", "rows"], &rows),
            "day   rows\na    1,000\nbc       5\n"
        );
    }

    #[test]
    fn wide_characters_fill_two_columns() {
        let rows = vec![
            vec!["侧围左".into(), "4,096".into(), "待处理".into()],
            vec!["door".into(), "12".into(), "done".into()],
        ];
        assert_eq!(
            table(&["part", "rows", "state"], &rows),
            "part     rows  state\n侧围左  4,096  待处理\ndoor       12  done\n"
        );
    }

    #[test]
    fn a_cell_of_two_lines_stays_in_its_column() {
        let rows = vec![vec!["a".into(), "first\nsecond".into(), "b".into()]];
        assert_eq!(
            table(&["", "error", ""], &rows),
            "   error\na  first   b\n   second\n"
        );
    }

    #[test]
    fn colours_are_the_terminals_own() {
        let paint = Paint { on: true };
        assert_eq!(paint.red("no"), "\u{1b}[31mno\u{1b}[0m");
        assert_eq!(paint.bold("yes"), "\u{1b}[1myes\u{1b}[0m");
        assert_eq!(Paint::plain().red("no"), "no");
    }
}
