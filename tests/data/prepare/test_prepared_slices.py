"""Preparing folders of TIFF slices: heads, absent sequences, unknown spacing."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from brats_unet.data.prepare.cache import estimated_bytes
from brats_unet.data.prepare.case_key import case_key
from brats_unet.data.prepare.content_hash import HashMemo, file_hash, voxel_hash
from brats_unet.data.prepare.grid import Grid
from brats_unet.data.prepare.preparation import Preparation, refuse_unknown_spacing
from brats_unet.data.prepare.preprocess import prepare
from brats_unet.data.readers.discovery import find_cases
from brats_unet.errors import DataError, SettingsError
from brats_unet.modality import Modality
from brats_unet.scan_files import read_mask, read_scan
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from tests.slices import patient, picture, slice_file, tumour

THREE = (Modality.FLAIR, Modality.T1, Modality.T1CE)
RECIPE = Preparation(THREE, None, "head")
GREY = conventions(builtin("lesion"))["grey"]
MM = Preparation(THREE, (1.0, 1.0, 5.0), "head")


def the_case(root, spacing_mm=None):
    return find_cases(root, modalities=THREE, spacing_mm=spacing_mm).cases[0]


def test_scans_are_cropped_to_the_head_and_normalised_inside_it(tmp_path):
    prepared = prepare(the_case(patient(tmp_path)), RECIPE, GREY)
    assert prepared.image.shape == (6, 6, 3, 3) and prepared.brain.all()
    assert prepared.grid.box.start == (1, 1, 0)
    inside = prepared.image.astype(np.float64).reshape(-1, 3)
    assert np.allclose(inside.mean(axis=0), 0, atol=1e-3) and np.allclose(inside.std(axis=0), 1, atol=1e-3)
    head = np.stack([picture(number)[1:7, 1:7, 1].T for number in (1, 2, 3)], axis=-1).astype(np.float64)
    assert np.allclose(prepared.image[..., 0], (head - head.mean()) / head.std(), atol=2e-3)
    assert np.array_equal(prepared.labels[:, :, 1], tumour(2)[1:7, 1:7].T == 255) and prepared.labels.sum() == 6


def test_nothing_is_said_of_skull_and_air(tmp_path):
    case = the_case(patient(tmp_path))
    assert prepare(case, RECIPE, GREY).warnings == ()
    assert "not background" in prepare(case, replace(RECIPE, crop="brain"), GREY).warnings[0]


def test_an_absent_sequence_is_a_channel_of_zeros_and_the_others_stay(tmp_path):
    complete = prepare(the_case(patient(tmp_path / "complete")), RECIPE, GREY)
    case = the_case(patient(tmp_path / "without", copied=(2,)))
    assert case.absent == (Modality.T1CE,)
    prepared = prepare(case, RECIPE, GREY)
    assert not prepared.image[..., 2].any()
    assert np.array_equal(prepared.image[..., :2], complete.image[..., :2])


def test_the_labels_on_the_case_grid_are_the_mask(tmp_path):
    case = the_case(patient(tmp_path))
    prepared = prepare(case, RECIPE, GREY)
    assert np.array_equal(prepared.grid.to_case(prepared.labels), read_mask(case.mask).array == 255)


def test_an_unknown_spacing_is_kept_in_the_grid(tmp_path):
    unknown = prepare(the_case(patient(tmp_path)), RECIPE, None).grid
    known = prepare(the_case(tmp_path, [1, 1, 5]), RECIPE, None).grid
    assert (unknown.spacing_known, unknown.case_spacing_mm) == (False, (1, 1, 1))
    assert (known.spacing_known, known.case_spacing_mm) == (True, (1, 1, 5))
    assert [Grid.from_dict(grid.as_dict()) == grid for grid in (known, unknown)] == [True, True]
    assert "spacing_known" not in known.as_dict()


def test_without_a_spacing_nothing_is_resampled(tmp_path):
    case = the_case(patient(tmp_path))
    with pytest.raises(
        DataError, match=r"its slices is unknown, so they cannot be resampled. Set data.spacing_mm to it"
    ):
        prepare(case, MM, None)
    in_mm = the_case(tmp_path, [1, 1, 5])
    assert prepare(in_mm, MM, None).grid.ratio == prepare(in_mm, RECIPE, None).grid.ratio == (1, 1, 1)
    assert prepare(in_mm, replace(MM, spacing_mm=(2.0, 2.0, 5.0)), None).image.shape[:3] == (3, 3, 3)


def test_a_recipe_without_a_spacing_survives_json():
    assert Preparation.from_dict(RECIPE.as_dict()) == RECIPE
    assert (
        Preparation.of(["t1", "flair", "t1ce"], {"spacing_mm": None, "crop": "head", "normalise": "zscore"}) == RECIPE
    )


def test_the_key_of_a_case_knows_spacing_absence_and_content(tmp_path):
    folder = patient(tmp_path / "a")
    patient(tmp_path / "b", folder.name, copied=(2,))

    def key(root, spacing_mm=None):
        return case_key(the_case(root, spacing_mm), RECIPE, GREY, HashMemo(tmp_path / "hashes.json"))

    before = {key(tmp_path / "a"), key(tmp_path / "b"), key(tmp_path / "a", [1, 1, 5]), key(tmp_path / "a", [1, 1, 4])}
    assert len(before) == 4
    Image.fromarray(tumour(1)).save(slice_file(folder, 2, mask=True))
    assert key(tmp_path / "a") not in before


def test_the_hash_of_slices_is_that_of_their_names_and_contents(tmp_path):
    one, other = patient(tmp_path / "a", "p"), patient(tmp_path / "b", "p")
    assert file_hash(one) == file_hash(other)
    assert HashMemo(tmp_path / "hashes.json").voxels(one, 1) == voxel_hash(
        read_scan(the_case(one).images["flair"]).array
    )
    slice_file(other, 1).rename(other / "p_4.tif")
    assert file_hash(one) != file_hash(other)


def test_the_estimated_size_counts_the_voxels_of_the_slices(tmp_path):
    case = the_case(patient(tmp_path))
    whole = estimated_bytes(case, replace(RECIPE, crop="none")) - 200_000
    assert whole == 8 * 8 * 3 * (2 * 3 + 2)
    assert estimated_bytes(case, RECIPE) < 200_000 + whole
    assert estimated_bytes(the_case(tmp_path, [1, 1, 10]), replace(MM, crop="none")) - 200_000 == 2 * whole


def test_a_grid_in_mm_is_refused_at_once_if_the_spacing_is_unknown(tmp_path):
    patient(tmp_path)
    unknown, known = (find_cases(tmp_path, modalities=THREE, spacing_mm=given) for given in (None, [1, 1, 5]))
    with pytest.raises(
        SettingsError, match=r"data.preparation.spacing_mm=\[1.0, 1.0, 5.0\], but the spacing of the slices"
    ):
        refuse_unknown_spacing(unknown, MM)
    refuse_unknown_spacing(known, MM)
    refuse_unknown_spacing(unknown, RECIPE)
