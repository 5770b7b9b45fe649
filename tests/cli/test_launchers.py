"""Hydra's launchers: -m runs its jobs side by side, or as jobs of a cluster, with the same runs and the same summary."""

import subprocess
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from brats_unet.cli import hydra, launchers, sweep
from brats_unet.cli import main as cli

TINY = ["experiment=quick", "data=brats", "data.folds=2", "data.preparation.spacing_mm=[5,5,5]", "model.features=[4,8]"]
TINY += ["model.strides=[1,2]", "sampling.patch=[16,16,16]", "steps=3", "validation.every=1", "hardware.device=cpu"]


def needs(launcher):
    """Skip the test unless the package of the launcher is installed."""
    try:
        distribution(launchers.PACKAGES[launcher])
    except PackageNotFoundError:
        pytest.skip(f"{launchers.PACKAGES[launcher]} is not installed")


def run(*arguments):
    command = [sys.executable, "-m", "brats_unet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("launcher", launchers.PACKAGES)
def test_a_launcher_that_is_not_installed_is_refused_with_the_pip_line(launcher, monkeypatch, capsys, empty_folder):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(launchers, "distribution", absent)
    assert cli.main(["train", "-m", f"hydra/launcher={launcher}", "data.fold=0,1", "data.root=/x"]) == 2
    package = launchers.PACKAGES[launcher]
    assert capsys.readouterr().err == (
        f"error: hydra/launcher={launcher} needs {package}, not installed here: pip install {package}.\n"
    )
    assert list(empty_folder.iterdir()) == []


def test_a_lost_job_is_told_and_makes_the_exit_code_1(monkeypatch, capsys, empty_folder):
    def killed(*given):
        raise RuntimeError("a worker was killed")

    monkeypatch.setattr(sweep, "launcher_of", lambda overrides: "joblib")
    monkeypatch.setattr(hydra, "_run", killed)
    assert cli.main(["train", "-m", "data.fold=0,1", "data.root=/x"]) == 1
    assert "hydra/launcher=joblib lost a job that was killed or never started (Ru" in capsys.readouterr().err
    monkeypatch.setattr(sweep, "launcher_of", lambda overrides: "basic")
    with pytest.raises(RuntimeError, match="a worker was killed"):  # no job of ours: a defect
        cli.main(["train", "-m", "data.fold=0,1", "data.root=/x"])


def test_jobs_on_other_machines_leave_their_outcome_in_the_current_folder(empty_folder):
    for launcher, shared in (("basic", False), ("joblib", False), ("submitit_slurm", True)):
        with launchers.sweep_folder(launcher) as folder:
            assert (folder.parent == empty_folder) == shared
        assert not folder.exists()
    logs = launchers.log_folder("submitit_slurm", Path("/outcomes"), datetime(2026, 2, 3, 4, 5, 6))
    assert logs == empty_folder / "multirun/2026-02-03/04-05-06"
    assert launchers.log_folder("joblib", Path("/outcomes"), datetime(2026, 2, 3)) == Path("/outcomes")


@pytest.mark.parametrize(("launcher", "left"), [("joblib", []), ("submitit_local", ["multirun"])])
def test_a_launcher_runs_every_job_and_names_the_failed(launcher, left, empty_folder):
    needs(launcher)
    result = run("phantom", "-m", f"hydra/launcher={launcher}", "cases=0,-1", "output=a b")
    assert result.returncode == 1, result.stderr
    assert "0 of 2 jobs done." in result.stderr and "Traceback" not in result.stderr
    assert "failed (exit 2): brats-unet phantom cases=-1 'output=a b'" in result.stderr
    assert [path.name for path in empty_folder.iterdir()] == left
    if left:
        assert f"Logs of the jobs: {empty_folder / 'multirun'}" in result.stderr
        assert len(list((empty_folder / "multirun").rglob("*_log.err"))) == 2


@pytest.mark.slow
def test_folds_side_by_side_are_the_runs_of_folds_one_after_another(phantom_root, empty_folder):
    needs("joblib")
    common = [
        "train",
        "-m",
        *TINY,
        "data.fold=0,1",
        f"data.root={phantom_root}",
        f"data.cache={empty_folder / 'cache'}",
    ]
    for runs, options in (("one", []), ("both", ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"])):
        result = run(*common, f"runs={runs}", *options)
        assert result.returncode == 0 and "2 of 2 jobs done." in result.stderr, result.stderr
    names = sorted(path.name for path in (empty_folder / "one").iterdir() if path.is_dir())
    assert names == sorted(path.name for path in (empty_folder / "both").iterdir() if path.is_dir())
    for name in names:
        first, second = (empty_folder / runs / name / "checkpoints/last.safetensors" for runs in ("one", "both"))
        assert first.read_bytes() == second.read_bytes()
