"""Parts of installed packages: lazily imported, and told in one sentence what is wrong with them."""

import json
import sys

import numpy as np
import pytest

from brats_unet import losses, metrics, models, plugins
from brats_unet.data import augment
from brats_unet.errors import CheckpointError, SettingsError
from brats_unet.losses.loss import Loss
from brats_unet.metrics.pair import MaskPair
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.parts import build, contract_options, contract_options_of

SOURCE = """
from brats_unet.data.augment.augmentation import Augmentation
from brats_unet.losses.loss import Loss
from brats_unet.metrics.metric import Metric
from brats_unet.models.network_shape import NetworkShape, with_shape

@with_shape(lambda *, depth: NetworkShape(3, ((1, 1, 1),) + ((2, 2, 2),) * depth, 1))
def network(*, channels, outputs, dtype, seed, depth=2):
    return "a network"

def without_shape(*, channels, outputs, dtype, seed):
    return None

@with_shape(lambda: (8, 8, 8))
def with_a_tuple(*, channels, outputs, dtype, seed):
    return None

def loss(*, weight=1.0):
    return Loss("regions", lambda logits, masks: weight)

def nothing():
    return None

def augmentation():
    return Augmentation()

def far_voxels(pair):
    return 7

def record(name, function=far_voxels, **changed):
    told = {"unit": "voxels", "range": "0, 1, 2, …", "better": "low", "definition": "Voxels.", "source": "them"}
    return Metric(name=name, function=function, when_empty="0", **{**told, **changed})

METRIC = record("far_voxels")
TEXT = record("text", lambda pair: "7")
FLAG = record("flag", lambda pair: True)
FAILS = record("fails", lambda pair: 1 / 0)
NUMBER = 7
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package on the path as pip would, with the entry points (group, name, value)."""
    metrics.of_packages.cache_clear()

    def put(*entries, package="their-package", source=SOURCE):
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        sys.modules.pop(module, None)
        record = tmp_path / f"{module}-1.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"[brats_unet.{group}]\n{name} = {value}\n" for group, name, value in entries]
        (record / "entry_points.txt").write_text("".join(lines))
        monkeypatch.syspath_prepend(tmp_path)

    yield put
    sys.modules.pop("their_package", None)
    metrics.of_packages.cache_clear()


TABLES = {"model": models, "loss": losses, "augmentation": augment}
GIVEN = {"channels": 4, "outputs": 3, "dtype": "float32", "seed": 0}
PAIR = MaskPair(*[np.ones((2, 2, 2), bool)] * 2, (1.0, 1.0, 1.0), PROTOCOLS["brats2020"])


def use(kind, name="theirs"):
    """Build a part as a command would."""
    if kind == "metric":
        return metrics.metrics_of(PROTOCOLS["brats2020"])[name].function(PAIR)
    return build(kind, TABLES[kind].known(), {"name": name}, **(GIVEN if kind == "model" else {}))


def test_parts_of_a_package_stand_beside_ours(install):
    install(
        ("models", "theirs", "their_package:network"),
        ("losses", "theirs", "their_package:loss"),
        ("augmentations", "theirs", "their_package:augmentation"),
        ("metrics", "far_voxels", "their_package:METRIC"),
    )
    assert set(models.known()) == {*models.MODELS, "theirs"} and len(models.known()) == len(models.MODELS) + 1
    assert models.describe("theirs", {"depth": 3}).stride == (8, 8, 8)
    assert models.describe("theirs", {}).stride == (4, 4, 4)
    assert losses.known()["theirs"](weight=2.0).per_sample(None, None) == 2.0
    assert use("augmentation").uniforms == 0
    assert use("metric", "far_voxels") == 7.0 and isinstance(use("metric", "far_voxels"), float)


def test_ours_are_not_wrapped():
    assert losses.known()["label_ce"] is losses.LOSSES["label_ce"]
    assert contract_options_of(losses.known()["label_ce"]) == ({}, {"focus": 2.0})


def test_a_metric_of_a_package_comes_last_and_its_package_and_words_are_recorded(install):
    install(("metrics", "far_voxels", "their_package:METRIC"))
    found = metrics.metrics_of(PROTOCOLS["brats2020"])
    assert list(found)[-1] == "far_voxels" and found["far_voxels"].unit == "voxels"
    facts = metrics.package_facts()["far_voxels"]
    assert (facts["package"], facts["version"], facts["better"]) == ("their-package", "1.0", "low")
    json.dumps(facts)


