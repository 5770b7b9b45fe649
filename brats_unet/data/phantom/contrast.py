"""What a phantom's tissues look like in each contrast: intensities, bias, slices, noise."""

from dataclasses import dataclass

import cc3d
import numpy as np

from brats_unet.anatomy import Label, Modality
from brats_unet.data.phantom.fields import FieldSampler, lattice_axes, ramp, random_field
from brats_unet.data.phantom.head import Anatomy
from brats_unet.data.phantom.tissue import tissue_shares
from brats_unet.data.phantom.tumour import Tumour

# Mean signal of healthy tissue over the brain's median, after eight BraTS 2021 scans.
TISSUES: dict[Modality, dict[str, float]] = {
    Modality.FLAIR: {"white": 0.93, "grey": 1.08, "deep": 1.02, "fluid": 0.52, "pool": 0.36},
    Modality.T1: {"white": 1.13, "grey": 0.86, "deep": 0.97, "fluid": 0.44, "pool": 0.40},
    Modality.T1CE: {"white": 1.10, "grey": 0.90, "deep": 0.98, "fluid": 0.46, "pool": 0.42},
    Modality.T2: {"white": 0.83, "grey": 1.08, "deep": 0.95, "fluid": 2.1, "pool": 2.6},
}


# Range of the standard deviation of the smooth gain across the head.
BIAS = {Modality.FLAIR: (0.06, 0.12), Modality.T1: (0.04, 0.08), Modality.T1CE: (0.05, 0.09), Modality.T2: (0.03, 0.07)}
# How often, and by how much at most, a scan is brighter near one element of the coil.
HOT_SPOT = {Modality.FLAIR: (0.9, 0.42), Modality.T1: (0.5, 0.25), Modality.T1CE: (0.6, 0.35), Modality.T2: (0.3, 0.15)}


@dataclass(frozen=True)
class Appearance:
    """How one contrast of one case was acquired and what each tissue shines like, over the brain's median.

    Attributes:
        tissue: Signal of white, grey, deep, fluid, pool, oedema, core, enhancing, dura, vessel, lake; and what
            comes on top of some of them here and there: caps, spots, inflow, ribbon, mottle, blotches.
        noise: Standard deviation.
        bias: Standard deviation of the smooth gain across the head.
        hot_spot: Relative gain near one element of the coil; 0 for none.
        slice_mm: Thickness of a slice; 1 where the scan was volumetric.
        gain: Scanner units of a signal of 1.
    """

    tissue: dict[str, float]
    noise: float
    bias: float
    hot_spot: float
    slice_mm: float
    gain: float


def appearances(rng: np.random.Generator, bead: bool, living: bool) -> dict[Modality, Appearance]:
    """Draw the four contrasts of a case; what drives a tissue in one drives it in the others.

    Args:
        rng: Where they come from.
        bead: Whether all that enhances is one small bead, which then enhances clearly.
        living: Whether the core is tumour that does not enhance, bright in FLAIR, rather than necrosis.
    """
    wetness, cell, blood, old, warm, glow, cyst = rng.uniform(0, 1, 7)
    rim = rng.uniform(1.4, 2.0) if rng.random() < 0.45 else rng.uniform(0.8, 1.1)
    inflow = rng.uniform(0.8, 1.4) if rng.random() < 0.3 else 0.0
    out = {}
    flat = {m: rng.uniform(0.55, 1.0) for m in Modality}
    flat[Modality.FLAIR] = rng.uniform(0.8, 1.8)
    core_flair = rng.uniform(1.3, 1.5) if living else rng.uniform(0.8, 1.25)
    for modality, base in TISSUES.items():
        tissue = {
            k: 1 + (v - 1) * flat[modality] if k not in ("fluid", "pool") else v * rng.uniform(0.85, 1.15)
            for k, v in base.items()
        }
        tissue |= {
            Modality.FLAIR: {
                "oedema": 1.26 + 0.36 * glow, "core": core_flair, "enhancing": 1.22 + 0.28 * cell, "vessel": 0.75,
                "dura": rim, "lake": 0.7,
            },
            Modality.T1: {
                "oedema": 0.95 - 0.10 * wetness, "core": 0.74 - 0.10 * wetness, "enhancing": 0.93, "vessel": 0.75,
                "dura": 0.8, "lake": 0.7,
            },
            Modality.T1CE: {
                "oedema": 0.94 - 0.08 * wetness, "core": 0.67 - 0.08 * wetness,
                "enhancing": 1.36 + 0.30 * blood + 0.4 * bead, "vessel": 1.75 + 0.4 * blood,
                "dura": 1.5 + 0.3 * blood, "lake": 3.0 + 0.6 * blood,
            },
            Modality.T2: {
                "oedema": 1.38 + 0.25 * wetness, "core": 1.55 + 0.75 * cyst, "enhancing": 1.40 + 0.3 * cell,
                "vessel": 0.7, "dura": 0.7, "lake": 0.6,
            },
        }[modality]  # fmt: skip
        mottle = {Modality.FLAIR: 0.08, Modality.T1: 0.04, Modality.T1CE: 0.03, Modality.T2: 0.08}
        age = old * {Modality.FLAIR: 1, Modality.T2: 0.5}.get(modality, -0.15)
        tissue |= {
            "caps": 0.45 * age,
            "spots": 0.5 * age,
            "inflow": inflow if modality is Modality.FLAIR else 0.0,
            "ribbon": 0.2 * warm if modality is Modality.FLAIR else 0.0,
            "mottle": mottle[modality],
            "blotches": 0.10 if modality is Modality.T1CE else mottle[modality],
        }
        often, most = HOT_SPOT[modality]
        thick = {Modality.FLAIR: 0.75, Modality.T2: 0.75, Modality.T1: 0.45, Modality.T1CE: 0.1}[modality]
        out[modality] = Appearance(
            tissue,
            noise=float(rng.uniform(0.02, 0.045)),
            bias=float(rng.uniform(*BIAS[modality])),
            hot_spot=float(rng.uniform(0.5, 1) * most) if rng.random() < often else 0.0,
            slice_mm=float(rng.choice([4, 5, 6])) if rng.random() < thick else 1.0,
            gain=float(np.exp(rng.uniform(np.log(130), np.log(1200)))),
        )
    return out


