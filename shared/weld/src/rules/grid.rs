//! The rules' own sampling: steps of about a millisecond, of whatever rate above that the recorder has.
//!
//! A step is a whole number of samples, the one nearest to 1 ms, and its value is their mean. At 1 kHz and below a step
//! is one sample. So a window of five steps sees as much time, and as little noise, at 50 kHz as at 1 kHz.

/// What a step should last, ms.
const STEP_MS: f64 = 1.0;

/// How samples become steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grid {
    pub samples: usize,
    /// Time between two steps, ms.
    pub step_ms: f64,
}

impl Grid {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "intervals are from 0.01 to 20 ms"
    )]
    pub(super) fn new(sample_interval_ms: f64) -> Self {
        let samples = ((STEP_MS / sample_interval_ms + 0.5).floor() as usize).max(1);
        Self {
            samples,
            step_ms: samples as f64 * sample_interval_ms,
        }
    }

    /// `x` in steps; samples at the end that fill no step are left out. `means` is scratch.
    pub(super) fn steps<'a>(&self, x: &'a [f32], means: &'a mut Vec<f32>) -> &'a [f32] {
        if self.samples == 1 {
            return x;
        }
        means.clear();
        means.extend(x.chunks_exact(self.samples).map(mean));
        means
    }
}

/// The `f64` sum of so few `f32` of like size is exact, in any order.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a step is far below 2^52 samples, and rounding to f32 is what is wanted"
)]
fn mean(samples: &[f32]) -> f32 {
    let sum: f64 = samples.iter().map(|value| f64::from(*value)).sum();
    (sum / samples.len() as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_the_whole_number_of_samples_nearest_to_a_millisecond() {
        for (interval, samples) in [
            (0.01, 100),
            (0.02, 50),
            (0.1, 10),
            (0.2, 5),
            (0.3, 3),
            (0.5, 2),
            (0.7, 1),
            (1.0, 1),
            (2.0, 1),
            (20.0, 1),
        ] {
            assert_eq!(Grid::new(interval).samples, samples, "{interval} ms");
        }
        assert_eq!(Grid::new(0.3).step_ms, 3.0 * 0.3);
    }

    #[test]
    fn steps_are_means_and_leave_out_what_fills_none() {
        let mut means = vec![7.0];
        let grid = Grid::new(0.5);
        assert_eq!(
            grid.steps(&[1.0, 2.0, 4.0, 8.0, 9.0], &mut means),
            [1.5, 6.0]
        );
        assert!(grid.steps(&[1.0], &mut means).is_empty());
        assert_eq!(Grid::new(1.0).steps(&[1.0, 2.0], &mut means), [1.0, 2.0]);
    }
}
