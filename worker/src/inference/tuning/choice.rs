//! From rates to a layout.

use serde::{Deserialize, Serialize};

use crate::inference::layout::Layout;

/// By how much a layout must beat the usual one, or OpenVINO ONNX Runtime's own provider: more than a measurement of
/// milliseconds on a busy host is off.
pub const MARGIN: f64 = 1.10;
/// Seconds of a compute thread a row besides inference. A layout with few threads pays for them.
const PREPARATION: f64 = 6e-6;

/// A layout and what it was measured to do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub layout: Layout,
    /// Rows a second of the model alone.
    pub rows_per_second: f64,
}

/// The first layout, unless the fastest other one beats it by the margin; `None` if there is none.
pub fn choose(layouts: &[Layout], rates: &[f64]) -> Option<Choice> {
    let mut measured = layouts.iter().zip(rates).map(|(layout, rate)| Choice {
        layout: *layout,
        rows_per_second: *rate,
    });
    let usual = measured.next()?;
    let mut best = usual;
    for choice in measured {
        if yields(&choice) > yields(&best) {
            best = choice;
        }
    }
    if yields(&best) > yields(&usual) * MARGIN {
        Some(best)
    } else {
        Some(usual)
    }
}

/// Rows a second with their preparation.
fn yields(choice: &Choice) -> f64 {
    let preparation = PREPARATION / choice.layout.sessions as f64;
    1.0 / (1.0 / choice.rows_per_second + preparation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(sessions: usize, batch_rows: usize) -> Layout {
        Layout {
            sessions,
            threads: 1,
            batch_rows,
        }
    }

    fn chosen(rates: [f64; 3]) -> usize {
        let layouts = [layout(2, 32), layout(2, 8), layout(2, 64)];
        choose(&layouts, &rates).unwrap().layout.batch_rows
    }

    #[test]
    fn noise_does_not_move_the_choice_and_a_clear_gain_does() {
        assert_eq!(chosen([9000.0, 9700.0, 8000.0]), 32);
        assert_eq!(chosen([9000.0, 10_300.0, 12_000.0]), 64);
        assert_eq!(chosen([9000.0, 20_000.0, 15_000.0]), 8);
        assert_eq!(choose(&[], &[]), None);
    }

    #[test]
    fn one_thread_must_make_up_for_the_preparation_it_cannot_share() {
        let layouts = [layout(2, 32), layout(1, 32)];
        let choose = |first, second| choose(&layouts, &[first, second]);
        // A near-free model: twice the rate, and yet the two threads yield more.
        let choice = choose(1_000_000.0, 2_000_000.0).unwrap();
        assert_eq!(choice.layout, layouts[0]);
        let choice = choose(1000.0, 1500.0).unwrap();
        assert_eq!(choice.layout, layouts[1]);
    }
}
