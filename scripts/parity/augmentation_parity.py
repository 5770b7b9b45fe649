"""Compare the augmentation with batchgeneratorsv2, transform by transform, on one scan with the same parameters.

    PYTHONPATH=. .venv-peers/bin/python scripts/parity/augmentation_parity.py

batchgeneratorsv2 runs in this process, brats-unet in a process of .venv/bin/python. The exit code is 1 if a difference
exceeds its bound; images have a standard deviation of 1, and both compute in float32.

Where the definitions differ, this is compared:
- Outside the brain, brats-unet sets 0 after each transform, batchgeneratorsv2 once at the end (MaskImageTransform): the
  images are compared after that.
- Labels: brats-unet takes the nearest voxel, as batchgeneratorsv2 does with mode_seg="nearest"; these must be equal,
  except for voxels half-way between two. By default, batchgeneratorsv2 interpolates each label and takes the largest:
  the difference is printed, as a share of the voxels that either one labels.
- Brain: brats-unet sets the image to 0 where the nearest voxel is outside the brain, batchgeneratorsv2 where the label
  is -1: the images are compared inside both brains, including the edge (interpolated from inside and outside).
- Elastic: batchgeneratorsv2 gets the displacement of brats-unet. Its own is Gaussian-smoothed noise at every voxel;
  that of brats-unet is the same on a lattice.
- Noise: batchgeneratorsv2 draws its own random numbers: the standard deviation of the added noise is compared.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

READ, PATCH = (52, 50, 48), (36, 34, 40)
ANGLES, FACTORS = (0.3, -0.4, 0.5), (1.2, 0.8, 1.1)
SIGMAS = np.array([[0.5, 0.7, 0.9], [1.0, 0.6, 0.8], [1.5, 1.2, 0.55], [0.9, 0.9, 0.9]], np.float32)
MULTIPLIERS = np.array([0.75, 1.25, 0.9, 1.1], np.float32)
EXPONENTS = np.array([0.7, 1.5, 0.9, 1.2], np.float32)
ZOOMS = np.array([0.5, 0.61, 0.77, 0.99], np.float32)
BOUND = 2e-4
SHARE_HALF_WAY = 1e-3


def scan() -> tuple[np.ndarray, np.ndarray]:
    """A ball of smooth noise surrounded by 0, float32 (X, Y, Z, 4), and three nested balls of labels, uint8."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*(np.arange(n) - n / 2 for n in READ), indexing="ij"))
    radius = np.sqrt((grid**2).sum(axis=0))
    image = np.stack([gaussian_filter(rng.normal(size=READ), 1.0) for _ in range(4)], axis=-1)
    image = np.where(radius[..., None] < 20, image / image.std() + 0.5, 0).astype(np.float32)
    off = np.sqrt(((grid - np.array([3, -4, 5]).reshape(3, 1, 1, 1)) ** 2).sum(axis=0))
    return image, np.select([off < 3, off < 6, off < 9], [4, 1, 2], 0).astype(np.uint8)


