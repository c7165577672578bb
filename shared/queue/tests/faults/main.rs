//! Faults on real processes and a real Redis. A member of the fleet is the example `member`; its effects go to a second
//! Redis, the store, which compares tokens as ClickHouse does. An owner enqueues from that truth, pass after pass, as
//! the scheduler does.
//!
//! - `recovery`: how long from `kill -9` to the next claim
//! - `storm`: a fleet under kills, zombies and restarts of Redis
//! - `sentinel`, `cluster`: primaries that die, a slot that moves
//! - `trial`: one fleet at work, with its owner (`owner`) and store (`store`); `verdict`: what must be true afterwards
//!
//! Of each a small variant runs with every `make test`. Long ones: `make test-faults`. Their sizes: `JOBS`, `MEMBERS`,
//! `KILLS`, `ZOMBIES`, `RESTARTS`, `FAILOVERS`, `MOVES`.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod cluster;
#[path = "../it/dump.rs"]
mod dump;
#[path = "../reference/ledger.rs"]
mod ledger;
mod member;
mod owner;
mod recovery;
mod replication;
mod sentinel;
#[allow(dead_code, reason = "shared with the other tests")]
#[path = "../it/server.rs"]
mod server;
mod store;
mod storm;
mod trial;
mod verdict;

/// A size that the environment may override.
fn size(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Err(_) => default,
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text}: expected a number")),
    }
}
