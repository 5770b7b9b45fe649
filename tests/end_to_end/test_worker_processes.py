"""Commands run by two worker processes on loopback: train, resume, stop, fail, predict and evaluate."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import nibabel
import numpy as np
import pytest

from brats_unet.cli.main import main
from brats_unet.run import Run

pytestmark = pytest.mark.slow
TINY = [
    "experiment=none",
    "data=brats",
    "data.folds=2",
    "data.preparation.spacing_mm=[5,5,5]",
    "model.features=[4,8]",
    "model.strides=[1,2]",
    "sampling.patch=[16,16,16]",
    "sampling.batch=2",
    "validation.patches_every=2",
    "validation.every=0.5",
    "hardware.precision=float32",
]
WORKERS = ["hardware=workers", "hardware.deadline_seconds=60"]


def start(*commands, slurm=False):
    """Start one worker process for each command; their addresses are the second value."""
    probes = [socket.create_server(("localhost", 0)) for _ in commands]
    addresses = [f"localhost:{probe.getsockname()[1]}" for probe in probes]
    for probe in probes:
        probe.close()
    started = []
    for index, command in enumerate(commands):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        variables = {**os.environ, **({} if slurm else {"TF_CONFIG": json.dumps(config)})}
        variables |= {
            "SLURM_PROCID": str(index),
            "SLURM_STEP_NUM_TASKS": str(len(commands)),
            "SLURM_JOB_ID": str(os.getpid()),
        }
        variables |= {"SLURM_STEP_NODELIST": "localhost", "SLURMD_NODENAME": "localhost"}
        started.append(subprocess.Popen([sys.executable, "-m", "brats_unet", *command], env=variables, **pipes))
    return started, addresses


def ended(processes):
    """(exit code, stdout, stderr) of each."""
    return [(process.returncode, *streams) for process in processes for streams in [process.communicate(timeout=300)]]


def on_two(*command, slurm=False):
    found = ended(start(command, command, slurm=slurm)[0])
    assert [code for code, _, _ in found] == [0, 0], "\n".join(err[-2000:] for _, _, err in found)
    return found


def losses(folder, name):
    return [line["loss"] for line in Run(folder / "runs" / name).journal("step")]


@pytest.fixture(scope="module")
def place(tmp_path_factory, phantom_root):
    """A folder with the run `one` of four steps on one device, and its settings."""
    folder = tmp_path_factory.mktemp("place")
    common = [*TINY, f"data.root={phantom_root}", f"data.cache={folder / 'cache'}", f"runs={folder / 'runs'}"]
    assert main(["train", *common, "name=one", "steps=4"]) == 0
    return folder, common


def test_two_workers_train_as_one_device_and_the_chief_alone_writes(place):
    folder, common = place
    (_, out, err), other = on_two("train", *common, "name=two", "steps=4", *WORKERS)
    assert "float32 on 2 workers × CPU." in out and "A step has 2 patches over 2 devices: 1 per device." in out
    assert err == "" and other == (0, "", "")
    np.testing.assert_allclose(losses(folder, "two"), losses(folder, "one"), rtol=1e-5)
    one, two = (Run(folder / "runs" / name) for name in ("one", "two"))
    for event in ("patches", "validation"):
        for a, b in zip(one.journal(event), two.journal(event), strict=True):
            assert a["step"] == b["step"] and b["dice"] == pytest.approx(a["dice"], abs=1e-3)
    assert len(list(two.tensorboard_folder.iterdir())) == 1 and two.model_file.exists()


def test_a_run_of_one_device_is_continued_by_two_tasks_of_slurm(place):
    folder, common = place
    assert main(["train", *common, "name=grown", "steps=2"]) == 0
    (_, out, _), _ = on_two("train", *common, "name=grown", "steps=4", *WORKERS, slurm=True)
    assert "Resuming from step 2 of 4." in out
    # The schedule of the first two steps ended at step 2, so only their losses are those of `one`.
    assert len(losses(folder, "grown")) == 4
    np.testing.assert_allclose(losses(folder, "grown")[0], losses(folder, "one")[0], rtol=1e-5)


def test_another_setting_on_one_worker_is_refused_by_name_on_both(place):
    _, common = place
    command = ["train", *common, "name=unequal", "steps=4", *WORKERS]
    processes, addresses = start(command, [*command, "seed=5"])
    for code, _, err in ended(processes):
        assert code == 2
        assert err == (
            f"error: Worker 1 ({addresses[1]}) has seed 5, Worker 0 ({addresses[0]}) has 0.\n"
            f"Start every worker with the same command.\n"
        )


def test_other_scans_on_one_worker_are_refused_by_the_name_of_the_case(place, phantom_root, tmp_path):
    import shutil

    _, common = place
    shutil.copytree(phantom_root, tmp_path / "copy")
    flair = sorted((tmp_path / "copy").rglob("*_flair.nii*"))[0]
    image = nibabel.load(flair)
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(image.dataobj) * 2, image.affine, image.header), flair)
    command = ["train", *common, "name=other", "steps=4", *WORKERS]
    processes, _ = start(command, [*command, f"data.root={tmp_path / 'copy'}"])
    for code, _, err in ended(processes):
        assert code == 2 and f"has case {flair.name.removesuffix('.gz').removesuffix('_flair.nii')} " in err
        assert "Give every worker the same scans and masks" in err


def begun(folder, name):
    """Wait until the run has done some steps."""
    run, limit = Run(folder / "runs" / name), time.monotonic() + 240
    while len(run.journal("step")) < 5:
        assert time.monotonic() < limit, "no step was done"
        time.sleep(0.1)


@pytest.mark.parametrize("victim", [0, 1])
def test_when_one_worker_is_killed_the_other_ends_with_its_name_and_code_75(place, victim):
    folder, common = place
    command = ["train", *common, f"name=killed{victim}", "steps=100000", "validation.every=1", *WORKERS]
    processes, addresses = start(command, command)
    begun(folder, f"killed{victim}")
    processes[victim].kill()
    code, _, err = ended(processes)[1 - victim]
    assert code == 75
    assert f"Worker {victim} ({addresses[victim]}) ended without a message, as after SIGKILL" in err


def test_sigterm_to_one_worker_stops_both_after_the_same_step_and_the_same_command_continues(place):
    folder, common = place
    command = ["train", *common, "name=stopped", "steps=100000", "validation.every=1", *WORKERS]
    processes, _ = start(command, command)
    begun(folder, "stopped")
    processes[1].send_signal(signal.SIGTERM)
    (code, _, err), (other_code, _, other_err) = ended(processes)
    assert code == other_code == 75
    where = r"(at|in the validation after) step \d+ of 100000"
    assert re.search(f"Stopped {where}", err) and re.search(f"Stopped by SIGTERM {where}", other_err)
    done = len(losses(folder, "stopped"))
    (_, out, _), _ = on_two(*command[:-3], *WORKERS, f"steps={done + 2}", "validation.every=1")
    assert f"Resuming from step {done} of {done + 2}." in out and len(losses(folder, "stopped")) == done + 2


def masks(folder):
    return {path.name: np.asanyarray(nibabel.load(path).dataobj) for path in sorted(folder.glob("*.nii.gz"))}


def test_two_workers_predict_each_case_once_with_the_masks_of_one(place, phantom_root, tmp_path):
    folder, _ = place
    command = ["predict", f"run={folder / 'runs' / 'one'}", f"input={phantom_root}"]
    assert main([*command, f"output={tmp_path / 'one'}"]) == 0
    (_, out, _), other = on_two(*command, f"output={tmp_path / 'two'}", "device=workers")
    assert "4 masks in" in out and other == (0, "", "")
    one, two = masks(tmp_path / "one"), masks(tmp_path / "two")
    assert list(one) == list(two) and len(two) == 4
    for name, mask in one.items():
        np.testing.assert_array_equal(two[name], mask)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == sorted(
        path.name for path in (tmp_path / "one").iterdir()
    )
    assert (tmp_path / "two" / "volumes.csv").read_text() == (tmp_path / "one" / "volumes.csv").read_text()


def test_two_workers_write_only_masks_where_only_masks_are_wanted(place, phantom_root, tmp_path):
    folder, _ = place
    command = ["predict", f"run={folder / 'runs' / 'one'}", f"input={phantom_root}", "masks_only=true", "json=true"]
    (_, out, _), other = on_two(*command, f"output={tmp_path}", "device=workers")
    assert len(json.loads(out)["cases"]) == 4 and other == (0, "", "")
    assert len(masks(tmp_path)) == 4 == len(list(tmp_path.iterdir()))


def test_two_workers_evaluate_with_the_scores_of_one(place):
    folder, _ = place
    command = ["evaluate", f"run={folder / 'runs' / 'one'}", "figures=false"]
    assert main(command) == 0
    scores = folder / "runs" / "one" / "evaluation" / "scores.csv"
    expected = scores.read_text()
    again = folder / "again"
    on_two(*command, f"output={again}", "device=workers")
    assert (again / "scores.csv").read_text() == expected
