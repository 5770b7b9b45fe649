import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brats_unet.data.fingerprint import fingerprint, identity, refuse_other_dataset
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.data.readers.discovery import Dataset
from brats_unet.errors import SettingsError
from brats_unet.modality import Modality
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Case

PREPARATION = Preparation((Modality.FLAIR, Modality.T1), (2.0, 2.0, 2.0))


def dataset(*ids, root="/data/BraTS2020"):
    cases = tuple(Case(id=name, patient=name, images={}, mask=Path(f"/{name}.nii")) for name in ids)
    return Dataset(Path(root), "brats2018-2021", cases)


@pytest.fixture(scope="module")
def cases(tmp_path_factory, write_prepared):
    folder = tmp_path_factory.mktemp("cases")
    labels = np.zeros((8, 10, 6), np.uint8)
    labels[:2, :3, :4] = 2
    other = np.zeros((10, 10, 6), np.uint8)
    other[:1, :1, :2] = 4
    return [write_prepared(folder, "one", labels, seed=1), write_prepared(folder, "other", other, seed=2)]


def test_shapes_voxels_and_regions_equal_hand_counted_values(cases, tmp_path):
    found = fingerprint(cases, ["flair", "t1"], builtin(), tmp_path / "f.json")
    assert found["median_shape"] == [9.0, 10.0, 6.0] and found["largest_shape"] == [10, 10, 6]
    assert found["voxels"] == 8 * 10 * 6 + 10 * 10 * 6 and found["cases"] == 2
    assert found["case_spacing_mm"] == [1.0, 1.0, 1.0]
    assert found["regions"]["WT"] == {"present": 2, "median_mm3": 13.0}
    assert found["regions"]["ET"] == {"present": 1, "median_mm3": 2.0}


def test_a_region_that_no_case_has_has_no_median_volume(cases, tmp_path):
    found = fingerprint(cases[:1], ["flair", "t1"], builtin(), tmp_path / "f.json")
    assert found["regions"]["ET"] == {"present": 0, "median_mm3": None}


def test_intensities_are_listed_by_modality(cases, tmp_path):
    found = fingerprint(cases, ["flair", "t1"], builtin(), tmp_path / "f.json")["intensities"]
    assert list(found) == ["flair", "t1"]
    low, middle, high = (found["t1"][f"percentile_{p}"] for p in ("0.5", "50", "99.5"))
    assert low < middle < high and 0.5 < found["t1"]["standard_deviation"] < 1.5


def test_the_file_is_reused_for_the_same_cases_only(cases, tmp_path):
    file = tmp_path / "f.json"
    first = fingerprint(cases, ["flair", "t1"], builtin(), file)
    file.write_text(json.dumps({**first, "cases": 99}))
    assert fingerprint(cases, ["flair", "t1"], builtin(), file)["cases"] == 99
    assert fingerprint(cases[:1], ["flair", "t1"], builtin(), file)["cases"] == 1


def test_a_plan_fits_the_dataset_it_was_made_for_in_any_order_and_folder():
    made_for = identity(dataset("a", "b"), PREPARATION)
    refuse_other_dataset(made_for, dataset("b", "a", root="/elsewhere/copy"), PREPARATION)
    refuse_other_dataset(None, dataset("c"), PREPARATION)


def test_cases_without_a_mask_do_not_change_the_identity():
    with_one_more = dataset("a", "b")
    unmasked = replace(with_one_more, cases=(*with_one_more.cases, Case(id="c", patient="c", images={}, mask=None)))
    assert identity(unmasked, PREPARATION) == identity(with_one_more, PREPARATION)


@pytest.mark.parametrize(
    ("found", "preparation", "message"),
    [
        (
            dataset("a", "c", root="/data/Mine"),
            PREPARATION,
            r"The plan was made for BraTS2020 \(2 cases with masks\), but /data/Mine holds different cases \(2 with "
            r"masks\). Plan again with `brats-unet plan data.root=/data/Mine output=…`, or set planned_for=null",
        ),
        (
            dataset("a", "b"),
            replace(PREPARATION, spacing_mm=(1.0, 1.0, 1.0)),
            r"made for data.preparation.spacing_mm=\[2,2,2\] mm, but it is \[1,1,1\] mm now",
        ),
        (dataset("a", "b"), replace(PREPARATION, crop="none"), "made for data.preparation.crop=brain, but it is none"),
    ],
)
def test_a_plan_for_another_dataset_or_grid_is_refused(found, preparation, message):
    with pytest.raises(SettingsError, match=message):
        refuse_other_dataset(identity(dataset("a", "b"), PREPARATION), found, preparation)


def test_an_unknown_key_of_planned_for_is_refused():
    with pytest.raises(SettingsError, match=r"There is no setting planned_for.case. Known: dataset, cases"):
        refuse_other_dataset({"case": 3}, dataset("a"), PREPARATION)
