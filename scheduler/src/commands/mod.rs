//! One module per subcommand.

pub mod adopt;
mod agreement;
pub mod backfill;
pub mod drift;
pub mod evaluate;
mod filling;
pub mod grants;
pub mod jobs;
pub mod migrate;
pub mod pause;
mod progress;
pub mod settle;
pub mod simulate;
mod simulate_plant;
pub mod status;
mod steer;
pub mod users;
mod wait;

use weldfleet_service::{environment::host, errln};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::Event;

use crate::actions::{self, By};

/// Whoever typed the command, with the reason given.
fn operator(why: &str) -> By {
    let user = std::env::var("USER").unwrap_or_else(|_| "operator".to_owned());
    By::new(format!("{user}@{}", host()), why)
}

/// Keeps what was done in `weld_events`, or tells the person that it is not kept.
async fn keep(settings: &Settings, events: &[Event]) {
    if let Some(why) = actions::keep(settings, events).await {
        errln!("note: {why}");
    }
}
