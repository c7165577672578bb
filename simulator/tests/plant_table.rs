//! The plant's table: the same welds as our own, in counts, among rows that are none.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use weldfleet_simulator::plant_table::{
    DRY_SHOT_SPOT, MAX_POINTS, MISSING, TIP_DRESS_PROGRAMS, WELD_PROGRAM,
};
use weldfleet_simulator::{
    CurveLength, Delivery, PlantTableOptions, PlantTableRows, RowKind, SimulatedBlock,
    SimulationOptions, Simulator,
};
use weldfleet_weld::curves::Curves;
use weldfleet_weld::rules::{Rule, RuleScratch, RuleSet, RulesFile};
use weldfleet_weld::units::{CurveCurrentUnit, CurveUnits, CurveVoltageUnit};
use weldfleet_weld::validation::ValidationLimits;

const DAY: u32 = 20_260_303;
const OPTIONS: PlantTableOptions = PlantTableOptions {
    seed: 9,
    resent_share: 0.02,
    late_share: 0.03,
};

fn block(rows: u64, length: CurveLength) -> SimulatedBlock {
    let options = SimulationOptions {
        length,
        id_prefix: "W".to_owned(),
        ..SimulationOptions::new(DAY, rows, OPTIONS.seed)
    };
    Simulator::new(options)
        .expect("valid options")
        .block(0..rows)
}

fn curve<'a>(counts: &'a [u16], ends: &[u64], row: usize) -> &'a [u16] {
    let start = row.checked_sub(1).map_or(0, |before| ends[before] as usize);
    &counts[start..ends[row] as usize]
}

fn percents() -> CurveUnits {
    CurveUnits {
        u_unit: CurveVoltageUnit::PercentOfUmax,
        i_unit: CurveCurrentUnit::PercentOfImax,
        ..CurveUnits::default()
    }
}

/// What the table shows in the end: of each weld the largest version.
fn final_rows(first: &PlantTableRows, later: &PlantTableRows) -> HashMap<u64, (bool, usize)> {
    let mut last = HashMap::new();
    for (is_later, rows) in [(false, first), (true, later)] {
        for row in 0..rows.rows() {
            let before = last.insert(rows.record_id[row], (is_later, row));
            let version = if before.is_some() { 2 } else { 1 };
            assert_eq!(rows.ver[row], version);
        }
    }
    last
}

#[test]
fn both_deliveries_together_are_the_welds_of_our_own_table_to_the_count() {
    let counted = block(20_000, CurveLength::Fixed(600)).into_counts();
    let first = PlantTableRows::new(&counted, &OPTIONS, Delivery::First);
    let later = PlantTableRows::new(&counted, &OPTIONS, Delivery::Later);
    let ours = counted.block();
    let last = final_rows(&first, &later);
    assert_eq!(last.len(), ours.rows());
    let (mut unequal, mut corrected) = (0, 0);
    for (row, number) in ours.record_id.iter().enumerate() {
        let (is_later, at) = last[number];
        let rows = if is_later { &later } else { &first };
        let u = curve(&rows.u_counts, &rows.u_ends, at);
        let i = curve(&rows.i_counts, &rows.i_ends, at);
        assert!(u.len().abs_diff(i.len()) <= 2);
        unequal += usize::from(u.len() != i.len());
        corrected += usize::from(rows.ver[at] == 2);
        assert_eq!(rows.id[at], format!("W{number}"));
        if rows.kind[at] == RowKind::TipDress {
            continue;
        }
        let shorter = u.len().min(i.len());
        assert_eq!(shorter, ours.u_curve(row).len());
        let same = |counts: &[u16], values: &[f32]| {
            counts
                .iter()
                .zip(values)
                .all(|(count, value)| f32::from(*count) == *value)
        };
        assert!(same(u, ours.u_curve(row)) && same(i, ours.i_curve(row)));
        match rows.kind[at] {
            RowKind::NoUmax => assert!(MISSING.contains(&rows.umax[at].as_str())),
            _ => assert_eq!(rows.umax[at].parse(), Ok(ours.umax[row])),
        }
        let tens: f32 = rows.imax[at].parse().expect("a number");
        assert_eq!(tens * 10.0 / 1000.0, ours.imax[row]);
    }
    assert!((4_700..5_300).contains(&unequal), "{unequal}");
    assert!((300..500).contains(&corrected), "{corrected}");
    assert!((900..1_300).contains(&later.rows()), "{}", later.rows());
}

