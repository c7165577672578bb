//! The same welds as a plant's own table holds them: text scalars, curves in whole counts, and rows that are no welds.
//! A tip dress has two rows of its gun, in the place of its first welds after the dress, and from there on the count of
//! welds since the last dress rises.
//!
//! A weld depends on seed, day and number alone, so a test finds the truth of a row of this table in the
//! [`SimulatedBlock`] of the same options, by its number. Verdicts can be compared to the last bit with those of our
//! own table when that one holds the same counts: [`SimulatedBlock::into_counts`].

use crate::block::{SimulatedBlock, maximum};
use crate::noise::RowNoise;
use crate::options::{OptionsError, share};

/// Put before the number of a weld in `id`.
pub const ID_PREFIX: &str = "W";
/// `prog_no` of a weld, and those of tip dresses, which nobody may judge.
pub const WELD_PROGRAM: &str = "12";
/// One of each a dress, in this order.
pub const TIP_DRESS_PROGRAMS: [&str; 2] = ["41", "51"];
/// `spot_tag` of a shot without sheets.
pub const DRY_SHOT_SPOT: &str = "0";
/// What stands in a text column where the timer sent no number.
pub const MISSING: [&str; 3] = ["0", "None", ""];
/// Most samples of a curve.
pub const MAX_POINTS: usize = 1000;

const DRY_SHOT_SHARE: f64 = 0.016;
const NO_UMAX_SHARE: f64 = 0.014;
const NO_SPOT_SHARE: f64 = 0.016;
/// Share of rows whose curves differ in length by a sample or two.
const UNEQUAL_SHARE: f64 = 0.25;
/// From the middle on, a re-sent weld's first version has this much of the voltage.
const DROPPED: f32 = 0.85;
const WELDS_A_BODY: u64 = 224;
const SEED: u64 = 0x706c_616e_7420_7461;

/// `part_all`, in the order of the imaginary body shop's parts.
const PARTS: [(&str, &str); 8] = [
    ("A-PILLAR-L", "7H0/809 605"),
    ("A-PILLAR-R", "7H0/809 606"),
    ("B-PILLAR-L", "7H0/809 607"),
    ("FLOOR-FRONT", "7H0/803 041 C"),
    ("FLOOR-REAR", "7H0/803 042"),
    ("ROCKER-R", "7H5/809 102 A"),
    ("ROOF-BOW", "7H0/817 133"),
    ("TUNNEL", "7H0/803 111 B"),
];

/// What a row of the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowKind {
    Weld,
    /// A weld whose `umax` is no voltage: one of [`MISSING`].
    NoUmax,
    /// `prog_no` is one of [`TIP_DRESS_PROGRAMS`]; the curves are a short shot of closed caps.
    TipDress,
    /// `spot_tag` is [`DRY_SHOT_SPOT`].
    DryShot,
}

/// When rows arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Most rows; of a weld that will be sent again the first version, which shows a drop of R that was none.
    First,
    /// Late rows, and the second versions.
    Later,
}

/// How the table is filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlantTableOptions {
    /// The simulation's.
    pub seed: u64,
    /// Share of rows that are sent again, corrected.
    pub resent_share: f64,
    /// Share of rows that arrive late.
    pub late_share: f64,
}

impl PlantTableOptions {
    /// Refuses what cannot be simulated.
    ///
    /// # Errors
    /// The first share that is none, by name.
    pub fn check(&self) -> Result<(), OptionsError> {
        share("resent_share", self.resent_share)?;
        share("late_share", self.late_share)
    }
}

/// Rows of the table by column; every column but the counts has one entry a row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlantTableRows {
    /// Number of the weld: where its truth is found.
    pub record_id: Vec<u64>,
    pub kind: Vec<RowKind>,
    pub id: Vec<String>,
    pub serial_no: Vec<&'static str>,
    pub spot_tag: Vec<Option<&'static str>>,
    pub part_all: Vec<&'static str>,
    pub prog_no: Vec<&'static str>,
    /// ms since local midnight, of `weld_time` and `ck_local_time`.
    pub time_ms: Vec<u32>,
    /// Version, the larger one counts.
    pub ver: Vec<u32>,
    /// V, as text.
    pub umax: Vec<String>,
    /// Tens of ampere, as text.
    pub imax: Vec<String>,
    /// Ends of the voltage curves in `u_counts`.
    pub u_ends: Vec<u64>,
    /// 1 % of `umax` each.
    pub u_counts: Vec<u16>,
    /// Ends of the current curves in `i_counts`.
    pub i_ends: Vec<u64>,
    /// 1 % of `imax` each.
    pub i_counts: Vec<u16>,
    /// Of the gun's caps, percent of what they last.
    pub wear: Vec<String>,
    /// Welds of the gun since its last tip dress.
    pub tipdresscounter: Vec<String>,
    pub energie: Vec<String>,
    pub rfid: Vec<String>,
    pub workshop_section: Vec<&'static str>,
    pub area: Vec<String>,
}

