//! Simulated rows by column.

use weldfleet_weld::units::{
    CurrentUnit, CurveCurrentUnit, CurveUnits, CurveVoltageUnit, VoltageUnit,
};
use weldfleet_weld::validation::Reason;

use crate::truth::{Defect, Label};

/// Rows of one day by column. Every per-row column has [`SimulatedBlock::rows`] entries.
///
/// Curves are flat: row `k` of the voltage is `u_values[u_offsets[k-1]..u_offsets[k]]` (from 0 for the first), as
/// ClickHouse's own arrays. Voltage in V, current in kA, until [`SimulatedBlock::convert`] says otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SimulatedBlock {
    /// The day of every row, `YYYYMMDD`.
    pub data_date: u32,
    /// Put before the number where record ids are text.
    pub id_prefix: String,
    pub record_id: Vec<u64>,
    /// ms since local midnight, not falling.
    pub time_ms: Vec<u32>,
    pub part_no: Vec<&'static str>,
    /// Name of the spot, unique in the plant.
    pub spot_name: Vec<&'static str>,
    pub timer_name: Vec<&'static str>,
    /// Maximum voltage as the timer reports it, V.
    pub umax: Vec<f32>,
    /// Maximum current as the timer reports it, kA.
    pub imax: Vec<f32>,
    /// Ends of the voltage curves in `u_values`.
    pub u_offsets: Vec<u64>,
    /// Voltage samples, V.
    pub u_values: Vec<f32>,
    /// Ends of the current curves in `i_values`.
    pub i_offsets: Vec<u64>,
    /// Current samples, kA.
    pub i_values: Vec<f32>,
    pub label: Vec<Label>,
    pub defect: Vec<Defect>,
    /// Nugget diameter as measured, mm.
    pub measured_diameter: Vec<f32>,
    /// Indentation of the front sheet as measured, mm.
    pub measured_indentation: Vec<f32>,
    /// What is left of the front sheet, mm.
    pub measured_front_thickness: Vec<f32>,
    /// What is left of the whole stack, mm.
    pub measured_stack_thickness: Vec<f32>,
    /// Welds of this timer's gun since its last tip dress, this one not counted. Not a column of any table of ours.
    pub welds_since_dress: Vec<u64>,
    /// Wear of its caps: 0 new, towards 1 due for a dress or a change. A cap that is mushroomed before its time
    /// ([`Defect::WornElectrode`]) is not seen in it, as no timer measures it. Not a column of any table of ours.
    pub electrode_wear: Vec<f64>,
    /// Why validation has to refuse the row, if it was spoiled. Not a column of any table.
    pub invalid: Vec<Option<Reason>>,
}

impl SimulatedBlock {
    #[must_use]
    pub fn rows(&self) -> usize {
        self.record_id.len()
    }

    /// Row `row` as judges see it; it has no further numbers.
    ///
    /// # Panics
    /// If the block has no such row.
    #[must_use]
    pub fn weld(&self, row: usize) -> weldfleet_weld::Weld<'_> {
        weldfleet_weld::Weld {
            part_no: self.part_no[row],
            umax: self.umax[row],
            imax: self.imax[row],
            u: self.u_curve(row),
            i: self.i_curve(row),
            scalars: &[],
        }
    }

    /// Voltage samples of row `row`.
    ///
    /// # Panics
    /// If the block has no such row.
    #[must_use]
    pub fn u_curve(&self, row: usize) -> &[f32] {
        &self.u_values[span(&self.u_offsets, row)]
    }

    /// Current samples of row `row`.
    ///
    /// # Panics
    /// If the block has no such row.
    #[must_use]
    pub fn i_curve(&self, row: usize) -> &[f32] {
        &self.i_values[span(&self.i_offsets, row)]
    }

    /// The record id of row `row` as text: prefix and number.
    ///
    /// # Panics
    /// If the block has no such row.
    #[must_use]
    pub fn record_id_text(&self, row: usize) -> String {
        format!("{}{}", self.id_prefix, self.record_id[row])
    }

    /// Rewrites curves and maxima, once, from V and kA to the units a plant stores them in.
    ///
    /// Percents refer to the row's own `umax` or `imax`, to the curve's own maximum where that is 0.
    pub fn convert(&mut self, units: &CurveUnits) {
        for row in 0..self.rows() {
            let u_span = span(&self.u_offsets, row);
            let u_factor = match units.u_unit {
                CurveVoltageUnit::V => 1.0,
                CurveVoltageUnit::Millivolt => 1000.0,
                CurveVoltageUnit::PercentOfUmax => {
                    percent_factor(self.umax[row], &self.u_values[u_span.clone()])
                }
            };
            scale(&mut self.u_values[u_span], u_factor / units.u_scale as f32);
            let i_span = span(&self.i_offsets, row);
            let i_factor = match units.i_unit {
                CurveCurrentUnit::Kiloampere => 1.0,
                CurveCurrentUnit::A => 1000.0,
                CurveCurrentUnit::PercentOfImax => {
                    percent_factor(self.imax[row], &self.i_values[i_span.clone()])
                }
            };
            scale(&mut self.i_values[i_span], i_factor / units.i_scale as f32);
        }
        self.convert_maxima(units);
    }

    /// Rewrites the maxima alone, once: of a block whose curves are percents already.
    pub fn convert_maxima(&mut self, units: &CurveUnits) {
        let umax_factor = match units.umax_unit {
            VoltageUnit::V => 1.0,
            VoltageUnit::Millivolt => 1000.0,
        };
        let imax_factor = match units.imax_unit {
            CurrentUnit::Kiloampere => 1.0,
            CurrentUnit::A => 1000.0,
        };
        scale(&mut self.umax, umax_factor / units.umax_scale as f32);
        scale(&mut self.imax, imax_factor / units.imax_scale as f32);
    }
}

fn percent_factor(maximum: f32, curve: &[f32]) -> f32 {
    let reference = if maximum > 0.0 {
        maximum
    } else {
        self::maximum(curve)
    };
    if reference > 0.0 {
        100.0 / reference
    } else {
        1.0
    }
}

fn scale(values: &mut [f32], factor: f32) {
    if factor != 1.0 {
        values.iter_mut().for_each(|value| *value *= factor);
    }
}

pub(crate) fn span(offsets: &[u64], row: usize) -> std::ops::Range<usize> {
    let start = if row == 0 {
        0
    } else {
        offsets[row - 1] as usize
    };
    start..offsets[row] as usize
}

/// The largest sample, at least 0.
pub(crate) fn maximum(curve: &[f32]) -> f32 {
    curve.iter().copied().fold(0.0, f32::max)
}
