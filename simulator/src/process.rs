//! One weld: what was drawn for it and what it physically became.
//!
//! Everything hangs on `heat`, what reached the joint relative to what its program was set for. Current, electrode
//! wear, shunting and fit-up move it; it moves R(t) (when the β peak comes, how far R falls after it) and it makes
//! nugget and indentation. So the curves tell the measured values, up to the noise of curve and measurement.

use crate::noise::RowNoise;
use crate::options::{CurveLength, SimulationOptions};
use crate::plant::{MAIN_MS, STACK_UPS, Spot, StackUp};
use crate::resistance::{Expulsion, Hill, ResistanceModel};
use crate::truth::Defect;

/// Heat of an acceptable weld. Nuggets are undersize below 0.856; the small gap keeps label and diameter consistent.
pub const SOUND_HEAT: (f64, f64) = (0.88, 1.20);

/// Share of OK welds with a harmless splash: one drop of 2–4 % that no rule should flag.
const HARMLESS_SPLASH_SHARE: f64 = 0.004;

/// Longest idle time before the first pulse and shortest after the last, ms.
const LEAD_MS: (f64, f64) = (3.0, 8.0);
const TAIL_MS: f64 = 10.0;

/// Standard deviations of the measurement of diameter, indentation, front thickness and stack thickness, mm.
pub const MEASUREMENT_NOISE_MM: [f64; 4] = [0.12, 0.015, 0.015, 0.03];

/// When the current flows, ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Idle before the preheating pulse.
    pub lead_ms: f64,
    pub preheat_ms: f64,
    pub pause_ms: f64,
    pub main_ms: f64,
    /// 10–90 % rise of the current.
    pub rise_ms: f64,
    pub curve_ms: f64,
}

/// Nugget and thicknesses, mm: diameter, indentation, front thickness, stack thickness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    pub diameter: f64,
    pub indentation: f64,
    /// What is left of the front sheet.
    pub front_thickness: f64,
    /// What is left of the stack.
    pub stack_thickness: f64,
}

/// One weld, before it becomes samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Weld {
    pub defect: Defect,
    /// Heat relative to the program's.
    pub heat: f64,
    pub timing: Timing,
    /// Plateau of the preheating pulse, kA.
    pub preheat_ka: f64,
    /// Plateau of the main pulse, kA.
    pub main_ka: f64,
    pub preheat: ResistanceModel,
    pub main: ResistanceModel,
    /// Expulsions (or one harmless splash), in order of time.
    pub expulsions: Vec<Expulsion>,
    /// The burn mark's.
    pub hill: Option<Hill>,
    /// Onset and length of a failing current, ms of the main pulse.
    pub interruption: Option<(f64, f64)>,
    /// What the weld became, before measurement noise.
    pub geometry: Geometry,
}

/// Nugget diameter in mm for `heat`: 5.2·√t when nominal, where 4·√t is `minimum_mm`.
#[must_use]
pub fn nugget_mm(heat: f64, minimum_mm: f64) -> f64 {
    let slope = if heat < 1.0 { 1.6 } else { 0.7 };
    (1.3 * minimum_mm * (1.0 + slope * (heat - 1.0))).max(0.0)
}

