//! Burn marks: what the rule finds by the thresholds of older systems, and what the simulator makes.

use std::collections::BTreeMap;

use weldfleet_simulator::{CurveLength, Defect, SimulatedBlock, SimulationOptions, Simulator};
use weldfleet_weld::Outcome;
use weldfleet_weld::curves::Curves;
use weldfleet_weld::rules::{Hit, Level, Rule, RuleScratch, RuleSet, RulesFile};
use weldfleet_weld::units::CurveUnits;
use weldfleet_weld::validation::ValidationLimits;

/// What `scheduler adopt` writes for the older service's rules.
const RULES: &str = include_str!("../../shared/adoption/src/burn_marks.toml");

const WELDS: u64 = 900;

fn simulate(sample_interval_ms: f64, seed: u64) -> SimulatedBlock {
    let options = SimulationOptions {
        nok_rate: 0.3,
        burn_rate: 0.2,
        sample_interval_ms,
        length: CurveLength::Program,
        ..SimulationOptions::new(20_260_303, WELDS, seed)
    };
    Simulator::new(options)
        .expect("valid options")
        .block(0..WELDS)
}

/// The hill of every weld, and whether the rules call it NOK for that.
fn hills(block: &SimulatedBlock, sample_interval_ms: f64) -> Vec<Option<(Hit, Outcome)>> {
    let units = CurveUnits {
        sample_interval_ms,
        ..CurveUnits::default()
    };
    let rules = RulesFile::from_toml(RULES).expect("rules");
    let rules = RuleSet::new(&rules, sample_interval_ms);
    let (mut curves, mut scratch) = (Curves::default(), RuleScratch::default());
    (0..block.rows())
        .map(|row| {
            let weld = block.weld(row);
            curves
                .load(&weld, &units, &ValidationLimits::default())
                .expect("a valid weld");
            let findings = rules
                .judge(weld.part_no, &curves, &mut scratch)
                .expect("a weld that rules can judge");
            let mut hits = findings
                .hits
                .into_iter()
                .filter(|hit| hit.rule == Rule::ResistancePeak);
            let hit = hits.next();
            assert_eq!(hits.next(), None, "row {row}: one hill is one hit");
            hit.map(|hit| (hit, findings.outcome))
        })
        .collect()
}

#[test]
fn every_burn_is_told_and_nothing_else_at_every_rate() {
    for seed in [3, 4] {
        let slow = hills(&simulate(1.0, seed), 1.0);
        for interval_ms in [1.0, 0.2, 0.1] {
            let block = simulate(interval_ms, seed);
            let (mut burns, mut flagged) = (0, 0);
            for (row, hill) in hills(&block, interval_ms).into_iter().enumerate() {
                let place = format!("row {row} at {interval_ms} ms: {hill:?}");
                let is_burn = block.defect[row] == Defect::Burn;
                assert_eq!(hill.is_some(), is_burn, "{place} {:?}", block.defect[row]);
                let (Some((hit, outcome)), Some((slow, _))) = (hill, slow[row]) else {
                    continue;
                };
                assert!((0.04..0.135).contains(&hit.value), "{place}");
                assert_eq!(outcome == Outcome::Nok, hit.level == Level::Flag, "{place}");
                assert!((hit.value - slow.value).abs() < 0.006, "{place} {slow:?}");
                assert!((hit.t_ms - slow.t_ms).abs() < 25.0, "{place} {slow:?}");
                burns += 1;
                flagged += u32::from(hit.level == Level::Flag);
            }
            // A hill is 0.05 to 0.12 mΩ high: four of five are above 0.065.
            let share = f64::from(flagged) / f64::from(burns);
            assert!(
                burns > 120 && (0.65..0.90).contains(&share),
                "{flagged} of {burns}"
            );
        }
    }
}

#[test]
fn default_rules_see_no_more_than_before() {
    let (with, without) = (simulate(1.0, 5), {
        let options = SimulationOptions {
            nok_rate: 0.3,
            length: CurveLength::Program,
            ..SimulationOptions::new(20_260_303, WELDS, 5)
        };
        let day = Simulator::new(options).expect("valid options");
        day.block(0..WELDS)
    });
    let mut others = 0;
    for row in 0..with.rows() {
        if with.defect[row] != Defect::Burn {
            assert_eq!(with.u_curve(row), without.u_curve(row), "row {row}");
            others += 1;
        }
    }
    assert!(others > 600, "{others}");
}

#[test]
fn a_spot_burns_several_times_in_a_row() {
    let options = SimulationOptions {
        burn_rate: 0.1,
        ..SimulationOptions::new(20_260_303, 6_720, 6)
    };
    let block = Simulator::new(options)
        .expect("valid options")
        .block(0..6_720);
    let mut spots: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
    for row in 0..block.rows() {
        let welds = spots.entry(block.spot_name[row]).or_default();
        welds.push(block.defect[row] == Defect::Burn);
    }
    let mut spells = 0;
    for (spot, welds) in &spots {
        for spell in welds.chunk_by(|one, next| one == next) {
            if spell[0] {
                assert_eq!(spell.len() % 3, 0, "{spot}: {welds:?}");
                spells += spell.len() / 3;
            }
        }
    }
    // 224 spots of ten spells each.
    assert!((160..290).contains(&spells), "{spells}");
}
