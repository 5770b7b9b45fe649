from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import pytest

from brats_unet import parts
from brats_unet.binding import Range
from brats_unet.errors import SettingsError

if TYPE_CHECKING:
    from elsewhere import Elsewhere


def dense(*, channels, width=3, depth):
    return channels, width, depth


def open_ended(*, channels, **options):
    return channels, options


def typed(*, channels: int, features: Sequence[int] = (8,), rate: Annotated[float, Range(0)] = 0.1) -> "Elsewhere":
    return channels, features, rate


def unknown_type(*, width: "Elsewhere" = 3, depth: "int" = 1):
    return width, depth


TABLE = {"dense": dense, "open_ended": open_ended}
TYPED = {"typed": typed, "unknown_type": unknown_type}


def test_a_part_is_built_from_its_name_its_options_and_what_the_program_gives():
    assert parts.build("model", TABLE, {"name": "dense", "depth": 2}, channels=4) == (4, 3, 2)


def test_building_leaves_the_settings_as_they_were():
    settings = {"name": "dense", "depth": 2}
    parts.build("model", TABLE, settings, channels=4)
    assert settings == {"name": "dense", "depth": 2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "dens", "depth": 2}, "There is no model named dens. Did you mean dense?"),
        ({"name": "transformer"}, "There is no model named transformer. Known: dense, open_ended."),
        ({"name": ["dense"]}, "There is no model named ['dense']. Did you mean dense?"),
        ({"depth": 2}, "There is no model named None. Known: dense, open_ended."),
        ({"name": "dense", "depht": 2}, "model=dense has no option depht. Did you mean depth?"),
        ({"name": "dense", "colour": 2}, "model=dense has no option colour. Known: depth, width."),
        ({"name": "dense"}, "model=dense needs depth. Set model.depth=…."),
        ({"name": "dense", "depth": 1, "channels": 9}, "model=dense has no option channels. Known: depth, width."),
    ],
)
def test_a_wrong_name_or_option_is_answered_with_the_right_ones(settings, message):
    with pytest.raises(SettingsError) as caught:
        parts.build("model", TABLE, settings, channels=4)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "typed", "features": 32}, "model.features=32 does not fit. Expected a list such as [1,2]."),
        ({"name": "typed", "features": [8, "a"]}, "model.features[1]=a does not fit. Expected a whole number."),
        ({"name": "typed", "rate": "fast"}, "model.rate=fast does not fit. Expected a number, 0 or more."),
        ({"name": "typed", "rate": -1}, "model.rate=-1 does not fit. Expected a number, 0 or more."),
    ],
)
def test_an_option_is_held_against_the_type_that_the_builder_gives_it(settings, message):
    with pytest.raises(SettingsError) as caught:
        parts.build("model", TYPED, settings, channels=4)
    assert str(caught.value) == message


def test_an_option_reaches_its_builder_in_its_own_type():
    assert parts.build("model", TYPED, {"name": "typed", "features": (8, 16.0), "rate": 1}, channels=4) == (
        4,
        [8, 16],
        1.0,
    )


def test_a_type_that_cannot_be_resolved_takes_any_value_and_a_quoted_one_is_resolved():
    assert parts.build("model", TYPED, {"name": "unknown_type", "width": "wide"}) == ("wide", 1)
    with pytest.raises(SettingsError, match="model.depth=deep does not fit. Expected a whole number"):
        parts.build("model", TYPED, {"name": "unknown_type", "depth": "deep"})


def test_an_open_ended_part_takes_any_option():
    assert parts.build("model", TABLE, {"name": "open_ended", "anything": 1}, channels=4) == (4, {"anything": 1})