def test_a_package_is_imported_only_when_its_part_is_used(install):
    install(("losses", "theirs", "their_package:loss"), ("losses", "broken", "no_such_module:loss"))
    table = losses.known()
    assert "broken" in table and "theirs" in table and sorted(table)
    assert build("loss", table, {"name": "label_ce"}).outputs == "labels"
    assert "their_package" not in sys.modules
    assert isinstance(use("loss"), Loss)
    assert "their_package" in sys.modules


def test_a_misspelt_name_lists_those_of_packages_without_importing_them(install):
    install(("losses", "theirs", "no_such_module:loss"))
    with pytest.raises(SettingsError, match=r"There is no loss named their. Did you mean theirs\?"):
        use("loss", "their")


RAISES = SOURCE + "\nraise RuntimeError('no licence')\n"
NEEDS = "import not_installed_here\n" + SOURCE
KINDS = {
    "model": ("models", "a function that returns a keras.Model"),
    "loss": ("losses", "a function that returns a brats_unet.losses.loss.Loss"),
    "augmentation": (
        "augmentations",
        "a function that returns a brats_unet.data.augment.augmentation.Augmentation",
    ),
    "metric": ("metrics", "a brats_unet.metrics.metric.Metric whose function returns a float"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("value", "source", "found"),
    [
        ("no_such_module:part", SOURCE, "there is no module no_such_module"),
        ("their_package:part", NEEDS, "there is no module not_installed_here"),
        ("their_package:lost", SOURCE, "their_package has no lost"),
        ("their_package:loss", RAISES, "importing their_package fails with RuntimeError: no licence"),
        ("their_package:loss", "def loss(:\n", "importing their_package fails with SyntaxError: "),
        ("their_package:NUMBER", SOURCE, r"it is 7 \(int\)"),
    ],
)
def test_a_part_that_cannot_be_had_is_told_with_package_entry_point_and_what_was_expected(
    install, kind, value, source, found
):
    group, expected = KINDS[kind]
    install((group, "theirs", value), source=source)
    begin = rf"{kind}=theirs \(package their-package 1.0, entry point brats_unet.{group}: theirs = {value}\): {found}"
    with pytest.raises(SettingsError, match=rf"^{begin}.*\. Expected {expected}\. Repair or uninstall their-package"):
        use(kind)


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("model", "network", r"it returns 'a network' \(str\)"),
        ("model", "without_shape", r"it returns None \(NoneType\)"),
        ("loss", "nothing", r"it returns None \(NoneType\)"),
        ("loss", "augmentation", r"it returns Augmentation\(.*\(Augmentation\)"),
        ("augmentation", "nothing", r"it returns None \(NoneType\)"),
        ("augmentation", "loss", r"it returns Loss\(.*\(Loss\)"),
        ("metric", "TEXT", r"its function returns '7' \(str\)"),
        ("metric", "FLAG", r"its function returns True \(bool\)"),
        ("metric", "FAILS", "it fails with ZeroDivisionError: division by zero"),
        ("metric", "far_voxels", r"it is <function far_voxels.*\(function\)"),
    ],
)
def test_a_part_of_the_wrong_type_is_told_in_one_sentence(install, kind, value, found):
    group, expected = KINDS[kind]
    install((group, "theirs", f"their_package:{value}"))
    with pytest.raises(SettingsError, match=rf"package their-package 1.0, .*: {found}\. Expected {expected}\."):
        use(kind)


def test_an_option_that_their_part_lacks_is_refused_with_the_package_and_its_options(install):
    install(("losses", "theirs", "their_package:loss"), ("losses", "bare", "their_package:nothing"))
    message = r"loss=theirs \(package their-package 1.0, .*\) has no option batch_dice. Known: weight"
    with pytest.raises(SettingsError, match=message):
        build("loss", losses.known(), {"name": "theirs", "batch_dice": True})
    with pytest.raises(SettingsError, match=r"loss=bare \(.*\) has no option smooth. It has no options."):
        build("loss", losses.known(), {"name": "bare", "smooth": 1})


