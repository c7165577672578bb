//! Tables, and the page that is one table.

use askama::Template;
use weldfleet_service::output::grouped;

use super::frame::Frame;
use crate::console::words::Text;

/// Whom a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    People,
    /// Numbers are such that it can count with them.
    Spreadsheet,
}

impl For {
    pub fn count(self, count: u64) -> String {
        match self {
            Self::People => grouped(count),
            Self::Spreadsheet => count.to_string(),
        }
    }

    /// What is not known.
    pub fn nothing(self) -> String {
        match self {
            Self::People => "–".to_owned(),
            Self::Spreadsheet => String::new(),
        }
    }

    pub fn share(self, nok: u64, judged: u64) -> String {
        let share = nok as f64 / judged as f64;
        match self {
            _ if judged == 0 => self.nothing(),
            Self::People => format!("{:.2} %", share * 100.0),
            Self::Spreadsheet => format!("{share:.6}"),
        }
    }

    /// A probability; one that is none is not known.
    pub fn probability(self, value: f64) -> String {
        match self {
            _ if value.is_nan() => self.nothing(),
            Self::People => format!("{value:.4}"),
            // As it was compared with the thresholds.
            Self::Spreadsheet => (value as f32).to_string(),
        }
    }
}

/// Rows of text under their names.
#[derive(Default)]
pub struct Table {
    pub head: Vec<&'static str>,
    /// Whether each column holds texts of the plant, its people or a model: what looks like a number or a time there is
    /// none.
    pub is_text: Vec<bool>,
    pub rows: Vec<Vec<String>>,
}

/// What columns are called, and what each holds of a row.
pub struct Columns<'c, T>(Vec<Column<'c, T>>);

struct Column<'c, T> {
    name: &'static str,
    is_text: bool,
    cell: Box<dyn Fn(&T) -> String + 'c>,
}

impl<'c, T> Columns<'c, T> {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// And one of numbers, times, or words of ours.
    pub fn ours(self, name: &'static str, cell: impl Fn(&T) -> String + 'c) -> Self {
        self.and(name, false, Box::new(cell))
    }

    /// And one of texts of the plant, its people or a model.
    pub fn theirs(self, name: &'static str, cell: impl Fn(&T) -> String + 'c) -> Self {
        self.and(name, true, Box::new(cell))
    }

    fn and(
        mut self,
        name: &'static str,
        is_text: bool,
        cell: Box<dyn Fn(&T) -> String + 'c>,
    ) -> Self {
        self.0.push(Column {
            name,
            is_text,
            cell,
        });
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|column| column.name != name);
        self
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|column| column.name).collect()
    }

    pub fn cells(&self, row: &T) -> Vec<String> {
        self.0.iter().map(|column| (column.cell)(row)).collect()
    }

    pub fn table<'r>(&self, rows: impl IntoIterator<Item = &'r T>) -> Table
    where
        T: 'r,
    {
        Table {
            head: self.names(),
            is_text: self.0.iter().map(|column| column.is_text).collect(),
            rows: rows.into_iter().map(|row| self.cells(row)).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "list.html")]
pub struct ListPage<'a> {
    pub t: &'static Text,
    pub frame: Frame<'a>,
    pub notes: Vec<String>,
    pub table: Table,
    /// The same for a spreadsheet.
    pub export: String,
    /// What is behind the last of them, and what that is called.
    pub next: Option<String>,
    pub next_word: &'static str,
}
