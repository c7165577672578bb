//! Durations as people write them (`"30s"`, `"7d"`), with a bound: nothing here is meant for longer, and times that are
//! added to a clock must not leave its range.

use std::time::Duration;

use serde::{Deserializer, Serializer, de::Error as _};

/// The longest duration that a key may hold: ten years.
const LONGEST: Duration = Duration::from_secs(3653 * 24 * 3600);

pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    humantime_serde::serialize(duration, serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration: Duration = humantime_serde::deserialize(deserializer)?;
    if duration > LONGEST {
        return Err(D::Error::custom(
            "longer than 10 years, the most that a duration may be",
        ));
    }
    Ok(duration)
}
