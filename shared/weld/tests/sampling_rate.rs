//! What the rules say of a weld depends neither on the recorder's rate nor on its voltage sensor's offset.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use weldfleet_weld::{
    Weld,
    curves::Curves,
    rules::{Findings, Level, Rule, RuleError, RuleScratch, RuleSet, RulesFile},
    units::CurveUnits,
    validation::ValidationLimits,
};

const INTERVALS_MS: [f64; 4] = [1.0, 0.2, 0.1, 0.02];
const OFFSETS_V: [f64; 3] = [-0.02, 0.0, 0.02];

/// xorshift, and the sum of four of its numbers as a normal one.
struct Noise(u64);

impl Noise {
    fn normal(&mut self) -> f64 {
        let mut unit = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        };
        (unit() + unit() + unit() + unit() - 2.0) * 3.0_f64.sqrt()
    }
}

/// What is special about a weld.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// R falls by 15 % within 6 ms.
    Expulsion,
    /// The voltage sensor sees nothing for 40 ms.
    Dropout,
    /// Nor for the whole main pulse.
    Dead,
}

/// An aluminium weld: little resistance, a short prepulse, a pause in which the current sensor sees noise, a slow rise.
fn aluminium(interval_ms: f64, offset: f64, fault: Fault) -> (Vec<f32>, Vec<f32>) {
    const MAIN_AT: f64 = 45.0;
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    let samples = (370.0 / interval_ms).round() as usize;
    let mut weld = (Vec::with_capacity(samples), Vec::with_capacity(samples));
    for k in 0..samples {
        let t = k as f64 * interval_ms;
        let since = |start: f64| t - start;
        let (kiloamperes, milliohms) = match t {
            t if t < 5.0 => (0.0, 0.0),
            t if t < 24.0 => (13.0 * (1.0 - (-since(5.0) / 2.0).exp()), 0.0096),
            t if t < MAIN_AT => (13.0 * (-since(24.0) / 0.5).exp(), 0.0096),
            t if t < 350.0 => (37.0 * (1.0 - (-since(MAIN_AT) / 12.0).exp()), 0.0178),
            _ => (37.0 * (-since(350.0) / 1.2).exp(), 0.0178),
        };
        let fallen = match fault {
            Fault::Expulsion => 1.0 - 0.15 * (since(200.0) / 6.0).clamp(0.0, 1.0),
            Fault::Dropout if (150.0..190.0).contains(&t) => 0.0,
            Fault::Dead if t >= MAIN_AT => 0.0,
            _ => 1.0,
        };
        let volts = milliohms * fallen * kiloamperes;
        weld.0
            .push((volts + offset + 0.005 * noise.normal()) as f32);
        weld.1.push((kiloamperes + 0.15 * noise.normal()) as f32);
    }
    weld
}

fn findings(
    interval_ms: f64,
    offset: f64,
    fault: Fault,
    nok_on: &str,
) -> Result<Findings, RuleError> {
    let (mut u, i) = aluminium(interval_ms, offset, fault);
    // What a dead sensor saw before it died: else validation would refuse the row.
    u[0] = 0.65;
    judged(&u, &i, interval_ms, &format!("nok_on = [{nok_on}]"))
}

/// What these rules find in a weld of these curves.
fn judged(u: &[f32], i: &[f32], interval_ms: f64, rules: &str) -> Result<Findings, RuleError> {
    let top = |x: &[f32]| x.iter().copied().fold(f32::MIN, f32::max);
    let weld = Weld {
        part_no: "",
        umax: top(u),
        imax: top(i),
        u,
        i,
        scalars: &[],
    };
    let units = CurveUnits {
        sample_interval_ms: interval_ms,
        ..CurveUnits::default()
    };
    let mut curves = Curves::default();
    curves
        .load(&weld, &units, &ValidationLimits::default())
        .unwrap();
    let rules = RulesFile::from_toml(rules).unwrap();
    RuleSet::new(&rules, interval_ms).judge("", &curves, &mut RuleScratch::default())
}

/// Rule, level and roughly when.
fn seen(interval_ms: f64, offset: f64, fault: Fault) -> Vec<(Rule, Level, f64)> {
    let found = findings(interval_ms, offset, fault, "\"expulsion:flag\"")
        .unwrap_or_else(|error| panic!("{interval_ms} ms, {offset} V, {fault:?}: {error}"));
    found
        .hits
        .iter()
        .map(|hit| (hit.rule, hit.level, hit.t_ms))
        .collect()
}

#[test]
fn a_weld_has_the_same_hits_at_every_rate_and_offset() {
    // The prepulse is too short for a pause to follow: that gap is an interruption.
    let pause = (Rule::Interruption, Level::Flag, 25.0);
    let drop = (Rule::Expulsion, Level::Flag, 202.0);
    for (fault, wanted) in [
        (Fault::None, vec![pause]),
        (Fault::Expulsion, vec![pause, drop]),
        (Fault::Dropout, vec![pause]),
    ] {
        for interval_ms in INTERVALS_MS {
            for offset in OFFSETS_V {
                let found = seen(interval_ms, offset, fault);
                let alike = found.len() == wanted.len()
                    && found.iter().zip(&wanted).all(|(found, wanted)| {
                        (found.0, found.1) == (wanted.0, wanted.1)
                            && (found.2 - wanted.2).abs() < 6.0
                    });
                assert!(
                    alike,
                    "{fault:?} at {interval_ms} ms, {offset} V: {found:?}, not {wanted:?}"
                );
            }
        }
    }
}

