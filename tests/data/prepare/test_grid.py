import json
from itertools import permutations, product

import numpy as np
import pytest

from brats_unet.data.prepare.grid import Grid
from brats_unet.geometry import Box
from brats_unet.volume import Turn

AFFINE = ((-1.0, 0.0, 0.0, 3.0), (0.0, -1.0, 0.0, 239.0), (0.0, 0.0, 2.0, -0.0), (0.0, 0.0, 0.0, 1.0))
IDENTITY = Turn((0, 1, 2), (False, False, False))


def grid(shape=(5, 6, 7), turn=IDENTITY, box=None, ratio=(1.0, 1.0, 1.0)):
    turned = tuple(shape[axis] for axis in turn.axes)
    return Grid(shape, AFFINE, turn, box or Box((0, 0, 0), turned), ratio)


def test_a_grid_survives_json():
    whole = grid(turn=Turn((2, 0, 1), (True, False, True)), box=Box((1, 0, 2), (6, 5, 6)), ratio=(1.5, 1.0, 2.0))
    assert Grid.from_dict(json.loads(json.dumps(whole.as_dict()))) == whole


def test_shapes_and_spacing_by_hand():
    found = grid(turn=Turn((2, 0, 1), (True, False, True)), box=Box((1, 0, 2), (6, 5, 6)), ratio=(2.0, 1.0, 2.0))
    assert found.turned_shape == (7, 5, 6) and found.shape == (3, 5, 2)
    assert found.case_spacing_mm == (1, 1, 2)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_to_prepared_then_to_case_is_the_identity_in_the_box_and_0_outside(axes):
    array = np.arange(1, 5 * 6 * 7 * 2 + 1).reshape(5, 6, 7, 2)
    for reverse in product((False, True), repeat=3):
        turn = Turn(axes, reverse)
        cut = grid(turn=turn, box=Box((1, 1, 0), (4, 4, 4)))
        inside = np.zeros(cut.turned_shape, bool)
        inside[cut.box.slices] = True
        back = cut.to_case(cut.to_prepared(array))
        np.testing.assert_array_equal(back, np.where(turn.undo(inside)[..., None], array, 0))
        np.testing.assert_array_equal(cut.to_prepared(back), cut.to_prepared(array))


def test_an_array_resampled_to_prepared_and_back_has_the_case_grid():
    coarse = grid(
        (9, 8, 7), turn=Turn((1, 0, 2), (False, True, False)), box=Box((1, 2, 0), (8, 9, 7)), ratio=(2.0, 3.0, 1.0)
    )
    prepared = coarse.to_prepared(np.ones((9, 8, 7, 3)))
    assert prepared.shape == (*coarse.shape, 3) == (4, 3, 7, 3)
    back = coarse.to_case(prepared)
    assert back.shape == (9, 8, 7, 3)
    np.testing.assert_allclose(
        back, coarse.turn.undo(np.pad(np.ones((7, 7, 7, 3)), ((1, 0), (2, 0), (0, 0), (0, 0)))), atol=1e-6
    )


def test_resampled_probabilities_stay_between_0_and_1():
    coarse = grid((9, 8, 7), ratio=(2.0, 1.875, 1.5))
    probabilities = np.random.default_rng(0).random((*coarse.shape, 3)).astype(np.float32)
    back = coarse.to_case(probabilities)
    assert back.min() >= 0 and back.max() <= 1
