//! Settings as rules use them: times in steps of the [`grid`](super::grid).

use super::{
    grid::Grid,
    settings::{PeakMeasure, RuleSettings},
};
use crate::{
    peaks::PeakQuery,
    rounding::{samples, single},
};

/// Steps a median is taken of.
pub(super) const MEDIAN: usize = 5;

/// Settings of one part in steps.
#[derive(Debug, Clone)]
pub(super) struct SteppedSettings {
    pub settings: RuleSettings,
    pub grid: Grid,
    pub min_pulse: usize,
    pub prepulse: [usize; 2],
    pub main: [usize; 2],
    pub pause: [usize; 2],
    pub expulsion: ExpulsionSteps,
    pub peak: PeakSteps,
    pub interruption_flag: usize,
    pub short_pulse_flag: usize,
    pub short_pulse_warn: usize,
    pub end_window: usize,
    pub end_guard: usize,
}

#[derive(Debug, Clone)]
pub(super) struct ExpulsionSteps {
    pub delay: usize,
    pub start_guard: usize,
    pub end_guard: usize,
    pub refractory: usize,
    pub persist: usize,
    /// A ratio after/before above this is surely no hit, whatever `f32` rounding did.
    pub candidate_ratio: f32,
}

#[derive(Debug, Clone)]
pub(super) struct PeakSteps {
    pub start_guard: usize,
    pub end_guard: usize,
    pub after: usize,
    pub smooth: usize,
    /// Where hills may begin, and how wide they must be, in steps that need not be whole.
    pub begin_after: f64,
    pub width: [f64; 2],
    /// Heights and their widths are measured afterwards.
    pub query: PeakQuery,
}

impl SteppedSettings {
    pub(super) fn new(settings: &RuleSettings, sample_interval_ms: f64) -> Self {
        let grid = Grid::new(sample_interval_ms);
        let steps = |ms: f64| samples(ms, grid.step_ms);
        let expulsion = &settings.expulsion;
        let delay = steps(expulsion.delay_ms);
        let peak = &settings.resistance_peak;
        let width = [
            peak.min_width_ms / grid.step_ms,
            peak.max_width_ms / grid.step_ms,
        ];
        Self {
            grid,
            min_pulse: steps(settings.pulses.min_pulse_ms),
            prepulse: settings.pulses.prepulse_ms.map(steps),
            main: settings.pulses.main_ms.map(steps),
            pause: settings.pulses.pause_ms.map(steps),
            expulsion: ExpulsionSteps {
                delay,
                start_guard: steps(expulsion.start_guard_ms),
                end_guard: steps(expulsion.end_guard_ms),
                // So many steps see one and the same drop. 0 asks for the drop at every step.
                refractory: match expulsion.refractory_ms > 0.0 {
                    true => steps(expulsion.refractory_ms).max(2 * MEDIAN + delay),
                    false => 1,
                },
                persist: steps(expulsion.persist_ms),
                candidate_ratio: single(1.0 - expulsion.warn) + 1e-4,
            },
            peak: PeakSteps {
                start_guard: steps(peak.start_guard_ms),
                end_guard: steps(peak.end_guard_ms),
                after: steps(peak.after_ms),
                smooth: steps(peak.smooth_ms).max(1),
                begin_after: peak.begin_after_ms / grid.step_ms,
                width,
                query: match peak.measure {
                    PeakMeasure::Prominence => PeakQuery {
                        min_prominence: peak.warn_mohm,
                        width,
                        rel_height: peak.rel_height,
                    },
                    PeakMeasure::Height => PeakQuery {
                        min_prominence: peak.min_prominence_mohm,
                        rel_height: peak.rel_height,
                        ..PeakQuery::ALL
                    },
                },
            },
            interruption_flag: steps(settings.interruption.flag_ms).max(1),
            short_pulse_flag: steps(settings.short_pulse.flag_below_ms),
            short_pulse_warn: steps(settings.short_pulse.warn_below_ms),
            end_window: steps(settings.resistance_end_high.window_ms).max(1),
            end_guard: steps(settings.resistance_end_high.end_guard_ms),
            settings: settings.clone(),
        }
    }

    /// Time of a step's first sample since the curve's first, ms.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of steps are far below 2^52"
    )]
    pub(super) fn ms(&self, steps: usize) -> f64 {
        steps as f64 * self.grid.step_ms
    }
}
