//! Everything between a decoded weld and its verdict, the same for `run`, `check`, `predict` and `explain`.
//!
//! Three steps, so that a worker can spread them: [`Judge::prepare`] (validation, rules, features; CPU),
//! inference of [`Prepared::batches`] (whoever holds the model), [`Judge::conclude`] (fusion). A `Judge` is immutable
//! and shared; each thread has its own [`Workspace`] and [`Prepared`].

mod models;
mod prepared;

pub use models::{ModelId, ModelSet, ModelSpec, UnknownScalars};
pub use prepared::{Batch, Prepared};

use crate::{
    Status, Verdict, Weld,
    columns::MEASURE_NAMES,
    curves::Curves,
    defects::{DefectNames, Defects},
    explain::Explanation,
    features::{InputKind, REGRESSIONS, Resampling, weld_span, without_idle, write_raw, write_row},
    fusion::{Fusion, FusionError},
    rules::{Findings, NokRules, RuleScratch, RuleSet, RulesFile},
    units::CurveUnits,
    validation::{Invalid, Reason, ValidationLimits},
};
use models::Scalar;
use prepared::{Ready, Row};

/// What a model that asks for scalars is fed of a weld.
fn scalars_of(spec: &ModelSpec, weld: &Weld<'_>, curves: &Curves) -> impl Iterator<Item = f32> {
    let missing = spec.config().scalars_missing.unwrap_or(f32::NAN);
    spec.scalars().iter().map(move |scalar| {
        let number = match scalar {
            Scalar::Umax => curves.umax(),
            Scalar::Imax => curves.imax(),
            Scalar::Further(place) => weld.scalars.get(*place).copied().unwrap_or(f32::NAN),
            Scalar::Nowhere => f32::NAN,
        };
        if number.is_finite() { number } else { missing }
    })
}

/// Reusable buffers of one thread.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    curves: Curves,
    rules: RuleScratch,
    resampling: Resampling,
}

/// How welds are judged.
#[derive(Debug, Clone)]
pub struct Judge {
    units: CurveUnits,
    limits: ValidationLimits,
    models: Option<ModelSet>,
    rules: Option<RuleSet>,
    fusion: Fusion,
    defects: Defects,
}

impl Judge {
    /// None for `models` or `rules` switches that judge off.
    ///
    /// # Errors
    /// If both are off, or `override_threshold` is not a probability above 0.
    pub fn new(
        units: CurveUnits,
        limits: ValidationLimits,
        models: Option<ModelSet>,
        rules: Option<RuleSet>,
        override_threshold: f32,
    ) -> Result<Self, FusionError> {
        let fusion = Fusion::new(models.is_some(), rules.is_some(), override_threshold)?;
        Ok(Self {
            units,
            limits,
            models,
            rules,
            fusion,
            defects: Defects::default(),
        })
    }

    /// The same judge, which calls what it finds by these names.
    #[must_use]
    pub fn with_defect_names(mut self, names: &DefectNames) -> Self {
        self.defects = Defects::new(names);
        self
    }

    /// The models; None where the model is off.
    #[must_use]
    pub fn models(&self) -> Option<&ModelSet> {
        self.models.as_ref()
    }

    /// The rules; None where they are off.
    #[must_use]
    pub fn rules(&self) -> Option<&RuleSet> {
        self.rules.as_ref()
    }

    #[must_use]
    pub fn fusion(&self) -> &Fusion {
        &self.fusion
    }

    #[must_use]
    pub fn units(&self) -> &CurveUnits {
        &self.units
    }

