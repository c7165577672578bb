#!/usr/bin/env bash
# Sparkplug B: what Python's pysparkplug sends as -5 of type Int8 is 251 for npm's sparkplug-payload
#
# Seen with pysparkplug 0.6.1 (PyPI), Python 3.11, sparkplug-payload 1.0.3 (npm, by Eclipse Tahu), Node 20, 2026-11-30.
#
# Expected: one encoding, that is what Sparkplug is for. Int8 and Int16 travel in a field that is unsigned, of 32 bits.
# Seen: the specification does not say what a negative number looks like there. pysparkplug sends -5 as 251 (two's
# complement in the type's own bits), sparkplug-payload as 4294967291 (in 32 bits), and each reads only its own. Node
# reads -5 and -300 as 251 and 65236 without a word: a temperature below zero is a hot one. The other way is told in
# https://github.com/matteosox/pysparkplug/issues/26 (open). Int32 agrees. A test within one language passes.
#
# What to do: send Int32 or larger; when reading, keep the type's own bits only and extend the sign from there.
set -euo pipefail
command -v node >/dev/null || {
    echo "node is not installed"
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pysparkplug==0.6.1
npm install --silent --no-audit --no-fund sparkplug-payload@1.0.3 >/dev/null
cat >node.js <<'JS'
const { encodePayload, decodePayload } = require("sparkplug-payload").get("spBv1.0");
if (process.argv[2] === "read") {
    const { metrics } = decodePayload(Buffer.from(process.argv[3], "hex"));
    console.log(metrics.map((metric) => `${metric.name}=${metric.value}`).join(" "));
} else {
    const metrics = process.argv.slice(3).map((item) => {
        const [type, value] = item.split("=");
        return { name: type, type, value: Number(value), timestamp: 1 };
    });
    console.log(Buffer.from(encodePayload({ timestamp: 1, seq: 0, metrics })).toString("hex"));
}
JS
cat >python.py <<'PY'
import sys

from pysparkplug import DataType, Metric, NBirth

if sys.argv[1] == "read":
    print(*(f"{metric.name}={metric.value}" for metric in NBirth.decode(bytes.fromhex(sys.argv[2])).metrics))
else:
    metrics = []
    for item in sys.argv[2:]:
        name, value = item.split("=")
        metrics.append(Metric(timestamp=1, name=name, datatype=DataType[name.upper()], value=int(value)))
    print(NBirth(timestamp=1, seq=0, metrics=metrics).encode().hex())
PY
python() { venv/bin/python python.py "$@"; }
node_() { node node.js "$@"; }
failed=0
same() { # title, what was read, what the finding says
    printf '  %-18s %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || failed=1
}
values=(Int32=-70000 Int16=-300 Int8=-5)
same "Python to Python" "$(python read "$(python write "${values[@]}")")" "${values[*]}"
same "Node to Node" "$(node_ read "$(node_ write "${values[@]}")")" "${values[*]}"
same "Python to Node" "$(node_ read "$(python write "${values[@]}")")" "Int32=-70000 Int16=65236 Int8=251"
[[ $failed == 0 ]] || { echo "the finding is out of date"; exit 1; }
echo "seen: two negative numbers that are positive on the other side"