#[test]
fn where_nothing_can_be_told_the_weld_is_an_error_unless_another_rule_makes_it_nok() {
    for interval_ms in INTERVALS_MS {
        for offset in OFFSETS_V {
            let error = findings(interval_ms, offset, Fault::Dead, "\"expulsion\"").unwrap_err();
            assert_eq!(error.rule, Rule::Expulsion);
            assert_eq!(
                error.problem,
                "no stretch of the main pulse is above 0.05 V and 1 kA for long enough, so no drop can be told"
            );
            for nok_on in ["\"expulsion\", \"interruption\"", "\"short_pulse\""] {
                let found = findings(interval_ms, offset, Fault::Dead, nok_on).unwrap();
                assert!(found.hits.iter().all(|hit| hit.rule != Rule::Expulsion));
            }
        }
    }
}

/// The rule for burn marks.
const BURN: &str = r#"
nok_on = ["resistance_peak:flag"]
[resistance_peak]
measure = "height"
flag_mohm = 0.065
warn_mohm = 0.040
min_width_ms = 30.0
after_ms = 0.0
begin_after_ms = 40.0
"#;

/// A hill of R: where it begins in the main pulse, how long it rises, lasts and falls, ms; mΩ.
#[derive(Debug, Clone, Copy)]
struct Hill {
    begin: f64,
    rise: f64,
    lasts: f64,
    fall: f64,
    height: f64,
}

impl Hill {
    fn at(&self, t: f64) -> f64 {
        let smooth = |x: f64| {
            let x = x.clamp(0.0, 1.0);
            x * x * (3.0 - 2.0 * x)
        };
        let top = self.begin + self.rise + self.lasts;
        self.height * (smooth((t - self.begin) / self.rise) - smooth((t - top) / self.fall))
    }

    /// Hits by the rule for burn marks, of a steel weld of 400 ms whose R falls from 0.29 to 0.27 mΩ.
    fn hits(&self, interval_ms: f64, noise_v: f64) -> Vec<(Level, f64, f64)> {
        let mut noise = Noise(0x2545_F491_4F6C_DD1D);
        let samples = (430.0 / interval_ms).round() as usize;
        let (mut u, mut i) = (Vec::with_capacity(samples), Vec::with_capacity(samples));
        for k in 0..samples {
            let since = (k as f64 + 0.5) * interval_ms - 10.0;
            let kiloamperes = match since {
                t if t < 0.0 => 0.0,
                t if t < 400.0 => 9.0 * (1.0 - (-t / 3.0).exp()),
                t => 9.0 * (-(t - 400.0) / 1.2).exp(),
            };
            let milliohms = 0.27 + 0.02 * (-since.max(0.0) / 80.0).exp() + self.at(since);
            u.push((milliohms * kiloamperes + noise_v * noise.normal()) as f32);
            i.push(kiloamperes as f32);
        }
        let found = judged(&u, &i, interval_ms, BURN).unwrap();
        found
            .hits
            .iter()
            .filter(|hit| hit.rule == Rule::ResistancePeak)
            .map(|hit| (hit.level, hit.t_ms, hit.value))
            .collect()
    }
}

proptest! {
    /// Heights are clear of the limits, lengths of the least width, and begins of 40 ms; noise is a sensor's.
    #[test]
    fn a_hill_is_the_same_at_every_rate(
        early: bool, begin in 60.0_f64..200.0, rise in 10.0_f64..30.0, lasts in 25.0_f64..60.0, fall in 15.0_f64..60.0,
        height in prop_oneof![0.010_f64..0.035, 0.044..0.061, 0.070..0.12], noise_v in 0.0_f64..0.006,
    ) {
        let begin = if early { begin / 12.0 } else { begin };
        let hill = Hill { begin, rise, lasts, fall, height };
        let slow = hill.hits(1.0, noise_v);
        let wanted = usize::from(!early && height > 0.04);
        prop_assert_eq!(slow.len(), wanted, "{:?}: {:?}", hill, slow);
        for interval_ms in [0.2, 0.1] {
            let fast = hill.hits(interval_ms, noise_v);
            prop_assert_eq!(fast.len(), wanted, "{} ms, {:?}: {:?}", interval_ms, hill, fast);
            for (slow, fast) in slow.iter().zip(&fast) {
                prop_assert_eq!(slow.0, fast.0);
                prop_assert!((slow.2 - fast.2).abs() < 0.004, "{} ms, {:?}: {:?} {:?}", interval_ms, hill, slow, fast);
                // Anywhere on the flat top.
                prop_assert!((slow.1 - fast.1).abs() <= lasts + 10.0, "{} ms: {:?} {:?}", interval_ms, slow, fast);
            }
        }
    }
}
