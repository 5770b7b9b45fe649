"""The subprocess of a trial, replaced by its exit code and stderr."""

import subprocess

import pytest

from brats_unet.errors import MachineError
from brats_unet.trial import trial
from brats_unet.trial.trial import Trial, trial_in_subprocess


def finish_with(monkeypatch, code, stderr=""):
    finished = subprocess.CompletedProcess([], code, stdout="", stderr=stderr)
    monkeypatch.setattr(trial.subprocess, "run", lambda *arguments, **options: finished)
    monkeypatch.setattr(trial, "asdict", lambda settings: {})


@pytest.mark.parametrize(("code", "stderr"), [(-9, ""), (1, "tensorflow ... ResourceExhaustedError: OOM when ...")])
def test_a_process_that_runs_out_of_memory_did_not_fit(monkeypatch, code, stderr):
    finish_with(monkeypatch, code, stderr)
    assert trial_in_subprocess(None, largest=(8, 8, 8)) == Trial(fits=False)


def test_any_other_failure_is_an_error_with_the_last_line_of_stderr(monkeypatch):
    finish_with(monkeypatch, 2, "...\nerror: There is no loss named dise.\n")
    with pytest.raises(MachineError, match=r"A trial step of the training failed: There is no loss named dise\."):
        trial_in_subprocess(None, largest=(8, 8, 8))


def test_a_failure_without_stderr_is_an_error_with_the_exit_code(monkeypatch):
    finish_with(monkeypatch, 3)
    with pytest.raises(MachineError, match="failed: exit code 3, no message"):
        trial_in_subprocess(None, largest=(8, 8, 8))


def test_a_process_that_takes_too_long_did_not_fit(monkeypatch):
    def time_out(*arguments, **options):
        raise subprocess.TimeoutExpired("trial", 1)

    monkeypatch.setattr(trial.subprocess, "run", time_out)
    monkeypatch.setattr(trial, "asdict", lambda settings: {})
    assert not trial_in_subprocess(None, largest=(8, 8, 8)).fits
