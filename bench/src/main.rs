//! `make bench`: every figure of `docs/PERFORMANCE.md` in one run, services included.
//!
//! # Layout
//! - [`plant`]: private services, tables and the two programs; [`proc`]: what the kernel counts of them; [`machine`]:
//!   its name;
//! - [`onnx`], [`reads`]: the two limits, ONNX Runtime and ClickHouse alone;
//! - [`drain`]: the worker end to end; [`fleet`]: many of them; [`live`]: latency at a plant's pace; [`days`]: their
//!   rows;
//! - [`forms`]: how a plant stores curves and versions, beside our own table; [`slicing`]: large days; [`writebacks`]:
//!   such a day after very many write-backs;
//! - [`numbers`]: medians and spread; [`report`]: the figures as a file, and as the tables of the documentation.
//!
//! What must never live here: a second way to do what the product does. Rows are judged by the programs themselves,
//! built with the same profile, and looked at from outside.

mod days;
mod drain;
mod fleet;
mod forms;
mod live;
mod machine;
mod numbers;
mod onnx;
mod plant;
mod proc;
mod reads;
mod report;
mod slicing;
mod writebacks;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use clap::Parser;
use days::CurveDay;
use fleet::Fleet;
use numbers::{Report, Section};
use plant::Plant;
use report::Document;
use weldfleet_stores::KeyOrder;
use weldfleet_testkit::repository;

/// What can be measured, in the order in which it is.
const MEASUREMENTS: [&str; 10] = [
    "onnx",
    "reads",
    "near-free",
    "cnn",
    "forms",
    "versions",
    "live",
    "fleet",
    "slicing",
    "write-backs",
];

