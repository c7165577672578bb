#!/usr/bin/env bash
# ort (Rust): once OpenVINO's plugin is registered, a session that asks for no execution provider runs on it, in bf16
#
# Seen with crates.io ort 2.0.0-rc.15, PyPI onnxruntime 1.31.1 and onnxruntime-ep-openvino 1.8.1, onnx 1.23.2, numpy 2.4.6,
# Linux x86_64, 2026-11-28.
#
# Expected: as with ONNX Runtime's C and Python interfaces, a session without execution providers runs on the CPU provider;
# registering a library only makes its devices available to who names them.
# Seen: the same lines of code give other numbers after `register_ep_library` than before. `ort` sets the policy "most
# efficient device" for every session, which takes the plugin's. On a processor that computes bf16 they are off in the third
# digit, elsewhere in the last bits.
#
# What to do: name the device of every session with `with_devices`, the CPU provider's too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --target "$folder/python" \
    onnxruntime==1.31.1 onnxruntime-ep-openvino==1.8.1 onnx==1.23.2 numpy==2.4.6 2>/dev/null
PYTHONPATH=$folder/python python3 - "$folder/model.onnx" <<'PYTHON'
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

weights = np.random.default_rng(1).standard_normal((32, 4, 7)).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("Conv", ["x", "w"], ["y"])],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 100])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 32, 94])],
    [numpy_helper.from_array(weights, "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
open(sys.argv[1], "wb").write(model.SerializeToString())
PYTHON

mkdir -p "$folder/crate/src"
cat >"$folder/crate/Cargo.toml" <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2024"
[dependencies.ort]
version = "=2.0.0-rc.15"
default-features = false
features = ["std", "load-dynamic", "api-31"]
TOML
cat >"$folder/crate/src/main.rs" <<'RUST'
use ort::{environment::Environment, session::Session, value::TensorRef};

type Answer<T> = Result<T, Box<dyn std::error::Error>>;

fn outputs(environment: &Environment, model: &str, named: bool) -> Answer<Vec<f32>> {
    let mut builder = Session::builder(environment)?;
    if named {
        let cpu = environment.devices().find(|device| device.ep().is_ok_and(|name| name == "CPUExecutionProvider"));
        builder = builder.with_devices(cpu, None).map_err(|error| error.to_string())?;
    }
    let mut session = builder.commit_from_file(model)?;
    let row: Vec<f32> = (0..400).map(|k| ((k * 37 % 101) as f32).sin()).collect();
    let outputs = session.run(ort::inputs!["x" => TensorRef::from_array_view(([1usize, 4, 100], row.as_slice()))?])?;
    Ok(outputs["y"].try_extract_tensor::<f32>()?.1.to_vec())
}

fn furthest(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn main() -> Answer<()> {
    let [library, plugin, model]: [String; 3] = std::env::args().skip(1).collect::<Vec<_>>().try_into().unwrap();
    let environment = ort::init_from(library)?.with_telemetry(false).build()?;
    let before = outputs(&environment, &model, false)?;
    environment.register_ep_library("openvino", plugin)?;
    let after = outputs(&environment, &model, false)?;
    let named = outputs(&environment, &model, true)?;
    println!("furthest from before: {:.1e}, with the device named {:.1e}", furthest(&before, &after), furthest(&before, &named));
    assert_eq!(before, named);
    assert_ne!(before, after, "the finding is out of date");
    println!("seen: registering a library moved a session to it");
    Ok(())
}
RUST
library=$(echo "$folder"/python/onnxruntime/capi/libonnxruntime.so.*)
plugin=$folder/python/onnxruntime_ep_openvino/libonnxruntime_providers_openvino_plugin.so
ORT_DISABLE_TELEMETRY=1 cargo run --quiet --manifest-path "$folder/crate/Cargo.toml" -- "$library" "$plugin" "$folder/model.onnx"
