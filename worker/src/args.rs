//! The command line.

use std::{path::PathBuf, sync::LazyLock};

use clap::{Parser, Subcommand};
use weldfleet_fleet::DayArg;
use weldfleet_service::CommonArgs;

/// What this program was built from; programs of one text agree in all that they tell of themselves.
pub static VERSION: LazyLock<String> = LazyLock::new(|| {
    weldfleet_service::version(env!("CARGO_PKG_VERSION"), option_env!("WELDFLEET_BUILD"))
});

/// Judges welds: claims ranges, runs the model and the rules, writes the verdicts back.
#[derive(Debug, Parser)]
#[command(
    name = "worker",
    version = VERSION.as_str(),
    max_term_width = 100,
    after_help = "\
Examples:
  worker check                                   connections, tables, models, device; one line each
  worker run                                     judge until stopped; SIGTERM ends it in order
  worker predict weld.json                       one record, no service needed
  worker predict --json welds.jsonl > verdicts   many records, one JSON line each, in order
  worker explain --record-id 42 --day 20261122   one weld, judged anew; --png OUT draws it
  worker explain --body 4711                     welds of a body, NOK ones first; --png FOLDER draws these

Exit codes: 0 done; 1 failed; 2 wrong usage or config; 3 a dependency could not be reached;
4 finished with rows left over."
)]
pub struct Args {
    /// Arguments of every subcommand.
    #[command(flatten)]
    pub common: CommonArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which weld.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The weld's record_id
    #[arg(long, value_name = "ID")]
    pub record_id: Option<String>,
    /// Welds whose carried column `body_no` is this: a list, NOK ones first, and with --png pictures of those
    #[arg(long, value_name = "NUMBER")]
    pub body: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Claim, judge, write, ack, until stopped
    Run,
    /// Check every connection, grant, table, column, model and device; judge real rows without writing
    Check {
        /// Rows to judge
        #[arg(long, default_value_t = 100)]
        rows: u32,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Judge records of a file through the same code; needs no service
    Predict {
        /// One record (JSON) or many (JSON lines); `-` reads standard input
        file: PathBuf,
        /// One JSON line per record, in order
        #[arg(long)]
        json: bool,
    },
    /// Show one weld, judged anew: the verdict, and with --png its curves with pulses, peaks and rule hits; or list those of one body
    Explain {
        #[command(flatten)]
        which: Which,
        /// Its day: YYYYMMDD, today or yesterday [default: the latest day that has this id; of a body all days]
        #[arg(long, value_name = "DAY")]
        day: Option<DayArg>,
        /// The picture to write; of a body with several welds the folder of the pictures
        #[arg(long, value_name = "OUT")]
        png: Option<PathBuf>,
    },
}
