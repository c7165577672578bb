#!/usr/bin/env bash
# Runs the checks and tests, on real services that every test starts for itself. The test runner speaks last.
#
# usage: tools/test.sh [all|lint|faults|nightly|training|parts [OPTION...]]      (default: all)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export ORT_DISABLE_TELEMETRY=1
unset WELDFLEET_BUILD

# The same features everywhere, so that nothing is compiled twice and the programs under test have their fail points.
readonly FEATURES=(--workspace --locked --features failpoints)

step() { printf '\n== %s\n' "$*"; }
# For a person a missing tool is a remark; CI must have looked at everything.
skip() {
    if [[ ${CI:-} == true ]]; then
        echo "error: CI must not skip $*" >&2
        exit 1
    fi
    printf '\n== skipped: %s\n' "$*"
}

lint() {
    if cargo fmt --version >/dev/null 2>&1; then
        step formatting
        cargo fmt --all --check -- --files-with-diff || {
            echo "error: these files are not formatted; run: make fmt" >&2
            exit 1
        }
    else
        skip "formatting; rustfmt is not installed (rustup component add rustfmt)"
    fi
    if cargo clippy --version >/dev/null 2>&1; then
        step clippy
        cargo clippy --quiet "${FEATURES[@]}" --all-targets -- -D warnings
    else
        skip "clippy; it is not installed (rustup component add clippy)"
    fi
    # The tests' own dependencies turn on features of the programs' crates; what is shipped is built without them.
    step "the programs as they are shipped"
    cargo check --quiet --locked --bin scheduler --bin worker
    # A workspace of its own, so nothing else notices when a change of the queue leaves its lock file behind.
    step "lock file of the queue's bench"
    cargo update --quiet --workspace --locked --manifest-path bench/queue/Cargo.toml || {
        echo "error: bench/queue/Cargo.lock does not fit; run: cargo update --workspace --manifest-path bench/queue/Cargo.toml" >&2
        exit 1
    }
    step "links in the code's documentation"
    RUSTDOCFLAGS="-D warnings" cargo doc --quiet "${FEATURES[@]}" --no-deps --document-private-items
    if command -v shellcheck >/dev/null; then
        step "shell scripts"
        shellcheck -x --severity=info tools/*.sh .ci/run bench/*.sh findings/*.sh training/*.sh
    else
        skip "shell scripts; shellcheck is not installed (apt-get install shellcheck)"
    fi
    compose_files
}

# Checking a compose file needs a Compose, but no engine.
compose_files() {
    if ! tools/parts.sh compose; then
        skip "compose files; there is no Docker Compose here"
        return
    fi
    local compose=(docker compose)
    # shellcheck source=/dev/null
    source <(tools/parts.sh --paths)
    docker compose version >/dev/null 2>&1 || compose=("$DOCKER_COMPOSE")
    step "compose files"
    "${compose[@]}" -f docker-compose.yml --profile monitoring config -q
    "${compose[@]}" -f docker-compose.yml -f docker-compose.gpu.yml config -q
}

build() {
    step "what the tests run on"
    tools/parts.sh
    # shellcheck source=/dev/null
    source <(tools/parts.sh --paths)
    export ORT_DYLIB_PATH
    step "programs with fail points, and the queue's test member"
    cargo build "${FEATURES[@]}" --bins --example member
}

# run_tests PROFILE [FILTERSET] : with nextest where it is installed (a process for each test, clear summary), else
# with cargo's own runner, which knows neither profile nor filterset and so runs everything.
run_tests() {
    local profile=$1 filter=()
    [[ -z ${2:-} ]] || filter=(--filterset "$2" --run-ignored all)
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run "${FEATURES[@]}" --profile "$profile" "${filter[@]}"
    elif [[ $profile == default ]]; then
        echo "cargo-nextest is not installed (cargo install --locked cargo-nextest); using cargo test"
        # As many fleets at a time as .config/nextest.toml allows.
        RUST_TEST_THREADS=2 cargo test "${FEATURES[@]}" --no-fail-fast --lib --bins --tests
    else
        echo "error: these tests need cargo-nextest; run: cargo install --locked cargo-nextest" >&2
        exit 1
    fi
}

# The scripts of training/ on the product's own tables; PyTorch's part where it was fetched for.
training() { # training PART : training (NumPy, ONNX) or training_torch
    step "training scripts"
    tools/parts.sh "$1"
    # shellcheck source=/dev/null
    source <(tools/parts.sh --paths all)
    local libraries=$TRAINING_LIBRARIES
    [[ $1 != training_torch ]] || libraries=$TRAINING_TORCH_LIBRARIES
    PYTHONPATH=$libraries "$TRAINING_PYTHON" -m unittest discover --start-directory training
}

main() {
    case ${1:-all} in
    all)
        tools/toolchain.sh
        lint
        build
        step "examples in the documentation"
        cargo test "${FEATURES[@]}" --quiet --doc
        training training
        step tests
        run_tests default
        ;;
    lint)
        tools/toolchain.sh
        lint
        ;;
    faults)
        tools/toolchain.sh
        build
        step "fault tests, with services away for 20 s"
        WELDFLEET_LONG_TESTS=1 run_tests faults 'binary(/faults/)'
        ;;
    nightly)
        tools/toolchain.sh
        build
        step "the queue: every interleaving of the model, 10,000 random sequences, a million jobs due at once, a minute without a free core"
        PROPTEST_CASES=10000 BOUNDED_JOBS=1000000 SPIN_S=60 run_tests nightly \
            'package(weldfleet-queue) and (binary(model) or test(property::) or test(bounded::) or test(handlers_that_occupy_every_core))'
        ;;
    training)
        tools/toolchain.sh
        build
        training training_torch
        ;;
    parts)
        tools/toolchain.sh
        build
        step "tests, once for all parts"
        cargo nextest run "${FEATURES[@]}" --no-run
        python3 tools/test_parts.py "${@:2}"
        ;;
    *)
        sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
    esac
}

main "$@"
