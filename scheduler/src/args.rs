//! The command line.

use std::{path::PathBuf, sync::LazyLock, time::Duration};

use clap::{Parser, Subcommand};
use weldfleet_fleet::DayArg;
use weldfleet_queue::State;
use weldfleet_service::CommonArgs;
use weldfleet_simulator::CurveLength;
use weldfleet_stores::{clickhouse::Order, range::parse_status};
use weldfleet_weld::Status;

use crate::{
    actions::LONGEST_REASON,
    users::{Name, Role},
};

/// What this program was built from; programs of one text agree in all that they tell of themselves.
pub static VERSION: LazyLock<String> = LazyLock::new(|| {
    weldfleet_service::version(env!("CARGO_PKG_VERSION"), option_env!("WELDFLEET_BUILD"))
});

/// Turns rows without a verdict into work: slices days and backfills into leased ranges, and shows how it goes.
#[derive(Debug, Parser)]
#[command(
    name = "scheduler",
    version = VERSION.as_str(),
    max_term_width = 100,
    after_help = "\
Examples:
  scheduler migrate                                   create or upgrade every table; safe to repeat
  scheduler run                                       slice today and every open run until stopped
  scheduler backfill --from 20261101 --to 20261107    judge past days, below live in priority
  scheduler status --watch                            days, jobs, workers, rate; redrawn every 2 s
  scheduler jobs list --state dead                    what needs a person

Exit codes: 0 done; 1 failed; 2 wrong usage or config; 3 a dependency could not be reached; 4 finished with rows or \
dead letters left over."
)]
pub struct Args {
    /// Arguments of every subcommand.
    #[command(flatten)]
    pub common: CommonArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create or upgrade the ClickHouse and MySQL tables; safe to repeat
    #[command(after_help = "\
Columns are added to a plant's own table. An INSERT into it that names no columns fails from then on, or stores values \
in the wrong columns; migrate says which kinds and, where system.query_log may be read, which inserts of the last \
week, and asks first.

Examples:
  scheduler migrate --dry-run    what would be done, and what would break
  scheduler migrate --yes        on a plant's table with rows, without a question
  scheduler migrate --grants     accounts with the least rights; replace each PASSWORD_OF_…, then
                                 give the SQL to an admin of ClickHouse and of MySQL, and the ACL
                                 lines to redis-cli")]
    Migrate {
        /// Print the SQL and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Print what accounts of scheduler, worker and console must be allowed; asks no server and changes nothing
        #[arg(long, conflicts_with_all = ["dry_run", "yes"])]
        grants: bool,
        /// Add columns to a plant's table with rows without a question
        #[arg(long)]
        yes: bool,
    },
    /// Slice today, the lookback days and every open run, until stopped; several may run, one leads
    Run,
    /// Judge past days, below live in priority; goes on without this process
    Backfill(Backfill),
    /// Make the verdicts of finished days part of the rows' own parts, before a backup or an archive
    Settle(Settle),
    /// Days, rows done and left, runs, jobs, workers, rate, mirror lag, pause
    Status(StatusArgs),
    /// List, show, retry, drop or repair jobs; dead letters first of all
    #[command(subcommand)]
    Jobs(Jobs),
    /// Stop claiming fleet-wide; leases already held are finished
    Pause {
        /// Why; shown to everybody who wonders
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "paused by an operator",
            value_parser = parse_reason
        )]
        reason: String,
    },
    /// Start claiming again
    Resume {
        #[command(flatten)]
        why: Reason,
    },
    /// Who may sign in to the console, and what they may do there
    #[command(subcommand)]
    Users(UsersCommand),
    /// Insert physically plausible demo rows
    Simulate(Simulate),
    /// Model quality against labels and measured values, by day
    Evaluate(Evaluate),
    /// Make a weldfleet.toml out of an old service's configuration and the plant's tables
    Adopt(Adopt),
    /// How far the distributions of one day have moved from another's
    Drift(Drift),
}

