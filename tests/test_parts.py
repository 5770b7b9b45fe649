from importlib.metadata import EntryPoint

import pytest

from brats_unet import parts
from brats_unet.errors import SettingsError


def dense(*, channels, width=3, depth):
    return channels, width, depth


def open_ended(*, channels, **options):
    return channels, options


TABLE = {"dense": dense, "open_ended": open_ended}


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


def test_an_open_ended_part_takes_any_option():
    assert parts.build("model", TABLE, {"name": "open_ended", "anything": 1}, channels=4) == (4, {"anything": 1})


def test_nothing_is_near_to_a_word_unlike_all():
    assert parts.nearest("zzz", ["unet3d", "unet2d"]) is None
    assert parts.nearest("unet3", ["unet3d", "vnet"]) == "unet3d"


def offer(monkeypatch, name, value):
    found = {"brats_unet.models": [EntryPoint(name, value, "brats_unet.models")]}
    monkeypatch.setattr(parts, "entry_points", lambda *, group: found.get(group, []))


def test_an_installed_package_adds_a_part(monkeypatch):
    offer(monkeypatch, "counter", "collections:Counter")
    table = parts.with_plugins(TABLE, "models")
    assert list(table) == ["dense", "open_ended", "counter"] and table["counter"].__name__ == "Counter"
    assert "counter" not in TABLE and parts.with_plugins(TABLE, "losses") == TABLE


def test_an_installed_package_cannot_replace_one_of_ours(monkeypatch):
    offer(monkeypatch, "dense", "collections:Counter")
    with pytest.raises(SettingsError, match="named dense, a name that brats-unet uses itself"):
        parts.with_plugins(TABLE, "models")
