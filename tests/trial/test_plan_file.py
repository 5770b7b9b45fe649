"""The text of a plan file; the whole file is tested with the command `brats-unet plan`."""

import pytest

from brats_unet.trial.plan_file import seconds_text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.214, "0.21 s"), (95, "95 s"), (200, "3.3 minutes"), (7200, "2.0 hours"), (5e5, "5.8 days")]
)
def test_a_time_is_given_in_the_usual_unit(seconds, text):
    assert seconds_text(seconds) == text
