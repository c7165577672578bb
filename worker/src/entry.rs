//! What this worker tells the fleet of itself, beside that it lives: its pace, what it spends its time on, its disk,
//! its GPU, what it waits for.
//!
//! The queue renews the worker's entry by itself. Here are only the free fields of it, which `scheduler status` shows,
//! and from which it tells why nothing moves. They are told anew when they change, the figures at most each ten
//! seconds.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use nix::sys::statvfs::statvfs;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use weldfleet_queue::Consumer;
use weldfleet_service::{Health, metrics::gauge};

use crate::{
    clock,
    gpu::{self, Gpu},
    pipeline::counts,
};

/// Time between two looks at what the worker waits for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Time over which the pace is counted.
const PACE: Duration = Duration::from_secs(10);
/// A file system that does not say its size for so long is left out, and a driver that does not say a load.
const DISK_PATIENCE: Duration = Duration::from_secs(2);
/// Not what this worker waits for but the fleet, and what it cannot tell anyway.
const NOT_OURS: [&str; 2] = ["paused", "redis"];

/// Keeps the entry of this worker true until `stop`; `fields` are those that never change.
pub fn keep(
    consumer: Consumer,
    health: Health,
    fields: BTreeMap<String, String>,
    save_dir: PathBuf,
    gpu: Option<u32>,
    stop: CancellationToken,
) {
    tokio::spawn(async move {
        let mut told = fields.clone();
        let mut now = fields;
        let mut before = Done::now();
        let mut gpu = Gpus::of(gpu);
        now.extend(disk(&save_dir).await);
        gpu.look(&mut now).await;
        while !stop.is_cancelled() {
            if before.at.elapsed() >= PACE {
                let done = Done::now();
                now.extend(figures(&before, &done));
                now.extend(disk(&save_dir).await);
                gpu.look(&mut now).await;
                before = done;
            }
            now.insert("waits_for".to_owned(), waits_for(&health));
            if now != told {
                consumer.set_fields(now.clone());
                told.clone_from(&now);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
}

/// The GPU's load, asked for on a thread that nobody waits for: a driver that hangs holds it, and not the worker's end.
struct Gpus {
    known: Arc<OnceLock<Option<Gpu>>>,
    device_id: Option<u32>,
    asking: Option<oneshot::Receiver<Vec<(String, String)>>>,
}

impl Gpus {
    fn of(device_id: Option<u32>) -> Self {
        Self {
            known: Arc::default(),
            device_id,
            asking: None,
        }
    }

    /// Puts in what the driver tells, and takes away what it tells no more.
    async fn look(&mut self, fields: &mut BTreeMap<String, String>) {
        let Some(device_id) = self.device_id else {
            return;
        };
        let known = self.known.clone();
        let asking = self.asking.get_or_insert_with(|| {
            let (answer, asking) = oneshot::channel();
            std::thread::spawn(move || {
                let gpu = known.get_or_init(|| Gpu::find(device_id));
                // The worker may be gone.
                let _ = answer.send(gpu.as_ref().map_or_else(Vec::new, Gpu::fields));
            });
            asking
        });
        let answer = tokio::time::timeout(DISK_PATIENCE, asking).await;
        if answer.is_ok() {
            self.asking = None;
        }
        let told = answer.map(Result::unwrap_or_default).unwrap_or_default();
        replace(fields, told);
    }
}

/// What was told of the GPU before and is not now becomes empty: the fleet keeps what it is not told anew.
fn replace(fields: &mut BTreeMap<String, String>, told: Vec<(String, String)>) {
    let mut before = fields
        .iter_mut()
        .filter(|(name, _)| name.starts_with("gpu_"))
        .peekable();
    if told.is_empty() && before.peek().is_some() {
        gpu::unknown();
    }
    before.for_each(|(_, value)| value.clear());
    fields.extend(told);
}

/// `component: reason` of the first thing that keeps this worker from working; empty if nothing does.
fn waits_for(health: &Health) -> String {
    let reasons = health.reasons();
    let first = reasons
        .iter()
        .find(|reason| !NOT_OURS.contains(&reason.component));
    first.map_or_else(String::new, |reason| {
        format!("{}: {}", reason.component, reason.reason)
    })
}

/// What was done since the start of the process.
struct Done {
    at: Instant,
    rows: u64,
    /// CPU time by stage, ns.
    stages: BTreeMap<&'static str, u64>,
}

impl Done {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            rows: counts::rows(),
            stages: clock::stages(),
        }
    }
}

fn figures(before: &Done, now: &Done) -> [(String, String); 2] {
    let seconds = (now.at - before.at).as_secs_f64();
    let pace = now.rows.saturating_sub(before.rows) as f64 / seconds.max(1e-3);
    let spent = now.stages.iter().map(|(stage, total)| {
        let earlier = before.stages.get(stage).copied().unwrap_or(0);
        (*stage, total.saturating_sub(earlier))
    });
    [
        ("rows_per_second".to_owned(), rounded(pace).to_string()),
        ("stages".to_owned(), shares(spent.collect())),
    ]
}

/// `infer 71 %, fetch 12 %`: the CPU time of each stage, the dearest first.
fn shares(mut spent: Vec<(&'static str, u64)>) -> String {
    let all: u64 = spent.iter().map(|(_, time)| time).sum();
    spent.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let shares = spent.iter().filter_map(|(stage, time)| {
        let percent = (time * 100).checked_div(all)?;
        (percent > 0).then(|| format!("{stage} {percent} %"))
    });
    shares.collect::<Vec<_>>().join(", ")
}

/// Three digits that count: more would be news each time.
fn rounded(number: f64) -> u64 {
    let mut unit = 1.0;
    while number / unit >= 1000.0 {
        unit *= 10.0;
    }
    ((number / unit).round() * unit) as u64
}

/// Room where the audit files go; nothing where that cannot be told.
async fn disk(save_dir: &Path) -> Option<(String, String)> {
    let save_dir = save_dir.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        // The folder is made with the first file.
        let mut folders = save_dir.ancestors();
        let there = folders
            .find(|folder| folder.exists())
            .unwrap_or(Path::new("."));
        let disk = statvfs(there).ok()?;
        let free = disk.blocks_available() as f64 * disk.fragment_size() as f64;
        // Some file systems count no files.
        let files = (disk.files() > 0).then(|| disk.files_available() as f64);
        Some((free, files))
    });
    let free = tokio::time::timeout(DISK_PATIENCE, asked)
        .await
        .ok()?
        .ok()?;
    let (bytes, files) = free?;
    gauge!("weldfleet_save_dir_free_bytes").set(bytes);
    if let Some(files) = files {
        gauge!("weldfleet_save_dir_free_files").set(files);
    }
    Some(("save_dir_free_bytes".to_owned(), rounded(bytes).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_time_between_two_looks() {
        let at = Instant::now();
        let before = Done {
            at,
            rows: 1000,
            stages: BTreeMap::from([("fetch", 500), ("infer", 100)]),
        };
        let now = Done {
            at: at + Duration::from_secs(10),
            rows: 91_234,
            stages: BTreeMap::from([("fetch", 700), ("infer", 880), ("write", 20)]),
        };
        let [pace, stages] = figures(&before, &now).map(|(_, value)| value);
        assert_eq!(pace, "9020");
        assert_eq!(stages, "infer 78 %, fetch 20 %, write 2 %");
        let [pace, stages] = figures(
            &now,
            &Done {
                at: now.at + PACE,
                rows: now.rows,
                stages: now.stages.clone(),
            },
        )
        .map(|(_, value)| value);
        assert_eq!((pace.as_str(), stages.as_str()), ("0", ""));
    }

    #[test]
    fn what_the_fleet_waits_for_is_not_the_workers() {
        let health = Health::default();
        assert_eq!(waits_for(&health), "");
        health.not_ready("paused", "by ana");
        health.not_ready("redis", "connection refused");
        assert_eq!(waits_for(&health), "");
        health.not_ready("save_dir", "No space left on device");
        assert_eq!(waits_for(&health), "save_dir: No space left on device");
    }

    #[tokio::test]
    async fn what_no_driver_tells_is_not_told() {
        let mut fields = BTreeMap::from([("gpu_busy_percent".to_owned(), "71".to_owned())]);
        Gpus::of(None).look(&mut fields).await;
        assert_eq!(fields.len(), 1, "on a processor nobody asks");
        // There is no such GPU. What was told is taken back: the fleet keeps a field that is left out.
        Gpus::of(Some(4711)).look(&mut fields).await;
        assert_eq!(fields["gpu_busy_percent"], "", "{fields:?}");
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_yet_is_on_the_disk_of_its_parent() {
        let folder = tempfile::tempdir().expect("folder");
        let deep = folder.path().join("not/yet");
        let (name, bytes) = disk(&deep).await.expect("a size");
        assert_eq!(name, "save_dir_free_bytes");
        assert!(bytes.parse::<u64>().is_ok());
        assert!(
            disk(Path::new("data/csv")).await.is_some(),
            "a relative one"
        );
    }
}
