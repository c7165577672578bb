//! One weld into one row of the tensor.

use super::{CHANNELS, Fit, InferenceConfig, resampling::Resampling, without_idle};
use crate::{curves::Curves, vectors::widest};

/// Writes the row `[U…, I…, R…, P…]` of `curves` into `row` (4·L values, every one overwritten).
///
/// Idle time is cut ([`without_idle`]), U and I are fitted to L points, R = U/I (mΩ, 0 where the fitted I is below the
/// floor) and P = U·I (kW) are computed on these, then each channel is multiplied with its scale. Interpolation is done
/// in `f64`, all else in `f32`.
///
/// # Panics
/// If `row` is not 4·L long or `curves` holds no weld.
pub fn write_row(
    curves: &Curves,
    config: &InferenceConfig,
    resampling: &mut Resampling,
    row: &mut [f32],
) {
    let len = config.target_len;
    assert_eq!(row.len(), CHANNELS * len, "row of the wrong length");
    let (u_from, i_from) = without_idle(curves, config);
    let samples = u_from.len();
    assert!(samples > 0 && i_from.len() == samples, "no weld loaded");
    let (u, rest) = row.split_at_mut(len);
    let (i, rest) = rest.split_at_mut(len);
    let (r, p) = rest.split_at_mut(len);

    if samples == len || config.fit == Fit::Pad {
        let taken = samples.min(len);
        u[..taken].copy_from_slice(&u_from[..taken]);
        i[..taken].copy_from_slice(&i_from[..taken]);
        u[taken..].fill(0.0);
        i[taken..].fill(0.0);
    } else if samples == 1 {
        u.fill(u_from[0]);
        i.fill(i_from[0]);
    } else {
        resampling.write(u_from, i_from, u, i);
        u[len - 1] = u_from[samples - 1];
        i[len - 1] = i_from[samples - 1];
    }

    widest(
        #[inline(always)]
        move || derive([u, i, r, p], config.current_floor_ka, config.scale),
    );
}

