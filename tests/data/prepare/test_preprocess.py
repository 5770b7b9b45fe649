from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from brats_unet.data.prepare import prepared_labels as labels_module
from brats_unet.data.prepare import preprocess
from brats_unet.data.prepare.grid import Grid
from brats_unet.data.prepare.prepared_labels import foreground_positions, prepared_labels
from brats_unet.data.prepare.preprocess import Preparation, normalised, prepare
from brats_unet.errors import DataError, SettingsError
from brats_unet.geometry import Box
from brats_unet.modality import Modality
from brats_unet.nifti import read_volume, write_volume
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Case, ImageFile, Turn, Volume, turn_to_lps
from tests.glioma import Region, labels_from_regions, region_mask, region_masks

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHAPE = (16, 15, 14)
BRAIN = (slice(3, 13), slice(2, 12), slice(1, 12))
OPTIONS = {"spacing_mm": [1, 1, 1], "crop": "brain", "normalise": "zscore"}
PLAIN = Preparation((Modality.FLAIR, Modality.T1CE))
BRATS = conventions(builtin())["brats2017"]


def scans(background=0):
    """FLAIR and T1ce: a brain of noise on a constant background, with one background voxel inside the brain."""
    rng = np.random.default_rng(3)
    made = {}
    for modality in PLAIN.modalities:
        scan = np.full(SHAPE, background, np.int16)
        scan[BRAIN] = rng.integers(100, 900, size=scan[BRAIN].shape)
        scan[8, 8, 8] = background
        made[modality] = scan
    return made


def mask():
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:10, 4:10, 3:9] = 2
    labels[5:9, 5:9, 4:8] = 1
    labels[6:8, 6:8, 5:7] = 4
    return labels


@pytest.fixture
def written(tmp_path):
    """Function that writes a case: (scans, mask or None, affine, turn) -> Case; the arrays are stored by the turn."""

    def write(arrays=None, labels="drawn", affine=LPS, stored=None, case_id="case"):
        store = (lambda array: array) if stored is None else stored.undo
        arrays = scans() if arrays is None else arrays
        folder = tmp_path / case_id
        folder.mkdir(exist_ok=True)
        images = {}
        for modality, array in arrays.items():
            path = folder / f"{case_id}_{modality}.nii"
            write_volume(path, Volume(np.ascontiguousarray(store(array)), affine))
            images[modality] = ImageFile(path)
        if labels is None:
            return Case(case_id, images)
        drawn = mask() if isinstance(labels, str) else labels
        write_volume(folder / f"{case_id}_seg.nii", Volume(np.ascontiguousarray(store(drawn)), affine))
        return Case(case_id, images, folder / f"{case_id}_seg.nii")

    return write


def test_the_image_is_the_cropped_brain_in_float16_with_uint8_labels(written):
    prepared = prepare(written(), PLAIN, BRATS)
    assert prepared.grid.box.start == (3, 2, 1) and prepared.grid.box.stop == (13, 12, 12)
    assert prepared.image.shape == (10, 10, 11, 2) and prepared.image.dtype == np.float16
    assert prepared.labels.dtype == np.uint8 and prepared.brain.dtype == bool and prepared.brain.all()
    np.testing.assert_array_equal(prepared.labels, mask()[BRAIN])


@pytest.mark.parametrize("background", [0, -1000, 77])
def test_intensities_have_mean_0_and_deviation_1_in_the_brain_whatever_the_background(written, background):
    arrays = scans(background)
    prepared = prepare(written(arrays), PLAIN, BRATS)
    for channel, scan in enumerate(arrays.values()):
        values = scan[scan != background].astype(float)
        expected = (scan[BRAIN] - values.mean()) / values.std()
        np.testing.assert_allclose(prepared.image[..., channel], expected, atol=2e-3 * max(1, abs(expected.min())))
        inside = prepared.image[..., channel][scan[BRAIN] != background].astype(float)
        assert inside.mean() == pytest.approx(0, abs=1e-3) and inside.std() == pytest.approx(1, abs=1e-3)


