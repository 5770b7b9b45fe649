"""Checkpoints that are written while training goes on, and what a damaged one is answered with."""

import json
import threading

import keras
import numpy as np
import pytest

from brats_unet.errors import CheckpointError, MachineError
from brats_unet.models import checkpoint
from brats_unet.models.checkpoint import State
from brats_unet.run import Run
from brats_unet.training.last_checkpoints import CheckpointWriter, restore_newest, set_aside


@pytest.fixture(scope="module")
def parts():
    """A one-layer network and its optimizer."""
    image = keras.Input((None, 2))
    model = keras.Model(image, keras.layers.Dense(1, name="w")(image))
    rule = keras.optimizers.SGD(0.1, momentum=0.9)
    rule.build(model.trainable_variables)
    return model, rule


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


def save_steps(run, parts, steps, keep=2, which="last"):
    with CheckpointWriter(run, keep) as writer:
        for step in steps:
            writer.save(which, *parts, State(step), None)


def steps_on_disk(run, parts):
    return {path.stem: checkpoint.restore(path, *parts).step for path in run.last_checkpoints()}


def damage(path):
    content = bytearray(path.read_bytes())
    content[-2] ^= 4
    path.write_bytes(content)


def test_the_last_checkpoints_are_kept_and_older_ones_deleted(run, parts):
    save_steps(run, parts, [1, 2, 3, 4], keep=3)
    assert steps_on_disk(run, parts) == {"last": 4, "last-1": 3, "last-2": 2}
    save_steps(run, parts, [5], keep=1)
    assert steps_on_disk(run, parts) == {"last": 5}
    assert [path.name for path in run.checkpoint_file("last").parent.iterdir()] == ["last.safetensors"]


def test_other_checkpoints_move_nothing_and_the_first_last_ends_the_initial_one(run, parts):
    save_steps(run, parts, [0], which="initial")
    save_steps(run, parts, [1, 2], which="best")
    assert run.checkpoint_file("initial").exists() and run.last_checkpoints() == []
    save_steps(run, parts, [3])
    assert sorted(path.stem for path in run.checkpoint_file("last").parent.iterdir()) == ["best", "last"]


def test_checkpoints_are_numbered_not_sorted_by_name(run):
    run.checkpoint_file("last").parent.mkdir(parents=True)
    for name in ("last-10", "last-2", "last", "last-1", "last-x", "last-01", "lastly"):
        run.checkpoint_file(name).touch()
    assert [path.stem for path in run.last_checkpoints()] == ["last", "last-1", "last-2", "last-10"]


def test_training_goes_on_while_one_is_written_and_never_two_are(run, parts, monkeypatch):
    begun, release, running = threading.Semaphore(0), threading.Semaphore(0), []
    write = checkpoint.write

    def slow(path, tensors, state, **given):
        running.append(state.step)
        begun.release()
        assert release.acquire(timeout=60) and running == [state.step]
        write(path, tensors, state, **given)
        running.remove(state.step)

    monkeypatch.setattr(checkpoint, "write", slow)
    model, rule = parts
    model.get_layer("w").kernel.assign([[1.0], [2.0]])
    with CheckpointWriter(run, 2) as writer:
        writer.save("last", model, rule, State(1), None)
        assert begun.acquire(timeout=60)
        model.get_layer("w").kernel.assign([[3.0], [4.0]])  # the next step
        writer.check()
        assert writer.busy and not run.checkpoint_file("last").exists()
        second = threading.Thread(target=writer.save, args=("last", model, rule, State(2), None))
        second.start()
        assert not begun.acquire(timeout=0.05)  # it waits for the first
        release.release()
        assert begun.acquire(timeout=60)
        release.release()
        second.join()
    assert writer.seconds > 0
    for which, step, kernel in (("last-1", 1, [1.0, 2.0]), ("last", 2, [3.0, 4.0])):
        assert checkpoint.restore(run.checkpoint_file(which), *parts).step == step
        assert np.ravel(model.get_layer("w").kernel).tolist() == kernel


@pytest.mark.parametrize("call", ["check", "wait", "save", "exit"])
def test_a_full_disk_is_said_by_the_next_call_and_the_last_good_checkpoint_stays(run, parts, monkeypatch, call):
    def full(tensors, target, metadata):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    save_steps(run, parts, [1, 2])
    with pytest.raises(MachineError) as caught, CheckpointWriter(run, 2) as writer:
        writer.save("last", *parts, State(3), None)
        writer.wait()
        monkeypatch.setattr(checkpoint, "save_file", full)
        writer.save("last", *parts, State(4), None)
        writer._writing.exception()  # wait for the thread, without asking for its error
        if call == "save":
            writer.save("last", *parts, State(5), None)
        elif call != "exit":
            getattr(writer, call)()
    assert "last.safetensors: cannot be written (No space left on device" in str(caught.value)
    assert str(caught.value).endswith("The checkpoint before of step 3 stays; the same command continues from it.")
    assert steps_on_disk(run, parts) == {"last": 3, "last-1": 2}
    assert len(list(run.checkpoint_file("last").parent.iterdir())) == 2


