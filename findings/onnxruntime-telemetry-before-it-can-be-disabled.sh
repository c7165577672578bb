#!/usr/bin/env bash
# ONNX Runtime: the call that disables telemetry comes after the identifier and the event database are written and the collector is noted
#
# Versions: PyPI onnxruntime 1.31.1, numpy 2.4.6; Linux x86_64, Python 3.11.
# Expected: after disable_telemetry_events(), called first thing after the import, nothing is kept and nobody is called.
# Seen:     importing the module has already written `deviceid` and `onnxruntime.db` to ~/.cache/Microsoft/DeveloperTools/.onnxruntime,
#           and about ten seconds later the process connects to mobile.events.data.microsoft.com (here: asks the proxy to, which
#           this script plays and which answers nothing). ORT_DISABLE_TELEMETRY=1 in the environment before the import prevents both.
#
# Installs into a temporary folder; exits non-zero if the behaviour is another one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.31.1 numpy==2.4.6

cat >"$work/ask.py" <<'PYTHON'
import os, socket, sys, time

proxy = socket.socket()
proxy.bind(("127.0.0.1", 0))
proxy.listen()
proxy.settimeout(30 if sys.argv[1] == "called" else 15)
os.environ["https_proxy"] = "http://127.0.0.1:%d" % proxy.getsockname()[1]

import onnxruntime

onnxruntime.disable_telemetry_events()
try:
    connection, _ = proxy.accept()
    print(connection.recv(200).split(b"\r\n")[0].decode(), flush=True)
except TimeoutError:
    print("nobody is called", flush=True)
os._exit(0)
PYTHON

# run EXPECTED [VARIABLE=VALUE] : a process with nothing else in its environment; on a build server's variables the library is quiet.
run() {
    rm -rf "${work:?}/home"
    mkdir "$work/home"
    env -i PATH="$PATH" HOME="$work/home" "${@:2}" "$work/venv/bin/python" "$work/ask.py" "$1" | tee "$work/said"
    (cd "$work/home" && find . -type f | sort | sed 's/^/  kept: /') | tee "$work/kept"
}

echo "switched off through the API:"
run called
grep -q '^CONNECT mobile.events.data.microsoft.com:443' "$work/said"
grep -q '/deviceid$' "$work/kept"
grep -q '/onnxruntime.db$' "$work/kept"

echo "ORT_DISABLE_TELEMETRY=1 in the environment:"
run silent ORT_DISABLE_TELEMETRY=1
grep -q '^nobody is called$' "$work/said"
[[ ! -s $work/kept ]]
