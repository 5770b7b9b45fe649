#!/usr/bin/env bash
# Build the peers' environment, .venv-peers (PEERS=folder for another), if it is not there as scripts/peers-requirements.txt
# says: other packages that we are compared with pin what TensorFlow needs newer. Prints nothing where all is well.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=${PEERS:-.venv-peers}
wanted=scripts/peers-requirements.txt
if cmp -s $wanted "$peers/ready"; then exit 0; fi
echo "Setting up $peers ..."
[ -x "$peers/bin/python" ] || .venv/bin/python -m venv "$peers"
pip=("$peers/bin/python" -m pip install --quiet --disable-pip-version-check)
# torch may bring what its build needs; of its builds the +cpu one is the smallest, where the index has it.
"${pip[@]}" -c $wanted "$(grep '^torch==' $wanted)"
"${pip[@]}" --no-deps -r $wanted
"$peers/bin/python" - <<'CHECK'
import medpy.metric, monai, panoptica, surface_distance, torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
CHECK
cp $wanted "$peers/ready"
