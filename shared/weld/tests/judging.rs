//! Judging as callers see it: switches, part models, failing models, explanations.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::convert::Infallible;

use common::judged;
use weldfleet_weld::{
    DecidedBy, Outcome, Status, Verdict, Weld,
    features::{InferenceConfig, InputKind},
    judge::{Batch, Judge, ModelId, ModelSet, Prepared, Workspace},
    rules::{Level, Rule, RuleSet, RulesFile, hits_json},
    units::CurveUnits,
    validation::ValidationLimits,
};

fn config(version: &str, target_len: usize) -> InferenceConfig {
    InferenceConfig::from_json(
        &serde_json::json!({
            "model_version": version, "target_len": target_len, "fit": "pad",
            "channels": ["U", "I", "R", "P"], "scale": [1, 1, 1, 1], "nok_threshold": 0.5,
        })
        .to_string(),
    )
    .unwrap()
}

fn judge(model_on: bool, rules_on: bool) -> Judge {
    let parts = [
        ("A".to_owned(), config("of A", 100)),
        ("B".to_owned(), config("of B", 200)),
    ];
    let models = model_on.then(|| ModelSet::new(config("of all", 50), parts, None).unwrap());
    let rules = rules_on.then(|| RuleSet::new(&RulesFile::default(), 1.0));
    Judge::new(
        CurveUnits::default(),
        ValidationLimits::default(),
        models,
        rules,
        0.9999,
    )
    .unwrap()
}

/// A sound weld of 400 ms at 9 kA.
fn curves() -> (Vec<f32>, Vec<f32>) {
    let mut u: Vec<f32> = (0..400)
        .map(|t| 9.0 * (0.29 - 0.00005 * t as f32))
        .collect();
    let mut i = vec![9.0_f32; 400];
    u.extend([0.0; 20]);
    i.extend([0.0; 20]);
    (u, i)
}

fn weld<'a>(part_no: &'a str, (u, i): &'a (Vec<f32>, Vec<f32>)) -> Weld<'a> {
    Weld {
        part_no,
        umax: 2.61,
        imax: 9.0,
        u,
        i,
        scalars: &[],
    }
}

