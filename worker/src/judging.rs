//! How this worker judges, from its settings: the same for every command.

use std::{sync::Arc, thread};

use serde_json::{Value, json};
use weldfleet_fleet::{
    SettingsDigest,
    judging::{judge, rules_file},
};
use weldfleet_service::output::exact;
use weldfleet_settings::{Provider, Settings};
use weldfleet_stores::clickhouse::FurtherNames;
use weldfleet_weld::judge::Judge;

use crate::inference::{
    Models,
    layout::Layout,
    tuning::{self, ChosenLayout, Origin, Tuning},
};

/// Models of parts from which on it is said what they cost on a GPU.
const MANY_PARTS: usize = 8;

/// The judge with its models.
#[derive(Clone)]
pub struct Judging {
    /// Validation, rules, fusion.
    pub judge: Arc<Judge>,
    /// The models; `None` where they are off.
    pub models: Option<Models>,
    /// How inference is laid out.
    pub layout: ChosenLayout,
    /// What other workers must have alike.
    pub settings_digest: SettingsDigest,
}

impl Judging {
    /// Reads rules and models, settles the device and the layout on it.
    ///
    /// # Errors
    /// What is wrong with a file or the device, and the remedy.
    pub fn from_settings(settings: &Settings, tuning: Tuning) -> anyhow::Result<Self> {
        let rules = rules_file(settings)?;
        let (models, layout) = if settings.model.enabled {
            let models = Models::load(&settings.model)?;
            let (models, layout) = tuning::choose(models, &settings.model, tuning);
            (Some(models), layout)
        } else {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            let unmeasured = Layout::without_model(cores, &settings.model);
            (None, ChosenLayout::unmeasured(unmeasured, Origin::Usual))
        };
        let further = FurtherNames::of(&settings.columns);
        let set = models
            .as_ref()
            .map(|models| models.set().with_scalars(&further.scalars))
            .transpose()?;
        let of_models = models
            .as_ref()
            .map(|models| (models.catalog.content(), models.runtime.precision()));
        let settings_digest = SettingsDigest::of(settings)
            .with("rules", &rules)
            .with("model", &(of_models, settings.model.nok_threshold));
        Ok(Self {
            judge: Arc::new(judge(settings, set, rules.as_ref())?),
            models,
            layout,
            settings_digest,
        })
    }

    /// What a person should know of the models.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let warnings = [
            self.warning_of_idle_time(),
            self.warning_of_threshold(),
            self.warning_of_override(),
            self.warning_of_part_batches(),
        ];
        warnings.into_iter().flatten()
    }

    /// What to say of models whose verdicts depend on how long the recorder ran; `None` where there are none.
    fn warning_of_idle_time(&self) -> Option<String> {
        let versions: Vec<&str> = self.judge.models()?.that_keep_idle_time().collect();
        (!versions.is_empty()).then(|| {
            format!(
                "inference_config.json of {} lacks `idle_before_ms` or `idle_after_ms`, so verdicts depend on how long \
                 the recorder ran: add the most idle time, in ms, that the training curves had before and after the weld",
                versions.join(", ")
            )
        })
    }

    /// Models whose own threshold counts for nothing, since `model.nok_threshold` is set; nothing where there is none.
    fn warning_of_threshold(&self) -> Option<String> {
        let set = self.judge.models()?;
        let own: Vec<String> = set
            .with_other_threshold()
            .map(|spec| format!("{} ({})", spec.version(), spec.config().nok_threshold))
            .collect();
        (!own.is_empty()).then(|| {
            format!(
                "model.nok_threshold = {} stands for the models' own thresholds, those of parts too: {}; \
                 remove it to judge each by its own",
                set.global().nok_threshold(),
                own.join(", ")
            )
        })
    }

    /// Models that overrule the rules from a probability on at which they do not call a weld NOK themselves.
    fn warning_of_override(&self) -> Option<String> {
        let set = self
            .judge
            .models()
            .filter(|_| self.judge.rules().is_some())?;
        let overrides = self.judge.fusion().override_threshold();
        let above: Vec<String> = set
            .with_threshold_above(overrides)
            .map(|spec| format!("{} ({})", spec.version(), spec.nok_threshold()))
            .collect();
        (!above.is_empty()).then(|| {
            format!(
                "fusion.override_threshold = {overrides} is below the threshold of {}: a weld between the two is NOK by \
                 the model alone, which calls it OK; raise it",
                above.join(", ")
            )
        })
    }

    fn warning_of_part_batches(&self) -> Option<String> {
        let models = self.models.as_ref()?;
        let of_parts = models.catalog.files.len() - 1;
        let rows = self.layout.layout.batch_rows;
        models
            .runtime
            .is_gpu()
            .then(|| part_batches(of_parts, rows, models.runtime.provider()))?
    }

    pub fn device(&self) -> String {
        self.models
            .as_ref()
            .map_or_else(|| "cpu".to_owned(), |models| models.runtime.device())
    }

    /// What computes; empty where models are off.
    pub fn provider(&self) -> &'static str {
        let models = self.models.as_ref();
        models.map_or("", |models| models.runtime.provider().name())
    }

    /// In which numbers; empty where models are off.
    pub fn precision(&self) -> &'static str {
        let models = self.models.as_ref();
        models.map_or("", |models| models.runtime.precision().name())
    }

    /// Version of the global model; empty where models are off.
    pub fn model_version(&self) -> String {
        let set = self.judge.models();
        set.map(|set| set.global().version().to_string())
            .unwrap_or_default()
    }

    /// The global model's probability from which a weld is NOK; empty where models are off.
    pub fn nok_threshold(&self) -> String {
        let set = self.judge.models();
        set.map(|set| set.global().nok_threshold().to_string())
            .unwrap_or_default()
    }

    /// What people ask first: versions, device, thresholds, which judges are on.
    pub fn describe(&self) -> Value {
        let set = self.judge.models();
        json!({
            "model_version": self.model_version(),
            "model_sha256": self.models.as_ref().map(|models| &models.catalog.global().digest),
            "part_models": set.map_or(0, |set| set.len() - 1),
            "device": self.device(),
            "layout": self.layout.describe(),
            "ml": self.models.is_some(),
            "rules": self.judge.rules().is_some(),
            "nok_threshold": set.map(|set| exact(set.global().nok_threshold())),
            "override_threshold": exact(self.judge.fusion().override_threshold()),
        })
    }
}

/// What to say where a GPU's batches, which have one size, are mostly empty: welds that follow each other are of many
/// parts, and each model computes a batch for its own.
fn part_batches(of_parts: usize, batch_rows: usize, provider: Provider) -> Option<String> {
    (of_parts >= MANY_PARTS).then(|| {
        format!(
            "{of_parts} models of parts on {}, where each computes batches of {batch_rows} rows however few welds are its \
             own: up to {} times the work if they come mixed; lower model.batch_rows, or use model.provider = \"cpu\"",
            provider.name(),
            batch_rows.min(of_parts + 1)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_models_of_parts_cost_on_a_gpu_is_said() {
        assert_eq!(part_batches(7, 1024, Provider::Cuda), None);
        let said = part_batches(300, 1024, Provider::Cuda).unwrap();
        assert!(said.contains("300 models of parts on cuda"), "{said}");
        assert!(said.contains("up to 301 times the work"), "{said}");
        let said = part_batches(300, 64, Provider::Tensorrt).unwrap();
        assert!(said.contains("up to 64 times the work"), "{said}");
    }
}
