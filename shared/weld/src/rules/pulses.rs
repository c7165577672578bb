//! Where current flows: pulses, and the gaps inside them.

use super::stepped::SteppedSettings;
use crate::{rounding::rounded, vectors::widest};

/// Steps looked at together.
const BLOCK: usize = 32;
/// Products summed side by side.
const LANES: usize = 8;

/// A stretch of steps, `start` inclusive, `end` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub start: usize,
    /// One past the last step.
    pub end: usize,
}

impl Stretch {
    pub fn steps(&self) -> usize {
        self.end - self.start
    }
}

/// A weld cut into pulses. Reusable.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Segments {
    pub pulses: Vec<Stretch>,
    /// Stretches without current inside a pulse, in time.
    pub gaps: Vec<Stretch>,
    /// Index of the main pulse in `pulses`: the one with the most ∫I²dt (∫U²dt where the weld is judged on U), of
    /// equals the first.
    pub main: Option<usize>,
    /// ∫I²dt of each pulse, or ∫U²dt; empty where there is one pulse.
    squares: Vec<f64>,
}

impl Segments {
    pub fn main(&self) -> Option<Stretch> {
        self.main.map(|index| self.pulses[index])
    }

    /// The main pulse, and before it every other one with at least half of its ∫I²dt.
    pub(super) fn hot_ones(&self) -> impl Iterator<Item = Stretch> + '_ {
        let most = self.main.and_then(|main| self.squares.get(main));
        let is_hot = move |(index, squares): (usize, &f64)| {
            let is_hot =
                Some(index) != self.main && most.is_some_and(|most| 2.0 * squares >= *most);
            is_hot.then(|| self.pulses[index])
        };
        let others = self.squares.iter().enumerate().filter_map(is_hot);
        others.chain(self.main())
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
                    if pulses >= stepped.settings.pulses.max_pulses
                        || !is_pause(*pulse, start, stepped) =>
                {
                    self.gaps.push(Stretch {
                        start: pulse.end,
                        end: start,
                    });
                    pulse.end = end;
                }
                _ => self.pulses.push(Stretch { start, end }),
            }
        }
        self.find_main(x, stepped.grid.step_ms);
    }

    /// A long temper at half the current is not what made the weld. Decided on sums rounded to six decimals, so that
    /// the order of summation cannot matter.
    fn find_main(&mut self, x: &[f32], step_ms: f64) {
        self.squares.clear();
        self.main = (!self.pulses.is_empty()).then_some(0);
        if self.pulses.len() < 2 {
            return;
        }
        let mut most = f64::NEG_INFINITY;
        for (index, pulse) in self.pulses.iter().enumerate() {
            let x = &x[pulse.start..pulse.end];
            let sum = widest(
                #[inline(always)]
                || dot(x, x),
            );
            let squares = rounded(sum * step_ms);
            self.squares.push(squares);
            if squares > most {
                (self.main, most) = (Some(index), squares);
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

fn is_pause(before: Stretch, until: usize, stepped: &SteppedSettings) -> bool {
    let within = |samples: usize, [least, most]: [usize; 2]| (least..=most).contains(&samples);
    let may_end = [stepped.prepulse, stepped.main]
        .into_iter()
        .any(|length| within(before.steps(), length));
    may_end && within(until - before.end, stepped.pause)
}

#[inline(always)]
pub(super) fn dot(x: &[f32], y: &[f32]) -> f64 {
    let mut sums = [0.0_f64; LANES];
    let (mut xs, mut ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for (x, y) in (&mut xs).zip(&mut ys) {
        for k in 0..LANES {
            sums[k] += f64::from(x[k]) * f64::from(y[k]);
        }
    }
    let rest = xs.remainder().iter().zip(ys.remainder());
    let rest: f64 = rest.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::settings::RuleSettings;

    /// Pulses and gaps of stretches given as (samples, whether current flows), under the defaults at 1 ms.
    fn cut(stretches: &[(usize, bool)]) -> (Vec<usize>, Vec<usize>) {
        cut_by(&RuleSettings::default(), stretches)
    }

    fn cut_by(settings: &RuleSettings, stretches: &[(usize, bool)]) -> (Vec<usize>, Vec<usize>) {
        let x: Vec<f32> = stretches
            .iter()
            .flat_map(|(samples, flows)| vec![if *flows { 1.0 } else { 0.0 }; *samples])
            .collect();
        let mut segments = Segments::default();
        segments.cut(&x, 0.1, &SteppedSettings::new(settings, 1.0));
        let lengths = |pulses: &[Stretch]| pulses.iter().map(Stretch::steps).collect();
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
    fn a_pause_may_follow_the_main_pulse_where_its_length_is_set() {
        let mut settings = RuleSettings::default();
        settings.pulses.max_pulses = 3;
        let temper = |main: usize| {
            [
                (70, true),
                (20, false),
                (main, true),
                (30, false),
                (120, true),
            ]
        };
        let as_one = cut_by(&settings, &temper(320));
        assert_eq!(as_one, (vec![70, 470], vec![30]), "off by default");
        settings.pulses.main_ms = [300.0, 350.0];
        for main in [300, 350] {
            let apart = cut_by(&settings, &temper(main));
            assert_eq!(apart, (vec![70, main, 120], vec![]));
        }
        for main in [299, 351] {
            let as_one = cut_by(&settings, &temper(main));
            assert_eq!(as_one, (vec![70, main + 150], vec![30]));
        }
        // Between the two ranges, and inside the main pulse, a gap is what it was.
        let interrupted = [
            (150, true),
            (20, false),
            (150, true),
            (30, false),
            (120, true),
        ];
        assert_eq!(cut_by(&settings, &interrupted), (vec![320, 120], vec![20]));
    }

    #[test]
    fn the_main_pulse_has_the_most_current_squared() {
        let mut settings = RuleSettings::default();
        settings.pulses.max_pulses = 4;
        settings.pulses.prepulse_ms = [40.0, 1000.0];
        let stepped = SteppedSettings::new(&settings, 1.0);
        let main = |pulses: &[(usize, f32)]| {
            let pulse = |&(steps, top): &(usize, f32)| [vec![top; steps], vec![0.0; 20]].concat();
            let x: Vec<f32> = pulses.iter().flat_map(pulse).collect();
            let mut segments = Segments::default();
            segments.cut(&x, 0.9, &stepped);
            assert_eq!(segments.pulses.len(), pulses.len());
            let hot: Vec<usize> = segments.hot_ones().map(|pulse| pulse.steps()).collect();
            (segments.main, hot)
        };
        assert_eq!(main(&[(65, 5.4), (320, 9.0)]), (Some(1), vec![320]));
        let long_temper = main(&[(65, 5.4), (260, 9.0), (400, 5.0)]);
        assert_eq!(long_temper, (Some(1), vec![260]));
        // Its contact breakdown is no expulsion.
        assert_eq!(main(&[(110, 5.4), (200, 9.0)]), (Some(1), vec![200]));
        let pulsation = main(&[(100, 9.5), (100, 9.5), (100, 9.5)]);
        assert_eq!(pulsation, (Some(0), vec![100, 100, 100]));
        assert_eq!(main(&[(50, 9.0), (99, 9.0), (49, 9.0)]).1, [50, 99]);
        assert_eq!(main(&[(49, 9.0), (99, 9.0)]).1, [99]);
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
