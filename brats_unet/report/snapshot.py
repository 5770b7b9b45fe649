"""Small picture of one case during a training: three planes with the outlines of reference and prediction."""

from io import BytesIO

import numpy as np
from PIL import Image

from brats_unet.report.figures import line_legend, outlines_in, region_look
from brats_unet.report.panels import Panel, outline, sheet, show
from brats_unet.report.paper import SCREEN
from brats_unet.report.planes import Spacing, box_of, drawn_spacing, slices_through, windowed, with_margin
from brats_unet.schemes.scheme import Scheme

DPI = 80
MOST_BYTES = 100_000
COLOURS = (64, 16)  # of the PNG file: half the bytes, and fewer for a scan of noise
FOOT_INCHES = 0.3


def case_snapshot(
    image: np.ndarray,
    reference: np.ndarray,
    prediction: np.ndarray,
    title: str,
    *,
    scheme: Scheme,
    spacing_mm: Spacing = (1.0, 1.0, 1.0),
    spacing_known: bool = True,
) -> bytes:
    """Draw the reference in one row and the prediction in another, on the slices that show the reference best.

    Args:
        image: Scan to draw on, shape (X, Y, Z), axes L-P-S; the air around the head has the value of the first voxel.
        reference: Labels of the scheme as in memory, same shape.
        prediction: Labels of the scheme as in memory, same shape.
        title: Title of the picture.
        scheme: What the labels mean; its scored regions are outlined.
        spacing_mm: Voxel edge lengths along the three axes, in millimetres.
        spacing_known: If False, these lengths are no millimetres, and few slices are stretched.

    Returns:
        A PNG file of 800 pixels' width.
    """
    spacing = drawn_spacing(image.shape, spacing_mm, known=spacing_known)
    scan = windowed(image)
    masks = {r: (scheme.region_mask(reference, r), scheme.region_mask(prediction, r)) for r in scheme.scored}
    whole = with_margin(box_of(image != scan.background), 3, image.shape)
    centre = slices_through([one if one.any() else other for one, other in masks.values()], whole)
    panels = [Panel(None, mask=name) for name in ("reference", "prediction")]
    figure, cells = sheet([panels], whole, whole, spacing, FOOT_INCHES, SCREEN)
    for cell in cells:
        show(cell.axes, cell.plane, scan.greys(cell.plane, centre), whole, spacing)
        for mask, width, colour, dash in outlines_in(cell.panel, masks, scheme):
            outline(cell.axes, cell.plane, mask, centre, spacing, width=width, colour=colour, dash=dash)
        if cell.names_panel:
            cell.axes.text(
                0.03, 0.97, cell.panel.mask, color=SCREEN.ink, fontsize=9, va="top", transform=cell.axes.transAxes
            )
    height = figure.get_size_inches()[1]
    figure.text(0.008, 1 - 0.1 / height, title, color=SCREEN.ink, fontsize=11, weight="bold", va="top")
    figure.text(0.992, 0.1 / height, "patient's left is on the right", color=SCREEN.muted, fontsize=8, ha="right")
    line_legend(figure, [(region, *region_look(scheme, region)) for region in masks], 0.0, SCREEN, columns=len(masks))
    figure.set_dpi(DPI)
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, facecolor=figure.get_facecolor(), pil_kwargs={"compress_level": 0})
    with Image.open(drawn) as picture:
        coloured = picture.convert("RGB")
    for colours in COLOURS:
        png = BytesIO()
        few = coloured.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(png, "PNG", optimize=True)
        if png.tell() <= MOST_BYTES:
            break
    return png.getvalue()
