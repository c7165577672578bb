"""A model in each engine that is compared: opened once, then called with rows f32 [N, 4, L].

OpenVINO is opened through its plugin for ONNX Runtime with the options that the worker gives it
(worker/src/inference/openvino.rs), CUDA and TensorRT as the worker opens them too (runtime.rs there).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is loaded

import numpy as np

OUTPUTS = ["nok_prob", "regression"]
PRECISIONS = {"openvino": "f32", "openvino-bf16": "bf16"}
PROVIDERS = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
NAMES = ("pytorch", "onnxruntime", *PRECISIONS, *PROVIDERS)
# Names of the processor's flags, one of which bf16 needs.
BF16_FLAGS = {"amx_bf16", "avx512_bf16"}

Answers = tuple[np.ndarray, np.ndarray]
Judge = Callable[[np.ndarray], Answers]


def computes_bf16() -> bool:
    """Whether this processor does; elsewhere OpenVINO computes in f32 and says nothing."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return bool(BF16_FLAGS & set(line.split()))
    return False


def open_engine(name: str, folder: Path, threads: int, cache: Path) -> Judge:
    """What judges rows with the model of this folder; `cache` keeps TensorRT's engines."""
    if name == "pytorch":
        return pytorch(folder, threads)
    session = onnx_session(name, folder / "model.onnx", threads, cache)
    entry = session.get_inputs()[0].name

    def judge(rows: np.ndarray) -> Answers:
        nok_prob, regression = session.run(OUTPUTS, {entry: rows})
        return nok_prob, regression

    return judge


def pytorch(folder: Path, threads: int) -> Judge:
    """The network of training/old_network_model.py in eager mode, with the weights of this folder's seed."""
    import torch
    from weldtrain.oldnetwork import OldNetwork

    config = json.loads((folder / "inference_config.json").read_text())
    seed = config["training"].get("seed")
    if config["training"].get("made_by") != "training/old_network_model.py":
        raise SystemExit(f"{folder}: not made by training/old_network_model.py; PyTorch knows no other network")
    torch.set_num_threads(threads)
    net = OldNetwork(config["target_len"], seed=seed).eval()

    def judge(rows: np.ndarray) -> Answers:
        with torch.inference_mode():
            nok_prob, regression = net(torch.from_numpy(rows))
        return nok_prob.numpy(), regression.numpy()

    return judge


def onnx_session(name: str, model: Path, threads: int, cache: Path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if name in PRECISIONS:
        options.add_provider_for_devices([openvino_device(onnxruntime)], openvino_options(PRECISIONS[name], threads))
        return onnxruntime.InferenceSession(model, options)
    if name in PROVIDERS:
        return gpu_session(onnxruntime, name, model, options, cache)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def openvino_device(onnxruntime):
    plugin = os.environ.get("OPENVINO_PLUGIN", "")
    if not Path(plugin).is_file():
        raise SystemExit(f"OPENVINO_PLUGIN = {plugin!r} is no file; tools/parts.sh openvino fetches the plugin (x86_64 only)")

    def found():
        devices = onnxruntime.get_ep_devices()
        return [one for one in devices if one.ep_name == "OpenVINOExecutionProvider" and one.device.type.name == "CPU"]

    if not found():
        onnxruntime.register_execution_provider_library("openvino", plugin)
    if not found():
        raise SystemExit(f"{plugin} has no device for this processor")
    return found()[0]


def openvino_options(precision: str, threads: int) -> dict[str, str]:
    cpu = {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
        "ENABLE_CPU_PINNING": "NO",
        "ENABLE_HYPER_THREADING": "YES",
    }
    return {"load_config": json.dumps({"CPU": cpu})}


def gpu_session(onnxruntime, name: str, model: Path, options, cache: Path):
    """No fallback: a session that would run on the CPU is refused."""
    cuda = ("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})
    engines = {
        "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "1", "trt_timing_cache_path": str(cache),
    }
    cache.mkdir(parents=True, exist_ok=True)
    providers = [cuda] if name == "cuda" else [("TensorrtExecutionProvider", engines), cuda]
    wanted = PROVIDERS[name]
    if wanted not in onnxruntime.get_available_providers():
        raise SystemExit(f"this onnxruntime was built without {wanted}; install onnxruntime-gpu")
    session = onnxruntime.InferenceSession(model, options, providers=providers)
    if wanted not in session.get_providers():
        raise SystemExit(f"{wanted} did not load and ONNX Runtime fell back to {session.get_providers()}; its reason is above")
    return session