impl Weld {
    /// Draws the weld of `spot` with electrodes of `wear` (0 freshly dressed, 1 due for a dress), with a burn mark
    /// where it `burns`.
    pub(crate) fn draw(
        options: &SimulationOptions,
        spot: &Spot,
        wear: f64,
        burns: bool,
        noise: &mut RowNoise,
    ) -> Self {
        let stack = &STACK_UPS[spot.stack_up];
        let timing = draw_timing(options, stack, noise);
        let defect = if burns {
            Defect::Burn
        } else {
            draw_defect(options.nok_rate, noise)
        };

        // The stepper raises the current as the electrodes wear, so that the heat stays.
        let wear = if defect == Defect::WornElectrode {
            noise.between(1.5, 2.3)
        } else {
            wear
        };
        let stepper = 1.0 + 0.055 * wear.min(1.0);
        let mut current_factor = spot.current_factor * stepper * (1.0 + 0.006 * noise.normal());
        let own_heat =
            current_factor.powi(2) * (1.0 - 0.095 * wear.min(1.0)) * (1.0 + 0.025 * noise.normal());
        let heat = draw_heat(defect, own_heat, noise);
        let lost = (heat / own_heat).min(1.0);

        let mut resistance_factor = spot.resistance_factor
            * (1.0 + 0.03 * (stack.total_mm() - 2.2))
            * (1.0 - 0.035 * wear)
            * (1.0 + 0.004 * noise.normal());
        let mut contact_factor = (1.0 - 0.25 * wear).max(0.3) * (1.0 + 0.08 * noise.normal());
        let mut contact_delay = 1.0;
        let (mut extra_indentation, mut gap) = (0.0, 0.0);
        match defect {
            Defect::Undersize | Defect::StickWeld => {
                // Part of the heat is missing as current, the rest is shunted past the joint.
                let by_current = noise.between(0.1, 0.5);
                current_factor *= lost.powf(by_current / 2.0);
                resistance_factor *= lost.powf(0.15 * (1.0 - by_current));
            }
            Defect::PoorFitUp => {
                contact_factor *= noise.between(2.0, 4.5);
                contact_delay = noise.between(1.5, 3.0);
                extra_indentation = noise.between(0.08, 0.20);
                gap = noise.between(0.1, 0.4);
            }
            Defect::Burn => extra_indentation = noise.between(0.03, 0.08),
            _ => {}
        }

        let main_ka = (stack.program.main_ka * current_factor).clamp(6.0, 12.0);
        let mut main = ResistanceModel::of_heat(stack.slowness(), heat).scaled(resistance_factor);
        main.contact *= contact_factor;
        main.contact_tau *= contact_delay;
        let preheat = ResistanceModel {
            bulk: main.bulk * 1.02,
            contact: 60.0 * resistance_factor * contact_factor,
            contact_tau: 12.0 * contact_delay,
            heating: 0.0,
            nugget: 0.0,
            ..main
        };

        let expulsions = match defect {
            Defect::Expulsion => draw_expulsions(timing.main_ms, noise),
            Defect::None if noise.chance(HARMLESS_SPLASH_SHARE) => {
                vec![draw_expulsion(timing.main_ms, (0.02, 0.04), noise)]
            }
            _ => Vec::new(),
        };
        let hill = (defect == Defect::Burn).then(|| draw_hill(timing.main_ms, noise));
        let interruption = (defect == Defect::Interruption).then(|| {
            (
                noise.between(0.12, 0.80) * timing.main_ms,
                noise.between(5.0, 30.0),
            )
        });

        let thrown_out: f64 = expulsions.iter().map(|expulsion| expulsion.depth).sum();
        let unheated =
            interruption.map_or(0.0, |(_, length_ms)| 0.1 + 1.5 * length_ms / timing.main_ms);
        let front = stack.front_mm();
        let indentation = front * (0.06 + 0.07 * heat * heat) * (1.0 - 0.1 * wear)
            + front * (extra_indentation + 0.8 * thrown_out);
        let geometry = Geometry {
            diameter: nugget_mm(heat, stack.minimum_diameter_mm())
                * (1.0 - 0.35 * thrown_out)
                * (1.0 - unheated),
            indentation,
            front_thickness: front - indentation,
            stack_thickness: stack.total_mm() - 1.8 * indentation + gap,
        };
        Self {
            defect,
            heat,
            timing,
            preheat_ka: 0.6 * main_ka,
            main_ka,
            preheat,
            main,
            expulsions,
            hill,
            interruption,
            geometry,
        }
    }
}

fn draw_timing(options: &SimulationOptions, stack: &StackUp, noise: &mut RowNoise) -> Timing {
    let program = stack.program;
    let lead_ms = noise.between(LEAD_MS.0, LEAD_MS.1);
    let tail_ms = TAIL_MS * noise.between(1.0, 2.0);
    let around_ms = program.preheat_ms + program.pause_ms;
    let (main_ms, curve_ms) = match options.length {
        CurveLength::Program => (
            program.main_ms,
            lead_ms + around_ms + program.main_ms + tail_ms,
        ),
        CurveLength::Fixed(points) => {
            let curve_ms = points as f64 * options.sample_interval_ms;
            let room_ms = curve_ms - around_ms - LEAD_MS.1 - TAIL_MS;
            let share = ((room_ms - MAIN_MS.0) / (MAIN_MS.1 - MAIN_MS.0)).clamp(0.0, 1.0);
            (MAIN_MS.0 + (program.main_ms - MAIN_MS.0) * share, curve_ms)
        }
    };
    Timing {
        lead_ms,
        preheat_ms: program.preheat_ms,
        pause_ms: program.pause_ms,
        main_ms,
        rise_ms: program.rise_ms,
        curve_ms,
    }
}

/// How NOK welds divide into defects.
const DEFECT_SHARES: [(Defect, f64); 6] = [
    (Defect::Expulsion, 0.40),
    (Defect::Undersize, 0.22),
    (Defect::StickWeld, 0.08),
    (Defect::WornElectrode, 0.10),
    (Defect::PoorFitUp, 0.12),
    (Defect::Interruption, 0.08),
];

fn draw_defect(nok_rate: f64, noise: &mut RowNoise) -> Defect {
    if !noise.chance(nok_rate) {
        return Defect::None;
    }
    let mut left = noise.unit();
    for (defect, share) in DEFECT_SHARES {
        if left < share {
            return defect;
        }
        left -= share;
    }
    Defect::Expulsion
}

