#!/usr/bin/env bash
# config (Rust): with `try_parsing` a String read from the environment is another text, if it looks like a number
#
# Seen with config 0.15.27 (crates.io), Rust 1.95, 2026-11-29.
#
# Expected: `Environment::try_parsing(true)`, which a list in a variable needs, reads what can safely be read as a
# boolean, an integer or a float, as its documentation says; a field that is a String still gets what the variable
# holds, as it does from TOML or without `try_parsing`.
# Seen: the value becomes a number first and is then written anew. 00417 arrives as 417, 1e5 as 100000, +49 as 49, TRUE
# as true, and 30 digits keep some 17. No error: a password, a part number or a token is another one in production,
# where it comes from the environment, than in the file it was tried with.
#
# What to do: leave `try_parsing` off (numbers and booleans are still read into such fields) and split lists in serde.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "settings"
version = "0.0.0"
edition = "2024"
[dependencies]
config = { version = "=0.15.27", default-features = false, features = ["toml"] }
serde = { version = "1", features = ["derive"] }
[workspace]
TOML
cat >src/main.rs <<'RUST'
use config::{Config, Environment, File, FileFormat};
use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    token: String,
    port: u16,
}

fn token(parse: bool) -> String {
    let defaults = "token = 'from the file'\nport = 1";
    let settings = Config::builder()
        .add_source(File::from_str(defaults, FileFormat::Toml))
        .add_source(Environment::with_prefix("APP").try_parsing(parse))
        .build()
        .and_then(Config::try_deserialize::<Settings>)
        .unwrap();
    assert_eq!(settings.port, 8080, "numbers are read with and without");
    settings.token
}

fn main() {
    println!("{}|{}", token(false), token(true));
}
RUST
cargo build --quiet

changed=0
for token in 00417 1e5 +49 TRUE 0.10 123456789012345678901234567890 A7 0x1F; do
    IFS='|' read -r plain parsed < <(APP_TOKEN=$token APP_PORT=8080 target/debug/settings)
    printf '  APP_TOKEN=%-31s without: %-31s with try_parsing: %s\n' "$token" "$plain" "$parsed"
    [[ $plain == "$token" ]] || { echo "it is changed without try_parsing, too"; exit 1; }
    [[ $parsed == "$token" ]] || changed=$((changed + 1))
done
[[ $changed == 6 ]] || { echo "$changed of 8 are changed: the finding is out of date"; exit 1; }
echo "seen: 6 of 8 texts are another text, without an error"
