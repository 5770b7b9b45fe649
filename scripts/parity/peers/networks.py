"""PyTorch originals of two networks: load given weights, predict a given image, and write the logits.

    .venv-peers/bin/python scripts/parity/peers/networks.py FOLDER

scripts/parity/network_parity.py writes FOLDER/in.npz and runs it; logits and initial weights go to FOLDER/out.npz.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from monai.networks.nets import DynUNet
from torch import nn


def resenc_unet(features, blocks):
    """nnU-Net's residual-encoder U-Net, with the options of its planner."""
    stages = len(features)
    network = ResidualEncoderUNet(
        4,
        stages,
        features,
        nn.Conv3d,
        3,
        [1] + [2] * (stages - 1),
        blocks,
        3,
        [1] * (stages - 1),
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
    )
    network.apply(network.initialize)
    return network


def nvidia_unet(features):
    """NVIDIA's network of BraTS 2021, which is MONAI's DynUNet."""
    stages = len(features)
    return DynUNet(
        3,
        5,
        3,
        [3] * stages,
        [1] + [2] * (stages - 1),
        [2] * (stages - 1),
        filters=features,
        norm_name=("INSTANCE", {"affine": True}),
        act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.01}),
        deep_supervision=True,
        deep_supr_num=2,
        trans_bias=True,
    )


def main():
    folder = Path(sys.argv[1])
    given = np.load(folder / "in.npz", allow_pickle=False)
    options = json.loads(str(given["options"]))
    network = {"resenc_unet": resenc_unet, "nvidia_unet": nvidia_unet}[options.pop("name")](**options)
    image = torch.from_numpy(given["image"])
    start = {f"start/{name}": parameter.detach().numpy().copy() for name, parameter in network.named_parameters()}
    left = {id(parameter) for parameter in network.parameters()}
    for name in given.files:
        if name not in ("image", "options"):
            parameter = network.get_parameter(name)
            parameter.data.copy_(torch.from_numpy(given[name]))
            left.remove(id(parameter))
    if left:
        raise SystemExit(f"{len(left)} parameters of the network are missing from in.npz.")
    network.eval()
    with torch.no_grad():
        logits = network(image)
    logits = logits[0] if isinstance(logits, list | tuple) else logits
    parameters = sum(parameter.numel() for parameter in network.parameters())
    np.savez(folder / "out.npz", logits=logits.numpy(), parameters=parameters, **start)


main()
