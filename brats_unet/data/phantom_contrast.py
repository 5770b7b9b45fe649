"""What a phantom's tissues look like in each contrast: intensities, bias, slices, noise."""

from dataclasses import dataclass

import numpy as np

from brats_unet.anatomy import Label, Modality
from brats_unet.data.phantom_anatomy import Anatomy, cortex_mm
from brats_unet.data.phantom_fields import Sampler, ramp, random_field
from brats_unet.data.phantom_tumour import Tumour

# Mean signal of healthy tissue over the brain's median, after eight BraTS 2021 scans.
TISSUES: dict[Modality, dict[str, float]] = {
    Modality.FLAIR: {"white": 0.93, "grey": 1.08, "deep": 1.02, "fluid": 0.38},
    Modality.T1: {"white": 1.13, "grey": 0.86, "deep": 0.97, "fluid": 0.40},
    Modality.T1CE: {"white": 1.10, "grey": 0.90, "deep": 0.98, "fluid": 0.42},
    Modality.T2: {"white": 0.83, "grey": 1.08, "deep": 0.95, "fluid": 2.5},
}


@dataclass(frozen=True)
class Look:
    """How one contrast of one case was acquired and what each tissue shines like, over the brain's median.

    Attributes:
        tissue: Signal of white, grey, deep, fluid, oedema, core, enhancing, vessel.
        noise: Standard deviation.
        slice_mm: Thickness of a slice; 1 where the scan was volumetric.
        gain: Scanner units of a signal of 1.
    """

    tissue: dict[str, float]
    noise: float
    slice_mm: float
    gain: float


def looks(rng: np.random.Generator, enhances: bool) -> dict[Modality, Look]:
    """Draw the four contrasts of a case; what drives a tissue in one drives it in the others."""
    wetness, cell, blood = rng.uniform(0, 1, 3)
    out = {}
    flat = {m: rng.uniform(0.6, 1.1) for m in Modality}
    core_flair = rng.uniform(0.95, 1.6)
    for modality, base in TISSUES.items():
        tissue = {
            k: 1 + (v - 1) * flat[modality] if k != "fluid" else v * rng.uniform(0.85, 1.15) for k, v in base.items()
        }
        tissue |= {
            Modality.FLAIR: {
                "oedema": 1.28 + 0.30 * wetness, "core": core_flair, "enhancing": 1.25 + 0.25 * cell, "vessel": 0.75,
            },
            Modality.T1: {
                "oedema": 0.98 - 0.10 * wetness, "core": 0.80 - 0.10 * wetness, "enhancing": 0.93, "vessel": 0.75,
            },
            Modality.T1CE: {
                "oedema": 0.98 - 0.08 * wetness, "core": 0.80 - 0.08 * wetness, "enhancing": 1.35 + 0.35 * blood,
                "vessel": 1.55 + 0.5 * blood,
            },
            Modality.T2: {
                "oedema": 1.30 + 0.40 * wetness, "core": 1.65 + 0.6 * wetness, "enhancing": 1.40 + 0.3 * cell,
                "vessel": 0.7,
            },
        }[modality]  # fmt: skip
        thick = {Modality.FLAIR: 0.75, Modality.T2: 0.75, Modality.T1: 0.45, Modality.T1CE: 0.2}[modality]
        out[modality] = Look(
            tissue,
            noise=float(rng.uniform(0.02, 0.045)),
            slice_mm=float(rng.choice([4, 5, 6])) if rng.random() < thick else 1.0,
            gain=float(np.exp(rng.uniform(np.log(130), np.log(1200)))),
        )
    return out


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


