"""The rules of BraTS 2026 that no formula shows: nothing in common, nothing predicted, nothing there."""

import math

import numpy as np
import pytest

from brats_unet.evaluation.score import score_case
from brats_unet.metrics.protocols import PROTOCOLS, protocol_for
from brats_unet.schemes.scheme import PROTOCOL_NAMES
from brats_unet.schemes.scheme_file import builtin, builtin_names

POST = builtin("glioma_post")


def labels(**voxels):
    array = np.zeros((12, 12, 12), np.uint8)
    for name, corner in voxels.items():
        array[tuple(slice(c, c + 3) for c in corner)] = POST.labels[name].value
    return array


def scores(reference, prediction, **options):
    rows = score_case("a", reference, prediction, (1.0, 1.0, 1.0), scheme=POST, protocol="brats2026", **options)
    return {(row.region, row.metric): row.value for row in rows}


def test_masks_without_a_common_voxel_score_as_an_empty_prediction():
    found = scores(labels(RC=(0, 0, 0)), labels(RC=(3, 0, 0)))
    assert (found["RC", "dice"], found["RC", "nsd_1mm"], found["RC", "hd95"]) == (0, 0, 373)
    assert (found["RC", "instances_missed"], found["RC", "instances_false"], found["RC", "instance_f1"]) == (1, 1, 0)
    assert (found["RC", "sensitivity"], found["RC", "precision"]) == (0, 0)


def test_a_region_that_neither_mask_has_is_in_no_mean():
    found = scores(labels(RC=(0, 0, 0)), labels(RC=(0, 0, 0)))
    for metric in ("dice", "nsd_1mm", "hd95", "instance_f1", "instance_dice"):
        assert math.isnan(found["ET", metric]) and not math.isnan(found["RC", metric])


def test_a_missing_prediction_fails_also_where_the_reference_has_nothing():
    reference, nothing = labels(RC=(0, 0, 0)), labels()
    found = scores(reference, nothing, missing=True)
    for region in POST.scored:
        assert (found[region, "dice"], found[region, "nsd_2mm"], found[region, "hd95"]) == (0, 0, 373)
        assert (found[region, "instance_f1"], found[region, "instance_dice"]) == (0, 0)
    assert (found["RC", "instances_missed"], found["ET", "instances_missed"]) == (1, 0)
    empty = scores(reference, nothing)
    assert math.isnan(empty["ET", "dice"]) and empty["RC", "dice"] == 0


def test_the_surface_dice_is_the_mean_of_the_shares_of_both_surfaces():
    # 26 surface voxels each; after a shift by one, the 9 of the far side lie 1 mm away, 2 x 9 of the near one within.
    found = scores(labels(RC=(0, 0, 0)), labels(RC=(1, 0, 0)), tolerances_mm=[0.5, 1])
    assert found["RC", "nsd_1mm"] == 1
    assert found["RC", "nsd_0.5mm"] == pytest.approx(16 / 26)


@pytest.mark.parametrize("name", builtin_names())
def test_the_scheme_chooses_the_protocol_unless_it_is_set(name):
    instances = name in ("glioma_post", "paediatric", "metastasis", "metastasis_post", "meningioma_rt")
    assert protocol_for("auto", builtin(name)) == ("brats2026" if instances else "brats2020", f"scheme {name}")
    assert protocol_for("nnunet", builtin(name)) == ("nnunet", "set by protocol")


def test_a_scheme_may_name_every_protocol_and_no_other():
    assert tuple(PROTOCOLS) == PROTOCOL_NAMES
    assert all(protocol.name == name for name, protocol in PROTOCOLS.items())