def test_outside_the_brain_is_exactly_0(written):
    arrays = scans(-5)
    for scan in arrays.values():
        scan[3:6, 2:6, 1:6] = -5  # a corner of the box that is background
    prepared = prepare(written(arrays), PLAIN, BRATS)
    assert not prepared.brain[:3, :4, :5].any() and prepared.brain[3:, 4:, 5:].all()
    assert (prepared.image[~prepared.brain] == 0).all()


def test_a_hole_in_the_brain_counts_as_brain(written):
    assert prepare(written(), PLAIN, BRATS).brain[8 - 3, 8 - 2, 8 - 1]


def test_brain_that_only_one_modality_shows_is_kept(written):
    arrays = scans()
    arrays[Modality.T1CE][:, :, 9:] = 0
    prepared = prepare(written(arrays), PLAIN, BRATS)
    assert prepared.brain.all() and prepared.image.shape[:3] == (10, 10, 11)


def test_crop_none_keeps_the_whole_volume(written):
    prepared = prepare(written(), replace(PLAIN, crop="none"), BRATS)
    assert prepared.image.shape[:3] == SHAPE
    assert (prepared.image[0] == 0).all() and not prepared.brain[0].any()
    np.testing.assert_array_equal(prepared.labels, mask())


def test_max_divides_by_the_largest_value(written):
    prepared = prepare(written(), replace(PLAIN, normalise="max"), BRATS)
    for channel, scan in enumerate(scans().values()):
        np.testing.assert_allclose(prepared.image[..., channel], scan[BRAIN] / scan.max(), atol=1e-3)
    assert prepared.image.max() == 1


def test_a_brain_of_one_value_becomes_0_without_division_by_0():
    scan = np.full((3, 3, 3), 7, np.int16)
    assert (normalised(scan, np.ones((3, 3, 3), bool), "zscore") == 0).all()
    assert (normalised(scan * 0, np.ones((3, 3, 3), bool), "max") == 0).all()


def test_modalities_become_channels_in_their_fixed_order_whatever_order_is_given(written):
    arrays = scans()
    asked = Preparation.of(["t1ce", "flair"], OPTIONS)
    assert asked.modalities == (Modality.FLAIR, Modality.T1CE)
    one = prepare(written(arrays), Preparation.of(["t1ce"], OPTIONS), BRATS)
    both = prepare(written(arrays), asked, BRATS)
    np.testing.assert_array_equal(one.image[..., 0], both.image[..., 1])


@pytest.mark.parametrize("reverse", list(product((False, True), repeat=3)))
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_a_case_is_prepared_the_same_however_its_axes_are_stored(written, axes, reverse):
    stored = Turn(axes, reverse)
    affine = np.eye(4)
    for axis, (voxel, reversed_) in enumerate(zip(axes, reverse, strict=True)):
        affine[axis, :3] = 0
        affine[axis, voxel] = LPS[axis, axis] * (-1 if reversed_ else 1)
    plain = prepare(written(case_id="plain"), PLAIN, BRATS)
    turned = prepare(written(affine=affine, stored=stored, case_id="turned"), PLAIN, BRATS)
    assert turned.grid.turn == stored
    np.testing.assert_array_equal(turned.image, plain.image)
    np.testing.assert_array_equal(turned.brain, plain.brain)
    np.testing.assert_array_equal(turned.labels, plain.labels)
    assert all((turned.foreground[region] == plain.foreground[region]).all() for region in Region)
    np.testing.assert_array_equal(turned.grid.to_case(turned.labels), stored.undo(mask()))


@pytest.mark.parametrize("crop", ["brain", "none"])
def test_prepared_labels_mapped_back_are_those_of_the_case(written, crop):
    prepared = prepare(written(), replace(PLAIN, crop=crop), BRATS)
    back = labels_from_regions(prepared.grid.to_case(region_masks(prepared.labels)))
    np.testing.assert_array_equal(back, mask())


