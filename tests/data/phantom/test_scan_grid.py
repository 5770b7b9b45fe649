"""Grids of phantoms: where the head lies, thick slices, and sizes that are refused."""

import nibabel
import numpy as np
import pytest

from brats_unet import nifti
from brats_unet.data.phantom.phantom_case import phantom_case
from brats_unet.data.phantom.phantoms import write_dataset
from brats_unet.data.phantom.scan_grid import BRATS, MNI, ScanGrid, grid_of, parts
from brats_unet.errors import SettingsError
from brats_unet.modality import Modality
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import spacing_mm

THICK = ScanGrid((256, 256, 28), (0.9, 0.9, 5.0))


@pytest.fixture(scope="module")
def thick():
    """A phantom of glioma_post in thick slices, at half the resolution in every direction."""
    return phantom_case(1, 0, scheme=builtin("glioma_post"), grid=THICK, scale=0.5)


def ends_mm(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The lowest and the highest coordinates of a mask, in millimetres, shape (2, 3)."""
    found = nibabel.affines.apply_affine(affine, np.argwhere(mask))
    return np.stack([found.min(axis=0), found.max(axis=0)])


def test_thick_slices_have_their_shape_spacing_and_an_affine_around_the_middle(thick):
    assert thick.labels.shape == (128, 128, 14)
    np.testing.assert_allclose(spacing_mm(thick.affine), (1.8, 1.8, 10.0))
    middle = (np.array(thick.labels.shape) - 1) / 2
    np.testing.assert_allclose(nibabel.affines.apply_affine(thick.affine, middle), 0, atol=1e-9)


def test_the_affine_of_thick_slices_is_written(tmp_path):
    [name] = write_dataset(tmp_path, cases=1, seed=1, scheme=builtin("lesion"), grid=THICK, scale=0.5, workers=1)
    for part in ("flair", "seg"):
        found = nifti.read_volume(tmp_path / name / f"{name}_{part}.nii.gz").affine
        np.testing.assert_allclose(found, THICK.affine(0.5), atol=1e-5)
    assert nibabel.aff2axcodes(THICK.affine(1.0)) == ("L", "P", "S")


def test_the_same_head_lies_in_the_middle_of_every_other_grid_with_the_same_size(thick):
    scheme = builtin("glioma_post")
    usual = phantom_case(1, 0, scheme=scheme, scale=0.5)
    assert usual.labels.shape == (91, 109, 91)
    volumes, ends = [], []
    for case in (usual, thick):
        brain = case.images[Modality.T1] > 0
        volumes.append(brain.sum() * np.prod(spacing_mm(case.affine)) / 1e6)
        ends.append(ends_mm(brain, case.affine))
        np.testing.assert_allclose(ends[-1].mean(axis=0), 0, atol=6)
    assert volumes[0] == pytest.approx(volumes[1], rel=0.04)
    assert (np.abs(ends[0] - ends[1]) <= (3, 3, 8)).all()


def test_a_thick_slice_is_the_mean_over_its_thickness():
    assert [parts(length) for length in (0.9, 1, 2, 3, 5, 6)] == [1, 1, 1, 3, 5, 5]
    sampler = THICK.sampler(np.ones((72, 96, 80), np.float32), 1.0)
    height = sampler(np.broadcast_to(np.arange(72, dtype=np.float32)[:, None, None], (72, 96, 80)))
    assert height.shape[0] == 5 * sampler.mean(height).shape[0] == 5 * sampler.middle(height).shape[0]
    np.testing.assert_allclose(sampler.mean(height)[5:-5], sampler.middle(height)[5:-5], atol=1e-4)
    np.testing.assert_allclose(np.diff(sampler.middle(height)[5:-5, 0, 0]), 2.5, atol=1e-4)


def test_without_settings_the_grid_is_the_usual_one():
    assert grid_of(BRATS, None, None) == BRATS
    assert grid_of(MNI, None, None) == ScanGrid((182, 218, 182))


def test_without_a_size_the_voxels_span_the_usual_grid():
    assert grid_of(BRATS, None, [1, 1, 5]) == ScanGrid((240, 240, 31), (1.0, 1.0, 5.0))
    assert grid_of(MNI, [160, 190, 145], None) == ScanGrid((160, 190, 145))


def test_a_grid_without_room_for_a_head_is_refused_with_the_size_that_it_needs():
    with pytest.raises(
        SettingsError, match=r"data\.grid=\[128, 128, 128\] .* at this spacing, data\.grid=\[152, 186, 140\]"
    ):
        grid_of(BRATS, [128, 128, 128], None, section="data.")
    with pytest.raises(
        SettingsError, match=r"spans 230\.4×230\.4×100 mm\. A head needs .* grid=\[169, 207, 28\] or more"
    ):
        grid_of(BRATS, [256, 256, 20], [0.9, 0.9, 5])
    assert grid_of(BRATS, [169, 207, 28], [0.9, 0.9, 5]).shape == (169, 207, 28)


@pytest.mark.parametrize(
    ("shape", "spacing", "message"),
    [
        ([240, 240], None, r"grid=\[240, 240\]: expected three numbers, along x, y and z"),
        (None, [1, 1], r"spacing_mm=\[1, 1\]: expected three numbers"),
        (None, [1, 1, 11], r"spacing_mm=\[1\.0, 1\.0, 11\.0\]: expected lengths above 0 and up to 10 mm"),
        ([2000, 240, 155], None, r"grid=\[2000, 240, 155\] .* expected 1024 voxels or fewer along each axis"),
        (None, [0.1, 1, 1], r"grid=\[2400, 240, 155\] .* a larger spacing_mm"),
    ],
)
def test_sizes_that_no_scan_has_are_refused(shape, spacing, message):
    with pytest.raises(SettingsError, match=message):
        grid_of(BRATS, shape, spacing)
