"""Figures: size, planes, slices and windows. How they look is checked by eye."""

import re
import resource

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread

from brats_unet.errors import MachineError
from brats_unet.geometry import Box
from brats_unet.modality import Modality
from brats_unet.report import figures, panels
from brats_unet.report.drawing import scans_to_draw
from brats_unet.report.figures import case_figure, training_curves
from brats_unet.report.looks import LINE, readable
from brats_unet.report.panels import Panel, bands_of, sheet
from brats_unet.report.paper import COLUMNS, SCREEN, new_figure, print_look, save_figure
from brats_unet.report.planes import LEAST_WINDOW_MM, PLANES, around, drawn_spacing, slices_through, windowed, with_room
from brats_unet.schemes.scheme_file import builtin

GLIOMA = builtin()
MM = (1.0, 1.0, 1.0)
WHOLE = Box((0, 0, 0), (20, 30, 40))


def head(shape=(40, 48, 32)) -> np.ndarray:
    image = np.zeros(shape, np.int16)
    image[4:-4, 4:-4, 4:-4] = np.random.default_rng(0).integers(100, 400, [n - 8 for n in shape])
    return image


def labels(shape=(40, 48, 32)) -> np.ndarray:
    array = np.zeros(shape, np.uint8)
    array[8:20, 8:24, 8:18], array[10:16, 12:18, 10:14] = 2, 4
    return array


@pytest.mark.parametrize("modalities", [(Modality.FLAIR, Modality.T1CE), (Modality.T2,), ()])
@pytest.mark.parametrize("with_prediction", [True, False])
def test_a_case_is_drawn_with_any_scans_and_with_or_without_a_prediction(tmp_path, modalities, with_prediction):
    prediction = np.roll(labels(), 2, 0) if with_prediction else None
    path = tmp_path / "case.png"
    scores = {("WT", "dice"): 0.9, ("WT", "hd95"): 2.0}
    case_figure({m: head() for m in modalities}, labels(), prediction, scores, path, "case", scheme=GLIOMA)
    picture = imread(path)
    assert picture.shape[1] == 1600
    assert picture[..., :3].std() > 0.01
    assert list(tmp_path.iterdir()) == [path]


def test_empty_masks_and_a_constant_scan_are_drawn(tmp_path):
    nothing = np.zeros((40, 48, 32), np.uint8)
    scans = {Modality.FLAIR: nothing}
    path = tmp_path / "a.png"
    case_figure(scans, nothing, nothing, {}, path, "a", scheme=GLIOMA, spacing_mm=(1.0, 2.0, 3.0))
    assert (tmp_path / "a.png").stat().st_size > 0


def test_without_masks_only_whole_scans_are_drawn(tmp_path, monkeypatch):
    sheets, written = [], []
    laid_out = figures.sheet
    monkeypatch.setattr(figures, "sheet", lambda bands, *box: sheets.append(bands) or laid_out(bands, *box))
    monkeypatch.setattr(figures, "line_legend", lambda *args, **kwargs: written.append(args))
    scans = {Modality.FLAIR: np.random.default_rng(0).random((40, 48, 32), np.float32)}
    case_figure(scans, None, None, {}, tmp_path / "a.png", "a", scheme=GLIOMA)
    (band,) = sheets[0]
    assert [(panel.modality, panel.region, panel.mask) for panel in band] == [(Modality.FLAIR, "", "")]
    assert written == []  # no legend of outlines


def test_a_case_without_scans_and_masks_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nothing to draw: expected a scan, a reference or a prediction"):
        case_figure({}, None, None, {}, tmp_path / "a.png", "a", scheme=GLIOMA)


def quarters(scheme) -> np.ndarray:
    """Labels of a scheme, one slab behind the other along x."""
    array = np.zeros((40, 48, 32), np.uint8)
    values = [scheme.labels[name].value for name in scheme.classes]
    for index, value in enumerate(values):
        array[6 + 3 * index : 9 + 3 * index, 8:30, 8:22] = value
    return array


def near(picture, colour) -> int:
    """Number of pixels of about this colour."""
    rgb = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return int((abs(picture[..., :3] - rgb).max(axis=-1) < 0.12).sum())


