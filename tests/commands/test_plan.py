"""The command `brats-unet plan` on small phantoms, with a formula in place of the trial steps."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest

from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.cli.conf_files import COMMANDS
from brats_unet.cli.main import main as run
from brats_unet.commands import plan
from brats_unet.trial.trial import Trial

SMALL = "model.features=[4,8] model.strides=[1,2] data.preparation.spacing_mm=[2,2,2] data.folds=2"


def composed(line):
    request = arguments.split(shlex.split(line))
    return bind(COMMANDS[request.command], hydra.settings_of(request, checks.checked(request)))


@pytest.fixture
def trials(monkeypatch):
    """(settings of each trial, the formula); a trial fits if its batch has at most `formula.most` voxels."""
    tried = []

    def formula(settings, *, largest):
        tried.append(settings)
        x, y, z = settings.sampling.patch
        voxels = settings.sampling.batch * x * y * z
        fits = voxels <= getattr(formula, "most", 10**9)
        return Trial(fits, 2.0, 5.0, 2**20 * 100, 1000, "float32", "a CPU") if fits else Trial(False)

    monkeypatch.setattr(plan, "trial_in_subprocess", formula)
    return tried, formula


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where the first plan leaves the prepared phantoms, for the others to find."""
    return tmp_path_factory.mktemp("plans") / "cache"


@pytest.fixture
def command_line(phantom_root, cache, tmp_path, monkeypatch):
    """A function that makes a command line for the phantoms."""
    monkeypatch.chdir(tmp_path)

    def line(command, extra="", cache=cache):
        return f"{command} data.root={phantom_root} data.cache={cache} experiment=unet3d {SMALL} {extra}"

    return line


def test_train_accepts_the_file_and_the_command_line_overrides_it(command_line, trials, capsys):
    assert run(shlex.split(command_line("plan", "output=mine.yaml"))) == 0
    assert "brats-unet train plan=mine.yaml" in capsys.readouterr().out
    settings = composed("train plan=mine.yaml")
    planned = asdict(trials[0][-1])
    assert asdict(settings.sampling) == planned["sampling"] and settings.model == planned["model"]
    assert (settings.experiment, settings.data.name) == ("unet3d", "brats")
    assert settings.planned_for["cases"] == 4
    assert composed("train plan=mine.yaml sampling.batch=7 experiment=quick").sampling.batch == 7
    assert composed("train plan=mine.yaml experiment=quick").experiment == "quick"


def test_every_block_of_the_file_has_a_comment(command_line, trials):
    run(shlex.split(command_line("plan", "output=mine.yaml")))
    text = Path("mine.yaml").read_text()
    blocks = text.strip().split("\n\n")
    assert len(blocks) == 7 and all(block.startswith("#") for block in blocks)
    assert "# Time:   2 s per step; steps=250000 takes about 5.8 days, without validation." in text
    assert "expected" in text and "measured 100.0 MiB on a CPU in float32." in text


def test_json_is_one_document_with_file_fingerprint_and_trial(command_line, trials, capsys):
    assert run(shlex.split(command_line("plan", "output=mine.yaml json=true"))) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["file"] == "mine.yaml" and found["trial"]["seconds"] == 2.0 and found["total_seconds"] == 500_000
    assert found["fingerprint"]["cases"] == 4 and found["expected_bytes"] < found["budget_bytes"]


def test_a_plan_that_does_not_fit_is_made_smaller_until_it_does(command_line, trials):
    tried, formula = trials
    formula.most = 100_000
    run(shlex.split(command_line("plan", "output=mine.yaml memory_gib=0.9")))
    voxels = [s.sampling.batch * s.sampling.patch[0] * s.sampling.patch[1] * s.sampling.patch[2] for s in tried]
    assert len(voxels) > 1 and voxels == sorted(voxels, reverse=True) and voxels[-1] <= 100_000 < voxels[0]


def test_if_no_plan_fits_it_is_an_error_and_no_file_is_written(command_line, trials, capsys):
    trials[1].most = 1
    assert run(shlex.split(command_line("plan", "output=mine.yaml"))) == 2
    assert "5 plans in a row did not fit into" in capsys.readouterr().err
    assert not Path("mine.yaml").exists()


def test_an_existing_file_is_kept_without_overwrite_true(command_line, trials, capsys):
    Path("mine.yaml").write_text("sampling.batch: 3\n")
    assert run(shlex.split(command_line("plan", "output=mine.yaml"))) == 2
    assert "mine.yaml exists and may have been edited. Add overwrite=true" in capsys.readouterr().err
    assert trials[0] == []
    assert run(shlex.split(command_line("plan", "output=mine.yaml overwrite=true"))) == 0


def test_plan_if_missing_writes_a_plan_once_and_then_reuses_it(command_line, trials, phantom_root):
    settings = composed(command_line("plan"))
    file = plan.plan_if_missing(settings)
    assert file == Path("plans") / f"{phantom_root.name}-unet3d.yaml" and len(trials[0]) == 1
    assert plan.plan_if_missing(settings) == file and len(trials[0]) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("memory_gib=0", "memory_gib=0 does not fit. Expected a number above 0, or null"),
        ("largest_batch=0", "largest_batch=0 does not fit. Expected a whole number, 1 or more, or null"),
        ("model.features=[4]", "Expected two stages or more"),
        ("augmentation.turns=3", "no setting augmentation.turns"),
        ("+augmentation.turns=3", "has no option turns"),
        ("sampling.foreground=2", "sampling.foreground=2 does not fit. Expected a number from 0 to 1"),
    ],
)
def test_settings_that_a_training_would_refuse_are_refused_before_any_data_are_read(
    command_line, trials, capsys, change, message
):
    assert run(shlex.split(command_line("plan", change, cache="cache"))) == 2
    assert message in capsys.readouterr().err
    assert not Path("cache").exists() and not Path("plans").exists()


def test_train_refuses_the_plan_of_another_dataset_before_it_prepares_a_case(command_line, trials, capsys, tmp_path):
    run(shlex.split(command_line("plan", "output=mine.yaml")))
    line = f"train plan=mine.yaml data.leave_out=[Phantom20_001] data.cache={tmp_path / 'other'} name=x"
    assert run(shlex.split(line)) == 2
    assert "(4 cases with masks)" in (printed := capsys.readouterr().err) and "planned_for=null" in printed
    assert not (tmp_path / "other").exists() and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sampling.bach: 2", "There is no setting sampling.bach. Did you mean sampling.batch?"),
        ("smapling: 2", "mine.yaml: there is no setting smapling."),
        ("a: [", "mine.yaml, line"),
        ("- 3", "Expected lines of the form `key: value`"),
    ],
)
def test_a_file_that_is_not_a_plan_is_refused(tmp_path, monkeypatch, capsys, text, message):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(text)
    assert run(["train", "plan=mine.yaml"]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_plan_is_refused_with_what_to_do(capsys):
    assert run(["train", "plan=nowhere.yaml"]) == 2
    assert "plan=nowhere.yaml: there is no such file. `brats-unet plan` writes one" in capsys.readouterr().err