def test_an_option_of_their_network_is_refused_like_one_of_ours(install):
    install(("models", "theirs", "their_package:network"))
    with pytest.raises(SettingsError, match=r"model=theirs \(package .*\) has no option dept. Did you mean depth"):
        models.describe("theirs", {"dept": 3})


def test_a_network_without_a_shape_is_refused_with_the_remedy(install):
    install(("models", "theirs", "their_package:without_shape"), ("models", "tuple", "their_package:with_a_tuple"))
    with pytest.raises(
        SettingsError, match=r"model=theirs \(package their-package 1.0, .*rank and strides.*with_shape"
    ):
        models.describe("theirs", {})
    with pytest.raises(SettingsError, match=r"model=tuple \(package .*returns \(8, 8, 8\) \(tuple\). Expected .*Shape"):
        models.describe("tuple", {})


@pytest.mark.parametrize(
    ("kind", "name"), [("model", "unet3d"), ("loss", "label_ce"), ("augmentation", "mirror"), ("metric", "dice")]
)
def test_a_name_of_ours_is_refused_when_it_is_used_and_a_package_offers_it_too(install, kind, name):
    group, _ = KINDS[kind]
    install((group, name, "their_package:loss"))
    message = rf"{kind}={name}: brats-unet has a {kind} of this name, and the package their-package offers another"
    with pytest.raises(SettingsError, match=message + ".*Rename that entry point, or uninstall their-package"):
        use(kind, name)
    if kind != "metric":  # all metrics are used in every evaluation
        other = {"model": "unet2d", "loss": "region_dice_bce", "augmentation": "none"}[kind]
        assert TABLES[kind].known()[other] is not None


@pytest.mark.parametrize("name", ["ece", "nsd_1mm"])
def test_a_metric_of_a_package_cannot_take_the_name_of_a_calibration_score_or_a_surface_dice(install, name):
    install(("metrics", name, "their_package:METRIC"))
    with pytest.raises(SettingsError, match=f"metric={name}: brats-unet has a metric of this name"):
        metrics.of_packages()


def test_a_name_that_two_packages_offer_is_refused_when_it_is_used(install):
    install(("losses", "theirs", "their_package:loss"))
    install(("losses", "theirs", "other_package:loss"), package="other-package")
    assert "theirs" in losses.known()
    with pytest.raises(SettingsError, match="loss=theirs: the packages .*-package and .*-package all offer a loss"):
        use("loss")


def test_the_packages_of_a_run_are_recorded_and_ours_are_not(install):
    install(("losses", "theirs", "their_package:loss"))
    expected = {"loss": {"name": "theirs", "package": "their-package", "version": "1.0"}}
    assert plugins.packages_of({"model": "unet3d", "loss": "theirs"}) == expected
    assert plugins.packages_of({"model": "unet3d", "loss": "label_ce"}) == {}


def test_a_run_of_an_absent_package_is_refused_by_its_name(install):
    recorded = {"loss": {"name": "theirs", "package": "their-package", "version": "1.0"}}
    message = r"runs/a was trained with loss=theirs of the package their-package 1.0, which is not installed"
    with pytest.raises(CheckpointError, match=message + ".*Install their-package==1.0"):
        plugins.refuse_absent_packages(recorded, "runs/a")
    install(("losses", "theirs", "their_package:loss"))
    assert plugins.refuse_absent_packages(recorded, "runs/a") == []
    (note,) = plugins.refuse_absent_packages({"loss": {**recorded["loss"], "version": "0.9"}}, "runs/a")
    assert note.endswith("their-package 0.9; here is version 1.0, which may compute something else.")


def test_a_run_of_an_older_version_records_no_packages(tmp_path):
    from brats_unet.run import Run

    run = Run(tmp_path)
    assert run.plugins() == {}
    run.environment_file.write_text('{"brats_unet": "0.1"}')
    assert run.plugins() == {}


def test_a_builder_declares_the_options_of_its_contract_test():
    @contract_options({"a": 1}, {})
    def marked(*, a=0):
        return a

    assert contract_options_of(marked) == ({"a": 1}, {})
    assert contract_options_of(lambda: None) == ({},)
