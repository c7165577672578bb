//! Durations as the protocol counts them, chance, and the waits between tries.

use std::time::Duration;

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Uniform in 0..1, for jitter only.
pub(crate) fn chance() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// Waits between tries while Redis is away: short, since a lease may depend on it, and jittered.
pub(crate) struct JitteredBackoff {
    next: Duration,
    most: Duration,
}

const FIRST: Duration = Duration::from_millis(20);

impl JitteredBackoff {
    pub fn new(most: Duration) -> Self {
        Self {
            next: FIRST,
            most: most.max(FIRST),
        }
    }

    /// The next wait is the first again.
    pub fn worked(&mut self) {
        self.next = FIRST;
    }

    /// How long to wait after one more failure.
    pub fn failed(&mut self) -> Duration {
        let delay = self.next.mul_f64(0.5 + chance() / 2.0);
        self.next = (self.next * 2).min(self.most);
        delay
    }
}