def test_an_error_of_the_training_is_not_hidden_by_one_of_the_writer(run, parts, monkeypatch):
    def full(tensors, target, metadata):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(ZeroDivisionError), CheckpointWriter(run, 2) as writer:
        writer.save("last", *parts, State(1), None)
        raise ZeroDivisionError


def test_what_a_killed_process_left_half_written_is_deleted_and_other_files_stay(run, parts):
    folder = run.checkpoint_file("last").parent
    folder.mkdir(parents=True)
    for name in (".last.safetensors.0123abcd.part", ".tmpvaXrTk", ".mine.part", ".tmpfile", "notes.txt"):
        (folder / name).touch()
    save_steps(run, parts, [1])
    assert {path.name for path in folder.iterdir()} == {".mine.part", ".tmpfile", "notes.txt", "last.safetensors"}


def test_a_new_run_starts_at_step_0(run, parts):
    assert restore_newest(run, *parts, None) == (State(0), [], "")


def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning_that_names_it(run, parts):
    save_steps(run, parts, [1, 2, 3], keep=3)
    last = run.checkpoint_file("last")
    damage(last)
    content = last.read_bytes()
    state, damaged, warning = restore_newest(run, *parts, None)
    assert state.step == 2 and damaged == [last]
    assert warning.startswith(
        f"Warning: last.safetensors in {last.parent} cannot be used; going on from the checkpoint before, "
        f"last-1.safetensors, of step 2. {last}: damaged: by its hash, its "
    )
    set_aside(run, damaged)
    assert run.checkpoint_file("damaged").read_bytes() == content
    assert steps_on_disk(run, parts) == {"last": 2, "last-2": 1}
    save_steps(run, parts, [3], keep=3)
    assert steps_on_disk(run, parts) == {"last": 3, "last-1": 2, "last-2": 1}


def test_the_newer_of_two_damaged_checkpoints_is_kept_aside(run, parts):
    save_steps(run, parts, [1, 2, 3], keep=3)
    newest = run.checkpoint_file("last")
    for path in (newest, run.checkpoint_file("last-1")):
        path.write_bytes(path.read_bytes()[: 100 if path == newest else 0])
    state, damaged, warning = restore_newest(run, *parts, None)
    assert state.step == 1 and "last.safetensors and last-1.safetensors in" in warning
    set_aside(run, damaged)
    assert len(run.checkpoint_file("damaged").read_bytes()) == 100
    assert steps_on_disk(run, parts) == {"last": 1}


def test_if_all_are_damaged_the_run_is_refused_and_nothing_moves(run, parts):
    save_steps(run, parts, [1, 2])
    for path in run.last_checkpoints():
        damage(path)
    with pytest.raises(CheckpointError) as caught:
        restore_newest(run, *parts, None)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{run.folder}: no checkpoint can be used:" and len(lines) == 4
    assert lines[-1] == "Restore one from a backup, or start again with overwrite=true."
    assert [path.stem for path in run.last_checkpoints()] == ["last", "last-1"]


def test_a_checkpoint_of_another_network_is_refused_although_there_is_one_before(run, parts):
    save_steps(run, parts, [1, 2])
    image = keras.Input((None, 3))
    other = keras.Model(image, keras.layers.Dense(1, name="w")(image))
    with pytest.raises(CheckpointError, match="holds another network"):
        restore_newest(run, other, parts[1], None)


def test_a_process_that_was_killed_between_two_renames_goes_on_from_the_checkpoint_before(run, parts):
    save_steps(run, parts, [1, 2])
    run.checkpoint_file("last").replace(run.checkpoint_file("last-1"))  # and then it was killed
    state, damaged, warning = restore_newest(run, *parts, None)
    assert (state.step, damaged, warning) == (2, [], "")
    set_aside(run, damaged)
    assert steps_on_disk(run, parts) == {"last": 2}


def test_a_checkpoint_of_an_earlier_version_has_no_hash_and_is_accepted(run, parts):
    from safetensors.numpy import load_file, save_file

    save_steps(run, parts, [4])
    file = run.checkpoint_file("last")
    save_file(load_file(file), file, {"state": json.dumps({"step": 4})})
    assert restore_newest(run, *parts, None) == (State(4), [], "")
