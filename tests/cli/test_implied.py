"""Overrides that follow from others: options of another part, the data set of an experiment, the settings of a plan."""

import json
import shlex
import sys

import pytest
import yaml

from brats_unet.cli import main as cli
from brats_unet.cli import sweep
from brats_unet.cli.conf_files import Conf
from brats_unet.commands import plan

CONF = Conf("train")
# Every part that an experiment sets options of.
SET = [
    (experiment, part)
    for experiment in CONF.choices("experiment")
    for part in sorted(CONF.parts)
    if CONF.settings_of_other_parts(experiment, {part: ["another"]})
]


def test_the_parts_are_the_groups_with_options_of_their_own():
    assert CONF.parts == {"model", "loss", "augmentation", "optimizer", "schedule"}
    assert {part for _, part in SET} == CONF.parts


def settings(line, told):
    told.clear()
    assert cli.main(shlex.split(line)) == 0
    return json.loads(json.dumps(vars(told[0]), default=vars))


@pytest.mark.parametrize(("experiment", "part"), SET)
def test_another_part_than_the_experiment_s_has_the_values_of_its_own_file(experiment, part, told):
    own = (CONF.defaults | CONF.choices_of("experiment", experiment))[part]
    other = next(choice for choice in CONF.choices(part) if choice != own)
    line = f"train experiment={experiment} data.root=x"
    changed = settings(f"{line} {part}={other}", told)
    assert changed[part] == settings(f"train experiment=none {part}={other}", told)[part]
    kept = settings(line, told)
    assert {key: value for key, value in changed.items() if key != part} == {
        key: value for key, value in kept.items() if key != part
    }


def test_the_experiment_s_own_part_keeps_its_values_when_it_is_typed(told):
    assert settings("train model=unet3d", told) == settings("train", told)
    assert settings("train model=unet3d", told)["model"]["strides"] == [2, 2, 2, 2]


def test_what_the_user_types_for_another_part_is_kept(told):
    assert settings("train model=unet2d model.features=[8,16]", told)["model"]["features"] == [8, 16]
    assert settings("train model=unet2d +model.strides=[1,2,2,2,2]", told)["model"]["strides"] == [1, 2, 2, 2, 2]
    found = settings("train experiment=nvidia21 augmentation=mirror +augmentation.rotation.degrees=3", told)
    assert found["augmentation"]["rotation"] == {"degrees": 3}


def test_help_shows_the_values_that_the_command_takes(told, capsys):
    taken = settings("train model=unet2d", told)["model"]
    cli.main(["train", "model=unet2d", "--help"])
    text = capsys.readouterr().out
    assert f"model.features={taken['features']}" in text and "model.strides" not in text
    cli.main(["train", "model=unet2d", "--cfg", "job"])
    assert yaml.safe_load(capsys.readouterr().out)["model"] == taken


def test_each_job_of_a_sweep_has_the_options_of_its_own_part(told, monkeypatch):
    jobs = []
    monkeypatch.setattr(sweep, "child", lambda command, variables: jobs.append(command[3:]) or 0)
    assert cli.main(["train", "-m", "model=unet2d,unet3d"]) == 0
    found = [settings(shlex.join(job), told)["model"] for job in jobs]
    assert [model["name"] for model in found] == ["unet2d", "unet3d"]
    assert "strides" not in found[0] and found[0]["features"] == [32, 64, 128, 256, 512]
    assert found[1] == settings("train", told)["model"]


@pytest.fixture
def own_conf(tmp_path):
    """--config-dir with an experiment that names its data set."""
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    text = "# @package _global_\ndefaults:\n  - override /data: phantom\ndata:\n  cases: 7\n"
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(text)
    child = "# @package _global_\ndefaults:\n  - mine\n  - _self_\nsteps: 3\n"
    (tmp_path / "conf" / "experiment" / "child.yaml").write_text(child)


@pytest.mark.parametrize("experiment", ["mine", "child"])
def test_an_experiment_that_names_its_data_set_keeps_it_when_data_root_is_given(experiment, own_conf, told):
    data = settings(f"train --config-dir conf experiment={experiment} data.root=elsewhere", told)["data"]
    assert (data["name"], data["root"], data["cases"]) == ("phantom", "elsewhere", 7)
    assert settings("train --config-dir conf experiment=quick data.root=elsewhere", told)["data"]["name"] == "brats"


