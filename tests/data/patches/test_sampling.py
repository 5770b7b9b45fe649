from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from brats_unet.data.patches.sampling import Sampler, case_order, cut
from tests.glioma import Region, region_mask

SEED = 11


def labels_with(*codes, shape=(20, 18, 16)):
    """Boxes of 3 x 3 x 2 voxels side by side at the far corner of a volume, where a random patch seldom lies."""
    labels = np.zeros(shape, np.uint8)
    for index, code in enumerate(codes):
        end = shape[1] - 3 * index
        labels[-3:, end - 3 : end, -2:] = code
    return labels


@pytest.fixture(scope="module")
def cases(tmp_path_factory, write_prepared):
    folder = tmp_path_factory.mktemp("cases")
    return [
        write_prepared(folder, "all", labels_with(2, 1, 4), seed=1),
        write_prepared(folder, "oedema", labels_with(2), seed=2, start=(1, 2, 5)),
        write_prepared(folder, "healthy", labels_with(), seed=3),
    ]


def sampler(cases, *, patch=(8, 6, 4), batch=2, foreground=1 / 3, slices=None, seed=SEED):
    return Sampler(cases, patch, batch, foreground, slices, seed)


def places(sampler, steps):
    return [sampler.place(step, sample) for step in range(steps) for sample in range(sampler.batch)]


def contains(sampler, place, region):
    case = sampler.cases[place.case]
    patch = np.zeros(sampler.patch, np.uint8)
    cut(case.labels, place.start, patch)
    return region_mask(patch, region).any()


def test_a_position_depends_only_on_seed_step_and_sample(cases):
    one, other = sampler(cases), sampler(cases)
    forwards = places(one, 30)
    assert forwards == places(one, 30)
    backwards = [other.place(step, sample) for step in reversed(range(30)) for sample in (1, 0)]
    assert forwards == backwards[::-1]


def test_another_seed_step_or_sample_gives_another_position(cases):
    whole = sampler(cases[:1], foreground=0)
    found = {whole.place(step, sample).start for step in range(20) for sample in range(2)}
    assert len(found) > 35
    assert places(whole, 20) != places(sampler(cases[:1], foreground=0, seed=SEED + 1), 20)


