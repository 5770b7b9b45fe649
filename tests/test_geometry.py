import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brats_unet.geometry import (
    Box,
    bounding_box,
    crop,
    faces,
    pad_at_least,
    pad_to,
    tile_starts,
    uncrop,
    unpad,
)

few = settings(max_examples=60, deadline=None, derandomize=True)
lengths = st.integers(1, 9)
shapes = st.tuples(lengths, lengths, lengths)


@st.composite
def boxes(draw):
    """A shape and a box inside it; the box may be empty."""
    shape = draw(shapes)
    edges = [sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for n in shape]
    return shape, Box(tuple(a for a, _ in edges), tuple(b for _, b in edges))


def numbered(*shape):
    return np.arange(1, 1 + np.prod(shape)).reshape(shape)


def test_a_box_knows_its_shape_and_slices():
    box = Box((1, 0), (3, 5))
    assert box.shape == (2, 5) and box.slices == (slice(1, 3), slice(0, 5))


@pytest.mark.parametrize(("start", "stop"), [((0, 3), (1, 2)), ((0,), (1, 1))])
def test_a_box_that_ends_before_it_begins_is_refused(start, stop):
    with pytest.raises(ValueError, match="start <= stop"):
        Box(start, stop)


def test_the_bounding_box_of_two_voxels_holds_both():
    mask = np.zeros((6, 7, 8), bool)
    mask[1, 2, 3] = mask[4, 2, 5] = True
    assert bounding_box(mask) == Box((1, 2, 3), (5, 3, 6))


def test_the_bounding_box_of_a_full_mask_is_the_whole_array():
    assert bounding_box(np.ones((2, 3), bool)) == Box((0, 0), (2, 3))


@pytest.mark.parametrize("shape", [(3, 3, 3), (0, 3)])
def test_an_empty_mask_has_no_bounding_box(shape):
    with pytest.raises(ValueError, match="no bounding box"):
        bounding_box(np.zeros(shape, bool))


@few
@given(boxes())
def test_crop_then_uncrop_is_the_identity_inside_the_box_and_fill_outside(pair):
    shape, box = pair
    array = numbered(*shape, 2)
    back = uncrop(crop(array, box), box, shape, fill=-1)
    inside = np.zeros(shape, bool)
    inside[box.slices] = True
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, np.where(inside[..., None], array, -1))
    np.testing.assert_array_equal(crop(back, box), crop(array, box))


def test_a_crop_is_a_view():
    array = numbered(4, 4)
    assert crop(array, Box((1, 1), (2, 3))).base is not None
    assert np.shares_memory(crop(array, Box((1, 1), (2, 3))), array)


@few
@given(shapes, shapes)
def test_padding_to_a_multiple_is_centred_and_minimal_and_undone_by_unpad(shape, multiple):
    padding = pad_to(shape, multiple)
    array = numbered(*shape, 2)
    padded = np.pad(array, (*padding, (0, 0)))
    for n, m, (before, after), whole in zip(shape, multiple, padding, padded.shape[:3], strict=True):
        assert whole % m == 0 and whole - n < m and 0 <= after - before <= 1
    np.testing.assert_array_equal(unpad(padded, padding), array)


@few
@given(shapes, shapes)
def test_padding_to_a_least_length_keeps_longer_axes_and_is_undone_by_unpad(shape, least):
    padding = pad_at_least(shape, least)
    array = numbered(*shape)
    padded = np.pad(array, padding)
    assert padded.shape == tuple(max(n, m) for n, m in zip(shape, least, strict=True))
    assert all(0 <= after - before <= 1 for before, after in padding)
    np.testing.assert_array_equal(unpad(padded, padding), array)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(0, 200), st.floats(0, 1, exclude_max=True))
def test_tiles_cover_the_axis_and_overlap_by_at_least_the_share(tile, more, overlap):
    length = tile + more
    starts = tile_starts(length, tile, overlap)
    assert starts[0] == 0 and starts[-1] == length - tile
    steps = np.diff(starts)
    assert (steps >= 1).all()
    assert (steps <= max(1, tile * (1 - overlap))).all()  # tiles start at least one voxel apart
    assert (steps.max(initial=0) - steps.min(initial=tile)) <= 1  # evenly spaced


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "starts"),
    [
        (128, 128, 0.5, [0]),
        (144, 128, 0.5, [0, 16]),
        (256, 128, 0.5, [0, 64, 128]),
        (176, 64, 0.5, [0, 28, 56, 84, 112]),
        (10, 5, 0, [0, 5]),
        (11, 5, 0, [0, 3, 6]),
    ],
)
def test_tile_starts_by_hand(length, tile, overlap, starts):
    assert tile_starts(length, tile, overlap) == starts


def test_a_tile_longer_than_the_axis_is_refused():
    with pytest.raises(ValueError, match="A tile of 9 voxels does not fit into an axis of 8"):
        tile_starts(8, 9, 0.5)


@pytest.mark.parametrize("overlap", [-0.1, 1, 1.5, float("nan")])
def test_an_overlap_outside_0_to_1_is_refused(overlap):
    with pytest.raises(ValueError, match="Overlap must be at least 0 and below 1"):
        tile_starts(9, 3, overlap)


def test_the_six_faces_of_27_voxels_are_the_outer_planes():
    cube = np.arange(27).reshape(3, 3, 3)
    first_rows = [face[0].tolist() for face in faces(cube)]
    assert first_rows == [[0, 1, 2], [18, 19, 20], [0, 1, 2], [6, 7, 8], [0, 3, 6], [2, 5, 8]]
    assert all(face.shape == (3, 3) for face in faces(cube))