def test_a_plan_s_options_of_a_network_do_not_follow_into_another(told, tmp_path):
    (tmp_path / "plan.yaml").write_text("experiment: quick\nmodel: unet3d\nmodel.features: [4, 8]\nsampling.batch: 7\n")
    planned = settings("train plan=plan.yaml", told)
    assert planned["model"]["features"] == [4, 8] and planned["sampling"]["batch"] == 7
    other = settings("train plan=plan.yaml model=unet2d", told)
    assert other["model"]["features"] == [32, 64, 128, 256, 512] and other["sampling"]["batch"] == 7


def test_each_job_of_a_sweep_reads_the_plan_for_its_own_network(told, tmp_path, monkeypatch):
    (tmp_path / "plan.yaml").write_text("experiment: none\nmodel: unet3d\nmodel.features: [4, 8]\n")
    jobs = []
    monkeypatch.setattr(sweep, "child", lambda command, variables: jobs.append(command[3:]) or 0)
    assert cli.main(["train", "-m", "plan=plan.yaml", "model=unet2d,unet3d"]) == 0
    found = [settings(shlex.join(job), told) for job in jobs]
    assert [one["model"]["features"] for one in found] == [[32, 64, 128, 256, 512], [4, 8]]
    assert {one["experiment"] for one in found} == {"none"}


def test_a_plan_that_is_made_first_is_then_taken(told, tmp_path, monkeypatch):
    def plan_if_missing(planning):
        (tmp_path / "made.yaml").write_text("sampling.batch: 9\n")
        return tmp_path / "made.yaml"

    assert hasattr(plan, plan_if_missing.__name__)
    monkeypatch.setattr(
        sys.modules["brats_unet.commands.plan"], plan_if_missing.__name__, plan_if_missing, raising=False
    )
    assert settings("train plan=auto", told)["sampling"]["batch"] == 9


def test_workers_do_not_plan_each_for_itself(capsys):
    assert cli.main(["train", "plan=auto", "hardware=workers"]) == 2
    assert (
        "plan=auto with hardware=workers: every worker would plan. Run `brats-unet plan` first"
        in capsys.readouterr().err
    )


def test_a_sweep_names_its_runs_by_what_differs_alone(monkeypatch):
    jobs = []
    monkeypatch.setattr(sweep, "child", lambda command, variables: jobs.append(command[4:]) or 0)
    cli.main(["train", "--json", "-m", "optimizer.learning_rate=1e-3", "sampling.batch=2,4", "seed=0,1"])
    tags = [next(text for text in job if text.startswith("tag=")) for job in jobs]
    assert tags == [
        "tag='sampling.batch=2'",
        "tag='sampling.batch=2'",
        "tag='sampling.batch=4'",
        "tag='sampling.batch=4'",
    ]


# Patterns of file names


def test_patterns_are_taken_as_they_are_typed_and_mean_data_files(told):
    line = "train data.root=x 'data.files.flair={case}_FLAIR.nii.gz' 'data.files.t1=[*_T1, {case=a*}-T1]' data.files.mask=*_seg?"
    data = settings(line, told)["data"]
    assert (data["name"], data["files"]) == (
        "files",
        {"flair": "{case}_FLAIR.nii.gz", "t1": ["*_T1", "{case=a*}-T1"], "mask": "*_seg?"},
    )


@pytest.mark.parametrize("command", ["train", "check", "plan", "doctor"])
def test_a_preset_is_given_by_its_name_alone(told, command):
    data = settings(f"{command} data.root=x data.files=bids data.files.mask=*_mask", told)["data"]
    assert (data["name"], data["files"]) == ("files", {"preset": "bids", "mask": "*_mask"})


def test_predict_and_evaluate_take_patterns_too(told):
    line = "predict run=r input=i output=o files=bids 'files.flair={case}_FLAIR'"
    assert settings(line, told)["files"] == {"preset": "bids", "flair": "{case}_FLAIR"}
    assert settings("evaluate run=r data.root=x data.files=deepmedic", told)["data"]["files"] == {"preset": "deepmedic"}
    assert settings("evaluate run=r data.root=x", told)["data"]["files"] is None


def test_without_patterns_nothing_changes(told):
    data = settings("train data.root=x", told)["data"]
    assert (data["name"], data["files"]) == ("brats", None)
    assert settings("train data.root=x data.files=null", told)["data"]["files"] is None
    assert settings("train", told)["data"]["name"] == "phantom"
