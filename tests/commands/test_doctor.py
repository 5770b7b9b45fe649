"""`brats-unet doctor`: its sentence by hand, and one real look at a tiny training."""

import json
import shlex
import subprocess
import sys
from types import SimpleNamespace

import pytest

from brats_unet.cli.main import main as run
from brats_unet.commands import doctor
from brats_unet.errors import MachineError
from brats_unet.trial import trial
from brats_unet.trial.trial import Trial, trial_in_subprocess

TINY = (
    "doctor experiment=quick model.features=[4,8] model.strides=[1,2] sampling.patch=[16,16,16] seconds=0.1 "
    "augmentation=mirror data.preparation.spacing_mm=[8,8,8] hardware=cpu"
)


def sentence(*, loader=100.0, augmentation=0.01, precision="bfloat16", devices="a GPU", name="mirror"):
    measured = Trial(True, 1.0, 5.0, 1, 1, precision, devices, 1, augmentation, loader)
    settings = SimpleNamespace(sampling=SimpleNamespace(batch=2), augmentation={"name": name})
    return doctor.verdict(measured, settings)


def test_the_slowest_part_is_named_with_what_to_do():
    assert sentence(loader=2.5).startswith(
        "The loader holds the training up: it reads 2.5 patches/s and a step takes 2."
    )
    assert sentence(augmentation=0.5).startswith("Augmentation takes 50% of a step: augmentation=mirror")
    assert "the loader could feed 50 times as much. More GPUs" in sentence()
    assert "hardware.precision=bfloat16" in sentence(precision="float32")
    assert "A GPU, a smaller patch" in sentence(devices="CPU, 2 cores")


def test_without_augmentation_it_is_not_blamed():
    assert "Augmentation" not in sentence(augmentation=0.9, name="none")


def test_facts_alone_need_no_tensorflow_and_are_one_document():
    code = (
        "import sys; from brats_unet.cli.main import main; code = main(['doctor', 'measure=false', 'json=true']); "
        "sys.exit(code or bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rates"] is None and found["machine"]["cache_write_bytes_per_second"] > 0
    assert found["machine"]["tensorflow"].startswith("2.")


def test_it_measures_loader_augmentation_and_step_with_no_data_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(shlex.split(TINY)) == 0
    said = capsys.readouterr().out
    for part in ("loader", "augmentation", "step", "unet3d with", "CPU"):
        assert part in said
    assert "The network is what takes time" in said or "holds the training up" in said or "Augmentation takes" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sampling.patch=[17,16,16]", "sampling.patch is 17×16×16"),
        ("seconds=0", "seconds=0: expected more than 0"),
        ("sampling.batch=0", "sampling.batch=0 cannot be dealt out"),
    ],
)
def test_what_no_training_would_take_is_refused(change, message, capsys):
    assert run(shlex.split(f"{TINY} {change}")) == 2
    assert message in capsys.readouterr().err


def test_a_step_that_does_not_fit_is_the_sentence(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "trial_in_subprocess", lambda *told, **options: Trial(fits=False))
    assert run(shlex.split(TINY)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "A step of 2 patches of 16×16×16 does not fit into memory. `brats-unet plan` finds one that does." in said


# The trial's process


def ended(monkeypatch, code, stderr=""):
    answer = subprocess.CompletedProcess([], code, stdout="", stderr=stderr)
    monkeypatch.setattr(trial.subprocess, "run", lambda *told, **options: answer)
    monkeypatch.setattr(trial, "asdict", lambda settings: {})


@pytest.mark.parametrize(("code", "stderr"), [(-9, ""), (1, "tensorflow ... ResourceExhaustedError: OOM when ...")])
def test_a_process_that_dies_of_too_little_memory_did_not_fit(monkeypatch, code, stderr):
    ended(monkeypatch, code, stderr)
    assert trial_in_subprocess(None, largest=(8, 8, 8)) == Trial(fits=False)


def test_a_process_that_dies_otherwise_is_an_error_with_its_last_words(monkeypatch):
    ended(monkeypatch, 2, "...\nerror: There is no loss named dise.\n")
    with pytest.raises(MachineError, match=r"A trial step of the training failed: There is no loss named dise\."):
        trial_in_subprocess(None, largest=(8, 8, 8))


def test_a_process_that_takes_too_long_did_not_fit(monkeypatch):
    def late(*told, **options):
        raise subprocess.TimeoutExpired("trial", 1)

    monkeypatch.setattr(trial.subprocess, "run", late)
    monkeypatch.setattr(trial, "asdict", lambda settings: {})
    assert not trial_in_subprocess(None, largest=(8, 8, 8)).fits
