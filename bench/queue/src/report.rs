//! Tables for people, JSON for the next release, Markdown for the README.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, cost::Cost, recovery::Recovery, scale::Scale};

#[derive(Serialize, Deserialize)]
pub struct Results {
    pub jobs: usize,
    pub rounds: usize,
    pub cost: Vec<Cost>,
    pub recovery: Vec<Recovery>,
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../results")).join(name)
}

pub fn write<T: Serialize>(name: &str, results: &T) -> Result<(), Error> {
    let path = path(name);
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    fs::write(&path, serde_json::to_string_pretty(results)? + "\n")?;
    println!("\nwritten to {}", path.canonicalize()?.display());
    Ok(())
}

fn read<T: DeserializeOwned>(name: &str) -> Result<T, Error> {
    let path = path(name);
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("{}: {error}; run the bench first", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

pub fn cost(costs: &[Cost]) {
    println!(
        "\n{:48} {:>7} {:>9} {:>17} {:>18} {:>18}",
        "no-op jobs, a job each",
        "workers",
        "jobs/s",
        "commands enq/drain",
        "redis µs (floor=1)",
        "client µs (floor=1)"
    );
    for cost in costs {
        println!(
            "{:48} {:>7} {:>9.0} {:>10.1} / {:>4.1} {:>11.1} ({:.2}) {:>11.1} ({:.2})",
            cost.name,
            cost.workers,
            cost.jobs_per_s,
            cost.enqueue_commands,
            cost.drain_commands,
            cost.redis_us,
            cost.redis_to_floor,
            cost.client_us,
            cost.client_to_floor
        );
    }
}

pub fn recovery(all: &[Recovery]) {
    println!(
        "\n{:36} {:>28}   a job that aborts its worker every time",
        "kill -9 to the next claim", "seconds"
    );
    for one in all {
        println!("{:36} {:>28}   {}", one.name, reclaimed(one), outcome(one));
    }
}

fn reclaimed(one: &Recovery) -> String {
    match (one.reclaim_s.first(), one.reclaim_s.last()) {
        (Some(first), Some(last)) if one.reclaim_s.len() == one.tries => {
            format!("{first:.1} to {last:.1}")
        }
        (Some(first), Some(_)) => format!("{first:.1} to over {}", one.patience_s),
        _ => format!("over {}", one.patience_s),
    }
}

fn outcome(one: &Recovery) -> String {
    let crash = &one.crash;
    let end = if crash.given_up {
        "given up"
    } else {
        "still run"
    };
    format!(
        "{end} after {} starts, {:.0} s",
        crash.starts, crash.seconds
    )
}

pub fn scale(results: &Scale) {
    println!();
    for (what, value) in scale_rows(results) {
        println!("{what:58} {value}");
    }
}

fn scale_rows(scale: &Scale) -> Vec<(String, String)> {
    let three =
        |values: &[f64; 3]| format!("{:.2} / {:.2} / {:.1} ms", values[0], values[1], values[2]);
    let phase = |name: &str, phase: &crate::scale::Phase| {
        let work = format!(
            "{:.0} jobs/s, {:.0} % of a core of Redis, {:.1} commands a job",
            phase.jobs_per_s,
            phase.redis_core * 100.0,
            phase.commands
        );
        [
            (name.to_owned(), work),
            (
                format!("{name}, claim p50 / p99 / worst"),
                three(&phase.claim_ms),
            ),
        ]
    };
    let mut rows = vec![
        (
            format!("enqueue of {} ranges", scale.jobs),
            format!(
                "{:.0} jobs/s, {:.1} Redis µs and {:.1} commands a job",
                scale.enqueued_per_s, scale.enqueue_redis_us, scale.enqueue_commands
            ),
        ),
        (
            "memory of an outstanding job".to_owned(),
            format!("{:.0} bytes", scale.bytes_a_job),
        ),
    ];
    for (jobs_per_s, steady) in &scale.steady {
        rows.extend(phase(
            &format!(
                "{} workers, one job at a time, {jobs_per_s} jobs/s asked for",
                scale.workers
            ),
            steady,
        ));
    }
    rows.extend(phase(
        &format!("{} workers, 16 at a time, flat out", scale.workers),
        &scale.flat_out,
    ));
    rows.push((
        format!(
            "{} workers waiting, {} s",
            scale.workers, scale.idle_seconds
        ),
        format!("{:.1} % of a core of Redis", scale.idle_redis_core * 100.0),
    ));
    rows.push((
        "a new job to its claim by one of them, p50 / p99 / worst".to_owned(),
        three(&scale.pickup_ms),
    ));
    rows
}

/// The tables of the last runs.
pub fn markdown() -> Result<(), Error> {
    let results: Results = read("queue.json")?;
    println!(
        "{} no-op jobs, median of {} interleaved rounds; in brackets: against the floor with as many workers.\n",
        results.jobs, results.rounds
    );
    println!(
        "| | workers | jobs/s | commands a job, enqueue / drain | Redis CPU a job | client CPU a job |"
    );
    println!("|---|---|---|---|---|---|");
    for cost in &results.cost {
        println!(
            "| {} | {} | {:.0} | {:.1} / {:.1} | {:.0} µs ({:.2}) | {:.0} µs ({:.2}) |",
            cost.name,
            cost.workers,
            cost.jobs_per_s,
            cost.enqueue_commands,
            cost.drain_commands,
            cost.redis_us,
            cost.redis_to_floor,
            cost.client_us,
            cost.client_to_floor
        );
    }
    println!(
        "\n| | `kill -9` to the next claim, s | a job that aborts its worker every time |\n|---|---|---|"
    );
    for one in &results.recovery {
        println!("| {} | {} | {} |", one.name, reclaimed(one), outcome(one));
    }
    if !path("queue-scale.json").exists() {
        println!("\nNo scale run yet: `make bench-queue-scale`.");
        return Ok(());
    }
    let scale: Scale = read("queue-scale.json")?;
    println!("\n| scale | |\n|---|---|");
    for (what, value) in scale_rows(&scale) {
        println!("| {what} | {value} |");
    }
    Ok(())
}
