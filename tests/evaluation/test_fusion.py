"""Fusion of masks: by hand, against brute force, and where the methods must agree."""

import numpy as np
import pytest

from brats_unet.evaluation.fusion import METHODS, fused_by_label, fused_by_region, majority, simple, staple
from brats_unet.schemes.scheme_file import builtin

GLIOMA = builtin()


def noisy(truth, wrong, seed):
    """`truth` with a share `wrong` of the voxels flipped."""
    return truth ^ (np.random.default_rng(seed).random(truth.shape) < wrong)


TRUTH = np.zeros((12, 12, 12), bool)
TRUTH[3:9, 3:9, 3:9] = True


@pytest.mark.parametrize("method", METHODS)
def test_equal_masks_are_fused_into_the_same_mask(method):
    fused = METHODS[method](np.stack([TRUTH] * 3))
    np.testing.assert_array_equal(fused.mask, TRUTH)
    assert fused.weight == pytest.approx((1, 1, 1), abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_masks_does_not_matter(method):
    masks = np.stack([noisy(TRUTH, share, seed) for seed, share in enumerate((0.01, 0.05, 0.2, 0.1))])
    one, other = METHODS[method](masks), METHODS[method](masks[::-1])
    np.testing.assert_array_equal(one.mask, other.mask)
    assert one.weight == pytest.approx(other.weight[::-1])


@pytest.mark.parametrize("method", METHODS)
def test_empty_masks_are_fused_into_an_empty_mask(method):
    assert not METHODS[method](np.zeros((3, 4, 4, 4), bool)).mask.any()


def test_a_majority_is_more_than_half():
    masks = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0]], bool)
    assert majority(masks).mask.tolist() == [True, False, False, False]
    assert majority(masks[:3]).mask.tolist() == [True, True, False, False]


def brute_force_staple(masks, iterations):
    """The equations of Warfield 2004, voxel by voxel."""
    decisions = masks.reshape(len(masks), -1).astype(float)
    prior = decisions.mean()
    p = np.full(len(masks), 0.99999)
    q = np.full(len(masks), 0.99999)
    for _ in range(iterations):
        a = prior * np.prod(np.where(decisions == 1, p[:, None], 1 - p[:, None]), axis=0)
        b = (1 - prior) * np.prod(np.where(decisions == 0, q[:, None], 1 - q[:, None]), axis=0)
        w = a / (a + b)
        p = (decisions * w).sum(axis=1) / w.sum()
        q = ((1 - decisions) * (1 - w)).sum(axis=1) / (1 - w).sum()
    return (w >= 0.5).reshape(masks.shape[1:]), p


def test_staple_follows_its_equations():
    masks = np.stack([noisy(TRUTH, share, seed) for seed, share in enumerate((0.02, 0.05, 0.1, 0.25))])
    fused = staple(masks)
    mask, sensitivity = brute_force_staple(masks, 200)
    np.testing.assert_array_equal(fused.mask, mask)
    assert fused.weight == pytest.approx(sensitivity, abs=1e-5)


def test_staple_finds_the_mask_that_misses_half_of_the_tumour():
    half = TRUTH.copy()
    half[:6] = False
    fused = staple(np.stack([TRUTH, noisy(TRUTH, 0.001, 1), noisy(TRUTH, 0.001, 2), half]))
    assert fused.weight[3] == pytest.approx(0.5, abs=0.01) and min(fused.weight[:3]) > 0.99
    np.testing.assert_array_equal(fused.mask, TRUTH)


def test_simple_discards_the_mask_that_is_somewhere_else():
    elsewhere = np.roll(TRUTH, 6, axis=0)
    fused = simple(np.stack([TRUTH, noisy(TRUTH, 0.01, 1), noisy(TRUTH, 0.01, 2), elsewhere]))
    assert fused.weight[3] == 0 and min(fused.weight[:2]) > 0.9
    assert (fused.mask != TRUTH).mean() < 0.01


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fuse", [fused_by_region, fused_by_label])
def test_equal_labels_are_fused_into_the_same_labels(fuse, method):
    labels = np.random.default_rng(0).choice(np.array([0, 1, 2, 4], np.uint8), (5, 5, 5))
    found, weights = fuse(np.stack([labels] * 3), method, GLIOMA)
    np.testing.assert_array_equal(found, labels)
    assert len(weights) == 3


def test_a_region_can_have_a_majority_although_no_label_has_one():
    labels = np.array([[[[1]]], [[[2]]], [[[4]]]], np.uint8)
    assert fused_by_region(labels, "majority", GLIOMA)[0].item() == 1  # three masks have WT, two have TC, one has ET
    assert fused_by_label(labels, "majority", GLIOMA)[0].item() == 0


def test_fused_regions_are_nested():
    rng = np.random.default_rng(1)
    labels = rng.choice(np.array([0, 1, 2, 4], np.uint8), (4, 6, 6, 6))
    for method in METHODS:
        masks = GLIOMA.predicted_masks(fused_by_region(labels, method, GLIOMA)[0])
        assert not (masks[..., 1] & ~masks[..., 0]).any() and not (masks[..., 2] & ~masks[..., 1]).any()


def test_integer_arrays_and_more_than_62_masks_are_refused():
    with pytest.raises(ValueError, match=r"type uint8 and shape \(3, 4\)\. Expected an array of 1 to 62 bool masks"):
        majority(np.zeros((3, 4), np.uint8))
    with pytest.raises(ValueError, match=r"shape \(63, 4\)"):
        staple(np.zeros((63, 4), bool))