/// `users`
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Everybody, with role
    List,
    /// Let somebody in
    #[command(after_help = "\
Roles: a viewer looks; a reviewer reviews NOK welds too; an operator pauses the fleet, steers backfills, retries and \
drops jobs too. console.users_file names the file; it is made where there is none.

Examples:
  scheduler users add li --role reviewer                         asks for the password
  scheduler users add ben --role operator --password-stdin < password
  scheduler users add 'Wang Fang' --role viewer --no-password    signed in by a trusted proxy")]
    Add {
        /// What they sign in as; 64 characters at most
        #[arg(value_name = "NAME")]
        name: Name,
        #[arg(long, value_enum, value_name = "ROLE")]
        role: Role,
        #[command(flatten)]
        password: NewPassword,
        #[command(flatten)]
        why: Reason,
    },
    /// Let somebody in no more, at once
    Remove {
        /// Who
        #[arg(value_name = "NAME")]
        name: Name,
        #[command(flatten)]
        why: Reason,
    },
    /// Give somebody another role, at once
    Role {
        /// Who
        #[arg(value_name = "NAME")]
        name: Name,
        #[arg(value_enum, value_name = "ROLE")]
        role: Role,
        #[command(flatten)]
        why: Reason,
    },
    /// Give somebody another password; signs them out
    Password {
        /// Who
        #[arg(value_name = "NAME")]
        name: Name,
        #[command(flatten)]
        password: NewPassword,
        #[command(flatten)]
        why: Reason,
    },
}

/// Where a password comes from; without either it is asked for.
#[derive(Debug, clap::Args)]
pub struct NewPassword {
    /// Read it from standard input
    #[arg(long, conflicts_with = "no_password")]
    pub password_stdin: bool,
    /// None: only a trusted proxy can sign them in
    #[arg(long)]
    pub no_password: bool,
}

/// Of an action that is kept.
#[derive(Debug, clap::Args)]
pub struct Reason {
    /// Why; kept in weld_events
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        value_parser = parse_reason
    )]
    pub reason: String,
}

/// `backfill`
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    after_help = "\
The run is recorded in ClickHouse: it goes on without this process, whoever leads.

Examples:
  scheduler backfill --from 20261101 --to 20261107 --dry-run   how many rows that would be
  scheduler backfill --from 20261101 --to 20261107 --wait      with a progress bar
  scheduler backfill --from 20261107 --to 20261107 --force     verdicts are made anew
  scheduler backfill --from 20261101 --to 20261107 --status invalid,error
  scheduler backfill --from 20261101 --to 20261107 --order newest --note 'new electrodes'
  scheduler backfill hold 20261128210501123                    RUN as `scheduler status` shows it
  scheduler backfill order 20261128210501123 newest
  scheduler backfill cancel 20261128210501123 --reason 'wrong week'

With --wait the exit code is 0 when every row is done, 4 when dead letters, or rows that are poison or in error, are \
left, rows that were to be judged again are gone, or the run was cancelled."
)]
pub struct Backfill {
    /// What to do to a run that is there
    #[command(subcommand)]
    pub steer: Option<Steer>,
    /// First day: YYYYMMDD, today or yesterday
    #[arg(long, value_name = "DAY", required = true)]
    pub from: Option<DayArg>,
    /// Last day: YYYYMMDD, today or yesterday
    #[arg(long, value_name = "DAY", required = true)]
    pub to: Option<DayArg>,
    /// Judge rows again that have a verdict
    #[arg(long, conflicts_with = "status")]
    pub force: bool,
    /// Judge only rows with one of these statuses again: invalid, poison, error, ok; several with commas
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = parse_redo_status)]
    pub status: Vec<Status>,
    /// Which day is judged first
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = DayOrder::Oldest)]
    pub order: DayOrder,
    /// What it is for; shown to everybody who wonders
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        value_parser = parse_reason
    )]
    pub note: String,
    /// Count the rows and request nothing
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    /// Show progress until the run is done
    #[arg(long)]
    pub wait: bool,
    /// The outcome as JSON
    #[arg(long)]
    pub json: bool,
}

