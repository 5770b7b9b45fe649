"""prediction.json says enough to turn probabilities into the mask that predict writes, for every scheme."""

import json
from itertools import cycle

import numpy as np
import pytest
from scipy import ndimage

from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.inference.exported import describe_export
from brats_unet.inference.network import recipe
from brats_unet.inference.postprocess import Postprocessing, labels_of, regions_of
from brats_unet.inference.recipe_text import postprocessing_sentences
from brats_unet.schemes.convention import conventions
from tests.inference import by_description
from tests.inference.scheme_examples import FIVE, GLIOMA, LESION, POST, SCHEMES

SPACING = (1.0, 1.0, 1.5)


def described(scheme, convention, rules):
    told = recipe(
        model={"name": "unet3d"},
        outputs="regions",
        logits=len(scheme.predicted),
        stride=(2, 2, 2),
        preparation=Preparation(("flair",)),
        inference={"mode": "whole", "tile": [16] * 3, "overlap": 0.5},
        scheme=scheme,
        convention=convention,
        precision="float32",
    )
    content = describe_export(told, rules, form="onnx", rank=3, stride=(1, 1, 1), source={}, hashes={})
    return json.loads(json.dumps(content))


def drawn_rules(scheme, draw):
    choices = {
        "threshold": (0.4, 0.5, 0.6),
        "least_component_mm3": (0.0, 4.0, 30.0),
        "least_component_probability": (0.0, 0.6, 0.65),
        "fill_holes": (False, True),
        "least_total_mm3": (0.0, 50.0, 400.0),
    }
    return Postprocessing(
        **{
            rule: {region: values[draw.integers(len(values))] for region in regions_of(rule, scheme)}
            for rule, values in choices.items()
        }
    )


@pytest.mark.parametrize("name", SCHEMES)
def test_the_description_alone_gives_the_mask(name):
    scheme, draw, seen = SCHEMES[name], np.random.default_rng(0), set()
    for _, convention in zip(range(24), cycle(conventions(scheme).values()), strict=False):
        noise = ndimage.gaussian_filter(draw.standard_normal((13, 12, 11, len(scheme.predicted))), (1.2, 1.2, 1.2, 0))
        shares = np.clip(0.5 + 0.2 * noise / noise.std(), 0, 1).astype(np.float32)
        rules = drawn_rules(scheme, draw)
        labels = labels_of(shares, SPACING, rules, scheme)
        seen |= set(np.unique(labels).tolist())
        found = by_description.mask_of(described(scheme, convention.name, rules), shares, SPACING)
        np.testing.assert_array_equal(found, convention.encode(labels))
    assert seen == set(scheme.class_values)


def test_a_description_lists_regions_rules_and_integers_by_the_scheme():
    content = described(POST, "brats2024", Postprocessing(threshold={"RC": 0.4}))
    assert content["network"]["output"]["regions"] == ["WT", "TC", "ET", "RC"]
    assert content["postprocessing"]["threshold"] == {"WT": 0.5, "TC": 0.5, "ET": 0.5, "RC": 0.4}
    assert content["postprocessing"]["least_total_mm3"] == {"ET": 0.0}
    assert content["labels"]["integers"] == {
        "background": 0,
        "non-enhancing tumour core": 1,
        "surrounding FLAIR hyperintensity": 2,
        "enhancing tissue": 3,
        "resection cavity": 4,
    }
    assert "by_regions" not in content["labels"]


def test_overlapping_regions_come_with_a_table_of_all_combinations():
    table = described(FIVE, "five", Postprocessing())["labels"]["by_regions"]
    assert len(table) == 32 and table[""] == 0 and table["R1+R2"] == 2 and table["R1+R5"] == 1 and table["R3"] == 3


def test_the_sentences_of_a_glioma_name_its_regions_and_tissues():
    sentences = postprocessing_sentences(GLIOMA)
    assert sentences[0].endswith("Every voxel of ET also belongs to TC, and every voxel of TC to WT.")
    assert sentences[1].startswith("Then clean the regions in the order WT, TC, ET: remove from the region the voxels")
    assert sentences[2] == "If the total volume of ET is below least_total_mm3, remove ET."
    assert "innermost region that contains it: enhancing for ET, necrotic or non-enhancing core for TC" in sentences[3]


def test_nesting_is_mentioned_only_where_regions_are_nested():
    for scheme in (LESION, FIVE):
        text = " ".join(postprocessing_sentences(scheme))
        assert "also belongs" not in text and "around it" not in text
    assert "RC" not in postprocessing_sentences(POST)[0]
