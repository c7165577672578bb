# What the demos share: services, programs that stay up, and how numbers are shown. To be sourced from the repository's root.
# shellcheck shell=bash
export ORT_DISABLE_TELEMETRY=1

# Logs and pids of everything that a demo starts.
readonly RUN_DIR=.services/demo

# A fleet that this shell is set up for is none of the demo's: nothing of it may be read or written. How long leases last
# may be said, which tools/demo-recording.py does.
LEFT_OUT=
while read -r name; do
    # What an earlier demo's shell has of this checkout's own services is nothing to speak of.
    grep -qsxF "export $name=${!name}" .services/env || LEFT_OUT+="${LEFT_OUT:+ }$name"
    unset "$name"
done < <(compgen -e | grep -E '^WELDFLEET(_CONFIG$|__)' | grep -v '^WELDFLEET__LEASE__')
readonly LEFT_OUT

heading() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[[ -t 1 ]] || heading() { printf '\n%s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

want_number() { # want_number NAME LEAST EXAMPLE : of a variable that a person may set
    [[ ${!1} =~ ^[1-9][0-9]{0,8}$ && ${!1} -ge $2 ]] || fail "$1=${!1} is not a whole number of at least $2; try $1=$3"
}

# A demo at a time in a checkout, and a word about what it leaves behind where it does not end well.
begin() {
    mkdir -p "$RUN_DIR"
    exec 8>"$RUN_DIR/lock"
    flock -n -E 75 8 || { (($? == 75)) && fail "another demo is at work in this checkout; wait until it has ended, or interrupt it"; }
    trap 'left_behind $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    [[ -z $LEFT_OUT ]] || printf 'left out, since the demo has stores of its own: %s\n' "$LEFT_OUT"
    stop_programs
}

left_behind() {
    (($1 == 0)) || printf '\nnot finished; what was started is still up: make demo-down stops it, the logs are in %s\n' "$RUN_DIR" >&2
}

# Stops what an earlier demo left running: by pid, and only if the pid is still one of ours.
stop_programs() {
    local file pid ours stopped=()
    # As the kernel names it, whatever links lead here.
    ours=$(pwd -P)/target/release
    for file in "$RUN_DIR"/*.pid; do
        [[ -e $file ]] || continue
        pid=$(<"$file")
        if [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == "$ours"/* ]]; then
            kill "$pid"
            while [[ -e /proc/$pid && $(readlink "/proc/$pid/exe" 2>/dev/null) == "$ours"/* ]]; do
                sleep 0.1
            done
            stopped+=("$(basename "$file" .pid)")
        fi
        rm -f "$file"
    done
    [[ ${#stopped[@]} == 0 ]] || printf 'stopped what an earlier demo left running: %s\n' "${stopped[*]}"
}

start_program() {
    local name=$1
    shift
    setsid "$@" </dev/null >"$RUN_DIR/$name.log" 2>&1 8>&- &
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

# The services are on loopback, which no proxy of the shell's reaches.
query() { # query URL SQL
    curl -sS --noproxy '*' --fail-with-body "$1" --data-binary "$2"
}

# What a person's shell needs before what is shown next.
before_next() { # before_next COMMAND
    echo "first: ${LEFT_OUT:+unset $LEFT_OUT; }$1"
}

# 50000 as 50,000, whatever the locale.
number() { sed -E ':again; s/^([0-9]+)([0-9]{3})/\1,\2/; t again' <<<"$1"; }
