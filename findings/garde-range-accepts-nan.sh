#!/usr/bin/env bash
# garde: range(min = 0.0, max = 1.0) accepts NaN
#
# Seen with garde 0.23.0 (crates.io), Rust 1.95, 2026-11-28.
#
# Expected: a number that passes `#[garde(range(min = 0.0, max = 1.0))]` is at least 0 and at most 1. Infinity is refused.
# Seen: NaN passes, for f32 and f64, also behind an Option. It is refused if it is below the one bound or above the
# other, and NaN is neither. TOML, YAML and command lines can all say NaN, so a validated threshold may be one that no
# probability ever reaches.
#
# What to do: a custom validator that asks whether the bounds contain the number, as (0.0..=1.0).contains(&x) does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "thresholds"
version = "0.0.0"
edition = "2024"
[dependencies]
garde = { version = "=0.23.0", features = ["derive"] }
[workspace]
TOML
cat >src/main.rs <<'RUST'
use garde::Validate;

#[derive(Validate)]
struct Thresholds {
    #[garde(range(min = 0.0, max = 1.0))]
    single: f32,
    #[garde(range(min = 0.0, max = 1.0))]
    double: f64,
    #[garde(range(min = 0.0, max = 1.0))]
    optional: Option<f64>,
}

fn main() {
    for value in [0.5, 1.5, f64::INFINITY, f64::NAN] {
        let all = Thresholds { single: value as f32, double: value, optional: Some(value) };
        let valid = all.validate().is_ok();
        println!("{value}: {}", if valid { "valid" } else { "refused" });
    }
    assert!(!(0.0..=1.0).contains(&f64::NAN), "the range itself does not contain it");
}
RUST
cargo build --quiet
seen=$(target/debug/thresholds)
echo "$seen"
wanted=$'0.5: valid\n1.5: refused\ninf: refused\nNaN: valid'
[[ $seen == "$wanted" ]] || {
    echo "the behaviour has changed"
    exit 1
}