def test_a_case_of_any_scheme_is_drawn_and_more_than_four_regions_in_their_colours_too(tmp_path, schemes):
    for name in ("lesion", "glioma_post", "five"):
        scheme = schemes[name]
        path = tmp_path / f"{name}.png"
        case_figure({Modality.FLAIR: head() // 8}, quarters(scheme), None, {}, path, name, scheme=scheme)
        picture = imread(path)
        assert picture.shape[1] == 1600
        if len(scheme.scored) > 4:
            for region in scheme.scored:
                assert near(picture, readable(scheme.regions[region].colour, SCREEN.ground, LINE)) > 50, region


def test_a_region_that_the_slices_miss_is_named_and_one_that_is_absent_too(schemes, monkeypatch, tmp_path):
    said = []
    monkeypatch.setattr(Axes, "text", lambda self, x, y, text, **style: said.append(text))
    array = np.zeros((40, 48, 32), np.uint8)
    array[5:20, 5:25, 5:20] = 1
    array[30, 40, 28] = 2
    case_figure({}, array, None, {}, tmp_path / "a.png", "a", scheme=schemes["eight"])
    assert (said.count("not in these slices"), said.count("absent from both")) == (1, 6)


@pytest.mark.parametrize(
    ("scans", "regions", "bands"),
    [
        (0, 1, [1]),
        (1, 1, [2]),
        (2, 3, [5]),
        (2, 4, [6]),
        (1, 5, [4, 4]),
        (2, 6, [5, 5]),
        (2, 8, [6, 6]),
        (0, 8, [5, 5]),
        (4, 8, [5, 5, 4]),
    ],
)
def test_panels_stand_in_bands_of_six_at_most(scans, regions, bands):
    wholes = [Panel(modality) for modality in list(Modality)[:scans]]
    names = [Panel(None, f"R{number}") for number in range(regions)]
    found = bands_of(wholes, names, None, 6)
    assert [len(band) for band in found] == bands
    flat = [panel for band in found for panel in band]
    assert [panel for panel in flat if panel.region] == names
    assert [panel for panel in flat if panel.is_whole] == wholes
    assert [panel.mask for panel in flat if panel.mask] == (["reference", "prediction"] if regions > 4 else [])


@pytest.mark.parametrize("column", [None, *COLUMNS])
@pytest.mark.parametrize(("scans", "regions"), [(0, 1), (1, 1), (2, 3), (2, 8)])
def test_every_panel_is_drawn_in_three_planes_with_one_heading(scans, regions, column):
    wholes, names = [Panel(m) for m in list(Modality)[:scans]], [Panel(None, f"R{n}") for n in range(regions)]
    look = SCREEN if column is None else print_look(column)
    bands = bands_of(wholes, names, None, look.widest_band)
    figure, cells = sheet(bands, WHOLE, WHOLE, MM, 0.3, look)
    every = [panel for band in bands for panel in band]
    assert len(figure.axes) == len(cells) == 3 * len(every)
    assert [cell.panel for cell in cells if cell.names_panel] == every
    boxes = [cell.axes.get_position() for cell in cells]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)
    overlaps = [
        (a, b)
        for a in boxes
        for b in boxes
        if a is not b and a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
    ]
    assert overlaps == []


def test_the_scans_of_a_figure_are_those_that_show_the_regions_best(schemes):
    flair, t1, t1ce, t2 = Modality
    assert scans_to_draw(list(Modality), schemes["glioma"]) == [flair, t1ce]
    assert scans_to_draw([t1, t2, t1ce], schemes["glioma"]) == [t1ce, t2]
    assert scans_to_draw(list(Modality), schemes["lesion"]) == [flair]
    assert scans_to_draw([t1, t1ce], schemes["lesion"]) == [t1ce]
    assert scans_to_draw([], schemes["lesion"]) == []


def test_planes_are_cut_in_radiological_convention():
    axial, coronal, sagittal = PLANES
    volume = np.zeros((20, 30, 40))
    volume[18, 3, 37] = 1  # left, front, top
    rows, columns = np.nonzero(axial.cut(volume, (0, 0, 37)))
    assert (columns[0], rows[0], axial.down, axial.letters) == (18, 3, True, ("R", "L", "A", "P"))
    rows, columns = np.nonzero(coronal.cut(volume, (0, 3, 0)))
    assert (columns[0], rows[0], coronal.down, coronal.letters) == (18, 37, False, ("R", "L", "S", "I"))
    rows, columns = np.nonzero(sagittal.cut(volume, (18, 0, 0)))
    assert (columns[0], rows[0], sagittal.down, sagittal.letters) == (3, 37, False, ("A", "P", "S", "I"))


def test_slices_go_through_every_region():
    whole, core = np.zeros((20, 30, 40), bool), np.zeros((20, 30, 40), bool)
    whole[2:10, 5:20, 10:30] = True
    core[7:9, 15:17, 25:27] = True
    assert slices_through([whole, core], WHOLE) == (7, 15, 25)


def test_slices_go_through_the_middle_of_the_head_where_there_is_no_tumour():
    assert slices_through([np.zeros((20, 30, 40), bool)], Box((2, 4, 6), (12, 14, 16))) == (7, 9, 11)


def test_a_close_up_contains_the_tumour_and_stays_in_the_volume():
    tumour = Box((0, 100, 90), (30, 190, 130))
    box = around(tumour, (15, 150, 100), MM, (240, 240, 155))
    assert box.shape == (114, 114, 114)
    assert all(a <= b for a, b in zip(box.start, tumour.start, strict=True))
    assert all(a >= b for a, b in zip(box.stop, tumour.stop, strict=True))
    assert all(start >= 0 for start in box.start)


def test_a_close_up_of_a_small_tumour_is_a_few_centimetres_wide():
    box = around(Box((100, 100, 70), (103, 103, 71)), (101, 101, 70), (1.0, 1.0, 2.0), (240, 240, 78))
    assert box.shape == (LEAST_WINDOW_MM, LEAST_WINDOW_MM, LEAST_WINDOW_MM / 2)


def test_air_is_black_at_any_background_intensity():
    image = head().astype(np.float32)
    image[image == 0] = -7.0
    greys = windowed(image).greys(PLANES[0], (0, 0, 16))
    assert greys[0, 0] == 0.0
    assert greys.max() == pytest.approx(1.0)
    assert greys[20, 20] > 0


@pytest.mark.parametrize("steps", [0, 1, 2, 300])
def test_curves_are_drawn_for_any_number_of_steps(tmp_path, steps):
    journal = [{"event": "start"}]
    for step in range(1, steps + 1):
        loss = None if step == 2 else 1 / step  # of an earlier version, where a loss was not finite
        journal.append({"event": "step", "step": step, "loss": loss})
        if step % 100 == 0:
            dice = {"WT": step / 400, "TC": step / 500, "ET": step / 600}
            journal.append({"event": "validation", "step": step, "dice": dice, "cases": 2})
            loss = None if step == 200 else 0.2  # as in the journal of a measurement that was not finite
            journal.append({"event": "patches", "step": step, "loss": loss, "dice": dice | {"ET": None}})
    training_curves(journal, tmp_path / "training.png", scheme=GLIOMA)
    assert imread(tmp_path / "training.png").shape[1] == 1440


def test_curves_without_a_score_of_the_scheme_need_no_legend(tmp_path):
    journal = [{"event": "step", "step": 1, "loss": 1.0}, {"event": "validation", "step": 1, "dice": {}, "cases": 1}]
    training_curves(journal, tmp_path / "training.png", scheme=GLIOMA)  # a warning would be an error
    assert imread(tmp_path / "training.png").shape[1] == 1440


def test_few_slices_of_unknown_distance_are_drawn_half_as_high_as_they_are_long():
    assert drawn_spacing((256, 200, 20), (1.0, 1.0, 1.0), known=False) == (1, 1, 6.4)
    assert drawn_spacing((256, 256, 155), (1.0, 1.0, 1.0), known=False) == (1, 1, 1)
    assert drawn_spacing((256, 200, 20), (1.0, 1.0, 1.0), known=True) == (1, 1, 1)


def test_curves_show_every_region_of_any_scheme(tmp_path, schemes):
    for name in ("lesion", "eight"):
        scheme = schemes[name]
        dice = {region: 0.1 * number for number, region in enumerate(scheme.scored)}
        journal = [{"event": "validation", "step": step, "dice": dice, "cases": 2} for step in (10, 20)]
        training_curves(journal, tmp_path / f"{name}.png", scheme=scheme)
        picture = imread(tmp_path / f"{name}.png")
        for region in scheme.scored:
            assert near(picture, readable(scheme.regions[region].colour, "#ffffff", LINE)) > 50, region


def test_scans_of_own_names_are_drawn_after_the_contrasts_of_brats():
    assert scans_to_draw([Modality("CT"), Modality("ADC")], builtin()) == ["ADC", "CT"]
    assert scans_to_draw([Modality("ADC"), Modality.T1CE, Modality.FLAIR], builtin()) == ["flair", "t1ce"]


def millimetres(file) -> float:
    """Width of a figure, as the file says."""
    text = file.read_bytes().decode("latin-1")
    pattern = r"/MediaBox \[ 0 0 ([\d.]+)" if file.suffix == ".pdf" else r'<svg [^>]*width="([\d.]+)pt"'
    return float(re.search(pattern, text)[1]) / 72 * 25.4


@pytest.mark.parametrize(("column", "width"), [("single", 89), ("middle", 120), ("double", 183)])
def test_figures_for_a_paper_are_as_wide_as_a_column_with_text_as_text_and_the_same_bytes_again(
    tmp_path, column, width
):
    journal = [{"event": "step", "step": step, "loss": 1 / step} for step in (1, 2, 3)]
    journal.append({"event": "validation", "step": 3, "dice": {"WT": 0.5}, "cases": 4})
    for kind in ("pdf", "svg"):
        case, curves = (tmp_path / f"{name}.{kind}" for name in ("case", "curves"))
        written = []
        for _ in range(2):
            case_figure(
                {Modality.FLAIR: head()}, labels(), labels(), {}, case, "Case 7", scheme=GLIOMA, look=print_look(column)
            )
            training_curves(journal, curves, scheme=GLIOMA, synthetic=True, look=print_look(column))
            written.append((case.read_bytes(), curves.read_bytes()))
        assert written[0] == written[1]
        assert (millimetres(case), millimetres(curves)) == pytest.approx((width, width), abs=0.1)
    text = (tmp_path / "case.svg").read_text()
    for words in ("Case 7", "WT on FLAIR", "10 mm", "reference", ">L<", ">R<"):
        assert words in text
    assert "mean Dice of 4 held-out synthetic cases" in (tmp_path / "curves.svg").read_text()
    pdf = (tmp_path / "case.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf  # TrueType, whose text can be searched and edited


def test_directions_stand_outside_the_head_and_scale_bars_below_the_panels(tmp_path, monkeypatch):
    drawn, bars = [], []
    monkeypatch.setattr(panels, "letters", lambda axes, plane, look: drawn.append(axes))
    monkeypatch.setattr(panels, "scale_bar", lambda axes, look: bars.append(axes))
    monkeypatch.setattr(figures, "letters", panels.letters)
    monkeypatch.setattr(figures, "scale_bar", panels.scale_bar)
    scans = {Modality.FLAIR: head((100, 120, 80)), Modality.T1CE: head((100, 120, 80))}
    case_figure(scans, labels((100, 120, 80)), None, {}, tmp_path / "a.png", "a", scheme=GLIOMA)
    assert len(drawn) == 6  # three planes of two whole scans; the close-ups are full of brain
    assert len(bars) == 2
    for axes, plane in zip(drawn[::2], PLANES, strict=True):
        low, high = sorted(axes.get_xlim())
        first, last = 4, (100, 120, 80)[plane.horizontal] - 5
        assert first - low > 0.05 * (high - low) < high - last


def test_room_for_letters_is_a_share_of_the_head_also_beyond_the_volume():
    assert with_room(Box((0, 0, 0), (100, 200, 50)), (1.0, 1.0, 2.0)) == Box((-14, -14, -7), (114, 214, 57))


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_a_disk_that_is_full_while_a_figure_is_written_is_named(tmp_path, suffix):
    figure = new_figure(SCREEN, 1)
    figure.text(0, 0, "text")  # a font in the PDF
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        with pytest.raises(MachineError, match=rf"a{suffix}: cannot be written \(File too large"):
            save_figure(figure, tmp_path / f"a{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
