"""`show` draws a case and its masks from files, read as `evaluate` reads them."""

from pathlib import Path

import numpy as np
import pytest

from brats_unet import load, show
from brats_unet.errors import DataError, SettingsError
from brats_unet.nifti import read_integers, write_volume
from brats_unet.report import figures
from brats_unet.volume import Volume

CASE = "Phantom20_001"


@pytest.fixture
def drawn(monkeypatch):
    """What the figure was given: scans, reference, prediction and the scheme."""
    found = {}

    def draw(images, reference, prediction, scores, path, title, *, scheme, **spacing):
        found.update(images=set(images), reference=reference, prediction=prediction, title=title, scheme=scheme.name)
        Path(path).write_bytes(b"picture")

    monkeypatch.setattr(figures, "case_figure", draw)
    return found


def changed(source, path, change, affine=None):
    mask = read_integers(source)
    array = change(mask.array.copy()).astype(np.uint8)
    write_volume(path, Volume(array, mask.affine if affine is None else affine))
    return path


@pytest.fixture(scope="module")
def seg(phantom_root):
    return phantom_root / CASE / f"{CASE}_seg.nii.gz"


def test_a_folder_is_shown_with_the_mask_that_lies_in_it(phantom_root, drawn):
    assert show(phantom_root / CASE).png == b"picture"
    assert drawn["images"] == {"flair", "t1", "t1ce", "t2"} and drawn["title"] == CASE and drawn["scheme"] == "glioma"
    assert set(np.unique(drawn["reference"])) == {0, 1, 2, 4} and drawn["prediction"] is None


def test_scans_given_one_by_one_need_no_mask_and_no_known_kind(phantom_root, drawn):
    folder = phantom_root / CASE
    show({"flair": folder / f"{CASE}_flair.nii.gz", "ADC": folder / f"{CASE}_t1.nii.gz"})
    assert drawn["images"] == {"flair", "ADC"} and drawn["reference"] is None and drawn["prediction"] is None


def test_a_mask_of_another_label_convention_is_read_as_evaluate_reads_it(phantom_root, seg, tmp_path, drawn):
    """4 is the enhancing tumour of the reference, 3 that of the prediction."""
    mask = changed(seg, tmp_path / f"{CASE}.nii.gz", lambda labels: np.where(labels == 4, 3, labels))
    with pytest.raises(SettingsError, match=r"Set labels\.predictions=brats2023 or labels\.predictions=msd"):
        show(phantom_root / CASE, mask)
    show(phantom_root / CASE, mask, labels={"predictions": "brats2023"})
    np.testing.assert_array_equal(drawn["prediction"], drawn["reference"])


def test_a_mask_with_turned_axes_lies_where_the_reference_does(phantom_root, seg, tmp_path, drawn):
    volume = read_integers(seg)
    turned = volume.affine @ np.array([[-1, 0, 0, volume.array.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    show(phantom_root / CASE, changed(seg, tmp_path / "m.nii.gz", lambda labels: labels[::-1], turned))
    np.testing.assert_array_equal(drawn["prediction"], drawn["reference"])


def test_the_scheme_can_be_named(phantom_root, seg, drawn):
    show(phantom_root / CASE, scheme="lesion", labels="auto", reference=seg)
    assert drawn["scheme"] == "lesion"


def test_a_segmentation_is_shown_as_it_shows_itself(small_run, phantom_root, seg, drawn):
    result = load(small_run.folder)(phantom_root / CASE)
    show(result, reference=seg)
    assert drawn["title"] == CASE and drawn["reference"] is not None and drawn["prediction"] is not None
    with pytest.raises(SettingsError, match=r"Expected only reference= beside it\."):
        show(result, seg)


def test_what_cannot_be_shown_is_said(phantom_root, seg, tmp_path):
    with pytest.raises(SettingsError, match="scheme=gloma: there is no such scheme. Did you mean glioma"):
        show(phantom_root / CASE, scheme="gloma")
    with pytest.raises(SettingsError, match="labels: prediction is no side. Did you mean predictions"):
        show(phantom_root / CASE, labels={"prediction": "brats2023"})
    with pytest.raises(DataError, match=r"holds 4 cases\. Expected one"):
        show(phantom_root)
    with pytest.raises(SettingsError, match="'a/b' is no name of a scan"):
        show({"a/b": seg})
    small = changed(seg, tmp_path / "small.nii.gz", lambda labels: labels[:-1])
    with pytest.raises(DataError, match=rf"does not lie on the grid of {CASE}: "):
        show(phantom_root / CASE, small)