/// From the fitted U and I to all channels, scaled.
#[inline(always)]
fn derive([u, i, r, p]: [&mut [f32]; CHANNELS], floor: f32, scale: [f32; CHANNELS]) {
    let [u_scale, i_scale, r_scale, p_scale] = scale;
    for (((u, i), r), p) in u.iter_mut().zip(i).zip(r).zip(p) {
        let (volts, kiloamperes) = (*u, *i);
        let milliohms = volts / kiloamperes;
        *r = if kiloamperes >= floor {
            milliohms * r_scale
        } else {
            0.0
        };
        *p = volts * kiloamperes * p_scale;
        *u = volts * u_scale;
        *i = kiloamperes * i_scale;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Weld,
        features::{Channel, InputKind},
        units::CurveUnits,
        validation::ValidationLimits,
    };

    fn config(fit: Fit, target_len: usize) -> InferenceConfig {
        InferenceConfig {
            model_version: "test".into(),
            input_kind: InputKind::Features,
            target_len,
            fit,
            channels: vec![Channel::U, Channel::I, Channel::R, Channel::P],
            scale: [1.0; 4],
            current_floor_ka: 1.0,
            idle_before_ms: None,
            idle_after_ms: None,
            nok_threshold: 0.5,
            input: "curves".into(),
            spans: "spans".into(),
            scalars: Vec::new(),
            scalars_missing: None,
            outputs: super::super::OutputNames::default(),
            training: serde_json::Value::Null,
        }
    }

    fn row(u: &[f32], i: &[f32], config: &InferenceConfig) -> Vec<f32> {
        let top = |x: &[f32]| x.iter().copied().fold(f32::MIN, f32::max);
        let weld = Weld {
            part_no: "",
            umax: top(u),
            imax: top(i),
            u,
            i,
            scalars: &[],
        };
        let limits = ValidationLimits {
            min_points: 1,
            u_max_range: [0.0, 1e6],
            i_max_range: [0.0, 1e6],
            max_mismatch: 1.0,
            max_length_gap: 0,
        };
        let mut curves = Curves::default();
        curves.load(&weld, &CurveUnits::default(), &limits).unwrap();
        let mut row = vec![f32::NAN; config.row_len()];
        write_row(&curves, config, &mut Resampling::default(), &mut row);
        row
    }

    #[test]
    fn resampling_keeps_both_ends_and_masks_r_on_the_new_grid() {
        let found = row(
            &[0.0, 2.0, 4.0],
            &[0.0, 1.0, 8.0],
            &config(Fit::Resample, 5),
        );
        assert_eq!(found[..5], [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(found[5..10], [0.0, 0.5, 1.0, 4.5, 8.0]);
        assert_eq!(
            found[10..15],
            [0.0, 0.0, 2.0, 3.0 / 4.5, 0.5],
            "R is 0 below 1 kA, not interpolated towards 0"
        );
        assert_eq!(found[15..], [0.0, 0.5, 2.0, 13.5, 32.0]);
    }

    #[test]
    fn one_sample_fills_the_row() {
        assert_eq!(
            row(&[2.0], &[4.0], &config(Fit::Resample, 2)),
            [2.0, 2.0, 4.0, 4.0, 0.5, 0.5, 8.0, 8.0]
        );
    }

    #[test]
    fn padding_fills_with_zeros_and_cuts() {
        let (u, i) = ([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]);
        let padded = row(&u, &i, &config(Fit::Pad, 4));
        assert_eq!(padded[..4], [1.0, 2.0, 3.0, 0.0]);
        assert_eq!(padded[8..12], [0.5, 1.0, 1.5, 0.0]);
        let cut = row(&u, &i, &config(Fit::Pad, 2));
        assert_eq!(cut, [1.0, 2.0, 2.0, 2.0, 0.5, 1.0, 2.0, 4.0]);
    }

    #[test]
    fn scales_multiply() {
        let mut config = config(Fit::Pad, 2);
        config.scale = [0.5, 2.0, 3.0, -1.0];
        assert_eq!(
            row(&[1.0, 2.0], &[2.0, 4.0], &config),
            [0.5, 1.0, 4.0, 8.0, 1.5, 1.5, -2.0, -8.0]
        );
    }

    proptest! {
        #[test]
        fn resampling_stays_within_the_samples_and_overwrites_everything(
            samples in prop::collection::vec((0.0_f32..10.0, 0.0_f32..60.0), 1..300),
            target_len in 2_usize..400,
        ) {
            let (u, i): (Vec<f32>, Vec<f32>) = samples.into_iter().unzip();
            let found = row(&u, &i, &config(Fit::Resample, target_len));
            prop_assert!(found.iter().all(|value| value.is_finite()));
            for (channel, from) in [&u, &i].into_iter().enumerate() {
                let fitted = &found[channel * target_len..(channel + 1) * target_len];
                let low = from.iter().copied().fold(f32::MAX, f32::min);
                let high = from.iter().copied().fold(f32::MIN, f32::max);
                prop_assert!(fitted.iter().all(|value| (low..=high).contains(value)));
                prop_assert_eq!(fitted[0], from[0]);
                prop_assert_eq!(fitted[target_len - 1], if from.len() == 1 { from[0] } else { from[from.len() - 1] });
            }
        }

        #[test]
        fn a_straight_line_stays_one(samples in 2_usize..900, target_len in 2_usize..1100) {
            let u: Vec<f32> = (0..samples).map(|k| k as f32 / 128.0).collect();
            let found = row(&u, &vec![2.0; samples], &config(Fit::Resample, target_len));
            let slope = (samples - 1) as f64 / (target_len - 1) as f64 / 128.0;
            for (j, value) in found[..target_len].iter().enumerate() {
                prop_assert!((f64::from(*value) - j as f64 * slope).abs() < 1e-6);
            }
        }
    }
}
