//! Which layout suits model and device: measured once, then remembered.
//!
//! A worker that finds no choice in `model.cache_dir` measures the few [`candidates`] for a fraction of a second before
//! it claims; `worker check` takes the time it needs. The usual layout stays unless another one is clearly faster, so
//! that noise decides nothing. On a CPU results are bit-equal whatever is chosen.

mod cache;
mod choice;
mod measure;

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use weldfleet_settings::{Model, Precision, Provider};

use super::{
    Models,
    layout::{Layout, candidates},
};
use cache::{Cache, Key};
use choice::Choice;

/// Whether to measure where nothing is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuning {
    /// For a worker that is about to claim.
    Quick,
    /// For whoever has time to prepare a worker's start.
    Thorough,
    /// For a command that is over before measuring would pay.
    OnlyRemembered,
}

/// Where a layout comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nothing was left to choose.
    Configured,
    Usual,
    /// Measured by this process.
    Measured,
    /// Measured by an earlier one.
    Remembered,
}

/// A layout, and why it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChosenLayout {
    pub layout: Layout,
    pub origin: Origin,
    /// Rows a second of the model alone, where it was measured.
    pub rows_per_second: Option<f64>,
    /// How many times as fast OpenVINO was as ONNX Runtime's own provider, where `auto` measured both.
    pub openvino_gain: Option<f64>,
}

impl ChosenLayout {
    pub fn unmeasured(layout: Layout, origin: Origin) -> Self {
        Self {
            layout,
            origin,
            rows_per_second: None,
            openvino_gain: None,
        }
    }

    fn measured(choice: Choice, origin: Origin) -> Self {
        Self {
            layout: choice.layout,
            origin,
            rows_per_second: Some(choice.rows_per_second),
            openvino_gain: None,
        }
    }

    /// For `GET /`.
    pub fn describe(&self) -> Value {
        json!({
            "sessions": self.layout.sessions,
            "threads": self.layout.threads,
            "batch_rows": self.layout.batch_rows,
            "origin": self.origin.name(),
            "rows_per_second": self.rows_per_second.map(f64::round),
            "openvino_gain": self.openvino_gain,
        })
    }
}

impl Origin {
    fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Usual => "usual",
            Self::Measured => "measured",
            Self::Remembered => "remembered",
        }
    }
}

impl fmt::Display for ChosenLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.layout, self.origin.name())?;
        self.openvino_gain.map_or(Ok(()), |gain| {
            write!(
                f,
                "; OpenVINO is {gain:.2} times as fast as ONNX Runtime's own cpu provider"
            )
        })
    }
}

/// The layout for these models; and where `auto` came to the CPU, whether ONNX Runtime itself or OpenVINO runs them:
/// the faster one, by more than noise.
pub fn choose(models: Models, settings: &Model, tuning: Tuning) -> (Models, ChosenLayout) {
    let Some(on_openvino) = models.on_openvino() else {
        let layout = choose_layout(&models, settings, tuning, false);
        return (models, layout);
    };
    let mut theirs = choose_layout(&on_openvino, settings, tuning, true);
    if settings.precision == Precision::Bf16 {
        // nothing else computes it
        return (on_openvino, theirs);
    }
    let mut own = choose_layout(&models, settings, tuning, true);
    let gain = match (own.rows_per_second, theirs.rows_per_second) {
        (Some(own), Some(theirs)) => theirs / own,
        // only what was seen to be faster is taken
        _ => 0.0,
    };
    tracing::info!(
        gain = format!("{gain:.2}"),
        "OpenVINO beside ONNX Runtime's own cpu provider"
    );
    for layout in [&mut own, &mut theirs] {
        layout.openvino_gain = (gain > 0.0).then_some(gain);
    }
    if gain < choice::MARGIN {
        return (models, own);
    }
    match on_openvino.try_parts(theirs.layout) {
        Ok(()) => (on_openvino, theirs),
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "OpenVINO cannot run every model, using ONNX Runtime's own cpu provider"
            );
            (models, own)
        }
    }
}

/// The layout for these models on their device; measured also where there is only one, if its `rate` is wanted.
fn choose_layout(models: &Models, settings: &Model, tuning: Tuning, rate: bool) -> ChosenLayout {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let candidates = candidates(models.runtime.provider(), cores, settings);
    let usual = ChosenLayout::unmeasured(candidates[0], Origin::Usual);
    if candidates.len() == 1 && !rate {
        return match settings.batch_rows {
            0 => usual,
            _ => ChosenLayout::unmeasured(candidates[0], Origin::Configured),
        };
    }
    let key = Key::new(models, settings, cores);
    let cache = Cache::in_folder(&settings.cache_dir);
    if let Some(choice) = remembered(&cache, &key, &candidates) {
        return ChosenLayout::measured(choice, Origin::Remembered);
    }
    let measured = match tuning {
        Tuning::OnlyRemembered => None,
        Tuning::Quick | Tuning::Thorough => measure(models, &candidates, tuning),
    };
    let Some(choice) = measured else {
        return usual;
    };
    if let Err(error) = cache.remember(key, choice) {
        tracing::warn!(
            error = format!("{error:#}"),
            "the tuned layout cannot be kept, the next start measures again"
        );
    }
    ChosenLayout::measured(choice, Origin::Measured)
}

/// A choice of an earlier start that is still one of the candidates.
fn remembered(cache: &Cache, key: &Key, candidates: &[Layout]) -> Option<Choice> {
    match cache.find(key) {
        Ok(choice) => choice.filter(|choice| candidates.contains(&choice.layout)),
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "tuned layouts cannot be read, measuring anew"
            );
            None
        }
    }
}

/// `None` where it fails or a host is too busy to look at every candidate in time: half a look must not be remembered.
fn measure(models: &Models, candidates: &[Layout], tuning: Tuning) -> Option<Choice> {
    let began = Instant::now();
    let budget = budget(models.runtime.provider(), tuning);
    let rates = match measure::rates(models, candidates, budget) {
        Ok(rates) => rates,
        Err(error) => {
            let error = format!("{error:#}");
            let device = models.runtime.device();
            tracing::warn!(error, device, "layouts cannot be measured");
            return None;
        }
    };
    let Some(rates) = rates.into_iter().collect::<Option<Vec<f64>>>() else {
        tracing::info!(
            ?budget,
            "no time to measure every layout, taking the usual one"
        );
        return None;
    };
    let choice = choice::choose(candidates, &rates)?;
    tracing::info!(
        device = models.runtime.device(),
        layout = %choice.layout,
        rows_per_second = choice.rows_per_second.round(),
        took = ?began.elapsed(),
        "layout is tuned"
    );
    Some(choice)
}

/// How long measuring may take. A worker on a CPU claims within its first second; a GPU takes longer to wake up anyway.
fn budget(provider: Provider, tuning: Tuning) -> Duration {
    match (tuning, provider) {
        (Tuning::Thorough, _) => Duration::from_secs(10),
        (_, Provider::Cpu | Provider::Auto) => Duration::from_millis(300),
        // it compiles a model for each session
        (_, Provider::Openvino) => Duration::from_millis(1500),
        (_, Provider::Cuda | Provider::Tensorrt) => Duration::from_secs(3),
    }
}
