//! What the metrics of a worker mean. They are counted where things happen.

use weldfleet_service::{
    metrics::{counter, gauge},
    recorder::{self, Kind, describe},
};

use crate::args::VERSION;

/// What is counted.
const COUNTERS: &str = "\
weldfleet_rows_total rows judged and written back, by outcome: ok, nok, invalid, error
weldfleet_ranges_total ranges that left this worker, by outcome: acked, or how they were given up
weldfleet_batches_failed_total times that rows were not judged together, but in halves to find those that a model or \
    the code fails on
weldfleet_mirror_failures_total times that MySQL did not take rows of the mirror; the leader makes up for it
weldfleet_mirror_skipped_total ranges that were not mirrored since MySQL had just failed; the scheduler makes up for \
    it
weldfleet_predict_requests_total requests to /predict by status code of the answer; `gone`: the client hung up before";

/// How long things took.
const DURATIONS: &str = "\
weldfleet_range_seconds time of a range in this worker, from its claim to its end
weldfleet_stage_seconds time of a stage of a range, by stage: fetch, judge, store, commit, mirror
weldfleet_stage_cpu_seconds CPU time by piece: fetch, judge (its waiting; its work is prepare, infer, conclude), \
    audit, encode, store, commit, mirror
weldfleet_inference_seconds time of a batch in the model
weldfleet_compute_wait_seconds time that a compute thread waited for its next batch
weldfleet_compute_busy_seconds time that a compute thread spent on a batch
weldfleet_predict_seconds time of a request to /predict, from its head to its answer";

/// What is so now.
const GAUGES: &str = "\
weldfleet_compute_threads threads that judge
weldfleet_leases ranges that this worker has in hand
weldfleet_model_files_changed files of models that are not what this worker has read; it judges on with what it read
weldfleet_save_dir_free_bytes room where the audit files go
weldfleet_save_dir_free_files files that can still be made there (inodes); only where the file system counts them
weldfleet_gpu_busy_ratio share of the time in which something ran on this worker's GPU; only where the driver tells
weldfleet_gpu_memory_used_bytes memory of this worker's GPU that is taken, by whomever
weldfleet_gpu_memory_bytes memory of this worker's GPU";

/// Installs the recorder of `worker run`.
pub fn install() -> anyhow::Result<recorder::Handle> {
    let handle = recorder::install(&["weldfleet_range_seconds"])?;
    describe(Kind::Counter, COUNTERS);
    describe(Kind::Histogram, DURATIONS);
    describe(Kind::Gauge, GAUGES);
    recorder::tell_build(&VERSION);
    from_zero();
    Ok(handle)
}

/// A counter that is not there before its first event hides that event from `increase`.
fn from_zero() {
    for outcome in ["ok", "nok", "invalid", "error"] {
        counter!("weldfleet_rows_total", "outcome" => outcome).increment(0);
    }
    counter!("weldfleet_ranges_total", "outcome" => "acked").increment(0);
    counter!("weldfleet_batches_failed_total").increment(0);
    counter!("weldfleet_mirror_failures_total").increment(0);
    counter!("weldfleet_mirror_skipped_total").increment(0);
    for code in ["200", "500"] {
        counter!("weldfleet_predict_requests_total", "code" => code).increment(0);
    }
    gauge!("weldfleet_model_files_changed").set(0.0);
}
