"""Training of the weld model: read days from ClickHouse, train, calibrate, export, evaluate. Import of others' models.

clickhouse.py  rows of a day, as the fleet stores them (V and kA)
features.py    the [N, 4, L] input tensor, the same arithmetic as the worker's
network.py     the 1-D CNN; takes the raw tensor, gives probability and millimetres
fitting.py     the training loop
metrics.py     precision, recall, AUC-PR, errors in mm, the threshold
config.py      inference_config.json
onnxfile.py    saving ONNX files
rawgraph.py    what stands before a network that takes the curves as measured
recipe.py      how another program made its network's input
oldparts.py    its part models and thresholds
torchmodule.py anybody's PyTorch module, its weights, its export
rows.py        welds to compare on
importing.py   its folder for the fleet, compared with PyTorch
runtime.py     a model in ONNX Runtime
export.py      the network to ONNX, parity with ONNX Runtime
card.py        MODEL_CARD.md
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is loaded, or it tells a collector of this host
