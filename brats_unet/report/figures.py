"""Figure of a case: three planes with the outlines of reference and prediction, for the screen or for a paper.

The outlines differ in dash and in colour; colour-blind readers can distinguish the colours (Okabe and Ito 2008).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from brats_unet.modality import Modality, in_words
from brats_unet.report.curves import ORANGE, SKY, training_curves
from brats_unet.report.looks import DASHES, LINE, Dash, readable
from brats_unet.report.panels import (
    LIGHT,
    MUTED,
    Cell,
    Panel,
    bands_of,
    frame,
    letters,
    outline,
    scale_bar,
    sheet,
    show,
)
from brats_unet.report.paper import SCREEN, Look, save_figure
from brats_unet.report.planes import (
    PLANES,
    Scan,
    Triple,
    around,
    box_of,
    drawn_spacing,
    slices_through,
    windowed,
    with_margin,
    with_room,
)
from brats_unet.safe_text import visible
from brats_unet.schemes.scheme import Scheme

__all__ = ["case_figure", "training_curves"]

OUTLINES: tuple[tuple[str, str, Dash], ...] = (
    ("reference", ORANGE, (0, (1.0, 0.0))),
    ("prediction", SKY, (0, (2.2, 1.3))),
)
# Grey level of a label, by the number of scored regions that it lies in; drawn if there is no scan.
TISSUE_GREYS = (0.1, 0.2, 0.35, 0.6, 0.8, 1.0)
WIDTH = 1.3  # of an outline, in points
WIDE, NARROW = 2.0, 1.0  # of the first and the last of all regions, so that outlines in one place show both colours

FOOT_INCHES, LEGEND_INCHES = 0.5, 0.2  # of the first row of legends, and of each row of regions above it
LEGEND_CHARACTERS = 150  # in a row of regions, of which each takes 8 besides its name

Masks = Mapping[str, tuple[np.ndarray, np.ndarray]]


def case_figure(
    images: Mapping[Modality, np.ndarray],
    reference: np.ndarray | None,
    prediction: np.ndarray | None,
    scores: Mapping[tuple[str, str], float],
    path: Path,
    title: str,
    *,
    scheme: Scheme,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    spacing_known: bool = True,
    look: Look = SCREEN,
) -> None:
    """Draw three planes through the regions: whole scans, and close-ups with the outlines of each scored region.

    A region is outlined on the scan that shows it best. If that scan is missing, the first given scan is used; without
    any scan, the labels of the reference are drawn in grey. With more than four regions, two close-ups show all regions
    of the reference and of the prediction in the colours and line styles of the scheme. Without masks, only whole scans
    are drawn, through the middle of the head.

    Args:
        images: Scans by modality, shape (X, Y, Z), axes L-P-S; any number.
        reference: Labels of the scheme as in memory, same shape, or None.
        prediction: Labels of the scheme as in memory, same shape, or None.
        scores: Scores by (region, metric); "dice" and a HD95 are printed over the close-ups if given.
        path: PNG, PDF or SVG file to write.
        title: Title of the figure.
        scheme: What the labels mean.
        spacing_mm: Voxel edge lengths along the three axes, in millimetres.
        spacing_known: If False, these lengths are no millimetres: there is no scale bar, and few slices are stretched.
        look: Ground, width and scale of the figure.

    Raises:
        ValueError: There is neither a scan nor a mask.
    """
    outlined = [one for one in (reference, prediction) if one is not None]
    if not outlined and not images:
        raise ValueError("There is nothing to draw: expected a scan, a reference or a prediction.")
    labels = outlined[0] if outlined else np.zeros(next(iter(images.values())).shape, np.uint8)
    spacing_mm = drawn_spacing(labels.shape, spacing_mm, known=spacing_known)
    reference, prediction = (np.zeros_like(labels) if mask is None else mask for mask in (reference, prediction))
    shown = {modality: windowed(image) for modality, image in images.items()}
    tissues = Scan(_tissue_greys(scheme)[labels], black=0.0, white=1.0, background=0.0)
    first = next(iter(shown), None)
    ground = tissues if first is None else shown[first]
    masks = {r: (scheme.region_mask(reference, r), scheme.region_mask(prediction, r)) for r in scheme.scored}
    whole = with_margin(box_of(ground.image != ground.background), 3, labels.shape)
    centre = slices_through([pair[0] if pair[0].any() else pair[1] for pair in masks.values()], whole)
    close = around(box_of((reference > 0) | (prediction > 0)), centre, spacing_mm, labels.shape)
    whole = with_room(whole, spacing_mm) if shown else close
    regions = [Panel(_seen_best_on(scheme, region, shown), region) for region in scheme.scored if outlined]
    bands = bands_of([Panel(modality) for modality in shown], regions, first, look.widest_band)

    legend = list(scheme.scored) if any(panel.mask for band in bands for panel in band) else []
    rows = -(-sum(len(region) + 8 for region in legend) // LEGEND_CHARACTERS)
    figure, cells = sheet(bands, whole, close, spacing_mm, FOOT_INCHES + LEGEND_INCHES * rows, look)
    for cell in cells:
        panel, plane, axes = cell.panel, cell.plane, cell.axes
        scan = tissues if panel.modality is None else shown[panel.modality]
        show(axes, plane, scan.greys(plane, centre), whole if panel.is_whole else close, spacing_mm)
        if panel.is_whole and outlined:
            frame(axes, plane, close, spacing_mm, look)
        for mask, width, colour, dash in outlines_in(panel, masks, scheme):
            outline(axes, plane, mask, centre, spacing_mm, width=width * look.scale, colour=colour, dash=dash)
        if cell.has_letters:
            letters(axes, plane, look)
        if cell.names_plane:
            axes.text(0.02, 0.03, plane.name, color=MUTED, fontsize=7 * look.scale, transform=axes.transAxes)
        if cell.names_panel:
            _headings(cell, masks, centre, scores, look)
    if spacing_known:
        for kind in (True, False):
            if alike := [cell.axes for cell in cells if cell.panel.is_whole == kind]:
                scale_bar(alike[-1], look)
    hints = ["left is on the right"]
    if outlined:
        hints.append("frames mark the close-ups" if shown else "grey: labels of the reference")
    if not spacing_known:
        hints.append("the distance of the slices is unknown")
    _captions(figure, title, "; ".join(hints), look)
    if outlined:
        line_legend(figure, OUTLINES, 0.0, look, columns=2)
    if legend:
        entries = [(region, *region_look(scheme, region)) for region in legend]
        line_legend(figure, entries, (FOOT_INCHES - 0.06) * look.scale, look, columns=-(-len(legend) // rows))
    save_figure(figure, path)


def _tissue_greys(scheme: Scheme) -> np.ndarray:
    """Grey level of each label, float32; a label is the lighter, the more scored regions hold it."""
    greys = np.zeros(256, np.float32)
    for tissue in scheme.labels.values():
        regions = sum(tissue.value in scheme.values(region) for region in scheme.scored)
        greys[tissue.value] = TISSUE_GREYS[min(regions, len(TISSUE_GREYS) - 1)]
    return greys


def _seen_best_on(scheme: Scheme, region: str, shown: Mapping[Modality, Scan]) -> Modality | None:
    """The scan that shows a region best, else the first scan; None without a scan."""
    best = Modality(scheme.regions[region].seen_on)
    return best if best in shown else next(iter(shown), None)


def outlines_in(panel: Panel, masks: Masks, scheme: Scheme) -> list[tuple[np.ndarray, float, str, Dash]]:
    """Mask, width, colour and dash of every outline in a panel, the one below first."""
    if panel.region:
        both = zip(masks[panel.region], OUTLINES, strict=True)
        return [(mask, WIDTH, colour, dash) for mask, (_, colour, dash) in both]
    if not panel.mask:
        return []
    index = [name for name, *_ in OUTLINES].index(panel.mask)
    widths = np.linspace(WIDE, NARROW, len(masks))
    return [
        (pair[index], float(width), *region_look(scheme, region))
        for (region, pair), width in zip(masks.items(), widths, strict=True)
    ]


def region_look(scheme: Scheme, region: str) -> tuple[str, Dash]:
    """Colour and dash of a region on the dark ground of a scan."""
    return readable(scheme.regions[region].colour, SCREEN.ground, LINE), DASHES[scheme.regions[region].outline]


def _headings(cell: Cell, masks: Masks, centre: Triple, scores: Mapping[tuple[str, str], float], look: Look) -> None:
    """Write what a panel shows above it, and say in it where a region is absent."""
    panel, axes = cell.panel, cell.axes
    axes.set_title(
        _heading(panel, scores), color=look.ink, fontsize=8.5 * look.scale, pad=4 * look.scale, linespacing=1.35
    )
    if not panel.region:
        return
    found = ""
    if not any(mask.any() for mask in masks[panel.region]):
        found = "absent from both"
    elif not any(plane.cut(mask, centre).any() for plane in PLANES for mask in masks[panel.region]):
        found = "not in these slices"
    axes.text(0.5, 0.04, found, color=LIGHT, fontsize=7.5 * look.scale, ha="center", transform=axes.transAxes)


def _heading(panel: Panel, scores: Mapping[tuple[str, str], float]) -> str:
    if panel.mask:
        return f"all regions\n{panel.mask}"
    if not panel.region:
        return in_words(panel.modality) if panel.modality is not None else ""
    name = f"{panel.region} on {in_words(panel.modality)}" if panel.modality is not None else panel.region
    dice = scores.get((panel.region, "dice"))
    found = [f"Dice {dice:.3f}"] if dice is not None else []
    for metric, unit in (("hd95", "mm"), ("hd95_slice_px", "px")):
        if (distance := scores.get((panel.region, metric))) is not None:
            found.append(f"HD95 {distance:.1f} {unit}")
    return f"{name}\n{', '.join(found)}" if found else name


def _captions(figure: Figure, title: str, note: str, look: Look) -> None:
    height = figure.get_size_inches()[1]
    figure.text(
        0.008,
        1 - 0.1 * look.scale / height,
        visible(title),
        color=look.ink,
        fontsize=10 * look.scale,
        weight="bold",
        va="top",
        parse_math=False,  # a $ in a name is no formula
    )
    figure.text(0.992, 0.12 * look.scale / height, note, color=look.muted, fontsize=7 * look.scale, ha="right")


def line_legend(
    figure: Figure, entries: Sequence[tuple[str, str, Dash]], bottom_inches: float, look: Look, *, columns: int
) -> None:
    """Write a legend of outlines at the left, this high above the bottom."""
    lines = [
        Line2D([], [], color=colour, linestyle=dash, linewidth=1.6 * look.scale, label=name)
        for name, colour, dash in entries
    ]
    legend = figure.legend(
        handles=lines,
        loc="lower left",
        bbox_to_anchor=(0.0, bottom_inches / figure.get_size_inches()[1]),
        ncols=columns,
        frameon=False,
        fontsize=8 * look.scale,
        handlelength=3,
        borderaxespad=0.2,
    )
    for text in legend.get_texts():
        text.set_color(look.ink)
