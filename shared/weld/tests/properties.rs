//! What must hold for any weld whatever.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::convert::Infallible;

use common::judged;
use proptest::prelude::*;
use weldfleet_weld::{
    Outcome, Status, Verdict, Weld,
    curves::Curves,
    features::InferenceConfig,
    judge::{Batch, Judge, ModelId, ModelSet, Prepared, Workspace},
    rules::{Findings, Rule, RuleScratch, RuleSet, RulesFile},
    units::CurveUnits,
    validation::ValidationLimits,
};

fn config(version: &str, target_len: usize) -> InferenceConfig {
    InferenceConfig::from_json(
        &serde_json::json!({
            "model_version": version, "target_len": target_len, "fit": "resample",
            "channels": ["U", "I", "R", "P"], "scale": [1, 1, 1, 1], "nok_threshold": 0.5,
        })
        .to_string(),
    )
    .unwrap()
}

/// A model that is fed the weld and a little idle time around it.
fn cutting(input_kind: &str, fit: &str, idle: [f64; 2]) -> Judge {
    let config = InferenceConfig::from_json(
        &serde_json::json!({
            "model_version": "cutting", "input_kind": input_kind, "target_len": 96, "fit": fit,
            "channels": ["U", "I", "R", "P"], "scale": [1, 1, 1, 1], "nok_threshold": 0.5,
            "idle_before_ms": idle[0], "idle_after_ms": idle[1],
        })
        .to_string(),
    )
    .unwrap();
    let models = ModelSet::new(config, [], None).unwrap();
    let rules = RuleSet::new(&RulesFile::default(), 1.0);
    let (units, limits) = (CurveUnits::default(), ValidationLimits::default());
    Judge::new(units, limits, Some(models), Some(rules), 0.9999).unwrap()
}

/// What the model is fed: spans and values, bit by bit.
fn fed(judge: &Judge, (u, i): &(Vec<f32>, Vec<f32>)) -> (Vec<[i64; 2]>, Vec<u32>) {
    let weld = Weld {
        part_no: "",
        umax: 2.7,
        imax: 9.0,
        u,
        i,
        scalars: &[],
    };
    let (mut workspace, mut prepared) = (Workspace::default(), Prepared::default());
    judge.prepare([weld], &mut workspace, &mut prepared);
    let mut seen = (Vec::new(), Vec::new());
    for (_, batch) in prepared.batches(1) {
        seen.0.extend_from_slice(batch.spans);
        seen.1
            .extend(batch.curves.iter().map(|value| value.to_bits()));
    }
    seen
}

fn judge(limits: ValidationLimits) -> Judge {
    let models = ModelSet::new(
        config("global", 64),
        [("own".to_owned(), config("own", 32))],
        None,
    )
    .unwrap();
    let rules = RuleSet::new(&RulesFile::default(), 1.0);
    Judge::new(
        CurveUnits::default(),
        limits,
        Some(models),
        Some(rules),
        0.9999,
    )
    .unwrap()
}

fn calm(_: ModelId, batch: Batch<'_>) -> Result<(), Infallible> {
    batch.nok_prob.fill(0.25);
    batch.regression.fill(1.5);
    Ok(())
}

