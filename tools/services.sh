#!/usr/bin/env bash
# Private instances of the real services. The work is done in tools/services/ (Python, standard library only);
# this wrapper makes sure that Python and the parts that are asked for are there. See `tools/services.sh --help`.
# Other servers than the usual ones: MYSQL_SERVER, REDIS_SERVER, CLICKHOUSE_LAUNCHER and CLICKHOUSE_LIBRARY (paths).
set -euo pipefail
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The parts are looked for (10 ms when they are there) only by the commands that may need them.
parts=(python)
case ${1:-} in
up)
    parts+=(redis mysql clickhouse onnxruntime)
    [[ $(uname -m) != x86_64 ]] || parts+=(openvino)
    ;;
run)
    named=()
    for argument in "${@:2}"; do
        case $argument in redis | clickhouse | mysql) named+=("$argument") ;; esac
    done
    [[ ${#named[@]} -gt 0 ]] || named=(redis clickhouse mysql)
    parts+=("${named[@]}")
    ;;
esac
missing=()
for part in "${parts[@]}"; do
    case $part in
    redis) given=${REDIS_SERVER:-} ;;
    mysql) given=${MYSQL_SERVER:-} ;;
    clickhouse) given=${CLICKHOUSE_LAUNCHER:-} ;;
    *) given= ;;
    esac
    [[ -n $given ]] || missing+=("$part")
done
"$TOOLS/parts.sh" "${missing[@]}"

given=("${CLICKHOUSE_LAUNCHER:-}" "${CLICKHOUSE_LIBRARY:-}")
# shellcheck source=/dev/null
source <("$TOOLS/parts.sh" --paths)
CLICKHOUSE_LAUNCHER=${given[0]:-$CLICKHOUSE_LAUNCHER}
CLICKHOUSE_LIBRARY=${given[1]:-$CLICKHOUSE_LIBRARY}
export CLICKHOUSE_LAUNCHER CLICKHOUSE_LIBRARY ORT_DYLIB_PATH OPENVINO_PLUGIN
# The system's own Python where there is one: it starts faster than a version manager's.
python=$(command -v /usr/bin/python3 || command -v python3)
# Until Python is ready for it, an interrupt would be a traceback of its imports.
trap '' INT
exec "$python" "$TOOLS/services" "$@"
