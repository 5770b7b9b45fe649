"""Networks and losses of other packages, through installed entry points."""

import pytest

from brats_unet import losses, models
from brats_unet.errors import SettingsError

SOURCE = """
from brats_unet.losses.loss import Loss
from brats_unet.models.network_shape import NetworkShape, with_shape

@with_shape(lambda *, depth: NetworkShape(3, ((1, 1, 1),) + ((2, 2, 2),) * depth, 1))
def network(*, channels, outputs, dtype, seed, depth=2):
    raise NotImplementedError

def unplanned(*, channels, outputs, dtype, seed):
    raise NotImplementedError

def loss(*, weight=1.0):
    return Loss("regions", lambda logits, labels: weight)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package on the path as pip would, with the given lines of entry_points.txt."""

    def put(entry_points: str) -> None:
        (tmp_path / "their_package.py").write_text(SOURCE)
        record = tmp_path / "their_package-1.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
        (record / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(tmp_path)

    return put


def test_a_network_and_a_loss_of_an_installed_package_stand_beside_ours(install):
    install("[brats_unet.models]\ntheirs = their_package:network\n[brats_unet.losses]\ntheirs = their_package:loss\n")
    assert set(models.known()) == {*models.MODELS, "theirs"}
    assert models.describe("theirs", {"depth": 3}).stride == (8, 8, 8)
    assert models.describe("theirs", {}).stride == (4, 4, 4)
    assert losses.known()["theirs"](weight=2.0).per_sample(None, None) == 2.0


def test_an_option_that_their_network_lacks_is_refused_as_ours_would_be(install):
    install("[brats_unet.models]\ntheirs = their_package:network\n")
    with pytest.raises(SettingsError, match=r"model=theirs has no option dept. Did you mean depth"):
        models.describe("theirs", {"dept": 3})


def test_a_network_without_a_plan_is_refused_with_the_remedy(install):
    install("[brats_unet.models]\ntheirs = their_package:unplanned\n")
    with pytest.raises(SettingsError, match="with_shape"):
        models.describe("theirs", {})


@pytest.mark.parametrize(("part", "name"), [(models, "unet3d"), (losses, "label_ce")])
def test_a_package_cannot_replace_a_part_of_ours(install, part, name):
    group = part.__name__.rpartition(".")[2]
    install(f"[brats_unet.{group}]\n{name} = their_package:network\n")
    with pytest.raises(SettingsError, match=f"their-package offers a {group} part named {name}.*Rename"):
        part.known()
