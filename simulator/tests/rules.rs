//! What the fleet's own rules, with their defaults, say about simulated welds.

use weldfleet_simulator::{CurveLength, Defect, SimulatedBlock, SimulationOptions, Simulator};
use weldfleet_weld::Outcome;
use weldfleet_weld::curves::Curves;
use weldfleet_weld::rules::{Findings, Level, Rule, RuleScratch, RuleSet, RulesFile};
use weldfleet_weld::units::CurveUnits;
use weldfleet_weld::validation::ValidationLimits;

fn simulate(nok_rate: f64, rows: u64, length: CurveLength) -> SimulatedBlock {
    let options = SimulationOptions {
        nok_rate,
        length,
        ..SimulationOptions::new(20_260_303, rows, 9)
    };
    Simulator::new(options)
        .expect("valid options")
        .block(0..rows)
}

fn judge(block: &SimulatedBlock) -> Vec<Findings> {
    let rules = RuleSet::new(&RulesFile::default(), 1.0);
    let (mut curves, mut scratch) = (Curves::default(), RuleScratch::default());
    (0..block.rows())
        .map(|row| {
            let weld = block.weld(row);
            curves
                .load(&weld, &CurveUnits::default(), &ValidationLimits::default())
                .expect("a valid weld");
            rules
                .judge(weld.part_no, &curves, &mut scratch)
                .expect("a weld that rules can judge")
        })
        .collect()
}

#[test]
fn sound_welds_have_no_hit() {
    for length in [CurveLength::Fixed(600), CurveLength::Program] {
        let block = simulate(0.0, 3_000, length);
        for (row, findings) in judge(&block).iter().enumerate() {
            assert!(
                findings.hits.is_empty(),
                "row {row} {}: {:?}",
                block.spot_name[row],
                findings.hits
            );
        }
    }
}

#[test]
fn most_expulsions_and_interruptions_are_nok_by_rule() {
    let block = simulate(1.0, 4_000, CurveLength::Fixed(600));
    let findings = judge(&block);
    let nok_share = |defect: Defect| {
        let outcomes: Vec<bool> = (0..block.rows())
            .filter(|row| block.defect[*row] == defect)
            .map(|row| findings[row].outcome == Outcome::Nok)
            .collect();
        outcomes.iter().filter(|nok| **nok).count() as f64 / outcomes.len() as f64
    };
    let shares = Defect::ALL[1..]
        .iter()
        .filter(|defect| **defect != Defect::Burn)
        .map(|defect| (*defect, nok_share(*defect)))
        .collect::<Vec<_>>();
    for (defect, share) in &shares {
        let expected = match defect {
            // One in five of the single expulsions is less deep than the flag's 10 %.
            Defect::Expulsion => 0.78..=0.97,
            Defect::Interruption => 0.70..=1.0,
            // No default rule looks for the others: they are the model's to find.
            _ => 0.0..=0.02,
        };
        assert!(expected.contains(share), "{shares:?}");
    }
}

#[test]
fn an_expulsion_is_hit_as_often_as_it_happened() {
    let block = simulate(1.0, 2_000, CurveLength::Program);
    let findings = judge(&block);
    let mut counts = [0_u32; 5];
    for row in (0..block.rows()).filter(|row| block.defect[*row] == Defect::Expulsion) {
        let flags = findings[row]
            .hits
            .iter()
            .filter(|hit| hit.rule == Rule::Expulsion && hit.level == Level::Flag);
        counts[flags.count().min(4)] += 1;
    }
    assert_eq!(counts[4], 0, "at most three: {counts:?}");
    assert!(
        counts[1] > counts[2] && counts[2] > counts[3] && counts[3] > 0,
        "{counts:?}"
    );
}
