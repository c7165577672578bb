//! What Redis and a process have used.

use nix::{
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};
use redis::aio::MultiplexedConnection;

use crate::Error;

/// Since the server's start.
pub struct Usage {
    pub cpu_s: f64,
    /// Commands, those inside scripts counted, and this question not.
    pub commands: u64,
    pub memory: u64,
}

impl Usage {
    pub async fn of(connection: &mut MultiplexedConnection) -> Result<Self, Error> {
        let info: String = redis::cmd("INFO")
            .arg("all")
            .query_async(connection)
            .await?;
        let field = |name: &str| {
            let text = info
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            text.and_then(|text| text.trim().parse::<f64>().ok())
                .ok_or_else(|| format!("INFO has no number {name}"))
        };
        let counted = info
            .lines()
            .filter(|line| line.starts_with("cmdstat_") && !line.starts_with("cmdstat_info"));
        let calls = counted.filter_map(|line| {
            line.split_once("calls=")?
                .1
                .split(',')
                .next()?
                .parse::<u64>()
                .ok()
        });
        Ok(Self {
            cpu_s: field("used_cpu_user")? + field("used_cpu_sys")?,
            commands: calls.sum(),
            memory: field("used_memory")? as u64,
        })
    }
}

/// CPU seconds of a process so far.
pub fn cpu_of(pid: i32) -> Result<f64, Error> {
    let time = clock_gettime(clock_getcpuclockid(Pid::from_raw(pid))?)?;
    Ok(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}

/// `share` 0.5 is the median.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get(((sorted.len().max(1) - 1) as f64 * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}