/// Which day of a backfill is judged first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DayOrder {
    /// The oldest
    Oldest,
    /// The newest
    Newest,
}

impl From<DayOrder> for Order {
    fn from(order: DayOrder) -> Self {
        match order {
            DayOrder::Oldest => Self::Oldest,
            DayOrder::Newest => Self::Newest,
        }
    }
}

/// What to do to a run.
#[derive(Debug, Subcommand)]
pub enum Steer {
    /// End a run unfinished; a new one over the same days may follow
    #[command(after_help = "\
Its jobs leave the queue at once, those that a worker has in hand too, and dead letters: nothing of it is claimed any \
more. Rows keep the verdicts they have. Live work and other runs go on.

Examples:
  scheduler backfill cancel 20261128210501123 --reason 'wrong week'")]
    Cancel(SteerWhat),
    /// Let a run wait, for as long as it takes
    #[command(after_help = "\
Its jobs leave the queue, so that other runs have the room; those that a worker has in hand are finished, dead letters \
stay. Resumed, its rows are sliced anew; what is judged is not judged again.

Examples:
  scheduler backfill hold 20261128210501123 --reason 'the night shift needs the GPUs'
  scheduler backfill resume 20261128210501123")]
    Hold(SteerWhat),
    /// Let a held run go on
    #[command(after_help = "\
Examples:
  scheduler backfill resume 20261128210501123")]
    Resume(SteerWhat),
    /// Judge the days of a run in another order
    #[command(after_help = "\
Jobs that nobody has begun leave the queue and come back in the new order; those that a worker has in hand, or that \
failed before, stay. What is judged is not judged again.

Examples:
  scheduler backfill order 20261128210501123 newest --reason 'the line waits for yesterday'")]
    Order {
        #[command(flatten)]
        what: SteerWhat,
        /// Which day is judged first from now on
        #[arg(value_enum, value_name = "ORDER")]
        order: DayOrder,
    },
}

/// Which run, and why.
#[derive(Debug, clap::Args)]
pub struct SteerWhat {
    /// Its number, as `scheduler status` shows it
    #[arg(value_name = "RUN")]
    pub run: u64,
    #[command(flatten)]
    pub why: Reason,
    /// The outcome as JSON
    #[arg(long)]
    pub json: bool,
}

/// A line that a table of runs or events can show whole.
fn parse_reason(text: &str) -> Result<String, String> {
    let letters = text.chars().count();
    match letters > LONGEST_REASON {
        true => Err(format!(
            "it has {letters} characters, and {LONGEST_REASON} are kept; write less"
        )),
        false => Ok(text.to_owned()),
    }
}

fn parse_redo_status(text: &str) -> Result<Status, String> {
    parse_status(text).map_err(|_| "expected invalid, poison, error or ok".to_owned())
}

/// `settle`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Verdicts are written as patches, which BACKUP and FREEZE leave out, and for which MOVE and DETACH PARTITION are \
refused (344). The leader settles each day by itself once it is over, complete and quiet (tables.settle_after); this \
does it at once. The fleet stands still meanwhile, as a rule for seconds. Days with rows or jobs left are not settled.

Examples:
  scheduler settle --from 20261101 --to yesterday --wait && clickhouse-client -q 'BACKUP TABLE …'
  scheduler settle --from 20261101 --to 20261101 --json

Exit code 0 when every day is settled, 4 when any is left.")]
pub struct Settle {
    /// First day: YYYYMMDD, today or yesterday
    #[arg(long, value_name = "DAY")]
    pub from: DayArg,
    /// Last day: YYYYMMDD, today or yesterday
    #[arg(long, value_name = "DAY")]
    pub to: DayArg,
    /// Wait for rows and jobs that are left, until every day is settled
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub why: Reason,
    /// The outcome as JSON
    #[arg(long)]
    pub json: bool,
}

