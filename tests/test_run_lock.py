"""One process at a time works in a run folder."""

import os
import subprocess
import sys

import pytest

from brats_unet import run_lock
from brats_unet.errors import MachineError, SettingsError
from brats_unet.run_lock import is_locked, locked

HOLD = "import sys; from pathlib import Path; from brats_unet.run_lock import locked\nwith locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `run`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_with_the_name_of_the_first(tmp_path, holder):
    with pytest.raises(SettingsError, match=rf"run is in use: process {holder.pid} works in it\."):
        locked(tmp_path / "run").__enter__()
    assert is_locked(tmp_path / "run")


def test_a_killed_process_leaves_no_lock(tmp_path, holder):
    holder.kill()
    holder.wait()
    with locked(tmp_path / "run"):
        assert is_locked(tmp_path / "run")
        assert (tmp_path / "run" / ".lock").read_text() == f"process {os.getpid()}\n"
    assert is_locked(tmp_path / "run") is False


def test_a_folder_without_a_lock_file_is_not_locked(tmp_path):
    assert is_locked(tmp_path) is False and is_locked(tmp_path / "nowhere") is False


def test_on_a_disk_without_locks_the_training_runs_all_the_same(tmp_path, monkeypatch):
    def refused(*given):
        raise OSError("no locks available")

    monkeypatch.setattr(run_lock.fcntl, "flock", refused)
    with locked(tmp_path / "run"):
        assert not is_locked(tmp_path / "run")


def test_the_lock_of_a_folder_is_held_again_and_names_the_last_process_alone(tmp_path):
    for _ in range(2):
        with locked(tmp_path / "made" / "run"):
            pass
    assert (tmp_path / "made" / "run" / ".lock").read_text() == f"process {os.getpid()}\n"


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match=r"run: cannot be written"), locked(tmp_path / "file" / "run"):
        pass
