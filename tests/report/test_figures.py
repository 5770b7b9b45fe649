"""Figures: size, planes, slices and windows. How they look is checked by eye."""

import numpy as np
import pytest
from matplotlib.image import imread

from brats_unet.anatomy import Modality
from brats_unet.geometry import Box
from brats_unet.report.figures import case_figure, training_curves
from brats_unet.report.planes import LEAST_WINDOW_MM, PLANES, around, slices_through, windowed

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
    case_figure({m: head() for m in modalities}, labels(), prediction, scores, path, "case")
    picture = imread(path)
    assert picture.shape[1] == 1600
    assert picture[..., :3].std() > 0.01
    assert list(tmp_path.iterdir()) == [path]


def test_empty_masks_and_a_constant_scan_are_drawn(tmp_path):
    nothing = np.zeros((40, 48, 32), np.uint8)
    case_figure({Modality.FLAIR: nothing}, nothing, nothing, {}, tmp_path / "a.png", "a", spacing_mm=(1.0, 2.0, 3.0))
    assert (tmp_path / "a.png").stat().st_size > 0


def test_a_case_without_any_mask_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nothing to outline: expected a reference, a prediction or both"):
        case_figure({}, None, None, {}, tmp_path / "a.png", "a")


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
        journal.append({"event": "step", "step": step, "loss": 1 / step})
        if step % 100 == 0:
            dice = {"WT": step / 400, "TC": step / 500, "ET": step / 600}
            journal.append({"event": "validation", "step": step, "dice": dice, "cases": 2})
            loss = None if step == 200 else 0.2  # as in the journal of a measurement that was not finite
            journal.append({"event": "patches", "step": step, "loss": loss, "dice": dice | {"ET": None}})
    training_curves(journal, tmp_path / "training.png")
    assert imread(tmp_path / "training.png").shape[1] == 1440