impl PlantTableRows {
    /// The rows of `counts` that a delivery has.
    #[must_use]
    pub fn new(counts: &CountedBlock, options: &PlantTableOptions, delivery: Delivery) -> Self {
        let mut rows = Self::default();
        for row in 0..counts.0.rows() {
            let mut noise = RowNoise::new(
                options.seed ^ SEED,
                counts.0.data_date,
                counts.0.record_id[row],
            );
            let late = noise.chance(options.late_share);
            let resent = !late && noise.chance(options.resent_share);
            let version = match delivery {
                Delivery::First if late => continue,
                Delivery::Later if !late && !resent => continue,
                Delivery::Later if resent => Version::Second,
                Delivery::First if resent => Version::FirstOfTwo,
                _ => Version::Only,
            };
            rows.push(&counts.0, row, version, &mut noise);
        }
        rows
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.record_id.len()
    }

    fn push(&mut self, block: &SimulatedBlock, row: usize, version: Version, noise: &mut RowNoise) {
        let number = block.record_id[row];
        let luck = noise.unit();
        let since_dress = block.welds_since_dress[row];
        let dress = TIP_DRESS_PROGRAMS.get(since_dress as usize);
        let kind = if dress.is_some() {
            RowKind::TipDress
        } else if luck < DRY_SHOT_SHARE {
            RowKind::DryShot
        } else if luck < DRY_SHOT_SHARE + NO_UMAX_SHARE {
            RowKind::NoUmax
        } else {
            RowKind::Weld
        };
        let missing = MISSING[noise.below(3) as usize];
        let spotless = noise.chance(NO_SPOT_SHARE);
        self.record_id.push(number);
        self.kind.push(kind);
        self.id.push(block.record_id_text(row));
        self.serial_no.push(block.timer_name[row]);
        self.spot_tag.push(match kind {
            RowKind::DryShot => Some(DRY_SHOT_SPOT),
            _ if spotless => None,
            _ => Some(block.spot_name[row]),
        });
        self.part_all.push(part(block.part_no[row]));
        self.prog_no.push(dress.unwrap_or(&WELD_PROGRAM));
        self.time_ms.push(block.time_ms[row]);
        self.ver.push(match version {
            Version::Only | Version::FirstOfTwo => 1,
            Version::Second => 2,
        });
        let closed = (kind == RowKind::TipDress).then(|| ClosedCaps::draw(noise));
        let (umax, imax) = match &closed {
            Some(closed) => (closed.umax, closed.imax),
            None => (block.umax[row], block.imax[row]),
        };
        self.umax.push(match kind {
            RowKind::NoUmax => missing.to_owned(),
            _ => format!("{umax:.2}"),
        });
        self.imax.push(format!("{:.0}", imax * 100.0));
        let (u, i) = match &closed {
            Some(closed) => (&closed.u[..], &closed.i[..]),
            None => (block.u_curve(row), block.i_curve(row)),
        };
        self.push_curves(u, i, version, noise);
        self.wear.push(if noise.chance(0.11) {
            MISSING[1].to_owned()
        } else {
            format!("{:.0}", block.electrode_wear[row] * 100.0)
        });
        // Rows of the dress are no welds.
        let welds = (since_dress + 1).saturating_sub(TIP_DRESS_PROGRAMS.len() as u64);
        self.tipdresscounter.push(welds.to_string());
        self.energie.push(MISSING[1].to_owned());
        self.rfid.push(format!("BODY{:06}", number / WELDS_A_BODY));
        self.workshop_section.push("UB");
        let robot = block.timer_name[row].split('-').next().unwrap_or_default();
        self.area.push(robot.to_owned());
    }

