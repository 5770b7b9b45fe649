"""Rules for empty masks."""

import pytest

from brats_unet.metrics.empty import WhenEmpty


@pytest.mark.parametrize(
    ("reference_empty", "prediction_empty", "expected"),
    [(True, True, 1.0), (True, False, 2.0), (False, True, 3.0), (False, False, None)],
)
def test_a_rule_answers_by_which_mask_is_empty(reference_empty, prediction_empty, expected):
    rule = WhenEmpty(both=1.0, reference=2.0, prediction=3.0)
    assert rule.value(reference_empty=reference_empty, prediction_empty=prediction_empty) == expected
