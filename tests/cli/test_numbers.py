"""Every number that a command takes: what makes no sense is refused by name before any data is read."""

import copy
import math
import re
import shlex
from typing import get_args, get_origin

import pytest

from brats_unet.binding import bind, flat
from brats_unet.cli import arguments, checks, hydra
from brats_unet.cli import main as cli
from brats_unet.cli.conf_files import COMMANDS, Conf
from brats_unet.cli.yaml_files import plain_value
from brats_unet.commands import evaluate, train
from brats_unet.errors import SettingsError
from brats_unet.stopping import StopRequest

VALUES = {"-1": -1, "0": 0, "nan": math.nan, "inf": math.inf, "text": "abc"}
OFF = "0 leaves it out"
EXACT = "0 is an exact value of it"
# Values that look wrong and are accepted on purpose, with the reason; the last word of a key stands for all that end so.
ACCEPTED = {
    ("seed", "0"): EXACT,
    ("data.seed", "0"): EXACT,
    ("sweep_seed", "0"): EXACT,
    ("data.fold_seed", "0"): EXACT,
    ("init_freeze_steps", "0"): OFF,
    ("data.fold", "0"): "the first fold",
    ("sampling.foreground", "0"): "no patch is centred on a tumour",
    ("sampling.regions.WT", "0"): OFF,
    ("sampling.regions.TC", "0"): OFF,
    ("sampling.regions.ET", "0"): OFF,
    ("sampling.slices", "0"): "the first slice",
    ("inference.overlap", "0"): "tiles side by side",
    ("validation.cases", "0"): "no validation while training",
    ("optimizer.learning_rate", "0"): "the weights of init= stay as they are",
    ("optimizer.weight_decay", "0"): OFF,
    ("optimizer.momentum", "0"): OFF,
    ("schedule.warmup_steps", "0"): OFF,
    ("schedule.floor", "0"): "the rate falls to 0",
    ("model.deep_supervision", "0"): "the same as false",
    ("augmentation.axes", "0"): "left-right",
    ("augmentation.mirror.axes", "0"): "left-right",
    ("augmentation.scaling.per_axis", "0"): OFF,
    ("augmentation.rotation.degrees", "-1"): "an angle of one degree the other way",
    ("augmentation.rotation.degrees", "0"): "no angle",
    **{
        (key, "0"): OFF
        for key in (
            *(
                f"loss.{name}"
                for name in ("dice", "bce", "ce", "focus", "smooth", "false_positives", "false_negatives")
            ),
            "augmentation.modality_dropout",
            "augmentation.noise.sigma",
            "augmentation.shift.sigma",
            "augmentation.elastic.smoothness",
            "augmentation.elastic.magnitude",
            "augmentation.brightness.factors",
            "augmentation.contrast.factors",
            "probability",
            "per_channel",
        )
    },
    ("viewer", "0"): OFF,
    ("pictures", "0"): OFF,
    ("evaluate workers", "0"): "one for each core",
    ("tolerances_mm", "0"): "only exact agreement counts",
}
# YAML holds null, but a number may be given.
NUMBERS_WHERE_NULL = {
    "minutes": 1,
    "until": 1,
    "checkpoint.every_steps": 1,
    "validation.cases": 1,
    "hardware.replicas": 1,
    "sampling.rate_for_batch": 1,
    "sampling.slices": [1, 5],
    "optimizer.ema": 0.9,
    "memory_gib": 1,
    "largest_batch": 1,
    "pictures": 1,
    "rules": 1,
}
NOT_FOR_USERS = {"planned_for", "choices", "scheme"}


def composed(line):
    request = arguments.split(shlex.split(line))
    return hydra.settings_of(request, checks.checked(request))


BASE = composed("train experiment=none")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def numbers(values):
    """Keys whose values are numbers or lists of them."""
    for key, value in flat(values).items():
        value = NUMBERS_WHERE_NULL.get(key, value) if value is None else value
        if is_number(value) or (isinstance(value, list) and value and is_number(value[0])):
            yield key, value


def changed(values, key, value):
    """The settings with one number replaced, in a list the first."""
    found = copy.deepcopy(values)
    *sections, name = key.split(".")
    section = found
    for one in sections:
        section = section[one]
    old = NUMBERS_WHERE_NULL.get(key, section[name]) if section[name] is None else section[name]
    section[name] = [value, *old[1:]] if isinstance(old, list) else value
    return found


def is_accepted(command, key, value):
    return any((name, value) in ACCEPTED for name in (key, key.rsplit(".", 1)[-1], f"{command} {key}"))


def refusal(command, values):
    """The message of a refusal, or None where the command would go on to read data."""
    try:
        settings = bind(COMMANDS[command], values)
        if command == "train":
            with StopRequest() as stop:
                train.main(settings, stop)
        if command == "evaluate":
            evaluate.main(settings)
    except DataIsReadError:
        return None
    except SettingsError as problem:
        return str(problem)
    return None


class DataIsReadError(Exception):
    """The command has accepted its settings."""


@pytest.fixture
def stops_before_data(monkeypatch):
    def reached(*arguments, **options):
        raise DataIsReadError

    monkeypatch.setattr(train, "initial_network", reached)
    monkeypatch.setattr(evaluate, "evaluate_run", reached)


TRAININGS = [
    "train",
    *(
        f"train {group}={choice}"
        for group in sorted(Conf("train").parts)
        for choice in Conf("train").choices(group)
        if choice not in ("da", "da_star", "region_dice")  # the options of nnunet and region_dice_bce
    ),
]
OTHERS = [
    "plan data.root=/x",
    "doctor",
    "evaluate run=x",
    "report run=x",
    "tune run=x",
    "phantom",
    "predict run=x output=y",
    "fuse inputs=[a,b] output=c",
]


