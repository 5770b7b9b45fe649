#!/usr/bin/env bash
# Measure training steps and prediction on this machine's GPU, beside nnU-Net's own; scripts/bench/gpu.sh --help says how.
# PEERS=FOLDER is an environment with nnunetv2 and a torch for CUDA; PYTHON=FILE another Python with brats-unet.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec "${PYTHON:-.venv/bin/python}" scripts/bench/timing/gpu.py "$@"
