//! Dynamic resistance of a low-carbon steel weld:
//!
//! R(t) = Rb + Rc·e^(−t/τc) + A·s((t−t1)/w1) − B·s((t−t2)/w2), s logistic, t from the start of the main pulse.
//!
//! Contact resistance decays to a first minimum, heating raises bulk resistance to the β peak, the growing nugget and
//! the indenting electrodes lower it again. A sound weld: start ≈ 297 µΩ, first minimum ≈ 281 µΩ at 8–15 ms, β peak
//! ≈ 292 µΩ at 22–93 ms, end ≈ 272 µΩ.

/// Parameters of R(t). Resistances in µΩ, times in ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResistanceModel {
    /// Rb, bulk.
    pub bulk: f64,
    /// Rc, contact, decaying.
    pub contact: f64,
    /// τc of the contact resistance.
    pub contact_tau: f64,
    /// A, rise by heating.
    pub heating: f64,
    /// t1 of the heating.
    pub heating_at: f64,
    /// w1 of the heating.
    pub heating_width: f64,
    /// B, fall by the growing nugget.
    pub nugget: f64,
    /// t2 of the nugget.
    pub nugget_at: f64,
    /// w2 of the nugget.
    pub nugget_width: f64,
}

impl ResistanceModel {
    /// The model for a stack of `slowness` (0 thin, 1 thick) welded with `heat` (1 nominal, heat reaching the joint
    /// relative to the program's). More heat: everything earlier, larger fall.
    #[must_use]
    pub fn of_heat(slowness: f64, heat: f64) -> Self {
        let delay = heat.max(0.2).powf(-1.6);
        Self {
            bulk: 280.2 - 0.5 * slowness,
            contact: 17.5,
            contact_tau: 2.7 + 0.1 * slowness,
            heating: 16.5 + 2.0 * slowness,
            heating_at: (21.0 + 17.0 * slowness) * delay,
            heating_width: (4.2 + 6.2 * slowness) * delay,
            nugget: (24.7 + slowness + 12.6 * (heat - 1.0)).max(4.0),
            nugget_at: (58.0 + 62.0 * slowness) * delay,
            nugget_width: (15.0 + 15.0 * slowness) * delay,
        }
    }

    /// All resistances times `factor`.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        self.bulk *= factor;
        self.contact *= factor;
        self.heating *= factor;
        self.nugget *= factor;
        self
    }

    /// R at 0, `step`, 2·`step` … ms without an exponential a sample.
    pub(crate) fn steps(&self, step_ms: f64) -> ResistanceSteps {
        ResistanceSteps {
            model: *self,
            contact: self.contact,
            contact_ratio: (-step_ms / self.contact_tau).exp(),
            heating: (self.heating_at / self.heating_width).exp(),
            heating_ratio: (-step_ms / self.heating_width).exp(),
            nugget: (self.nugget_at / self.nugget_width).exp(),
            nugget_ratio: (-step_ms / self.nugget_width).exp(),
        }
    }
}

/// Endless R(t) at a fixed step: each exponential is the one before times a constant.
pub(crate) struct ResistanceSteps {
    model: ResistanceModel,
    contact: f64,
    contact_ratio: f64,
    heating: f64,
    heating_ratio: f64,
    nugget: f64,
    nugget_ratio: f64,
}

impl ResistanceSteps {
    /// The next value, µΩ.
    #[inline]
    pub(crate) fn next(&mut self) -> f64 {
        let resistance = self.model.bulk + self.contact + self.model.heating / (1.0 + self.heating)
            - self.model.nugget / (1.0 + self.nugget);
        self.contact *= self.contact_ratio;
        self.heating *= self.heating_ratio;
        self.nugget *= self.nugget_ratio;
        resistance
    }
}

/// A burn mark: R rises late in the pulse, stays up for a while and comes back slowly.
///
/// H·(s((t−a)/wa) − s((t−b)/wb)), s logistic. The fall is slow, for a fast one would be an expulsion's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hill {
    /// a, middle of the rise, ms of welding time in the main pulse.
    pub rises_at: f64,
    /// wa: a fourth of the rise, ms.
    pub rise_width: f64,
    /// b, middle of the fall, ms.
    pub falls_at: f64,
    /// wb.
    pub fall_width: f64,
    /// H, µΩ.
    scale: f64,
}

impl Hill {
    /// A hill whose top is `height` µΩ; each flank by its middle and its width.
    #[must_use]
    pub fn new(
        (rises_at, rise_width): (f64, f64),
        (falls_at, fall_width): (f64, f64),
        height: f64,
    ) -> Self {
        let mut hill = Self {
            rises_at,
            rise_width,
            falls_at,
            fall_width,
            scale: 1.0,
        };
        hill.scale = height / hill.top();
        hill
    }

    /// What the hill adds to R at `t` ms, µΩ.
    #[must_use]
    pub fn at(&self, t: f64) -> f64 {
        self.scale * self.shape(t)
    }

    fn shape(&self, t: f64) -> f64 {
        logistic((t - self.rises_at) / self.rise_width)
            - logistic((t - self.falls_at) / self.fall_width)
    }

