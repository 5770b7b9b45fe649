"""Trainings that are stopped or killed, and go on with the same command: the result is that of an undisturbed run."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from brats_unet.cli.main import main
from brats_unet.commands import train as command
from brats_unet.data.prepare import cache
from brats_unet.errors import Interrupted
from brats_unet.run import Run

STEPS = 30
TINY = [
    "experiment=quick",
    "data=brats",
    "data.folds=2",
    "data.preparation.spacing_mm=[6,6,6]",
    "model.features=[4,6]",
    "model.strides=[1,2]",
    "sampling.patch=[8,8,8]",
    "sampling.batch=2",
    "inference.overlap=0",
    "hardware.precision=float32",
    "optimizer.ema=0.9",
    f"steps={STEPS}",
    "validation.every=0.3",
    "validation.cases=1",
    "validation.patches_every=7",
    "validation.patch_batches=1",
    "checkpoint.every_steps=4",
]
# A process that has imported TensorFlow but not begun to use it, and forks for each command: no start takes seconds.
SERVER = """
import json, os, sys, traceback
from brats_unet.hardware import quiet_tensorflow
with quiet_tensorflow():
    from brats_unet.commands import train
from brats_unet.cli import hydra
from brats_unet.cli.main import main
for line in sys.stdin:
    given = json.loads(line)
    if (pid := os.fork()) == 0:
        code = 99
        try:
            log = os.open(given["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1), os.dup2(log, 2)
            code = main(given["arguments"])
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)
    print(pid, flush=True)
    sys.stdin.readline()  # until then an ended command keeps its number
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Server:
    """Commands in processes of their own, one at a time."""

    def __init__(self, folder):
        self.log = folder / "log.txt"
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, line):
        """Write a line to the server; returns the number that it answers."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, arguments):
        """Start a command; returns its process id."""
        return self.tell(json.dumps({"arguments": arguments, "log": str(self.log)}))

    def wait(self):
        """Wait for the command; returns its exit code, negative for a signal."""
        return self.tell("wait")

    def run(self, arguments):
        self.start(arguments)
        code = self.wait()
        assert code == 0, self.log.read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.process.stdin.close()
    server.process.wait()
    server.process.stdout.close()


@pytest.fixture(scope="module")
def common(tmp_path_factory, phantom_root):
    """Settings of all runs of this file, which share a cache."""
    folder = tmp_path_factory.mktemp("place")
    return [*TINY, f"data.root={phantom_root}", f"data.cache={folder / 'cache'}", f"runs={folder / 'runs'}"]


def run_of(common, name):
    return Run(Path(common[-1].removeprefix("runs=")) / name)


@pytest.fixture(scope="module")
def straight(server, common):
    """The undisturbed run."""
    server.run(["train", *common, "name=straight"])
    return run_of(common, "straight")


def journal(run):
    """What was computed, without times."""
    clocks = ("seconds", "patches_per_second")
    return [
        {key: value for key, value in line.items() if key not in clocks}
        for line in run.journal()
        if line["event"] != "end"
    ]


def assert_equal(run, straight):
    for which in ("last", "best"):
        assert run.checkpoint_file(which).read_bytes() == straight.checkpoint_file(which).read_bytes(), which
    assert journal(run) == journal(straight)
    assert run.model_file.exists() and not list(run.folder.rglob(".*.part"))


def stop(server, pid, number):
    """Send a signal to a training that is running, or has just ended."""
    os.kill(pid, number)
    code = server.wait()
    assert code in (0, -signal.SIGKILL if number == signal.SIGKILL else 75), (code, server.log.read_text())
    if code == 75:
        last = server.log.read_text().splitlines()[-1]
        assert last.startswith("Stopped") and last.endswith("Run the same command again to continue.")


def wait_for_step(run, step):
    while not any(line["step"] >= step for line in run.journal("step")):
        time.sleep(0.02)


def test_a_run_that_is_stopped_and_killed_at_random_moments_equals_the_undisturbed_one(server, common, straight):
    moments, run = random.Random(0), run_of(common, "disturbed")
    arguments, step = ["train", *common, "name=disturbed"], 0
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1, signal.SIGKILL):
        step += moments.randrange(3, 8)
        pid = server.start(arguments)
        wait_for_step(run, step)
        time.sleep(moments.uniform(0, 0.1))
        stop(server, pid, number)
    server.run(arguments)
    assert_equal(run, straight)


@pytest.fixture(scope="module")
def seconds(server, common, straight):
    """Seconds that an undisturbed run takes."""
    started = time.perf_counter()
    server.run(["train", *common, "name=again"])
    return time.perf_counter() - started


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("seed", range(20))
def test_the_same_command_continues_after_any_moment(server, common, straight, seconds, tmp_path, number, seed):
    # A cache and a run folder of its own: the signal may also come while volumes are prepared.
    arguments = ["train", *common[:-2], f"data.cache={tmp_path / 'cache'}", f"runs={tmp_path}", "name=disturbed"]
    pid = server.start(arguments)
    time.sleep(random.Random(seed).uniform(0.1, 1.3) * seconds)
    stop(server, pid, number)
    server.run(arguments)
    assert_equal(Run(tmp_path / "disturbed"), straight)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_devices(server, common, straight):
    run = run_of(common, "devices")
    one = ["train", *common, "name=devices"]
    two = [*one, "hardware=mirrored", "hardware.replicas=2", "hardware.precision=float32"]
    said = []
    for arguments, step in ((two, 4), (one, 12), (two, 20)):
        pid = server.start(arguments)
        wait_for_step(run, step)
        os.kill(pid, signal.SIGTERM)
        assert server.wait() == 75, server.log.read_text()
        said += [line for line in server.log.read_text().splitlines() if line.startswith("Trained so far on")]
    server.run(one)
    cores = f"CPU, {os.cpu_count()} cores"
    assert said == [
        f"Trained so far on {old} in float32, from here on {new} in float32, with the same batches. The result equals "
        f"that without the change within rounding, not bit for bit."
        for old, new in (("2 logical CPUs", cores), (cores, "2 logical CPUs"))
    ]
    losses = [[line["loss"] for line in each.journal("step")] for each in (run, straight)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0] != losses[1]
    assert len(losses[0]) == STEPS
    found, expected = (load_file(each.checkpoint_file("last")) for each in (run, straight))
    assert found.keys() == expected.keys()


def test_a_new_process_that_gets_sigterm_exits_75_and_a_sweep_starts_no_other_job(common, straight):
    arguments = ["train", "-m", *common, "name=swept1,swept2", "steps=100000"]  # it never ends before the signal
    sweep = subprocess.Popen(
        [sys.executable, "-m", "brats_unet", *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    wait_for_step(run_of(common, "swept1"), 2)
    sweep.terminate()
    output, error = sweep.communicate(timeout=120)
    assert sweep.returncode == 75, error + output
    lines = error.splitlines()
    where = r"Stopped by SIGTERM (at|in the validation after) step \d+ of 100000; the checkpoint is saved in "
    assert any(re.match(where, line) for line in lines), error
    assert lines[-1].startswith("Stopped where nothing had to be saved")
    assert "0 of 1 started job done." in lines and "1 training" in (line.strip() for line in lines)
    assert "job 2" not in error and not run_of(common, "swept2").folder.exists()


# At a certain moment, in this process


def send_at_call(monkeypatch, owner, name, call, number=signal.SIGTERM):
    """Replace a function by one that sends a signal to this process before one of its calls."""
    real, calls = getattr(owner, name), []

    def replaced(*arguments, **options):
        calls.append(name)
        if len(calls) == call:
            signal.raise_signal(number)
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, replaced)


def test_a_stop_while_volumes_are_prepared_keeps_those_that_are_ready(common, tmp_path, monkeypatch, capsys):
    arguments = ["train", *common[:-2], f"data.cache={tmp_path / 'cache'}", f"runs={tmp_path}", "name=a"]
    monkeypatch.setattr(cache, "SECONDS_EACH", 0)  # in this process
    send_at_call(monkeypatch, cache, "prepare", 3)
    assert main(arguments) == 75
    assert capsys.readouterr().err == (
        "Stopped by SIGTERM where nothing had to be saved; what is done is kept. Run the same command again to "
        "continue.\n"
    )
    ready = [path.parent.name for path in (tmp_path / "cache").rglob(cache.MANIFEST)]
    assert len(ready) == 2 and not list((tmp_path / "cache").rglob("*.part"))


def test_stops_in_validations_and_figures_and_a_damaged_checkpoint_are_made_up_for(
    common, straight, tmp_path, monkeypatch, capsys
):
    arguments = ["train", *common[:-1], f"runs={tmp_path}", "name=a"]
    run = Run(tmp_path / "a")
    last = run.checkpoint_file("last")
    for call, step in ((1, 9), (2, 18)):  # after step 9, and once more after step 9, then 18
        with monkeypatch.context() as patched:
            send_at_call(patched, command, "held_out_dice", call, signal.SIGUSR1)
            assert main(arguments) == 75
        assert f"Stopped by SIGUSR1 in the validation after step {step} of 30; the" in capsys.readouterr().err
    assert [line["step"] for line in run.journal("validation")] == [9]
    last.write_bytes(last.read_bytes()[:-10])
    with monkeypatch.context() as patched:
        send_at_call(patched, command, "training_curves", 1)
        assert main(arguments) == 75
    shown = capsys.readouterr().out
    assert "Warning: last.safetensors in " in shown and "last-1.safetensors, of step 16." in shown
    assert "Resuming from step 16 of 30." in shown
    assert main(arguments) == 0
    assert_equal(run, straight)
    assert (run.figures_folder / "training.png").exists()


def test_overwrite_is_left_out_of_the_command_that_continues(common, tmp_path, monkeypatch, capsys):
    def stopped(**given):
        raise Interrupted("Stopped.")

    monkeypatch.setattr(command, "train", stopped)
    for word, shown in (("true", "again, without overwrite=true, to"), ("false", "again to")):
        assert main(["train", *common[:-1], f"runs={tmp_path}", "name=a", f"overwrite={word}"]) == 75
        assert capsys.readouterr().err == f"Stopped. Run the same command {shown} continue.\n"


def test_a_run_whose_process_was_killed_at_its_very_beginning_is_not_other_files(common, tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".settings.json.0123abcd.part").write_text("{")
    monkeypatch.setattr(command, "train", lambda **given: given["state"])
    assert main(["train", *common[:-1], f"runs={tmp_path}", "name=a"]) == 0
    assert not list((tmp_path / "a").rglob("*.part"))
