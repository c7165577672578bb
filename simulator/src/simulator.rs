//! A day of welds, any range of its rows at a time.

use std::ops::Range;

use weldfleet_weld::validation::Reason;

use crate::block::{SimulatedBlock, maximum};
use crate::corrupt;
use crate::noise::RowNoise;
use crate::options::{OptionsError, SimulationOptions};
use crate::plant::{Timer, plant};
use crate::process::{MEASUREMENT_NOISE_MM, Weld};
use crate::waveform;

/// Tip dresses an electrode cap lasts; each leaves a little wear behind.
const DRESSES_PER_CAP: u64 = 25;

/// Welds of a spot in a row that burn once one does, until somebody looks at the cap.
const BURN_SPELL: u64 = 3;
const BURN_SEED: u64 = 0x6275_726e_206d_6172;

/// A day of welds. Row `i` depends on the options and `i` alone, so ranges may be made in any order and in parallel.
#[derive(Debug, Clone)]
pub struct Simulator {
    options: SimulationOptions,
    /// Welds each timer's electrode caps had made when the day began.
    welds_before: Vec<u64>,
}

impl Simulator {
    /// Checks the options.
    ///
    /// # Errors
    /// See [`SimulationOptions::check`].
    pub fn new(options: SimulationOptions) -> Result<Self, OptionsError> {
        options.check()?;
        let welds_before = (0_u64..)
            .zip(&plant().timers)
            .map(|(index, timer)| {
                let mut noise = RowNoise::new(options.seed, options.day, u64::MAX - index);
                noise.below(timer.welds_per_dress * DRESSES_PER_CAP)
            })
            .collect();
        Ok(Self {
            options,
            welds_before,
        })
    }

    #[must_use]
    pub fn options(&self) -> &SimulationOptions {
        &self.options
    }

    /// The day cut into ranges of at most `rows_per_block` rows, in order.
    pub fn chunks(&self, rows_per_block: u64) -> impl Iterator<Item = Range<u64>> + use<> {
        let (rows, step) = (self.options.rows, rows_per_block.max(1));
        (0..rows.div_ceil(step)).map(move |chunk| chunk * step..((chunk + 1) * step).min(rows))
    }

    /// Simulates the rows of `range` (0 is the day's first); what lies past the last row is left out.
    #[must_use]
    pub fn block(&self, range: Range<u64>) -> SimulatedBlock {
        let mut block = SimulatedBlock {
            data_date: self.options.day,
            id_prefix: self.options.id_prefix.clone(),
            ..SimulatedBlock::default()
        };
        for row in range.start..range.end.min(self.options.rows) {
            self.append(row, &mut block);
        }
        block
    }

    fn append(&self, row: u64, block: &mut SimulatedBlock) {
        let options = &self.options;
        let mut noise = RowNoise::new(options.seed, options.day, row);
        // Timers weld in turn, each the spots of its part in order.
        let timers = &plant().timers;
        let timer_index = (row % timers.len() as u64) as usize;
        let timer = &timers[timer_index];
        let turn = row / timers.len() as u64;
        let spot = &timer.spots[(turn % timer.spots.len() as u64) as usize];
        let welds = self.welds_before[timer_index] + turn;
        let wear = electrode_wear(timer, welds);
        let spoiled = noise
            .chance(options.invalid_share)
            .then(|| Reason::OF_NUMBERS[noise.below(Reason::OF_NUMBERS.len() as u64) as usize]);
        let time_ms = self.time_ms(row, &mut noise);
        let burns = self.burns(timer_index, turn, timer.spots.len() as u64);
        let weld = Weld::draw(options, spot, wear, burns, &mut noise);

        let (u_start, i_start) = (block.u_values.len(), block.i_values.len());
        waveform::write(
            &weld,
            options.sample_interval_ms,
            &mut noise,
            &mut block.u_values,
            &mut block.i_values,
        );
        let mut reported_maximum =
            |curve: &[f32]| maximum(curve) * (1.0 + 0.003 * noise.normal()) as f32;
        block
            .umax
            .push(reported_maximum(&block.u_values[u_start..]));
        block
            .imax
            .push(reported_maximum(&block.i_values[i_start..]));
        let mut measured = |truth: f64, kind: usize| {
            (truth + MEASUREMENT_NOISE_MM[kind] * noise.normal()).max(0.0) as f32
        };
        let geometry = &weld.geometry;
        block.measured_diameter.push(measured(geometry.diameter, 0));
        block
            .measured_indentation
            .push(measured(geometry.indentation, 1));
        block
            .measured_front_thickness
            .push(measured(geometry.front_thickness, 2));
        block
            .measured_stack_thickness
            .push(measured(geometry.stack_thickness, 3));

        block.record_id.push(options.first_record_id + row);
        block.time_ms.push(time_ms);
        block.part_no.push(timer.part_no);
        block.spot_name.push(&spot.name);
        block.timer_name.push(&timer.name);
        block.u_offsets.push(block.u_values.len() as u64);
        block.i_offsets.push(block.i_values.len() as u64);
        block.label.push(weld.defect.label());
        block.defect.push(weld.defect);
        block.welds_since_dress.push(welds % timer.welds_per_dress);
        block.electrode_wear.push(wear);
        block.invalid.push(None);
        if let Some(reason) = spoiled {
            corrupt::spoil_last(block, reason, &mut noise);
        }
    }

    /// Whether the timer's weld number `turn` of the day burns: a spot does for [`BURN_SPELL`] of its welds in a row.
    fn burns(&self, timer: usize, turn: u64, spots: u64) -> bool {
        let options = &self.options;
        if options.burn_rate <= 0.0 {
            return false;
        }
        let spell = turn / spots / BURN_SPELL;
        // A stream of its own for each spot's spell, far from the rows'.
        let place = (timer as u64 * spots + turn % spots) << 32 | spell;
        RowNoise::new(options.seed ^ BURN_SEED, options.day, place).chance(options.burn_rate)
    }

    /// Row `row`'s slot of the day, and anywhere within it: not falling from row to row.
    fn time_ms(&self, row: u64, noise: &mut RowNoise) -> u32 {
        let span_ms = u128::from(self.options.until_ms - self.options.from_ms);
        let rows = u128::from(self.options.rows);
        let slot_start = |row: u64| (u128::from(row) * span_ms / rows) as u32;
        let (start, end) = (slot_start(row), slot_start(row + 1));
        self.options.from_ms + start + noise.below(u64::from((end - start).max(1))) as u32
    }
}

/// 0 for a new cap, towards 1 for one that is due for a dress or a change.
fn electrode_wear(timer: &Timer, welds: u64) -> f64 {
    let since_dress = (welds % timer.welds_per_dress) as f64 / timer.welds_per_dress as f64;
    let dresses = (welds / timer.welds_per_dress % DRESSES_PER_CAP) as f64 / DRESSES_PER_CAP as f64;
    0.8 * since_dress + 0.2 * dresses
}
