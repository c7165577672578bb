//! Which layout suits model and device: measured once, then remembered.
//!
//! A worker that finds no choice in `model.cache_dir` measures the few [`candidates`] for a fraction of a second before it
//! claims. The usual layout stays unless another one is clearly faster, so that noise decides nothing. On a CPU results are
//! bit-equal whatever is chosen.

mod cache;
mod choice;
mod measure;
pub mod probe;

use std::{fmt, thread, time::Instant};

use serde_json::{Value, json};
use weldfleet_settings::{Model, Provider};

use super::{
    Models,
    layout::{Layout, candidates},
};
use cache::{Cache, Key};

/// Whether to measure where nothing is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuning {
    /// For whoever judges many rows.
    Measure,
    /// For a command that is over before measuring would pay.
    OnlyRemembered,
}

/// Where a layout comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nothing was left to choose.
    Configured,
    /// The usual one.
    Usual,
    /// Measured by this process.
    Measured,
    /// Measured by an earlier one.
    Remembered,
}

/// A layout, and why it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The layout.
    pub layout: Layout,
    /// Where it comes from.
    pub origin: Origin,
    /// Rows a second of the model alone, where it was measured.
    pub rows_per_second: Option<f64>,
}

impl Plan {
    /// A layout that nobody measured.
    pub fn unmeasured(layout: Layout, origin: Origin) -> Self {
        Self {
            layout,
            origin,
            rows_per_second: None,
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

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.layout, self.origin.name())
    }
}

/// The layout for these models on their device.
pub fn plan(models: &Models, settings: &Model, tuning: Tuning) -> Plan {
    let provider = models.runtime.provider();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let candidates = candidates(provider, cores, settings);
    if let [only] = candidates[..] {
        let nothing_left = settings.batch_rows > 0;
        let origin = if nothing_left {
            Origin::Configured
        } else {
            Origin::Usual
        };
        return Plan::unmeasured(only, origin);
    }
    let usual = Plan::unmeasured(candidates[0], Origin::Usual);
    let key = match Key::new(models, settings, cores) {
        Ok(key) => key,
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "cannot tell which layout suits"
            );
            return usual;
        }
    };
    let cache = Cache::in_folder(&settings.cache_dir);
    match cache.find(&key) {
        Ok(Some(choice)) if candidates.contains(&choice.layout) => {
            return Plan {
                layout: choice.layout,
                origin: Origin::Remembered,
                rows_per_second: Some(choice.rows_per_second),
            };
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(
            error = format!("{error:#}"),
            "tuned layouts cannot be read, measuring anew"
        ),
    }
    if tuning == Tuning::OnlyRemembered {
        return usual;
    }
    let began = Instant::now();
    let rates = match measure::rates(models, &candidates) {
        Ok(rates) => rates,
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "layouts cannot be measured");
            return usual;
        }
    };
    let Some(choice) = choice::choose(&candidates, &rates) else {
        return usual;
    };
    tracing::info!(
        layout = %choice.layout,
        rows_per_second = choice.rows_per_second.round(),
        took = ?began.elapsed(),
        "layout is tuned"
    );
    if let Err(error) = cache.remember(key, choice) {
        tracing::warn!(
            error = format!("{error:#}"),
            "the tuned layout cannot be kept, the next start measures again"
        );
    }
    Plan {
        layout: choice.layout,
        origin: Origin::Measured,
        rows_per_second: Some(choice.rows_per_second),
    }
}

/// How long measuring may take: a worker on a CPU claims within its first second; a GPU takes longer to wake up anyway.
fn budget(provider: Provider) -> std::time::Duration {
    std::time::Duration::from_millis(match provider {
        Provider::Cpu | Provider::Auto => 300,
        Provider::Cuda | Provider::Tensorrt => 3000,
    })
}
