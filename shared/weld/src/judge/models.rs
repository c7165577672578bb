//! Which model judges which part. The models themselves belong to whoever runs them, indexed alike.

use std::{collections::HashMap, sync::Arc};

use crate::{BadValue, features::InferenceConfig};

/// Index of a model in its [`ModelSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId(usize);

impl ModelId {
    pub const GLOBAL: Self = Self(0);

    /// As an index: 0 is the global model, then the parts' in the order given to [`ModelSet::new`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// Where a number that a model asks for comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    /// `umax`, V.
    Umax,
    /// `imax`, kA.
    Imax,
    /// At this place of [`crate::Weld::scalars`].
    Further(usize),
    /// Nowhere: nobody has said what a weld's further numbers are.
    Nowhere,
}

impl Scalar {
    fn of(name: &str, further: &[String]) -> Self {
        match name {
            "umax" => Self::Umax,
            "imax" => Self::Imax,
            name => {
                let place = further.iter().position(|known| known == name);
                place.map_or(Self::Nowhere, Self::Further)
            }
        }
    }
}

/// One model as judging sees it.
#[derive(Debug, Clone)]
pub struct ModelSpec {
    config: InferenceConfig,
    version: Arc<str>,
    nok_threshold: f32,
    scalars: Vec<Scalar>,
}

impl ModelSpec {
    fn new(config: InferenceConfig, nok_threshold: Option<f32>) -> Self {
        Self {
            version: config.model_version.as_str().into(),
            nok_threshold: nok_threshold.unwrap_or(config.nok_threshold),
            scalars: resolved(&config, &[]),
            config,
        }
    }

    /// Where its scalars come from, in order.
    pub(super) fn scalars(&self) -> &[Scalar] {
        &self.scalars
    }

    #[must_use]
    pub fn config(&self) -> &InferenceConfig {
        &self.config
    }

    /// `model_version`, cheap to clone.
    #[must_use]
    pub fn version(&self) -> Arc<str> {
        Arc::clone(&self.version)
    }

    /// The model's own, or the configured one.
    #[must_use]
    pub fn nok_threshold(&self) -> f32 {
        self.nok_threshold
    }
}

fn resolved(config: &InferenceConfig, further: &[String]) -> Vec<Scalar> {
    let names = config.scalars.iter();
    names.map(|name| Scalar::of(name, further)).collect()
}

/// Models ask for numbers that no weld has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}; add a line for each to [columns.scalars], with the plant's column; there are: {}",
    asked.join("; "),
    known.join(", ")
)]
pub struct UnknownScalars {
    /// One entry a model.
    asked: Vec<String>,
    known: Vec<String>,
}

/// The global model and those of single parts.
#[derive(Debug, Clone)]
pub struct ModelSet {
    specs: Vec<ModelSpec>,
    by_part: HashMap<String, ModelId>,
}

impl ModelSet {
    /// `nok_threshold` (`model.nok_threshold`) stands for every model's own.
    ///
    /// # Errors
    /// If a configuration or `nok_threshold` is out of range, or a part is named twice.
    pub fn new(
        global: InferenceConfig,
        parts: impl IntoIterator<Item = (String, InferenceConfig)>,
        nok_threshold: Option<f32>,
    ) -> Result<Self, BadValue> {
        if let Some(threshold) = nok_threshold {
            BadValue::unless(
                threshold > 0.0 && threshold <= 1.0,
                "nok_threshold",
                threshold,
                "give a probability above 0, at most 1",
            )?;
        }
        global.check().map_err(|problem| problem.within("global"))?;
        let mut specs = vec![ModelSpec::new(global, nok_threshold)];
        let mut by_part = HashMap::new();
        for (part, config) in parts {
            config
                .check()
                .map_err(|problem| problem.within(&format!("parts.{part:?}")))?;
            name(&mut by_part, part, ModelId(specs.len()))?;
            specs.push(ModelSpec::new(config, nok_threshold));
        }
        Ok(Self { specs, by_part })
    }