fn run<E>(
    judge: &Judge,
    welds: &[Weld<'_>],
    model: impl FnMut(ModelId, Batch<'_>) -> Result<(), E>,
) -> Result<Vec<Verdict>, E> {
    let (mut workspace, mut prepared) = (Workspace::default(), Prepared::default());
    let welds = welds.iter().copied();
    judged(judge, welds, 2, model, &mut workspace, &mut prepared)
}

fn says(nok_prob: f32) -> impl FnMut(ModelId, Batch<'_>) -> Result<(), Infallible> {
    move |_, batch| {
        batch.nok_prob.fill(nok_prob);
        batch.regression.fill(1.25);
        Ok(())
    }
}

#[test]
fn a_raw_model_gets_each_batchs_own_curves() {
    let sound = curves();
    let shorter: (Vec<f32>, Vec<f32>) = (sound.0[30..].to_vec(), sound.1[30..].to_vec());
    let config = InferenceConfig {
        input_kind: InputKind::Raw,
        ..config("raw", 50)
    };
    let judge = Judge::new(
        CurveUnits::default(),
        ValidationLimits::default(),
        Some(ModelSet::new(config, [], None).unwrap()),
        None,
        0.9999,
    )
    .unwrap();
    let short = (sound.0[..10].to_vec(), sound.1[..10].to_vec());
    let welds = [&sound, &short, &shorter, &shorter].map(|curves| weld("", curves));
    let mut batches = Vec::new();
    let verdicts = run(
        &judge,
        &welds,
        |_: ModelId, batch: Batch<'_>| -> Result<(), Infallible> {
            for &[start, points] in batch.spans {
                let start = usize::try_from(start).unwrap();
                let points = usize::try_from(points).unwrap();
                let curves = if points == 420 { &sound } else { &shorter };
                let (u, i) = batch.curves[start..start + 2 * points].split_at(points);
                assert_eq!((u, i), (curves.0.as_slice(), curves.1.as_slice()));
            }
            batches.push((batch.spans.to_vec(), batch.curves.len()));
            batch.nok_prob.fill(0.1);
            batch.regression.fill(1.0);
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(
        batches,
        [
            (vec![[0, 420], [840, 390]], 840 + 780),
            (vec![[0, 390]], 780)
        ],
        "two rows a batch, the invalid weld in none"
    );
    let statuses: Vec<Status> = verdicts.iter().map(|verdict| verdict.alg_status).collect();
    assert_eq!(
        statuses,
        [Status::Ok, Status::Invalid, Status::Ok, Status::Ok]
    );
}

#[test]
fn each_row_goes_to_its_parts_model_and_comes_back_in_order() {
    let curves = curves();
    let parts = ["B", "?", "A", "A", "", "B", "A", "A", "A"];
    let welds: Vec<Weld<'_>> = parts.iter().map(|part| weld(part, &curves)).collect();
    let mut batches = Vec::new();
    let mut asked = 0.0;
    let verdicts = run(
        &judge(true, true),
        &welds,
        |model: ModelId, batch: Batch<'_>| -> Result<(), Infallible> {
            batches.push((model.index(), batch.rows(), batch.curves.len()));
            for row in 0..batch.rows() {
                asked += 1.0;
                batch.nok_prob[row] = model.index() as f32 / 10.0;
                batch.regression[row * 4..row * 4 + 4].fill(asked);
            }
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(
        batches,
        [
            (0, 2, 400),
            (1, 2, 800),
            (1, 2, 800),
            (1, 1, 400),
            (2, 2, 1600)
        ],
        "at most two rows a batch, one model each"
    );
    let versions: Vec<_> = verdicts
        .iter()
        .map(|verdict| verdict.model_version.as_deref().unwrap())
        .collect();
    assert_eq!(
        versions,
        [
            "of B", "of all", "of A", "of A", "of all", "of B", "of A", "of A", "of A"
        ]
    );
    let order: Vec<_> = verdicts
        .iter()
        .map(|verdict| verdict.diameter.unwrap())
        .collect();
    assert_eq!(order, [8.0, 1.0, 3.0, 4.0, 2.0, 9.0, 5.0, 6.0, 7.0]);
}

#[test]
fn a_row_without_a_usable_output_is_an_error_and_its_neighbours_are_not() {
    let curves = curves();
    let welds = [weld("", &curves); 4];
    let mut row = 0;
    let verdicts = run(
        &judge(true, true),
        &welds,
        |_: ModelId, batch: Batch<'_>| -> Result<(), Infallible> {
            for k in 0..batch.rows() {
                let (nok_prob, regression) = match row {
                    0 => (f32::NAN, 1.0),
                    1 => (0.1, 1.0),
                    2 => (0.1, f32::INFINITY),
                    _ => (1.5, 1.0),
                };
                batch.nok_prob[k] = nok_prob;
                batch.regression[k * 4..k * 4 + 4].fill(regression);
                row += 1;
            }
            Ok(())
        },
    )
    .unwrap();
    let found: Vec<_> = verdicts
        .iter()
        .map(|verdict| {
            (
                verdict.alg_status,
                verdict.alg_error.as_deref(),
                verdict.final_result,
            )
        })
        .collect();
    assert!(
        verdicts
            .iter()
            .all(|verdict| verdict.model_version.is_some()),
        "whoever looks into an error must see whose it is"
    );
    assert_eq!(
        found,
        [
            (
                Status::Error,
                Some("model_output: nok_prob is NaN, not a probability"),
                None
            ),
            (Status::Ok, None, Some(Outcome::Ok)),
            (Status::Error, Some("model_output: diameter is inf"), None),
            (
                Status::Error,
                Some("model_output: nok_prob is 1.5, not a probability"),
                None
            ),
        ]
    );
}

#[test]
fn what_a_model_leaves_out_is_an_error_even_in_reused_buffers() {
    let curves = curves();
    let judge = judge(true, true);
    let (mut workspace, mut prepared) = (Workspace::default(), Prepared::default());
    let welds = || [weld("", &curves); 2];
    let Ok(verdicts) = judged(&judge, welds(), 8, says(0.1), &mut workspace, &mut prepared);
    assert!(
        verdicts
            .iter()
            .all(|verdict| verdict.alg_status == Status::Ok)
    );
    let half = |_: ModelId, batch: Batch<'_>| -> Result<(), Infallible> {
        batch.nok_prob[0] = 0.1;
        batch.regression[4..].fill(1.0);
        Ok(())
    };
    let Ok(verdicts) = judged(&judge, welds(), 8, half, &mut workspace, &mut prepared);
    let errors: Vec<_> = verdicts
        .iter()
        .map(|verdict| verdict.alg_error.as_deref())
        .collect();
    assert_eq!(
        errors,
        [
            Some("model_output: diameter is NaN"),
            Some("model_output: nok_prob is NaN, not a probability")
        ]
    );
}

#[test]
fn a_failing_model_fails_the_call_and_gives_no_verdicts() {
    let curves = curves();
    let failed = run(
        &judge(true, true),
        &[weld("", &curves)],
        |_: ModelId, _: Batch<'_>| Err("device lost"),
    );
    assert_eq!(failed.unwrap_err(), "device lost");
}

#[test]
fn switches_leave_out_what_is_off() {
    let curves = curves();
    let only_model = run(&judge(true, false), &[weld("", &curves)], says(0.7))
        .unwrap()
        .remove(0);
    assert_eq!(only_model.decided_by, Some(DecidedBy::Ml));
    assert_eq!(
        (only_model.final_result, only_model.rule_result),
        (Some(Outcome::Nok), None)
    );

    let mut model_asked = false;
    let only_rules = run(
        &judge(false, true),
        &[weld("", &curves)],
        |_: ModelId, _: Batch<'_>| -> Result<(), Infallible> {
            model_asked = true;
            Ok(())
        },
    )
    .unwrap()
    .remove(0);
    assert!(!model_asked);
    assert_eq!(only_rules.decided_by, Some(DecidedBy::Rule));
    assert_eq!(
        (only_rules.final_result, only_rules.ml_result),
        (Some(Outcome::Ok), None)
    );
    assert_eq!(
        (
            only_rules.ml_nok_prob,
            only_rules.diameter,
            only_rules.model_version
        ),
        (None, None, None)
    );

    let both = run(&judge(true, true), &[weld("", &curves)], says(0.7))
        .unwrap()
        .remove(0);
    assert_eq!(
        (both.final_result, both.decided_by),
        (Some(Outcome::Ok), Some(DecidedBy::SoftAnd))
    );
    let refused = Judge::new(
        CurveUnits::default(),
        ValidationLimits::default(),
        None,
        None,
        0.9999,
    );
    assert!(refused.is_err());
}

#[test]
fn a_rule_that_cannot_judge_makes_an_error_and_asks_no_model() {
    let mut curves = curves();
    curves.0[10..400].fill(0.0);
    let mut asked = 0;
    let verdict = run(
        &judge(true, true),
        &[weld("", &curves)],
        |_: ModelId, batch: Batch<'_>| -> Result<(), Infallible> {
            asked += batch.rows();
            Ok(())
        },
    )
    .unwrap()
    .remove(0);
    assert_eq!((verdict.alg_status, asked), (Status::Error, 0));
    let error = verdict.alg_error.unwrap();
    assert!(
        error.starts_with("rule_error: rule expulsion: no stretch of the main pulse is above"),
        "{error}"
    );
}

