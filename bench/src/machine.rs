//! Where the figures come from: no figure means anything without it.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};
use weldfleet_testkit::onnxruntime_library;

use crate::plant::Plant;

/// The machine and the versions of what runs on it.
pub async fn describe(plant: &Plant) -> Result<Value> {
    let cpu = field("/proc/cpuinfo", "model name");
    let memory = field("/proc/meminfo", "MemTotal");
    let memory: f64 = memory.trim_end_matches(" kB").parse().unwrap_or(f64::NAN);
    let runtime = onnxruntime_library().display().to_string();
    let runtime = runtime
        .rsplit_once(".so.")
        .map_or("unknown", |(_, version)| version);
    Ok(json!({
        "cpu": cpu,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "memory_gb": (memory * 1024.0 / 1e9).round(),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "clickhouse": plant.sql("SELECT version()").await?,
        "redis": plant.redis_version().await?,
        "onnxruntime": runtime,
    }))
}

/// The first value of a name in a file of `name: value` lines; empty where there is none.
fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let values = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    values.into_iter().next().unwrap_or_default()
}
