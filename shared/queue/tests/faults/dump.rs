//! The whole queue at one moment, for the invariants.

use std::collections::{BTreeMap, BTreeSet};

use weldfleet_queue::{
    Queue, State,
    invariants::{JobView, View, snapshot},
};

use crate::server::eventually;

type Lists = BTreeMap<String, Vec<String>>;
type Record = BTreeMap<String, String>;

#[derive(serde::Deserialize)]
struct Dump {
    #[serde(deserialize_with = "table")]
    jobs: BTreeMap<String, Record>,
    #[serde(deserialize_with = "table")]
    listed: Lists,
    #[serde(deserialize_with = "table")]
    held: Lists,
    #[serde(deserialize_with = "table")]
    outstanding: Lists,
    #[serde(deserialize_with = "table")]
    counts: Record,
    token: String,
}

/// Lua has one kind of table: an empty one is written as a list.
fn table<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    use serde::{Deserialize, de::Error};
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Array(list) if list.is_empty() => Ok(BTreeMap::new()),
        value => serde_json::from_value(value).map_err(D::Error::custom),
    }
}

/// Every invariant of one moment holds now.
pub async fn assert_sound(queue: &Queue) {
    let mut command = redis::cmd("EVAL");
    command
        .arg(include_str!("../it/dump.lua"))
        .arg(1)
        .arg(queue.keys().state(State::Pending));
    // the first call after an outage may meet a connection that is no more
    let answer = eventually("redis", || async { queue.command(&command).await.ok() }).await;
    let json: String = redis::from_redis_value(answer).unwrap();
    let dump: Dump = serde_json::from_str(&json).unwrap();
    if let Err(broken) = snapshot(&view(&dump)) {
        panic!("broken: {broken}");
    }
}

fn view(dump: &Dump) -> View {
    let known: BTreeSet<&String> = dump.jobs.keys().chain(dump.listed.keys()).collect();
    let jobs = known.into_iter().map(|id| {
        let text = |name: &str| {
            let fields = dump.jobs.get(id);
            fields
                .and_then(|fields| fields.get(name))
                .cloned()
                .unwrap_or_default()
        };
        let number = |name: &str| text(name).parse().unwrap_or(0);
        JobView {
            id: id.clone(),
            state: text("state"),
            listed_in: dump.listed.get(id).cloned().unwrap_or_default(),
            token: number("token"),
            attempts: u32::try_from(number("attempts")).unwrap(),
            max_attempts: u32::try_from(number("max_attempts")).unwrap(),
            worker: text("worker"),
            alone: text("alone") == "1",
            group: text("group"),
        }
    });
    // per priority: added, and what left by each way
    let counted: i64 = dump
        .counts
        .iter()
        .filter_map(|(name, number)| {
            let (what, _priority) = name.split_once(':')?;
            let number: i64 = number.parse().unwrap();
            Some(if what == "added" { number } else { -number })
        })
        .sum();
    View {
        jobs: jobs.collect(),
        counter: dump.token.parse().unwrap(),
        held: sets(&dump.held),
        outstanding: sets(&dump.outstanding),
        counted: u64::try_from(counted).unwrap(),
    }
}

fn sets(lists: &Lists) -> BTreeMap<String, BTreeSet<String>> {
    lists
        .iter()
        .map(|(name, ids)| (name.clone(), ids.iter().cloned().collect()))
        .collect()
}
