//! The fleet under test: real services, the built binaries, and what a person would look at.
//!
//! # Layout
//! - [`fleet`]: one private plant: services, configuration, a folder; starts schedulers and workers;
//! - [`process`]: a running binary: its log, its HTTP port, signals;
//! - [`proxy`]: one process' way to a service, which can be cut;
//! - [`clickhouse`], [`mysql`], [`queue`], [`audit`]: looking at each store from outside, with its own tools' protocols
//!   and none of the product's code;
//! - [`status`]: what a scheduler tells of the fleet; [`prometheus`]: what a real Prometheus makes of it;
//! - [`agree`]: whether all of them tell the same about the same welds;
//! - [`faults`]: what the fault tests share; [`poison`]: those of a row that kills its worker;
//! - the scenarios are in `tests/tests/`, one file a theme.
//!
//! What must never live here: a use of the product's own crates, save for its list of result columns, so that none goes
//! uncompared. These tests see only what users see.

#![allow(clippy::missing_panics_doc, reason = "in a test a panic is the report")]

pub mod agree;
pub mod audit;
pub mod clickhouse;
pub mod faults;
pub mod fleet;
pub mod mysql;
pub mod poison;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod queue;
pub mod status;

pub use fleet::Fleet;
pub use process::Process;
pub use weldfleet_testkit::{
    Certificates, Service, Services, Shown, TlsProxy, eventually, repository,
};
