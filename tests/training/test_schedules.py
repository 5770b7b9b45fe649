import pytest

from brats_unet.errors import SettingsError
from brats_unet.parts import build
from brats_unet.training.schedules import SCHEDULES, constant, cosine, polynomial


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup_steps", [0, 3, 50])
def test_the_factor_of_every_step_is_above_0_and_at_most_1(name, warmup_steps):
    factor = SCHEDULES[name](warmup_steps=warmup_steps)
    factors = [factor(step, 20) for step in range(20)]
    assert all(isinstance(value, float) and 0 < value <= 1 for value in factors)


def test_polynomial_starts_at_1_and_falls_as_in_nnunet():
    factor = polynomial()
    assert factor(0, 1000) == 1
    assert factor(500, 1000) == pytest.approx(0.5358867)
    assert factor(999, 1000) == pytest.approx(0.001**0.9)
    assert factor(1000, 1000) == 0


def test_power_1_is_linear():
    factor = polynomial(power=1)
    assert [factor(step, 4) for step in range(4)] == [1, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("schedule", [polynomial, cosine, constant])
def test_the_warm_up_rises_linearly_to_1(schedule):
    factor = schedule(warmup_steps=4)
    assert [factor(step, 100) for step in range(5)] == [0.25, 0.5, 0.75, 1, 1]


def test_cosine_starts_at_1_and_ends_at_its_floor_with_their_mean_in_the_middle():
    assert [cosine()(step, 100) for step in (0, 50, 100)] == pytest.approx([1, 0.5, 0])
    assert cosine()(25, 100) == pytest.approx(0.8535534)  # (1 + cos 45°) / 2
    assert [cosine(floor=0.2)(step, 100) for step in (0, 50, 100)] == pytest.approx([1, 0.6, 0.2])


def test_after_the_warm_up_cosine_covers_the_remaining_steps():
    assert cosine(warmup_steps=10)(60, 110) == pytest.approx(0.5)


@pytest.mark.parametrize("floor", [-0.1, 1])
def test_a_floor_that_is_no_share_is_refused(floor):
    with pytest.raises(
        SettingsError, match=rf"schedule.floor={floor} does not fit. Expected a number from 0 to below 1"
    ):
        build("schedule", SCHEDULES, {"name": "cosine", "floor": floor})


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_factor_stays_between_0_and_1_for_any_number_of_steps(name):
    factor = SCHEDULES[name](warmup_steps=5)
    assert all(0 <= factor(step, steps) <= 1 for step in range(30) for steps in (1, 5, 6, 20, 2**31))


def test_after_the_warm_up_polynomial_covers_the_remaining_steps():
    assert polynomial(power=1, warmup_steps=10)(60, 110) == 0.5


def test_constant_stays_at_1():
    assert [constant()(step, 3) for step in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_negative_warm_up_is_refused(name):
    with pytest.raises(
        SettingsError, match=r"schedule.warmup_steps=-1 does not fit. Expected a whole number, 0 or more"
    ):
        build("schedule", SCHEDULES, {"name": name, "warmup_steps": -1})
