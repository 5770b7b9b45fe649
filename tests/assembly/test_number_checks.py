from types import SimpleNamespace

import pytest

from brats_unet.assembly.number_checks import check_numbers, refuse_wrong_gradients
from brats_unet.errors import SettingsError
from brats_unet.models import describe
from brats_unet.schemes.scheme_file import builtin


def settings(**changed):
    """As `train` gives them, with `part__key` or `key` changed."""
    found = SimpleNamespace(
        steps=100,
        minutes=None,
        until=None,
        scheme=builtin().as_dict(),
        sampling=SimpleNamespace(
            batch=4, accumulate=1, foreground=0.3, regions={"WT": 1, "TC": 0, "ET": 2}, slices=None
        ),
        data=SimpleNamespace(fold=0, folds=5, splits=None, validation_root=None),
    )
    for key, value in changed.items():
        part, _, option = key.rpartition("__")
        setattr(getattr(found, part) if part else found, option, value)
    return found


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"steps": None, "minutes": 0.5},
        {"minutes": 60},
        {"sampling__accumulate": 2},
        {"sampling__slices": [3, 4]},
        {"data__fold": "all", "data__folds": None},
        {"data__fold": "all", "data__folds": 1},
        {"data__folds": None, "data__validation_root": "elsewhere"},
        {"data__fold": "4"},
    ],
)
def test_settings_that_fit_one_another_pass(changed):
    check_numbers(settings(**changed), 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": None}, "steps=null and minutes=null: nothing ends the training. Give one of them"),
        ({"sampling__batch": 3}, "sampling.batch=3 cannot be split over 2 devices"),
        ({"sampling__accumulate": 4}, "sampling.accumulate=4: .* Choose a number that divides 2"),
        ({"sampling__regions": {"WT": 1, "ED": 1}}, "There is no setting sampling.regions.ED. Known: ET, TC, WT."),
        ({"sampling__regions": dict.fromkeys(["WT", "TC", "ET"], 0)}, "sampling.regions are all 0. Give one of them"),
        ({"sampling__slices": [4, 4]}, r"sampling.slices=\[4, 4\]: expected \[first, end\)"),
        ({"data__fold": 5}, "There is no data.fold=5. Expected a number from 0 to 4, or all"),
        ({"data__fold": -1}, "There is no data.fold=-1. Expected a number from 0 to 4, or all"),
        ({"data__fold": "²"}, "There is no data.fold=². Expected a number from 0 to 4, or all"),
        ({"data__folds": 1}, "data.folds=1: expected 2 or more, or data.fold=all"),
        ({"data__folds": None}, "data.folds=null: expected 2 or more, or data.fold=all"),
        ({"data__splits": "nowhere.json"}, "nowhere.json: there is no such file"),
    ],
)
def test_settings_that_do_not_fit_one_another_are_refused(changed, message):
    with pytest.raises(SettingsError, match=message):
        check_numbers(settings(**changed), 2)


FIVE = {"features": [8, 16, 32, 64, 80, 80]}  # a total stride of 32


@pytest.mark.parametrize(
    ("patch", "precision", "batch", "model"),
    [
        ([64, 128, 128], "float32", 2, "unet3d"),
        ([64, 128, 128], "float16", 2, "unet3d"),
        ([64, 128, 128], "bfloat16", 1, "unet3d"),
        ([128, 64, 64], "bfloat16", 2, "unet3d"),
        ([96, 64, 64], "bfloat16", 2, "unet3d"),
        ([64, 64, 1], "bfloat16", 2, "unet2d"),
    ],
)
def test_right_gradients_are_not_refused(patch, precision, batch, model):
    trained = settings(sampling__batch=batch)
    trained.sampling.patch = patch
    refuse_wrong_gradients(trained, describe(model, FIVE), precision, 1)


@pytest.mark.parametrize(("batch", "accumulate", "replicas"), [(2, 1, 1), (8, 2, 2)])
def test_bfloat16_on_a_cpu_with_two_voxels_along_x_is_refused(batch, accumulate, replicas):
    trained = settings(sampling__batch=batch, sampling__accumulate=accumulate)
    trained.sampling.patch = [64, 128, 128]
    with pytest.raises(SettingsError, match=r"leaves 2 voxels along x .* Use hardware.precision=float32"):
        refuse_wrong_gradients(trained, describe("unet3d", FIVE), "bfloat16", replicas)
