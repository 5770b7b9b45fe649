"""Compare `resenc_unet` and `nvidia_unet` with their PyTorch originals: same weights, same image, logits compared.

    .venv/bin/python scripts/parity/network_parity.py      # needs .venv-peers (make peers)

For strided convolutions, TensorFlow pads after the image and PyTorch before it: the networks are mirror images of each
other. So the originals get the image and every kernel reversed along x, y and z, and their logits are reversed back.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
SPACE = (slice(None, None, -1),) * 3
RESENC = {"features": [16, 32, 64, 80, 80], "blocks": [1, 3, 4, 6, 6]}
NVIDIA = {"features": [16, 24, 32, 48, 64]}


def resenc_name(layer: str, levels: int) -> str:
    """Name in the PyTorch original of a layer of `resenc_unet` with this number of levels."""
    if found := re.fullmatch(r"lead_in_(conv|norm)_0", layer):
        return f"encoder.stem.convs.0.{found[1]}"
    if found := re.fullmatch(r"encoder_(\d+)_block_(\d+)_(conv|norm)_(\d)", layer):
        return f"encoder.stages.{found[1]}.blocks.{found[2]}.conv{int(found[4]) + 1}.{found[3]}"
    if found := re.fullmatch(r"encoder_(\d+)_block_(\d+)_skip_(conv|norm)", layer):
        return f"encoder.stages.{found[1]}.blocks.{found[2]}.skip.1.{found[3]}"
    if found := re.fullmatch(r"decoder_(\d+)_up", layer):
        return f"decoder.transpconvs.{levels - 2 - int(found[1])}"
    if found := re.fullmatch(r"decoder_(\d+)_(conv|norm)_(\d)", layer):
        return f"decoder.stages.{levels - 2 - int(found[1])}.convs.{found[3]}.{found[2]}"
    return f"decoder.seg_layers.{levels - 2 - int(layer.removeprefix('head_'))}"


def nvidia_name(layer: str, levels: int) -> str:
    """Name in the PyTorch original of a layer of `nvidia_unet` with this number of levels."""
    if found := re.fullmatch(r"encoder_(\d+)_(conv|norm)_(\d)", layer):
        level = int(found[1])
        block = "input_block" if level == 0 else "bottleneck" if level == levels - 1 else f"downsamples.{level - 1}"
        return f"{block}.{found[2]}{int(found[3]) + 1}" + (".conv" if found[2] == "conv" else "")
    if found := re.fullmatch(r"decoder_(\d+)_up", layer):
        return f"upsamples.{levels - 2 - int(found[1])}.transp_conv.conv"
    if found := re.fullmatch(r"decoder_(\d+)_(conv|norm)_(\d)", layer):
        end = ".conv" if found[2] == "conv" else ""
        return f"upsamples.{levels - 2 - int(found[1])}.conv_block.{found[2]}{int(found[3]) + 1}{end}"
    level = int(layer.removeprefix("head_"))
    return "output_block.conv.conv" if level == 0 else f"deep_supervision_heads.{level - 1}.conv.conv"


def compare(name: str, options: dict) -> dict:
    """Number of weights of both networks, largest difference of their logits, and standard deviation of the logits."""
    from brats_unet.models import MODELS

    rng = np.random.default_rng(0)
    model = MODELS[name](channels=4, outputs=3, **options)
    given = {"options": json.dumps({"name": name, **options})}
    start = {}
    naming = {"resenc_unet": resenc_name, "nvidia_unet": nvidia_name}[name]
    for layer in model.layers:
        for weight in layer.weights:
            value = start_value = weight.numpy()
            if not weight.path.endswith("kernel"):
                value = value + 0.2 * rng.normal(size=value.shape).astype("float32")
                weight.assign(value)
            else:
                # PyTorch has the channels first; this order also fits its transposed kernels.
                value = np.moveaxis(value[SPACE], (-1, -2), (0, 1))
            kind = {"kernel": "weight", "gamma": "weight"}.get(weight.path.rsplit("/", 1)[1], "bias")
            name_there = f"{naming(layer.name, len(options['features']))}.{kind}"
            given[name_there], start[name_there] = value, start_value
    image = rng.normal(size=(1, 64, 64, 64, 4)).astype("float32")
    image[:, :20] = 0
    ours = model(image)[0].numpy()
    seen = np.concatenate([image, (image != 0).any(axis=-1, keepdims=True)], -1) if name == "nvidia_unet" else image
    given["image"] = np.ascontiguousarray(np.moveaxis(seen[(slice(None), *SPACE)], -1, 1), "float32")
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "in.npz", **given)
        peer = [ROOT / ".venv-peers/bin/python", ROOT / "scripts/parity/peers/networks.py", folder]
        subprocess.run(peer, check=True)
        found = dict(np.load(Path(folder) / "out.npz", allow_pickle=False))
        theirs, parameters = np.moveaxis(found["logits"], 1, -1)[(slice(None), *SPACE)], int(found["parameters"])
    return {
        "network": name,
        "ours_parameters": model.count_params(),
        "peer_parameters": parameters,
        "greatest_difference": float(np.abs(ours - theirs).max()),
        "deviation_of_logits": float(ours.std()),
        "starts_as_original": all(starts_alike(value, found[f"start/{key}"]) for key, value in start.items()),
    }


def starts_alike(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether initial weights are equal, or random with the same spread within five standard errors."""
    if ours.std() == 0 or theirs.std() == 0:
        return ours.std() == theirs.std() and ours.flat[0] == theirs.flat[0]
    return abs(ours.std() / theirs.std() - 1) < 5 / np.sqrt(ours.size)


def main() -> int:
    sys.path.insert(0, str(ROOT))
    rows = [compare("resenc_unet", RESENC), compare("nvidia_unet", NVIDIA)]
    for row in rows:
        print(
            f"{row['network']:12} {row['ours_parameters']:>12,} weights, original {row['peer_parameters']:>12,}; "
            f"logits: largest difference {row['greatest_difference']:.1e}, SD {row['deviation_of_logits']:.2f}; "
            f"initial weights as the original's: {'yes' if row['starts_as_original'] else 'no'}"
        )
    print(json.dumps(rows))
    agree = all(r["greatest_difference"] < 1e-3 * r["deviation_of_logits"] for r in rows)
    same = all(r["ours_parameters"] == r["peer_parameters"] and r["starts_as_original"] for r in rows)
    return 0 if agree and same else 1


if __name__ == "__main__":
    sys.exit(main())