def ours(folder: Path) -> None:
    """Apply each transform of brats-unet to the scan; write the results to ours.npz in `folder`."""
    os.environ["CUDA_VISIBLE_DEVICES"], os.environ["TF_CPP_MIN_LOG_LEVEL"] = "-1", "3"
    from keras import ops

    from brats_unet.data.augment import intensity, options
    from brats_unet.data.augment.spatial import LATTICE, displacement, spatial

    image, labels = scan()
    inner = tuple(slice((r - p) // 2, (r + p) // 2) for r, p in zip(READ, PATCH, strict=True))
    margin = tuple((r - p) // 2 for r, p in zip(READ, PATCH, strict=True))
    small = image[inner]
    found = {}

    def keep(name, transform, normals=None, of=small, **parameters):
        drawn = {key: ops.convert_to_tensor(np.asarray(value)) for key, value in parameters.items()}
        pair = transform.whole(ops.convert_to_tensor(of), ops.convert_to_tensor(labels), drawn, normals)
        found[name], found[f"{name} labels"] = (ops.convert_to_numpy(part) for part in pair)

    turned = options.Rotation(1, [-30, 30])
    scaled = options.Scaling(1, 1, [0.7, 1.4], False)
    still, axes = options.Elastic(0, [0, 0.25], [0.125, 0.5]), options.Mirror([0, 1, 2], 0.5)
    place = {"angles": np.float32(ANGLES), "factors": np.float32(FACTORS), "smoothness": np.float32(0.2)}
    place["magnitude"] = np.float32([0.3, 0.4, 0.5])
    rigid = spatial(turned, scaled, still, axes, margin)
    keep("spatial", rigid, of=image, reverse=[False] * 3, **place)
    keep("spatial, mirrored", rigid, of=image, reverse=[True, False, True], **place)
    numbers = ops.convert_to_tensor(np.random.default_rng(1).normal(size=(3, *(LATTICE,) * 3)).astype(np.float32))
    elastic = spatial(turned, scaled, options.Elastic(1, [0, 0.25], [0.125, 0.5]), axes, margin)
    keep("spatial, elastic", elastic, numbers, of=image, reverse=[False] * 3, **place)
    pushed = displacement(PATCH, place["smoothness"], place["magnitude"], numbers)
    found["displacement"] = np.stack([ops.convert_to_numpy(part) for part in pushed], axis=-1)

    taken = [True, True, False, True]
    keep("blur", intensity.gaussian_blur(options.Blur(1, 1, [0.5, 1.5])), sigma=SIGMAS, taken=taken)
    keep("brightness", intensity.brightness(options.Factors(1, [0.5, 2])), factors=MULTIPLIERS)
    keep("contrast", intensity.contrast(options.Factors(1, [0.5, 2])), factors=MULTIPLIERS)
    keep("low resolution", intensity.low_resolution(options.LowResolution(1, 1, [0.5, 1])), zoom=ZOOMS, taken=taken)
    keep("gamma", intensity.gamma(options.Gamma(1, [0.5, 2])), factors=EXPONENTS)
    keep("inverted gamma", intensity.inverted_gamma(options.Gamma(1, [0.5, 2])), factors=EXPONENTS)
    normals = np.random.default_rng(2).normal(size=small.shape).astype(np.float32)
    keep("noise", intensity.gaussian_noise(options.Noise(1, [0, 0.1])), normals, sigma=np.float32(0.08))
    np.savez(folder / "ours.npz", **found)


def theirs(displacement: np.ndarray) -> dict[str, np.ndarray]:
    """Apply each transform of batchgeneratorsv2 to the scan; results by the same names."""
    import torch
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial import spatial as places
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform

    torch.manual_seed(0)
    image, labels = scan()
    inner = tuple(slice((r - p) // 2, (r + p) // 2) for r, p in zip(READ, PATCH, strict=True))
    outside = (image == 0).all(axis=-1)
    whole = torch.from_numpy(np.moveaxis(image, -1, 0).copy())
    small = torch.from_numpy(np.moveaxis(image[inner], -1, 0).copy())
    marks = torch.from_numpy(np.where(outside, -1, labels.astype(np.int16)))[None]
    hidden = outside[inner]
    found = {}

    def keep(name, transform, **parameters):
        moved = transform._apply_to_image(small.clone(), **parameters).numpy()
        found[name] = np.where(hidden[..., None], 0, np.moveaxis(moved, 0, -1))

    affine = torch.from_numpy(places.create_affine_matrix_3d(ANGLES, FACTORS).T).float()
    for name, offsets in (("spatial", 0.0), ("spatial, elastic", torch.from_numpy(displacement))):
        grid = torch.matmul(places._create_centered_identity_grid2(PATCH) + offsets, affine)
        parameters = {"grid": places._convert_my_grid_to_grid_sample_grid(grid, READ)}
        for mode in ("nearest", "bilinear"):
            transform = places.SpatialTransform(
                PATCH, 0, False, mode_seg=mode, border_mode_seg="constant", padding_value_seg=-1
            )
            moved = transform._apply_to_segmentation(marks, **parameters)[0].numpy()
            found[f"{name} labels {mode}"] = np.where(moved < 0, 0, moved)
            found[f"{name} outside {mode}"] = moved < 0
        image_moved = np.moveaxis(transform._apply_to_image(whole, **parameters).numpy(), 0, -1)
        found[name] = np.where(found[f"{name} outside nearest"][..., None], 0, image_moved)
    mirror = MirrorTransform((0, 1, 2))
    for part in ("", " labels nearest", " labels bilinear", " outside nearest"):
        array = torch.from_numpy(found[f"spatial{part}"].copy())[None]
        found[f"spatial, mirrored{part}"] = mirror._apply_to_image(array, axes=[0, 2])[0].numpy()

    every, some = torch.arange(4), torch.tensor([True, True, False, True])
    keep(
        "blur",
        GaussianBlurTransform((0.5, 1.5), False, False),
        apply_to_channel=some,
        sigmas=[SIGMAS[i].tolist() for i in (0, 1, 3)],
    )
    multipliers = torch.from_numpy(MULTIPLIERS)
    keep("brightness", MultiplicativeBrightnessTransform(1, False), apply_to_channel=every, multipliers=multipliers)
    keep("contrast", ContrastTransform(1, True, False), apply_to_channel=every, multipliers=multipliers)
    zooms = torch.from_numpy(ZOOMS)[some][:, None].repeat(1, 3)
    coarse = SimulateLowResolutionTransform(1, False, True, None)
    keep("low resolution", coarse, apply_to_channel=torch.where(some)[0], scales=zooms)
    for name, inverted in (("gamma", False), ("inverted gamma", True)):
        keep(
            name,
            GammaTransform(1, float(inverted), False, 1, 1),
            apply_to_channel=every,
            retain_stats=torch.ones(4, dtype=torch.bool),
            invert_image=torch.full((4,), inverted),
            gamma=torch.from_numpy(EXPONENTS),
        )
    noise = GaussianNoiseTransform((0, 0.1), 1, True)
    keep("noise", noise, apply_mask=torch.ones(4), apply_idx=every, num_apply=4, sigmas=0.08)
    return found


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        python = Path(__file__).parents[2] / ".venv" / "bin" / "python"
        subprocess.run([str(python), __file__, "--ours", folder], check=True, stderr=subprocess.DEVNULL)
        mine = dict(np.load(Path(folder) / "ours.npz", allow_pickle=False))
    peer = theirs(mine["displacement"])
    image, _ = scan()
    image = image[tuple(slice((r - p) // 2, (r + p) // 2) for r, p in zip(READ, PATCH, strict=True))]
    failed = False

    def line(agrees: bool, name: str, what: str) -> None:
        nonlocal failed
        failed |= not agrees
        print(f"{'agrees  ' if agrees else 'DIFFERS '} {name:18} {what}")

    for name in ("spatial", "spatial, mirrored", "spatial, elastic"):
        differing = mine[f"{name} labels"] != peer[f"{name} labels nearest"]
        edge = (mine[name] == 0).all(axis=-1) != peer[f"{name} outside nearest"]
        difference = np.abs(mine[name] - peer[name])[~edge].max()
        shares = differing.mean(), edge.mean()
        what = (
            f"largest difference {difference:.1e}; share of differing voxels: labels {shares[0]:.1e}, brain "
            f"{shares[1]:.1e}"
        )
        line(difference < BOUND and max(shares) < SHARE_HALF_WAY, name, what)
        linear = peer[f"{name} labels bilinear"]
        either = (linear > 0) | (mine[f"{name} labels"] > 0)
        share = (linear != mine[f"{name} labels"])[either].mean()
        print(f"         {'':18} with interpolated labels (their default), {share:.1%} of the labelled voxels differ")
    for name in ("blur", "brightness", "contrast", "low resolution", "gamma", "inverted gamma"):
        difference = np.abs(mine[name] - peer[name]).max()
        line(difference < BOUND, name, f"largest difference {difference:.1e}")
    brain = (image != 0).any(axis=-1)
    spreads = [float((found["noise"] - image)[brain].std()) for found in (mine, peer)]
    line(abs(spreads[0] - spreads[1]) < 1e-3, "noise", f"standard deviations {spreads[0]:.4f} and {spreads[1]:.4f}")
    return int(failed)


if __name__ == "__main__":
    if "--ours" in sys.argv:
        ours(Path(sys.argv[-1]))
    else:
        sys.exit(main())
