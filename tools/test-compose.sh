#!/usr/bin/env bash
# Builds the images and runs docker-compose.yml with three workers in a Docker engine of its own: a simulated day must
# end with a verdict for every row and the same NOK rows in ClickHouse and MySQL. Needs root and some 8 GB of disk;
# needs no container registry (see docker/standins/README.md) and touches neither a Docker engine that is already here
# nor the machine's network settings. Everything it starts or writes is gone afterwards.
#
# usage: tools/test-compose.sh [--rows N] [--workers N]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ROWS=30000
WORKERS=3
HOME_DIR=$(mktemp -d /var/tmp/weldfleet-compose.XXXXXX)
NETWORK=weldfleet-${HOME_DIR##*.}
readonly HOME_DIR NETWORK
export DOCKER_HOST=unix://$HOME_DIR/docker.sock

step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

die() {
    echo "error: $*" >&2
    exit 1
}

# --- the engine ---------------------------------------------------------------------------------------------------

engine_pid() { cat "$HOME_DIR/docker.pid" 2>/dev/null; }

# start_engine OPTION... -- PREFIX... : a dockerd in a mount namespace of its own, so that no mount of it outlives it
start_engine() {
    local options=()
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    setsid "$@" unshare --mount --propagation private dockerd --data-root "$HOME_DIR/data" \
        --exec-root "$HOME_DIR/exec" --pidfile "$HOME_DIR/docker.pid" --host "$DOCKER_HOST" \
        "${options[@]}" >>"$HOME_DIR/engine.log" 2>&1 </dev/null &
    for _ in $(seq 150); do
        if docker info >/dev/null 2>&1; then return; fi
        sleep 0.2
    done
    tail -n 20 "$HOME_DIR/engine.log" >&2
    die "the Docker engine did not come up in 30 s; the end of its log is above"
}

stop_engine() {
    local pid
    pid=$(engine_pid) || return 0
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 150); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.2
    done
    kill -KILL "$pid"
}

# Building needs the way out to the package registries, and no bridge.
start_build_engine() {
    start_engine --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --bridge=none -- env
}

# Running needs bridges and iptables: in a network namespace that holds nothing else.
start_run_engine() {
    ip netns add "$NETWORK"
    ip -n "$NETWORK" link set lo up
    start_engine -- nsenter --net="/run/netns/$NETWORK"
}

# shellcheck disable=SC2317 # called by the trap
tear_down() {
    local status=$?
    trap - EXIT
    set +e
    if engine_pid >/dev/null && docker info >/dev/null 2>&1; then
        if [[ $status != 0 && -n $(compose ps --quiet) ]]; then
            explain_failure >&2
        fi
        compose down --volumes --timeout 5 >/dev/null 2>&1
    fi
    stop_engine
    [[ ! -e /run/netns/$NETWORK ]] || ip netns delete "$NETWORK"
    rm -rf "$HOME_DIR"
    exit "$status"
}

# shellcheck disable=SC2317 # called by the trap
explain_failure() {
    local number
    compose ps --all
    compose logs --no-color --tail 40 migrate scheduler worker
    compose exec -T scheduler scheduler status
    for number in $(seq "$WORKERS"); do
        compose exec -T --index "$number" worker curl --silent http://127.0.0.1:9101/readyz && echo
    done
}

compose() { "${COMPOSE[@]}" "$@"; }

# --- what is needed -----------------------------------------------------------------------------------------------

