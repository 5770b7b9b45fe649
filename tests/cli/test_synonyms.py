"""Names from elsewhere lead to the setting that is meant."""

import pytest

from brats_unet.cli import main as cli
from brats_unet.cli import synonyms
from brats_unet.cli.conf_files import COMMANDS, Conf
from brats_unet.cli.synonyms import SETTINGS, SETTINGS_AFTER_TRAINING, setting_meant


def known(command):
    conf = Conf(command)
    choices = {"optimizer": list(conf.choices("optimizer"))} if "optimizer" in conf.defaults else {}
    return {*conf.types, *conf.defaults, *conf.settings(choices)}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_name_of_a_setting_of_training_leads_to_one_that_exists(name):
    assert SETTINGS[name] in known("train")
    assert name == name.lower() and "-" not in name


@pytest.mark.parametrize("name", SETTINGS_AFTER_TRAINING)
def test_every_name_of_a_setting_of_the_other_commands_leads_to_one_that_exists(name):
    others = [command for command in COMMANDS if command not in ("train", "plan", "doctor")]
    assert any(SETTINGS_AFTER_TRAINING[name] in known(command) for command in others)


def test_every_name_of_a_command_leads_to_one_that_exists():
    assert set(synonyms.COMMANDS.values()) <= set(COMMANDS) and not set(synonyms.COMMANDS) & set(COMMANDS)


def test_no_name_of_a_setting_is_itself_a_setting():
    assert [name for name in {*SETTINGS, *synonyms.SENTENCES} if name in known("train") and name not in SETTINGS] == []


def test_dashes_capitals_and_sections_do_not_matter():
    names = ["batch-size", "BATCH_SIZE", "sampling.batch_size", "batch"]
    assert {setting_meant(name, {"sampling.batch"}) for name in names} == {"sampling.batch"}


def test_a_setting_that_the_command_lacks_is_not_offered():
    assert setting_meant("lr", {"run", "output"}) is None


ANSWERS = {
    "train lr=1": "There is no setting lr. Did you mean optimizer.learning_rate?",
    "train optimizer.lr=1": "There is no setting optimizer.lr. Did you mean optimizer.learning_rate?",
    "train batch_size=4": "Did you mean sampling.batch?",
    "train gpus=2": "Did you mean hardware=auto|cpu|gpu|mirrored|workers?",
    "train data_dir=/x": "Did you mean data.root?",
    "train dataset=x": "Did you mean data=brats|files|lgg|phantom?",
    "train amp=true": "Did you mean hardware.precision?",
    "train pretrained=x": "Did you mean init?",
    "train epochs=5": "Training counts in steps (updates of the weights), not in epochs: steps=1000, or minutes=30",
    "train resume=true": "A run is resumed by giving the same command again",
    "train num_classes=4": "The number of outputs follows from scheme= and loss=",
    "train workers=2": "The number of loader threads is chosen by the program",
    "predict weights=x": "There is no setting weights in `brats-unet predict`. Did you mean run?",
    "predict data_dir=x": "Did you mean input?",
    "evaluate gt=x": "Did you mean references?",
}


@pytest.mark.parametrize("line", ANSWERS)
def test_a_name_from_elsewhere_is_answered_with_the_name_here(line, told, capsys):
    assert cli.main(line.split()) == 2
    assert ANSWERS[line] in capsys.readouterr().err and told == []