/// `status`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
At the top it says why nothing moves, or what is in the way, each with the remedy; GET /api/v1/status and /readyz of \
any scheduler say the same. Nothing is said there while all goes as it should.

Examples:
  scheduler status --watch
  scheduler status --json | jq -r '.causes[].what.en'

Exit code 3 when ClickHouse or Redis could not be reached; judging goes on without MySQL.")]
pub struct StatusArgs {
    /// Only this day: YYYYMMDD, today or yesterday
    #[arg(long, value_name = "DAY")]
    pub day: Option<DayArg>,
    /// Language in which it says why nothing moves [default: by $LANG]
    #[arg(long, value_enum, value_name = "LANG")]
    pub lang: Option<Lang>,
    /// Redraw every 2 s until interrupted
    #[arg(long)]
    pub watch: bool,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `jobs`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  scheduler jobs list                             dead letters, then everything else outstanding
  scheduler jobs list --state leased --json
  scheduler jobs show 20261122-0-1795309200000-1f2e3d4c
  scheduler jobs retry --all --day 20261122       every dead letter of a day
  scheduler jobs drop --all --state dead --yes    give rows up: alg_status invalid, reason dropped
  scheduler jobs repair                           what keys changed by hand broke; --yes repairs it")]
pub enum Jobs {
    /// Jobs by state, the dead first
    List {
        /// Which jobs
        #[command(flatten)]
        filter: JobFilter,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Everything known about one job
    Show {
        /// Its id
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Run dead jobs again with fresh attempts
    Retry {
        /// Their ids
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// Every dead job that the filter lets through
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        why: Reason,
        /// Which jobs
        #[command(flatten)]
        of: JobsOf,
    },
    /// Give jobs up: their rows without a verdict become `invalid`, reason `dropped`
    Drop {
        /// Their ids
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// Every job that the filter lets through [default state: dead]
        #[arg(long, conflicts_with = "ids", requires = "yes")]
        all: bool,
        /// Confirms --all
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        why: Reason,
        /// Which jobs
        #[command(flatten)]
        filter: JobFilter,
    },
    /// Find jobs whose record and lists disagree, since somebody changed keys of the queue by hand, and repair them
    #[command(after_help = "\
Without --yes it only says what is wrong. A job is repaired in one step, so the fleet may go on meanwhile. A job whose \
record is gone is forgotten: the next pass makes it again from its rows.")]
    Repair {
        /// Repair what is found
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        why: Reason,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the queue this table's own, after the table was moved or restored onto another server
    #[command(after_help = "\
A queue belongs to the table whose fleet used it first; another fleet refuses to start. Stop every scheduler and \
worker of the queue first. Its outstanding jobs are forgotten: the next pass makes them again from the rows.")]
    TakeQueue {
        #[command(flatten)]
        why: Reason,
    },
}

/// Which jobs.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct JobFilter {
    /// pending, leased, delayed, splitting, dead or done
    #[arg(long, value_name = "STATE")]
    pub state: Option<State>,
    /// Of what
    #[command(flatten)]
    pub of: JobsOf,
}

/// Jobs of a day, of a run, of both.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct JobsOf {
    /// Their day: YYYYMMDD, today or yesterday
    #[arg(long, value_name = "DAY")]
    pub day: Option<DayArg>,
    /// Their run; 0 is live
    #[arg(long, value_name = "RUN")]
    pub run: Option<u64>,
}

/// `simulate`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Record ids go on behind the day's largest, so that repeating the command adds rows. The same seed on an empty day \
makes the same rows. Columns, units and types are the configured table's.

With --like plant the table is one of an older system's shape: ReplacingMergeTree by day, spot and id; maxima and \
program as text ('0', 'None' and '' occur), umax in V, imax in tens of ampere; curves in counts of 1 % of them, one a \
millisecond, now and then a sample or two apart in length; dry shots (spot_tag '0') and tip dresses (prog_no 41 and \
51). It is made if it does not exist; a table of another shape is left alone. Its welds are those of our own table \
with the same seed, day and number; with --counts that one holds the same counts too. `scheduler adopt` takes such a \
table over, as it does a plant's.

A table that has rows and was not made by weldfleet is a plant's: nothing goes into it without --yes.

Examples:
  scheduler simulate --day today --rows 50000
  scheduler simulate --day 20261121 --rows 1000000 --seed 7 --invalid-share 0.01
  export WELDFLEET__TABLES__SOURCE_TABLE=weld_detail    # for --like plant, a table that is not ours
  scheduler simulate --day today --rows 3000 --like plant --late 0.02 --later-after 30s
  scheduler simulate --day today --rows 3000 --like plant")]
pub struct Simulate {
    /// The day: YYYYMMDD, today or yesterday
    #[arg(long, value_name = "DAY")]
    pub day: DayArg,
    /// How many rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rows: u64,
    /// Same seed, same rows
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Share of NOK welds
    #[arg(long, value_name = "SHARE", default_value_t = 0.006)]
    pub nok_rate: f64,
    /// Share of welds with a burn mark, three of a spot in a row
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub burn_rate: f64,
    /// Share of rows that validation must refuse
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub invalid_share: f64,
    /// Samples a curve, or `program`: as long as the weld program takes
    #[arg(long, value_name = "N|program", default_value = "600", value_parser = parse_points)]
    pub points: CurveLength,
    /// Welds begin at this time of the day, HH:MM
    #[arg(long, value_name = "HH:MM", default_value = "00:00", value_parser = parse_time)]
    pub since: u32,
    /// and end before this one
    #[arg(long, value_name = "HH:MM", default_value = "24:00", value_parser = parse_time)]
    pub until: u32,
    /// Curves in whole counts of 1 % of umax and imax; [curves] must say percent_of_umax and percent_of_imax
    #[arg(long, conflicts_with = "like")]
    pub counts: bool,
    /// Write a table of this shape instead of ours
    #[arg(long, value_name = "SHAPE")]
    pub like: Option<Like>,
    /// What such a table holds curves in
    #[arg(
        long,
        value_name = "FORM",
        default_value = "integers",
        requires = "like"
    )]
    pub curves: PlantCurves,
    /// Share of such a table's rows that come wrong first and are sent again
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, requires = "like")]
    pub resent: f64,
    /// Share of such a table's rows that arrive after the others
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, requires = "like")]
    pub late: f64,
    /// How long those wait, as 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_wait, requires = "like")]
    pub later_after: Duration,
    /// Go on where the table has rows and was not made by weldfleet
    #[arg(long)]
    pub yes: bool,
    /// The outcome as JSON
    #[arg(long)]
    pub json: bool,
}

