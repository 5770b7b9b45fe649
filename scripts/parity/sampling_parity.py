"""Compare the positions and voxels of forced patches (`sampling.overhang=true`) with nnU-Net's data loader.

    PYTHONPATH=. .venv-peers/bin/python scripts/parity/sampling_parity.py

It runs in the environment of scripts/peers.sh. nnU-Net is given one voxel to centre on, brats-unet the same. nnU-Net
places the region that it reads, brats-unet the patch in the middle of it: nnU-Net's start plus the margin must equal
ours, and the voxels that both read must be equal. The exit code is 1 if any differs.

nnU-Net reads 205 voxels for a patch of 128, 77 more. 77 is odd, so the patch that it crops from the middle starts one
voxel before ours at the near border, and nowhere else. That is checked too.
"""

import itertools
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader

from brats_unet.data.patches.sampling import Sampler, cut
from brats_unet.data.prepare.cache import PreparedCase
from brats_unet.data.prepare.grid import Grid
from brats_unet.geometry import Box
from brats_unet.volume import Turn

VOLUMES = [(37, 30, 23), (20, 33, 16), (9, 12, 11), (24, 24, 24)]
PATCHES = [(16, 16, 16), (13, 24, 11), (24, 25, 30), (1, 9, 16)]
MARGINS = [(0, 0, 0), (5, 3, 1), (0, 9, 14)]
TURN = np.pi / 6  # nnU-Net's largest rotation, 30 degrees


def case(shape: tuple[int, int, int]) -> PreparedCase:
    """A case of this shape without files: only its grid is used."""
    grid = Grid(shape, np.eye(4), Turn((0, 1, 2), (False,) * 3), Box((0, 0, 0), shape), (1.0, 1.0, 1.0))
    return PreparedCase("case", Path(), grid, ())


def loader(read: tuple[int, ...], patch: tuple[int, ...]) -> nnUNetDataLoader:
    """nnU-Net's data loader; it asks its data and its labels for nothing else here."""
    labels = SimpleNamespace(all_labels=[1], has_ignore_label=False)
    return nnUNetDataLoader(SimpleNamespace(identifiers=["case"]), 1, read, patch, labels)


def theirs(shape: tuple[int, ...], read: tuple[int, ...], patch: tuple[int, ...], voxel: tuple[int, ...]) -> np.ndarray:
    """First voxel of the region that nnU-Net reads around a voxel."""
    start, stop = loader(read, patch).get_bbox(np.array(shape), True, {(1,): np.array([[0, *voxel]])})
    assert [b - a for a, b in zip(start, stop, strict=True)] == list(read)
    return np.array(start)


def main() -> int:
    failed = False

    def line(differing: int, count: int, what: str) -> None:
        nonlocal failed
        failed |= differing > 0
        print(f"{'DIFFERS ' if differing else 'agrees  '} {what}: {differing} of {count} differ")

    rng = np.random.default_rng(0)
    starts = voxels = count = beyond = 0
    for shape, patch, margin in itertools.product(VOLUMES, PATCHES, MARGINS):
        ours = Sampler([], patch, 1, 1.0, None, 0, margin, overhang=True)
        image = rng.normal(size=shape).astype(np.float32)
        corners = itertools.product(*((0, n // 3, n // 2, n - 2, n - 1) for n in shape))
        for voxel in [*corners, *rng.integers(0, shape, (20, 3))]:
            start = np.array(ours.around(voxel, case(shape)))
            box = theirs(shape, ours.read_shape, patch, tuple(voxel))
            wanted = crop_and_pad_nd(image, [[a, a + n] for a, n in zip(box, ours.read_shape, strict=True)], 0)
            found = np.empty(ours.read_shape, np.float32)
            cut(image, tuple(start - margin), found)
            starts += bool((start - margin != box).any())
            voxels += not np.array_equal(found, wanted)
            count += 1
            beyond += bool((start + patch > np.maximum(shape, patch)).any())
    line(starts, count, f"start of the patch ({beyond / count:.0%} overhang)")
    line(voxels, count, "voxels of the region read")

    shape, patch = (138, 169, 138), (128, 128, 128)
    read = tuple(int(n) for n in get_patch_size(patch, TURN, TURN, TURN, (0.85, 1.25)))
    ours = Sampler([], patch, 1, 1.0, None, 0, overhang=True)
    starts = count = 0
    for voxel in rng.integers(0, shape, (2000, 3)):
        start = np.array(ours.around(voxel, case(shape)))
        middle = theirs(shape, read, patch, tuple(voxel)) + np.array(read) // 2 - np.array(patch) // 2
        starts += bool((middle != np.where(voxel < np.array(patch) // 2, -1, start)).any())
        count += 1
    line(starts, count, f"start with nnU-Net's {read[0]} voxels for {patch[0]}, but for its -1 at the near border")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