def test_at_2_mm_a_region_holds_the_voxels_that_it_fills_at_least_half():
    labels = np.zeros((4, 2, 2), np.uint8)
    labels[0, 0] = 4  # two voxels of eight
    labels[2, :, :] = 4  # four voxels of eight
    labels[3, 0, 0] = 2
    affine = tuple(tuple(float(v) for v in row) for row in LPS)
    halved = Grid((4, 2, 2), affine, turn_to_lps(LPS), Box((0, 0, 0), (4, 2, 2)), (2.0, 2.0, 2.0))
    assert prepared_labels(labels, halved, builtin()).ravel().tolist() == [0, 4]
    labels[0, 1] = 2  # now half of the coarse voxel is tumour, but less than half of it is enhancing
    assert prepared_labels(labels, halved, builtin()).ravel().tolist() == [2, 4]


def test_a_mask_that_would_be_lost_is_an_error(written):
    with pytest.raises(DataError, match=r"WT \(216 voxels\) and TC .* and ET .* would be lost.*0\.06×0\.06×0\.06 mm"):
        prepare(written(affine=np.diag([-0.06, -0.06, 0.06, 1])), PLAIN, BRATS)


def test_a_mask_outside_the_brain_is_an_error_where_it_would_be_cut_off(written):
    outside = mask()
    outside[0, 0, 0] = 2
    with pytest.raises(
        DataError, match=r"1 voxels of the mask lie outside the brain or head.*data\.preparation\.crop=none"
    ):
        prepare(written(labels=outside), PLAIN, BRATS)
    kept = prepare(written(labels=outside), replace(PLAIN, crop="none"), BRATS)
    np.testing.assert_array_equal(kept.labels, outside)


def test_a_speck_may_be_lost_at_a_larger_spacing_but_not_a_region_of_eight_voxels(written):
    speck = np.zeros(SHAPE, np.uint8)
    speck[4:12, 3:11, 2:10] = 2
    speck[5, 5, 5] = 4
    kept = prepare(written(labels=speck), replace(PLAIN, spacing_mm=(2.0, 2.0, 2.0)), BRATS)
    assert len(kept.foreground["ET"]) == 0 and len(kept.foreground["WT"])
    scattered = speck.copy()
    scattered[4:12:2, 3:11:2, 2:10:2] = 4  # 64 voxels of 1 mm, one in each voxel of 2 mm
    with pytest.raises(DataError, match=r"ET \(6. voxels\) of the mask would be lost"):
        prepare(written(labels=scattered), replace(PLAIN, spacing_mm=(2.0, 2.0, 2.0)), BRATS)


def test_at_2_mm_image_brain_and_labels_share_one_grid(written):
    prepared = prepare(written(), replace(PLAIN, spacing_mm=(2.0, 2.0, 2.0)), BRATS)
    assert prepared.grid.lead == (
        0,
        0,
        1.5,
    )  # 10 × 10 × 11 voxels: the centre of the brain is the centre of a 2 mm voxel
    assert prepared.image.shape[:3] == prepared.labels.shape == prepared.brain.shape == (5, 5, 7)
    full = prepare(written(), PLAIN, BRATS).image.astype(np.float32)
    np.testing.assert_allclose(prepared.image[0, 0, 0], full[:2, :2, 0].mean((0, 1)), atol=2e-3)
    next_one = np.average(full[:2, :2, :3].mean((0, 1)), axis=0, weights=[0.5, 1, 0.5])
    np.testing.assert_allclose(prepared.image[0, 0, 1], next_one, atol=2e-3)
    assert prepared.grid.to_case(prepared.image).shape[:3] == SHAPE


def test_a_stray_voxel_beside_the_brain_hardly_moves_the_2_mm_grid(written):
    coarse = replace(PLAIN, spacing_mm=(2.0, 2.0, 2.0))
    arrays = scans()
    for scan in arrays.values():
        scan[2, 6, 6] = 500
    clean, stray = prepare(written(), coarse, BRATS), prepare(written(arrays, case_id="stray"), coarse, BRATS)
    assert stray.grid.box.start[0] == clean.grid.box.start[0] - 1
    start = [prepared.grid.box.start[0] - prepared.grid.lead[0] for prepared in (clean, stray)]
    assert (start[1] - start[0]) % 2 == pytest.approx(2, abs=0.01)


def test_without_a_crop_the_resampled_grid_starts_at_the_first_voxel(written):
    prepared = prepare(written(), replace(PLAIN, spacing_mm=(2.0, 2.0, 2.0), crop="none"), BRATS)
    assert prepared.grid.lead == (0, 0, 0) and prepared.grid.shape == (8, 8, 7)


