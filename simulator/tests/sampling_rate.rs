//! Simulated welds get the same verdict of the rules from a recorder of 1, 5, 10 and 50 kHz, whatever its voltage
//! sensor's offset. The same seed gives the same welds at every rate, with other noise.

use weldfleet_simulator::{Defect, SimulatedBlock, SimulationOptions, Simulator};
use weldfleet_weld::curves::Curves;
use weldfleet_weld::rules::{Findings, Level, Rule, RuleScratch, RuleSet, RulesFile};
use weldfleet_weld::units::CurveUnits;
use weldfleet_weld::validation::ValidationLimits;
use weldfleet_weld::{Outcome, Weld};

const ROWS: u64 = 40;

fn simulate(nok_rate: f64, sample_interval_ms: f64) -> SimulatedBlock {
    let mut options = SimulationOptions {
        nok_rate,
        sample_interval_ms,
        ..SimulationOptions::new(20_260_303, ROWS, 21)
    };
    let points = (600.0 / sample_interval_ms).round() as usize;
    options.length = weldfleet_simulator::CurveLength::Fixed(points);
    Simulator::new(options)
        .expect("valid options")
        .block(0..ROWS)
}

/// Of every weld that is sound or expelled, by row.
fn findings(block: &SimulatedBlock, sample_interval_ms: f64, offset: f32) -> Vec<Option<Findings>> {
    let rules = RuleSet::new(&RulesFile::default(), sample_interval_ms);
    let units = CurveUnits {
        sample_interval_ms,
        ..CurveUnits::default()
    };
    let (mut curves, mut scratch) = (Curves::default(), RuleScratch::default());
    (0..block.rows())
        .map(|row| {
            if !matches!(block.defect[row], Defect::None | Defect::Expulsion) {
                return None;
            }
            let u: Vec<f32> = block.u_curve(row).iter().map(|u| u + offset).collect();
            let weld = Weld {
                part_no: block.part_no[row],
                umax: block.umax[row] + offset,
                imax: block.imax[row],
                u: &u,
                i: block.i_curve(row),
                scalars: &[],
            };
            curves
                .load(&weld, &units, &ValidationLimits::default())
                .expect("a valid weld");
            Some(
                rules
                    .judge(weld.part_no, &curves, &mut scratch)
                    .expect("a weld that rules can judge"),
            )
        })
        .collect()
}

/// Hits that noise cannot turn into others: depths near a limit are left out.
fn clear(findings: &Findings) -> Vec<(Rule, Level, f64)> {
    let near = |value: f64| {
        [0.06, 0.10]
            .iter()
            .any(|limit| (value - limit).abs() < 0.02)
    };
    findings
        .hits
        .iter()
        .filter(|hit| hit.rule != Rule::Expulsion || !near(hit.value))
        .map(|hit| (hit.rule, hit.level, hit.t_ms))
        .collect()
}

#[test]
fn rate_and_offset_do_not_change_what_the_rules_say() {
    let (mut expelled, mut sound) = (0, 0);
    for nok_rate in [0.0, 1.0] {
        let slow = findings(&simulate(nok_rate, 1.0), 1.0, 0.0);
        for interval in [1.0, 0.2, 0.1, 0.02] {
            let block = simulate(nok_rate, interval);
            for offset in [-0.02, 0.0, 0.02] {
                let found = findings(&block, interval, offset);
                for (row, (found, slow)) in found.iter().zip(&slow).enumerate() {
                    let (Some(found), Some(slow)) = (found, slow) else {
                        continue;
                    };
                    let (here, there) = (clear(found), clear(slow));
                    let place = || {
                        format!(
                            "row {row} at {interval} ms, {offset} V:\n{:?}\n1 kHz:\n{:?}",
                            found.hits, slow.hits
                        )
                    };
                    // A depth that is near a limit at one rate may be clear of it at the other.
                    let all_clear =
                        found.hits.len() == here.len() && slow.hits.len() == there.len();
                    if all_clear {
                        assert_eq!(found.outcome, slow.outcome, "{}", place());
                        assert_eq!(here.len(), there.len(), "{}", place());
                        for (here, there) in here.iter().zip(&there) {
                            assert_eq!((here.0, here.1), (there.0, there.1), "{}", place());
                            assert!((here.2 - there.2).abs() <= 8.0, "{}", place());
                        }
                        expelled += u32::from(found.outcome == Outcome::Nok);
                        sound += u32::from(found.outcome == Outcome::Ok);
                    }
                }
            }
        }
    }
    assert!(
        expelled > 60 && sound > 300,
        "{expelled} expelled and {sound} sound welds prove little"
    );
}