#[test]
fn every_kind_of_row_occurs_and_says_what_it_is() {
    let counted = block(20_000, CurveLength::Fixed(600)).into_counts();
    let rows = PlantTableRows::new(&counted, &OPTIONS, Delivery::First);
    let mut kinds: HashMap<RowKind, usize> = HashMap::new();
    let mut missing = HashSet::new();
    for row in 0..rows.rows() {
        let kind = rows.kind[row];
        *kinds.entry(kind).or_default() += 1;
        let is_dress = TIP_DRESS_PROGRAMS.contains(&rows.prog_no[row]);
        assert_eq!(is_dress, kind == RowKind::TipDress);
        assert!(is_dress || rows.prog_no[row] == WELD_PROGRAM);
        assert_eq!(
            rows.spot_tag[row] == Some(DRY_SHOT_SPOT),
            kind == RowKind::DryShot
        );
        if kind == RowKind::NoUmax {
            missing.insert(rows.umax[row].clone());
        }
        assert!(rows.part_all[row].contains('/'));
        assert!(rows.area[row].starts_with('R') && rows.area[row].len() == 3);
    }
    let share = |kind| kinds[&kind] as f64 / rows.rows() as f64;
    assert!(
        (0.007..0.012).contains(&share(RowKind::TipDress)),
        "{kinds:?}"
    );
    assert!(
        (0.010..0.022).contains(&share(RowKind::DryShot)),
        "{kinds:?}"
    );
    assert!(
        (0.009..0.020).contains(&share(RowKind::NoUmax)),
        "{kinds:?}"
    );
    assert_eq!(missing.len(), MISSING.len());
    let spotless = rows.spot_tag.iter().filter(|spot| spot.is_none()).count();
    assert!((200..450).contains(&spotless), "{spotless}");
}

#[test]
fn wear_and_count_rise_from_tip_dress_to_tip_dress_of_a_gun() {
    let counted = block(20_000, CurveLength::Fixed(600)).into_counts();
    let options = PlantTableOptions {
        late_share: 0.0,
        ..OPTIONS
    };
    let rows = PlantTableRows::new(&counted, &options, Delivery::First);
    let mut last: HashMap<&str, (u64, u32)> = HashMap::new();
    let (mut dresses, mut most) = (0, 0);
    for row in 0..rows.rows() {
        let welds: u64 = rows.tipdresscounter[row].parse().expect("a number");
        let wear: Option<u32> = rows.wear[row].parse().ok();
        assert!(wear.is_some() || rows.wear[row] == MISSING[1]);
        let is_dress = rows.kind[row] == RowKind::TipDress;
        dresses += usize::from(rows.prog_no[row] == TIP_DRESS_PROGRAMS[0]);
        most = most.max(welds);
        let before = last.insert(rows.serial_no[row], (welds, wear.unwrap_or_default()));
        let Some((welds_before, wear_before)) = before else {
            continue;
        };
        assert_eq!(
            welds,
            if is_dress { 0 } else { welds_before + 1 },
            "row {row}"
        );
        match wear {
            Some(wear) if wear_before > 0 && rows.prog_no[row] == TIP_DRESS_PROGRAMS[0] => {
                assert!(wear + 60 < wear_before, "row {row}");
            }
            Some(wear) if wear_before > 0 => {
                assert!((wear_before..=wear_before + 2).contains(&wear), "row {row}");
            }
            _ => {}
        }
    }
    // 16 guns with a dress after 180 to 252 welds.
    assert!(
        (70..120).contains(&dresses) && most > 200,
        "{dresses}, {most}"
    );
}

