#!/usr/bin/env bash
# Prints the commit that last changed what the programs are made of, `-modified` behind it where files differ from it.
# Nothing where this is no git checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly SOURCES=(Cargo.toml Cargo.lock scheduler worker shared simulator)

commit=$(git log -1 --format=%h -- "${SOURCES[@]}" 2>/dev/null) || exit 0
[[ -n $commit ]] || exit 0
git diff --quiet HEAD -- "${SOURCES[@]}" || commit+=-modified
echo "$commit"
