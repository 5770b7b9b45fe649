"""Appearance of a phantom in each modality: tissue intensities, bias field, slice thickness, noise."""

from dataclasses import dataclass

import numpy as np

from brats_unet.data.phantom.extent import Extent
from brats_unet.data.phantom.fields import FieldSampler, lattice_axes, ramp, random_field
from brats_unet.data.phantom.head import Anatomy
from brats_unet.modality import Modality

# Mean signal of healthy tissue relative to the median of the brain, from eight BraTS 2021 scans.
TISSUES: dict[Modality, dict[str, float]] = {
    Modality.FLAIR: {"white": 0.93, "grey": 1.08, "deep": 1.02, "fluid": 0.52, "pool": 0.36},
    Modality.T1: {"white": 1.13, "grey": 0.86, "deep": 0.97, "fluid": 0.44, "pool": 0.40},
    Modality.T1CE: {"white": 1.10, "grey": 0.90, "deep": 0.98, "fluid": 0.46, "pool": 0.42},
    Modality.T2: {"white": 0.83, "grey": 1.08, "deep": 0.95, "fluid": 2.1, "pool": 2.6},
}

# Range of the standard deviation of the bias field (the smooth gain across the head).
BIAS = {Modality.FLAIR: (0.06, 0.12), Modality.T1: (0.04, 0.08), Modality.T1CE: (0.05, 0.09), Modality.T2: (0.03, 0.07)}
# Probability that a scan is brighter near one element of the coil, and the largest relative gain there.
HOT_SPOT = {Modality.FLAIR: (0.9, 0.42), Modality.T1: (0.5, 0.25), Modality.T1CE: (0.6, 0.35), Modality.T2: (0.3, 0.15)}


@dataclass(frozen=True)
class Appearance:
    """Acquisition and tissue signals of one modality in one case; signals are relative to the median of the brain.

    Attributes:
        tissue: Signals by name. Tissues: white, grey, deep, fluid, pool, dura, vessel, lake (see `tissue_shares`),
            oedema, core, enhancing. Signals added in places: caps (around the ventricles), spots (white-matter
            lesions), inflow (moving fluid), ribbon (bright cortex). Amplitudes of texture: mottle (oedema and core),
            blotches (enhancing tumour).
        noise: Standard deviation of the noise.
        bias: Standard deviation of the bias field.
        hot_spot: Relative gain near one element of the coil; 0 for none.
        slice_mm: Slice thickness, in mm; 1 for a volumetric scan.
        gain: Scanner units for a signal of 1.
    """

    tissue: dict[str, float]
    noise: float
    bias: float
    hot_spot: float
    slice_mm: float
    gain: float


