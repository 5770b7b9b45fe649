"""Cases of a folder compared with one another, from small brains on disk."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brats_unet import nifti
from brats_unet.data.cohort_check import compare_cases
from brats_unet.data.inspection import Inspection, inspect
from brats_unet.data.readers.findings import Kind
from brats_unet.volume import Case, ImageFile, Volume
from tests.brains import SHAPE, TUMOUR, scans

LPS = np.diag([-4.0, -4.0, 4.0, 1.0])


def written(number: int, folder: Path, name: str, change: Callable[[Volume], Volume] = lambda volume: volume) -> Case:
    """A case on disk whose scans went through `change`."""
    images = {}
    for modality, array in scans(number).items():
        images[modality] = ImageFile(folder / f"{name}_{modality}.nii")
        nifti.write_volume(images[modality].path, change(Volume(array, LPS)))
    mask = np.zeros(SHAPE, np.uint8)
    mask[TUMOUR] = 1
    nifti.write_volume(folder / f"{name}_seg.nii", change(Volume(mask, LPS)))
    return Case(name, images, folder / f"{name}_seg.nii")


@pytest.fixture(scope="module")
def inspections(tmp_path_factory: pytest.TempPathFactory) -> list[Inspection]:
    folder = tmp_path_factory.mktemp("cohort")
    return [inspect(written(number, folder, f"c{number}")) for number in range(7)]


def test_cases_without_defects_have_no_findings_alone_nor_together(inspections: list[Inspection]) -> None:
    assert [finding for one in inspections for finding in one.findings] == []
    assert compare_cases(inspections) == []


def test_an_exact_copy_is_said_once_and_a_noisy_one_as_nearly_the_same(
    inspections: list[Inspection], tmp_path: Path
) -> None:
    (exact,) = compare_cases([*inspections, inspect(written(2, tmp_path, "x"))])
    assert "has the same flair, t1, t1ce, t2 as x" in exact.found

    def noisy(volume: Volume) -> Volume:
        if volume.array.dtype.kind != "f":
            return volume
        noise = np.random.default_rng(0).normal(0, 3, SHAPE)
        return replace(volume, array=np.where(volume.array != 0, volume.array + noise, 0).astype(np.float32))

    (nearly,) = compare_cases([*inspections, inspect(written(2, tmp_path, "x", noisy))])
    assert (nearly.kind, nearly.case) == (Kind.DUPLICATE, "c2")
    assert "is nearly that of x" in nearly.found


def test_a_header_that_lies_is_said_once_though_the_case_and_the_others_show_it(
    inspections: list[Inspection], tmp_path: Path
) -> None:
    lying = inspect(written(0, tmp_path, "x", lambda volume: replace(volume, affine=LPS[[1, 0, 2, 3]])))
    found = [*lying.findings, *compare_cases([*inspections[1:], lying])]
    assert [(f.case, f.kind) for f in found] == [("x", Kind.ORIENTATION)]
