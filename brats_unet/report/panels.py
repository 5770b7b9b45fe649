"""Panels of a case's figure: how they are arranged, and what is drawn into one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brats_unet.geometry import Box
from brats_unet.modality import Modality
from brats_unet.report.looks import Dash
from brats_unet.report.paper import Look, new_figure
from brats_unet.report.planes import PLANES, Plane, Spacing, Triple

LIGHT, MUTED = "#f0f0f0", "#a0a0a8"  # on the black panels
HEAD_INCHES = 0.68
GAP_INCHES = 0.66  # between bands of panels, for scale bars and headings
ONE_BAND = 4  # regions above which panels that show all of them are added


@dataclass(frozen=True)
class Panel:
    """What the panels of one column (or row) show, in three planes.

    Attributes:
        modality: Scan; None for the labels of the reference.
        region: Region whose outlines are drawn; "" for a whole scan, or for all regions.
        mask: "reference" or "prediction" if the outlines of all its regions are drawn, else "".
    """

    modality: Modality | None
    region: str = ""
    mask: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it shows a whole scan without outlines."""
        return not self.region and not self.mask


@dataclass(frozen=True)
class Cell:
    """A panel in one plane, where it is drawn.

    Attributes:
        panel: What it shows.
        plane: Plane that cuts it.
        axes: Axes to draw on.
        names_panel: Whether the heading of the panel stands above it.
        names_plane: Whether the name of the plane stands in it.
        has_letters: Whether anatomical directions stand at its edges.
    """

    panel: Panel
    plane: Plane
    axes: Axes
    names_panel: bool
    names_plane: bool
    has_letters: bool


