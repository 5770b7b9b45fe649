#!/usr/bin/env bash
# Build the environment of the peers, .venv-peers (PEERS=folder for another folder): the packages that brats-unet is
# compared with. They need an environment of their own, since they pin older versions than TensorFlow needs.
# Prints nothing and does nothing if the environment matches scripts/peers-requirements.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=${PEERS:-.venv-peers}
wanted=scripts/peers-requirements.txt
if cmp -s $wanted "$peers/ready"; then exit 0; fi
echo "Setting up $peers ..."
[ -x "$peers/bin/python" ] || .venv/bin/python -m venv "$peers"
pip=("$peers/bin/python" -m pip install --quiet --disable-pip-version-check)
# torch is installed with its dependencies. The +cpu build is the smallest, if the package index has it.
"${pip[@]}" -c $wanted "$(grep '^torch==' $wanted)"
"${pip[@]}" --no-deps -r $wanted
"$peers/bin/python" - <<'CHECK'
import medpy.metric, monai, panoptica, surface_distance, torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
CHECK
cp $wanted "$peers/ready"
