//! Figures of the model over some days, in the terms in which such services are usually judged. All counting is the
//! server's.
//!
//! Classification: T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006) 861-874.
//! Regression: N. R. Draper, H. Smith, "Applied Regression Analysis", 3rd ed., for R²; the same definitions as
//! scikit-learn's `metrics`. What has no denominator is `None`, where scikit-learn says 0.

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_weld::columns::MEASURE_NAMES;

use super::{Confusion, SourceTable, quality::share, verdict_words::VerdictWords};
use crate::{errors::StoreError, range::Day};

/// The model's verdicts against labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    pub confusion: Confusion,
    /// Area under the ROC curve of `ml_nok_prob`; `None` unless both labels occur.
    pub auc: Option<f64>,
    /// In the order of [`MEASURE_NAMES`].
    pub regressions: [Regression; 4],
}

/// One estimate against what was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Regression {
    /// Rows that have both.
    pub rows: u64,
    /// Mean absolute error, mm.
    pub mae: Option<f64>,
    /// Mean squared error, mm².
    pub mse: Option<f64>,
    /// 1 − mse / variance of what was measured; `None` where that is 0.
    pub r2: Option<f64>,
}

impl Regression {
    /// Root mean squared error, mm.
    pub fn rmse(&self) -> Option<f64> {
        self.mse.map(f64::sqrt)
    }

    fn new(rows: f64, mae: f64, mse: f64, variance: f64) -> Self {
        let some = |value: f64| (rows > 0.0 && value.is_finite()).then_some(value);
        Self {
            rows: rows as u64,
            mae: some(mae),
            mse: some(mse),
            r2: some(mse)
                .filter(|_| variance > 0.0)
                .map(|mse| 1.0 - mse / variance),
        }
    }
}

impl Confusion {
    /// Rows that are counted.
    pub fn rows(&self) -> u64 {
        self.true_positive + self.false_positive + self.false_negative + self.true_negative
    }

    /// Share of right verdicts.
    pub fn accuracy(&self) -> Option<f64> {
        share(self.true_positive + self.true_negative, self.rows())
    }

    /// Harmonic mean of precision and recall: 2·TP / (2·TP + FP + FN).
    pub fn f1(&self) -> Option<f64> {
        let whole = 2 * self.true_positive + self.false_positive + self.false_negative;
        share(2 * self.true_positive, whole)
    }

    /// Share of rows that are labelled NOK.
    pub fn labelled_share(&self) -> Option<f64> {
        share(self.true_positive + self.false_negative, self.rows())
    }

    /// Share of rows that are said to be NOK.
    pub fn said_share(&self) -> Option<f64> {
        share(self.true_positive + self.false_positive, self.rows())
    }
}

#[derive(Row, Deserialize)]
struct ClassificationRow {
    counts: Vec<u64>,
    auc: f64,
}

impl SourceTable {
    /// The model's figures on these days: over rows with a label, a probability and the model's verdict, and over rows
    /// with a measured value.
    pub async fn scores(&self, days: &[Day]) -> Result<Scores, StoreError> {
        let schema = &self.schema;
        let words = VerdictWords::of(schema, "label");
        let (is_nok, is_ok) = (&words.is_nok, &words.is_ok);
        let (verdict, probability) = (schema.column("ml_result"), schema.column("ml_nok_prob"));
        let judged = format!(
            "{} AND {} = 'ok'",
            schema.on_days(days),
            schema.column("alg_status")
        );
        let what = "score the model";
        let sql = format!(
            "SELECT [{}] AS counts, if(countIf({is_nok}) = 0 OR countIf({is_ok}) = 0, nan, \
             toFloat64(arrayROCAUC(groupArray(assumeNotNull({probability})), groupArray(toUInt8({is_nok}))))) AS auc \
             FROM {} WHERE {judged} AND {either} AND {verdict} IN ('OK', 'NOK') \
             AND {probability} IS NOT NULL",
            words.confusion_counts(verdict),
            schema.rows(),
            either = words.is_either(),
        );
        let row: ClassificationRow = self.server.one(what, &sql).await?;
        let Ok(counts) = <[u64; 4]>::try_from(row.counts) else {
            return Err(StoreError::answer(what, "not four counts"));
        };
        let mut regressions = [Regression::default(); 4];
        for (regression, measure) in regressions.iter_mut().zip(MEASURE_NAMES) {
            let Some(measured) = schema.measured(measure) else {
                continue;
            };
            let ours = schema.column(measure);
            let values = |column: &str| format!("assumeNotNull(toFloat64({column}))");
            let (said, true_value) = (values(ours), values(measured));
            let sql = format!(
                "SELECT [toFloat64(count()), avg(abs({said} - {true_value})), avg(pow({said} - {true_value}, 2)), \
                 varPopStable({true_value})] AS figures FROM {} WHERE {judged} AND {ours} IS NOT NULL \
                 AND {measured} IS NOT NULL AND isFinite({said}) AND isFinite({true_value})",
                schema.rows(),
            );
            let figures: Vec<f64> = self.server.one(what, &sql).await?;
            let [rows, mae, mse, variance] = figures[..] else {
                return Err(StoreError::answer(what, "not four figures"));
            };
            *regression = Regression::new(rows, mae, mse, variance);
        }
        Ok(Scores {
            confusion: Confusion::from(counts),
            auc: row.auc.is_finite().then_some(row.auc),
            regressions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_known_table() {
        let table = Confusion::from([3, 1, 2, 94]);
        assert_eq!(table.accuracy(), Some(0.97));
        assert_eq!(table.f1(), Some(6.0 / 9.0));
        assert_eq!(table.labelled_share(), Some(0.05));
        assert_eq!(table.said_share(), Some(0.04));
        assert_eq!(Confusion::default().accuracy(), None);
        assert_eq!(Confusion::default().f1(), None);
    }

    #[test]
    fn r2_is_one_less_the_share_of_variance_that_is_left() {
        let regression = Regression::new(4.0, 0.5, 0.25, 1.0);
        assert_eq!((regression.rmse(), regression.r2), (Some(0.5), Some(0.75)));
        assert_eq!(Regression::new(4.0, 0.5, 0.25, 0.0).r2, None);
        assert_eq!(
            Regression::new(0.0, f64::NAN, f64::NAN, f64::NAN),
            Regression::default()
        );
    }
}
