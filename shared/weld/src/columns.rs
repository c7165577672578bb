//! The result columns: the one list through which everything goes that stores, copies, shows or documents a verdict.
//!
//! A new column is a line here and a field of [`Verdict`] that it is read from. What writes ClickHouse, MySQL, the
//! audit files and the answer of `predict`, what creates and upgrades tables, and the table in `docs/CONTRACT.md` loop
//! over it.

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    DecidedBy, Outcome, Verdict,
    features::REGRESSIONS,
    rules::{Hit, hits_json},
};

/// What a column holds. Every store derives its type from this, and takes NULL for "there is none".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// One of few texts, each of at most so many characters.
    Word(u16),
    Text,
    Float,
    /// An unsigned number of 64 bits.
    Integer,
    /// A moment, to the millisecond.
    Time,
}

/// What is known of the attempt that judged a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptField {
    /// The run that wanted it.
    Run,
    Token,
    Job,
}

/// Reads a cell off a verdict.
pub type ReadCell = for<'a> fn(&'a Verdict) -> Cell<'a>;

/// Where a column's values come from.
#[derive(Debug, Clone, Copy)]
pub enum Origin {
    /// The moment of the commit; a row has it in the source table and in what is copied from there.
    Commit,
    /// The attempt: one value for all its rows.
    Attempt(AttemptField),
    /// The verdict; these columns alone are in the answer of `predict`.
    Verdict(ReadCell),
}

/// A column that the fleet writes. Every one is in the source table; all but the commit's are in the audit files.
#[derive(Debug, Clone, Copy)]
pub struct ResultColumn {
    /// Our name of it, whatever the plant calls it.
    pub name: &'static str,
    pub kind: ValueKind,
    pub origin: Origin,
    /// Whether the mirror has it. The mirror holds NOK welds, so why a weld was not judged is not in it.
    pub mirrored: bool,
    /// For people: the comment of the column, the line in the documents.
    pub meaning: &'static str,
}

