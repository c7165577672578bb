#!/usr/bin/env bash
# CUDA and TensorRT beside raw ONNX Runtime, on the committed CNN and on an older service's network, in eight minutes.
#
# usage: bench/gpu.sh --prepare DIR [--python 3.12] [--tensorrt FOLDER] [--bin-dir FOLDER]
#        DIR/bench/gpu.sh [--minutes 8] [--providers cuda,tensorrt] [--json FILE]
#
# --prepare needs no GPU: it brings everything into DIR (some 4 GB; x86_64). Copied to a machine with an NVIDIA GPU, its
# driver (CUDA 13: 580 or newer) and that Python, it needs no network and builds nothing but TensorRT's engines.
# TensorRT 10 is NVIDIA's to give out: FOLDER holds its libnvinfer.so.10, or else the machine with the GPU has it.
# Exit codes: 0 all was measured; 1 a part was not; 2 wrong usage; 3 something is missing, by name.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT
readonly ONNXRUNTIME_GPU="onnxruntime-gpu[cuda,cudnn]==1.31.1"
# What it loads besides the CUDA libraries that pip brings.
readonly TENSORRT=(libnvinfer.so.10 libnvonnxparser.so.10)
# The first with CUDA 13.
readonly OLDEST_DRIVER=580
export ORT_DISABLE_TELEMETRY=1
# f32 is f32: NVIDIA's libraries may not round products to 10 bits.
export NVIDIA_TF32_OVERRIDE=0

usage() {
    sed -n '/^# usage/,/^# Exit/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

value() { [[ -n ${2:-} ]] || usage; } # value OPTION VALUE

die() { # die CODE MESSAGE
    echo "error: $2" >&2
    exit "$1"
}

# --- on a machine without a GPU -----------------------------------------------------------------------------------

prepare() {
    local folder=$1 python=3.12 tensorrt='' programs=$ROOT/target/release
    shift
    while [[ $# -gt 0 ]]; do
        case $1 in
        --python)
            value "$@"
            python=$2
            shift 2
            ;;
        --bin-dir)
            value "$@"
            programs=$2
            shift 2
            ;;
        --tensorrt)
            value "$@"
            tensorrt=$2
            shift 2
            ;;
        *) usage ;;
        esac
    done
    [[ $python =~ ^3\.[0-9]+$ ]] || die 2 "--python $python: give the GPU machine's version, as 3.12"
    [[ $(uname -m) == x86_64 ]] || die 3 "onnxruntime-gpu is published for x86_64 only, this is $(uname -m)"
    [[ ! -e $folder ]] || die 2 "$folder exists; nothing is overwritten"
    local program library
    if [[ -n $tensorrt ]]; then
        for library in "${TENSORRT[@]}"; do
            [[ -e $tensorrt/$library ]] || die 3 "--tensorrt $tensorrt: there is no $library"
        done
    fi
    for program in scheduler worker; do
        [[ -x $programs/$program ]] || die 3 "$programs/$program does not exist; make build makes it, or give --bin-dir"
    done

    "$ROOT/tools/parts.sh" python clickhouse redis_8_0
    old_network
    # shellcheck source=/dev/null
    source <("$ROOT/tools/parts.sh" --paths all)
    mkdir -p "$folder" "$folder"/{bench,tools,target/release,.cache,parts}
    cp "$programs"/{scheduler,worker} "$folder/target/release/"
    cp -R "$ROOT/config" "$ROOT/models" "$folder/"
    cp -R "$ROOT/.cache/old-network" "$folder/.cache/"
    cp -R "$ROOT/tools/services" "$folder/tools/"
    cp -R "$ROOT/bench/gpu.sh" "$ROOT/bench/python" "$folder/bench/"
    cp -R "$(dirname "$CLICKHOUSE_LIBRARY")" "$folder/parts/clickhouse"
    cp -R "$(dirname "$REDIS_8_0")" "$folder/parts/redis"
    [[ -z $tensorrt ]] || {
        mkdir "$folder/parts/tensorrt"
        cp -L "$tensorrt"/libnvinfer*.so.* "$tensorrt"/libnvonnxparser.so.* "$folder/parts/tensorrt/"
    }
    bring_python "$folder/python" "$python"
    echo "$python" >"$folder/python-version"
    echo "$folder: $(du -sh "$folder" | cut -f1); on the machine with the GPU: $folder/bench/gpu.sh"
}

old_network() {
    [[ ! -f $ROOT/.cache/old-network/global/inference_config.json ]] || return 0
    "$ROOT/tools/parts.sh" training_torch
    # shellcheck source=/dev/null
    source <("$ROOT/tools/parts.sh" --paths all)
    (cd "$ROOT" && PYTHONPATH=$TRAINING_TORCH_LIBRARIES "$TRAINING_PYTHON" training/old_network_model.py)
}

bring_python() { # bring_python FOLDER VERSION : packages for that Python, whatever Python is here
    local wanted=(numpy "$ONNXRUNTIME_GPU") platforms=() minor
    for minor in 17 24 27 28 31 34 35; do platforms+=(--platform "manylinux_2_${minor}_x86_64"); done
    python3 -m pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --target "$1" --python-version "$2" --implementation cp --only-binary=:all: \
        "${platforms[@]}" --platform manylinux2014_x86_64 "${wanted[@]}" ||
        die 3 "pip could not bring ${wanted[*]} for Python $2; the reason is above"
}

# --- on the machine with the GPU ----------------------------------------------------------------------------------

