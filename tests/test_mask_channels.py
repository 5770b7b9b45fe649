"""Masks with a channel for each region."""

import numpy as np
import pytest

from brats_unet.mask_channels import codes, nested, packed


def test_channels_first_or_last_become_one_integer_a_voxel():
    first = np.zeros((3, 20, 21, 22), np.float32)
    first[2], first[1, :5], first[0, :2] = 1, 1, 1
    first[:, 19] = 0
    found = packed(first)
    assert found.dtype == np.int16 and found.shape == (20, 21, 22)
    assert [int(found[i, 0, 0]) for i in (0, 3, 10, 19)] == [256 + 7, 256 + 6, 256 + 4, 0]
    np.testing.assert_array_equal(packed(np.moveaxis(first, 0, -1)), found)


@pytest.mark.parametrize("channels", [2, 8])
def test_two_to_eight_channels_are_packed(channels):
    array = np.zeros((channels, 20, 21, 22), np.uint8)
    array[-1] = 1
    assert (packed(array) == 256 + 2 ** (channels - 1)).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 21, 22, 23)), "a mask of shape"),
        (np.zeros((3, 20, 20, 4)), "a mask of shape"),
        (np.zeros((1, 20, 20, 20)), "a mask of shape"),
        (np.zeros((9, 20, 20, 20)), "a mask of shape"),
        (np.full((3, 20, 20, 20), 2), "a channel that holds 2"),
        (np.full((3, 20, 20, 20), 0.5), "a channel that holds 0.5"),
        (np.full((3, 20, 20, 20), np.nan), "a channel that holds nan"),
    ],
)
def test_what_is_no_mask_with_channels_is_rejected(array, message):
    with pytest.raises(ValueError, match=message):
        packed(array)


@pytest.mark.parametrize(
    ("combinations", "order"),
    [
        ({0b111, 0b110, 0b100}, (2, 1, 0)),
        ({0b111, 0b011, 0b001}, (0, 1, 2)),
        ({0b111, 0b100}, ()),  # two channels are equal
        ({0b111, 0b110, 0b100, 0b001}, ()),  # not nested
        ({0b001, 0b010, 0b100}, ()),  # one-hot
        (set(), ()),
    ],
)
def test_nested_channels_show_their_order(combinations, order):
    assert nested(frozenset(combinations)) == order
    assert codes(frozenset({0, *(256 + one for one in combinations)})) == combinations


def test_of_a_channel_with_a_wrong_number_that_number_is_named():
    array = np.zeros((3, 20, 20, 20))
    array[1, 5], array[1, 9] = 1, 4
    with pytest.raises(ValueError, match="a channel that holds 4. Expected channels of 0 and 1"):
        packed(array)
