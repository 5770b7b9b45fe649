"""Figure of a case for a paper's supplement: three planes with the outlines of reference and prediction.

The outlines differ in dash and in colour; colour-blind readers can distinguish the colours (Okabe and Ito 2008).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from brats_unet.anatomy import Modality, Region, region_mask
from brats_unet.geometry import Box
from brats_unet.report.curves import ORANGE, SKY, save_figure, training_curves
from brats_unet.report.planes import PLANES, Plane, Scan, around, box_of, slices_through, windowed, with_margin
from brats_unet.safe_text import visible

__all__ = ["case_figure", "training_curves"]

Dash = tuple[float, tuple[float, ...]]
OUTLINES: tuple[tuple[str, str, Dash], ...] = (
    ("reference", ORANGE, (0, (1.0, 0.0))),
    ("prediction", SKY, (0, (2.2, 1.3))),
)
DARK, LIGHT, MUTED = "#101014", "#f0f0f0", "#a0a0a8"
NAMES = {Modality.FLAIR: "FLAIR", Modality.T1: "T1", Modality.T1CE: "T1ce", Modality.T2: "T2"}
# Grey level of each label, drawn if there is no scan.
TISSUE_GREYS = [0.0, 0.35, 0.2, 0.1, 0.6]
DPI = 160
WIDTH_INCHES, HEAD_INCHES, FOOT_INCHES = 10.0, 0.68, 0.34


def case_figure(
    images: Mapping[Modality, np.ndarray],
    reference: np.ndarray | None,
    prediction: np.ndarray | None,
    scores: Mapping[tuple[str, str], float],
    path: Path,
    title: str,
    *,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> None:
    """Draw three planes through the tumour: whole scans, and close-ups with the outlines of each region.

    WT is outlined on FLAIR, TC and ET on T1ce, where they are visible. If that scan is missing, the first given scan is
    used; without any scan, the labels of the reference are drawn in grey.

    Args:
        images: Scans by modality, shape (X, Y, Z), axes L-P-S; any number.
        reference: Integers of `anatomy.Label`, same shape, or None.
        prediction: Integers of `anatomy.Label`, same shape, or None.
        scores: Scores by (region, metric); "dice" and "hd95" are printed over the close-ups if given.
        path: PNG file to write.
        title: Title of the figure.
        spacing_mm: Voxel edge lengths along the three axes, in millimetres.

    Raises:
        ValueError: There is neither a reference nor a prediction.
    """
    labels = reference if reference is not None else prediction
    if labels is None:
        raise ValueError("There is nothing to outline: expected a reference, a prediction or both.")
    reference, prediction = (np.zeros_like(labels) if mask is None else mask for mask in (reference, prediction))
    shown = {modality: windowed(image) for modality, image in images.items()}
    tissues = Scan(np.array(TISSUE_GREYS, np.float32)[labels], black=0.0, white=1.0, background=0.0)
    ground = next(iter(shown.values()), tissues)
    masks = {r: (region_mask(reference, r), region_mask(prediction, r)) for r in Region}
    whole = with_margin(box_of(ground.image != ground.background), 3, labels.shape)
    centre = slices_through([pair[0] if pair[0].any() else pair[1] for pair in masks.values()], whole)
    close = around(box_of((reference > 0) | (prediction > 0)), centre, spacing_mm, labels.shape)
    if not shown:
        whole = close
    columns: list[tuple[Modality | None, Region | None]] = [(modality, None) for modality in shown]
    columns += [(_seen_best_on(region, shown), region) for region in Region]

    figure, panels = _grid_of_panels(whole, [region is None for _, region in columns], spacing_mm)
    for plane, row in zip(PLANES, panels, strict=True):
        for (modality, region), axes in zip(columns, row, strict=True):
            scan = tissues if modality is None else shown[modality]
            _show(axes, plane, scan.greys(plane, centre), whole if region is None else close, spacing_mm)
            if region is None:
                _frame(axes, plane, close, spacing_mm)
            else:
                _outline(axes, plane, masks[region], centre, spacing_mm)
        for axes in row[: max(1, len(shown))]:
            _letters(axes, plane)
        row[0].text(0.02, 0.03, plane.name, color=MUTED, fontsize=7, transform=row[0].transAxes)
    for (modality, region), axes in zip(columns, panels[0], strict=True):
        axes.set_title(_heading(modality, region, scores), color=LIGHT, fontsize=8.5, pad=4, linespacing=1.35)
        if region is not None and not any(mask.any() for mask in masks[region]):
            axes.text(0.5, 0.04, "absent from both", color=LIGHT, fontsize=7.5, ha="center", transform=axes.transAxes)
    _scale_bar(panels[0][len(shown)])
    _captions(figure, title, "frames mark the close-ups" if shown else "grey: labels of the reference")
    save_figure(figure, path)


def _seen_best_on(region: Region, shown: Mapping[Modality, Scan]) -> Modality | None:
    """FLAIR for WT (bright oedema), T1ce for TC and ET (bright rim), else the first scan; None without a scan."""
    best = Modality.FLAIR if region is Region.WT else Modality.T1CE
    return best if best in shown else next(iter(shown), None)


def _grid_of_panels(
    whole: Box, is_whole: Sequence[bool], spacing_mm: tuple[float, float, float]
) -> tuple[Figure, list[list[Axes]]]:
    """Figure and panels by row and column.

    A row is as high as its plane; a column of whole scans is as wide as the widest plane, one of close-ups as the
    highest plane is high.
    """
    sizes = [plane.extent_mm(whole, spacing_mm) for plane in PLANES]
    heights = [height for _, height in sizes]
    widths = [max(width for width, _ in sizes) if whole_scan else max(heights) for whole_scan in is_whole]
    inches_per_mm = WIDTH_INCHES / sum(widths)
    total = HEAD_INCHES + inches_per_mm * sum(heights) + FOOT_INCHES
    figure = Figure(figsize=(WIDTH_INCHES, total), dpi=DPI, facecolor=DARK)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        len(heights),
        len(widths),
        height_ratios=heights,
        width_ratios=widths,
        wspace=0.03,
        hspace=0.03,
        left=0.008,
        right=0.992,
        bottom=FOOT_INCHES / total,
        top=1 - HEAD_INCHES / total,
    )
    return figure, [[figure.add_subplot(grid[r, c]) for c in range(len(widths))] for r in range(len(heights))]


def _show(
    axes: Axes,
    plane: Plane,
    flat: np.ndarray,
    box: Box,
    spacing_mm: tuple[float, float, float],
) -> None:
    """Draw one slice in millimetres, limited to the box."""
    across, up = spacing_mm[plane.horizontal], spacing_mm[plane.vertical]
    right, top = (flat.shape[1] - 0.5) * across, (flat.shape[0] - 0.5) * up
    axes.imshow(
        flat,
        cmap="gray",
        vmin=0,
        vmax=1,
        origin="lower",
        interpolation="bilinear",
        extent=(-0.5 * across, right, -0.5 * up, top),
    )
    _limits(axes, plane, box, spacing_mm)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("black")
    axes.spines[:].set_color("#303036")


def _limits(axes: Axes, plane: Plane, box: Box, spacing_mm: tuple[float, float, float]) -> None:
    left, right, low, high = plane.edges_mm(box, spacing_mm)
    axes.set_xlim(left, right)
    axes.set_ylim((high, low) if plane.down else (low, high))
    axes.set_aspect("equal")


def _outline(
    axes: Axes,
    plane: Plane,
    masks: tuple[np.ndarray, np.ndarray],
    centre: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
) -> None:
    """Draw the outline of the reference (solid) and of the prediction (dashed) over it."""
    for mask, (_, colour, dash) in zip(masks, OUTLINES, strict=True):
        flat = np.pad(plane.cut(mask, centre), 1).astype(float)
        if flat.any():
            x = (np.arange(flat.shape[1]) - 1) * spacing_mm[plane.horizontal]
            y = (np.arange(flat.shape[0]) - 1) * spacing_mm[plane.vertical]
            axes.contour(x, y, flat, levels=[0.5], colors=colour, linestyles=[dash], linewidths=1.3)


def _frame(axes: Axes, plane: Plane, box: Box, spacing_mm: tuple[float, float, float]) -> None:
    """Draw a frame where the close-ups lie."""
    left, right, low, high = plane.edges_mm(box, spacing_mm)
    axes.plot([left, right, right, left, left], [low, low, high, high, low], color=LIGHT, linewidth=0.6, alpha=0.7)


def _letters(axes: Axes, plane: Plane) -> None:
    left, right, top, bottom = plane.letters
    for letter, x, y in ((left, 0.03, 0.5), (right, 0.97, 0.5), (top, 0.5, 0.96), (bottom, 0.5, 0.04)):
        axes.text(x, y, letter, color=MUTED, fontsize=7, ha="center", va="center", transform=axes.transAxes)


def _scale_bar(axes: Axes) -> None:
    """Draw a scale bar of 10 mm in the corner of a close-up."""
    left, right = sorted(axes.get_xlim())
    low, high = axes.get_ylim()
    x, y = left + 0.95 * (right - left), low + 0.06 * (high - low)
    axes.plot([x - 10, x], [y, y], color=LIGHT, linewidth=2, solid_capstyle="butt")
    axes.text(x - 5, y + 0.025 * (high - low), "10 mm", color=LIGHT, fontsize=7, ha="center", va="bottom")


def _heading(modality: Modality | None, region: Region | None, scores: Mapping[tuple[str, str], float]) -> str:
    if region is None:
        return NAMES[modality] if modality is not None else ""
    name = f"{region} on {NAMES[modality]}" if modality is not None else str(region)
    dice, distance = scores.get((region.value, "dice")), scores.get((region.value, "hd95"))
    found = [f"Dice {dice:.3f}"] if dice is not None else []
    found += [f"HD95 {distance:.1f} mm"] if distance is not None else []
    return f"{name}\n{', '.join(found)}" if found else name


def _captions(figure: Figure, title: str, hint: str) -> None:
    height = figure.get_size_inches()[1]
    figure.text(
        0.008,
        1 - 0.1 / height,
        visible(title),
        color=LIGHT,
        fontsize=10,
        weight="bold",
        va="top",
        parse_math=False,  # a $ in a name is no formula
    )
    lines = [Line2D([], [], color=colour, linestyle=dash, linewidth=1.6, label=name) for name, colour, dash in OUTLINES]
    legend = figure.legend(
        handles=lines, loc="lower left", ncols=2, frameon=False, fontsize=8, handlelength=3, borderaxespad=0.2
    )
    for text in legend.get_texts():
        text.set_color(LIGHT)
    note = f"patient's left is on the right; {hint}"
    figure.text(0.992, 0.12 / height, note, color=MUTED, fontsize=7, ha="right")