def tissue_shares(rng: np.random.Generator, anatomy: Anatomy, box: Sampler) -> dict[str, np.ndarray]:
    """Share of each voxel that is white, grey, deep, fluid (they sum to 1), and vessel on top; float32."""
    a = anatomy
    opening = 0.05 + 0.4 * a.atrophy
    x, hull, sulcus = box(a.x), box(a.hull), box(a.sulcus)
    cortex = cortex_mm(x, hull, box(a.arch), box(a.sylvian), box(a.sylvian_end), sulcus, box(a.sulcus_depth), opening)
    thickness = 2.9
    small, stem = box(a.cerebellum), box(a.stem)
    leaf = np.abs(box(a.folia))
    folds = np.minimum(small, leaf + np.maximum(small - 14, 0))
    callosum = box(a.callosum)
    soft = np.maximum(np.maximum(cortex, callosum), np.maximum(folds, stem))
    ventricle = box(a.ventricle)
    fluid = np.maximum(1 - ramp(soft, 1.2), ramp(ventricle, 1.2))
    solid = 1 - fluid
    white = np.maximum(
        np.maximum(ramp(cortex - thickness, 1.6), ramp(callosum, 1.5)),
        np.maximum(ramp(stem - 0.5, 1.5), ramp(folds - 1.0, 1.2)),
    )
    deep = np.maximum(ramp(box(a.deep_grey), 1.5), 0.5 * ramp(box(a.pallidum), 1.5))
    deep = deep * solid
    white = white * (solid - deep)
    grey = solid - deep - white
    first, second = (np.abs(box(v)) for v in a.vessels)
    in_sulcus = ramp(1.0 - np.maximum(np.abs(sulcus) * (cortex < 6), second), 1.2) * (hull > -2)
    in_white = ramp(0.5 - np.maximum(first, second), 1.2)
    in_fissure = ramp(1.0 - np.abs(x), 1.2) * ramp(1.8 - first, 2) * (cortex < 1)
    sinus = ramp(3.2 - np.abs(x), 1.5) * ramp(2.2 - hull, 1.5) * (hull > -4)
    plexus = ramp(ventricle - 1.0, 1.2) * ramp(1.3 - second, 1.2) * ramp(1.8 - first, 2)
    vessel = np.maximum(
        np.maximum(in_sulcus * fluid, 0.6 * in_white), np.maximum(np.maximum(in_fissure, sinus), 0.7 * plexus)
    )
    return {"white": white, "grey": grey, "deep": deep, "fluid": fluid, "vessel": vessel}


def paint(
    rng: np.random.Generator, anatomy: Anatomy, tumour: Tumour, look: dict[Modality, Look], box: Sampler, scale: float
) -> tuple[dict[Modality, np.ndarray], np.ndarray]:
    """The four scans (int16) and the labels (uint8) of the voxels of `box`, axes Z, Y, X."""
    head = box(anatomy.head) > 0
    shares = tissue_shares(rng, anatomy, box)
    whole, core, enhancing = box(tumour.whole), box(tumour.core), box(tumour.enhancing)
    if tumour.enhancing_mm3 is not None:
        count = max(1, round(tumour.enhancing_mm3 * scale**3))
        flat = np.partition(enhancing.ravel(), enhancing.size - count - 1)
        enhancing -= flat[enhancing.size - count - 1] + np.float32(1e-6)
        core = np.maximum(core, enhancing)
        whole = np.maximum(whole, enhancing)
    labels = np.zeros(head.shape, np.uint8)
    labels[(whole > 0) & head] = Label.OEDEMA
    labels[(core > 0) & head] = Label.NECROTIC
    labels[(enhancing > 0) & head] = Label.ENHANCING

    w_enhancing = ramp(enhancing, 1.2)
    w_core = ramp(core, 1.5) * (1 - w_enhancing)
    w_oedema = ramp(whole, 3.0) * (1 - ramp(core, 1.5)) * (1 - shares["fluid"])
    healthy = (1 - w_enhancing) * (1 - ramp(core, 1.5)) - w_oedema
    texture = box(random_field(rng, 12))
    images = {}
    for modality, how in look.items():
        t = how.tissue
        signal = np.zeros(head.shape, np.float32)
        for name in ("white", "grey", "deep", "fluid"):
            signal += np.float32(t[name]) * shares[name]
        signal += shares["vessel"] * (np.float32(t["vessel"]) - signal)
        signal *= healthy
        for name, weight in (("oedema", w_oedema), ("core", w_core), ("enhancing", w_enhancing)):
            signal += weight * (np.float32(t[name]) + np.float32(0.07) * texture)
        bias = 1 + 0.05 * random_field(rng, 160)
        signal *= box(bias)
        signal = blur_in_plane(signal)
        if how.slice_mm * scale >= 2:
            signal = along_z_in_slices(signal, round(how.slice_mm * scale), rng, how.noise)
        else:
            signal += np.float32(how.noise) * rng.standard_normal(signal.shape, dtype=np.float32)
        image = np.clip(np.rint(np.abs(signal) * np.float32(how.gain)), 1, 32767).astype(np.int16)
        image[~head] = 0
        images[modality] = image
    return images, labels