#[test]
fn a_stretch_without_resistance_is_left_out_and_the_weld_is_judged() {
    for nothing in [0.0, -0.02, 0.02] {
        let mut curves = curves();
        curves.0[200..260].fill(nothing);
        let verdict = run(&judge(true, true), &[weld("", &curves)], says(0.1))
            .unwrap()
            .remove(0);
        assert_eq!(verdict.final_result, Some(Outcome::Ok), "{nothing} V");
        assert_eq!(hits_json(&verdict.rule_hits), "[]", "{nothing} V");
    }
}

#[test]
fn a_raw_model_gets_the_weld_without_idle_time_and_an_explanation_says_so() {
    let sound = curves();
    let mut long = (vec![0.01_f32; 70], vec![0.02_f32; 70]);
    long.0.extend(&sound.0);
    long.1.extend(&sound.1);
    long.0.extend([-0.01; 500]);
    long.1.extend([0.03; 500]);
    let config = InferenceConfig {
        input_kind: InputKind::Raw,
        idle_before_ms: Some(3.0),
        idle_after_ms: Some(5.0),
        ..config("raw", 50)
    };
    let judge = Judge::new(
        CurveUnits::default(),
        ValidationLimits::default(),
        Some(ModelSet::new(config, [], None).unwrap()),
        None,
        0.9999,
    )
    .unwrap();
    let mut fed = Vec::new();
    run(
        &judge,
        &[weld("", &long)],
        |_: ModelId, batch: Batch<'_>| -> Result<(), Infallible> {
            assert_eq!(batch.spans, [[0, 408]]);
            fed = batch.curves.to_vec();
            batch.nok_prob.fill(0.1);
            batch.regression.fill(1.0);
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(fed[..408], long.0[67..475]);
    assert_eq!(fed[408..], long.1[67..475]);
    let explanation = judge
        .explain(&weld("", &long), &mut Workspace::default())
        .unwrap();
    let fed = explanation.fed.unwrap();
    assert_eq!((fed.start_ms, fed.end_ms), (67.0, 475.0));
}

#[test]
fn a_verdict_serialises_under_the_contracts_names() {
    let mut curves = curves();
    curves.1[200..204].fill(0.0);
    let verdict = run(&judge(true, true), &[weld("A", &curves)], says(0.75))
        .unwrap()
        .remove(0);
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "alg_status": "ok", "alg_error": null, "ml_nok_prob": 0.75, "ml_result": "NOK", "rule_result": "NOK",
            "rule_hits": [{"rule": "interruption", "level": "flag", "t_ms": 200.0, "value": 4.0, "limit": 3.0}],
            "final_result": "NOK", "decided_by": "soft_and", "defect": "ml,interruption", "diameter": 1.25, "indentation": 1.25,
            "front_thickness": 1.25, "stack_thickness": 1.25, "model_version": "of A"
        })
    );
    assert_eq!(
        hits_json(&verdict.rule_hits),
        r#"[{"rule":"interruption","level":"flag","t_ms":200.0,"value":4.0,"limit":3.0}]"#
    );
}

