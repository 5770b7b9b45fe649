"""`train sweep=random` and `sweep=halving`: which trainings they start, and how they go on after a stop."""

import pytest

from brats_unet import job_report
from brats_unet.cli import main as cli
from brats_unet.cli import sweep
from brats_unet.errors import Stopped
from brats_unet.json_files import write_json
from brats_unet.run import Run

RANGES = ["optimizer.learning_rate=log(1e-3,1e-1)", "loss=region_dice,region_dice_bce"]
FIXED = ["data.root=/x", "steps=8", "experiment=quick"]


@pytest.fixture
def jobs(monkeypatch, empty_folder):
    """Every job that is started, as {key: value}; each "trains" to its end, with a Dice equal to its learning rate."""
    started = []

    def child(command, variables):
        told = dict(word.lstrip("+").split("=", 1) for word in command[4:] if "=" in word)
        started.append(told)
        monkeypatch.setenv(job_report.VARIABLE, variables[job_report.VARIABLE])
        rate = float(told["optimizer.learning_rate"])
        run = Run(empty_folder / "runs" / told["tag"].strip("'").replace(",", "-"))
        job_report.tell(run=str(run.folder))
        write_json(run.settings_file, {"steps": 8})
        step = int(told.get("until", 8))
        run.note("validation", step=step, dice={"WT": rate}, seconds=1.0)
        run.note("end", state="paused" if "until" in told else "done", at=step, seconds=5.0)
        for file in (run.model_file, run.recipe_file, run.folds_file):
            file.touch()
        return 0

    monkeypatch.setattr(sweep, "child", child)
    return started


def rates(jobs):
    return [job["optimizer.learning_rate"] for job in jobs]


def test_a_random_sweep_trains_every_draw_once_with_the_fixed_settings(jobs, capsys):
    assert cli.main(["train", "sweep=random", "trials=5", *FIXED, *RANGES]) == 0
    assert len(jobs) == len(set(rates(jobs))) == 5
    assert all(1e-3 <= float(rate) <= 1e-1 for rate in rates(jobs))
    assert {job["loss"] for job in jobs} == {"region_dice", "region_dice_bce"}
    assert all(job["data.root"].strip("'") == "/x" and job["steps"] == "8" for job in jobs)
    assert not any(key in job for job in jobs for key in ("sweep", "trials", "until"))
    error = capsys.readouterr().err
    best = max(rates(jobs), key=float)
    assert f"learning_rate={best}, mean Dice" in error and "Written to " in error


def test_the_same_command_draws_the_same_trials_and_more_keep_them(jobs):
    for trials in (3, 3, 4):
        assert cli.main(["train", "sweep=random", f"trials={trials}", *FIXED, *RANGES]) == 0
    assert rates(jobs)[:3] == rates(jobs)[3:6] == rates(jobs)[6:9]


def test_halving_ends_the_worse_half_at_each_rung(jobs):
    assert cli.main(["train", "sweep=halving", "trials=8", "rungs=[2,4]", *FIXED, *RANGES]) == 0
    by_until = [[job for job in jobs if job.get("until") == until] for until in ("2", "4", None)]
    assert [len(some) for some in by_until] == [8, 4, 2]
    ranked = sorted(rates(by_until[0]), key=float, reverse=True)
    assert set(rates(by_until[1])) == set(ranked[:4]) and set(rates(by_until[2])) == set(ranked[:2])


def test_ranges_may_stand_in_a_file(jobs, empty_folder):
    (empty_folder / "mine" / "experiment").mkdir(parents=True)
    (empty_folder / "mine" / "experiment" / "tries.yaml").write_text(
        "# @package _global_\n# My tries.\nover:\n  optimizer.learning_rate: log(1e-3,1e-1)\n  loss: [region_dice, region_tversky]\n"
    )
    told = ["--config-dir", "mine", "experiment=tries", "data.root=/x", "steps=8", "trials=4"]
    assert cli.main(["train", "sweep=random", *told]) == 0
    assert len(jobs) == 4 and {job["loss"] for job in jobs} == {"region_dice", "region_tversky"}


def test_a_stop_ends_the_sweep_with_the_table_so_far(jobs, monkeypatch, capsys):
    real = sweep.child

    def child(command, variables):
        if len(jobs) == 2:
            raise Stopped
        return real(command, variables)

    monkeypatch.setattr(sweep, "child", child)
    assert cli.main(["train", "sweep=random", "trials=5", *FIXED, *RANGES]) == 75
    error = capsys.readouterr().err
    assert len(jobs) == 2 and "3 trainings" in error and error.endswith("Run the same command again to continue.\n")


REFUSED = {
    ("sweep=random",): "sweep=random: no setting has a range. Give a,b,c or choice(a,b,c)",
    ("sweep=random", "-m", *RANGES): "sweep= draws the settings itself. Leave out -m",
    ("sweep=randm", *RANGES): "sweep=randm",
    ("sweep=random", "optimizer.learning_rte=log(1,2)"): "Did you mean optimizer.learning_rate?",
    ("sweep=random", "sampling.foreground=interval(2,3)"): "sampling.foreground=",
    ("sweep=random", "loss=region_dice,region_dicee"): "There is no loss=region_dicee.",
    ("sweep=halving", "steps=null", "minutes=5", *RANGES): "Give steps=…, without minutes.",
    ("sweep=halving", "data.fold=all", *RANGES): "compares Dice on held-out cases, and there are none.",
    ("sweep=halving", "rungs=[8]", *RANGES): "rungs=[8]: expected fewer than steps=8.",
}


@pytest.mark.parametrize("argv", REFUSED)
def test_a_sweep_that_does_not_fit_is_refused_before_any_training(argv, jobs, capsys):
    assert cli.main(["train", *FIXED, *argv]) == 2 and jobs == []
    assert REFUSED[argv] in capsys.readouterr().err
