"""nnU-Net's own training step in PyTorch, timed on request by scripts/bench/train_step.py and scripts/bench/gpu.sh.

    .venv-peers/bin/python scripts/bench/peers/train_step.py '{"device": "cpu", "threads": 2, "patch": [64, 64, 64], …}'

Network, loss and optimizer come from nnU-Net's packages, combined as in nnUNetTrainer.train_step: the network of a
3d_fullres plan (PlainConvUNet or ResidualEncoderUNet), Dice + BCE on three regions at every resolution, gradients
clipped at 12, SGD with Nesterov momentum. Images and the targets of every resolution are made in advance, as nnU-Net's
loader makes them in other processes, and nothing is augmented. On a GPU the network and the Dice are compiled and cuDNN
benchmarks its kernels, as in nnU-Net's training; in float16, its precision there, the loss is scaled.

`contender.serve` describes the requests and answers; "options" of train_step.peer_options are the argument.
"""

import contextlib
import json
import os
import sys
import time
import warnings
from pathlib import Path

options = json.loads(sys.argv[1])
device = "cuda" if options["device"] == "gpu" else "cpu"
os.environ["OMP_NUM_THREADS"] = str(options["threads"])
warnings.filterwarnings("ignore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "timing"))

import torch  # noqa: E402
from contender import serve  # noqa: E402
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet  # noqa: E402

with contextlib.redirect_stdout(sys.stderr):
    from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss
    from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

torch.manual_seed(0)
torch.set_num_threads(options["threads"])
patch, batch, features = options["patch"], options["batch"], options["features"]
stages = len(features)
network = {"unet3d": PlainConvUNet, "resenc_unet": ResidualEncoderUNet}[options["network"]](
    4,
    stages,
    features,
    torch.nn.Conv3d,
    3,
    [1] + [2] * (stages - 1),
    options["encoder"],  # convolutions of each stage, or residual blocks
    3,
    options["decoder"],
    conv_bias=True,
    norm_op={"instance": torch.nn.InstanceNorm3d, "batch": torch.nn.BatchNorm3d}[options["norm"]],
    norm_op_kwargs={"eps": 1e-5, "affine": True},
    nonlin=torch.nn.LeakyReLU,
    nonlin_kwargs={"inplace": True},
    deep_supervision=True,
).to(device)
regions_loss = DC_and_BCE_loss(
    {},
    {"batch_dice": options["batch_dice"], "do_bg": True, "smooth": 1e-5, "ddp": False},
    use_ignore_label=False,
    dice_class=MemoryEfficientSoftDiceLoss,
)
forward = network
if device == "cuda":
    torch.backends.cudnn.benchmark = True
    forward = torch.compile(network)
    regions_loss.dc = torch.compile(regions_loss.dc)
optimizer = torch.optim.SGD(network.parameters(), 1e-2, weight_decay=3e-5, momentum=0.99, nesterov=True)
scaler = torch.GradScaler(device)
heads = stages - 1
weights = [1 / 2**level for level in range(heads)]
weights[-1] = 0
loss = DeepSupervisionWrapper(regions_loss, [weight / sum(weights) for weight in weights])
images = torch.randn(batch, 4, *patch, device=device)
regions = (torch.rand(batch, 3, *patch, device=device) > 0.9).float()
targets = [regions[:, :, :: 2**level, :: 2**level, :: 2**level].contiguous() for level in range(heads)]


def step(precision: str) -> float:
    """Seconds of one training step."""
    begun = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(device, getattr(torch, precision), enabled=precision != "float32"):
        value = loss(forward(images), targets)
    if precision == "float16":
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
    else:
        value.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
    if precision == "float16":
        scaler.step(optimizer)
        scaler.update()
    else:
        optimizer.step()
    value.item()
    return time.perf_counter() - begun


serve(
    {"parameters": sum(p.numel() for p in network.parameters()), "torch": torch.__version__},
    step,
    lambda: {"device_peak_bytes": torch.cuda.max_memory_allocated() if device == "cuda" else 0},
)
