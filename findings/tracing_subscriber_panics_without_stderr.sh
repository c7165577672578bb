#!/usr/bin/env bash
# tracing-subscriber 0.3.23 (crates.io), Rust 1.95.
# Expected: a log line that cannot be written (standard error is a pipe whose reader has gone, or a full disk) is lost, and the program goes on.
# Seen:     the subscriber reports the failed write with `eprintln!`, which fails too and panics in whatever thread logged: exit 101.
#           `.log_internal_errors(false)` makes it what one expects.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "logs"
version = "0.0.0"
edition = "2021"
[dependencies]
tracing = "=0.1.44"
tracing-subscriber = { version = "=0.3.23", default-features = false, features = ["fmt"] }
[workspace]
TOML
cat >src/main.rs <<'RUST'
fn main() {
    let report = std::env::args().nth(1).as_deref() == Some("usual");
    tracing_subscriber::fmt().with_writer(std::io::stderr).log_internal_errors(report).init();
    tracing::info!("a line");
    println!("the program goes on");
}
RUST
cargo build --quiet
run() { local code=0; target/debug/logs "$1" 2>/dev/full || code=$?; echo "$1: exit $code"; result=$code; }
run usual;  usual=$result
run silent; silent=$result
[[ $usual == 101 && $silent == 0 ]] || { echo "the behaviour has changed"; exit 1; }
