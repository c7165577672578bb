#!/usr/bin/env bash
# Prints the commit that last changed what the programs are made of, `-modified` behind it where files differ from it.
# Nothing where this is no git checkout, or one that does not know which commit that was.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly SOURCES=(Cargo.toml Cargo.lock config/sql scheduler worker shared simulator)

[[ $(git rev-parse --is-shallow-repository 2>/dev/null) == false ]] || exit 0
commit=$(git log -1 --abbrev=12 --format=%h -- "${SOURCES[@]}" 2>/dev/null) || exit 0
[[ -n $commit ]] || exit 0
[[ -z $(git status --porcelain -- "${SOURCES[@]}") ]] || commit+=-modified
echo "$commit"