def test_a_spacing_within_a_thousandth_is_not_resampled(written):
    affine = np.diag([-1.0004, -0.9996, 1.0, 1.0])
    assert prepare(written(affine=affine), PLAIN, BRATS).grid.ratio == (1.0, 1.0, 1.0)


def test_a_turned_case_is_resampled_along_its_own_long_axis(written):
    affine = np.array(
        [[0, 0, -1.0, 0], [0, -1, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1]]
    )  # the first voxel axis runs upwards, 3 mm per voxel
    prepared = prepare(written(affine=affine), PLAIN, BRATS)
    assert prepared.grid.ratio == pytest.approx((1, 1, 1 / 3))


def test_foreground_positions_lie_in_their_region_and_are_the_same_every_time(written):
    first, again = (prepare(written(), PLAIN, BRATS) for _ in range(2))
    for region in Region:
        positions = first.foreground[region]
        inside = region_mask(first.labels, region)
        assert positions.dtype == np.int16 and len(positions) == inside.sum()
        assert inside[tuple(positions.T)].all()
        np.testing.assert_array_equal(positions, again.foreground[region])


def test_foreground_positions_are_limited_and_spread_over_the_region(monkeypatch):
    monkeypatch.setattr(labels_module, "FOREGROUND_POSITIONS", 500)
    labels = np.full((20, 10, 10), 2, np.uint8)
    positions = foreground_positions(labels, "BraTS20_Training_001", builtin())
    assert len(positions[Region.WT]) == len(np.unique(positions[Region.WT], axis=0)) == 500
    assert positions[Region.ET].shape == (0, 3)
    assert positions[Region.WT][:, 0].mean() == pytest.approx(9.5, abs=1)
    other = foreground_positions(labels, "BraTS20_Training_002", builtin())
    assert not np.array_equal(positions[Region.WT], other[Region.WT])


def test_without_a_mask_or_a_convention_there_are_no_labels(written):
    for case, convention in ((written(labels=None), BRATS), (written(), None)):
        prepared = prepare(case, PLAIN, convention)
        assert prepared.labels is None and prepared.foreground == {} and prepared.image.shape[-1] == 2


def test_the_mask_is_decoded_by_its_convention(written):
    labels = mask()
    labels[labels == 4] = 3
    prepared = prepare(written(labels=labels), PLAIN, conventions(builtin())["brats2023"])
    np.testing.assert_array_equal(prepared.labels, mask()[BRAIN])


def refused(case, preparation=PLAIN):
    with pytest.raises(DataError) as caught:
        prepare(case, preparation, BRATS)
    message = str(caught.value)
    assert message.startswith("case: ") and "\n" not in message
    return message


def test_a_label_outside_the_convention_is_refused(written):
    labels = mask()
    labels[6, 6, 6] = 99
    assert "label 99 (1 voxels)" in refused(written(labels=labels))


def test_a_constant_scan_is_refused(written):
    arrays = scans()
    arrays[Modality.T1CE][:] = 400
    assert "the t1ce volume is constant" in refused(written(arrays))


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e200])
def test_a_scan_that_is_not_finite_is_refused(written, value):
    arrays = {modality: scan.astype(np.float64) for modality, scan in scans().items()}
    arrays[Modality.FLAIR][5, 5, 5] = value
    assert "case_flair.nii holds voxels that are NaN, infinite or beyond 1e+30" in refused(written(arrays))


def test_intensities_beyond_float16_are_refused(written, monkeypatch):
    monkeypatch.setattr(preprocess, "FLOAT16_LARGEST", 2.0)
    assert "standard deviations from its mean, beyond what float16 can hold" in refused(written())


def test_a_scan_of_another_shape_is_refused(written):
    arrays = scans()
    arrays[Modality.T1CE] = arrays[Modality.T1CE][:-1]
    assert "the t1ce is (15, 15, 14) voxels, the flair (16, 15, 14). Expected one grid" in refused(written(arrays))


def moved(case, path, matrix):
    array = read_volume(path).array
    write_volume(path, Volume(array, matrix @ LPS))
    return case


