//! What a look need not read again.

use std::time::{Duration, Instant};

/// Even where nothing was written a filter may select other rows after a while.
const LONGEST: Duration = Duration::from_secs(30);

/// Something that was read of a table, and of which parts the table consisted before.
pub struct Remembered<T> {
    pub value: T,
    stamp: u64,
    began: Instant,
    took: Duration,
}

impl<T: Clone> Remembered<T> {
    /// What is remembered if it `is_good` still, else what is read now.
    pub async fn or_read<E>(
        known: &mut Option<Self>,
        stamp: u64,
        is_good: impl FnOnce(&Self) -> bool,
        reading: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if let Some(known) = known.as_ref().filter(|known| is_good(known)) {
            return Ok(known.value.clone());
        }
        let began = Instant::now();
        let value = reading.await?;
        *known = Some(Self {
            value: value.clone(),
            stamp,
            began,
            took: began.elapsed(),
        });
        Ok(value)
    }

    /// Whether nothing was written to the table since.
    pub fn is_of(&self, stamp: u64) -> bool {
        self.stamp == stamp && self.is_younger_than(LONGEST)
    }

    /// Whether it was read so lately that reading it takes at most one part in `share` of the time.
    pub fn is_within(&self, share: u32) -> bool {
        self.is_younger_than(self.took * share)
    }

    pub fn is_younger_than(&self, age: Duration) -> bool {
        self.began.elapsed() < age
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_read_again_with_other_parts_only() {
        let mut known = None;
        let mut read = Vec::new();
        for (reading, stamp) in [(1, 7), (2, 7), (3, 8)] {
            let value = Remembered::or_read(&mut known, stamp, |known| known.is_of(stamp), async {
                Ok::<_, ()>(reading)
            });
            read.push(value.await.unwrap());
        }
        assert_eq!(read, [1, 1, 3]);
        let failed = Remembered::or_read(&mut known, 9, |known| known.is_of(9), async { Err(()) });
        assert_eq!(failed.await, Err(()));
        assert!(known.is_some_and(|known| known.value == 3 && !known.is_within(0)));
    }
}
