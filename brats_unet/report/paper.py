"""How a figure is made for the screen or for print: ground, text colours, width, and the format of the file."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from brats_unet.files import atomic_path

MM_PER_INCH = 25.4
PNG_LEVEL = 2  # takes half the time of the default 6, for 10 % more bytes
# Text stays text, in fonts of the file (PDF) or of the reader (SVG); no random ids, so that the bytes repeat.
AS_TEXT: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "brats-unet"}
NO_DATE = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


@dataclass(frozen=True)
class Look:
    """How a figure is made.

    Attributes:
        ground: Colour of the ground, "#rrggbb". The panels of scans are black on any ground.
        ink: Colour of titles and headings.
        muted: Colour of notes.
        width_inches: Width of the figure.
        scale: Size of text and lines, as a share of that on the screen.
        dpi: Pixels of an inch, also of scans within PDF and SVG.
        widest_band: Panels of a case side by side.
    """

    ground: str
    ink: str
    muted: str
    width_inches: float
    scale: float
    dpi: int
    widest_band: int


SCREEN = Look("#101014", "#f0f0f0", "#a0a0a8", 10.0, 1.0, 160, 6)
# Widths of a journal's columns, in mm (Nature, "Guide to preparing final artwork": 89 and 183; between them 120), and
# panels of at least 30 mm side by side. At this scale text has 5 to 7 points, as asked there.
COLUMNS = {"single": (89.0, 3), "middle": (120.0, 4), "double": (183.0, 6)}
PRINT_SCALE, PRINT_DPI = 0.7, 300


def print_look(column: str) -> Look:
    """The look of a figure on white, as wide as a column of `COLUMNS`."""
    width_mm, panels = COLUMNS[column]
    return Look("#ffffff", "#1c1e21", "#5c6168", width_mm / MM_PER_INCH, PRINT_SCALE, PRINT_DPI, panels)


def new_figure(look: Look, height_inches: float) -> Figure:
    """An empty figure."""
    figure = Figure(figsize=(look.width_inches, height_inches), dpi=look.dpi, facecolor=look.ground)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its suffix: .png, .pdf or .svg; the file appears only when it is complete.

    The same figure gives the same bytes.
    """
    kind = path.suffix[1:]
    options = {"pil_kwargs": {"compress_level": PNG_LEVEL}} if kind == "png" else {"metadata": NO_DATE[kind]}
    # In memory first: on a full disk Matplotlib's PDF raises AttributeError while it handles the OSError.
    with io.BytesIO() as drawn, rc_context(AS_TEXT):
        figure.savefig(drawn, format=kind, facecolor=figure.get_facecolor(), **options)
        with atomic_path(path) as temporary:
            temporary.write_bytes(drawn.getvalue())
