//! An imaginary body shop: eight parts, two timers each, eleven stack-ups with a weld program each.

use std::sync::LazyLock;

/// Up to three sheets, front electrode first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StackUp {
    /// Sheet thicknesses, mm.
    pub sheets_mm: &'static [f64],
    /// The two-pulse program its spots are welded with.
    pub program: Program,
}

/// A two-pulse weld program on a constant-current timer. Times in ms, current in kA.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Program {
    pub preheat_ms: f64,
    pub pause_ms: f64,
    pub main_ms: f64,
    pub main_ka: f64,
    /// Time from 10 to 90 % of the current.
    pub rise_ms: f64,
}

/// Shortest and longest main pulse of any program, ms.
pub const MAIN_MS: (f64, f64) = (299.0, 799.0);

const fn stack_up(
    sheets_mm: &'static [f64],
    preheat_ms: f64,
    pause_ms: f64,
    main_ms: f64,
    main_ka: f64,
    rise_ms: f64,
) -> StackUp {
    StackUp {
        sheets_mm,
        program: Program {
            preheat_ms,
            pause_ms,
            main_ms,
            main_ka,
            rise_ms,
        },
    }
}

/// The stack-ups, thinnest first: thicker ones take longer and more current.
pub const STACK_UPS: [StackUp; 11] = [
    stack_up(&[0.65, 0.65], 50.0, 10.0, 299.0, 7.0, 5.0),
    stack_up(&[0.8, 0.8], 55.0, 12.0, 340.0, 7.7, 6.0),
    stack_up(&[0.8, 1.2], 60.0, 14.0, 375.0, 8.2, 7.0),
    stack_up(&[1.0, 1.0], 65.0, 16.0, 410.0, 8.6, 8.0),
    stack_up(&[1.0, 1.5], 70.0, 18.0, 455.0, 9.0, 9.0),
    stack_up(&[1.2, 1.2], 75.0, 20.0, 500.0, 9.4, 10.0),
    stack_up(&[1.2, 2.0], 80.0, 22.0, 570.0, 9.8, 12.0),
    stack_up(&[1.5, 1.5], 85.0, 24.0, 640.0, 10.2, 13.0),
    stack_up(&[0.8, 1.0, 1.5], 90.0, 26.0, 700.0, 9.5, 14.0),
    stack_up(&[1.5, 2.0], 95.0, 29.0, 745.0, 10.6, 15.0),
    stack_up(&[1.2, 1.5, 1.8], 100.0, 31.0, 799.0, 10.4, 17.0),
];

impl StackUp {
    /// All sheets together, mm.
    #[must_use]
    pub fn total_mm(&self) -> f64 {
        self.sheets_mm.iter().sum()
    }

    /// The sheet under the front electrode, mm.
    #[must_use]
    pub fn front_mm(&self) -> f64 {
        self.sheets_mm[0]
    }

    /// The smallest acceptable nugget, mm: 4·√t of the thinnest sheet.
    #[must_use]
    pub fn minimum_diameter_mm(&self) -> f64 {
        4.0 * self
            .sheets_mm
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min)
            .sqrt()
    }

    /// 0 for the shortest program, 1 for the longest: how slowly the stack heats.
    #[must_use]
    pub fn slowness(&self) -> f64 {
        (self.program.main_ms - MAIN_MS.0) / (MAIN_MS.1 - MAIN_MS.0)
    }
}

/// One spot of a part.
#[derive(Debug, Clone, PartialEq)]
pub struct Spot {
    /// Its name, unique in the plant.
    pub name: String,
    /// Index into [`STACK_UPS`].
    pub stack_up: usize,
    /// What this place does to the resistance (sheet tolerance, neighbours), relative.
    pub resistance_factor: f64,
    /// What its program adds to the stack-up's current, relative.
    pub current_factor: f64,
}

/// One timer with its gun: welds the spots of its sequence again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    pub name: String,
    pub part_no: &'static str,
    /// Its spots in welding order.
    pub spots: Vec<Spot>,
    /// Welds from one tip dress to the next.
    pub welds_per_dress: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Plant {
    /// All timers. A part is welded by two.
    pub timers: Vec<Timer>,
}

/// Part numbers with the stack-ups they are made of.
const PARTS: [(&str, &[usize]); 8] = [
    ("A-PILLAR-L", &[2, 4, 6]),
    ("A-PILLAR-R", &[2, 4, 6]),
    ("B-PILLAR-L", &[5, 7, 9]),
    ("FLOOR-FRONT", &[1, 3, 8]),
    ("FLOOR-REAR", &[0, 1, 3]),
    ("ROCKER-R", &[5, 8, 10]),
    ("ROOF-BOW", &[0, 2]),
    ("TUNNEL", &[3, 4, 10]),
];

const SPOTS_PER_TIMER: usize = 14;

static PLANT: LazyLock<Plant> = LazyLock::new(build);

/// The body shop every simulated day takes place in.
#[must_use]
pub fn plant() -> &'static Plant {
    &PLANT
}

fn build() -> Plant {
    let timers = (0..PARTS.len() * 2)
        .map(|index| {
            let (part_no, stack_ups) = PARTS[index / 2];
            let spots = (0..SPOTS_PER_TIMER)
                .map(|number| {
                    let spot_number = index % 2 * SPOTS_PER_TIMER + number + 1;
                    let place = (index * SPOTS_PER_TIMER + number) as f64;
                    Spot {
                        name: format!("{part_no}-S{spot_number:02}"),
                        stack_up: stack_ups[spot_number % stack_ups.len()],
                        resistance_factor: 1.0 + 0.012 * (place * 2.399).sin(),
                        current_factor: 1.0 + 0.012 * (place * 1.713 + 0.5).sin(),
                    }
                })
                .collect();
            Timer {
                name: format!("R{:02}-T{}", index / 2 + 1, index % 2 + 1),
                part_no,
                spots,
                welds_per_dress: 180 + 12 * (index as u64 % 7),
            }
        })
        .collect();
    Plant { timers }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn spots_and_timers_have_names_of_their_own() {
        let timers: HashSet<_> = plant().timers.iter().map(|timer| &timer.name).collect();
        let spots: HashSet<_> = plant()
            .timers
            .iter()
            .flat_map(|timer| &timer.spots)
            .map(|spot| &spot.name)
            .collect();
        let parts: HashSet<_> = plant().timers.iter().map(|timer| timer.part_no).collect();
        assert_eq!(
            (parts.len(), timers.len(), spots.len()),
            (8, 16, 16 * SPOTS_PER_TIMER)
        );
    }

    #[test]
    fn programs_stay_within_what_was_measured_on_real_curves() {
        for stack in &STACK_UPS {
            let program = stack.program;
            assert!((50.0..=100.0).contains(&program.preheat_ms));
            assert!((10.0..=31.0).contains(&program.pause_ms));
            assert!((MAIN_MS.0..=MAIN_MS.1).contains(&program.main_ms));
            assert!((5.0..=17.0).contains(&program.rise_ms));
            assert!((6.0..=12.0).contains(&program.main_ka));
        }
    }

    #[test]
    fn every_stack_up_is_welded_somewhere() {
        let used: HashSet<_> = plant()
            .timers
            .iter()
            .flat_map(|timer| &timer.spots)
            .map(|spot| spot.stack_up)
            .collect();
        assert_eq!(used.len(), STACK_UPS.len());
    }
}
