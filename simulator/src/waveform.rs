//! A weld's samples: idle, preheating pulse, pause, main pulse, idle.

use crate::noise::RowNoise;
use crate::process::Weld;
use crate::resistance::ResistanceModel;

/// Noise of the voltage sensor, V.
const U_NOISE_V: f64 = 0.010;
/// Noise of the current sensor at rest, kA.
const I_NOISE_KA: f64 = 0.004;
/// Ripple of the current, relative.
const I_RIPPLE: f64 = 0.002;
/// Fluctuation of the resistance itself, µΩ, and how much of it lasts to the next sample.
const R_NOISE_UOHM: f64 = 0.28;
const R_MEMORY: f64 = 0.6;
/// Decay of the current after a pulse and when it fails, ms.
const FALL_TAU_MS: f64 = 1.2;
const FAILURE_TAU_MS: f64 = 0.35;
/// 10–90 % rise of an exponential in units of its time constant: ln 9.
const RISE_IN_TAUS: f64 = 2.197_224_577_336_219;

/// Appends the samples of `weld` to `u` (V) and `i` (kA), as many to each.
pub(crate) fn write(
    weld: &Weld,
    interval_ms: f64,
    noise: &mut RowNoise,
    u: &mut Vec<f32>,
    i: &mut Vec<f32>,
) {
    let timing = &weld.timing;
    let samples = |ms: f64| (ms / interval_ms).round() as usize;
    let total = samples(timing.curve_ms);
    u.reserve(total);
    i.reserve(total);
    let before = u.len();

    let mut sampler = Sampler {
        noise,
        u,
        i,
        interval_ms,
        current_ka: 0.0,
        resistance: weld.preheat.bulk,
        wobble: 0.0,
    };
    let rise_ratio = (-interval_ms * RISE_IN_TAUS / timing.rise_ms).exp();
    sampler.idle(samples(timing.lead_ms));
    sampler.plain_pulse(
        samples(timing.preheat_ms),
        weld.preheat_ka,
        rise_ratio,
        &weld.preheat,
    );
    sampler.idle(samples(timing.pause_ms));
    let main_samples = samples(timing.main_ms);
    if weld.expulsions.is_empty() && weld.interruption.is_none() && weld.hill.is_none() {
        sampler.plain_pulse(main_samples, weld.main_ka, rise_ratio, &weld.main);
    } else {
        sampler.disturbed_pulse(main_samples, rise_ratio, weld);
    }
    let written = sampler.u.len() - before;
    sampler.idle(total.saturating_sub(written));
}

struct Sampler<'a> {
    noise: &'a mut RowNoise,
    u: &'a mut Vec<f32>,
    i: &'a mut Vec<f32>,
    interval_ms: f64,
    current_ka: f64,
    resistance: f64,
    wobble: f64,
}

impl Sampler<'_> {
    /// One sample at the present current and resistance.
    #[inline]
    fn push(&mut self) {
        const WOBBLE_STEP: f64 = R_NOISE_UOHM * 0.8; // √(1 − R_MEMORY²)
        let current_noise = self.noise.normal();
        self.wobble = R_MEMORY * self.wobble + WOBBLE_STEP * self.noise.normal();
        let current_ka = self.current_ka * (1.0 + I_RIPPLE * current_noise);
        // µΩ · kA is mV.
        let voltage =
            1e-3 * (self.resistance + self.wobble) * current_ka + U_NOISE_V * self.noise.normal();
        self.u.push(voltage as f32);
        self.i
            .push((current_ka + I_NOISE_KA * current_noise) as f32);
    }

    fn idle(&mut self, samples: usize) {
        let ratio = (-self.interval_ms / FALL_TAU_MS).exp();
        for _ in 0..samples {
            self.current_ka *= ratio;
            self.push();
        }
    }

    fn plain_pulse(
        &mut self,
        samples: usize,
        plateau_ka: f64,
        rise_ratio: f64,
        model: &ResistanceModel,
    ) {
        let mut steps = model.steps(self.interval_ms);
        for _ in 0..samples {
            self.current_ka = plateau_ka - (plateau_ka - self.current_ka) * rise_ratio;
            self.resistance = steps.next();
            self.push();
        }
    }

    /// The main pulse with expulsions, a hill or an interruption. While the current fails, the weld's own time stands
    /// still.
    fn disturbed_pulse(&mut self, samples: usize, rise_ratio: f64, weld: &Weld) {
        let failure_ratio = (-self.interval_ms / FAILURE_TAU_MS).exp();
        let (fails_at, fails_for) = weld.interruption.unwrap_or((f64::INFINITY, 0.0));
        let mut steps = weld.main.steps(self.interval_ms);
        let mut welding_ms = 0.0;
        for k in 0..samples {
            let t = k as f64 * self.interval_ms;
            if t >= fails_at && t < fails_at + fails_for {
                self.current_ka *= failure_ratio;
            } else {
                self.current_ka = weld.main_ka - (weld.main_ka - self.current_ka) * rise_ratio;
                self.resistance = steps.next();
                if let Some(hill) = &weld.hill {
                    self.resistance += hill.at(welding_ms);
                }
                for expulsion in &weld.expulsions {
                    self.resistance *= expulsion.factor(welding_ms);
                }
                welding_ms += self.interval_ms;
            }
            self.push();
        }
    }
}
