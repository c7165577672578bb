//! A simulated day as its users see it.

use proptest::prelude::*;
use weldfleet_simulator::options::MIN_CURVE_MS;
use weldfleet_simulator::{
    CurveLength, Defect, Label, OptionsError, SimulatedBlock, SimulationOptions, Simulator,
};
use weldfleet_weld::curves::Curves;
use weldfleet_weld::units::{
    CurrentUnit, CurveCurrentUnit, CurveUnits, CurveVoltageUnit, VoltageUnit,
};
use weldfleet_weld::validation::{Invalid, Reason, ValidationLimits};

const DAY: u32 = 20_260_301;

fn options(rows: u64, nok_rate: f64) -> SimulationOptions {
    SimulationOptions {
        nok_rate,
        ..SimulationOptions::new(DAY, rows, 42)
    }
}

fn simulate(options: SimulationOptions) -> SimulatedBlock {
    let rows = options.rows;
    Simulator::new(options)
        .expect("valid options")
        .block(0..rows)
}

fn validate(block: &SimulatedBlock, row: usize, units: &CurveUnits) -> Result<(), Invalid> {
    let weld = block.weld(row);
    Curves::default().load(&weld, units, &ValidationLimits::default())
}

#[test]
fn nok_rate_is_near_the_one_asked() {
    for nok_rate in [0.006, 0.15] {
        let rows = 20_000;
        let block = simulate(options(rows, nok_rate));
        let nok = block
            .label
            .iter()
            .filter(|label| **label == Label::Nok)
            .count() as f64;
        let (expected, deviation) = (
            nok_rate * rows as f64,
            (nok_rate * (1.0 - nok_rate) * rows as f64).sqrt(),
        );
        assert!(
            (nok - expected).abs() < 4.0 * deviation,
            "{nok} NOK, expected {expected}"
        );
    }
    assert!(
        simulate(options(2_000, 0.0))
            .defect
            .iter()
            .all(|defect| *defect == Defect::None)
    );
}

#[test]
fn every_weld_that_was_not_spoiled_is_valid_in_every_unit() {
    let millis = CurveUnits {
        u_unit: CurveVoltageUnit::Millivolt,
        i_unit: CurveCurrentUnit::A,
        umax_unit: VoltageUnit::Millivolt,
        imax_unit: CurrentUnit::A,
        ..CurveUnits::default()
    };
    let percent = CurveUnits {
        u_unit: CurveVoltageUnit::PercentOfUmax,
        i_unit: CurveCurrentUnit::PercentOfImax,
        ..CurveUnits::default()
    };
    let tens_of_ampere = CurveUnits {
        imax_unit: CurrentUnit::A,
        imax_scale: 10.0,
        u_scale: 0.5,
        umax_scale: 0.25,
        ..percent
    };
    for length in [
        CurveLength::Fixed(600),
        CurveLength::Fixed(450),
        CurveLength::Program,
    ] {
        for units in [CurveUnits::default(), millis, percent, tens_of_ampere] {
            let mut block = simulate(SimulationOptions {
                length,
                ..options(1_500, 0.3)
            });
            block.convert(&units);
            for row in 0..block.rows() {
                assert_eq!(
                    validate(&block, row, &units),
                    Ok(()),
                    "row {row} {:?} {units:?}",
                    block.defect[row]
                );
            }
        }
    }
}

#[test]
fn spoiled_rows_are_refused_for_the_reason_they_were_spoiled_for() {
    let units = CurveUnits {
        u_unit: CurveVoltageUnit::PercentOfUmax,
        imax_unit: CurrentUnit::A,
        ..CurveUnits::default()
    };
    let rows = 8_000;
    for (units, length) in [
        (CurveUnits::default(), CurveLength::Fixed(600)),
        (units, CurveLength::Program),
    ] {
        let mut block = simulate(SimulationOptions {
            invalid_share: 0.1,
            length,
            ..options(rows, 0.006)
        });
        block.convert(&units);
        let mut seen = std::collections::HashMap::new();
        for row in 0..block.rows() {
            let found = validate(&block, row, &units)
                .err()
                .map(|invalid| invalid.reason);
            assert_eq!(found, block.invalid[row], "row {row}");
            *seen.entry(found).or_insert(0_u32) += 1;
        }
        let valid = seen.remove(&None).unwrap_or(0);
        assert!((7_080..=7_320).contains(&valid), "{valid} valid rows");
        assert_eq!(seen.len(), Reason::OF_NUMBERS.len(), "{seen:?}");
    }
}

#[test]
fn sound_welds_stay_within_what_real_welds_measure() {
    let block = simulate(options(3_000, 0.0));
    for row in 0..block.rows() {
        assert!(
            (6.0..=12.0).contains(&block.imax[row]),
            "imax {}",
            block.imax[row]
        );
        assert!(
            (1.5..=4.5).contains(&block.umax[row]),
            "umax {}",
            block.umax[row]
        );
        assert!(
            (2.8..=8.0).contains(&block.measured_diameter[row]),
            "{}",
            block.measured_diameter[row]
        );
        assert!(
            (0.0..=0.45).contains(&block.measured_indentation[row]),
            "{}",
            block.measured_indentation[row]
        );
        assert!((0.4..=1.6).contains(&block.measured_front_thickness[row]));
        assert!((0.9..=4.5).contains(&block.measured_stack_thickness[row]));
        assert!(block.measured_front_thickness[row] < block.measured_stack_thickness[row]);
    }
}