find_python() { # find_python VERSION
    local name
    for name in "python$1" python3; do
        if [[ $("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) == "$1" ]]; then
            command -v "$name"
            return
        fi
    done
}

# What is missing here, a line each.
missing() { # missing PYTHON_VERSION PROVIDERS
    local nodes=(/dev/nvidia[0-9]*) library program driver
    [[ -e ${nodes[0]} || -e /dev/dxg ]] || echo "an NVIDIA GPU: there is no /dev/nvidia0"
    loads libcuda.so.1 || echo "the NVIDIA driver: the loader finds no libcuda.so.1"
    driver=$(driver_version /proc/driver/nvidia/version)
    [[ -z $driver || ${driver%%.*} -ge $OLDEST_DRIVER ]] || echo "an NVIDIA driver of $OLDEST_DRIVER or newer: this is $driver"
    [[ -n $(find_python "$1") ]] || echo "python$1, for which the folder was prepared (--prepare DIR --python VERSION)"
    for library in libonnxruntime_providers_{cuda,tensorrt}.so libcudart.so.13 libcublas.so.13 libcudnn.so.9; do
        [[ -n $(find "$ROOT/python" -name "$library" -print -quit 2>/dev/null) ]] || echo "$library in $ROOT/python"
    done
    if [[ $2 == *tensorrt* ]]; then
        for library in "${TENSORRT[@]}"; do
            [[ -e $ROOT/parts/tensorrt/$library ]] || loads "$library" ||
                echo "TensorRT 10: the loader finds no $library (--prepare DIR --tensorrt FOLDER; --providers cuda goes without)"
        done
    fi
    for program in scheduler worker; do
        "$ROOT/target/release/$program" --version >/dev/null 2>&1 ||
            echo "a $program that runs here: $ROOT/target/release/$program does not (another processor, or an older libc)"
    done
    "$ROOT/parts/redis/redis-server" --version >/dev/null 2>&1 || echo "a Redis that runs here: $ROOT/parts/redis/redis-server"
    [[ -x $ROOT/parts/clickhouse/clickhouse ]] || echo "the ClickHouse engine: $ROOT/parts/clickhouse/clickhouse"
    [[ -f $ROOT/.cache/old-network/global/model.onnx ]] || echo "the old network: $ROOT/.cache/old-network/global/model.onnx"
}

driver_version() { # driver_version FILE : what the kernel's module says of itself there; nothing where it does not
    local line
    [[ -r $1 ]] && read -r line <"$1" || return 0
    [[ ! $line =~ [[:space:]]([0-9]+(\.[0-9]+)+)[[:space:]] ]] || echo "${BASH_REMATCH[1]}"
}

loads() { # loads LIBRARY : whether the loader would find it
    local folder folders
    IFS=: read -ra folders <<<"${LD_LIBRARY_PATH:-}"
    for folder in "${folders[@]}"; do
        [[ ! -e $folder/$1 ]] || return 0
    done
    # Not -q: that leaves ldconfig with a closed pipe, and pipefail takes its end for a missing library.
    PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -F "$1 " >/dev/null
}

measure() {
    local minutes=8 json=$ROOT/gpu.json providers=cuda,tensorrt
    while [[ $# -gt 0 ]]; do
        case $1 in
        --minutes)
            value "$@"
            minutes=$2
            shift 2
            ;;
        --providers)
            value "$@"
            providers=$2
            shift 2
            ;;
        --json)
            value "$@"
            json=$2
            shift 2
            ;;
        *) usage ;;
        esac
    done
    [[ $minutes =~ ^[1-9][0-9]*$ ]] || die 2 "--minutes $minutes: give a whole number"
    [[ $providers =~ ^(cuda|tensorrt|cuda,tensorrt)$ ]] || die 2 "--providers $providers: give cuda, tensorrt or cuda,tensorrt"
    [[ -f $ROOT/python-version ]] || die 3 "$ROOT was not prepared; bench/gpu.sh --prepare DIR, then DIR/bench/gpu.sh"
    local version lacking
    version=$(<"$ROOT/python-version")
    lacking=$(missing "$version" "$providers")
    if [[ -n $lacking ]]; then
        printf 'error: missing here: %s\n' "${lacking//$'\n'/$'\nerror: missing here: '}" >&2
        exit 3
    fi
    local libraries=("$ROOT"/python/onnxruntime/capi/libonnxruntime.so.*)
    local folders=("$ROOT"/python/nvidia/*/lib "$ROOT/parts/tensorrt") joined
    joined=$(IFS=: && echo "${folders[*]}")
    # The last four are what tools/services.sh tells tools/services elsewhere.
    export LD_LIBRARY_PATH=$joined${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export ORT_DYLIB_PATH=${libraries[0]} OPENVINO_PLUGIN='' REDIS_SERVER=$ROOT/parts/redis/redis-server
    export CLICKHOUSE_LAUNCHER=$ROOT/parts/clickhouse/clickhouse CLICKHOUSE_LIBRARY=$ROOT/parts/clickhouse/libchdb.so
    export PYTHONPATH=$ROOT/python
    exec "$(find_python "$version")" "$ROOT/bench/python/gpu.py" --minutes "$minutes" --json "$json" --providers "$providers"
}

case ${1:-} in
--prepare)
    [[ -n ${2:-} ]] || usage
    prepare "${@:2}"
    ;;
-h | --help) usage ;;
*) measure "$@" ;;
esac