def bands_of(
    wholes: Sequence[Panel], regions: Sequence[Panel], ground: Modality | None, widest: int
) -> list[list[Panel]]:
    """Panels in bands of panels side by side: the whole scans, then the regions.

    With more than four regions, two panels that show all of them are added, one for the reference and one for the
    prediction.

    Args:
        wholes: Panels of whole scans.
        regions: Panels of one region each.
        ground: Scan of the panels that show all regions; None for the labels of the reference.
        widest: Most panels in a band.
    """
    panels = [*wholes, *regions]
    both = [Panel(ground, mask="reference"), Panel(ground, mask="prediction")] if len(regions) > ONE_BAND else []
    count = len(panels) + len(both)
    length = -(-count // -(-count // widest))
    at = length if wholes else 0  # below the whole scans
    panels[at:at] = both
    return [panels[start : start + length] for start in range(0, len(panels), length)]


def sheet(
    bands: Sequence[Sequence[Panel]], whole: Box, close: Box, spacing_mm: Spacing, foot_inches: float, look: Look
) -> tuple[Figure, list[Cell]]:
    """A figure with an empty cell for every panel in every plane.

    A row is one plane, as high as it is; a column of whole scans is as wide as the widest plane, one of close-ups as
    the highest plane is high. One or two panels are turned: a row is one panel, a column one plane.

    Args:
        bands: Panels side by side; see `bands_of`.
        whole: Box that whole scans show.
        close: Box that close-ups show.
        spacing_mm: Voxel edge lengths along the three axes, in millimetres.
        foot_inches: Height of the legends.
        look: Width, ground and scale of the figure.
    """
    head, gap, foot_inches = (look.scale * inches for inches in (HEAD_INCHES, GAP_INCHES, foot_inches))
    turned = len(bands) == 1 and len(bands[0]) < len(PLANES)
    if turned:
        grids = [_turned(panel, whole if panel.is_whole else close, spacing_mm) for panel in bands[0]]
    else:
        grids = [_upright(band, bands, whole, spacing_mm) for band in bands]
    inches = [look.width_inches / sum(grid.widths_mm) * sum(grid.heights_mm) for grid in grids]
    total = head + sum(inches) + gap * (len(grids) - 1) + foot_inches
    figure = new_figure(look, total)
    cells = []
    some_whole = any(panel.is_whole for band in bands for panel in band)
    for index, grid in enumerate(grids):
        above = sum(inches[:index]) + gap * index
        below = sum(inches[index + 1 :]) + gap * (len(grids) - 1 - index)
        places = figure.add_gridspec(
            len(grid.heights_mm),
            len(grid.widths_mm),
            height_ratios=grid.heights_mm,
            width_ratios=grid.widths_mm,
            wspace=0.03,
            hspace=0.03,
            left=0.008,
            right=0.992,
            bottom=(foot_inches + below) / total,
            top=1 - (head + above) / total,
        )
        for r, row in enumerate(grid.rows):
            for c, (panel, plane) in enumerate(row):
                first = index == 0 if turned else c == 0
                cells.append(
                    Cell(
                        panel,
                        plane,
                        figure.add_subplot(places[r, c]),
                        names_panel=c == 0 if turned else r == 0,
                        names_plane=first,
                        has_letters=panel.is_whole or (first and not some_whole),
                    )
                )
    return figure, cells


@dataclass(frozen=True)
class _Grid:
    """Panels and planes by row and column, with the sizes of rows and columns."""

    rows: Sequence[Sequence[tuple[Panel, Plane]]]
    heights_mm: Sequence[float]
    widths_mm: Sequence[float]


def _turned(panel: Panel, box: Box, spacing_mm: Spacing) -> _Grid:
    """One panel as a row of planes."""
    sizes = [plane.extent_mm(box, spacing_mm) for plane in PLANES]
    return _Grid([[(panel, plane) for plane in PLANES]], [max(high for _, high in sizes)], [wide for wide, _ in sizes])


def _upright(band: Sequence[Panel], bands: Sequence[Sequence[Panel]], whole: Box, spacing_mm: Spacing) -> _Grid:
    """Panels side by side, with a row for each plane; columns are as wide in every band."""
    sizes = [plane.extent_mm(whole, spacing_mm) for plane in PLANES]
    widest, highest = (max(lengths) for lengths in zip(*sizes, strict=True))
    columns = [[each[index] for each in bands if index < len(each)] for index in range(len(bands[0]))]
    return _Grid(
        [[(panel, plane) for panel in band] for plane in PLANES],
        [high for _, high in sizes],
        [widest if any(panel.is_whole for panel in column) else highest for column in columns],
    )


def show(axes: Axes, plane: Plane, flat: np.ndarray, box: Box, spacing_mm: Spacing) -> None:
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
    left, right, low, high = plane.edges_mm(box, spacing_mm)
    axes.set_xlim(left, right)
    axes.set_ylim((high, low) if plane.down else (low, high))
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("black")
    axes.spines[:].set_color("#303036")


def outline(
    axes: Axes,
    plane: Plane,
    mask: np.ndarray,
    centre: Triple,
    spacing_mm: Spacing,
    *,
    width: float,
    colour: str,
    dash: Dash,
) -> None:
    """Draw the outline of a mask if this slice has any of it; `width` is in points."""
    flat = np.pad(plane.cut(mask, centre), 1).astype(float)
    if flat.any():
        x = (np.arange(flat.shape[1]) - 1) * spacing_mm[plane.horizontal]
        y = (np.arange(flat.shape[0]) - 1) * spacing_mm[plane.vertical]
        axes.contour(x, y, flat, levels=[0.5], colors=colour, linestyles=[dash], linewidths=width)


def frame(axes: Axes, plane: Plane, box: Box, spacing_mm: Spacing, look: Look) -> None:
    """Draw a frame where the close-ups lie."""
    left, right, low, high = plane.edges_mm(box, spacing_mm)
    axes.plot(
        [left, right, right, left, left],
        [low, low, high, high, low],
        color=LIGHT,
        linewidth=0.6 * look.scale,
        alpha=0.7,
    )


def letters(axes: Axes, plane: Plane, look: Look) -> None:
    """Write the anatomical directions at the edges, which are outside the head where a whole scan is shown."""
    left, right, top, bottom = plane.letters
    for letter, x, y in ((left, 0.04, 0.5), (right, 0.96, 0.5), (top, 0.5, 0.96), (bottom, 0.5, 0.04)):
        axes.text(
            x, y, letter, color=LIGHT, fontsize=7 * look.scale, ha="center", va="center", transform=axes.transAxes
        )


def scale_bar(axes: Axes, look: Look) -> None:
    """Draw a scale bar below a panel, at its right: 10 mm, or 50 mm where they take less than half of its width."""
    left, right = sorted(axes.get_xlim())
    length = 50 if 0.5 * (right - left) > 50 else 10
    inches = axes.get_window_extent().height / look.dpi
    below = -0.09 * look.scale / inches
    x = right - 0.02 * (right - left)
    transform = axes.get_xaxis_transform()
    axes.plot(
        [x - length, x], [below, below], color=look.ink, linewidth=1.6 * look.scale, solid_capstyle="butt",
        transform=transform, clip_on=False,
    )  # fmt: skip
    axes.text(
        x - length - 0.02 * (right - left), below, f"{length} mm", color=look.ink, fontsize=7 * look.scale, ha="right",
        va="center", transform=transform,
    )  # fmt: skip