    /// Validates, asks the rules and writes the input tensors. What `prepared` held before is gone.
    pub fn prepare<'a>(
        &self,
        welds: impl IntoIterator<Item = Weld<'a>>,
        workspace: &mut Workspace,
        prepared: &mut Prepared,
    ) {
        prepared.clear(self.models.as_ref().map_or(0, ModelSet::len));
        for weld in welds {
            let row = self.prepare_row(&weld, workspace, prepared);
            prepared.rows.push(row);
        }
        prepared.reset_outputs();
    }

    fn prepare_row(
        &self,
        weld: &Weld<'_>,
        workspace: &mut Workspace,
        prepared: &mut Prepared,
    ) -> Row {
        let Workspace {
            curves,
            rules,
            resampling,
        } = workspace;
        if let Err(invalid) = curves.load(weld, &self.units, &self.limits) {
            return Row::Refused(Status::Invalid, invalid.to_string());
        }
        let findings = match self.findings(weld.part_no, curves, rules) {
            Ok(findings) => findings,
            Err(reason) => return Row::Refused(Status::Error, reason),
        };
        let model = self.models.as_ref().map(|models| {
            let id = models.for_part(weld.part_no);
            let spec = models.spec(id);
            let config = spec.config();
            let slot = match config.input_kind {
                InputKind::Features => prepared.add_row(id, config.row_len(), |row| {
                    write_row(curves, config, resampling, row)
                }),
                InputKind::Raw => {
                    let weld = without_idle(curves, config);
                    let points = weld.0.len();
                    let slot = prepared.add_row(id, 2 * points, |samples| write_raw(weld, samples));
                    prepared.add_span(id, points);
                    slot
                }
            };
            if !spec.scalars().is_empty() {
                prepared.add_scalars(id, scalars_of(spec, weld, curves));
            }
            (id, slot)
        });
        Row::Ready(Ready { findings, model })
    }

    /// What the rules say, where they are on; or why they cannot, as `alg_error` has it.
    fn findings(
        &self,
        part_no: &str,
        curves: &Curves,
        scratch: &mut RuleScratch,
    ) -> Result<Option<Findings>, String> {
        let set = self.rules.as_ref();
        let findings = set.map(|set| set.judge(part_no, curves, scratch));
        let findings = findings.transpose();
        findings.map_err(|error| format!("rule_error: {error}"))
    }

    /// Appends one verdict per prepared row, in order, and empties `prepared`.
    pub fn conclude(&self, prepared: &mut Prepared, verdicts: &mut Vec<Verdict>) {
        verdicts.reserve(prepared.rows.len());
        let mut rows = std::mem::take(&mut prepared.rows);
        for row in rows.drain(..) {
            let verdict = match row {
                Row::Refused(status, reason) => Verdict::unjudged(status, reason),
                Row::Ready(ready) => {
                    let asked = ready.model;
                    let concluded = self.conclude_row(ready, prepared);
                    concluded.unwrap_or_else(|reason| self.without_answer(asked, prepared, reason))
                }
            };
            verdicts.push(verdict);
        }
        prepared.rows = rows;
    }

    /// A weld that its model gave no answer for: `invalid` where it lacks a number that the model asks for, else `error`.
    fn without_answer(
        &self,
        asked: Option<(ModelId, usize)>,
        prepared: &Prepared,
        reason: String,
    ) -> Verdict {
        let models = self.models.as_ref();
        let missing = models.zip(asked).map(|(models, (model, slot))| {
            let names = &models.spec(model).config().scalars;
            let missing = prepared.missing_scalars(model, slot);
            missing
                .filter_map(|place| names.get(place).map(String::as_str))
                .collect::<Vec<_>>()
                .join(", ")
        });
        match missing.filter(|names| !names.is_empty()) {
            Some(names) => {
                let detail = format!("{names}, which the model needs ({reason})");
                let reason = Reason::Missing;
                let invalid = Invalid { reason, detail }.to_string();
                Verdict::unjudged(Status::Invalid, invalid)
            }
            None => self.in_error(asked.map(|(model, _)| model), reason),
        }
    }

    /// A weld that was not judged; the version of the model that was asked says whose answer it lacks.
    #[must_use]
    pub fn in_error(&self, asked: Option<ModelId>, reason: impl Into<String>) -> Verdict {
        let models = self.models.as_ref();
        let asked = models.zip(asked).map(|(models, model)| models.spec(model));
        Verdict {
            model_version: asked.map(ModelSpec::version),
            ..Verdict::unjudged(Status::Error, reason)
        }
    }

    fn conclude_row(&self, ready: Ready, prepared: &Prepared) -> Result<Verdict, String> {
        let Ready { findings, model } = ready;
        let model = match (model, &self.models) {
            (Some((id, slot)), Some(models)) => {
                let (nok_prob, regression) = prepared.output(id, slot);
                if let Some(k) = regression.iter().position(|value| !value.is_finite()) {
                    return Err(format!(
                        "model_output: {} is {}",
                        MEASURE_NAMES[k], regression[k]
                    ));
                }
                Some((models.spec(id), nok_prob, regression))
            }
            _ => None,
        };
        let nok_prob = model.map(|(_, nok_prob, _)| nok_prob);
        let nok_threshold = model.map_or(f32::NAN, |(spec, ..)| spec.nok_threshold());
        let rule_result = findings.as_ref().map(|findings| findings.outcome);
        let fused = self
            .fusion
            .decide(nok_prob, nok_threshold, rule_result)
            .map_err(|error| format!("model_output: {error}"))?;
        let nok_rules = findings
            .as_ref()
            .map_or(NokRules::default(), |findings| findings.nok_rules);
        let defect = self.defects.of(&fused, nok_rules);
        let [diameter, indentation, front_thickness, stack_thickness] =
            model.map_or([None; REGRESSIONS], |(.., regression)| regression.map(Some));
        Ok(Verdict {
            alg_status: Status::Ok,
            alg_error: None,
            ml_nok_prob: nok_prob,
            ml_result: fused.ml_result,
            rule_result: fused.rule_result,
            rule_hits: findings
                .map(|Findings { hits, .. }| hits)
                .unwrap_or_default(),
            final_result: Some(fused.final_result),
            decided_by: Some(fused.decided_by),
            defect,
            diameter,
            indentation,
            front_thickness,
            stack_thickness,
            model_version: model.map(|(spec, ..)| spec.version()),
        })
    }

    /// What there is to see of a weld that nothing can judge: its curves as they were recorded, in V and kA. `None`
    /// where there is nothing.
    #[must_use]
    pub fn as_recorded(&self, weld: &Weld<'_>) -> Option<Explanation> {
        Explanation::as_recorded(weld, &self.units)
    }

    /// What the rules see in a weld.
    ///
    /// # Errors
    /// The text of `alg_error` if validation refuses the weld or a rule cannot judge it.
    pub fn explain(
        &self,
        weld: &Weld<'_>,
        workspace: &mut Workspace,
    ) -> Result<Explanation, String> {
        let Workspace { curves, rules, .. } = workspace;
        curves
            .load(weld, &self.units, &self.limits)
            .map_err(|invalid| invalid.to_string())?;
        let findings = self.findings(weld.part_no, curves, rules)?;
        let fed = self.models.as_ref().map(|models| {
            let id = models.for_part(weld.part_no);
            weld_span(curves, models.spec(id).config())
        });
        // R is drawn with the rules off too.
        let without_rules;
        let set = if let Some(set) = &self.rules {
            set
        } else {
            without_rules = RuleSet::new(&RulesFile::default(), self.units.sample_interval_ms);
            &without_rules
        };
        Ok(Explanation::new(
            curves,
            weld.part_no,
            set,
            fed,
            findings,
            rules,
        ))
    }
}