@pytest.mark.parametrize("line", [*TRAININGS, *OTHERS])
def test_a_number_without_sense_is_refused_by_name_before_data_is_read(line, stops_before_data):
    command, *typed = line.split()
    # In float32, since bfloat16 is refused for some networks on CPUs.
    values = composed(f"{line} experiment=none hardware.precision=float32" if command == "train" else line)
    group = typed[0].split("=")[0] if command == "train" and typed else ""
    own = set(Conf(command).types) - set(Conf("train").types) if command in ("plan", "doctor") else None
    found, tried = [], 0
    for key, _ in numbers(values):
        if key.split(".")[0] in NOT_FOR_USERS or (group and not key.startswith(f"{group}.")):
            continue
        if own is not None and key not in own:
            continue
        for name, value in VALUES.items():
            message = refusal(command, changed(values, key, value))
            tried += 1
            if is_accepted(command, key, name) != (message is None) or (message is not None and key not in message):
                found.append((key, name, message))
    assert found == []
    assert tried or group in ("schedule", "augmentation") or command in ("predict", "fuse")


@pytest.mark.parametrize("line", ["train", *OTHERS])
def test_every_setting_that_takes_a_number_is_among_them(line):
    def takes_number(kind):
        return bool({int, float} & {kind, *get_args(kind)}) and get_origin(kind) is not dict

    typed = {key for key, kind in Conf(line.split()[0]).types.items() if takes_number(kind)}
    assert typed <= {key for key, _ in numbers(composed(line))}


LINES = {
    "train optimizer.learning_rate=-1": "optimizer.learning_rate=-1 does not fit. Expected a number, 0 or more.",
    "train optimizer.clip_norm=-3": "optimizer.clip_norm=-3 does not fit. Expected a number above 0, or null.",
    "train schedule.power=abc": "schedule.power=abc does not fit. Expected a number above 0.",
    "train schedule.warmup_steps=2000": "schedule.warmup_steps=2000 is more than steps=1500",
    "train steps=5 schedule.warmup_steps=6": "schedule.warmup_steps=6 is more than steps=5",
    "train data.fold=7": "There is no data.fold=7. Expected a number from 0 to 4, or all.",
    "train data.folds=1": "data.folds=1: expected 2 or more, or data.fold=all",
    "train data.folds=null": "data.folds=null: expected 2 or more, or data.fold=all",
    "train data.splits=no.json": "no.json: there is no such file.",
    "train seed=-1": "seed=-1 does not fit. Expected a whole number from 0 to 4294967295.",
    "train seed=1e20": "seed=1e+20 does not fit.",
    "train data.cases=0": "data.cases=0 does not fit. Expected a whole number, 1 or more.",
    "train inference.overlap=1.5": "inference.overlap=1.5 does not fit. Expected a number from 0 to below 1.",
    "train validation.cases=-1": "validation.cases=-1 does not fit. Expected a whole number, 0 or more, or null.",
    "train hardware.replicas=0": "hardware.replicas=0 does not fit. Expected a whole number, 1 or more, or null.",
    "train sampling.regions.WT=a": "sampling.regions.WT=a does not fit. Expected a number, 0 or more.",
    "train model.features=32": "model.features=32 does not fit. Expected a list such as [1,2].",
    "train augmentation.axes=0": "augmentation.axes=0 does not fit. Expected a list such as [1,2].",
    "train data.preparation.spacing_mm=2": "data.preparation.spacing_mm=2 does not fit. Expected a list such as [0.5,1], or null.",
    "train +data.preparation.spacing=2": "There is no setting data.preparation.spacing. Did you mean spacing_mm?",
    "doctor optimizer.learning_rate=-1 measure=false": "optimizer.learning_rate=-1 does not fit.",
    "check data.root=/x data.fold=7": "There is no data.fold=7.",
}


@pytest.mark.parametrize("line", LINES)
def test_it_is_refused_on_the_command_line_with_exit_code_2(line, stops_before_data, capsys):
    assert cli.main(line.split()) == 2
    error = capsys.readouterr().err
    assert LINES[line] in error and error.count("error: ") == 1 and "Traceback" not in error


@pytest.mark.parametrize("line", ["train steps=5", "train data.fold=all data.folds=null", "train data.fold=4"])
def test_what_makes_sense_is_accepted(line, stops_before_data):
    with pytest.raises(DataIsReadError):
        cli.main(line.split())


# Options that take a list


def list_options():
    """(group, choice, key) of every option of a part, and of the preparation, whose value may be a list."""
    conf = Conf("train")
    for group in sorted(conf.parts):
        for choice in conf.choices(group):
            for key, setting in conf.settings({"experiment": ["none"], group: [choice]}).items():
                if key.startswith(f"{group}.") and isinstance(plain_value(setting.value), list):
                    yield group, choice, key


LIST_OPTIONS = [*list_options(), ("data", "phantom", "data.preparation.spacing_mm")]


@pytest.mark.parametrize(("group", "choice", "key"), LIST_OPTIONS)
def test_an_option_that_takes_a_list_answers_a_scalar_and_text_in_a_sentence(group, choice, key, stops_before_data):
    values = BASE | {group: composed(f"train experiment=none {group}={choice}")[group]}
    for value, names in ((32, key), ("abc", key), (["abc"], f"{key}[0]")):
        *sections, name = key.split(".")
        found = copy.deepcopy(values)
        section = found
        for one in sections:
            section = section[one]
        section[name] = value
        message = refusal("train", found)
        if value == 32 and key.split(".")[-1] in ("blocks", "convolutions"):  # one number stands for every stage
            assert message is None
        else:
            assert message and re.match(rf"{re.escape(names)}=\S+ does not fit. Expected a ", message)
