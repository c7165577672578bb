//! The whole queue at one moment, for the invariants.

use std::collections::{BTreeMap, BTreeSet};

use weldfleet_queue::{
    Queue, State,
    invariants::{JobView, View, faults},
};

use crate::server::eventually;

type Lists = BTreeMap<String, Vec<String>>;
type Record = BTreeMap<String, String>;

/// All that a queue keeps, as `dump.lua` writes it.
#[derive(serde::Deserialize)]
pub struct Dump {
    /// The jobs' own records.
    #[serde(deserialize_with = "table")]
    pub jobs: BTreeMap<String, Record>,
    /// The state sets that list each job.
    #[serde(deserialize_with = "table")]
    listed: Lists,
    #[serde(deserialize_with = "table")]
    held: BTreeMap<String, Record>,
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
#[allow(dead_code, reason = "the property tests say more")]
pub async fn assert_sound(queue: &Queue) {
    if let Some(broken) = faults(&view(&dump(queue).await)).first() {
        panic!("broken: {broken}");
    }
}

/// The whole queue as it is now.
pub async fn dump(queue: &Queue) -> Dump {
    let mut command = redis::cmd("EVAL");
    command
        .arg(include_str!("dump.lua"))
        .arg(1)
        .arg(queue.keys().state(State::Pending));
    // the first call after an outage may meet a connection that is no more
    let answer = eventually("redis", || async { queue.command(&command).await.ok() }).await;
    let json: String = redis::from_redis_value(answer).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// The same for the invariants.
pub fn view(dump: &Dump) -> View {
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
            isolated: text("isolated") == "1",
            group: text("group"),
            priority: u32::try_from(number("priority")).unwrap(),
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
        held: dump.held.iter().map(held).collect(),
        outstanding: sets(&dump.outstanding),
        counted: u64::try_from(counted).unwrap(),
    }
}

fn held((worker, leases): (&String, &Record)) -> (String, BTreeMap<String, u64>) {
    let leases = leases.iter();
    let leases = leases.map(|(id, token)| (id.clone(), token.parse().unwrap()));
    (worker.clone(), leases.collect())
}

fn sets(lists: &Lists) -> BTreeMap<String, BTreeSet<String>> {
    lists
        .iter()
        .map(|(name, ids)| (name.clone(), ids.iter().cloned().collect()))
        .collect()
}
