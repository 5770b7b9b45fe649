"""Compare how many patches of each batch are centred on a tumour with nnU-Net's data loader, in our nnU-Net recipes.

    PYTHONPATH=. .venv-peers/bin/python scripts/parity/foreground_parity.py

The exit code is 1 if a batch differs.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import yaml
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader

from brats_unet.data.patches.sampling import Sampler

CONF = Path(__file__).parents[2] / "conf"
RECIPES = ("nnunet", "resenc_m", "resenc_l", "isensee2020")
SHARE = 0.33  # nnUNetTrainer.oversample_foreground_percent
STEPS = 1000


def main() -> int:
    """Print a line for each recipe; exit code 1 if a batch differs."""
    usual = yaml.safe_load((CONF / "train.yaml").read_text(encoding="utf-8"))["sampling"]
    differ = False
    for name in RECIPES:
        sampling = (
            usual | yaml.safe_load((CONF / "experiment" / f"{name}.yaml").read_text(encoding="utf-8"))["sampling"]
        )
        batch = sampling["batch"]
        loader = SimpleNamespace(batch_size=batch, oversample_foreground_percent=SHARE)
        theirs = sum(nnUNetDataLoader._oversample_last_XX_percent(loader, sample) for sample in range(batch))
        sampler = Sampler([], (8, 8, 8), batch, sampling["foreground"], None, 0)
        ours = {sum(sampler.forced(step * batch + sample) for sample in range(batch)) for step in range(STEPS)}
        print(f"{name}: nnU-Net {theirs} of {batch}, brats-unet {sorted(ours)}")
        differ |= ours != {theirs}
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
