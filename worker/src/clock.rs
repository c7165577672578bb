//! What a stage costs: its time on the clock, and its time on a core.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::pin,
    sync::Mutex,
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};
use weldfleet_service::{lock, metrics};

/// CPU time of the calling thread so far.
pub fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map(Duration::from)
        .unwrap_or_default()
}

/// CPU time by stage since the start of the process, ns.
static STAGES: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// CPU time by stage since the start of the process, ns.
pub fn stages() -> BTreeMap<&'static str, u64> {
    lock(&STAGES).clone()
}

/// Counts CPU time for a stage.
pub fn count_cpu(stage: &'static str, spent: Duration) {
    *lock(&STAGES).entry(stage).or_default() += spent.as_nanos() as u64;
    metrics::histogram!("weldfleet_stage_cpu_seconds", "stage" => stage).record(spent);
}

/// Runs `work` and counts its CPU time for a stage.
pub fn busy<T>(stage: &'static str, work: impl FnOnce() -> T) -> T {
    let before = thread_cpu();
    let result = work();
    count_cpu(stage, thread_cpu().saturating_sub(before));
    result
}

/// Waits for `work`; records how long that took, and the CPU time of its own polls. What it has other tasks do, such as
/// reading a socket, is not in it.
pub async fn timed<T>(stage: &'static str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let mut work = pin!(work);
    let mut cpu = Duration::ZERO;
    let result = poll_fn(|context| {
        let before = thread_cpu();
        let polled = work.as_mut().poll(context);
        cpu += thread_cpu().saturating_sub(before);
        polled
    })
    .await;
    metrics::histogram!("weldfleet_stage_seconds", "stage" => stage).record(started.elapsed());
    count_cpu(stage, cpu);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_clock_stands_while_it_sleeps() {
        let before = thread_cpu();
        std::thread::sleep(Duration::from_millis(30));
        assert!(thread_cpu() - before < Duration::from_millis(20));
        let began = Instant::now();
        while thread_cpu() - before < Duration::from_millis(5) {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "the clock does not run"
            );
        }
    }
}