def coil(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two shapes of gain on the lattice, float32: smooth, of mean 0 and deviation 1; and a spot of height 1."""
    z, y, x = lattice_axes()
    direction = rng.standard_normal(3)
    direction /= np.sqrt((direction**2).sum())
    spread = float(rng.uniform(26, 40))
    dz, dy, dx = (np.float32(d * r) for d, r in zip(direction, (50, 75, 58), strict=True))
    r2 = (x - dx) ** 2 + (y - 130 - dy) ** 2 + (z - 80 - dz) ** 2
    return random_field(rng, 130), np.exp(r2 * np.float32(-0.5 / spread**2))


def along_z_in_slices(volume: np.ndarray, thickness: int, rng: np.random.Generator, noise: float) -> np.ndarray:
    """Average over slices of `thickness` voxels, add noise, interpolate back, as 2-D scans look."""
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
    """The point spread of the acquisition: each voxel shares with its four neighbours in the plane."""
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
    tumour: Tumour,
    appearance: dict[Modality, Appearance],
    box: FieldSampler,
    scale: float,
) -> tuple[dict[Modality, np.ndarray], np.ndarray]:
    """The four scans (int16) and the labels (uint8) of the voxels of `box`, axes Z, Y, X."""
    head = box(anatomy.head) > 0
    shares = tissue_shares(anatomy, box)
    whole, core, enhancing = box(tumour.whole), box(tumour.core), box(tumour.enhancing)
    if tumour.enhancing_mm3 is not None:
        count = max(1, round(tumour.enhancing_mm3 * scale**3))
        flat = np.partition(enhancing.ravel(), enhancing.size - count - 1)
        enhancing -= flat[enhancing.size - count - 1] + np.float32(1e-6)
        core = np.maximum(core, enhancing)
        whole = np.maximum(whole, enhancing)
    speck = max(1, round(60 * scale**3))
    labels = np.zeros(head.shape, np.uint8)
    for label, field in ((Label.OEDEMA, whole), (Label.NECROTIC, core), (Label.ENHANCING, enhancing)):
        mask = (field > 0) & head
        if tumour.enhancing_mm3 is None or label != Label.ENHANCING:
            mask = cc3d.dust(mask, threshold=speck, connectivity=6) > 0
        labels[mask] = label

    in_whole = ramp(whole - 1, 4)
    effaced = shares["fluid"] * (0.8 * in_whole)
    shares["fluid"] -= effaced
    shares["grey"] += effaced
    shares["vessel"] *= 1 - ramp(whole + 1, 2)
    w_enhancing = ramp(enhancing, 1.2)
    in_core = ramp(core, 1.5)
    w_core = in_core * (1 - w_enhancing)
    w_oedema = ramp(whole, 2.0) * np.clip(0.8 + 0.04 * whole, 0, 1) * (1 - in_core)
    w_oedema *= 1 - shares["fluid"] - shares["pool"]
    healthy = (1 - w_enhancing) * (1 - in_core) - w_oedema
    caps = np.exp(np.minimum(box(anatomy.ventricle), 0) * np.float32(0.3)) * shares["white"]
    spots = ramp(box(random_field(rng, 11)) - 2.2, 0.8) * shares["white"]
    texture = box(0.6 * random_field(rng, 24) + 0.8 * random_field(rng, 9))
    grain = box(0.022 * random_field(rng, 18))
    ribbon = box(np.clip(random_field(rng, 45), 0, 2)) * shares["grey"]
    flow = box(np.clip(0.5 + 0.6 * random_field(rng, 60), 0, 1) * ramp(58 - lattice_axes()[0], 50))
    flow *= shares["fluid"] + shares["pool"]
    images = {}
    for modality, how in appearance.items():
        t = how.tissue
        signal = np.zeros(head.shape, np.float32)
        for name in TISSUES[modality]:
            signal += np.float32(t[name]) * shares[name]
        for name in ("dura", "vessel", "lake"):
            signal += shares[name] * (np.float32(t[name]) - signal)
        signal += np.float32(t["caps"]) * caps + np.float32(t["spots"]) * spots + grain
        signal += np.float32(t["ribbon"]) * ribbon + np.float32(t["inflow"]) * flow
        signal *= healthy
        for name, weight in (("oedema", w_oedema), ("core", w_core), ("enhancing", w_enhancing)):
            mottle = np.float32(t["blotches" if name == "enhancing" else "mottle"])
            signal += weight * (np.float32(t[name]) + mottle * texture)
        if modality is not Modality.T1CE:  # T1 and T1ce: one coil, minutes apart
            smooth, spot = coil(rng)
        signal *= box(1 + np.float32(how.bias) * smooth + np.float32(how.hot_spot) * spot)
        signal = blur_in_plane(signal)
        if how.slice_mm * scale >= 2:
            signal = along_z_in_slices(signal, round(how.slice_mm * scale), rng, how.noise)
        else:
            signal += np.float32(how.noise) * rng.standard_normal(signal.shape, dtype=np.float32)
        image = np.clip(np.rint(np.abs(signal) * np.float32(how.gain)), 1, 32767).astype(np.int16)
        image[~head] = 0
        images[modality] = image
    return images, labels