def appearances(rng: np.random.Generator, tiny_enhancing: bool, solid_core: bool) -> dict[Modality, Appearance]:
    """Draw the appearance of the four modalities of a case; the same random properties shape a tissue in all of them.

    Args:
        rng: Random number generator.
        tiny_enhancing: True if the enhancing tumour is one small ball; it then enhances strongly.
        solid_core: True if the core is non-enhancing tumour, bright in FLAIR; False if it is necrosis.
    """
    water, cellularity, perfusion, age, cortex_flair, oedema_flair, cyst = rng.uniform(0, 1, 7)
    rim = rng.uniform(1.4, 2.0) if rng.random() < 0.45 else rng.uniform(0.8, 1.1)
    inflow = rng.uniform(0.8, 1.4) if rng.random() < 0.3 else 0.0
    drawn = {}
    flat = {m: rng.uniform(0.55, 1.0) for m in Modality}
    flat[Modality.FLAIR] = rng.uniform(0.8, 1.8)
    core_flair = rng.uniform(1.3, 1.5) if solid_core else rng.uniform(0.8, 1.25)
    for modality, base in TISSUES.items():
        tissue = {
            k: 1 + (v - 1) * flat[modality] if k not in ("fluid", "pool") else v * rng.uniform(0.85, 1.15)
            for k, v in base.items()
        }
        tissue |= {
            Modality.FLAIR: {
                "oedema": 1.26 + 0.36 * oedema_flair, "core": core_flair, "enhancing": 1.22 + 0.28 * cellularity,
                "vessel": 0.75, "dura": rim, "lake": 0.7,
            },
            Modality.T1: {
                "oedema": 0.95 - 0.10 * water, "core": 0.74 - 0.10 * water, "enhancing": 0.93, "vessel": 0.75,
                "dura": 0.8, "lake": 0.7,
            },
            Modality.T1CE: {
                "oedema": 0.94 - 0.08 * water, "core": 0.67 - 0.08 * water,
                "enhancing": 1.36 + 0.30 * perfusion + 0.4 * tiny_enhancing, "vessel": 1.75 + 0.4 * perfusion,
                "dura": 1.5 + 0.3 * perfusion, "lake": 3.0 + 0.6 * perfusion,
            },
            Modality.T2: {
                "oedema": 1.38 + 0.25 * water, "core": 1.55 + 0.75 * cyst, "enhancing": 1.40 + 0.3 * cellularity,
                "vessel": 0.7, "dura": 0.7, "lake": 0.6,
            },
        }[modality]  # fmt: skip
        mottle = {Modality.FLAIR: 0.08, Modality.T1: 0.04, Modality.T1CE: 0.03, Modality.T2: 0.08}
        lesion_signal = age * {Modality.FLAIR: 1, Modality.T2: 0.5}.get(modality, -0.15)
        tissue |= {
            "caps": 0.45 * lesion_signal,
            "spots": 0.5 * lesion_signal,
            "inflow": inflow if modality is Modality.FLAIR else 0.0,
            "ribbon": 0.2 * cortex_flair if modality is Modality.FLAIR else 0.0,
            "mottle": mottle[modality],
            "blotches": 0.10 if modality is Modality.T1CE else mottle[modality],
        }
        hot_spot_probability, largest_gain = HOT_SPOT[modality]
        slice_probability = {Modality.FLAIR: 0.75, Modality.T2: 0.75, Modality.T1: 0.45, Modality.T1CE: 0.1}[modality]
        drawn[modality] = Appearance(
            tissue,
            noise=float(rng.uniform(0.02, 0.045)),
            bias=float(rng.uniform(*BIAS[modality])),
            hot_spot=float(rng.uniform(0.5, 1) * largest_gain) if rng.random() < hot_spot_probability else 0.0,
            slice_mm=float(rng.choice([4, 5, 6])) if rng.random() < slice_probability else 1.0,
            gain=float(np.exp(rng.uniform(np.log(130), np.log(1200)))),
        )
    return drawn