/// A verdict's value in a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Empty: there is none.
    Text(&'a str),
    /// A number, where there is one.
    Float(Option<f32>),
    /// A JSON list; none where no rule was asked.
    Hits(Option<&'a [Hit]>),
}

/// Every result column, in the order in which they are documented and written.
pub const RESULT_COLUMNS: &[ResultColumn] = &[
    column(
        "alg_complete_time",
        ValueKind::Time,
        Origin::Commit,
        "when the verdict was committed, UTC; NULL: none yet",
    ),
    unmirrored(verdict(
        "alg_status",
        ValueKind::Word(16),
        |v| Cell::Text(v.alg_status.as_str()),
        "ok, invalid, poison or error",
    )),
    unmirrored(verdict(
        "alg_error",
        ValueKind::Text,
        |v| Cell::Text(v.alg_error.as_deref().unwrap_or_default()),
        "why the weld was not judged: reason code, text",
    )),
    verdict(
        "ml_nok_prob",
        ValueKind::Float,
        |v| Cell::Float(v.ml_nok_prob),
        "probability of NOK, by the model",
    ),
    verdict(
        "ml_result",
        ValueKind::Word(8),
        |v| Cell::outcome(v.ml_result),
        "OK or NOK, by the model",
    ),
    verdict(
        "rule_result",
        ValueKind::Word(8),
        |v| Cell::outcome(v.rule_result),
        "OK or NOK, by the rules",
    ),
    verdict(
        "rule_hits",
        ValueKind::Text,
        |v| Cell::Hits(v.rule_result.map(|_| v.rule_hits.as_slice())),
        "JSON list of rule, level, t_ms, value, limit",
    ),
    verdict(
        "final_result",
        ValueKind::Word(8),
        |v| Cell::outcome(v.final_result),
        "OK or NOK: the verdict",
    ),
    verdict(
        "decided_by",
        ValueKind::Word(16),
        |v| Cell::Text(v.decided_by.map_or("", DecidedBy::as_str)),
        "soft_and, override, ml or rule",
    ),
    verdict(
        "defect",
        ValueKind::Word(255),
        |v| Cell::Text(v.defect.as_deref().unwrap_or_default()),
        "what said NOK, in words for people; several with a comma between",
    ),
    verdict(
        "diameter",
        ValueKind::Float,
        |v| Cell::Float(v.diameter),
        "nugget diameter, mm",
    ),
    verdict(
        "indentation",
        ValueKind::Float,
        |v| Cell::Float(v.indentation),
        "indentation, mm",
    ),
    verdict(
        "front_thickness",
        ValueKind::Float,
        |v| Cell::Float(v.front_thickness),
        "what is left of the front sheet, mm",
    ),
    verdict(
        "stack_thickness",
        ValueKind::Float,
        |v| Cell::Float(v.stack_thickness),
        "what is left of the stack, mm",
    ),
    verdict(
        "model_version",
        ValueKind::Word(255),
        |v| Cell::Text(v.model_version.as_deref().unwrap_or_default()),
        "version of the model that judged, or was asked and failed",
    ),
    column(
        "alg_run",
        ValueKind::Integer,
        Origin::Attempt(AttemptField::Run),
        "run that wanted the verdict; 0: live",
    ),
    column(
        "alg_token",
        ValueKind::Integer,
        Origin::Attempt(AttemptField::Token),
        "fencing token of the attempt that judged",
    ),
    column(
        "alg_job",
        ValueKind::Word(255),
        Origin::Attempt(AttemptField::Job),
        "job of the attempt that judged",
    ),
];

/// Reads a measure off a verdict, mm.
pub type ReadMeasure = fn(&Verdict) -> Option<f32>;

/// The columns that a model estimates, in the order of its regression output.
pub const MEASURES: [(&str, ReadMeasure); REGRESSIONS] = [
    ("diameter", |v| v.diameter),
    ("indentation", |v| v.indentation),
    ("front_thickness", |v| v.front_thickness),
    ("stack_thickness", |v| v.stack_thickness),
];

/// Their names, in the same order.
pub const MEASURE_NAMES: [&str; REGRESSIONS] = {
    let [(a, _), (b, _), (c, _), (d, _)] = MEASURES;
    [a, b, c, d]
};

/// The names of all result columns, in the same order.
pub const RESULT_COLUMN_NAMES: &[&str] = &names();

const fn names() -> [&'static str; RESULT_COLUMNS.len()] {
    let mut names = [""; RESULT_COLUMNS.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = RESULT_COLUMNS[place].name;
        place += 1;
    }
    names
}

const fn column(
    name: &'static str,
    kind: ValueKind,
    origin: Origin,
    meaning: &'static str,
) -> ResultColumn {
    ResultColumn {
        name,
        kind,
        origin,
        mirrored: true,
        meaning,
    }
}

const fn verdict(
    name: &'static str,
    kind: ValueKind,
    read: ReadCell,
    meaning: &'static str,
) -> ResultColumn {
    column(name, kind, Origin::Verdict(read), meaning)
}

const fn unmirrored(column: ResultColumn) -> ResultColumn {
    ResultColumn {
        mirrored: false,
        ..column
    }
}

/// The columns that are read off a verdict.
pub fn verdict_columns() -> impl Iterator<Item = (&'static ResultColumn, ReadCell)> {
    RESULT_COLUMNS
        .iter()
        .filter_map(|column| match column.origin {
            Origin::Verdict(read) => Some((column, read)),
            Origin::Commit | Origin::Attempt(_) => None,
        })
}

impl<'a> Cell<'a> {
    fn outcome(outcome: Option<Outcome>) -> Self {
        Self::Text(outcome.map_or("", Outcome::as_str))
    }

    /// As stores hold text; empty where there is none.
    #[must_use]
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Hits(None) | Self::Float(_) => Cow::Borrowed(""),
            Self::Hits(Some([])) => Cow::Borrowed("[]"),
            Self::Hits(Some(hits)) => Cow::Owned(hits_json(hits)),
        }
    }

    /// As stores hold a number; NaN where there is none.
    #[must_use]
    pub fn float(self) -> f32 {
        match self {
            Self::Float(Some(number)) => number,
            _ => f32::NAN,
        }
    }
}

/// As `predict` answers: null where there is none, and always a list of hits.
impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text("") => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Float(number) => number.serialize(serializer),
            Self::Hits(hits) => hits.unwrap_or_default().serialize(serializer),
        }
    }
}

/// As the answer of `predict`.
impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_map(None)?;
        for (column, read) in verdict_columns() {
            answer.serialize_entry(column.name, &read(self))?;
        }
        answer.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    #[test]
    fn a_weld_that_was_not_judged_has_a_status_and_a_reason_and_nothing_else() {
        let verdict = Verdict::unjudged(Status::Invalid, "too_short: 3 points");
        for (column, read) in verdict_columns() {
            let cell = read(&verdict);
            let wanted = match column.name {
                "alg_status" => "invalid",
                "alg_error" => "too_short: 3 points",
                _ => "",
            };
            assert_eq!(cell.text(), wanted, "{}", column.name);
            assert!(cell.float().is_nan(), "{}", column.name);
        }
    }

    #[test]
    fn hits_are_an_empty_list_where_the_rules_found_nothing_and_nothing_where_they_were_not_asked()
    {
        assert_eq!(Cell::Hits(Some(&[])).text(), "[]");
        assert_eq!(Cell::Hits(None).text(), "");
    }
}
