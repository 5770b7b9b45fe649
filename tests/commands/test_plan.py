"""`brats-unet plan` as its user sees it, on small phantoms; the probe is a formula, but for one."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest

from brats_unet.assembly import topology
from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.cli.conf_files import COMMANDS
from brats_unet.cli.main import main as run
from brats_unet.commands import plan
from brats_unet.errors import MachineError, SettingsError
from brats_unet.models import describe
from brats_unet.trial import memory_limit as memory_limit
from brats_unet.trial.plan_file import seconds_text
from brats_unet.trial.trial import Trial

SMALL = "model.features=[4,8] model.strides=[1,2] data.preparation.spacing_mm=[2,2,2] data.folds=2"


def composed(line):
    request = arguments.split(shlex.split(line))
    return bind(COMMANDS[request.command], hydra.settings_of(request, checks.checked(request)))


@pytest.fixture
def tried(monkeypatch):
    """What the probe is asked, one entry a try; it fits where no patch has more voxels than `most`."""
    asked = []

    def formula(settings, *, largest):
        asked.append(settings)
        x, y, z = settings.sampling.patch
        voxels = settings.sampling.batch * x * y * z
        fits = voxels <= getattr(formula, "most", 10**9)
        return Trial(fits, 2.0, 5.0, 2**20 * 100, 1000, "float32", "a CPU") if fits else Trial(False)

    monkeypatch.setattr(plan, "trial_in_subprocess", formula)
    return asked, formula


@pytest.fixture
def command_line(phantom_root, tmp_path, monkeypatch):
    """The command line of a plan for the phantoms."""
    monkeypatch.chdir(tmp_path)

    def line(command, extra=""):
        return f"{command} data.root={phantom_root} data.cache={tmp_path / 'cache'} experiment=unet3d {SMALL} {extra}"

    return line


def test_train_takes_the_file_as_it_is_and_the_command_line_over_it(command_line, tried, capsys):
    assert run(shlex.split(command_line("plan", "output=mine.yaml"))) == 0
    assert "brats-unet train plan=mine.yaml" in capsys.readouterr().out
    settings = composed("train plan=mine.yaml")
    asked = asdict(tried[0][-1])
    assert asdict(settings.sampling) == asked["sampling"] and settings.model == asked["model"]
    assert (settings.experiment, settings.data.name) == ("unet3d", "brats")
    assert settings.planned_for["cases"] == 4
    assert composed("train plan=mine.yaml sampling.batch=7 experiment=quick").sampling.batch == 7
    assert composed("train plan=mine.yaml experiment=quick").experiment == "quick"


def test_every_line_of_the_file_is_explained(command_line, tried):
    run(shlex.split(command_line("plan", "output=mine.yaml")))
    text = Path("mine.yaml").read_text()
    blocks = text.strip().split("\n\n")
    assert len(blocks) == 7 and all(block.startswith("#") for block in blocks)
    assert "# Time:   2 s a step; steps=250000 take about 5.8 days, without validations." in text
    assert "expected" in text and "measured 100.0 MiB on a CPU in float32." in text


def test_json_is_one_document_with_file_grounds_and_trial(command_line, tried, capsys):
    assert run(shlex.split(command_line("plan", "output=mine.yaml json=true"))) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["file"] == "mine.yaml" and found["trial"]["seconds"] == 2.0 and found["total_seconds"] == 500_000
    assert found["fingerprint"]["cases"] == 4 and found["expected_bytes"] < found["budget_bytes"]


def test_a_plan_that_does_not_fit_is_made_smaller_until_it_does(command_line, tried):
    asked, formula = tried
    formula.most = 100_000
    run(shlex.split(command_line("plan", "output=mine.yaml memory_gib=0.9")))
    voxels = [s.sampling.batch * s.sampling.patch[0] * s.sampling.patch[1] * s.sampling.patch[2] for s in asked]
    assert len(voxels) > 1 and voxels == sorted(voxels, reverse=True) and voxels[-1] <= 100_000 < voxels[0]


def test_where_nothing_fits_it_says_so_and_writes_nothing(command_line, tried, capsys):
    tried[1].most = 1
    assert run(shlex.split(command_line("plan", "output=mine.yaml"))) == 2
    assert "5 plans in a row did not fit into" in capsys.readouterr().err
    assert not Path("mine.yaml").exists()


def test_a_file_that_is_there_is_kept_unless_told_otherwise(command_line, tried, capsys):
    Path("mine.yaml").write_text("sampling.batch: 3\n")
    assert run(shlex.split(command_line("plan", "output=mine.yaml"))) == 2
    assert "mine.yaml is there already, perhaps edited. Add overwrite=true" in capsys.readouterr().err
    assert tried[0] == []
    assert run(shlex.split(command_line("plan", "output=mine.yaml overwrite=true"))) == 0


def test_auto_plans_where_there_is_no_plan_and_takes_the_one_that_is_there(command_line, tried, phantom_root):
    settings = composed(command_line("plan"))
    file = plan.plan_if_missing(settings)
    assert file == Path("plans") / f"{phantom_root.name}-unet3d.yaml" and len(tried[0]) == 1
    assert plan.plan_if_missing(settings) == file and len(tried[0]) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("memory_gib=0", "memory_gib=0: expected more than 0"),
        ("largest_batch=0", "largest_batch=0: expected 1 or more"),
        ("model.features=[4]", "Expected two stages or more"),
        ("augmentation.turns=3", "no setting augmentation.turns"),
        ("+augmentation.turns=3", "has no option turns"),
        ("sampling.foreground=2", "a share lies from 0 to 1"),
    ],
)
def test_what_no_training_would_take_is_refused_before_any_data_are_read(command_line, tried, capsys, change, message):
    assert run(shlex.split(command_line("plan", change))) == 2
    assert message in capsys.readouterr().err
    assert not Path("cache").exists() and not Path("plans").exists()


def test_training_refuses_the_plan_of_another_dataset_before_it_prepares_any(command_line, tried, capsys, tmp_path):
    run(shlex.split(command_line("plan", "output=mine.yaml")))
    line = f"train plan=mine.yaml data.leave_out=[BraTS20_Training_001] data.cache={tmp_path / 'other'} name=x"
    assert run(shlex.split(line)) == 2
    assert "(4 cases with masks)" in (said := capsys.readouterr().err) and "planned_for=null" in said
    assert not (tmp_path / "other").exists() and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sampling.bach: 2", "There is no setting sampling.bach. Did you mean sampling.batch?"),
        ("smapling: 2", "mine.yaml: there is no setting smapling."),
        ("a: [", "mine.yaml, line"),
        ("- 3", "expected lines of the form `key: value`"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path, monkeypatch, capsys, text, message):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(text)
    assert run(["train", "plan=mine.yaml"]) == 2
    assert message in capsys.readouterr().err


def test_a_plan_that_is_not_there_is_refused_with_what_to_do(capsys):
    assert run(["train", "plan=nowhere.yaml"]) == 2
    assert "plan=nowhere.yaml: there is no such file. `brats-unet plan` writes one" in capsys.readouterr().err


# The machine


def test_a_gpu_gives_nine_tenths_and_a_cpu_no_more_than_four_gib(monkeypatch):
    settings = composed("plan data.root=x")
    monkeypatch.setattr(memory_limit, "gpu_count", lambda: 0)
    monkeypatch.setattr(memory_limit, "memory_available_bytes", lambda: 6 * 2**30)
    assert (memory_limit.memory_limit(settings).bytes, memory_limit.memory_limit(settings).gpu) == (3 * 2**30, False)
    monkeypatch.setattr(memory_limit, "memory_available_bytes", lambda: 600 * 2**30)
    assert memory_limit.memory_limit(settings).bytes == 4 * 2**30
    monkeypatch.setattr(memory_limit, "gpu_count", lambda: 2)
    monkeypatch.setattr(memory_limit, "gpus", lambda: [room_gpu(80), room_gpu(40)])
    found = memory_limit.memory_limit(settings)
    assert (found.bytes, found.replicas, found.precision) == (round(0.9 * 40 * 2**30), 2, "bfloat16")
    monkeypatch.setattr(memory_limit, "gpus", list)
    with pytest.raises(MachineError, match="Give it as memory_gib"):
        memory_limit.memory_limit(settings)


def room_gpu(gib):
    from brats_unet.hardware import Gpu

    return Gpu("card", gib * 2**30, gib * 2**30)


# Networks


def test_each_of_our_networks_has_a_topology():
    for name in ("unet2d", "unet3d", "resenc_unet"):
        found = topology.topology_of({"name": name}, describe(name, {}))
        assert found is not None and len(found.decoder_convolutions) == len(found.features) - 1


def test_blocks_follow_the_stages_of_the_plan():
    planned = topology.planned_model({"name": "resenc_unet"}, [(1, 1, 1)] + [(2, 2, 2)] * 6, [32] * 7)
    assert planned["blocks"] == [1, 3, 4, 6, 6, 6, 6]
    described = describe("resenc_unet", {key: value for key, value in planned.items() if key != "name"})
    assert described.stride == (64, 64, 64)


def test_a_network_without_strides_cannot_be_planned(monkeypatch):
    monkeypatch.setattr(topology.models, "known", lambda: {"other": lambda *, channels, outputs, features=(1, 2): None})
    with pytest.raises(SettingsError, match=r"model=other has no option strides, so it cannot be planned"):
        topology.planned_model({"name": "other"}, [(1, 1, 1), (2, 2, 2)], [8, 16])


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.214, "0.21 s"), (95, "95 s"), (200, "3.3 minutes"), (7200, "2.0 hours"), (5e5, "5.8 days")]
)
def test_times_are_said_in_the_unit_that_one_would_use(seconds, text):
    assert seconds_text(seconds) == text