    fn push_curves(&mut self, u: &[f32], i: &[f32], version: Version, noise: &mut RowNoise) {
        let middle = u.len() / 2;
        self.u_counts.extend(u.iter().enumerate().map(|(k, count)| {
            let dropped = version == Version::FirstOfTwo && k >= middle;
            count_of(if dropped { count * DROPPED } else { *count })
        }));
        self.i_counts.extend(i.iter().map(|count| count_of(*count)));
        // The longer one has idle samples more, so that cutting it gives the weld.
        if noise.chance(UNEQUAL_SHARE) && u.len() + 2 <= MAX_POINTS {
            let longer = if noise.chance(0.5) {
                &mut self.u_counts
            } else {
                &mut self.i_counts
            };
            longer.extend(std::iter::repeat_n(0, 1 + noise.below(2) as usize));
        }
        self.u_ends.push(self.u_counts.len() as u64);
        self.i_ends.push(self.i_counts.len() as u64);
    }
}

/// A shot of closed caps without sheets, as a tip dress has it: one short pulse, some tens of µΩ from its beginning to
/// its end. In counts, like a [`CountedBlock`].
struct ClosedCaps {
    umax: f32,
    imax: f32,
    u: Vec<f32>,
    i: Vec<f32>,
}

impl ClosedCaps {
    fn draw(noise: &mut RowNoise) -> Self {
        let (plateau_ka, resistance) = (noise.between(6.0, 8.0), noise.between(0.040, 0.060));
        let (before, on, after) = (5, 80 + noise.below(41) as usize, 15);
        let (mut u, mut i) = (Vec::new(), Vec::new());
        let mut current_ka = 0.0;
        for ms in 0..before + on + after {
            let (to_ka, tau_ms) = if (before..before + on).contains(&ms) {
                (plateau_ka, 3.0)
            } else {
                (0.0, 1.2)
            };
            current_ka += (to_ka - current_ka) * (1.0 - f64::exp(-1.0 / tau_ms));
            i.push((current_ka * (1.0 + 0.002 * noise.normal())) as f32);
            // mΩ · kA is V.
            u.push((resistance * current_ka + 0.005 * noise.normal()) as f32);
        }
        let (umax, imax) = (hundredths(maximum(&u)), hundredths(maximum(&i)));
        let ends = [u.len() as u64];
        count(&mut u, &ends, &[umax]);
        count(&mut i, &ends, &[imax]);
        Self { umax, imax, u, i }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Only,
    FirstOfTwo,
    Second,
}

fn part(ours: &'static str) -> &'static str {
    PARTS
        .iter()
        .find(|(part, _)| *part == ours)
        .map_or(ours, |(_, theirs)| theirs)
}

fn hundredths(value: f32) -> f32 {
    (value * 100.0).round() / 100.0
}

fn count_of(count: f32) -> u16 {
    count.round() as u16
}

/// A block whose curves are whole counts of 1 % of `umax` and `imax`; these are of 0.01 V and 0.01 kA.
#[derive(Debug, Clone, PartialEq)]
pub struct CountedBlock(pub(crate) SimulatedBlock);

impl CountedBlock {
    /// The welds: maxima in V and kA, curves in percent of them.
    #[must_use]
    pub fn block(&self) -> &SimulatedBlock {
        &self.0
    }

    #[must_use]
    pub fn into_block(self) -> SimulatedBlock {
        self.0
    }
}

impl SimulatedBlock {
    /// What a plant's timers leave of a block in V and kA: maxima to 0.01 V and 0.01 kA, curves in whole counts of 1 %
    /// of them, never below 0.
    #[must_use]
    pub fn into_counts(mut self) -> CountedBlock {
        for maximum in self.umax.iter_mut().chain(&mut self.imax) {
            *maximum = hundredths(*maximum);
        }
        count(&mut self.u_values, &self.u_offsets, &self.umax);
        count(&mut self.i_values, &self.i_offsets, &self.imax);
        CountedBlock(self)
    }
}

fn count(values: &mut [f32], ends: &[u64], maxima: &[f32]) {
    let mut start = 0;
    for (end, maximum) in ends.iter().zip(maxima) {
        for value in &mut values[start..*end as usize] {
            *value = (*value / maximum * 100.0).round().max(0.0);
        }
        start = *end as usize;
    }
}
