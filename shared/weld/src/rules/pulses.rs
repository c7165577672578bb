//! Where current flows: pulses, and the gaps inside them.

use super::stepped::SteppedSettings;

/// Steps looked at together.
const BLOCK: usize = 32;

/// A stretch of steps, `start` inclusive, `end` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    pub start: usize,
    /// One past the last step.
    pub end: usize,
}

impl Pulse {
    #[must_use]
    pub fn steps(&self) -> usize {
        self.end - self.start
    }
}

/// A weld cut into pulses. Reusable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segments {
    pub pulses: Vec<Pulse>,
    /// Stretches without current inside a pulse, in time.
    pub gaps: Vec<Pulse>,
    /// Index of the main pulse in `pulses`: the longest, of equals the first.
    pub main: Option<usize>,
}

impl Segments {
    #[must_use]
    pub fn main(&self) -> Option<Pulse> {
        self.main.map(|index| self.pulses[index])
    }

    /// Cuts `x` where it is at least `threshold`.
    ///
    /// Stretches shorter than `stepped.min_pulse` are noise. A gap is a pause of the weld program if its length, that
    /// of the pulse before it and the number of pulses so far all allow it; every other gap lies inside a pulse.
    pub(super) fn cut(&mut self, x: &[f32], threshold: f32, stepped: &SteppedSettings) {
        self.pulses.clear();
        self.gaps.clear();
        let mut end = 0;
        loop {
            let start = end + run(&x[end..], threshold, false);
            if start == x.len() {
                break;
            }
            end = start + run(&x[start..], threshold, true);
            if end - start < stepped.min_pulse {
                continue;
            }
            let pulses = self.pulses.len();
            match self.pulses.last_mut() {
                Some(pulse)
                    if pulses >= stepped.max_pulses || !is_pause(*pulse, start, stepped) =>
                {
                    self.gaps.push(Pulse {
                        start: pulse.end,
                        end: start,
                    });
                    pulse.end = end;
                }
                _ => self.pulses.push(Pulse { start, end }),
            }
        }
        self.main = None;
        for (index, pulse) in self.pulses.iter().enumerate() {
            if self.main().is_none_or(|main| pulse.steps() > main.steps()) {
                self.main = Some(index);
            }
        }
    }
}

/// For how many steps at the start current flows, or does not; a block at a time, which the vector unit compares at
/// once.
fn run(x: &[f32], threshold: f32, flows: bool) -> usize {
    let goes_on = |value: &f32| (*value >= threshold) == flows;
    let all = |block: &&[f32; BLOCK]| block.iter().fold(true, |all, value| all & goes_on(value));
    let passed = BLOCK * x.as_chunks().0.iter().take_while(all).count();
    passed
        + x[passed..]
            .iter()
            .take_while(|value| goes_on(value))
            .count()
}

fn is_pause(before: Pulse, until: usize, stepped: &SteppedSettings) -> bool {
    let within = |samples: usize, [least, most]: [usize; 2]| (least..=most).contains(&samples);
    within(until - before.end, stepped.pause) && within(before.steps(), stepped.prepulse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::settings::RuleSettings;

    /// Pulses and gaps of stretches given as (samples, whether current flows), under the defaults at 1 ms.
    fn cut(stretches: &[(usize, bool)]) -> (Vec<usize>, Vec<usize>) {
        let x: Vec<f32> = stretches
            .iter()
            .flat_map(|(samples, flows)| vec![if *flows { 1.0 } else { 0.0 }; *samples])
            .collect();
        let mut segments = Segments::default();
        segments.cut(
            &x,
            0.1,
            &SteppedSettings::new(&RuleSettings::default(), 1.0),
        );
        let lengths = |pulses: &[Pulse]| pulses.iter().map(Pulse::steps).collect();
        (lengths(&segments.pulses), lengths(&segments.gaps))
    }

    #[test]
    fn a_pause_must_fit_the_program_and_every_bound_is_inclusive() {
        let two = |before: usize, pause: usize| cut(&[(before, true), (pause, false), (300, true)]);
        for (before, pause) in [(40, 8), (40, 40), (110, 8), (110, 40)] {
            assert_eq!(
                two(before, pause),
                (vec![before, 300], vec![]),
                "{before}, {pause}"
            );
        }
        for (before, pause) in [(39, 20), (111, 20), (70, 7), (70, 41)] {
            assert_eq!(
                two(before, pause),
                (vec![before + pause + 300], vec![pause]),
                "{before}, {pause}"
            );
        }
        let third = cut(&[
            (70, true),
            (20, false),
            (80, true),
            (20, false),
            (200, true),
        ]);
        assert_eq!(
            third,
            (vec![70, 300], vec![20]),
            "only one pause in a program of two pulses"
        );
    }

    #[test]
    fn short_stretches_are_noise_and_nothing_is_nothing() {
        assert_eq!(
            cut(&[(2, true), (20, false), (3, true), (20, false)]),
            (vec![3], vec![])
        );
        assert_eq!(cut(&[(50, false)]), (vec![], vec![]));
        assert_eq!(cut(&[]), (vec![], vec![]));
    }

    #[test]
    fn a_threshold_that_is_no_number_finds_nothing() {
        let mut segments = Segments::default();
        let stepped = SteppedSettings::new(&RuleSettings::default(), 1.0);
        segments.cut(&[1.0; 100], f32::NAN, &stepped);
        assert_eq!(segments, Segments::default());
    }
}