def test_positions_are_uniform_over_all_starts(cases):
    line = sampler(cases[:1], patch=(17, 18, 16), foreground=0)
    counts = Counter(place.start for place in places(line, 500))
    assert set(counts) == {(x, 0, 0) for x in range(4)}
    assert min(counts.values()) > 200 and max(counts.values()) < 300


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_every_case_is_used_once_before_any_is_used_again(cases, batch):
    seen = [place.case for place in places(sampler(cases, batch=batch), 30)]
    epochs = [seen[i : i + 3] for i in range(0, len(seen) - 2, 3)]
    assert all(sorted(epoch) == [0, 1, 2] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1  # in a new order each time


def test_the_order_of_cases_is_a_permutation_that_depends_on_seed_and_epoch():
    orders = {tuple(case_order(seed, epoch, 8)) for seed in (0, 1) for epoch in range(5)}
    assert len(orders) == 10 and all(sorted(order) == list(range(8)) for order in orders)


@pytest.mark.parametrize(("share", "forced"), [(0, 0), (1 / 3, 100), (0.33, 99), (0.5, 150), (1, 300)])
def test_exactly_the_foreground_fraction_of_patches_is_centred_on_a_region(cases, share, forced):
    some, none = sampler(cases[:1], foreground=share), sampler(cases[:1], foreground=0)
    moved = [a != b for a, b in zip(places(some, 150), places(none, 150), strict=True)]
    # Patches that are not forced keep their position; a forced one hardly ever lands on the same position by chance.
    assert sum(moved) == pytest.approx(forced, abs=2)
    if share == 1 / 3:
        assert all(sum(moved[i : i + 3]) <= 1 for i in range(0, 300, 3))


def test_a_forced_patch_contains_its_region_and_every_region_is_drawn(cases):
    forced = sampler(cases[:1], foreground=1)
    found = places(forced, 60)
    assert all(contains(forced, place, Region.WT) for place in found)
    assert sum(contains(forced, place, Region.ET) for place in found) > 40  # at least a third is centred on it


def test_a_patch_is_forced_onto_a_region_that_the_case_has_else_placed_at_random(cases):
    oedema = sampler(cases[1:2], foreground=1)
    assert all(
        contains(oedema, place, Region.WT) and not contains(oedema, place, Region.TC) for place in places(oedema, 20)
    )
    healthy = sampler(cases[2:], foreground=1)
    assert len({place.start for place in places(healthy, 20)}) > 15


def test_every_patch_lies_within_the_volume(cases):
    for place in places(sampler(cases, foreground=0.5), 60):
        assert all(0 <= a <= n - p for a, n, p in zip(place.start, (20, 18, 16), (8, 6, 4), strict=True))


def test_a_volume_smaller_than_the_patch_is_centred_and_padded_with_zeros(cases):
    large = sampler(cases[:1], patch=(24, 18, 19), foreground=0.5)
    assert {place.start for place in places(large, 10)} == {(-2, 0, -1)}
    patch = np.full((24, 18, 19, 2), 9, np.float16)
    cut(cases[0].image, (-2, 0, -1), patch)
    np.testing.assert_array_equal(patch[2:22, :, 1:17], cases[0].image)
    patch[2:22, :, 1:17] = 0
    assert (patch == 0).all()


def test_a_patch_equals_slicing_by_hand(cases):
    for place in places(sampler(cases), 20):
        case = cases[place.case]
        x, y, z = place.start
        image, labels = np.empty((8, 6, 4, 2), np.float16), np.empty((8, 6, 4), np.uint8)
        cut(case.image, place.start, image)
        cut(case.labels, place.start, labels)
        np.testing.assert_array_equal(image, case.image[x : x + 8, y : y + 6, z : z + 4])
        np.testing.assert_array_equal(labels, case.labels[x : x + 8, y : y + 6, z : z + 4])


@pytest.mark.parametrize("start", [(-3, 0, 0), (15, 12, 14), (-1, 16, -1), (20, 0, 0), (0, 23, 0), (0, 0, -9)])
def test_a_patch_is_0_beyond_the_volume(cases, start):
    padded = np.pad(cases[0].labels, 12)
    out = np.full((8, 6, 4), 9, np.uint8)
    cut(cases[0].labels, start, out)
    x, y, z = (a + 12 for a in start)
    np.testing.assert_array_equal(out, padded[x : x + 8, y : y + 6, z : z + 4])


@pytest.mark.parametrize("foreground", [0, 0.5, 1])
def test_slices_are_counted_on_the_case_grid_not_in_the_brain_box(cases, foreground):
    limited = sampler(cases[1:2], patch=(8, 6, 1), foreground=foreground, slices=(9, 12))  # the box starts at slice 5
    assert {place.start[2] for place in places(limited, 40)} == {4, 5, 6}


def test_a_forced_patch_contains_its_region_within_the_given_slices(tmp_path, write_prepared):
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[2, 2, 3], labels[9, 9, 11] = 2, 4  # the enhancing voxel is outside the slices
    case = write_prepared(tmp_path, "two", labels)
    limited = sampler([case], patch=(4, 4, 1), foreground=1, slices=(2, 6))
    assert all(place.start[2] == 3 and contains(limited, place, Region.WT) for place in places(limited, 20))
    nowhere = sampler([case], patch=(4, 4, 1), foreground=1, slices=(5, 8))
    assert {place.start[2] for place in places(nowhere, 30)} == {5, 6, 7}


def test_slices_fewer_than_the_patch_or_outside_the_volume_still_give_patches(cases):
    short = sampler(cases[2:], patch=(8, 6, 8), slices=(4, 7))
    assert {place.start[2] for place in places(short, 20)} == {4}
    beyond = sampler(cases[2:], patch=(8, 6, 4), slices=(100, 130))
    assert {place.start[2] for place in places(beyond, 20)} == {12}


def test_regions_are_drawn_by_their_weights(cases):
    centred = Sampler(cases[:1], (1, 1, 1), 1, 1.0, None, SEED, weights={"WT": 1, "TC": 0, "ET": 3})
    drawn = [region_mask(cases[0].labels, Region.ET)[centred.place(step, 0).start] for step in range(400)]
    share = cases[0].foreground[Region.ET].shape[0] / cases[0].foreground[Region.WT].shape[0]
    assert np.mean(drawn) == pytest.approx(3 / 4 + share / 4, abs=0.06)


def test_a_region_of_weight_0_is_never_drawn(cases):
    only = Sampler(cases[:1], (1, 1, 1), 1, 1.0, None, SEED, weights={"WT": 0, "TC": 0, "ET": 1})
    assert all(contains(only, place, Region.ET) for place in places(only, 50))


def test_equal_weights_change_nothing(cases):
    one, other = sampler(cases), Sampler(cases, (8, 6, 4), 2, 1 / 3, None, SEED, weights=dict.fromkeys(Region, 2.0))
    assert places(one, 50) == places(other, 50)


def overhanging(cases, patch=(8, 6, 4), **options):
    return replace(sampler(cases, patch=patch, **options), overhang=True)


def test_a_patch_overhangs_the_far_border_and_is_moved_inside_at_the_near_one(cases):
    inside, over = sampler(cases), overhanging(cases)  # volumes of 20 x 18 x 16 voxels, patches of 8 x 6 x 4
    assert over.around((19, 17, 15), cases[0]) == [15, 14, 13]
    assert inside.around((19, 17, 15), cases[0]) == [12, 12, 12]
    for either in (inside, over):
        assert either.around((0, 1, 0), cases[0]) == [0, 0, 0]
        assert either.around((10, 9, 8), cases[0]) == [6, 6, 6]


def test_a_patch_larger_than_the_volume_overhangs_its_far_border_too(cases):
    large = overhanging(cases, patch=(24, 18, 19))
    assert large.around((19, 17, 15), cases[0]) == [7, 8, 6]
    assert large.around((0, 0, 0), cases[0]) == [-2, 0, -2]


def nnunet_start(shape, read, final, voxel):
    """First voxel of the region that nnU-Net reads around a voxel: nnunetv2 2.8.1, data_loader.py, lines 53 and 82-145."""
    shape, read, voxel = np.array(shape), np.array(read), np.array(voxel)
    need_to_pad = read - np.array(final)
    need_to_pad = np.where(need_to_pad + shape < read, read - shape, need_to_pad)
    return np.maximum(-need_to_pad // 2, voxel - read // 2)


@pytest.mark.parametrize("margin", [(0, 0, 0), (1, 4, 0), (5, 3, 7)])
@pytest.mark.parametrize("patch", [(8, 6, 4), (7, 5, 3), (25, 18, 19), (1, 17, 16)])
def test_the_region_read_around_every_voxel_is_that_of_nnunet(cases, patch, margin):
    ours = replace(overhanging(cases, patch=patch), margin=margin)
    for voxel in np.ndindex(20, 18, 16):
        expected = nnunet_start((20, 18, 16), ours.read_shape, patch, voxel)
        np.testing.assert_array_equal(np.subtract(ours.around(voxel, cases[0]), margin), expected)


def test_only_forced_patches_overhang_and_the_draws_are_the_same(cases):
    inside, over = sampler(cases[:1]), overhanging(cases[:1])
    moved = 0
    for count, (one, other) in enumerate(zip(places(inside, 60), places(over, 60), strict=True)):
        forced = int((count + 1) / 3) > int(count / 3)
        for a, b, n, p in zip(one.start, other.start, (20, 18, 16), inside.patch, strict=True):
            assert a == min(b, n - p) and (forced or b <= n - p)
        moved += one != other
    assert moved == 40  # every forced one: the tumour lies in the far corner


def test_a_forced_slice_stays_inside_the_volume(cases):
    slices = overhanging(cases, patch=(8, 6, 1), foreground=1)
    found = [place.start for place in places(slices, 100)]
    assert {z for _, _, z in found} <= set(range(16)) and max(z for _, _, z in found) == 15
    assert any(x > 12 for x, _, _ in found)  # they overhang within their plane
    for place in places(slices, 100):
        assert cases[place.case].labels is not None and (place.case == 2 or contains(slices, place, Region.WT))


def test_a_range_of_slices_is_never_left(cases):
    limited = overhanging(cases[:1], foreground=1, slices=(9, 16))
    inside = sampler(cases[:1], foreground=1, slices=(9, 16))
    found = places(limited, 60)
    assert [place.start[2] for place in found] == [place.start[2] for place in places(inside, 60)]
    assert max(place.start[2] for place in found) == 12 and max(place.start[0] for place in found) > 12


def test_a_patch_that_overhangs_is_padded_with_background(cases):
    out = np.full((8, 6, 4, 2), 9, np.float16)
    labels = np.full((8, 6, 4), 9, np.uint8)
    start = overhanging(cases).around((19, 17, 15), cases[0])
    cut(cases[0].image, tuple(start), out)
    cut(cases[0].labels, tuple(start), labels)
    np.testing.assert_array_equal(out[:5, :4, :3], cases[0].image[15:, 14:, 13:])
    np.testing.assert_array_equal(labels[:5, :4, :3], cases[0].labels[15:, 14:, 13:])
    out[:5, :4, :3], labels[:5, :4, :3] = 0, 0
    assert not out.any() and not labels.any()


def plain_case(**foreground):
    """A case of 20 x 18 x 16 voxels whose slice 0 is slice 5 of its grid, with positions of regions alone."""
    grid = SimpleNamespace(shape=(20, 18, 16), edge=lambda axis, before: before - 5 if axis == 2 else None)
    return SimpleNamespace(grid=grid, foreground={name: np.array(given) for name, given in foreground.items()})


def test_the_order_of_the_cases_is_the_same_in_every_version():
    assert [case_order(3, epoch, 5).tolist() for epoch in (0, 1)] == [[2, 3, 4, 1, 0], [1, 4, 2, 3, 0]]


def test_the_places_of_patches_are_the_same_in_every_version():
    two = sampler([plain_case(), plain_case(WT=[[10, 9, 8], [11, 9, 8], [19, 17, 15]])], foreground=0.5)
    assert [(place.case, *place.start) for place in places(two, 3)] == [
        (0, 11, 1, 9),
        (1, 6, 6, 6),
        (1, 12, 2, 3),
        (0, 10, 3, 9),
        (1, 10, 7, 8),
        (0, 10, 10, 4),
    ]


@pytest.mark.parametrize(
    ("patch", "slices", "low", "high"),
    [
        ((8, 6, 4), None, [0, 0, 0], [12, 12, 12]),
        ((20, 18, 16), None, [0, 0, 0], [0, 0, 0]),
        ((24, 19, 21), None, [-2, 0, -2], [-2, 0, -2]),
        ((8, 6, 4), (9, 15), [0, 0, 4], [12, 12, 6]),
        ((8, 6, 4), (9, 12), [0, 0, 4], [12, 12, 4]),
        ((8, 6, 4), (0, 10), [0, 0, 0], [12, 12, 1]),
        ((8, 6, 4), (18, 99), [0, 0, 12], [12, 12, 12]),
    ],
)
def test_the_bounds_of_a_patch_by_hand(patch, slices, low, high):
    assert sampler([], patch=patch, slices=slices).bounds(plain_case()) == (low, high)


def test_only_voxels_within_the_slices_are_drawn_the_first_included_and_the_end_not():
    case = plain_case(WT=[[1, 1, 3], [1, 1, 4], [1, 1, 6], [1, 1, 7]], ET=[[1, 1, 7]])
    found = sampler([], slices=(9, 12)).foreground_within(case, 4, 7)
    assert {name: positions[:, 2].tolist() for name, positions in found.items()} == {"WT": [4, 6]}
    assert set(sampler([]).foreground_within(case, 4, 7)) == {"WT", "ET"}


@pytest.mark.parametrize(("drawn", "region"), [(0.0, "WT"), (0.24, "WT"), (0.25, "ET"), (0.99, "ET")])
def test_a_region_of_weight_3_takes_three_quarters_of_the_draws(drawn, region):
    weighted = replace(sampler([]), weights={"ET": 3})
    assert weighted.region_drawn(SimpleNamespace(random=lambda: drawn), ["WT", "ET"]) == region


def test_a_patch_is_read_with_its_margin_on_both_sides():
    assert replace(sampler([]), margin=(1, 0, 3)).read_shape == (10, 6, 10)
    assert sampler([]).read_shape == sampler([]).patch


def test_the_last_patch_of_each_share_is_the_forced_one():
    half, all_of_them = sampler([], foreground=0.5), sampler([], foreground=1)
    assert [half.forced(count) for count in range(4)] == [False, True, False, True]
    assert [all_of_them.forced(count) for count in range(2)] == [True, True]


def test_a_patch_of_a_line_is_cut_and_padded_by_hand():
    line = np.arange(1, 6).reshape(5, 1, 1)
    for start, expected in [(-1, [0, 1, 2]), (1, [2, 3, 4]), (3, [4, 5, 0]), (5, [0, 0, 0]), (-3, [0, 0, 0])]:
        out = np.full((3, 1, 1), 9)
        cut(line, (start, 0, 0), out)
        assert out.ravel().tolist() == expected


def test_regions_of_equal_weight_are_drawn_as_whole_numbers():
    drawn = SimpleNamespace(integers=lambda count: count - 1)
    assert sampler([]).region_drawn(drawn, ["WT", "TC", "ET"]) == "ET"
