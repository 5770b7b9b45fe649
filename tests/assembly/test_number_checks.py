import math
from types import SimpleNamespace

import pytest

from brats_unet.assembly.number_checks import check_numbers
from brats_unet.errors import SettingsError


def settings(**changed):
    """As `train` gives them, with `part__key` or `key` changed."""
    found = SimpleNamespace(
        steps=100,
        minutes=None,
        sampling=SimpleNamespace(
            batch=4, accumulate=1, foreground=0.3, regions={"WT": 1, "TC": 0, "ET": 2}, slices=None
        ),
        validation=SimpleNamespace(every=0.1),
    )
    for key, value in changed.items():
        part, _, option = key.rpartition("__")
        setattr(getattr(found, part) if part else found, option, value)
    return found


@pytest.mark.parametrize(
    "changed",
    [{}, {"steps": None, "minutes": 0.5}, {"minutes": 60}, {"sampling__accumulate": 2}, {"sampling__slices": [3, 4]}],
)
def test_sensible_numbers_pass(changed):
    check_numbers(settings(**changed), 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": 0}, "steps=0: expected 1 or more, or null with minutes"),
        ({"steps": None}, "steps=null and minutes=null: a training needs an end"),
        ({"minutes": 0}, "minutes=0: expected more than 0"),
        ({"minutes": -1.5}, "minutes=-1.5: expected more than 0"),
        ({"minutes": math.nan}, "minutes=nan: expected more than 0"),
        ({"minutes": math.inf}, "minutes=inf: expected more than 0"),
        ({"sampling__batch": 3}, "sampling.batch=3 cannot be dealt out to 2 device"),
        ({"sampling__accumulate": 0}, "sampling.accumulate=0: each device has 2 of the 4 patches"),
        ({"sampling__accumulate": 4}, "sampling.accumulate=4: .* Choose a number that divides 2"),
        ({"sampling__foreground": 1.1}, "sampling.foreground=1.1: a share lies from 0 to 1"),
        ({"sampling__regions": {"WT": 1, "ED": 1}}, "There is no setting sampling.regions.ED. Known: ET, TC, WT."),
        ({"sampling__regions": {"WT": -1}}, "sampling.regions={'WT': -1}: weights are numbers from 0 up"),
        ({"sampling__regions": dict.fromkeys(["WT", "TC", "ET"], 0)}, "sampling.regions are all 0. Give one of them"),
        ({"sampling__slices": [4, 4]}, r"sampling.slices=\[4, 4\]: expected \[first, end\)"),
        ({"validation__every": 0}, "validation.every=0: a share of the steps"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(changed, message):
    with pytest.raises(SettingsError, match=message):
        check_numbers(settings(**changed), 2)
