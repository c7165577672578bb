//! One module per subcommand.

pub mod adopt;
mod agreement;
pub mod backfill;
pub mod drift;
pub mod evaluate;
mod filling;
pub mod jobs;
pub mod migrate;
pub mod pause;
mod progress;
pub mod settle;
pub mod simulate;
mod simulate_plant;
pub mod status;
mod wait;

/// Name of this machine, for ids and for people.
pub fn host() -> String {
    hostname::get().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
