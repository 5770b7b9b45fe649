"""Flags, and what is written with dashes that is none."""

import pytest

from brats_unet.cli import main as cli
from brats_unet.cli.arguments import split

ANSWERS = {
    "train --steps 5": "Settings are written without dashes: steps=5",
    "train --steps=5": "Settings are written without dashes: steps=5",
    "--steps 5 train": "Settings are written without dashes: steps=5",
    "train --steps": "Settings are written without dashes: steps=…",
    "train --lr 0.1": "Settings are written without dashes: optimizer.learning_rate=0.1",
    "train --batch-size 4": "Settings are written without dashes: sampling.batch=4",
    "train --learning-rate=0.1": "Settings are written without dashes: optimizer.learning_rate=0.1",
    "train --model unet2d": "Settings are written without dashes: model=unet2d",
    "predict --output masks": "Settings are written without dashes: output=masks",
    "train --epochs 5": "Training counts in steps (updates of the weights), not in epochs: steps=1000",
    "train --verbose": "There is no option --verbose. Did you mean --version? Settings are written without dashes",
    "train --config-name x": "--config-dir DIR experiment=mine",
    "train --config-path x": "--config-dir DIR experiment=mine",
    "train -cn x": "--config-dir DIR experiment=mine",
    "train --resolve": "`--cfg job` always resolves references.",
    "train –-help": "–-help begins with a typographic dash. Write --help, with hyphens.",
    "train −m": "−m begins with a typographic dash. Write -m, with hyphens.",
    "train --help=1": "--help takes no value. Write --help alone.",
    "train --json=maybe": "json=maybe does not fit. Expected true or false.",
    "train --cfg=": "--cfg= needs a value after it.",
    "train --info x": "--info x: expected one of all, config,",
    "train -p model": "Add --cfg job.",
    "train -sc": "-sc stands alone: brats-unet -sc install=bash",
    "-sc": "expected install=bash or install=zsh",
    "-sc install=fish": "-sc install=fish: expected install=bash or install=zsh",
    "help trian": "There is no command trian. Did you mean train?",
    "TRAIN": "There is no command TRAIN. Did you mean train?",
    "infer": "There is no command infer. Did you mean predict?",
    "train --": "There is no option --.",
}


@pytest.mark.parametrize("line", ANSWERS)
def test_a_wrong_flag_or_command_is_answered_in_one_sentence(line, told, capsys):
    assert cli.main(line.split()) == 2
    error = capsys.readouterr().err
    assert ANSWERS[line] in error and error.count("\n") == 1 and told == []


@pytest.mark.parametrize(
    ("line", "same"), [("help", "--help"), ("help train", "train --help"), ("--help train", "train --help")]
)
def test_help_is_a_word_too(line, same, capsys):
    assert cli.main(line.split()) == 0
    text = capsys.readouterr().out
    assert cli.main(same.split()) == 0
    assert capsys.readouterr().out == text


def test_json_may_have_a_value():
    assert split(["train", "--json=false"]).arguments == ["json=false"]
