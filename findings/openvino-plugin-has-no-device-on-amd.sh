#!/usr/bin/env bash
# ONNX Runtime's plugin for OpenVINO registers on an AMD processor without an error, and then offers no device there
#
# Versions: PyPI onnxruntime 1.31.1, onnxruntime-ep-openvino 1.8.1; Linux x86_64, Python 3.11, an AMD EPYC (AuthenticAMD).
# Expected: one CPU device of OpenVINO's beside ONNX Runtime's own, as on an Intel processor, or an error at registering.
# Seen:     on AuthenticAMD no device of OpenVINO's, and no error; whoever does not count devices runs without OpenVINO.
#
# Installs into a temporary folder; exits non-zero if the behaviour is another one. On another processor it says so.
set -euo pipefail
if ! grep -q AuthenticAMD /proc/cpuinfo; then
    echo "this processor is not AMD's: nothing to see here" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.31.1 onnxruntime-ep-openvino==1.8.1

cat >"$work/ask.py" <<'PYTHON'
import onnxruntime
import onnxruntime_ep_openvino

onnxruntime.register_execution_provider_library("openvino", onnxruntime_ep_openvino.get_library_path())
for device in onnxruntime.get_ep_devices():
    print(device.ep_name, device.device.type.name)
PYTHON
"$work/venv/bin/python" "$work/ask.py" | sort | tee "$work/said"
[[ $(cat "$work/said") == "CPUExecutionProvider CPU" ]]
