"""A run is resumed by its own settings and rules; what an earlier version did not record counts as what it did."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file

from brats_unet.assembly.resume import EARLIER, prepare_run_folder, rules_version
from brats_unet.binding import bind, flat
from brats_unet.cli import arguments, checks, hydra
from brats_unet.cli.main import main
from brats_unet.errors import SettingsError
from brats_unet.json_files import write_json
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import builtin
from brats_unet.settings import Train
from brats_unet.training.rules import NEWEST

SMALL = [
    "experiment=quick",
    "data=brats",
    "data.folds=2",
    "data.preparation.spacing_mm=[5,5,5]",
    "model.features=[4,6,8,8]",
    "model.convolutions=1",
    "model.strides=[1,2,2,2]",
    "optimizer=sgd",
    "schedule=constant",
    "sampling.patch=[16,16,16]",
    "hardware.precision=float32",
    "validation.cases=0",
]


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


def settings(rules=None, *, overwrite=False):
    return SimpleNamespace(rules=rules, overwrite=overwrite)


def test_a_new_run_is_trained_by_the_newest_rules(run):
    assert rules_version(run, settings()) == NEWEST
    write_json(run.settings_file, {"rules": 1})
    assert rules_version(run, settings(overwrite=True)) == NEWEST


def test_a_run_goes_on_by_its_own_rules_and_one_without_a_version_by_version_1(run):
    write_json(run.settings_file, {"rules": NEWEST})
    assert rules_version(run, settings()) == NEWEST
    write_json(run.settings_file, {})
    assert rules_version(run, settings()) == 1
    assert rules_version(run, settings(NEWEST)) == NEWEST  # refused as a changed setting


def test_a_run_by_rules_of_a_later_version_is_refused(run):
    write_json(run.settings_file, {"rules": 99})
    with pytest.raises(SettingsError, match=r"was trained by the rules 99; this brats-unet knows 1, 2\. Update"):
        rules_version(run, settings())


def test_a_run_without_a_version_resumes_to_the_bits_of_one_that_was_trained_by_version_1(tmp_path, phantom_root):
    common = [*SMALL, f"data.root={phantom_root}", f"data.cache={tmp_path / 'cache'}", f"runs={tmp_path}"]
    assert main(["train", *common, "name=straight", "rules=1", "steps=3"]) == 0
    assert main(["train", *common, "name=stopped", "rules=1", "steps=2"]) == 0
    stopped = Run(tmp_path / "stopped")
    older = stopped.settings()
    del older["rules"], older["validation"]["patches_every"], older["validation"]["patch_batches"], older["scheme"]
    older["sampling"]["regions"] = {"WT": 1, "TC": 1, "ET": 1}
    write_json(stopped.settings_file, older)
    assert main(["train", *common, "name=stopped", "steps=3"]) == 0
    assert json.loads(stopped.settings_file.read_text())["rules"] == 1
    found, expected = (load_file(tmp_path / name / "checkpoints/last.safetensors") for name in ("stopped", "straight"))
    for key, tensor in expected.items():
        np.testing.assert_array_equal(found[key], tensor, err_msg=key)


def test_a_run_by_other_rules_is_refused(run, tmp_path, phantom_root, capsys):
    write_json(run.settings_file, {})
    assert main(["train", *SMALL, f"data.root={phantom_root}", f"runs={tmp_path}", "name=run", "rules=2"]) == 2
    assert "rules: 1 in the run, 2 now" in capsys.readouterr().err


def composed(*line):
    request = arguments.split(["train", "data=phantom", "experiment=quick", "rules=1", *line])
    return bind(Train, hydra.settings_of(request, checks.checked(request)))


@pytest.fixture
def earlier_run(tmp_path):
    """A run whose settings.json lacks `rules`, `sampling.overhang` and `scheme`, as versions before them wrote it."""
    run = Run(tmp_path / "run")
    settings = json.loads(json.dumps(asdict(composed("sampling.overhang=false"))))
    del settings["rules"], settings["sampling"]["overhang"], settings["scheme"]
    settings["sampling"]["regions"] = {"WT": 1, "TC": 1, "ET": 1}  # the default of versions without schemes
    write_json(run.settings_file, settings)
    return run


def test_a_run_without_the_setting_of_overhang_is_resumed_without_it(earlier_run):
    before = earlier_run.settings_file.read_bytes()
    prepare_run_folder(earlier_run, composed("sampling.overhang=false"))
    assert earlier_run.settings_file.read_bytes() == before


def test_a_run_without_the_setting_of_overhang_is_not_resumed_with_it(earlier_run):
    with pytest.raises(SettingsError, match="sampling.overhang: False in the run, True now") as refusal:
        prepare_run_folder(earlier_run, composed("sampling.overhang=true"))
    assert str(refusal.value).count("in the run") == 1


def test_a_run_whose_augmentation_has_no_setting_in_plane_is_resumed_without_it(tmp_path):
    run, line = Run(tmp_path / "run"), ("augmentation=nnunet", "sampling.overhang=false")
    settings = json.loads(json.dumps(asdict(composed(*line))))
    assert settings["augmentation"].pop("in_plane") is False
    write_json(run.settings_file, settings)
    prepare_run_folder(run, composed(*line))
    with pytest.raises(SettingsError, match=r"augmentation\.in_plane: False in the run, True now"):
        prepare_run_folder(run, composed(*line, "augmentation.in_plane=true"))


def test_a_run_without_a_scheme_is_one_of_glioma_and_other_weights_of_regions_are_another_setting(earlier_run):
    with pytest.raises(SettingsError, match=r"scheme: glioma in the run, glioma_post now"):
        prepare_run_folder(earlier_run, composed("sampling.overhang=false", "scheme=glioma_post"))
    with pytest.raises(SettingsError, match=r"sampling\.regions: None in the run, \{'WT': 1, 'TC': 1, 'ET': 2.0\} now"):
        prepare_run_folder(earlier_run, composed("sampling.overhang=false", "sampling.regions={ET: 2}"))


def test_what_has_changed_in_a_scheme_of_the_same_name_is_said(earlier_run):
    settings = earlier_run.settings()
    settings["scheme"] = builtin().as_dict()
    settings["scheme"]["regions"]["TC"]["labels"] = ["NCR"]
    settings["scheme"]["labels"]["RC"]["value"] = 9
    write_json(earlier_run.settings_file, settings)
    told = "scheme: glioma has changed: label RC is 9 in the run, 3 now; region TC is NCR in the run, ET\\+NCR now\n"
    with pytest.raises(SettingsError, match=told):
        prepare_run_folder(earlier_run, composed("sampling.overhang=false"))


def test_words_and_colours_of_a_scheme_may_change_on_resume(earlier_run):
    settings = json.loads(earlier_run.settings_file.read_text())
    settings["scheme"] = builtin().as_dict()
    settings["scheme"]["regions"]["WT"] |= {"words": "all of it", "colour": "#123456"}
    write_json(earlier_run.settings_file, settings)
    prepare_run_folder(earlier_run, composed("sampling.overhang=false"))


def test_every_setting_that_earlier_versions_lacked_exists():
    assert EARLIER.keys() <= flat(asdict(composed("augmentation=nnunet"))).keys()