    /// The same models, computed otherwise: each version says so.
    #[must_use]
    pub fn with_version_suffix(mut self, suffix: &str) -> Self {
        for spec in &mut self.specs {
            spec.version = format!("{}{suffix}", spec.version).into();
        }
        self
    }

    /// Lets one more part be judged by a model of this set.
    ///
    /// # Errors
    /// If the part has a model already.
    pub fn with_part(mut self, part: String, model: ModelId) -> Result<Self, BadValue> {
        name(&mut self.by_part, part, model)?;
        Ok(self)
    }

    /// The same models, fed with further numbers of a weld that have these names.
    ///
    /// # Errors
    /// Every model that asks for others, with their names.
    pub fn with_scalars(mut self, further: &[String]) -> Result<Self, UnknownScalars> {
        let mut asked = Vec::new();
        for spec in &mut self.specs {
            spec.scalars = resolved(&spec.config, further);
            let wanted = spec.config.scalars.iter().zip(&spec.scalars);
            let unknown: Vec<String> = wanted
                .filter(|(_, scalar)| **scalar == Scalar::Nowhere)
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            if !unknown.is_empty() {
                let (version, unknown) = (&spec.version, unknown.join(", "));
                asked.push(format!(
                    "model `{version}` asks for {unknown} in `scalars` of its inference_config.json"
                ));
            }
        }
        if asked.is_empty() {
            return Ok(self);
        }
        let known = ["umax", "imax"].map(str::to_owned);
        Err(UnknownScalars {
            asked,
            known: known.into_iter().chain(further.iter().cloned()).collect(),
        })
    }

    #[must_use]
    pub fn global(&self) -> &ModelSpec {
        &self.specs[0]
    }

    /// The model of a part: its own, else the global one.
    #[must_use]
    pub fn for_part(&self, part_no: &str) -> ModelId {
        if self.by_part.is_empty() {
            return ModelId::GLOBAL;
        }
        self.by_part
            .get(part_no)
            .copied()
            .unwrap_or(ModelId::GLOBAL)
    }

    #[must_use]
    pub fn spec(&self, id: ModelId) -> &ModelSpec {
        &self.specs[id.0]
    }

    pub fn specs(&self) -> impl Iterator<Item = (ModelId, &ModelSpec)> {
        self.specs
            .iter()
            .enumerate()
            .map(|(index, spec)| (ModelId(index), spec))
    }

    /// Versions of the models whose verdicts depend on how long the recorder ran: their configurations say nothing of
    /// idle time.
    pub fn that_keep_idle_time(&self) -> impl Iterator<Item = &str> {
        self.specs
            .iter()
            .filter(|spec| !spec.config.cuts_idle())
            .map(|spec| &*spec.version)
    }

    /// Models that are judged by another threshold than their own: the configured one stands for it.
    pub fn with_other_threshold(&self) -> impl Iterator<Item = &ModelSpec> {
        let differs =
            |spec: &&ModelSpec| spec.nok_threshold.to_bits() != spec.config.nok_threshold.to_bits();
        self.specs.iter().filter(differs)
    }

    /// Models that call a weld NOK from a probability on that is above this one.
    pub fn with_threshold_above(&self, probability: f32) -> impl Iterator<Item = &ModelSpec> {
        let is_above = move |spec: &&ModelSpec| spec.nok_threshold > probability;
        self.specs.iter().filter(is_above)
    }

    /// Number of models, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.specs.len()
    }

    pub(super) fn id(index: usize) -> ModelId {
        ModelId(index)
    }
}

fn name(
    by_part: &mut HashMap<String, ModelId>,
    part: String,
    model: ModelId,
) -> Result<(), BadValue> {
    BadValue::unless(
        !by_part.contains_key(&part),
        "parts",
        format_args!("{part:?} twice"),
        "give each part one model",
    )?;
    by_part.insert(part, model);
    Ok(())
}
