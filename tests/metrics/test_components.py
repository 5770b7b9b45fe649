"""Connected components, also of boxes in which cc3d has too little room."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from brats_unet.evaluation.score import score_case
from brats_unet.metrics.components import numbered_components
from brats_unet.schemes.scheme_file import builtin

EVERY = np.ones((3, 3, 3), bool)


def same(mask):
    """Whether the components are those of scipy, whatever their numbers are."""
    labels, count = numbered_components(mask)
    expected, n = ndimage.label(mask, EVERY)
    pairs = set(zip(labels.ravel().tolist(), expected.ravel().tolist(), strict=True))
    return count == n and labels.shape == mask.shape and len(pairs) == n + (not mask.all())


@pytest.mark.parametrize(
    "shape", [(9, 1, 1), (1, 9, 1), (1, 1, 9), (3, 3, 1), (3, 1, 3), (1, 3, 3), (2, 2, 2)], ids=str
)
def test_every_mask_of_a_thin_box_has_the_components_of_scipy(shape):
    for bits in product((False, True), repeat=int(np.prod(shape))):
        assert same(np.reshape(bits, shape))


@pytest.mark.parametrize("edge", [1, 2, 3, 4, 5, 7])
def test_every_other_voxel_of_any_box_is_a_component_of_its_own(edge):
    for shape in product((1, 3, 4, 5, edge), repeat=3):
        mask = np.zeros(shape, bool)
        mask[::2, ::2, ::2] = True
        assert same(mask) and numbered_components(mask)[1] == mask.sum()


@pytest.mark.parametrize(("protocol", "metric"), [("brats2026", "instances_false"), ("brats2023", "lesions_false")])
def test_two_stray_voxels_in_a_line_are_scored(protocol, metric):
    scheme = builtin("glioma_post")
    reference, prediction = np.zeros((2, 9, 9, 9), np.uint8)
    prediction[2, 4, 4] = prediction[4, 4, 4] = scheme.labels["RC"].value
    rows = score_case("a", reference, prediction, (1.0, 1.0, 1.0), scheme=scheme, protocol=protocol)
    assert [row.value for row in rows if (row.region, row.metric) == ("RC", metric)] == [2]
