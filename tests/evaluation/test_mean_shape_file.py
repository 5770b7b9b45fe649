"""Cache of the mean tumour shape."""

import os

import numpy as np
import pytest

from brats_unet.data.readers.discovery import find_cases
from brats_unet.errors import DataError
from brats_unet.evaluation import mean_shape_file
from brats_unet.evaluation.mean_shape_file import cached_mean_shape
from brats_unet.modality import Modality
from brats_unet.nifti import read_integers, write_volume
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Case, Volume

BRATS2017 = conventions(builtin())["brats2017"]


@pytest.fixture
def cases(phantom_root):
    return find_cases(phantom_root, modalities=list(Modality)).cases[:2]


@pytest.fixture
def read(monkeypatch):
    """Number of cases that each call has read."""
    calls = []
    real = mean_shape_file.mean_shape_of

    def counted(cases, *rest, **options):
        calls.append(len(cases))
        return real(cases, *rest, **options)

    monkeypatch.setattr(mean_shape_file, "mean_shape_of", counted)
    return calls


def same(one, other):
    return (
        np.array_equal(one.probabilities, other.probabilities)
        and one.probabilities.dtype == other.probabilities.dtype
        and (one.levels, one.training) == (other.levels, other.training)
    )


def test_the_cases_are_read_once_and_the_cached_shape_is_the_same(cases, read, tmp_path):
    file = tmp_path / "run" / "mean_shape.npz"
    first = cached_mean_shape(file, cases, BRATS2017)
    assert same(first, cached_mean_shape(file, cases, BRATS2017))
    assert read == [2]


def test_another_label_convention_makes_the_shape_anew(cases, read, tmp_path):
    msd = conventions(builtin())["msd"]
    cached_mean_shape(tmp_path / "m.npz", cases, BRATS2017)
    with pytest.raises(DataError):  # msd has no label 4
        cached_mean_shape(tmp_path / "m.npz", cases, msd)
    assert read == [2, 2]


@pytest.mark.parametrize("content", [b"", b"PK no zip", b"\x93NUMPY"])
def test_a_broken_file_is_made_anew(cases, read, tmp_path, content):
    file = tmp_path / "m.npz"
    file.write_bytes(content)
    first = cached_mean_shape(file, cases, BRATS2017)
    assert same(first, cached_mean_shape(file, cases, BRATS2017))
    assert read == [2]


def test_other_cases_and_changed_masks_are_read_again(cases, read, tmp_path):
    file = tmp_path / "m.npz"
    cached_mean_shape(file, cases, BRATS2017)
    cached_mean_shape(file, cases[:1], BRATS2017)
    mask = tmp_path / "mask.nii.gz"
    mask.write_bytes(cases[0].mask.read_bytes())
    changed = [Case(cases[0].id, cases[0].images, mask)]
    cached_mean_shape(file, changed, BRATS2017)
    os.utime(mask, ns=(1, 1))
    cached_mean_shape(file, changed, BRATS2017)
    assert read == [2, 1, 1, 1]


def test_a_missing_file_is_named(cases, tmp_path):
    gone = Case("a", cases[0].images, tmp_path / "gone.nii.gz")
    with pytest.raises(DataError, match=r"gone\.nii\.gz: No such file"):
        cached_mean_shape(tmp_path / "m.npz", [gone], BRATS2017)


def test_another_scheme_makes_the_shape_anew_although_the_integers_mean_the_same(cases, read, tmp_path):
    glioma, post = (conventions(builtin(name))["brats2024"] for name in ("glioma", "glioma_post"))
    relabelled = []
    for case in cases:
        volume = read_integers(case.mask)
        mask = tmp_path / f"{case.id}_seg.nii.gz"
        write_volume(mask, Volume(np.where(volume.array == 4, 3, volume.array).astype(np.uint8), volume.affine))
        relabelled.append(Case(case.id, case.images, mask))
    shapes = [cached_mean_shape(tmp_path / "m.npz", relabelled, convention) for convention in (glioma, post, post)]
    assert [shape.probabilities.shape[-1] for shape in shapes] == [3, 4, 4]
    assert read == [2, 2]
