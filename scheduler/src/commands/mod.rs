//! One module per subcommand.

pub mod adopt;
mod agreement;
pub mod backfill;
pub mod drift;
pub mod evaluate;
mod filling;
pub mod grants;
pub mod jobs;
mod long_question;
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
use weldfleet_words::Language;

use crate::{
    actions::{self, By},
    args::Lang,
};

/// Says who types commands, where `USER` does not: in a container, or for a shared account.
const OPERATOR: &str = "WELDFLEET_OPERATOR";

/// Whoever typed the command, with the reason given.
fn operator(why: &str) -> By {
    let told = |name| {
        std::env::var(name)
            .ok()
            .filter(|told| !told.trim().is_empty())
    };
    let user = told(OPERATOR).or_else(|| told("USER"));
    let user = user.unwrap_or_else(|| "operator".to_owned());
    By::new(format!("{user}@{}", host()), why)
}

/// `--lang`, else what the environment speaks.
fn languages(asked: Option<Lang>) -> Vec<Language> {
    match asked {
        Some(Lang::Zh) => vec![Language::Chinese],
        Some(Lang::En) => vec![Language::English],
        Some(Lang::Both) => vec![Language::Chinese, Language::English],
        None => {
            let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
                .into_iter()
                .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
            vec![Language::of_locale(&locale.unwrap_or_default())]
        }
    }
}

/// People, and servers, wrote it; a terminal must not obey it.
fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// Keeps what was done in `weld_events`, or tells the person that it is not kept.
async fn keep(settings: &Settings, events: &[Event]) {
    if let Some(why) = actions::keep(settings, events).await {
        errln!("note: {why}");
    }
}
