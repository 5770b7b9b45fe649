"""Folders of TIFF slices as in the LGG MRI Segmentation data set, drawn by hand, and small: 3 slices of 8 x 8 pixels."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE, DEPTH = 8, 3


def picture(number: int, *, copied: tuple[int, ...] = (), brighter: int = 0) -> np.ndarray:
    """Slice `number`, shape (rows, columns, 3): a head of 6 x 6 pixels in air; channels in `copied` equal FLAIR."""
    rgb = np.ones((SIZE, SIZE, 3), np.uint8)
    for channel, value in enumerate((60, 100, 140)):
        rgb[1:7, 1:7, channel] = value + number + brighter + np.arange(36).reshape(6, 6) % 5
    for channel in copied:
        rgb[..., channel] = rgb[..., 1]
    return rgb


def tumour(number: int) -> np.ndarray:
    """Mask of slice `number`, 0 and 255: rows 2 and 3, columns 3 to 5, in the second slice only."""
    grey = np.zeros((SIZE, SIZE), np.uint8)
    grey[2:4, 3:6] = 255 if number == 2 else 0
    return grey


def patient(
    root: Path,
    name: str = "TCGA_CS_4941_19960909",
    *,
    masks: bool = True,
    copied: tuple[int, ...] = (),
    brighter: int = 0,
) -> Path:
    """Write the folder of one patient; returns it."""
    folder = root / name
    folder.mkdir(parents=True)
    for number in range(1, DEPTH + 1):
        Image.fromarray(picture(number, copied=copied, brighter=brighter)).save(folder / f"{name}_{number}.tif")
        if masks:
            Image.fromarray(tumour(number)).save(folder / f"{name}_{number}_mask.tif")
    return folder


def slice_file(folder: Path, number: int, *, mask: bool = False) -> Path:
    """Path of a slice or mask that `patient` wrote."""
    return folder / f"{folder.name}_{number}{'_mask' if mask else ''}.tif"
