//! A weld's curves in V and kA: the one pass over the samples that converts, measures and validates them.

use crate::{
    Weld,
    units::CurveUnits,
    validation::{Extent, Invalid, Measured, ValidationLimits},
};

/// Samples handled side by side; wide enough for two AVX registers, a multiple of SSE's.
const LANES: usize = 16;

/// Validated curves in V and kA, of equal length. Reusable: loading the next weld allocates nothing once grown.
#[derive(Debug, Clone, Default)]
pub struct Curves {
    sample_interval_ms: f64,
    umax: f32,
    imax: f32,
    largest_current: f32,
    u: Vec<f32>,
    i: Vec<f32>,
}

impl Curves {
    /// Converts and validates `weld`. What was loaded before is gone either way; after a refusal nothing is loaded.
    ///
    /// # Errors
    /// The first [`crate::validation::Reason`] that applies.
    pub fn load(
        &mut self,
        weld: &Weld<'_>,
        units: &CurveUnits,
        limits: &ValidationLimits,
    ) -> Result<(), Invalid> {
        let loaded = self.try_load(weld, units, limits);
        if loaded.is_err() {
            self.u.clear();
            self.i.clear();
        }
        loaded
    }

    fn try_load(
        &mut self,
        weld: &Weld<'_>,
        units: &CurveUnits,
        limits: &ValidationLimits,
    ) -> Result<(), Invalid> {
        limits.check_lengths(weld.u.len(), weld.i.len())?;
        let length = weld.u.len().min(weld.i.len());
        self.sample_interval_ms = units.sample_interval_ms;
        self.umax = units.umax_volts(weld.umax);
        self.imax = units.imax_kiloamperes(weld.imax);
        let measured = Measured {
            umax: self.umax,
            imax: self.imax,
            u: convert(&weld.u[..length], units.u_factor(self.umax), &mut self.u),
            i: convert(&weld.i[..length], units.i_factor(self.imax), &mut self.i),
        };
        self.largest_current = measured.i.max;
        limits.check_measured(&measured)
    }

    /// Time between two samples, ms.
    #[must_use]
    pub fn sample_interval_ms(&self) -> f64 {
        self.sample_interval_ms
    }

    /// `umax` of the row, V.
    #[must_use]
    pub fn umax(&self) -> f32 {
        self.umax
    }

    /// `imax` of the row, kA.
    #[must_use]
    pub fn imax(&self) -> f32 {
        self.imax
    }

    /// Largest sample of the current, kA.
    #[must_use]
    pub fn largest_current(&self) -> f32 {
        self.largest_current
    }

    /// Voltage, V.
    #[must_use]
    pub fn u(&self) -> &[f32] {
        &self.u
    }

    /// Current, kA.
    #[must_use]
    pub fn i(&self) -> &[f32] {
        &self.i
    }
}

/// `to[k] = from[k] * factor`, and the extent of the result. Written for the vectoriser: one accumulator per lane.
fn convert(from: &[f32], factor: f32, to: &mut Vec<f32>) -> Extent {
    to.resize(from.len(), 0.0);
    let mut low = [f32::INFINITY; LANES];
    let mut high = [f32::NEG_INFINITY; LANES];
    // x * 0 is 0 for a finite x and NaN for every other; a NaN stays in its lane's sum.
    let mut taint = [0.0_f32; LANES];
    let mut sources = from.chunks_exact(LANES);
    let mut targets = to.chunks_exact_mut(LANES);
    for (source, target) in (&mut sources).zip(&mut targets) {
        for k in 0..LANES {
            let value = source[k] * factor;
            target[k] = value;
            low[k] = if value < low[k] { value } else { low[k] };
            high[k] = if value > high[k] { value } else { high[k] };
            taint[k] += value * 0.0;
        }
    }
    for (source, target) in sources.remainder().iter().zip(targets.into_remainder()) {
        let value = source * factor;
        *target = value;
        low[0] = if value < low[0] { value } else { low[0] };
        high[0] = if value > high[0] { value } else { high[0] };
        taint[0] += value * 0.0;
    }
    let first_non_finite = if taint.iter().any(|sum| sum.is_nan()) {
        to.iter().position(|value| !value.is_finite())
    } else {
        None
    };
    Extent {
        min: low.into_iter().fold(f32::INFINITY, f32::min),
        max: high.into_iter().fold(f32::NEG_INFINITY, f32::max),
        first_non_finite,
    }
}
