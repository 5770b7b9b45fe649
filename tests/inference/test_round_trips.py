"""Cropping, padding, flipping, turning and tiling are undone exactly; interpolation is undone approximately."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from brats_unet.data.prepare.grid import Grid
from brats_unet.data.prepare.oblique import resliced
from brats_unet.data.prepare.preprocess import Preparation, prepare
from brats_unet.data.readers.discovery import find_cases
from brats_unet.geometry import Box
from brats_unet.inference.network import Network
from brats_unet.inference.predictor import tiled
from brats_unet.inference.tta import flips, mirrored
from brats_unet.modality import Modality
from brats_unet.nifti import read_volume, write_volume
from brats_unet.volume import Case, ImageFile, Volume, turn_to_lps

LENGTHS = st.tuples(*[st.integers(1, 9)] * 3)


@settings(deadline=None, max_examples=60)
@given(shape=LENGTHS, stride=st.sampled_from([1, 2, 4]), mode=st.sampled_from(["whole", "tiles"]), data=st.data())
def test_an_identity_network_returns_the_volume(shape, stride, mode, data):
    overlap, batch = data.draw(st.floats(0, 0.9)), data.draw(st.integers(1, 5))
    axes = data.draw(st.sampled_from([(), (0,), (0, 2), (0, 1, 2)]))
    image = np.random.default_rng(0).random((*shape, 2), np.float32)

    inference = {"mode": mode, "tile": (4, 4, 4), "overlap": overlap, "tile_batch": batch}
    network = Network(lambda patches: patches, {"inference": inference}, (stride,) * 3)
    for found in mirrored(network.on_prepared_grid, image, axes):
        if mode == "whole":
            np.testing.assert_array_equal(found, image)
        else:
            np.testing.assert_allclose(found, image, rtol=2e-6)


@settings(deadline=None, max_examples=60)
@given(
    shape=LENGTHS, order=st.sampled_from(list(permutations(range(3)))), signs=st.tuples(*[st.sampled_from([-1, 1])] * 3)
)
def test_any_order_and_direction_of_axes_is_undone_exactly(shape, order, signs):
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for voxel, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, voxel] = sign
    turn = turn_to_lps(affine)
    turned = tuple(shape[axis] for axis in turn.axes)
    rows = tuple(tuple(float(v) for v in row) for row in affine)
    grid = Grid(shape, rows, turn, Box((0, 0, 0), turned), (1.0, 1.0, 1.0))
    array = np.arange(np.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(grid.to_case(grid.to_prepared(array)), array)


@settings(deadline=None)
@given(shape=LENGTHS)
def test_flips_are_their_own_inverse_and_differ_from_each_other(shape):
    array = np.arange(np.prod(shape)).reshape(shape)
    assert len(set(flips((0, 1, 2)))) == 8
    for chosen in flips((0, 1, 2)):
        np.testing.assert_array_equal(np.flip(np.flip(array, chosen), chosen), array)


def test_batches_of_tiles_equal_single_tiles():
    image = np.random.default_rng(0).random((13, 9, 17, 1), np.float32)
    sizes = []

    def forward(patches):
        sizes.append(len(patches))
        return np.tanh(patches)

    single = tiled(forward, image, (1, 1, 1), (8, 8, 8), 0.5)
    count = len(sizes)
    sizes.clear()
    batched = tiled(forward, image, (1, 1, 1), (8, 8, 8), 0.5, tile_batch=5)
    np.testing.assert_array_equal(batched, single)
    assert sum(sizes) == count and max(sizes) == 5 and len(sizes) == -(-count // 5)


def smooth_bright(image):
    """Replaces a network that does not depend on position: a logistic function of smoothed FLAIR."""
    flair = ndimage.gaussian_filter(image[..., 0].astype(np.float32), 2)
    return 1 / (1 + np.exp(-6 * (flair[..., None] - 0.8)))


def predicted(case):
    prepared = prepare(case, Preparation((Modality.FLAIR,)), None)
    return prepared.grid.to_case(smooth_bright(prepared.image)) >= 0.5


def copied(case, folder, affine, shape):
    """The scans of a case, resampled to another grid in the same world space."""
    images = {}
    for modality, file in case.images.items():
        scan = read_volume(file.path)
        images[modality] = ImageFile(folder / f"copy_{modality}.nii.gz")
        values = np.rint(resliced(scan.array, scan.affine, shape, affine)).astype(np.int16)
        write_volume(images[modality].path, Volume(values, affine))
    return Case("copy", images)


@pytest.mark.real
def test_a_rotated_copy_with_other_spacing_and_ras_axes_gives_the_same_mask(real_scans, tmp_path):
    case = find_cases(real_scans / "BraTS2021" / "BraTS2021_01478", modalities=[Modality.FLAIR]).cases[0]
    scan = read_volume(case.images[Modality.FLAIR].path)
    c, s = np.cos(np.deg2rad(12)), np.sin(np.deg2rad(12))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.9, 1.2, 1.1])  # R-A-S
    shape = (300, 230, 160)
    middle = scan.affine[:3, :3] @ (np.array(scan.array.shape) / 2) + scan.affine[:3, 3]
    affine[:3, 3] = middle - affine[:3, :3] @ (np.array(shape) / 2)
    original = predicted(case)
    again = predicted(copied(case, tmp_path, affine, shape))
    back = resliced(again, affine, scan.array.shape, scan.affine) >= 0.5
    assert 2 * (original & back).sum() / (original.sum() + back.sum()) >= 0.97


def test_every_axis_order_and_direction_gives_exactly_the_same_prepared_image(phantom_root, tmp_path):
    case = find_cases(phantom_root, modalities=list(Modality)).cases[0]
    preparation = Preparation(tuple(Modality), (4.0, 4.0, 4.0))
    first = prepare(case, preparation, None)
    for index, (order, reverse) in enumerate(product(permutations(range(3)), [(0,), (1, 2), (0, 1, 2)])):
        images = {}
        for modality, file in case.images.items():
            scan = read_volume(file.path)
            array, affine = scan.array, scan.affine.copy()
            for axis in reverse:
                array = np.flip(array, axis)
                affine[:3, 3] += affine[:3, axis] * (scan.array.shape[axis] - 1)
                affine[:3, axis] *= -1
            affine = affine[:, [*order, 3]]
            images[modality] = ImageFile(tmp_path / f"{index}_{modality}.nii")
            write_volume(images[modality].path, Volume(np.ascontiguousarray(array.transpose(order)), affine))
        found = prepare(Case("turned", images), preparation, None)
        np.testing.assert_array_equal(found.image, first.image)
