//! One file a subcommand.

pub mod check;
pub mod explain;
pub mod predict;
pub mod run;
mod words;
