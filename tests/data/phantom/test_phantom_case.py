"""Phantoms in memory: the voxels of gliomas stay as they were, and every label of a scheme occurs."""

import hashlib
import platform

import numpy as np
import pytest

from brats_unet.data.phantom.phantom_case import GLIOMA, LESIONS, OPERATED, kind_of, labels_of, phantom_case
from brats_unet.modality import Modality
from brats_unet.schemes.scheme_file import builtin, scheme_of

FIVE = scheme_of(
    {
        "labels": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 7},
        "regions": {"R1": ["a", "b", "c"], "R2": ["b", "c", "d"], "R3": ["c"], "R4": ["d", "e"], "R5": ["f", "a"]},
    }
)
EIGHT = scheme_of(
    {
        "labels": {f"L{i}": i for i in range(1, 9)},
        "regions": {f"R{i}": [f"L{j}" for j in range(i, 9)] for i in range(1, 9)},
    }
)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="other processors round differently")
@pytest.mark.parametrize(
    ("seed", "index", "scale", "digest"),
    [(3, 7, 0.25, "4a215b20f6105647"), (5, 3, 0.4, "204a6484839741e7"), (5, 2, 0.2, "8516bf4dd7a0ce14")],
)
def test_the_voxels_of_gliomas_are_those_from_before_there_were_schemes(seed, index, scale, digest):
    case = phantom_case(seed, index, scheme=builtin(), scale=scale)
    found = hashlib.blake2b(digest_size=8)
    for array in (*(case.images[modality] for modality in Modality), case.labels, case.affine):
        found.update(np.ascontiguousarray(array).tobytes())
    assert found.hexdigest() == digest


def test_the_labels_of_the_predicted_regions_decide_the_kind():
    assert kind_of(builtin()) is GLIOMA
    assert kind_of(builtin("glioma_post")) is OPERATED
    assert kind_of(builtin("lesion")) is kind_of(FIVE) is LESIONS


def test_labels_in_more_regions_lie_further_inside():
    assert labels_of(builtin()) == ["ED", "NCR", "ET"]
    assert labels_of(FIVE) == ["e", "f", "a", "b", "d", "c"]
    assert labels_of(EIGHT) == [f"L{i}" for i in range(1, 9)]


@pytest.mark.parametrize(
    "scheme",
    [builtin("glioma_post"), builtin("lesion"), FIVE, EIGHT],
    ids=lambda s: f"{s.name}{len(s.labels)}",
)
def test_every_label_of_a_predicted_region_occurs_in_the_first_three_cases(scheme):
    found: set[int] = set()
    for index in range(3):
        found |= set(np.unique(phantom_case(0, index, scheme=scheme, scale=0.35).labels).tolist())
    assert found == {0, *(scheme.labels[name].value for name in scheme.classes)}


def test_some_cases_of_a_scheme_of_lesions_have_none():
    case = phantom_case(0, 5, scheme=builtin("lesion"), scale=0.2)
    assert case.variety == "none"
    assert not case.labels.any()


def test_other_kinds_have_other_heads_and_no_grades():
    glioma, post = (phantom_case(0, 0, scheme=builtin(name), scale=0.2) for name in ("glioma", "glioma_post"))
    assert (glioma.grade, post.grade) == ("HGG", None)
    assert (glioma.images[Modality.T1] > 0).sum() != (post.images[Modality.T1] > 0).sum()
