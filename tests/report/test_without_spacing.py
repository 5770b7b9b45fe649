"""Scores, tables, figures and the page of masks whose spacing is unknown: nothing is in millimetres."""

import re

import numpy as np
import pytest

from brats_unet.data.readers.discovery import find_cases
from brats_unet.evaluation.mask_paths import pairs_of
from brats_unet.evaluation.record import open_evaluation, require_whole
from brats_unet.evaluation.score import Pair
from brats_unet.modality import Modality
from brats_unet.report import figures
from brats_unet.report.page import write_page
from brats_unet.report.scores import report_scores
from brats_unet.scan_files import read_mask, write_like
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from tests.slices import patient

GREY = conventions(builtin("lesion"))["grey"]


@pytest.fixture
def evaluated(tmp_path, capsys, monkeypatch):
    """Function of a spacing: (evaluation of one patient, what was printed, number of scale bars drawn)."""
    bars = []
    monkeypatch.setattr(figures, "scale_bar", lambda axes, look: bars.append(axes))

    def evaluate(spacing_mm):
        folder = patient(tmp_path / "data")
        (case,) = find_cases(folder, modalities=[Modality.FLAIR], spacing_mm=spacing_mm).cases
        predicted = np.roll(read_mask(folder).array, 1, axis=0).astype(np.uint8)
        write_like(tmp_path / "mask.nii.gz", predicted, case.images[Modality.FLAIR])
        pair = Pair(case.id, case.mask, tmp_path / "mask.nii.gz", case.images, GREY, GREY)
        report_scores([pair], tmp_path / "out", workers=1, seed_scores=False)
        return open_evaluation(tmp_path / "out"), capsys.readouterr().out, len(bars)

    return evaluate


def test_tables_and_page_say_why_nothing_is_in_mm(evaluated, tmp_path):
    evaluation, printed, bars = evaluated(None)
    require_whole(evaluation)
    scores = {row.metric: row.value for row in evaluation.rows}
    assert (scores["hd95_slice_px"], scores["voxels_reference"], bars) == (1, 6, 0)
    assert scores["dice"] == pytest.approx(2 / 3)
    assert "The size of a voxel is unknown" in printed and "HD95 in slices, px" in printed
    assert not re.search(r"HD95, mm|, mL", printed)
    write_page(evaluation, [], tmp_path / "page.html", viewer=1, pictures=1)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "The size of a voxel is unknown" in page and "HD95 within axial slices in pixels" in page
    assert "HD95, mm" not in page and "volume, mL" not in page


def test_with_a_spacing_everything_is_in_mm_also_when_the_masks_are_read_again(evaluated):
    evaluation, printed, bars = evaluated([2, 1, 5])
    scores = {row.metric: row.value for row in evaluation.rows}
    assert (scores["hd95"], scores["volume_reference"], bars) == (2, 60, 2)
    assert "hd95_slice_px" not in scores and "unknown" not in printed
    (again,) = pairs_of(evaluation).values()
    assert again.images[Modality.FLAIR].spacing_mm == (2, 1, 5)
