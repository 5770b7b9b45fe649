"""Figure of a Grad-CAM map: the scan in three planes, the map over it, and the outline of the predicted region."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from brats_unet.modality import Modality, in_words
from brats_unet.report.curves import SKY
from brats_unet.report.panels import Panel, letters, outline, sheet, show
from brats_unet.report.paper import SCREEN, save_figure
from brats_unet.report.planes import box_of, drawn_spacing, slices_through, windowed, with_margin
from brats_unet.safe_text import visible
from brats_unet.scan_files import read_scan
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import ImageFile, spacing_mm, turn_to_lps

FOOT_INCHES, COLOURS, OPACITY = 0.5, "inferno", 0.75


def draw_heat(
    images: Mapping[Modality, ImageFile],
    affine: np.ndarray,
    heat: np.ndarray,
    probability: np.ndarray,
    path: Path,
    title: str,
    *,
    scheme: Scheme,
    region: str,
    layer: str,
) -> None:
    """Draw a map over the scan that shows its region best.

    Args:
        images: Scans of the case, at least one.
        affine: Their affine, shape (4, 4).
        heat: The map on their grid, shape (X, Y, Z), from 0 to 1.
        probability: Probability of the region, same shape; the outline is at 0.5.
        path: PNG file to write.
        title: Title of the figure.
        scheme: What is segmented.
        region: The region.
        layer: Layer of the map.

    Raises:
        DataError: The scan cannot be read.
    """
    best = Modality(scheme.regions[region].seen_on)
    modality = best if best in images else next(iter(images))
    scan = read_scan(images[modality])
    turn = turn_to_lps(affine)
    x, y, z = (spacing_mm(affine)[axis] for axis in turn.axes)
    heat_figure(
        turn.apply(scan.array),
        turn.apply(heat),
        turn.apply(probability >= 0.5),
        path,
        title,
        modality=modality,
        layer=layer,
        spacing_mm=(x, y, z),
        spacing_known=scan.spacing_known,
    )


def heat_figure(
    image: np.ndarray,
    heat: np.ndarray,
    mask: np.ndarray,
    path: Path,
    title: str,
    *,
    modality: Modality,
    layer: str,
    spacing_mm: tuple[float, float, float],
    spacing_known: bool,
) -> None:
    """Draw a map over a scan.

    Args:
        image: The scan, shape (X, Y, Z), axes L-P-S.
        heat: The map, same shape, from 0 to 1; 0 is transparent.
        mask: The predicted region, bool, same shape; empty if it is not predicted.
        path: PNG file to write.
        title: Title of the figure.
        modality: What the scan is.
        layer: Layer of the map.
        spacing_mm: Voxel edge lengths along the three axes, in millimetres.
        spacing_known: If False, these lengths are no millimetres, and few slices are stretched.
    """
    spacing_mm = drawn_spacing(image.shape, spacing_mm, known=spacing_known)
    scan = windowed(image)
    whole = with_margin(box_of(image != scan.background), 3, image.shape)
    centre = slices_through([mask if mask.any() else heat >= 0.5], whole)
    figure, cells = sheet([[Panel(modality)]], whole, whole, spacing_mm, FOOT_INCHES, SCREEN)
    for cell in cells:
        plane, axes = cell.plane, cell.axes
        show(axes, plane, scan.greys(plane, centre), whole, spacing_mm)
        flat = plane.cut(heat, centre)
        colours = axes.imshow(
            flat,
            cmap=COLOURS,
            vmin=0,
            vmax=1,
            alpha=OPACITY * np.sqrt(np.clip(flat, 0, 1)),
            origin="lower",
            interpolation="bilinear",
            extent=axes.get_images()[0].get_extent(),
        )
        outline(axes, plane, mask, centre, spacing_mm, width=1.2, colour=SKY, dash="solid")
        letters(axes, plane, SCREEN)
    height = figure.get_figheight()
    bar = figure.add_axes((0.012, 0.24 / height, 0.22, 0.09 / height))
    figure.colorbar(colours, cax=bar, orientation="horizontal", ticks=[0, 1])
    bar.set_xticklabels(["0", "most"], color=SCREEN.ink, fontsize=7)
    figure.text(0.012, 1 - 0.26 / height, visible(title), color=SCREEN.ink, fontsize=10, weight="bold", va="center")
    words = f"Grad-CAM at {layer}, over {in_words(modality)}; line: the prediction; the patient's left is on the right"
    figure.text(0.992, 0.2 / height, words, color=SCREEN.muted, fontsize=7, ha="right", va="center")
    save_figure(figure, path)
