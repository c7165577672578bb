#!/usr/bin/env bash
# The network of an older service: the fleet in f32 and bf16 beside that service's loop, and each engine alone.
# Brings what bench/python/old_network.py needs, makes the model once, and starts it with the same arguments.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export ORT_DISABLE_TELEMETRY=1

tools/parts.sh python redis mysql clickhouse onnxruntime openvino training_torch old_service
# shellcheck source=/dev/null
source <(tools/parts.sh --paths all)
export OPENVINO_PLUGIN
export PYTHONPATH=$TRAINING_TORCH_LIBRARIES:$OLD_SERVICE_LIBRARIES:training

for argument in "$@"; do
    case $argument in
    -h | --help) exec "$TRAINING_PYTHON" bench/python/old_network.py --help ;;
    esac
done
[[ -f .cache/old-network/global/inference_config.json ]] || "$TRAINING_PYTHON" training/old_network_model.py
exec "$TRAINING_PYTHON" bench/python/old_network.py "$@"
