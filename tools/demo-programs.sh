# What the demos share: services, programs that stay up, and how numbers are shown. To be sourced from the repository's root.
# shellcheck shell=bash
export ORT_DISABLE_TELEMETRY=1

# Logs and pids of everything that a demo starts.
readonly RUN_DIR=.services/demo

heading() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[[ -t 1 ]] || heading() { printf '\n%s\n' "$*"; }

# Stops what an earlier demo left running: by pid, and only if the pid is still one of ours.
stop_programs() {
    local file pid
    for file in "$RUN_DIR"/*.pid; do
        [[ -e $file ]] || continue
        pid=$(<"$file")
        if [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == "$PWD"/target/release/* ]]; then
            kill "$pid"
            while [[ -e /proc/$pid && $(readlink "/proc/$pid/exe" 2>/dev/null) == "$PWD"/target/release/* ]]; do
                sleep 0.1
            done
        fi
        rm -f "$file"
    done
}

start_program() {
    local name=$1
    shift
    setsid "$@" </dev/null >"$RUN_DIR/$name.log" 2>&1 &
    echo $! >"$RUN_DIR/$name.pid"
    disown # so that bash has nothing to say when somebody kills it
}

start_services() {
    heading "Services"
    tools/parts.sh curl
    tools/services.sh up >/dev/null
    # shellcheck source=/dev/null
    source .services/env
    tools/services.sh status
    # Any free ports: several demos, or a fleet of somebody's own, may be here.
    export WELDFLEET__SCHEDULER__HTTP=127.0.0.1:0 WELDFLEET__WORKER__HTTP=127.0.0.1:0
}

# 50000 as 50,000, whatever the locale.
number() { sed -E ':again; s/^([0-9]+)([0-9]{3})/\1,\2/; t again' <<<"$1"; }
