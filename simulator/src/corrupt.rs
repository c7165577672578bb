//! Spoils the last row written, so that validation has to refuse it.

use weldfleet_weld::validation::Reason;

use crate::block::{SimulatedBlock, span};
use crate::noise::RowNoise;

/// Spoils the last row of `block`, already written, so that validation with its default limits answers `reason`.
pub(crate) fn spoil_last(block: &mut SimulatedBlock, reason: Reason, noise: &mut RowNoise) {
    let Some(row) = block.rows().checked_sub(1) else {
        return;
    };
    let (u, i) = (span(&block.u_offsets, row), span(&block.i_offsets, row));
    let (u_start, i_start, points) = (u.start, i.start, u.len());
    match reason {
        Reason::EmptyCurve => keep(block, u_start, i_start),
        Reason::UnequalCurves => {
            // More than validation lets pass by default.
            let lost = 3 + noise.below(38) as usize;
            keep(block, u_start + points - lost, i_start + points);
        }
        Reason::TooShort => {
            let left = 1 + noise.below(20) as usize;
            keep(block, u_start + left, i_start + left);
        }
        Reason::NonFinite => {
            let at = noise.below(points as u64) as usize;
            let value = if noise.chance(0.5) {
                f32::NAN
            } else {
                f32::INFINITY
            };
            if noise.chance(0.5) {
                block.u_values[u_start + at] = value;
            } else {
                block.i_values[i_start + at] = value;
            }
        }
        Reason::UmaxOutOfRange => {
            block.umax[row] = if noise.chance(0.5) {
                0.0
            } else {
                noise.between(40.0, 400.0) as f32
            };
        }
        Reason::ImaxOutOfRange => {
            block.imax[row] = if noise.chance(0.5) {
                0.0
            } else {
                noise.between(120.0, 400.0) as f32
            };
        }
        Reason::UmaxMismatch => block.umax[row] *= wrong_factor(noise),
        Reason::ImaxMismatch => block.imax[row] *= wrong_factor(noise),
        Reason::NegativeVoltage => negate(&mut block.u_values[u_start + points / 2..]),
        Reason::NegativeCurrent => negate(&mut block.i_values[i_start + points / 2..]),
        // Numbers cannot be so.
        Reason::Missing | Reason::CurveText => return,
    }
    block.invalid[row] = Some(reason);
}

/// A maximum that is plausible in itself, 50 to 80 % too high or too low.
fn wrong_factor(noise: &mut RowNoise) -> f32 {
    let size = noise.between(0.5, 0.8);
    (if noise.chance(0.5) {
        1.0 + size
    } else {
        1.0 - size
    }) as f32
}

fn negate(samples: &mut [f32]) {
    samples.iter_mut().for_each(|sample| *sample = -*sample);
}

fn keep(block: &mut SimulatedBlock, u_end: usize, i_end: usize) {
    block.u_values.truncate(u_end);
    block.i_values.truncate(i_end);
    if let (Some(u_offset), Some(i_offset)) =
        (block.u_offsets.last_mut(), block.i_offsets.last_mut())
    {
        *u_offset = u_end as u64;
        *i_offset = i_end as u64;
    }
}
