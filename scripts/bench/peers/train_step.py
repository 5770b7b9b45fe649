"""nnU-Net's own training step in PyTorch, timed on request by scripts/bench/train_step.py.

    .venv-peers/bin/python scripts/bench/peers/train_step.py cpu|gpu PATCH BATCH THREADS FEATURES…

Network, loss and optimizer come from nnU-Net's packages, combined as in nnUNetTrainer.train_step: PlainConvUNet of the
3d_fullres plan, Dice + BCE on three regions at every resolution, gradients clipped at 12, SGD with Nesterov momentum.
Images and the targets of every resolution are made in advance, as nnU-Net's loader makes them in other processes, and
nothing is augmented. On a GPU the network is compiled and cuDNN benchmarks its kernels, as in nnU-Net's training.

First prints JSON with the number of parameters. For every line "PRECISION STEPS" of standard input, it takes that many
steps and prints the seconds of each as JSON.
"""

import contextlib
import json
import os
import sys
import time
import warnings

device = "cuda" if sys.argv[1] == "gpu" else "cpu"
patch, batch, threads, *features = (int(value) for value in sys.argv[2:])
os.environ["OMP_NUM_THREADS"] = str(threads)
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from dynamic_network_architectures.architectures.unet import PlainConvUNet  # noqa: E402

with contextlib.redirect_stdout(sys.stderr):
    from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss
    from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

torch.manual_seed(0)
torch.set_num_threads(threads)
network = PlainConvUNet(
    input_channels=4,
    n_stages=len(features),
    features_per_stage=features,
    conv_op=torch.nn.Conv3d,
    kernel_sizes=3,
    strides=[1] + [2] * (len(features) - 1),
    n_conv_per_stage=2,
    num_classes=3,
    n_conv_per_stage_decoder=2,
    conv_bias=True,
    norm_op=torch.nn.InstanceNorm3d,
    norm_op_kwargs={"eps": 1e-5, "affine": True},
    nonlin=torch.nn.LeakyReLU,
    nonlin_kwargs={"inplace": True},
    deep_supervision=True,
).to(device)
forward = network
if device == "cuda":
    torch.backends.cudnn.benchmark = True
    forward = torch.compile(network)
optimizer = torch.optim.SGD(network.parameters(), 1e-2, weight_decay=3e-5, momentum=0.99, nesterov=True)
heads = len(features) - 1
weights = [1 / 2**level for level in range(heads)]
weights[-1] = 0
loss = DeepSupervisionWrapper(
    DC_and_BCE_loss(
        {},
        {"batch_dice": True, "do_bg": True, "smooth": 1e-5, "ddp": False},
        use_ignore_label=False,
        dice_class=MemoryEfficientSoftDiceLoss,
    ),
    [weight / sum(weights) for weight in weights],
)
images = torch.randn(batch, 4, patch, patch, patch, device=device)
regions = (torch.rand(batch, 3, patch, patch, patch, device=device) > 0.9).float()
targets = [regions[:, :, :: 2**level, :: 2**level, :: 2**level].contiguous() for level in range(heads)]


def step(precision: str) -> float:
    """Seconds of one training step."""
    begun = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
        value = loss(forward(images), targets)
    value.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
    optimizer.step()
    value.item()
    return time.perf_counter() - begun


print(json.dumps({"parameters": sum(p.numel() for p in network.parameters())}), flush=True)
for line in sys.stdin:
    precision, steps = line.split()
    print(json.dumps([step(precision) for _ in range(int(steps))]), flush=True)
