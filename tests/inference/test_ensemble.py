"""Networks are averaged on the case's grid with equal weights; networks of one preparation share the prepared case."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest

from brats_unet.data.prepare.grid import Grid
from brats_unet.data.prepare.preprocess import Preparation, Prepared
from brats_unet.geometry import Box
from brats_unet.inference.ensemble import pairwise_dice, predict_ensemble
from brats_unet.modality import Modality
from brats_unet.volume import Turn

AFFINE = ((-1.0, 0.0, 0.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
ONE_MM = Preparation((Modality.FLAIR,))
TWO_MM = Preparation((Modality.T1,), (2.0, 2.0, 2.0))


@dataclass
class Constant:
    """A network whose predictions are constant; one prediction per value."""

    values: tuple[float, ...]
    preparation: Preparation = ONE_MM

    def members(self, image):
        for value in self.values:
            yield np.full((*image.shape[:3], 3), value, np.float32)


def prepared(ratio=1.0):
    box = Box((1, 0, 0), (5, 4, 4))
    grid = Grid((6, 4, 4), AFFINE, Turn((0, 1, 2), (False,) * 3), box, (ratio,) * 3)
    image = np.zeros((*grid.shape, 1), np.float16)
    return Prepared(image, np.ones(grid.shape, bool), None, {}, grid)


CASE = {ONE_MM: prepared(), TWO_MM: prepared(2.0)}


def test_networks_have_equal_weights_however_many_mirrorings_they_make():
    answer = predict_ensemble([Constant((0.2, 0.4)), Constant((0.9,))], CASE)
    found = answer.probabilities()
    assert found.shape == (6, 4, 4, 3) and found.dtype == np.float32 and answer.members == 3
    assert found[1:5] == pytest.approx(0.6) and not found[0].any() and not found[5].any()


def test_networks_of_different_preparations_are_averaged_on_the_grid_of_the_case():
    answer = predict_ensemble([Constant((0.2,)), Constant((0.8,), TWO_MM), Constant((0.5,))], CASE)
    assert [share.mean.shape[:3] for share in answer.shares] == [(4, 4, 4), (2, 2, 2)]
    assert answer.probabilities()[1:5] == pytest.approx(0.5)


def test_a_single_prediction_has_no_agreement():
    assert predict_ensemble([Constant((0.7,))], CASE).agreement() is None


def test_agreement_is_1_for_equal_masks_0_for_disjoint_ones_and_nan_for_empty_ones():
    assert predict_ensemble([Constant((0.7, 0.9)), Constant((0.8,), TWO_MM)], CASE).agreement() == pytest.approx(
        [1, 1, 1]
    )
    assert np.isnan(predict_ensemble([Constant((0.1, 0.2))], CASE).agreement()).all()
    assert predict_ensemble([Constant((0.7, 0.2))], CASE).agreement() == pytest.approx([0, 0, 0])


def test_pairwise_dice_equals_a_loop_over_all_pairs():
    masks = np.random.default_rng(0).random((4, 50, 1)) < 0.5
    both = sum(2 * (a & b).sum() for a, b in combinations(masks, 2))
    sizes = sum(a.sum() + b.sum() for a, b in combinations(masks, 2))
    assert pairwise_dice(masks.sum(axis=0).astype(np.float32), 4) == pytest.approx([both / sizes])


def test_arrays_returned_by_a_network_are_not_changed():
    stored = [np.full((4, 4, 4, 3), 0.5, np.float32) for _ in range(2)]

    class Stored(Constant):
        def members(self, image):
            yield from stored

    predict_ensemble([Stored(()), Stored(())], CASE)
    assert all((array == 0.5).all() for array in stored)