fn draw_heat(defect: Defect, own_heat: f64, noise: &mut RowNoise) -> f64 {
    match defect {
        Defect::None | Defect::Interruption | Defect::Burn => {
            own_heat.clamp(SOUND_HEAT.0, SOUND_HEAT.1)
        }
        Defect::Expulsion => noise.between(1.03, 1.22),
        Defect::Undersize => noise.between(0.58, 0.845),
        Defect::StickWeld => noise.between(0.28, 0.50),
        Defect::WornElectrode => noise.between(0.60, 0.84),
        Defect::PoorFitUp => noise.between(0.62, 0.845),
    }
}

fn draw_expulsion(main_ms: f64, depth: (f64, f64), noise: &mut RowNoise) -> Expulsion {
    Expulsion {
        onset_ms: noise.between((0.09 * main_ms).max(36.0), 0.76 * main_ms),
        fall_ms: noise.between(6.0, 11.0),
        depth: noise.between(depth.0, depth.1),
        recovery: noise.between(0.0, 0.15),
    }
}

/// A hill of 0.05 to 0.12 mΩ that begins after the β peak and is over before the pulse ends, for some 45 to 75 ms at
/// half its height.
fn draw_hill(main_ms: f64, noise: &mut RowNoise) -> Hill {
    let rises_at = noise.between(0.34, 0.46) * main_ms;
    let rise = (rises_at, noise.between(3.0, 6.0));
    let fall = (
        rises_at + noise.between(45.0, 70.0),
        noise.between(10.0, 14.0),
    );
    Hill::new(rise, fall, noise.between(50.0, 120.0))
}

/// One to three expulsions, at least 45 ms apart.
fn draw_expulsions(main_ms: f64, noise: &mut RowNoise) -> Vec<Expulsion> {
    let luck = noise.unit();
    let count = if luck < 0.65 {
        1
    } else if luck < 0.90 {
        2
    } else {
        3
    };
    let mut expulsions: Vec<Expulsion> = (0..count)
        .map(|_| draw_expulsion(main_ms, (0.07, 0.23), noise))
        .collect();
    expulsions.sort_by(|a, b| a.onset_ms.total_cmp(&b.onset_ms));
    let mut last_ms = f64::NEG_INFINITY;
    expulsions.retain(|expulsion| {
        let apart = expulsion.onset_ms - last_ms >= 45.0;
        if apart {
            last_ms = expulsion.onset_ms;
        }
        apart
    });
    expulsions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::plant;

    fn welds(nok_rate: f64, count: u64) -> impl Iterator<Item = (Weld, &'static StackUp)> {
        let options = SimulationOptions {
            nok_rate,
            ..SimulationOptions::new(20_260_105, count, 11)
        };
        (0..count).map(move |row| {
            let mut noise = RowNoise::new(options.seed, options.day, row);
            let timer = &plant().timers[row as usize % 16];
            let spot = &timer.spots[row as usize / 16 % timer.spots.len()];
            let wear = noise.unit();
            (
                Weld::draw(&options, spot, wear, false, &mut noise),
                &STACK_UPS[spot.stack_up],
            )
        })
    }

    #[test]
    fn sound_welds_have_a_nugget_above_the_minimum() {
        for (weld, stack) in welds(0.0, 5_000) {
            assert_eq!(weld.defect, Defect::None);
            assert!(
                weld.geometry.diameter >= 1.05 * stack.minimum_diameter_mm(),
                "{weld:?}"
            );
            assert!(
                weld.geometry.diameter <= 6.2 * 1.15 * (stack.minimum_diameter_mm() / 4.0),
                "{weld:?}"
            );
            let indentation = weld.geometry.indentation / stack.front_mm();
            assert!((0.08..0.22).contains(&indentation), "{weld:?}");
            assert!((6.0..=12.0).contains(&weld.main_ka), "{weld:?}");
        }
    }

    #[test]
    fn every_defect_occurs_and_leaves_its_mark() {
        let mut seen = std::collections::HashSet::new();
        for (weld, stack) in welds(1.0, 4_000) {
            seen.insert(weld.defect);
            let minimum = stack.minimum_diameter_mm();
            match weld.defect {
                Defect::None | Defect::Burn => panic!("{:?} at a NOK rate of 1", weld.defect),
                Defect::Expulsion => {
                    assert!((1..=3).contains(&weld.expulsions.len()));
                    for expulsion in &weld.expulsions {
                        assert!((0.07..=0.23).contains(&expulsion.depth));
                        assert!((6.0..=11.0).contains(&expulsion.fall_ms));
                        assert!(
                            (0.09..=0.76).contains(&(expulsion.onset_ms / weld.timing.main_ms))
                        );
                    }
                }
                Defect::StickWeld => assert!(weld.geometry.diameter < 0.35 * minimum),
                Defect::Undersize | Defect::WornElectrode | Defect::PoorFitUp => {
                    assert!(weld.geometry.diameter < 0.98 * minimum, "{weld:?}");
                }
                Defect::Interruption => assert!(weld.interruption.is_some()),
            }
        }
        assert_eq!(seen.len(), DEFECT_SHARES.len());
    }
}
