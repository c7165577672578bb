//! How long to wait between two tries.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that double from 250 ms to 5 s.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub fn failed(&mut self) -> Duration {
        let wait = doubled((FIRST, LONGEST), self.failures);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    pub fn worked(&mut self) {
        self.failures = 0;
    }
}

/// The first wait, doubled so many times, up to the longest.
pub fn doubled((first, longest): (Duration, Duration), times: u32) -> Duration {
    let wait = first.saturating_mul(2_u32.saturating_pow(times));
    wait.min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_double_up_to_a_bound() {
        let seconds = |times| {
            let bounds = (Duration::from_secs(60), Duration::from_secs(600));
            doubled(bounds, times).as_secs()
        };
        assert_eq!(
            [0, 1, 2, 3, 4, 99].map(seconds),
            [60, 120, 240, 480, 600, 600]
        );
    }

    #[test]
    fn waits_longer_and_longer_but_never_long() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..7).map(|_| backoff.failed().as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        backoff.failures = u32::MAX;
        assert_eq!(backoff.failed(), LONGEST);
        backoff.worked();
        assert_eq!(backoff.failed(), FIRST);
    }
}
