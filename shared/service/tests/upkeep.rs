//! A process whose metrics nobody scrapes. Alone in its file, since it looks at the memory of the whole process.

use std::time::Duration;

use weldfleet_service::{metrics::histogram, recorder};

/// Samples recorded in all; each takes 16 bytes until it is put into its bucket.
const SAMPLES: u64 = 4_000_000;
/// Samples between two times that somebody else has his turn.
const STEP: u64 = 50_000;
/// What the process may grow by: a tenth of the samples.
const MOST_BYTES: u64 = SAMPLES * 16 / 10;

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let resident = pages.split(' ').nth(1).expect("a second number");
    resident.parse::<u64>().expect("a number") * 4096
}

#[tokio::test(start_paused = true)]
async fn histograms_do_not_grow_while_nobody_scrapes() {
    let handle = recorder::install(&["weldfleet_long_seconds"]).expect("recorder");
    let histogram = histogram!("weldfleet_long_seconds");
    let record = async |samples: u64| {
        for sample in 0..samples {
            histogram.record(sample as f64 / 400.0);
            if sample % STEP == 0 {
                tokio::time::sleep(Duration::from_secs(6)).await;
            }
        }
    };
    record(STEP * 4).await;
    let before = resident_bytes();
    record(SAMPLES).await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < MOST_BYTES, "{} MB more", grown / 1_000_000);

    let text = handle.render();
    let all = SAMPLES + STEP * 4;
    for line in [
        format!("weldfleet_long_seconds_count {all}"),
        // two hours are a bucket of their own
        "weldfleet_long_seconds_bucket{le=\"7200\"} 3080001".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} in {text}");
    }
}
