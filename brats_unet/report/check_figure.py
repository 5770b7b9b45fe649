"""Picture of a case that `check` finds something about: three planes through each scan, the outline of the mask."""

import textwrap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from brats_unet.errors import DataError
from brats_unet.geometry import Box
from brats_unet.modality import in_words
from brats_unet.report.curves import ORANGE
from brats_unet.report.panels import letters, outline, show
from brats_unet.report.paper import SCREEN, save_figure
from brats_unet.report.planes import PLANES, Plane, Spacing, box_of, drawn_spacing, slices_through, windowed
from brats_unet.safe_text import visible
from brats_unet.scan_files import read_mask, read_scan
from brats_unet.volume import Case, ImageFile, Volume, turn_to_lps

PANEL_INCHES, LINE_INCHES = 2.4, 0.16
CHARACTERS, FEWEST_COLUMNS = 40, 2  # of a line of text above one panel; panels that the text is at least as wide as
SOLID = (0, (1.0, 0.0))


@dataclass(frozen=True)
class CheckPicture:
    """A picture to draw.

    Attributes:
        case: The case, complete or not, with at least one scan.
        sentences: What was found about it.
        path: PNG file to write.
    """

    case: Case
    sentences: Sequence[str]
    path: Path


@dataclass(frozen=True, eq=False)
class _Column:
    """A scan as its header declares its axes, and the voxels of the mask, both with L-P-S axes."""

    image: np.ndarray
    labelled: np.ndarray
    spacing_mm: Spacing

    @property
    def whole(self) -> Box:
        return Box((0, 0, 0), self.image.shape)

    def height(self, plane: Plane) -> float:
        """Height of a plane as a share of its width."""
        wide, high = plane.extent_mm(self.whole, self.spacing_mm)
        return high / wide


def draw_check_picture(picture: CheckPicture) -> None:
    """Draw one picture; a scan that cannot be read has its message in place of the panels.

    Each scan is drawn on its own grid. The slices go through the mask, or through the middle of the scan if there is no
    mask on its grid.
    """
    case = picture.case
    mask = None
    with suppress(DataError):  # the sentences say so
        mask = read_mask(case.mask, case.spacing_mm) if case.mask is not None else None
    columns = {in_words(modality): _column(file, mask) for modality, file in case.images.items()}
    drawn = [column for column in columns.values() if isinstance(column, _Column)]
    rows = [PANEL_INCHES * max([column.height(plane) for column in drawn], default=1.0) for plane in PLANES]
    across = max(FEWEST_COLUMNS, len(columns))
    lines = [line for text in picture.sentences for line in textwrap.wrap(visible(text), CHARACTERS * across)]
    head = LINE_INCHES * (len(lines) + 3)
    height = head + sum(rows)
    figure = Figure(figsize=(PANEL_INCHES * across, height), dpi=SCREEN.dpi, facecolor=SCREEN.ground)
    FigureCanvasAgg(figure)
    edges = {"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 1 - head / height}
    grid = figure.add_gridspec(len(PLANES), across, height_ratios=rows, wspace=0.03, hspace=0.03, **edges)
    for place, (name, column) in enumerate(columns.items()):
        axes = [figure.add_subplot(grid[row, place]) for row in range(len(PLANES))]
        axes[0].set_title(name, color=SCREEN.ink, fontsize=8.5, pad=4)
        if isinstance(column, _Column):
            _draw(axes, column)
        else:
            _say(axes, column)
    _write(figure, visible(case.id), 0.08, size=10, weight="bold")
    _write(figure, "\n".join(lines), 0.3, size=7.5, weight="normal")
    save_figure(figure, picture.path)


def _column(file: ImageFile, mask: Volume | None) -> _Column | str:
    """A scan to draw, or why it cannot be drawn."""
    try:
        scan = read_scan(file)
        turn = turn_to_lps(scan.affine)
    except (DataError, ValueError) as problem:
        return str(problem)
    image = np.nan_to_num(turn.apply(scan.array), posinf=0, neginf=0)
    labelled = np.zeros(image.shape, bool)
    if mask is not None and mask.array.shape == scan.array.shape:
        labelled = turn.apply(mask.array) != 0
    x, y, z = (scan.spacing_mm[axis] for axis in turn.axes)
    return _Column(image, labelled, drawn_spacing(image.shape, (x, y, z), known=scan.spacing_known))


def _write(figure: Figure, text: str, down_inches: float, *, size: float, weight: str) -> None:
    """Write text at the left, this far below the top."""
    y = 1 - down_inches / figure.get_size_inches()[1]
    figure.text(0.01, y, text, color=SCREEN.ink, fontsize=size, weight=weight, va="top", parse_math=False)


def _say(axes: Sequence[Axes], text: str) -> None:
    """Write a message in place of three panels."""
    for one in axes:
        one.set_axis_off()
    wrapped = textwrap.fill(visible(text), CHARACTERS)
    axes[0].text(0.5, 0.5, wrapped, color=SCREEN.muted, fontsize=7, ha="center", va="center", parse_math=False)


def _draw(axes: Sequence[Axes], column: _Column) -> None:
    """Draw three planes through a scan, and the outline of the mask."""
    shown = windowed(column.image)
    centre = slices_through([column.labelled], box_of(column.image != shown.background))
    for one, plane in zip(axes, PLANES, strict=True):
        show(one, plane, shown.greys(plane, centre), column.whole, column.spacing_mm)
        outline(one, plane, column.labelled, centre, column.spacing_mm, width=1.0, colour=ORANGE, dash=SOLID)
        letters(one, plane, SCREEN)
