"""The command `brats-unet doctor`: its verdict by hand, and one real measurement of a tiny training."""

import json
import shlex
import subprocess
import sys
from types import SimpleNamespace

import pytest

from brats_unet.cli.main import main as run
from brats_unet.commands import doctor
from brats_unet.trial.trial import Trial

TINY = (
    "doctor experiment=quick model.features=[4,8] model.strides=[1,2] sampling.patch=[16,16,16] seconds=0.1 "
    "augmentation=mirror data.preparation.spacing_mm=[8,8,8] hardware=cpu"
)


def verdict(*, loader=100.0, augmentation=0.01, precision="bfloat16", devices="a GPU", name="mirror"):
    measured = Trial(True, 1.0, 5.0, 1, 1, precision, devices, 1, augmentation, loader)
    settings = SimpleNamespace(sampling=SimpleNamespace(batch=2), augmentation={"name": name})
    return doctor.verdict(measured, settings)


def test_the_verdict_names_the_bottleneck_and_what_to_do():
    assert verdict(loader=2.5).startswith(
        "The loader is the bottleneck: it reads 2.5 patches/s, but the step could use 2."
    )
    assert verdict(augmentation=0.5).startswith("Augmentation takes 50% of a step: augmentation=mirror")
    assert "the loader could deliver 50 times as many patches. More GPUs" in verdict()
    assert "hardware.precision=bfloat16" in verdict(precision="float32")
    assert "A GPU, a smaller patch" in verdict(devices="CPU, 2 cores")


def test_augmentation_none_is_never_the_bottleneck():
    assert "Augmentation" not in verdict(augmentation=0.9, name="none")


def test_with_measure_false_it_prints_one_document_without_tensorflow():
    code = (
        "import sys; from brats_unet.cli.main import main; code = main(['doctor', 'measure=false', 'json=true']); "
        "sys.exit(code or bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rates"] is None and found["machine"]["cache_write_bytes_per_second"] > 0
    assert found["machine"]["tensorflow"].startswith("2.")


def test_it_measures_loader_augmentation_and_step_without_data_and_leaves_no_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(shlex.split(TINY)) == 0
    printed = capsys.readouterr().out
    for part in ("loader", "augmentation", "step", "unet3d with", "CPU"):
        assert part in printed
    assert any(
        words in printed for words in ("The network takes most", "The loader is the bottleneck", "Augmentation takes")
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sampling.patch=[17,16,16]", "sampling.patch is 17×16×16"),
        ("seconds=0", "seconds=0 does not fit. Expected a number above 0"),
        ("sampling.batch=0", "sampling.batch=0 does not fit. Expected a whole number, 1 or more"),
    ],
)
def test_settings_that_a_training_would_refuse_are_refused(change, message, capsys):
    assert run(shlex.split(f"{TINY} {change}")) == 2
    assert message in capsys.readouterr().err


def test_the_verdict_says_that_a_step_does_not_fit(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "trial_in_subprocess", lambda *arguments, **options: Trial(fits=False))
    assert run(shlex.split(TINY)) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "A step of 2 patches of 16×16×16 does not fit into memory. `brats-unet plan` finds a size that fits." in printed
    )