def test_a_scan_or_mask_with_another_affine_is_refused(written):
    shift, stretch = np.eye(4), np.diag([1.02, 1, 1, 1])
    shift[0, 3] = 1
    case = written()
    assert "the t1ce is not aligned with the flair: by their affines, corners are up to 1 mm apart" in refused(
        moved(case, case.images[Modality.T1CE].path, shift)
    )
    case = written()
    assert "the mask is not aligned with the flair: by their affines, corners are up to 0.3 mm" in refused(
        moved(case, case.mask, stretch)
    )


def test_an_origin_of_minus_0_and_a_shift_of_0_01_mm_are_accepted(written):
    nearly = np.eye(4)
    nearly[0, 3], nearly[1, 3] = 0.01, -0.0
    case = written()
    prepare(moved(case, case.mask, nearly), PLAIN, BRATS)


def test_an_affine_that_gives_no_orientation_is_refused(written):
    with np.errstate(all="ignore"):
        case = written(affine=np.diag([1e-9, 1e-9, 1e-9, 1]))
        with pytest.raises(DataError, match=r"case_flair\.nii: The affine is singular or not finite"):
            prepare(case, PLAIN, BRATS)


@pytest.mark.parametrize(
    ("modalities", "change", "message"),
    [
        (["flair", "t3"], {}, "is not a list of different modalities. Choose from flair, t1, t1ce, t2"),
        (["flair", "flair"], {}, "is not a list of different modalities"),
        ([], {}, "is not a list of different modalities"),
        (["flair"], {"spacing_mm": [1, 1]}, "spacing_mm=.1.0, 1.0. is not three lengths in mm above 0"),
        (["flair"], {"spacing_mm": [1, 0, 1]}, r"spacing_mm.1.=0 does not fit. Expected a number above 0"),
        (["flair"], {"crop": "skull"}, "data.preparation.crop=skull is not a choice. Known: brain, head, none"),
        (["flair"], {"normalise": "minmax"}, "data.preparation.normalise=minmax is not a choice. Did you mean max"),
    ],
)
def test_invalid_settings_are_refused(modalities, change, message):
    with pytest.raises(SettingsError, match=message):
        Preparation.of(modalities, {**OPTIONS, **change})


def test_settings_survive_conversion_to_plain_types():
    recipe = Preparation((Modality.T1, Modality.T2), (2.0, 1.5, 1.0), "none", "max")
    assert Preparation.from_dict(recipe.as_dict()) == recipe


def test_with_fill_missing_a_missing_scan_becomes_a_channel_of_zeros(written):
    whole = written()
    partial = replace(whole, images={Modality.T1CE: whole.images[Modality.T1CE]})
    found = prepare(partial, PLAIN, BRATS, fill_missing=True)
    assert found.image.shape[-1] == 2 and not found.image[..., 0].any()
    np.testing.assert_array_equal(found.image[..., 1], prepare(whole, PLAIN, BRATS).image[..., 1])
    with pytest.raises(DataError, match=r"case: has none of the modalities that the network expects \(flair, t1ce\)"):
        prepare(replace(whole, images={}), PLAIN, None, fill_missing=True)


def test_scans_that_look_wrong_give_a_warning(written):
    found = prepare(written(), PLAIN, BRATS)
    assert len(found.warnings) == 1 and "fills only 0.00 litres" in found.warnings[0]


def test_a_tilted_scan_is_straightened_and_most_labels_map_back_unchanged(written):
    turned = np.deg2rad(20)
    tilted = LPS.copy()
    tilted[:2, :2] = [[-np.cos(turned), -np.sin(turned)], [np.sin(turned), -np.cos(turned)]]
    found = prepare(written(affine=tilted), PLAIN, BRATS)
    assert found.grid.straight is not None and Grid.from_dict(found.grid.as_dict()) == found.grid
    back = found.grid.to_case(region_masks(found.labels).astype(np.float32)) >= 0.5
    assert back.shape == (*SHAPE, 3)
    wrong = (back != region_masks(mask())).sum(axis=(0, 1, 2)) / region_masks(mask()).sum(axis=(0, 1, 2))
    assert (wrong < [0.15, 0.25, 0.6]).all()  # ET is only two voxels wide, so it loses most