#[derive(Parser)]
#[command(about = "Measures the fleet: limits, end to end, latency, scaling, large days")]
struct Args {
    /// One run of everything, small days
    #[arg(long)]
    quick: bool,
    /// Only these measurements; the figures of others stay as they were
    #[arg(long, value_delimiter = ',', value_parser = MEASUREMENTS)]
    only: Vec<String>,
    /// Measure nothing; write the tables of the documentation from the figures
    #[arg(long, conflicts_with_all = ["quick", "only"])]
    report: bool,
    /// Runs of each measurement
    #[arg(long)]
    runs: Option<usize>,
    /// Rows of the end-to-end day
    #[arg(long)]
    rows: Option<u64>,
    /// Days of up to this many million rows are sliced
    #[arg(long)]
    millions: Option<u64>,
    /// Write-backs on the largest of them
    #[arg(long, value_name = "N")]
    writes: Option<u64>,
    /// Rows of each
    #[arg(long, value_name = "N", default_value_t = 40)]
    write_rows: u64,
    /// Sizes of the fleet
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    workers: Vec<usize>,
    /// Speeds of its devices, µs a row
    #[arg(long, value_delimiter = ',', value_name = "US,US")]
    device_us: Vec<f64>,
    /// Rows that the fleet is given
    #[arg(long, value_name = "N")]
    fleet_rows: Option<u64>,
    /// Seconds in which each fleet is watched
    #[arg(long, value_name = "S")]
    fleet_seconds: Option<u64>,
    /// Where the figures go [default: latest.json in bench/results; quick.json with --quick, tried.json with --set]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// More settings of the programs, as section.key=value
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Args {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    fn runs(&self) -> usize {
        self.runs.unwrap_or(if self.quick { 1 } else { 3 })
    }

    fn rows(&self) -> u64 {
        self.rows
            .unwrap_or(if self.quick { 40_000 } else { 100_000 })
    }

    fn json(&self) -> PathBuf {
        // Figures of other settings must not pass for the product's own.
        let name = match (self.quick, self.set.is_empty()) {
            (true, _) => "quick",
            (false, true) => "latest",
            (false, false) => "tried",
        };
        self.json
            .clone()
            .unwrap_or_else(|| repository().join(format!("bench/results/{name}.json")))
    }
}

fn main() -> ExitCode {
    weldfleet_service::environment::silence_onnx_runtime();
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(&args)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    if args.report {
        return Document::read(&args.json())?.write_tables(repository());
    }
    let mut report = Report::default();
    let mut plant = Plant::start().await?;
    for setting in &args.set {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        plant.set(key, value);
    }
    let machine = machine::describe(&plant).await?;
    // what was measured counts, whatever ended the run
    let ended = measure(args, &mut plant, &mut report).await;
    drop(plant);

    println!("\n==== all of it, medians{}", report.table());
    let path = args.json();
    let document = if args.only.is_empty() && ended.is_ok() {
        Document::new(machine, report.json())
    } else {
        Document::read_or_empty(&path)?.with(machine, report.json())
    };
    document.write(&path)?;
    println!("{}\nwritten: {}", document.summary(), path.display());
    ended
}

/// Those that need a plant.
async fn measure(args: &Args, plant: &mut Plant, report: &mut Report) -> Result<()> {
    if args.wants_any(&["onnx", "reads", "near-free", "cnn"]) {
        end_to_end(args, plant, report).await?;
    }
    if args.wants_any(&["forms", "versions"]) {
        forms::run(args, plant, report).await?;
    }
    if args.wants("live") {
        let mut section = Section::default();
        let time = Duration::from_secs(if args.quick { 10 } else { 30 });
        for _ in 0..args.runs() {
            live::run(plant, 600, time, &mut section).await?;
        }
        report.add("live, CNN", section);
    }
    if args.wants("fleet") {
        fleets(args, plant, report).await?;
    }
    if args.wants_any(&["slicing", "write-backs"]) {
        large_days(args, plant, report).await?;
    }
    Ok(())
}

fn models() -> [(&'static str, PathBuf); 2] {
    [
        ("near-free", repository().join("bench/models/near-free")),
        ("cnn", repository().join("models")),
    ]
}

/// ClickHouse alone, and each model alone and in a worker.
async fn end_to_end(args: &Args, plant: &mut Plant, report: &mut Report) -> Result<()> {
    let day = CurveDay::make(plant, drain::DAY, args.rows()).await?;
    if args.wants("reads") {
        let mut section = Section::default();
        reads::run(plant, day, &mut Section::default()).await?;
        for _ in 0..args.runs() {
            reads::run(plant, day, &mut section).await?;
        }
        report.add("ClickHouse alone: Native, discarded, 2 streams", section);
    }
    let environment = onnx::environment()?;
    for (name, folder) in models() {
        let mut limit = None;
        if args.wants("onnx") {
            let mut layouts = Section::default();
            limit = Some(onnx::Limit::find(
                &environment,
                &folder,
                args.quick,
                &mut layouts,
            )?);
            report.add(&format!("ONNX Runtime alone, {name}: layouts"), layouts);
        }
        use_model(plant, &folder);
        let (mut alone, mut worker) = (Section::default(), Section::default());
        for _ in 0..args.runs() {
            // the limit beside each run: a machine that changes its speed changes it for both
            if let Some(limit) = &limit {
                limit.measure(&mut alone)?;
            }
            if args.wants(name) {
                drain::run(plant, day, &mut worker).await?;
            }
        }
        if let Some(limit) = &limit {
            limit.measure(&mut alone)?;
        }
        if args.wants(name) {
            drain::start_to_claim(plant, day, &mut worker).await?;
        }
        report.add(&format!("ONNX Runtime alone, {name}: best"), alone);
        report.add(&format!("worker end to end, {name}"), worker);
    }
    Ok(())
}

fn use_model(plant: &mut Plant, folder: &Path) {
    plant.set("model.model_export_dir", &folder.display().to_string());
}

async fn fleets(args: &Args, plant: &mut Plant, report: &mut Report) -> Result<()> {
    let or = |given: &[usize], quick: &[usize], full: &[usize]| match (given, args.quick) {
        ([], true) => quick.to_vec(),
        ([], false) => full.to_vec(),
        (given, _) => given.to_vec(),
    };
    let sizes = or(&args.workers, &[1, 2], &[1, 2, 4, 8, 16, 32, 64]);
    let devices = match args.device_us.as_slice() {
        [] => vec![20.0, 400.0],
        given => given.to_vec(),
    };
    let (rows, run_in, seconds) = if args.quick {
        (400_000, 0, 6)
    } else {
        // 64 workers hold 5 million rows, whose inference must not be over before the fleet is watched
        (10_000_000, 10, 40)
    };
    let rows = args.fleet_rows.unwrap_or(rows);
    let time = Duration::from_secs(args.fleet_seconds.unwrap_or(seconds));
    let day = CurveDay::make(plant, fleet::DAY, rows).await?;
    for device_us in devices {
        let mut section = Section::course();
        let mut ran = Ok(());
        for &workers in &sizes {
            let fleet = Fleet {
                workers,
                device_us,
                run_in: Duration::from_secs(run_in),
                time,
            };
            ran = fleet::run(plant, day, fleet, &mut section).await;
            if ran.is_err() {
                break;
            }
        }
        // what was seen of smaller fleets counts, whatever ended the course
        report.add(&format!("fleet, device of {device_us} µs a row"), section);
        ran?;
    }
    day.drop(plant).await
}

/// Looks at large days, and at the largest after its write-backs.
async fn large_days(args: &Args, plant: &Plant, report: &mut Report) -> Result<()> {
    let millions = args.millions.unwrap_or(if args.quick { 1 } else { 100 });
    let mut sizes: Vec<u64> = [1, 10, 100]
        .into_iter()
        .filter(|size| *size < millions)
        .collect();
    sizes.push(millions);
    if !args.wants("slicing") {
        sizes = vec![millions];
    }
    for size in sizes {
        let day = slicing::make_day(plant, days::TABLE, size).await?;
        if args.wants("slicing") {
            let mut section = Section::default();
            slicing::look(
                plant,
                days::TABLE,
                day,
                KeyOrder::Time,
                &mut Section::default(),
            )
            .await?;
            for _ in 0..args.runs() {
                slicing::look(plant, days::TABLE, day, KeyOrder::Time, &mut section).await?;
            }
            report.add(&format!("slicing a day of {size} million rows"), section);
        }
        if size == millions && args.wants("write-backs") {
            let writes = args.writes.unwrap_or(if args.quick { 500 } else { 25_000 });
            let mut section = Section::course();
            writebacks::run(plant, day, writes, args.write_rows, &mut section).await?;
            section.push("write-backs", writes as f64);
            section.push("rows of the day, million", size as f64);
            report.add("write-backs on one day, by tenths", section);
        }
    }
    Ok(())
}