/// Whose table `simulate` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Like {
    /// An older system's
    Plant,
}

/// What its curves are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PlantCurves {
    /// Arrays of UInt16
    Integers,
    /// Arrays of texts
    Texts,
    /// One text, as `[12, 55, 97]`
    WholeText,
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    let wait: Option<jiff::SignedDuration> = text.parse().ok();
    wait.and_then(|wait| Duration::try_from(wait).ok())
        .ok_or_else(|| format!("`{text}` is no time to wait, write 30s or 5m"))
}

fn parse_points(text: &str) -> Result<CurveLength, String> {
    if text == "program" {
        return Ok(CurveLength::Program);
    }
    text.parse()
        .map(CurveLength::Fixed)
        .map_err(|_| format!("`{text}` is neither a number of samples nor `program`"))
}

/// Milliseconds since midnight of `HH:MM`.
fn parse_time(text: &str) -> Result<u32, String> {
    let time = text
        .split_once(':')
        .and_then(|(hour, minute)| Some((hour.parse::<u32>().ok()?, minute.parse::<u32>().ok()?)));
    match time {
        Some((hour, minute)) if minute < 60 && hour * 60 + minute <= 24 * 60 => {
            Ok((hour * 60 + minute) * 60_000)
        }
        _ => Err(format!("`{text}` is no time of day, write HH:MM")),
    }
}

