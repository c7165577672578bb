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
mod record;
pub mod settle;
pub mod simulate;
mod simulate_plant;
pub mod status;
mod steer;
mod wait;

/// Name of this machine, for ids and for people.
pub fn host() -> String {
    hostname::get().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Whoever typed the command, for others.
pub fn operator() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "operator".to_owned());
    format!("{user}@{}", host())
}