#[test]
fn an_explanation_shows_what_the_rules_saw() {
    let (u, i) = curves();
    let mut prepulse = (vec![0.0; 5], vec![0.0; 5]);
    prepulse
        .0
        .extend(vec![1.8; 70].into_iter().chain(vec![0.0; 15]));
    prepulse
        .1
        .extend(vec![6.0; 70].into_iter().chain(vec![0.0; 15]));
    let u: Vec<f32> = prepulse.0.into_iter().chain(u).collect();
    let mut i: Vec<f32> = prepulse.1.into_iter().chain(i).collect();
    i[290..296].fill(0.0);
    let curves = (u, i);
    let judge = judge(false, true);
    let explanation = judge
        .explain(&weld("", &curves), &mut Workspace::default())
        .unwrap();
    let spans: Vec<_> = explanation
        .pulses
        .iter()
        .map(|span| (span.start_ms, span.end_ms))
        .collect();
    assert_eq!(spans, [(5.0, 75.0), (90.0, 490.0)]);
    assert_eq!(explanation.main_pulse, Some(1));
    assert_eq!(
        (explanation.gaps[0].start_ms, explanation.gaps[0].end_ms),
        (290.0, 296.0)
    );
    assert_eq!(explanation.rule_result, Some(Outcome::Nok));
    assert_eq!(
        (explanation.hits[0].rule, explanation.hits[0].level),
        (Rule::Interruption, Level::Flag)
    );
    assert!(
        explanation.r[0].is_none() && explanation.r[100].is_some() && explanation.r[292].is_none()
    );
    assert!(explanation.smoothed.first().unwrap().t_ms >= 105.0);
    let cut = Weld {
        u: &curves.0[..50],
        ..weld("", &curves)
    };
    let refused = judge.explain(&cut, &mut Workspace::default());
    assert!(refused.unwrap_err().starts_with("unequal_curves: "));
    // A person sees what was recorded all the same.
    let recorded = judge.as_recorded(&cut).unwrap();
    assert_eq!(recorded.u, explanation.u[..50]);
    assert_eq!(recorded.i, explanation.i);
    assert_eq!(recorded.end_ms(), explanation.end_ms());
    assert!(recorded.hits.is_empty() && recorded.rule_result.is_none());
    let nothing = Weld {
        u: &[f32::NAN],
        i: &[],
        ..cut
    };
    assert_eq!(judge.as_recorded(&nothing), None);
}