/// `evaluate`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Counts rows that have a verdict and a label. NOK is the positive class. --json also has the model's figures over all \
days as `classification` and `regression`.

Examples:
  scheduler evaluate --from 20261101 --to 20261107
  scheduler evaluate --from today --to today --json
  scheduler evaluate --from yesterday --to today --against previous_result")]
pub struct Evaluate {
    /// First day: YYYYMMDD, today or yesterday
    #[arg(long, value_name = "DAY")]
    pub from: DayArg,
    /// Last day: YYYYMMDD, today or yesterday
    #[arg(long, value_name = "DAY")]
    pub to: DayArg,
    /// What verdicts are compared with
    #[arg(long, value_enum, value_name = "COLUMN", default_value_t = Against::Label)]
    pub against: Against,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What verdicts are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Against {
    /// The truth, where it is known
    Label,
    /// The verdict of the service before
    #[value(name = "previous_result")]
    PreviousResult,
}

/// `drift`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
KS is the largest gap between the two cumulative distributions (0 equal, 1 disjoint); PSI sums over the reference's \
deciles (below 0.1 stable, above 0.25 moved). With fewer than 200 values on one of the days chance alone could move \
it: there is none.

Examples:
  scheduler drift --reference 20261101 --day today")]
pub struct Drift {
    /// The day that is looked at: YYYYMMDD, today or yesterday
    #[arg(long, value_name = "DAY")]
    pub day: DayArg,
    /// The day it is compared with
    #[arg(long, value_name = "DAY")]
    pub reference: DayArg,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `adopt`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads the old YAML, asks ClickHouse and MySQL for the columns and the last 1,000 rows, and writes a commented file: \
what was mapped and why, what was guessed, what a person must say. Passwords go to files of mode 600 in the folder \
`secrets` beside it, never into the file nor on the screen. Nothing in the plant is changed. Then `worker check` is \
run, if it is beside this program.

Examples:
  scheduler adopt OLD.yaml --dry-run              what would be written, on the screen
  scheduler adopt OLD.yaml --out plant/weldfleet.toml
  scheduler adopt OLD.yaml --lang both --force    in Chinese and English; what is there becomes
                                                  weldfleet.toml.before

Exit code 0 when the file is written, 3 when it is but a server could not be asked.")]
pub struct Adopt {
    /// The old service's configuration
    #[arg(value_name = "OLD.yaml")]
    pub old: PathBuf,
    /// The file to write
    #[arg(long, value_name = "PATH", default_value = "weldfleet.toml")]
    pub out: PathBuf,
    /// Language of comments and screen [default: by $LANG]
    #[arg(long, value_enum, value_name = "LANG")]
    pub lang: Option<Lang>,
    /// Show the file and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write over files that are there
    #[arg(long)]
    pub force: bool,
}

/// Language of what is said to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lang {
    /// Chinese
    Zh,
    /// English
    En,
    /// Chinese, then English
    Both,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_reason_is_a_line() {
        assert!(parse_reason(&"修".repeat(LONGEST_REASON)).is_ok());
        let long = parse_reason(&"修".repeat(60_000)).unwrap_err();
        assert!(long.contains("60000") && long.contains("255"), "{long}");
    }

    #[test]
    fn times_of_day_are_read_and_checked() {
        assert_eq!(parse_time("00:00"), Ok(0));
        assert_eq!(parse_time("24:00"), Ok(86_400_000));
        assert!(
            parse_time("24:01").is_err()
                && parse_time("7").is_err()
                && parse_time("07:60").is_err()
        );
    }
}