prepare() {
    [[ $(id -u) == 0 ]] || die "a Docker engine of its own needs root; run: sudo make test-compose"
    tools/toolchain.sh
    local missing=() pair
    for pair in dockerd:docker.io mmdebstrap:mmdebstrap ip:iproute2 iptables:iptables nsenter:util-linux; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    if [[ ${#missing[@]} -gt 0 ]]; then
        apt-get update -q >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >/dev/null
    fi
    tools/parts.sh clickhouse compose redis_8_0 mysql_9_7
    # shellcheck source=/dev/null
    source <(tools/parts.sh --paths all)
    COMPOSE=(docker compose)
    docker compose version >/dev/null 2>&1 || COMPOSE=("$DOCKER_COMPOSE")
}

build() { # build COMPOSE_OPTION... : quiet unless it fails
    if ! compose --progress plain "$@" build >"$HOME_DIR/build.log" 2>&1; then
        tail -n 60 "$HOME_DIR/build.log" >&2
        die "an image could not be built; the end of the log is above"
    fi
}

# --- images -------------------------------------------------------------------------------------------------------

build_standins() {
    step "stand-ins for the public images"
    # The machine's own certificate authorities, for places whose proxy signs for itself.
    # shellcheck disable=SC2016 # mmdebstrap expands $1: the new root
    mmdebstrap --quiet --variant=minbase --mode=root --include=ca-certificates \
        --customize-hook='mkdir -p "$1/usr/local/share/ca-certificates"' \
        --customize-hook='cp -r /usr/local/share/ca-certificates/. "$1/usr/local/share/ca-certificates/"' \
        --customize-hook='chroot "$1" update-ca-certificates >/dev/null' \
        bookworm - | docker import - debian:bookworm-slim >/dev/null

    local context=$HOME_DIR/standins toolchain
    toolchain=$(rustc --print sysroot)
    mkdir -p "$context/toolchain/lib"
    cp docker/standins/* "$context"
    cp -r "$toolchain/bin" "$toolchain/libexec" "$context/toolchain/" 2>/dev/null || cp -r "$toolchain/bin" "$context/toolchain/"
    cp -r "$toolchain/lib/." "$context/toolchain/lib/"
    cp -r "$(dirname "$CLICKHOUSE_LIBRARY")" "$context/chdb"
    cp -r "$(dirname "$REDIS_8_0")" "$context/redis"
    cp -r "$(dirname "$MYSQL_9_7")" "$context/mysql"
    STANDINS_CONTEXT=$context build -f docker/standins/compose.yml
    rm -rf "$context"
}

build_images() {
    step "our images"
    BUILD_NETWORK=host build -f docker-compose.yml
    docker images --format '{{.Repository}}:{{.Tag}}  {{.Size}}' | grep '^weldfleet/'
}

# --- the day ------------------------------------------------------------------------------------------------------

clickhouse() { # clickhouse QUERY : over the published port
    nsenter --net="/run/netns/$NETWORK" curl --silent --show-error --fail-with-body \
        "http://127.0.0.1:8123/?database=weld" --user weld:weld --data-binary "$1"
}

mysql_value() {
    compose exec -T mysql mysql --host=127.0.0.1 --user=weld --password=weld --batch --skip-column-names weld \
        --execute="$1"
}

run_day() {
    step "docker compose up --scale worker=$WORKERS"
    # A limit above this is refused by some kernels.
    export NOFILE=20000
    compose up --detach --no-build --wait --wait-timeout 120 --quiet-pull --scale worker="$WORKERS"
    compose ps

    step "a day of $ROWS rows"
    compose exec -T scheduler scheduler simulate --day "$(TZ=Asia/Shanghai date +%Y%m%d)" --rows "$ROWS" --seed 7
    local left deadline=$((SECONDS + 300))
    while left=$(clickhouse "SELECT count() FROM spot_records WHERE alg_complete_time IS NULL"); [[ $left != 0 ]]; do
        [[ $SECONDS -lt $deadline ]] || die "$left of $ROWS rows have no verdict after 5 minutes"
        sleep 1
    done
    check_day
}

check_day() {
    step "counts"
    local total verdicts nok mirrored=-1 workers
    total=$(clickhouse "SELECT count() FROM spot_records")
    verdicts=$(clickhouse "SELECT countIf(final_result IN ('OK', 'NOK') OR alg_status != 'ok') FROM spot_records")
    nok=$(clickhouse "SELECT countIf(final_result = 'NOK') FROM spot_records")
    workers=$(compose exec -T redis redis-cli ZCARD 'weldfleet:{infer}:workers')
    clickhouse "SELECT alg_status, final_result, count() FROM spot_records GROUP BY ALL ORDER BY ALL FORMAT PrettyCompact"
    # The mirror follows the commit; the scheduler's next pass closes any gap.
    for _ in $(seq 30); do
        mirrored=$(mysql_value 'SELECT count(*) FROM nok_records')
        [[ $mirrored != "$nok" ]] || break
        sleep 1
    done
    printf 'rows %s, with a verdict or reason %s, NOK %s, in MySQL %s, workers %s\n' \
        "$total" "$verdicts" "$nok" "$mirrored" "$workers"
    [[ $total == "$ROWS" ]] || die "$total rows in ClickHouse, simulated were $ROWS"
    [[ $verdicts == "$ROWS" ]] || die "$verdicts of $ROWS rows have a verdict or a reason"
    [[ $nok -gt 0 ]] || die "no row is NOK; a simulated day has about 0.6 % of them"
    [[ $mirrored == "$nok" ]] || die "MySQL holds $mirrored NOK rows, ClickHouse $nok"
    [[ $workers == "$WORKERS" ]] || die "$workers workers are registered in Redis, $WORKERS were started"
}

# A browser that keeps its cookies; prints the status.
browse() {
    nsenter --net="/run/netns/$NETWORK" curl --silent --show-error --output /dev/null --write-out '%{http_code}' \
        --cookie "$HOME_DIR/cookies" --cookie-jar "$HOME_DIR/cookies" "$@"
}

check_console() {
    step "the console"
    local base=http://127.0.0.1:9100 password='a password for this test' status
    status=$(browse "$base/ui")
    [[ $status == 503 ]] || die "/ui answers $status before anybody may sign in; 503 says how to change that"
    compose exec -T scheduler scheduler users add tester --role viewer --password-stdin <<<"$password"
    status=$(browse "$base/ui")
    [[ $status == 303 ]] || die "/ui answers $status to a stranger; it leads to the page to sign in with 303"
    status=$(browse --header "Origin: $base" --data name=tester --data-urlencode "password=$password" "$base/ui/sign-in")
    [[ $status == 303 ]] || die "signing in to the console answers $status"
    status=$(browse "$base/ui")
    [[ $status == 200 ]] || die "/ui answers $status to somebody who has signed in"
}

main() {
    while [[ $# -gt 0 ]]; do
        case $1 in
        --rows) ROWS=$2 && shift 2 ;;
        --workers) WORKERS=$2 && shift 2 ;;
        *) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 2 ;;
        esac
    done
    prepare
    start_build_engine
    build_standins
    build_images
    stop_engine
    start_run_engine
    run_day
    check_console
    step "taking it down"
    compose down --volumes --timeout 75
    echo "ok"
}

trap tear_down EXIT
main "$@"
