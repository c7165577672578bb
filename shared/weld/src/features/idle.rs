//! Samples without current before and after the weld: a recorder that runs longer must not change the verdict.

use std::ops::Range;

use super::InferenceConfig;
use crate::rounding::{samples, single};
use crate::{curves::Curves, vectors::widest};

/// Current flows where it is at least this share of the curve's largest sample …
const FLOWING_SHARE: f64 = 0.05;
/// … for at least this long, ms: a single spike is no weld.
const FLOWING_MS: f64 = 3.0;
/// Samples looked at together.
const BLOCK: usize = 32;

/// The samples that a model is fed, U in V and I in kA: the weld, and around it at most the idle time of
/// `idle_before_ms` and `idle_after_ms`. Nothing is cut on a side whose key is missing, nor where no current flows at
/// all.
#[must_use]
pub fn without_idle<'a>(curves: &'a Curves, config: &InferenceConfig) -> (&'a [f32], &'a [f32]) {
    let span = weld_span(curves, config);
    (&curves.u()[span.clone()], &curves.i()[span])
}

/// Where in the curve the samples lie that a model is fed; see [`without_idle`].
#[must_use]
pub fn weld_span(curves: &Curves, config: &InferenceConfig) -> Range<usize> {
    let i = curves.i();
    let whole = 0..i.len();
    if config.idle_before_ms.is_none() && config.idle_after_ms.is_none() {
        return whole;
    }
    let threshold = single(FLOWING_SHARE * f64::from(curves.largest_current()));
    let samples = |ms: f64| samples(ms, curves.sample_interval_ms());
    let least = samples(FLOWING_MS).max(1);
    let Some(flow) = widest(
        #[inline(always)]
        || flow(i, threshold, least),
    ) else {
        return whole;
    };
    let start = config
        .idle_before_ms
        .map_or(0, |ms| flow.start.saturating_sub(samples(ms)));
    let end = config
        .idle_after_ms
        .map_or(i.len(), |ms| (flow.end + samples(ms)).min(i.len()));
    start..end
}

/// From the first to the last sample with current, of runs of at least `least` such samples.
#[inline(always)]
fn flow(i: &[f32], threshold: f32, least: usize) -> Option<Range<usize>> {
    let flows = |value: &f32| *value >= threshold;
    let mut start = 0;
    loop {
        let (blocks, _) = i[start..].as_chunks::<BLOCK>();
        let idle =
            |block: &&[f32; BLOCK]| !block.iter().fold(false, |any, value| any | flows(value));
        start += BLOCK * blocks.iter().take_while(idle).count();
        start += i[start..].iter().take_while(|value| !flows(value)).count();
        let run = i[start..]
            .iter()
            .take(least)
            .take_while(|value| flows(value))
            .count();
        if run == least {
            break;
        }
        start += run;
        if start == i.len() {
            return None;
        }
    }
    let mut end = i.len();
    loop {
        let (_, blocks) = i[..end].as_rchunks::<BLOCK>();
        let idle =
            |block: &&[f32; BLOCK]| !block.iter().fold(false, |any, value| any | flows(value));
        end -= BLOCK * blocks.iter().rev().take_while(idle).count();
        end -= i[..end]
            .iter()
            .rev()
            .take_while(|value| !flows(value))
            .count();
        let run = i[..end]
            .iter()
            .rev()
            .take(least)
            .take_while(|value| flows(value))
            .count();
        if run == least {
            return Some(start..end);
        }
        end -= run;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, sample by sample.
    fn plainly(i: &[f32], threshold: f32, least: usize) -> Option<Range<usize>> {
        let runs: Vec<Range<usize>> = (0..i.len())
            .filter(|k| i[*k] >= threshold && (*k == 0 || i[*k - 1] < threshold))
            .map(|k| {
                k..k + i[k..]
                    .iter()
                    .take_while(|value| **value >= threshold)
                    .count()
            })
            .filter(|run| run.len() >= least)
            .collect();
        Some(runs.first()?.start..runs.last()?.end)
    }

    proptest! {
        #[test]
        fn blocks_find_what_single_steps_find(
            stretches in prop::collection::vec((any::<bool>(), 0_usize..90), 0..9),
            least in 1_usize..9,
        ) {
            let i: Vec<f32> = stretches
                .iter()
                .flat_map(|(flows, samples)| vec![if *flows { 1.0 } else { 0.1 }; *samples])
                .collect();
            prop_assert_eq!(flow(&i, 0.5, least), plainly(&i, 0.5, least));
        }
    }
}