def coil(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw two gain patterns on the lattice, float32: a smooth one (mean 0, deviation 1), and a spot of height 1."""
    z, y, x = lattice_axes()
    direction = rng.standard_normal(3)
    direction /= np.sqrt((direction**2).sum())
    spread = float(rng.uniform(26, 40))
    dz, dy, dx = (np.float32(d * r) for d, r in zip(direction, (50, 75, 58), strict=True))
    r2 = (x - dx) ** 2 + (y - 130 - dy) ** 2 + (z - 80 - dz) ** 2
    return random_field(rng, 130), np.exp(r2 * np.float32(-0.5 / spread**2))


def acquired_in_slices(volume: np.ndarray, thickness: int, rng: np.random.Generator, noise: float) -> np.ndarray:
    """Imitate a 2-D scan: average over slices of `thickness` voxels along z, add noise, interpolate back."""
    n = volume.shape[0]
    offset = int(rng.integers(thickness))
    edges = np.arange(offset - thickness, n + thickness, thickness)
    slices = []
    for a in edges:
        lo, hi = max(0, min(a, n - 1)), min(max(a + thickness, 1), n)
        slices.append(volume[lo:hi].mean(axis=0))
    stack = np.stack(slices)
    stack += np.float32(noise) * rng.standard_normal(stack.shape, dtype=np.float32)
    centre = edges + (thickness - 1) / 2
    cell = np.clip((np.arange(n) - centre[0]) / thickness, 0, len(slices) - 1.001)
    low = cell.astype(int)
    share = (cell - low).astype(np.float32)[:, None, None]
    return stack[low] * (1 - share) + stack[low + 1] * share


def blur_in_plane(volume: np.ndarray, centre: float = 0.6) -> np.ndarray:
    """Blur within the axial plane, as the acquisition does: each voxel mixes with its four neighbours."""
    side = np.float32((1 - centre) / 2)
    for axis in (1, 2):
        padded = np.pad(volume, [(1, 1) if i == axis else (0, 0) for i in range(3)], mode="edge")
        before, after = padded.take(range(volume.shape[axis]), axis), None
        n = volume.shape[axis]
        before = padded[:, :n] if axis == 1 else padded[:, :, :n]
        after = padded[:, 2:] if axis == 1 else padded[:, :, 2:]
        volume = np.float32(centre) * volume + side * (before + after)
    return volume


def paint(
    rng: np.random.Generator,
    anatomy: Anatomy,
    head: np.ndarray,
    shares: dict[str, np.ndarray],
    extent: Extent,
    appearance: dict[Modality, Appearance],
    box: FieldSampler,
) -> dict[Modality, np.ndarray]:
    """Compute the scans in a box.

    Args:
        rng: Random number generator for texture, bias fields and noise.
        anatomy: Parts of the head.
        head: Mask of the skull-stripped brain, bool.
        shares: Share of each healthy tissue in every voxel; see `tissue_shares`.
        extent: The tissues of the tumour in every voxel.
        appearance: Acquisition and tissue signals of each modality.
        box: Voxels to compute.

    Returns:
        Scans by modality, int16, shape (Z, Y, X); 0 outside the brain and at least 1 inside.
    """
    caps = np.exp(np.minimum(box(anatomy.ventricle), 0) * np.float32(0.3)) * shares["white"]
    spots = ramp(box(random_field(rng, 11)) - 2.2, 0.8) * shares["white"]
    texture = box(0.6 * random_field(rng, 24) + 0.8 * random_field(rng, 9))
    grain = box(0.022 * random_field(rng, 18))
    ribbon = box(np.clip(random_field(rng, 45), 0, 2)) * shares["grey"]
    flow = box(np.clip(0.5 + 0.6 * random_field(rng, 60), 0, 1) * ramp(58 - lattice_axes()[0], 50))
    flow *= shares["fluid"] + shares["pool"]
    inside = box.middle(head)
    images = {}
    for modality, how in appearance.items():
        t = how.tissue
        signal = np.zeros(texture.shape, np.float32)
        for name in TISSUES[modality]:
            signal += np.float32(t[name]) * shares[name]
        for name in ("dura", "vessel", "lake"):
            signal += shares[name] * (np.float32(t[name]) - signal)
        signal += np.float32(t["caps"]) * caps + np.float32(t["spots"]) * spots + grain
        signal += np.float32(t["ribbon"]) * ribbon + np.float32(t["inflow"]) * flow
        signal *= extent.healthy
        for name, weight in extent.weights.items():
            mottle = np.float32(t["blotches" if name == "enhancing" else "mottle"])
            signal += weight * (np.float32(t[name]) + mottle * texture)
        if modality is not Modality.T1CE:  # T1ce has the coil pattern of T1: the two are acquired minutes apart
            smooth, spot = coil(rng)
        signal *= box(1 + np.float32(how.bias) * smooth + np.float32(how.hot_spot) * spot)
        signal = box.mean(blur_in_plane(signal))
        if how.slice_mm * box.per_mm[0] >= 2:
            signal = acquired_in_slices(signal, round(how.slice_mm * box.per_mm[0]), rng, how.noise)
        else:
            signal += np.float32(how.noise) * rng.standard_normal(signal.shape, dtype=np.float32)
        image = np.clip(np.rint(np.abs(signal) * np.float32(how.gain)), 1, 32767).astype(np.int16)
        image[~inside] = 0
        images[modality] = image
    return images
