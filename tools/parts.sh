#!/usr/bin/env bash
# Fetches or installs the real parts that services, tests and the demo run on; does nothing for a part that is there.
# Everything that is downloaded is pinned, checked, and unpacked once per user into the cache.
set -euo pipefail

readonly CHDB_VERSION=26.7.3-stable.1
readonly ONNXRUNTIME_VERSION=1.31.1
readonly COMPOSE_VERSION=2.26.1
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/weldfleet
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly TOOLS

usage() {
    cat <<EOF
usage: tools/parts.sh [PART...]      (default: the first five)
       tools/parts.sh --paths        print where the cached parts are (or will be), as shell assignments

Fetches or installs what is missing, once:
  python           python3, which tools/services.sh is written in (apt)
  redis            redis-server (apt)
  mysql            mariadb-server (apt)
  clickhouse       the ClickHouse engine $CHDB_VERSION (npm, checked; its launcher is built with cc)
  onnxruntime      libonnxruntime.so.$ONNXRUNTIME_VERSION (PyPI wheel, checked)
  onnxruntime_gpu  the same with its CUDA and TensorRT providers (PyPI wheel, checked)
  cc               a C compiler and linker (apt)
  curl             curl (apt)
  compose          Docker Compose $COMPOSE_VERSION, unless \`docker compose\` works (Debian package, checked)
  old_clickhouse   Debian's ClickHouse server of 2018, which must be refused (apt)

Cache: $CACHE
EOF
}

log() { printf '%s\n' "$*" >&2; }

die() {
    log "error: $*"
    exit 1
}

arch() {
    case $(uname -m) in
    x86_64 | amd64) echo x64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) die "no ClickHouse engine or ONNX Runtime is published for $(uname -m); use an x86_64 or aarch64 machine" ;;
    esac
}

# --- where things are -------------------------------------------------------------------------------------------

chdb_dir() { echo "$CACHE/chdb-$CHDB_VERSION-$(arch)"; }
onnxruntime_dir() { echo "$CACHE/onnxruntime-$ONNXRUNTIME_VERSION-$(arch)"; }
onnxruntime_gpu_dir() { echo "$CACHE/onnxruntime-gpu-$ONNXRUNTIME_VERSION-$(arch)"; }
compose_program() { echo "$CACHE/compose-$COMPOSE_VERSION-$(arch)/docker-compose"; }
onnxruntime_gpu_library() { echo "$(onnxruntime_gpu_dir)/libonnxruntime.so.$ONNXRUNTIME_VERSION"; }
onnxruntime_library() { echo "$(onnxruntime_dir)/libonnxruntime.so.$ONNXRUNTIME_VERSION"; }

print_paths() {
    printf 'CLICKHOUSE_LAUNCHER=%q\n' "$(chdb_dir)/clickhouse"
    printf 'CLICKHOUSE_LIBRARY=%q\n' "$(chdb_dir)/libchdb.so"
    printf 'ORT_DYLIB_PATH=%q\n' "$(onnxruntime_library)"
    printf 'ORT_GPU_DYLIB_PATH=%q\n' "$(onnxruntime_gpu_library)"
    printf 'DOCKER_COMPOSE=%q\n' "$(compose_program)"
}

# --- installing -------------------------------------------------------------------------------------------------

# apt_install PACKAGE... : as root, or through sudo. Debian's daemons must not start by themselves (policy-rc.d is
# honoured where there is an init at all): every instance that is used here is private.
apt_install() {
    local as_root=()
    if [[ $(id -u) != 0 ]]; then
        command -v sudo >/dev/null || die "need $* and am neither root nor have sudo; run as root: apt-get install $*"
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null || die "need $* and this machine has no apt-get; install them by hand"
    log "installing $*"
    local report
    report=$(mktemp)
    if ! {
        "${as_root[@]}" apt-get update -q &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
                apt-get install -q -y --no-install-recommends "$@"
    } >"$report" 2>&1; then
        tail -n 20 "$report" >&2
        die "apt-get could not install $*; the end of its output is above"
    fi
    rm -f "$report"
}

need_program() { # need_program PROGRAM PACKAGE...
    local program=$1
    shift
    command -v "$program" >/dev/null || apt_install "$@"
}

# fetch_into DIR FUNCTION : runs FUNCTION in a fresh folder and moves that to DIR in one step, so that a cache entry
# is either whole or absent. Of several processes one fetches, the others wait for it. (The lock is CACHE/lock; the
# caller holds it.)
fetch_into() {
    local target=$1 fill=$2 staging
    staging=$(mktemp -d "$CACHE/staging.XXXXXX")
    if ! (cd "$staging" && "$fill"); then
        rm -rf "$staging"
        die "could not fetch $(basename "$target"); the reason is above"
    fi
    chmod 755 "$staging"
    rm -rf "$target" # of an older recipe
    mv -T "$staging" "$target"
}

# --- the parts --------------------------------------------------------------------------------------------------

# The server binary is outside a plain user's PATH on Debian.
have_python() { command -v python3 >/dev/null; }
have_redis() { [[ -x /usr/bin/redis-server ]] || command -v redis-server >/dev/null; }
have_mysql() { [[ -x /usr/sbin/mariadbd ]] || command -v mariadbd >/dev/null; }
have_clickhouse() { [[ -x $(chdb_dir)/clickhouse ]]; }
have_cc() { command -v cc >/dev/null; }
have_curl() { command -v curl >/dev/null; }
have_old_clickhouse() { [[ -x /usr/sbin/clickhouse-server ]]; }
have_onnxruntime() { [[ -r $(onnxruntime_library) ]]; }
have_onnxruntime_gpu() { [[ -r $(onnxruntime_gpu_library) ]]; }
have_compose() { docker compose version >/dev/null 2>&1 || [[ -x $(compose_program) ]]; }

get_python() { apt_install python3; }
get_redis() { apt_install redis-server redis-tools; }
get_mysql() { apt_install mariadb-server mariadb-client; }
get_cc() { apt_install gcc libc6-dev; }
get_curl() { apt_install curl ca-certificates; }
get_old_clickhouse() { apt_install clickhouse-server; }

get_clickhouse() {
    need_program npm npm
    ensure cc
    log "fetching the ClickHouse engine $CHDB_VERSION (167 MB, once)"
    fetch_into "$(chdb_dir)" fill_clickhouse
}

fill_clickhouse() {
    local tarball
    npm pack --silent --loglevel=error "@chdb/lib-linux-$(arch)-gnu@$CHDB_VERSION" >/dev/null || return 1
    tarball=$(echo ./*.tgz)
    # npm has checked the registry's own sum; ours also holds against a registry that changed.
    if [[ $(arch) == x64 ]]; then
        check_sha256 c0d32b129e988f2b9a9a31c9141aecf5e1e2453f9a079efc4d36ab8e3f92b2ad "$tarball" || return 1
    fi
    tar -xzf "$tarball" --strip-components=1 --no-same-owner package/libchdb.so || return 1
    chmod 755 libchdb.so
    cc -O1 -Wall -o clickhouse "$TOOLS/chdb_launcher.c" -ldl || return 1
    rm -f "$tarball"
}

get_onnxruntime() {
    need_pip
    log "fetching ONNX Runtime $ONNXRUNTIME_VERSION (24 MB, once)"
    fetch_into "$(onnxruntime_dir)" fill_onnxruntime
}

fill_onnxruntime() {
    case $(arch) in
    x64) unpack_wheel onnxruntime x86_64 1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536 ;;
    arm64) unpack_wheel onnxruntime aarch64 0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc ;;
    esac
}

get_onnxruntime_gpu() {
    [[ $(arch) == x64 ]] || die "onnxruntime-gpu is published for x86_64 only"
    need_pip
    log "fetching ONNX Runtime $ONNXRUNTIME_VERSION with CUDA (256 MB, once)"
    fetch_into "$(onnxruntime_gpu_dir)" fill_onnxruntime_gpu
}

fill_onnxruntime_gpu() {
    unpack_wheel onnxruntime-gpu x86_64 05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7
}

need_pip() {
    ensure python
    python3 -m pip --version >/dev/null 2>&1 || apt_install python3-pip
}

# unpack_wheel PACKAGE MACHINE SUM : its C libraries into the current folder. The wheel for one fixed Python is taken
# whatever Python is here, since nothing of Python's in it is used.
unpack_wheel() {
    local package=$1 machine=$2 sum=$3
    python3 -m pip download --quiet --no-deps --no-cache-dir --disable-pip-version-check --only-binary=:all: \
        --python-version 3.12 --implementation cp --abi cp312 \
        --platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine" \
        "$package==$ONNXRUNTIME_VERSION" || return 1
    check_sha256 "$sum" ./*.whl || return 1
    python3 - ./*.whl <<'PYTHON' || return 1
import pathlib, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
for member in wheel.namelist():
    path = pathlib.PurePosixPath(member)
    if path.match("onnxruntime/capi/libonnxruntime*.so*"):
        pathlib.Path(path.name).write_bytes(wheel.read(member))
PYTHON
    rm -f ./*.whl
}

get_compose() {
    [[ $(arch) == x64 ]] || die "no pinned Docker Compose for $(uname -m); install the docker compose plugin"
    ensure curl
    need_program dpkg-deb dpkg
    log "fetching Docker Compose $COMPOSE_VERSION (13 MB, once)"
    fetch_into "$(dirname "$(compose_program)")" fill_compose
}

fill_compose() {
    local deb=docker-compose_$COMPOSE_VERSION-4_amd64.deb
    curl -sSfLO --retry 3 "https://deb.debian.org/debian/pool/main/d/docker-compose/$deb" || return 1
    check_sha256 47681197cb2b1ab88206b42a1a92fc75f50d9530a6322d03494a473eed0408ea "$deb" || return 1
    dpkg-deb --fsys-tarfile "$deb" |
        tar -x --strip-components=5 --no-same-owner ./usr/libexec/docker/cli-plugins/docker-compose || return 1
    rm -f "$deb"
}

check_sha256() { # check_sha256 SUM FILE
    echo "$1  $2" | sha256sum --check --quiet - || {
        log "the checksum of $(basename "$2") is not the pinned one; it is not used"
        return 1
    }
}

ensure() {
    local part=$1
    if ! "have_$part"; then
        "get_$part"
        "have_$part" || die "$part is still missing after it was installed"
    fi
}

main() {
    case ${1:-} in
    -h | --help) usage && exit 0 ;;
    --paths) print_paths && exit 0 ;;
    esac
    local parts=("$@") missing=() part
    [[ ${#parts[@]} -gt 0 ]] || parts=(python redis mysql clickhouse onnxruntime)
    for part in "${parts[@]}"; do
        declare -F "have_$part" >/dev/null || { usage >&2 && exit 2; }
        "have_$part" || missing+=("$part")
    done
    [[ ${#missing[@]} -gt 0 ]] || exit 0

    mkdir -p "$CACHE"
    exec 9>"$CACHE/lock"
    flock 9
    for part in "${missing[@]}"; do ensure "$part"; done
}

main "$@"