#[test]
fn rows_depend_on_seed_day_and_number_alone() {
    let options = SimulationOptions {
        invalid_share: 0.05,
        length: CurveLength::Program,
        ..options(1_000, 0.1)
    };
    let day = Simulator::new(options.clone()).expect("valid options");
    let whole = day.block(0..1_000);
    assert_eq!(format!("{whole:?}"), format!("{:?}", day.block(0..1_000)));
    for other in [
        SimulationOptions {
            seed: 43,
            ..options.clone()
        },
        SimulationOptions {
            day: DAY + 1,
            ..options
        },
    ] {
        assert_ne!(whole.u_values, simulate(other).u_values);
    }
}

#[test]
fn times_cover_the_asked_stretch_and_never_fall() {
    let options = SimulationOptions {
        from_ms: 3_600_000,
        until_ms: 7_200_000,
        ..options(5_000, 0.006)
    };
    let block = simulate(options);
    assert!(block.time_ms.is_sorted());
    assert!(block.time_ms[0] >= 3_600_000 && block.time_ms[0] < 3_610_000);
    assert!(block.time_ms[4_999] < 7_200_000 && block.time_ms[4_999] > 7_190_000);
}

#[test]
fn impossible_options_are_refused_by_name() {
    let refused = |change: fn(&mut SimulationOptions)| {
        let mut options = options(10, 0.006);
        change(&mut options);
        Simulator::new(options)
            .expect_err("impossible options")
            .to_string()
    };
    assert_eq!(
        refused(|o| o.day = 20_261_301),
        "day 20261301 is no date, give YYYYMMDD"
    );
    assert_eq!(
        refused(|o| o.nok_rate = 1.5),
        "nok_rate is 1.5, give a share from 0 to 1"
    );
    assert_eq!(
        refused(|o| o.invalid_share = f64::NAN),
        "invalid_share is NaN, give a share from 0 to 1"
    );
    assert_eq!(
        refused(|o| o.length = CurveLength::Fixed(200)),
        "200 points are 200 ms of curve, give 450 to 10000 ms"
    );
    assert_eq!(
        refused(|o| o.sample_interval_ms = 0.0),
        "sample interval is 0 ms, give 0.01 to 20"
    );
    assert!(refused(|o| o.until_ms = 0).starts_with("times from 0 to 0 ms"));
    assert!(
        refused(|o| o.first_record_id = u64::MAX)
            .starts_with("record ids from 18446744073709551615")
    );
    assert!(matches!(
        Simulator::new(SimulationOptions {
            length: CurveLength::Fixed(MIN_CURVE_MS as usize - 1),
            ..options(1, 0.0)
        }),
        Err(OptionsError::Length { points: 449, .. })
    ));
}

#[test]
fn a_day_of_no_rows_is_empty() {
    let day = Simulator::new(options(0, 0.006)).expect("valid options");
    assert_eq!(day.chunks(100).count(), 0);
    assert_eq!(day.block(0..100).rows(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Cutting a day anywhere changes nothing.
    #[test]
    fn chunks_join_to_the_whole(seed: u64, rows in 1_u64..120, chunk in 1_u64..130, invalid_share in 0.0..0.5_f64) {
        let options = SimulationOptions {
            invalid_share,
            nok_rate: 0.3,
            first_record_id: 1_000,
            ..SimulationOptions::new(DAY, rows, seed)
        };
        let day = Simulator::new(options).expect("valid options");
        let whole = day.block(0..rows);
        let mut row = 0;
        for range in day.chunks(chunk) {
            let part = day.block(range);
            for k in 0..part.rows() {
                prop_assert_eq!(part.record_id[k], whole.record_id[row]);
                prop_assert_eq!(part.time_ms[k], whole.time_ms[row]);
                prop_assert_eq!(part.label[k], whole.label[row]);
                prop_assert_eq!(part.measured_diameter[k], whole.measured_diameter[row]);
                prop_assert_eq!(part.spot_name[k], whole.spot_name[row]);
                prop_assert!(same(part.u_curve(k), whole.u_curve(row)) && same(part.i_curve(k), whole.i_curve(row)));
                row += 1;
            }
        }
        prop_assert_eq!(row, whole.rows());
    }

    /// Voltage over current is the resistance of a weld wherever the current is up, whatever the sampling.
    #[test]
    fn resistance_is_plausible_everywhere(seed: u64, interval_ms in prop::sample::select(vec![0.5, 1.0, 2.0])) {
        let options = SimulationOptions {
            sample_interval_ms: interval_ms,
            length: CurveLength::Program,
            ..SimulationOptions::new(DAY, 40, seed)
        };
        let block = Simulator::new(options).expect("valid options").block(0..40);
        for row in 0..block.rows() {
            for (u, i) in block.u_curve(row).iter().zip(block.i_curve(row)) {
                if *i > 3.0 {
                    let micro_ohms = u / i * 1000.0;
                    prop_assert!((130.0..700.0).contains(&micro_ohms), "row {} {:?} {}", row, block.defect[row], micro_ohms);
                }
            }
        }
    }
}

fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits())
}
