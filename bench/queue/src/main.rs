//! The queue beside its peers, on private Redis servers of its own.
//!
//! - `cost`: what a no-op job costs, rounds interleaved; `recovery`: from `kill -9` to the next claim, and a job that
//!   aborts its worker
//! - `scale`: a thousand workers and a million jobs of ours
//! - `peers/`: one file a library, each with the same three functions; `floor` is the least that two scripts a job can
//!   cost
//! - `child`: workers as processes; `server`: Redis; `measure`: what it used; `report`: tables and
//!   `bench/results/*.json`
//!
//! Redis has the first core to itself, everything else runs on the others.

mod child;
mod cost;
mod measure;
mod peers;
mod recovery;
mod report;
mod scale;
mod server;

use clap::{Parser, Subcommand};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "The queue beside its peers")]
struct Args {
    /// A first look: few jobs, one round, recovery given up after 40 s; not written down
    #[arg(long, global = true)]
    quick: bool,
    /// Print the tables of the last runs for the README, and run nothing
    #[arg(long)]
    markdown: bool,
    /// What a job costs the floor and those whose name has this text, nothing else; not written down
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Only this: a thousand workers, a million jobs
    Scale {
        #[arg(long)]
        workers: Option<usize>,
        #[arg(long)]
        jobs: Option<usize>,
    },
    /// One worker; started by the others
    #[command(hide = true)]
    Child { spec: String },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    if args.markdown {
        return report::markdown();
    }
    if let Some(Command::Child { spec }) = &args.command {
        return child::run(spec).await;
    }
    server::leave_the_first_core()?;
    if let Some(Command::Scale { workers, jobs }) = args.command {
        return at_scale(args.quick, workers, jobs).await;
    }
    beside_peers(args.quick, args.only.as_deref()).await?;
    match args.only {
        Some(_) => Ok(()),
        None => at_scale(args.quick, None, None).await,
    }
}

async fn beside_peers(quick: bool, only: Option<&str>) -> Result<(), Error> {
    let size = if quick {
        cost::Size {
            jobs: 2_000,
            rounds: 1,
        }
    } else {
        // More due jobs than some 8,000 at once end every worker of apalis-redis 1.0.0 (it unpacks them all).
        cost::Size {
            jobs: 6_000,
            rounds: 3,
        }
    };
    let cost = cost::run(&size, only.unwrap_or_default()).await?;
    report::cost(&cost);
    if only.is_some() {
        return Ok(());
    }
    let patience = if quick { 40 } else { 360 };
    let recovery = recovery::run(std::time::Duration::from_secs(patience)).await?;
    report::recovery(&recovery);
    if quick {
        return Ok(());
    }
    let results = report::Results {
        jobs: size.jobs,
        rounds: size.rounds,
        cost,
        recovery,
    };
    report::write("queue.json", &results)
}

async fn at_scale(quick: bool, workers: Option<usize>, jobs: Option<usize>) -> Result<(), Error> {
    let (most_workers, most_jobs) = if quick {
        (100, 20_000)
    } else {
        (1_000, 1_000_000)
    };
    let size = scale::Size {
        workers: workers.unwrap_or(most_workers),
        jobs: jobs.unwrap_or(most_jobs),
        seconds: if quick { 5 } else { 20 },
        idle_seconds: if quick { 10 } else { 60 },
        pickups: if quick { 50 } else { 300 },
    };
    let results = scale::run(&size).await?;
    report::scale(&results);
    if quick {
        return Ok(());
    }
    report::write("queue-scale.json", &results)
}