    /// The largest shape, looked for each millisecond between rise and fall.
    fn top(&self) -> f64 {
        let mut top = 0.0_f64;
        let mut t = self.rises_at;
        while t <= self.falls_at {
            top = top.max(self.shape(t));
            t += 1.0;
        }
        top
    }
}

/// Molten metal thrown out: R falls and stays low.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expulsion {
    /// Start, ms of welding time in the main pulse.
    pub onset_ms: f64,
    /// Time of the fall, ms: 6 to 11.
    pub fall_ms: f64,
    /// Part of R that is lost, 0.07 to 0.23.
    pub depth: f64,
    /// Part of the loss that comes back over the following 60 ms.
    pub recovery: f64,
}

impl Expulsion {
    /// Factor on R at `t` ms.
    #[inline]
    pub(crate) fn factor(&self, t: f64) -> f64 {
        let since = t - self.onset_ms;
        if since <= 0.0 {
            return 1.0;
        }
        let fallen = smooth_step(since / self.fall_ms);
        let recovered = self.recovery * ((since - self.fall_ms) / 60.0).clamp(0.0, 1.0);
        1.0 - self.depth * fallen * (1.0 - recovered)
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn smooth_step(x: f64) -> f64 {
    let x = x.min(1.0);
    x * x * (3.0 - 2.0 * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl ResistanceModel {
        /// R at `t` ms, µΩ.
        fn at(&self, t: f64) -> f64 {
            self.bulk
                + self.contact * (-t / self.contact_tau).exp()
                + self.heating * logistic((t - self.heating_at) / self.heating_width)
                - self.nugget * logistic((t - self.nugget_at) / self.nugget_width)
        }
    }

    fn landmarks(model: &ResistanceModel, main_ms: f64) -> (f64, (f64, f64), (f64, f64), f64) {
        let step = 0.25;
        let samples: Vec<f64> = (0..(main_ms / step) as usize)
            .map(|k| model.at(k as f64 * step))
            .collect();
        let minimum = samples
            .windows(2)
            .position(|pair| pair[1] > pair[0])
            .expect("R rises after the first minimum");
        let mut peak = minimum;
        for k in minimum..samples.len() {
            if samples[k] > samples[peak] {
                peak = k;
            }
        }
        let point = |k: usize| (k as f64 * step, samples[k]);
        (
            samples[0],
            point(minimum),
            point(peak),
            samples[samples.len() - 1],
        )
    }

    #[test]
    fn sound_welds_have_the_measured_landmarks() {
        for slowness in [0.0, 0.25, 0.5, 0.75, 1.0] {
            for heat in [0.88, 0.95, 1.0, 1.05, 1.1, 1.2] {
                let model = ResistanceModel::of_heat(slowness, heat);
                let (start, minimum, peak, end) = landmarks(&model, 299.0 + 152.0 * slowness);
                let case = format!("slowness {slowness} heat {heat}");
                assert!((start - 297.0).abs() < 2.0, "{case}: start {start}");
                assert!(
                    (8.0..=15.0).contains(&minimum.0),
                    "{case}: first minimum at {}",
                    minimum.0
                );
                assert!(
                    (minimum.1 - 281.0).abs() < 1.0,
                    "{case}: first minimum {}",
                    minimum.1
                );
                assert!(
                    (22.0..=93.0).contains(&peak.0),
                    "{case}: peak at {}",
                    peak.0
                );
                assert!((peak.1 - 292.0).abs() < 2.0, "{case}: peak {}", peak.1);
                assert!((end - 272.0).abs() < 4.0, "{case}: end {end}");
            }
        }
    }

    #[test]
    fn little_heat_makes_a_late_peak_and_a_small_fall() {
        let fall = |heat| {
            let model = ResistanceModel::of_heat(0.3, heat);
            let (_, _, peak, end) = landmarks(&model, 350.0);
            (peak.0, peak.1 - end)
        };
        let (cold, sound) = (fall(0.6), fall(1.0));
        assert!(cold.0 > sound.0 * 1.5, "{cold:?} {sound:?}");
        assert!(cold.1 < sound.1 * 0.8, "{cold:?} {sound:?}");
    }

    #[test]
    fn steps_follow_the_formula() {
        let model = ResistanceModel::of_heat(0.7, 0.4).scaled(1.1);
        let mut steps = model.steps(0.5);
        for k in 0..1_700 {
            let (stepped, exact) = (steps.next(), model.at(f64::from(k) * 0.5));
            assert!(
                (stepped - exact).abs() < 1e-6,
                "sample {k}: {stepped} {exact}"
            );
        }
    }

    #[test]
    fn an_expulsion_falls_by_its_depth_and_persists() {
        let expulsion = Expulsion {
            onset_ms: 100.0,
            fall_ms: 8.0,
            depth: 0.15,
            recovery: 0.2,
        };
        assert_eq!(expulsion.factor(100.0), 1.0);
        assert!((expulsion.factor(108.0) - 0.85).abs() < 1e-12);
        assert!(expulsion.factor(300.0) < 0.90);
    }
}
