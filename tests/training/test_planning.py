from math import prod

import pytest

from brats_unet.errors import MachineError
from brats_unet.training.planning import pooling, propose

BRATS = (138, 169, 138)  # median shape of cropped BraTS cases, as nnU-Net's plans give it


def nnunet_feature_maps(patch, batch, strides, features):
    """nnU-Net's estimate of memory: count of numbers in the feature maps of its plain network, for a batch of two."""
    edges, total = list(patch), 0
    for level, (stride, count) in enumerate(zip(strides, features, strict=True)):
        edges = [-(-n // s) for n, s in zip(edges, stride, strict=True)]
        voxels = prod(edges)
        total += 2 * count * voxels
        if level < len(features) - 1:
            total += 3 * count * voxels + 4 * voxels
    return total * batch // 2


def planned(
    budget, *, shape=BRATS, spacing=(1.0, 1.0, 1.0), rank=3, stem=(1, 1, 1), cost=nnunet_feature_maps, **limits
):
    options = {"largest_batch": 5, "voxels": 369 * prod(shape), "first_features": 32, **limits}
    return propose(shape, spacing, rank=rank, first_stride=stem, cost=cost, budget_bytes=budget, **options)


@pytest.mark.parametrize(
    ("shape", "spacing", "patch"),
    [  # plans printed by nnU-Net v2 in issues #2227 and #1768 of MIC-DKFZ/nnUNet
        ((177, 217, 217), (2.357, 1.841, 1.841), (128, 128, 128)),
        ((138.8, 497.1, 497.1), (1.545, 0.8067, 0.8067), (56, 224, 192)),
    ],
)
def test_with_nnunets_memory_estimate_the_patch_is_that_of_nnunet(shape, spacing, patch):
    found = planned(560_000_000, shape=shape, spacing=spacing)
    assert (found.patch, found.batch) == (patch, 2)


def test_for_brats_the_plan_is_that_of_nnunet():
    found = planned(560_000_000)
    assert (found.patch, found.batch) == ((128, 128, 128), 2)
    assert found.strides == ((1, 1, 1), *[(2, 2, 2)] * 5)
    assert found.features == (32, 64, 128, 256, 320, 320)


def test_more_memory_gives_a_larger_patch_and_then_a_larger_batch():
    small, middle, large = (planned(budget) for budget in (2e8, 7e8, 2e9))
    assert prod(small.patch) < prod(middle.patch) <= prod(large.patch)
    assert small.batch == 2 < large.batch
    assert all(found.bytes <= budget for found, budget in ((small, 2e8), (middle, 7e8), (large, 2e9)))


def test_the_batch_is_limited_by_its_maximum_and_by_a_twentieth_of_all_voxels():
    assert planned(1e12, largest_batch=3).batch == 3
    assert planned(1e12, voxels=60 * prod(BRATS)).batch == 2


def test_a_patch_is_divisible_by_the_total_stride_of_the_network():
    for budget in (3e7, 1e8, 3e8):
        for spacing in ((1, 1, 1), (1, 1, 5), (0.5, 1, 1)):
            found = planned(budget, shape=(150, 170, 40), spacing=spacing)
            divisor = [prod(stride[axis] for stride in found.strides) for axis in range(3)]
            assert all(n % d == 0 for n, d in zip(found.patch, divisor, strict=True)), found


def test_the_axis_of_thick_slices_is_halved_later_and_less_often():
    assert pooling((64, 64, 16), (1, 1, 4), 3) == ((2, 2, 1), (2, 2, 1), (2, 2, 2), (2, 2, 2))


def test_a_single_axis_is_halved_only_from_12_voxels():
    assert pooling((11, 4, 4), (1, 1, 1), 3) == ()
    assert pooling((12, 4, 4), (1, 1, 1), 3) == ((2, 1, 1),)


def test_the_stride_of_the_first_stage_is_kept():
    found = planned(2e8, stem=(2, 2, 2), shape=(72, 88, 72), first_features=16)
    assert found.strides[0] == (2, 2, 2) and found.features[0] == 16
    assert all(n % 2 == 0 for n in found.patch)


def test_a_plan_for_slices_has_patches_of_one_slice():
    found = planned(4e7, rank=2)
    assert found.patch[2] == 1 and all(stride[2] == 1 for stride in found.strides) and max(found.features) <= 512


def test_the_batch_is_divisible_by_the_number_of_devices():
    found = planned(560_000_000, replicas=4, largest_batch=8)
    assert found.batch % 4 == 0 and found.bytes <= 560_000_000


def test_memory_too_small_for_any_patch_is_refused_with_what_to_do():
    with pytest.raises(MachineError, match=r"Even a patch of .* Increase memory_gib=…, or choose a smaller network"):
        planned(1000)
