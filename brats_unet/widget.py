"""A viewer for notebooks: a scan with label maps over it, by ipyniivue (extra `[notebook]`)."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ipyniivue import NiiVue, SliceType, Volume

from brats_unet import nifti
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Volume as Scan

OPACITY = 0.5  # of the first label map; further ones are hidden at first


def viewer(scan: Scan, masks: Mapping[str, np.ndarray], scheme: Scheme) -> NiiVue:
    """A widget with a scan, and label maps over it in the colours of the innermost regions.

    Args:
        scan: The scan.
        masks: Labels as in memory by title, each of the shape of the scan; the first is shown.
        scheme: What the labels mean.
    """
    widget = NiiVue(height=480, back_color=(0, 0, 0, 1))
    widget.load_volumes([Volume(data=_nifti(scan.array, scan.affine), name="scan.nii.gz", colormap="gray")])
    for index, (title, labels) in enumerate(masks.items()):
        overlay = Volume(data=_nifti(labels, scan.affine), name=f"{title}.nii.gz", opacity=0.0 if index else OPACITY)
        widget.add_volume(overlay)
        widget.volumes[-1].set_colormap_label(colours(scheme))
    widget.set_slice_type(SliceType.MULTIPLANAR)
    return widget


def colours(scheme: Scheme) -> dict[str, list[Any]]:
    """The colour of each label in memory: that of the smallest region that holds it; 0 is transparent."""
    names, rgb = ["background"], [(0, 0, 0)]
    values = [0, *(tissue.value for tissue in scheme.labels.values())]
    for tissue in scheme.labels.values():
        around = [region for region in scheme.regions.values() if tissue.name in region.labels]
        colour = min(around, key=lambda region: len(region.labels)).colour if around else "#808080"
        names.append(tissue.name)
        rgb.append((int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)))
    red, green, blue = (list(channel) for channel in zip(*rgb, strict=True))
    alpha = [0, *[255] * len(scheme.labels)]
    return {"R": red, "G": green, "B": blue, "A": alpha, "I": values, "labels": names}


def _nifti(array: np.ndarray, affine: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        nifti.write_volume(path := Path(folder) / "volume.nii.gz", Scan(array, affine))
        return path.read_bytes()