#[test]
fn a_tip_dress_is_a_short_shot_of_little_resistance_which_the_rules_would_not_call_sound() {
    let counted = block(20_000, CurveLength::Fixed(600)).into_counts();
    let rows = PlantTableRows::new(&counted, &OPTIONS, Delivery::First);
    let rules = RuleSet::new(&RulesFile::default(), 1.0);
    let (mut curves, mut scratch) = (Curves::default(), RuleScratch::default());
    let mut dresses = 0;
    for row in (0..rows.rows()).filter(|row| rows.kind[*row] == RowKind::TipDress) {
        let percents_of = |counts, ends: &[u64]| -> Vec<f32> {
            curve(counts, ends, row)
                .iter()
                .map(|count| f32::from(*count))
                .collect()
        };
        let (u, i) = (
            percents_of(&rows.u_counts, &rows.u_ends),
            percents_of(&rows.i_counts, &rows.i_ends),
        );
        assert!((90..160).contains(&u.len()), "{}", u.len());
        let number = |text: &String| text.parse::<f32>().expect("a number");
        let weld = weldfleet_weld::Weld {
            part_no: rows.part_all[row],
            umax: number(&rows.umax[row]),
            imax: number(&rows.imax[row]) / 100.0,
            u: &u,
            i: &i,
            scalars: &[],
        };
        assert!(weld.umax / weld.imax < 0.09, "mΩ");
        let limits = ValidationLimits::default();
        curves
            .load(&weld, &percents(), &limits)
            .expect("a valid row");
        let found = rules.judge(weld.part_no, &curves, &mut scratch);
        let hits = found.expect("a row that rules can judge").hits;
        assert!(
            hits.iter().any(|hit| hit.rule == Rule::ShortPulse),
            "{hits:?}"
        );
        dresses += 1;
    }
    assert!(dresses > 140, "{dresses}");
}

#[test]
fn sound_welds_in_counts_are_valid_and_have_no_hit() {
    let counted = block(3_000, CurveLength::Program).into_counts();
    let block = counted.block();
    let rules = RuleSet::new(&RulesFile::default(), 1.0);
    let (mut curves, mut scratch) = (Curves::default(), RuleScratch::default());
    for row in 0..block.rows() {
        if block.defect[row] != weldfleet_simulator::Defect::None {
            continue;
        }
        let weld = block.weld(row);
        curves
            .load(&weld, &percents(), &ValidationLimits::default())
            .expect("a valid weld");
        let findings = rules
            .judge(weld.part_no, &curves, &mut scratch)
            .expect("a weld that rules can judge");
        assert!(findings.hits.is_empty(), "row {row}: {:?}", findings.hits);
    }
}

#[test]
fn no_curve_is_longer_than_the_table_has_room_for() {
    let counted = block(500, CurveLength::Fixed(MAX_POINTS)).into_counts();
    let rows = PlantTableRows::new(&counted, &OPTIONS, Delivery::First);
    for row in (0..rows.rows()).filter(|row| rows.kind[*row] != RowKind::TipDress) {
        assert_eq!(curve(&rows.u_counts, &rows.u_ends, row).len(), MAX_POINTS);
        assert_eq!(curve(&rows.i_counts, &rows.i_ends, row).len(), MAX_POINTS);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Cutting a day anywhere changes no row.
    #[test]
    fn chunks_join_to_the_whole(seed: u64, rows in 1_u64..150, chunk in 1_u64..60, resent_share in 0.0..0.5_f64) {
        let options = PlantTableOptions { seed, resent_share, late_share: 0.2 };
        let simulation = SimulationOptions { nok_rate: 0.3, ..SimulationOptions::new(DAY, rows, seed) };
        let day = Simulator::new(simulation).expect("valid options");
        for delivery in [Delivery::First, Delivery::Later] {
            let of = |block: SimulatedBlock| PlantTableRows::new(&block.into_counts(), &options, delivery);
            let whole = of(day.block(0..rows));
            let mut at = 0;
            for range in day.chunks(chunk) {
                let part = of(day.block(range));
                for row in 0..part.rows() {
                    prop_assert_eq!(&part.id[row], &whole.id[at]);
                    prop_assert_eq!(&part.umax[row], &whole.umax[at]);
                    prop_assert_eq!((part.kind[row], part.ver[row]), (whole.kind[at], whole.ver[at]));
                    prop_assert_eq!(&part.wear[row], &whole.wear[at]);
                    prop_assert_eq!(&part.tipdresscounter[row], &whole.tipdresscounter[at]);
                    let here = curve(&part.u_counts, &part.u_ends, row);
                    prop_assert_eq!(here, curve(&whole.u_counts, &whole.u_ends, at));
                    at += 1;
                }
            }
            prop_assert_eq!(at, whole.rows());
        }
    }
}
