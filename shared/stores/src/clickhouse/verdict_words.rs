//! Verdicts as others write them: labels of people, and what the service before said.

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::columns::{NOK_WORDS, OK_WORDS};

use super::{Schema, SourceTable, quote::literals};
use crate::{errors::StoreError, range::Day};

/// A text that is neither verdict.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct UnreadableText {
    pub value: String,
    pub rows: u64,
}

/// How a column says either verdict, as conditions.
pub(super) struct VerdictWords {
    text: String,
    pub is_ok: String,
    pub is_nok: String,
}

impl VerdictWords {
    pub fn of(schema: &Schema, column: &'static str) -> Self {
        let text = format!("lowerUTF8(trimBoth({}))", schema.text(column));
        let among = |words: &[&str]| format!("({text} IN ({}))", literals(words));
        let (is_ok, is_nok) = (among(OK_WORDS), among(NOK_WORDS));
        Self {
            text,
            is_ok,
            is_nok,
        }
    }

    /// How the verdicts of a column compare with these, as [`Confusion`](super::Confusion) is read from them.
    pub fn confusion_counts(&self, verdict: &str) -> String {
        let (is_nok, is_ok) = (&self.is_nok, &self.is_ok);
        let counts = [
            ("NOK", is_nok),
            ("NOK", is_ok),
            ("OK", is_nok),
            ("OK", is_ok),
        ]
        .map(|(said, is_so)| format!("countIf({verdict} = '{said}' AND {is_so})"));
        counts.join(", ")
    }

    /// Rows with one of the two.
    pub fn is_either(&self) -> String {
        format!("({} OR {})", self.is_nok, self.is_ok)
    }
}

impl SourceTable {
    /// Values of such a column that are no verdict, the most frequent first, and their rows.
    pub async fn unreadable_verdicts(
        &self,
        column: &'static str,
        days: &[Day],
    ) -> Result<Vec<UnreadableText>, StoreError> {
        let schema = &self.schema;
        let words = VerdictWords::of(schema, column);
        let sql = format!(
            "SELECT toValidUTF8(leftUTF8({text}, 40)) AS value, count() AS rows FROM {source} \
             WHERE {on_days} AND NOT {either} AND {text} NOT IN ('', 'none', 'null') \
             GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5",
            text = words.text,
            source = schema.rows(),
            on_days = schema.on_days(days),
            either = words.is_either(),
        );
        self.server.all("look for words of verdicts", &sql).await
    }
}