#[test]
fn a_model_that_asks_for_scalars_gets_each_batchs_own() {
    let sound = curves();
    let short = (sound.0[..10].to_vec(), sound.1[..10].to_vec());
    let asks = |names: &[&str], missing| InferenceConfig {
        scalars: names.iter().map(|name| (*name).to_owned()).collect(),
        scalars_missing: missing,
        ..config("scalars", 50)
    };
    let part = asks(&["umax"], None);
    let global = asks(&["wear", "imax", "count"], Some(-1.0));
    let models = ModelSet::new(global, [("P".to_owned(), part)], None).unwrap();
    let names =
        |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let refused = models.clone().with_scalars(&names(&["wear", "force"]));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "model `scalars` asks for `count` in `scalars` of its inference_config.json; add a line for each to [columns.scalars], with the \
         plant's column; there are: umax, imax, wear, force"
    );
    let judge = Judge::new(
        CurveUnits::default(),
        ValidationLimits::default(),
        Some(models.with_scalars(&names(&["count", "wear"])).unwrap()),
        None,
        0.9999,
    )
    .unwrap();
    let numbers = [
        [1.0, 0.5],
        [2.0, 0.6],
        [f32::NAN, 0.7],
        [4.0, f32::NAN],
        [5.0, 0.9],
    ];
    let welds = [
        ("", &sound),
        ("", &short),
        ("", &sound),
        ("P", &sound),
        ("", &sound),
    ];
    let welds: Vec<Weld<'_>> = welds
        .iter()
        .zip(&numbers)
        .map(|((part, curves), numbers)| Weld {
            scalars: numbers,
            ..weld(part, curves)
        })
        .collect();
    let mut fed = Vec::new();
    let (mut workspace, mut prepared) = (Workspace::default(), Prepared::default());
    // Twice: nothing of the first is left in the second.
    for _ in 0..2 {
        fed.clear();
        judge.prepare(welds.iter().copied(), &mut workspace, &mut prepared);
        fed.extend(prepared.batches(2).map(|(_, batch)| batch.scalars.to_vec()));
    }
    assert_eq!(
        fed,
        [
            vec![0.5, 9.0, 1.0, 0.7, 9.0, -1.0],
            vec![0.9, 9.0, 5.0],
            vec![2.61]
        ]
    );
}

#[test]
fn a_weld_without_a_number_that_its_model_cannot_do_without_is_invalid_by_its_name() {
    let sound = curves();
    let config = InferenceConfig {
        scalars: vec!["wear".to_owned(), "umax".to_owned(), "force".to_owned()],
        ..config("scalars", 50)
    };
    let models = ModelSet::new(config, [], None).unwrap();
    let names = ["force".to_owned(), "wear".to_owned()];
    let judge = Judge::new(
        CurveUnits::default(),
        ValidationLimits::default(),
        Some(models.with_scalars(&names).unwrap()),
        None,
        0.9999,
    )
    .unwrap();
    // Whether a missing number hurts is the model's to say: this one needs no force where the wear is small.
    let numbers = [
        [3.0, 0.5],
        [3.0, f32::NAN],
        [f32::NAN, 0.9],
        [f32::NAN, 0.1],
    ];
    let welds = numbers.iter().map(|numbers| Weld {
        scalars: numbers,
        ..weld("", &sound)
    });
    let infer = |_: ModelId, batch: Batch<'_>| -> Result<(), ()> {
        for (row, numbers) in batch.scalars.chunks(3).enumerate() {
            let (wear, force) = (numbers[0], numbers[2]);
            let known = if wear < 0.2 { wear } else { wear * force };
            batch.nok_prob[row] = 0.1;
            batch.regression[row * 4..row * 4 + 4].fill(known);
        }
        Ok(())
    };
    let (mut workspace, mut prepared) = (Workspace::default(), Prepared::default());
    let verdicts = judged(&judge, welds, 8, infer, &mut workspace, &mut prepared).unwrap();
    let told: Vec<_> = verdicts
        .iter()
        .map(|verdict| (verdict.alg_status, verdict.alg_error.as_deref()))
        .collect();
    let needs =
        |name| format!("missing: {name}, which the model needs (model_output: diameter is NaN)");
    let (wear, force) = (needs("wear"), needs("force"));
    assert_eq!(
        told,
        [
            (Status::Ok, None),
            (Status::Invalid, Some(wear.as_str())),
            (Status::Invalid, Some(force.as_str())),
            (Status::Ok, None),
        ]
    );
}