fn verdicts(judge: &Judge, welds: &[Weld<'_>]) -> Vec<Verdict> {
    let (mut workspace, mut prepared) = (Workspace::default(), Prepared::default());
    let welds = welds.iter().copied();
    let Ok(verdicts) = judged(judge, welds, 3, calm, &mut workspace, &mut prepared);
    verdicts
}

fn findings(u: &[f32], i: &[f32]) -> Findings {
    let top = |x: &[f32]| x.iter().copied().fold(f32::MIN, f32::max);
    let weld = Weld {
        part_no: "",
        umax: top(u),
        imax: top(i),
        u,
        i,
        scalars: &[],
    };
    let mut curves = Curves::default();
    curves
        .load(&weld, &CurveUnits::default(), &ValidationLimits::default())
        .unwrap();
    let rules = RuleSet::new(&RulesFile::default(), 1.0);
    rules
        .judge("", &curves, &mut RuleScratch::default())
        .unwrap()
}

/// A weld of one pulse: `lead` ms of nothing, R falling from 0.30 to 0.27 mΩ at 9 kA, steps of R laid over it.
fn pulse(lead: usize, length: usize, steps: &[(usize, f32)]) -> (Vec<f32>, Vec<f32>) {
    let (mut u, mut i) = (vec![0.0; lead], vec![0.0; lead]);
    for t in 0..length {
        let mut r = 0.30 - 0.03 * t as f32 / length as f32;
        for (at, depth) in steps {
            r *= 1.0 - depth * ((t as f32 - *at as f32) / 5.0).clamp(0.0, 1.0);
        }
        i.push(9.0);
        u.push(9.0 * r);
    }
    u.extend([0.0; 10]);
    i.extend([0.0; 10]);
    (u, i)
}

#[derive(Debug, Clone)]
struct Row {
    own: bool,
    umax: f32,
    imax: f32,
    u: Vec<f32>,
    i: Vec<f32>,
}

fn arbitrary_row() -> impl Strategy<Value = Row> {
    let samples = prop::collection::vec((any::<f32>(), any::<f32>()), 0..90);
    (any::<bool>(), any::<f32>(), any::<f32>(), samples).prop_map(|(own, umax, imax, samples)| {
        let (u, i) = samples.into_iter().unzip();
        Row {
            own,
            umax,
            imax,
            u,
            i,
        }
    })
}

/// Valid unless `poke` makes it otherwise.
fn plausible_row() -> impl Strategy<Value = Row> {
    let samples = prop::collection::vec((-0.5_f32..3.0, -1.0_f32..9.0), 60..300);
    let poke = prop::option::of((any::<prop::sample::Index>(), any::<f32>(), any::<bool>()));
    (any::<bool>(), samples, poke).prop_map(|(own, samples, poke)| {
        let (mut u, mut i): (Vec<f32>, Vec<f32>) = samples.into_iter().unzip();
        (u[7], i[7]) = (3.0, 9.0);
        if let Some((at, value, in_u)) = poke {
            let curve = if in_u { &mut u } else { &mut i };
            let at = at.index(curve.len());
            curve[at] = value;
        }
        Row {
            own,
            umax: 3.0,
            imax: 9.0,
            u,
            i,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any bit patterns at all, and plausible curves with one sample of any: no panic, every row a verdict in order,
    /// and an OK or NOK only where every number is finite.
    #[test]
    fn any_input_gets_one_verdict(
        rows in prop::collection::vec(prop_oneof![arbitrary_row(), plausible_row()], 0..12),
        wide in any::<bool>(),
    ) {
        let welds: Vec<Weld<'_>> = rows
            .iter()
            .map(|row| Weld {
                part_no: if row.own { "own" } else { "other" },
                umax: row.umax,
                imax: row.imax,
                u: &row.u,
                i: &row.i,
                scalars: &[],
            })
            .collect();
        let limits = if wide {
            ValidationLimits { min_points: 2, u_max_range: [0.0, 1e6], i_max_range: [0.0, 1e6], max_mismatch: 1.0, max_length_gap: 0 }
        } else {
            ValidationLimits::default()
        };
        let found = verdicts(&judge(limits), &welds);
        prop_assert_eq!(found.len(), welds.len());
        for (weld, verdict) in welds.iter().zip(&found) {
            prop_assert_eq!(verdict.alg_status == Status::Ok, verdict.final_result.is_some());
            prop_assert_eq!(verdict.alg_status == Status::Ok, verdict.alg_error.is_none());
            let finite = weld.u.iter().chain(weld.i).all(|value| value.is_finite())
                && weld.umax.is_finite()
                && weld.imax.is_finite();
            prop_assert!(finite || verdict.alg_status == Status::Invalid);
            if verdict.alg_status == Status::Ok {
                prop_assert!(verdict.rule_hits.iter().all(|hit| hit.value.is_finite() && hit.t_ms.is_finite()));
                let version = if weld.part_no == "own" { "own" } else { "global" };
                prop_assert_eq!(verdict.model_version.as_deref(), Some(version));
            }
        }
    }

    /// Plausible curves with arbitrary holes, spikes and steps: features are finite, rules do not panic.
    #[test]
    fn validated_curves_have_finite_features(
        samples in prop::collection::vec((-0.5_f32..3.0, -1.0_f32..9.0), 60..400),
    ) {
        let (mut u, mut i): (Vec<f32>, Vec<f32>) = samples.into_iter().unzip();
        u[7] = 3.0;
        i[7] = 9.0;
        let weld = Weld { part_no: "", umax: 3.0, imax: 9.0, u: &u, i: &i, scalars: &[] };
        let judge = judge(ValidationLimits::default());
        let (mut workspace, mut prepared) = (Workspace::default(), Prepared::default());
        judge.prepare([weld], &mut workspace, &mut prepared);
        for (_, batch) in prepared.batches(1) {
            prop_assert!(batch.curves.iter().all(|value| value.is_finite()));
            prop_assert!(batch.nok_prob.iter().all(|value| value.is_nan()));
        }
    }

    /// A weld that begins later is the same weld: the same hits, later.
    #[test]
    fn rules_do_not_care_when_the_weld_begins(
        lead in 0_usize..60,
        shift in 1_usize..200,
        length in 120_usize..500,
        steps in prop::collection::vec((0.1_f64..0.9, 0.02_f32..0.25), 0..4),
        gap in prop::option::of((0.1_f64..0.9, 1_usize..20)),
    ) {
        let steps: Vec<(usize, f32)> =
            steps.into_iter().map(|(at, depth)| ((at * length as f64) as usize, depth)).collect();
        let weld = |lead: usize| {
            let (mut u, mut i) = pulse(lead, length, &steps);
            if let Some((at, samples)) = gap {
                let from = lead + (at * length as f64) as usize;
                u[from..(from + samples).min(lead + length)].fill(0.0);
                i[from..(from + samples).min(lead + length)].fill(0.0);
            }
            findings(&u, &i)
        };
        let (early, late) = (weld(lead), weld(lead + shift));
        prop_assert_eq!(early.outcome, late.outcome);
        prop_assert_eq!(early.hits.len(), late.hits.len());
        for (early, late) in early.hits.iter().zip(&late.hits) {
            prop_assert_eq!((early.rule, early.level, early.value), (late.rule, late.level, late.value));
            prop_assert_eq!(early.t_ms + shift as f64, late.t_ms);
        }
    }

    /// A recorder that begins earlier and runs on gives the model the same to the bit, once it holds the idle time that
    /// the model knows; sensors have noise, offsets and short spikes meanwhile.
    #[test]
    fn a_recorder_that_runs_longer_changes_nothing(
        length in 60_usize..500,
        pause in prop::option::of(1_usize..50),
        idle in [0_usize..30, 0_usize..60],
        before in prop::collection::vec((-0.03_f32..0.03, -0.4_f32..0.4), 0..300),
        after in prop::collection::vec((-0.03_f32..0.03, -0.4_f32..0.4), 0..1500),
        spikes in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4),
    ) {
        let (mut u, mut i) = pulse(idle[0], length, &[(length / 2, 0.1)]);
        u.truncate(idle[0] + length);
        i.truncate(idle[0] + length);
        if let Some(pause) = pause {
            i[idle[0] + length / 3..(idle[0] + length / 3 + pause).min(idle[0] + length - 3)].fill(0.1);
        }
        u.extend(vec![0.004; idle[1]]);
        i.extend(vec![0.02; idle[1]]);
        let short = (u, i);
        // A spike, or two samples of one, keep away from the weld and from one another.
        let spiked = |samples: &[(f32, f32)], from_end: bool| -> (Vec<f32>, Vec<f32>) {
            let mut samples = samples.to_vec();
            for (at, twice) in &spikes {
                let room = samples.len().saturating_sub(8) / 8;
                if room > 0 {
                    let place = 8 * at.index(room) + if from_end { 6 } else { 0 };
                    samples[place].1 = 5.0;
                    if *twice {
                        samples[place + 1].1 = 5.0;
                    }
                }
            }
            samples.into_iter().unzip()
        };
        let (mut long_u, mut long_i) = spiked(&before, false);
        let (after_u, after_i) = spiked(&after, true);
        long_u.extend(short.0.iter().copied().chain(after_u));
        long_i.extend(short.1.iter().copied().chain(after_i));
        let long = (long_u, long_i);
        for kind in ["features", "raw"] {
            for fit in ["resample", "pad"] {
                let judge = cutting(kind, fit, idle.map(|samples| samples as f64));
                let (of_short, of_long) = (fed(&judge, &short), fed(&judge, &long));
                prop_assert!(!of_short.1.is_empty());
                prop_assert!(of_short == of_long, "{} {}", kind, fit);
            }
        }
    }

    /// A clear expulsion is found, once, where it is, and makes the rules say NOK.
    #[test]
    fn a_deep_persistent_drop_is_one_expulsion(at in 60_usize..300, depth in 0.14_f32..0.3) {
        let (u, i) = pulse(10, 400, &[(at, depth)]);
        let found = findings(&u, &i);
        let hits: Vec<_> = found.hits.iter().filter(|hit| hit.rule == Rule::Expulsion).collect();
        prop_assert_eq!(hits.len(), 1);
        prop_assert!((hits[0].t_ms - (10 + at) as f64).abs() <= 8.0, "{:?}", hits);
        prop_assert_eq!(found.outcome, Outcome::Nok);
    }

    /// Units do not change a verdict where the numbers survive the conversion.
    #[test]
    fn volts_and_millivolts_are_judged_alike(length in 210_usize..500, depth in 0.12_f32..0.25) {
        let (u, i) = pulse(5, length, &[(length / 2, depth)]);
        let (mv, amperes): (Vec<f32>, Vec<f32>) = u.iter().zip(&i).map(|(u, i)| (u * 1000.0, i * 1000.0)).unzip();
        let units: CurveUnits =
            toml::from_str("u_unit = 'mV'\ni_unit = 'A'\numax_unit = 'mV'\nimax_unit = 'A'").unwrap();
        let top = |x: &[f32]| x.iter().copied().fold(f32::MIN, f32::max);
        let weld = Weld { part_no: "", umax: top(&mv), imax: top(&amperes), u: &mv, i: &amperes, scalars: &[] };
        let mut curves = Curves::default();
        curves.load(&weld, &units, &ValidationLimits::default()).unwrap();
        let rules = RuleSet::new(&RulesFile::default(), 1.0);
        let found = rules.judge("", &curves, &mut RuleScratch::default()).unwrap();
        let wanted = findings(&u, &i);
        prop_assert_eq!(found.outcome, wanted.outcome);
        prop_assert_eq!(found.hits.len(), wanted.hits.len());
    }
}
