//! What rows that were judged without writing look like.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::RowBlock;
use weldfleet_weld::{
    Outcome, Status, Verdict, Weld,
    judge::{Judge, Workspace},
    rules::RuleSet,
};

use super::{report::State, rule_hits::RuleHits};

/// Rows in error that are named.
const NAMED: usize = 3;

/// What the judged rows look like.
pub struct Sample {
    rows: usize,
    judged: usize,
    nok: usize,
    invalid: usize,
    in_error: Vec<String>,
    reasons: BTreeMap<String, usize>,
    maxima: Vec<(&'static str, f32, f32)>,
    hits: RuleHits,
}

impl Sample {
    pub fn of(judge: &Judge, block: &RowBlock, verdicts: &[Verdict]) -> Self {
        let mut reasons = BTreeMap::new();
        for verdict in verdicts {
            if let Some(reason) = &verdict.alg_error {
                let code = reason.split(':').next().unwrap_or_default().to_owned();
                *reasons.entry(code).or_default() += 1;
            }
        }
        let span = |values: Vec<f32>| {
            let finite = values.into_iter().filter(|value| value.is_finite());
            finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            })
        };
        let top = |values: &[f32]| values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let rows = 0..block.len();
        let of = |value: &dyn Fn(usize) -> f32| span(rows.clone().map(value).collect());
        let maxima = [
            ("umax", of(&|row| block.weld(row).umax)),
            ("u_curve maximum", of(&|row| top(block.weld(row).u))),
            ("imax", of(&|row| block.weld(row).imax)),
            ("i_curve maximum", of(&|row| top(block.weld(row).i))),
        ];
        let count = |is: fn(&Verdict) -> bool| verdicts.iter().filter(|one| is(one)).count();
        let rows = verdicts.iter().enumerate();
        let in_error = rows.filter(|(_, verdict)| verdict.alg_status == Status::Error);
        Self {
            rows: verdicts.len(),
            judged: count(|verdict| verdict.final_result.is_some()),
            nok: count(|verdict| verdict.final_result == Some(Outcome::Nok)),
            invalid: count(|verdict| verdict.alg_status == Status::Invalid),
            in_error: in_error
                .map(|(row, verdict)| named(block, row, verdict))
                .collect(),
            reasons,
            maxima: maxima.map(|(name, (low, high))| (name, low, high)).to_vec(),
            hits: judge
                .rules()
                .map(|rules| hits(judge, rules, block, verdicts))
                .unwrap_or_default(),
        }
    }

    /// Most rows are refused: the units are wrong, or the limits.
    fn is_mostly_invalid(&self) -> bool {
        self.invalid * 2 > self.rows
    }

    /// One row in error fails the check: a model or a rule that fails on a real weld fails on more of them.
    pub fn state(&self) -> State {
        match self.is_mostly_invalid() || !self.in_error.is_empty() {
            true => State::Failed,
            false => State::Ok,
        }
    }

    pub fn in_words(&self, settings: &Settings) -> String {
        let mut text = format!(
            "{} rows judged without writing: {} of them, {} NOK",
            self.rows, self.judged, self.nok
        );
        if let Some(hits) = self.hits.in_words() {
            text.push_str(&format!("\n{hits}"));
        }
        for (reason, count) in &self.reasons {
            text.push_str(&format!("\n{count} x {reason}"));
        }
        for row in self.in_error.iter().take(NAMED) {
            text.push_str(&format!("\n{row}"));
        }
        for (name, low, high) in &self.maxima {
            text.push_str(&format!("\n{name} {low:.3} to {high:.3} as stored"));
        }
        if self.is_mostly_invalid() {
            let curves = &settings.curves;
            text.push_str(&format!(
                "\nmost rows cannot be judged: compare these maxima with [curves] (u_unit {:?}, i_unit {:?}, umax_unit {:?}, \
                 imax_unit {:?}) and [validation]",
                curves.u_unit, curves.i_unit, curves.umax_unit, curves.imax_unit
            ));
        }
        text
    }

    /// What of the rules' hits is rather the settings' doing.
    pub fn warnings(&self) -> Vec<String> {
        self.hits.warnings()
    }

    pub fn as_json(&self) -> Value {
        let hits = self.hits.counts().into_iter();
        let hits: BTreeMap<&str, usize> =
            hits.map(|(rule, welds)| (rule.as_str(), welds)).collect();
        let maxima: BTreeMap<&str, Value> = self
            .maxima
            .iter()
            .map(|(name, low, high)| (*name, json!({ "min": low, "max": high })))
            .collect();
        json!({
            "rows": self.rows,
            "judged": self.judged,
            "nok": self.nok,
            "reasons": self.reasons,
            "rule_hits": hits,
            "as_stored": maxima,
        })
    }
}

fn hits(judge: &Judge, rules: &RuleSet, block: &RowBlock, verdicts: &[Verdict]) -> RuleHits {
    let (mut hits, mut workspace) = (RuleHits::default(), Workspace::default());
    let mut has_one_pulse = |weld: &Weld<'_>| {
        let explained = judge.explain(weld, &mut workspace);
        explained.is_ok_and(|weld| weld.pulses.len() == 1 && weld.gaps.is_empty())
    };
    for (row, verdict) in verdicts.iter().enumerate() {
        if verdict.rule_result.is_some() {
            let weld = block.weld(row);
            let has_one_pulse = has_one_pulse(&weld);
            hits.add(rules, weld.part_no, &verdict.rule_hits, has_one_pulse);
        }
    }
    hits
}

fn named(block: &RowBlock, row: usize, verdict: &Verdict) -> String {
    format!(
        "record {}, part {:?}, {}: {}",
        block.id(row),
        block.part_no(row),
        match &verdict.model_version {
            Some(version) => format!("model {version}"),
            None => "no model".to_owned(),
        },
        verdict.alg_error.as_deref().unwrap_or_default()
    )
}
