"""The topology of a network from its settings."""

import pytest

from brats_unet.assembly import topology
from brats_unet.errors import SettingsError
from brats_unet.models import describe


@pytest.mark.parametrize("name", ["unet2d", "unet3d", "resenc_unet"])
def test_a_built_in_network_has_a_topology(name):
    found = topology.topology_of({"name": name}, describe(name, {}))
    assert found is not None and len(found.decoder_convolutions) == len(found.features) - 1


def test_the_number_of_blocks_follows_the_stages_of_the_plan():
    planned = topology.planned_model({"name": "resenc_unet"}, [(1, 1, 1)] + [(2, 2, 2)] * 6, [32] * 7)
    assert planned["blocks"] == [1, 3, 4, 6, 6, 6, 6]
    described = describe("resenc_unet", {key: value for key, value in planned.items() if key != "name"})
    assert described.stride == (64, 64, 64)


def test_a_network_without_strides_cannot_be_planned(monkeypatch):
    monkeypatch.setattr(topology.models, "known", lambda: {"other": lambda *, channels, outputs, features=(1, 2): None})
    with pytest.raises(SettingsError, match=r"model=other has no option strides, so it cannot be planned"):
        topology.planned_model({"name": "other"}, [(1, 1, 1), (2, 2, 2)], [8, 16])
