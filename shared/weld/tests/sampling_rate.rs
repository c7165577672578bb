//! What the rules say of a weld depends neither on the recorder's rate, as far as it is fast, nor on its voltage
//! sensor's offset.

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
                "no stretch of the main pulse is above 0.05 V and 1 kA for long enough where the rule looks, so \
                 nothing can be told"
            );
            for rule in [Rule::ResistancePeak, Rule::ResistanceEndHigh] {
                let nok_on = format!("\"{rule}\"");
                let error = findings(interval_ms, offset, Fault::Dead, &nok_on).unwrap_err();
                assert_eq!(error.rule, rule);
            }
            for nok_on in ["\"expulsion\", \"interruption\"", "\"short_pulse\""] {
                let found = findings(interval_ms, offset, Fault::Dead, nok_on).unwrap();
                assert!(found.hits.iter().all(|hit| hit.rule != Rule::Expulsion));
            }
        }
    }
}

/// A weld of one pulse at 0.25 mΩ.
fn one_pulse(kiloamperes: f32, ms: usize) -> (Vec<f32>, Vec<f32>) {
    let current = |t: usize| {
        if (10..10 + ms).contains(&t) {
            kiloamperes
        } else {
            0.0
        }
    };
    let i: Vec<f32> = (0..ms + 60).map(current).collect();
    (i.iter().map(|i| i * 0.25).collect(), i)
}

#[test]
fn a_rule_that_sees_no_resistance_calls_no_weld_ok() {
    let told = |kiloamperes: f32, ms: usize, rules: &str| {
        let (u, i) = one_pulse(kiloamperes, ms);
        judged(&u, &i, 1.0, rules).map_err(|error| (error.rule, error.problem))
    };
    for rule in [
        Rule::ResistancePeak,
        Rule::LowEnergy,
        Rule::ResistanceEndHigh,
    ] {
        let only = format!("nok_on = [\"{rule}\"]\n");
        let problem =
            "imax is below pulses.current_floor_ka (1 kA), so R cannot be told".to_owned();
        assert_eq!(told(0.9, 300, &only), Err((rule, problem)), "{rule}");
        let lower = format!("{only}[pulses]\ncurrent_floor_ka = 0.5\n");
        assert!(told(0.9, 300, &lower).is_ok(), "{rule}");
        let off = format!("{only}[{rule}]\nenabled = false\n");
        assert!(told(0.9, 300, &off).is_ok(), "{rule} objects to nothing");
    }
    let no_level = "nok_on = [\"low_energy:flag\"]\n[low_energy]\nflag_below_j = 0.0\n";
    assert!(told(0.9, 300, no_level).is_ok());
    // What the shipped rules look at is told by U alone.
    assert!(told(0.9, 300, "").is_ok());
    // Nothing can be where a pulse ends before the rule looks, and that is told of any weld.
    for kiloamperes in [0.9, 9.0] {
        assert!(told(kiloamperes, 25, "nok_on = [\"resistance_peak\"]").is_ok());
        assert!(told(kiloamperes, 12, "nok_on = [\"resistance_end_high\"]").is_ok());
    }
}

#[test]
fn one_expulsion_is_one_hit_at_every_rate() {
    for interval_ms in [0.1, 1.0, 2.0, 5.0, 10.0, 20.0] {
        for onset in [250.0, 257.0, 404.0] {
            let samples = (1_100.0 / interval_ms) as usize;
            let (mut u, mut i) = (Vec::new(), Vec::new());
            for k in 0..samples {
                let t = k as f64 * interval_ms;
                let kiloamperes = if (40.0..740.0).contains(&t) { 9.0 } else { 0.0 };
                let fallen = 1.0 - 0.18 * ((t - onset) / 8.0).clamp(0.0, 1.0);
                u.push((0.28 * fallen * kiloamperes) as f32);
                i.push(kiloamperes as f32);
            }
            let found = judged(&u, &i, interval_ms, "").unwrap();
            let hits: Vec<_> = found.hits.iter().map(|hit| (hit.rule, hit.t_ms)).collect();
            let one = matches!(hits.as_slice(), [(Rule::Expulsion, t)] if (t - onset).abs() <= 10.0 + 2.0 * interval_ms);
            assert!(one, "{interval_ms} ms, {onset} ms: {hits:?}");
        }
    }
}

/// Pulses of 9 kA at 0.28 mΩ, 30 ms apart: (kA, ms, whether R drops in its middle, whether the sensor is dead).
fn of_pulses(pulses: &[(f32, usize, bool, bool)]) -> (Vec<f32>, Vec<f32>) {
    let (mut u, mut i) = (vec![0.0; 5], vec![0.0; 5]);
    for (kiloamperes, ms, drops, dead) in pulses {
        for t in 0..*ms {
            let milliohms = if *drops && t > ms / 2 { 0.23 } else { 0.28 };
            u.push(if *dead && t > 5 {
                0.0
            } else {
                milliohms * kiloamperes
            });
            i.push(*kiloamperes);
        }
        u.extend([0.0; 30]);
        i.extend([0.0; 30]);
    }
    (u, i)
}

#[test]
fn expulsions_are_looked_for_in_every_pulse_with_half_of_the_main_ones_heat() {
    let rules =
        "[pulses]\nmax_pulses = 3\nprepulse_ms = [40, 300]\n[short_pulse]\nenabled = false\n";
    let told = |pulses: &[(f32, usize, bool, bool)]| {
        let (u, i) = of_pulses(pulses);
        judged(&u, &i, 1.0, rules).map(|found| {
            let hits = found.hits.iter().filter(|hit| hit.rule == Rule::Expulsion);
            hits.map(|hit| hit.t_ms as u32).collect::<Vec<_>>()
        })
    };
    let (sound, drops) = ((9.0, 100, false, false), (9.0, 100, true, false));
    assert_eq!(told(&[sound, sound, sound]), Ok(vec![]));
    let found = told(&[drops, sound, drops]).unwrap();
    assert!(
        matches!(found[..], [first, third] if first < 105 && third > 265),
        "{found:?}"
    );
    // A prepulse is shorter, a temper of less current may be longer.
    assert_eq!(told(&[drops, (9.0, 250, false, false)]), Ok(vec![]));
    let found = told(&[(9.0, 260, true, false), (5.0, 400, false, false)]).unwrap();
    assert!(matches!(found[..], [main] if main < 265), "{found:?}");
    // Blind where one of them cannot be told; one that is too short for a look tells nothing.
    let dead = (9.0, 100, false, true);
    assert_eq!(told(&[dead, drops, sound]).unwrap().len(), 1);
    assert_eq!(told(&[dead, sound]).unwrap_err().rule, Rule::Expulsion);
    assert_eq!(told(&[dead, dead]).unwrap_err().rule, Rule::Expulsion);
    let short = (9.0, 45, false, false);
    assert_eq!(
        told(&[(9.0, 90, false, true), short]).unwrap_err().rule,
        Rule::Expulsion
    );
}

#[test]
fn a_peak_can_be_told_only_where_one_could_be_a_hit() {
    // The sensor dies 60 ms into a pulse of 300 ms; the rule looks from 120 ms on, the one for burn marks from 40 ms on.
    let (mut u, i) = one_pulse(9.0, 300);
    u[70..].fill(0.0);
    let error = judged(&u, &i, 1.0, "nok_on = [\"resistance_peak\"]").unwrap_err();
    assert_eq!(error.rule, Rule::ResistancePeak);
    assert!(judged(&u, &i, 1.0, BURN).is_ok());
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
