"""Rules for empty masks."""

import math

import pytest

from brats_unet.errors import SettingsError
from brats_unet.metrics.empty import PROTOCOLS, WhenEmpty, protocol_named
from brats_unet.metrics.surface import DEFINITIONS


@pytest.mark.parametrize(
    ("reference_empty", "prediction_empty", "expected"),
    [(True, True, 1.0), (True, False, 2.0), (False, True, 3.0), (False, False, None)],
)
def test_a_rule_answers_by_which_mask_is_empty(reference_empty, prediction_empty, expected):
    rule = WhenEmpty(both=1.0, reference=2.0, prediction=3.0)
    assert rule.value(reference_empty=reference_empty, prediction_empty=prediction_empty) == expected


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_is_known_by_its_own_name_and_takes_a_known_distance(name):
    protocol = protocol_named(name)
    assert protocol.name == name
    assert protocol.hd95_definition in DEFINITIONS
    assert not math.isinf(protocol.hd95_mm.reference)


def test_a_misspelt_protocol_is_answered_with_the_right_one():
    with pytest.raises(SettingsError, match=r"no protocol named brats202\. Did you mean brats2020\?"):
        protocol_named("brats202")
