"""HD95 in its three definitions, against brute force and by hand."""

from itertools import product

import numpy as np
import pytest

from brats_unet.metrics.empty import WhenEmpty
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.metrics.surface import (
    ASSD_DEFINITIONS,
    HD95_DEFINITIONS,
    Surfaces,
    hausdorff95_mm,
)
from brats_unet.metrics.surface_points import code_areas_mm2, corner_codes, surface_voxels

RULE = PROTOCOLS["brats2020"].hd95_mm
MM = (1.0, 1.0, 1.0)
LONG = (0.7, 1.3, 3.1)
every_definition = pytest.mark.parametrize("definition", HD95_DEFINITIONS)


def mask_of(*voxels: tuple[int, int, int], shape=(10, 10, 10)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two lumpy masks of 10×10×10 voxels that overlap in part and touch the borders."""
    random = np.random.default_rng(seed)
    coarse = random.random((2, 5, 5, 5)) < 0.35
    fine = coarse.repeat(2, 1).repeat(2, 2).repeat(2, 3)
    return tuple(mask ^ (random.random(mask.shape) < 0.03) for mask in fine)


def brute_surface(mask: np.ndarray) -> np.ndarray:
    points = []
    for voxel in np.argwhere(mask):
        for axis, step in product(range(3), (-1, 1)):
            neighbour = voxel.copy()
            neighbour[axis] += step
            if not (0 <= neighbour[axis] < mask.shape[axis]) or not mask[tuple(neighbour)]:
                points.append(voxel)
                break
    return np.array(points)


def brute_distances(one: np.ndarray, two: np.ndarray, spacing) -> tuple[np.ndarray, np.ndarray]:
    apart = (one[:, None] - two[None]) * np.array(spacing)
    table = np.sqrt((apart**2).sum(-1))
    return table.min(1), table.min(0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [MM, LONG])
def test_per_direction_max_and_pooled_equal_all_pairs_of_surface_voxels(seed, spacing):
    reference, prediction = blobs(seed)
    there, back = brute_distances(brute_surface(reference), brute_surface(prediction), spacing)
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    assert hausdorff95_mm(reference, prediction, spacing) == pytest.approx(expected, abs=1e-9)
    pooled = np.percentile(np.concatenate([there, back]), 95)
    assert hausdorff95_mm(reference, prediction, spacing, definition="pooled") == pytest.approx(pooled, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [MM, LONG])
def test_area_weighted_equals_all_pairs_of_corners_repeated_by_their_area(seed, spacing):
    masks = blobs(seed)
    areas = code_areas_mm2(spacing)
    corners, weights = [], []
    for mask in masks:
        padded = np.pad(mask, 1)
        found = []
        for corner in product(*(range(n + 1) for n in mask.shape)):
            code = sum(
                int(padded[tuple(np.add(corner, step))]) << (4 * step[0] + 2 * step[1] + step[2])
                for step in product((0, 1), repeat=3)
            )
            if 0 < code < 255:
                found.append((corner, areas[code]))
        corners.append(np.array([corner for corner, _ in found]))
        weights.append(np.array([area for _, area in found]))
    percentiles = []
    for distances, weight in zip(brute_distances(*corners, spacing), weights, strict=True):
        order = np.argsort(distances)
        percentiles.append(distances[order][np.cumsum(weight[order]) >= 0.95 * weight.sum() - 1e-9][0])
    value = hausdorff95_mm(*masks, spacing, definition="area_weighted")
    assert value == pytest.approx(max(percentiles), abs=1e-9)


@every_definition
def test_two_voxels_one_apart_along_y_at_3_mm_are_3_mm_apart(definition):
    one, two = mask_of((4, 4, 4)), mask_of((4, 5, 4))
    assert hausdorff95_mm(one, two, (1.0, 3.0, 1.0), definition=definition) == 3.0


@every_definition
def test_voxels_in_opposite_corners_are_a_diagonal_apart(definition):
    one, two = mask_of((0, 0, 0)), mask_of((9, 9, 9))
    assert hausdorff95_mm(one, two, (1.0, 2.0, 2.0), definition=definition) == pytest.approx(27.0)


def test_an_island_in_20_voxels_moves_the_direction_that_sees_it_but_hardly_the_pool():
    rod = mask_of(*[(0, 0, z) for z in range(19)], shape=(12, 1, 19))
    with_island = rod.copy()
    with_island[10, 0, 0] = True  # 1 of 20 voxels, 10 mm away: rank 18.05 of 0 to 19
    assert hausdorff95_mm(rod, with_island, MM) == pytest.approx(0.5)
    assert hausdorff95_mm(rod, with_island, MM, definition="pooled") == 0.0


@every_definition
def test_identical_masks_are_0_mm_apart(definition):
    mask, _ = blobs(7)
    assert hausdorff95_mm(mask, mask.copy(), LONG, definition=definition) == 0.0


@every_definition
@pytest.mark.parametrize("seed", [1, 2])
def test_exchanging_mirroring_turning_and_embedding_change_nothing(definition, seed):
    reference, prediction = blobs(seed)
    value = hausdorff95_mm(reference, prediction, LONG, definition=definition)

    def again(one, two, spacing=LONG):
        assert hausdorff95_mm(one, two, spacing, definition=definition) == pytest.approx(value, abs=1e-9)

    again(prediction, reference)
    again(reference[::-1, :, ::-1], prediction[::-1, :, ::-1])
    again(reference.transpose(2, 0, 1), prediction.transpose(2, 0, 1), (LONG[2], LONG[0], LONG[1]))
    again(np.pad(reference, ((3, 9), (0, 5), (7, 0))), np.pad(prediction, ((3, 9), (0, 5), (7, 0))))


@every_definition
def test_voxels_twice_as_long_double_the_distance(definition):
    reference, prediction = blobs(3)
    once = hausdorff95_mm(reference, prediction, LONG, definition=definition)
    twice = hausdorff95_mm(reference, prediction, tuple(2 * s for s in LONG), definition=definition)
    assert twice == pytest.approx(2 * once)


@every_definition
def test_masks_may_lie_in_memory_in_any_order(definition):
    reference, prediction = blobs(5)
    value = hausdorff95_mm(reference, prediction, LONG, definition=definition)
    assert hausdorff95_mm(np.asfortranarray(reference), prediction, LONG, definition=definition) == value


@every_definition
def test_empty_masks_follow_the_rule(definition):
    empty, voxel = mask_of(), mask_of((1, 2, 3))
    rule = WhenEmpty(both=-1.0, reference=-2.0, prediction=-3.0)
    values = [
        hausdorff95_mm(a, b, MM, definition=definition, when_empty=rule)
        for a, b in ((empty, empty), (empty, voxel), (voxel, empty), (voxel, voxel))
    ]
    assert values == [-1.0, -2.0, -3.0, 0.0]


def test_brats2020_gives_the_diagonal_of_its_grid_for_one_empty_mask():
    assert (RULE.both, RULE.reference, RULE.prediction) == (0.0, 373.12866, 373.12866)
    assert RULE.reference == pytest.approx(np.sqrt(240**2 + 240**2 + 155**2), abs=1e-5)


def test_the_surface_of_a_cube_of_27_is_all_but_its_centre():
    cube = np.ones((3, 3, 3), bool)
    surface = surface_voxels(cube)
    assert surface.sum() == 26
    assert not surface[1, 1, 1]


def test_every_code_has_an_area_and_only_empty_and_full_have_none():
    areas = code_areas_mm2(MM)
    assert np.isfinite(areas).all()
    assert np.flatnonzero(areas == 0).tolist() == [0, 255]


def test_inside_and_outside_have_the_same_area():
    areas = code_areas_mm2(LONG)
    assert np.allclose(areas, areas[::-1])


def test_the_area_of_a_box_is_that_of_its_faces_less_what_its_edges_and_corners_cut_off():
    # Of the flat faces every inner corner of voxels carries one whole face: (n - 1)(m - 1) of them a side.
    mask = np.pad(np.ones((4, 5, 6), bool), 1)
    codes = corner_codes(mask)
    flat = np.isin(codes, [0b00001111, 0b11110000, 0b00110011, 0b11001100, 0b01010101, 0b10101010])
    areas = code_areas_mm2((1.0, 2.0, 3.0))
    assert areas[codes[flat]].sum() == pytest.approx(2 * (3 * 4 * 2 + 3 * 5 * 3 + 4 * 5 * 6))
    edges = areas[codes[~flat]].sum()
    # Edges run as chamfers of half a voxel; each corner is cut by one triangle.
    chamfer_x, chamfer_y, chamfer_z = np.hypot(1, 1.5), np.hypot(0.5, 1.5), np.hypot(0.5, 1)
    triangle = np.linalg.norm([6, 3, 2]) / 8
    expected = 4 * (3 * chamfer_x * 1 + 4 * chamfer_y * 2 + 5 * chamfer_z * 3) + 8 * triangle
    assert edges == pytest.approx(expected)


def test_masks_on_two_grids_are_refused():
    with pytest.raises(ValueError, match="do not share one grid"):
        hausdorff95_mm(mask_of(), mask_of(shape=(10, 10, 9)), MM)


def test_a_spacing_of_zero_is_refused():
    with pytest.raises(ValueError, match="Expected 3 positive spacings"):
        hausdorff95_mm(mask_of(), mask_of(), (1.0, 0.0, 1.0))


def test_an_unknown_definition_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="per_direction_max, pooled, area_weighted"):
        hausdorff95_mm(mask_of((1, 1, 1)), mask_of((1, 1, 1)), MM, definition="mean")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [MM, LONG])
def test_average_surface_distance_equals_all_pairs_of_surface_voxels(seed, spacing):
    reference, prediction = blobs(seed)
    there, back = brute_distances(brute_surface(reference), brute_surface(prediction), spacing)
    pooled = Surfaces(reference, prediction, spacing).average_mm("pooled")
    assert pooled == pytest.approx(np.concatenate([there, back]).mean(), abs=1e-9)
    mean = Surfaces(reference, prediction, spacing).average_mm("mean_of_directions")
    assert mean == pytest.approx((there.mean() + back.mean()) / 2, abs=1e-9)


@pytest.mark.parametrize("definition", ASSD_DEFINITIONS)
def test_average_surface_distance_of_two_voxels_3_mm_apart_is_3_mm_or_that_of_their_corners(definition):
    value = Surfaces(mask_of((4, 4, 4)), mask_of((4, 5, 4)), (1.0, 3.0, 1.0)).average_mm(definition)
    assert value == (1.5 if definition == "area_weighted" else 3.0)  # four of eight corners are shared


def test_surface_dice_counts_the_corners_within_the_tolerance_itself_included():
    one, two = mask_of((4, 4, 4)), mask_of((4, 5, 4))
    assert Surfaces(one, two, (1.0, 3.0, 1.0)).dice(2.9) == pytest.approx(0.5)
    assert Surfaces(one, two, (1.0, 3.0, 1.0)).dice(3.0) == 1.0
    assert Surfaces(one, one, MM).dice(0.0) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_surface_dice_grows_with_the_tolerance_to_1(seed):
    values = [Surfaces(*blobs(seed), LONG).dice(tolerance) for tolerance in (0, 0.5, 1, 2, 5, 100)]
    assert values == sorted(values)
    assert values[-1] == 1.0


def test_what_has_no_surface_distance_is_refused():
    with pytest.raises(ValueError, match="no definition of ASSD named median"):
        Surfaces(mask_of((1, 1, 1)), mask_of((1, 1, 1)), MM).average_mm("median")
    with pytest.raises(ValueError, match="tolerance is 0 mm or more"):
        Surfaces(mask_of((1, 1, 1)), mask_of((1, 1, 1)), MM).dice(-1.0)
    with pytest.raises(ValueError, match="An empty mask has no surface"):
        Surfaces(mask_of(), mask_of((1, 1, 1)), MM)


def test_the_inside_of_a_mask_is_no_surface_neither_of_voxels_nor_of_corners():
    """A voxel in the middle of a cube of 7³: its corners are 3 voxel edges from the faces, its centre 3 from theirs."""
    cube, centre = np.zeros((2, 9, 9, 9), bool)
    cube[1:8, 1:8, 1:8] = True
    centre[4, 4, 4] = True
    surfaces = Surfaces(cube, centre, MM)
    assert set(surfaces.corners.back.tolist()) == set(surfaces.voxels.back.tolist()) == {3.0}
    assert (len(surfaces.corners.there), len(surfaces.corners.back)) == (8**3 - 6**3, 8)
    assert (len(surfaces.voxels.there), len(surfaces.voxels.back)) == (7**3 - 5**3, 1)


@pytest.mark.parametrize(
    ("corners", "area"),
    [
        ("111", 0.2165),
        ("110 111", 0.7071),
        ("101 110", 0.4330),
        ("101 110 111", 1.1495),
        ("100 101 110 111", 1.0),
        ("011 101 110", 0.6495),
        ("011 101 110 111", 1.2990),
        ("011 100", 0.4330),
        ("011 100 111", 0.9236),
        ("011 100 110 111", 1.5731),
        ("011 100 101 110", 1.3660),
        ("010 011 100 101", 1.4142),
        ("001 010 100 111", 0.8660),
    ],
)
def test_the_area_of_each_cut_of_a_cube_of_1_mm(corners, area):
    """Triangles of edges between middles of voxel edges: √3/8, √3/4, √2/4 (half a chamfer), 1/2 mm² and so on."""
    code = sum(1 << int(corner, 2) for corner in corners.split())
    assert code_areas_mm2(MM)[code] == pytest.approx(area, abs=1e-4)
