//! When a device that does one thing at a time is done.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The device's work so far: calls queue behind each other, as on a GPU.
pub struct Timeline {
    free_at: Mutex<Option<Instant>>,
}

impl Timeline {
    pub const fn idle() -> Self {
        Self {
            free_at: Mutex::new(None),
        }
    }

    /// Books `work` behind what is booked already; answers when it ends. A caller that wakes late costs the device
    /// nothing as long as another one has booked meanwhile.
    pub fn book(&self, now: Instant, work: Duration) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let start = free_at.map_or(now, |free_at| free_at.max(now));
        let end = start + work;
        *free_at = Some(end);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_queue_and_an_idle_device_starts_at_once() {
        let (device, ms) = (Timeline::idle(), Duration::from_millis);
        let now = Instant::now();
        assert_eq!(device.book(now, ms(10)), now + ms(10));
        assert_eq!(device.book(now + ms(4), ms(10)), now + ms(20));
        assert_eq!(device.book(now + ms(50), ms(10)), now + ms(60));
    }
}
