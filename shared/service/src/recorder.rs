//! Where the process keeps its metrics.

use std::time::Duration;

use metrics::Unit;
pub use metrics_exporter_prometheus::PrometheusHandle as Handle;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

/// Upper bounds of the histograms of durations, in seconds.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Of those that may take hours.
const UP_TO_HOURS: &[f64] = &[
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 7200.0, 14_400.0, 28_800.0,
];
/// Between two scrapes a histogram keeps every sample; nobody may scrape at all.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Installs the process-wide metrics recorder and keeps it small; the handle renders `/metrics`. The histograms named
/// in `hours` have buckets up to hours.
///
/// # Errors
/// If a recorder is already installed.
pub fn install(hours: &[&str]) -> anyhow::Result<Handle> {
    let mut builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?;
    for name in hours {
        let matcher = Matcher::Full((*name).to_owned());
        builder = builder.set_buckets_for_metric(matcher, UP_TO_HOURS)?;
    }
    let handle = builder.install_recorder()?;
    let kept = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            kept.run_upkeep();
        }
    });
    describe(
        Kind::Gauge,
        "weldfleet_dependency_up 1 while this process finds that the dependency does what it needs of it, else 0; NaN while it does not ask (ClickHouse, of a standby)",
    );
    Ok(handle)
}

/// Says which build this is.
pub fn tell_build(version: &'static str) {
    describe(
        Kind::Gauge,
        "weldfleet_build_info 1, with the version of this program as `--version` prints it",
    );
    metrics::gauge!("weldfleet_build_info", "version" => version).set(1.0);
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Says what metrics mean: of each a line, its name and behind it the text. The unit is the end of the name.
pub fn describe(kind: Kind, lines: &'static str) {
    metrics::with_recorder(|recorder| {
        for (name, text) in lines.lines().filter_map(|line| line.split_once(' ')) {
            let unit = match name.rsplit_once('_') {
                Some((_, "seconds")) => Some(Unit::Seconds),
                Some((_, "bytes")) => Some(Unit::Bytes),
                Some((_, "ratio")) => None,
                _ => Some(Unit::Count),
            };
            let (name, text) = (name.into(), text.into());
            match kind {
                Kind::Counter => recorder.describe_counter(name, unit, text),
                Kind::Gauge => recorder.describe_gauge(name, unit, text),
                Kind::Histogram => recorder.describe_histogram(name, unit, text),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_the_help_of_its_metric() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe(
                Kind::Counter,
                "weldfleet_a_total what a is\nweldfleet_b_total b: this",
            );
            metrics::counter!("weldfleet_a_total").increment(1);
            metrics::counter!("weldfleet_b_total").increment(1);
        });
        let shown = recorder.handle().render();
        for help in [
            "weldfleet_a_total what a is\n",
            "weldfleet_b_total b: this\n",
        ] {
            assert!(shown.contains(&format!("# HELP {help}")), "{shown}");
        }
    }
}
