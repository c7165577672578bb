//! Tests of the queue against a real Redis of their own.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod apalis_worker;
mod bounded;
mod consumer;
mod cookbook;
mod damaged;
mod deaths;
mod dump;
mod outage;
mod ownership;
mod plans;
mod property;
mod protocol;
#[path = "../reference/mod.rs"]
mod reference;
mod refusals;
mod repair;
mod server;
mod tls;
