//! What the kernel counts of a process: CPU time by thread, memory.

use std::{
    fs,
    ops::Sub,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

/// CPU time of a process, the threads that have ended included.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |place: usize| {
        fields
            .get(place)
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0)
    };
    // utime and stime, in hundredths of a second.
    Ok(Duration::from_millis(10 * (ticks(11) + ticks(12))))
}

/// What a process spends from a moment on.
pub struct Meter {
    pid: u32,
    began: Instant,
    cpu: Duration,
}

impl Meter {
    /// From now on.
    pub fn start(pid: u32) -> Result<Self> {
        Ok(Self {
            pid,
            cpu: cpu(pid)?,
            began: Instant::now(),
        })
    }

    /// Since the start.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Seconds of CPU since the start.
    pub fn cpu(&self) -> Result<f64> {
        Ok(cpu(self.pid)?.saturating_sub(self.cpu).as_secs_f64())
    }
}

/// CPU time of the stores.
#[derive(Clone, Copy)]
pub struct StoresCpu {
    pub clickhouse: Duration,
    pub redis: Duration,
    pub mysql: Duration,
}

impl Sub for StoresCpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            clickhouse: self.clickhouse.saturating_sub(before.clickhouse),
            redis: self.redis.saturating_sub(before.redis),
            mysql: self.mysql.saturating_sub(before.mysql),
        }
    }
}

/// CPU time of the living threads whose name starts so, to the nanosecond.
pub fn threads_cpu(pid: u32, name: &str) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for entry in fs::read_dir(format!("/proc/{pid}/task")).context("threads of a process")? {
        let task = entry?.path();
        let comm = fs::read_to_string(task.join("comm")).unwrap_or_default();
        if comm.starts_with(name) {
            let schedstat = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            let nanos = schedstat
                .split_whitespace()
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            total += Duration::from_nanos(nanos);
        }
    }
    Ok(total)
}

/// Time in which the machine's cores were busy and idle, all of them together.
pub fn machine() -> Result<(Duration, Duration)> {
    let stat = read("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    // user nice system idle iowait irq softirq steal, in hundredths of a second.
    let ticks: Vec<u64> = first
        .split_whitespace()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    let busy = ticks.iter().take(8).sum::<u64>() - idle;
    Ok((
        Duration::from_millis(10 * busy),
        Duration::from_millis(10 * idle),
    ))
}

/// Largest resident memory so far, MB.
pub fn peak_mb(pid: u32) -> Result<f64> {
    status_mb(pid, "VmHWM:")
}

/// Resident memory, MB.
pub fn resident_mb(pid: u32) -> Result<f64> {
    status_mb(pid, "VmRSS:")
}

/// Libraries that run the models: ONNX Runtime, OpenVINO and what they bring.
const RUNTIME_LIBRARIES: [&str; 4] = ["libonnxruntime", "libopenvino", "libtbb", "libhwloc"];

/// Resident memory of the mapped files of the model runtime, MB: programs of one host share it.
pub fn runtime_libraries_mb(pid: u32) -> Result<f64> {
    let mut of_runtime = false;
    let mut kib = 0.0;
    for line in read(&format!("/proc/{pid}/smaps"))?.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if !first.ends_with(':') {
            // A mapping: addresses, rights, offset, device, inode, file.
            let file = words.nth(4).unwrap_or_default();
            let name = file.rsplit('/').next().unwrap_or_default();
            of_runtime = RUNTIME_LIBRARIES
                .iter()
                .any(|library| name.starts_with(library));
        } else if of_runtime && first == "Rss:" {
            kib += words
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0.0);
        }
    }
    Ok(kib * 1024.0 / 1e6)
}

fn status_mb(pid: u32, field: &str) -> Result<f64> {
    let status = read(&format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap_or_default();
    let kib: f64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .context("kB of memory")?;
    Ok(kib * 1024.0 / 1e6)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}
