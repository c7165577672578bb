#!/usr/bin/env bash
# Makes sure that the code can be compiled here: says what to do about Rust, installs a C compiler where it may. Prints
# nothing when all is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
remedy="install Rust $wanted or newer from https://rustup.rs (curl https://sh.rustup.rs -sSf | sh), then open a new shell"

if ! command -v cargo >/dev/null; then
    echo "error: cargo is not installed; $remedy" >&2
    exit 1
fi
found=$(cargo --version | awk '{print $2}')
if [[ $(printf '%s\n' "$wanted" "$found" | sort --version-sort | head -n 1) != "$wanted" ]]; then
    echo "error: cargo is $found, the code needs $wanted; run \`rustup update\` or $remedy" >&2
    exit 1
fi
tools/parts.sh cc
