"""TensorBoard's event files, read back by TensorBoard's own reader."""

import socket

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brats_unet.errors import MachineError
from brats_unet.training.scalar_events import ScalarEvents


def read(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()["tensors"]
    return {
        tag: [(one.step, pytest.approx(float(one.tensor_proto.float_val[0]))) for one in events.Tensors(tag)]
        for tag in tags
    }


def test_tensorboard_reads_the_scalars_of_several_files(tmp_path):
    for start in (0, 2):
        with ScalarEvents(tmp_path / "events", clock=lambda: 1e9) as events:
            for step in (start + 1, start + 2):
                events.add("train/loss", 1 / step, step)
        with ScalarEvents(tmp_path / "events", clock=lambda: 1e9 + 5) as events:
            events.add("validation/dice_WT", 0.5, start + 2)
    found = read(tmp_path / "events")
    assert found == {
        "train/loss": [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)],
        "validation/dice_WT": [(2, 0.5), (4, 0.5)],
    }


def test_neither_name_nor_content_holds_the_host(tmp_path):
    with ScalarEvents(tmp_path) as events:
        events.add("train/loss", 1.0, 1)
    (file,) = tmp_path.iterdir()
    assert "tfevents" in file.name and socket.gethostname() not in file.name
    assert socket.gethostname().encode() not in file.read_bytes()


def test_scalars_are_on_disk_after_a_while_though_the_block_goes_on(tmp_path):
    now = [1e9]
    with ScalarEvents(tmp_path, clock=lambda: now[0]) as events:
        now[0] += 30
        events.add("train/loss", 1.0, 1)
        assert list(read(tmp_path)) == ["train/loss"]


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be written"), ScalarEvents(tmp_path / "file" / "events"):
        pass


def test_a_process_that_only_reads_writes_no_event_file(tmp_path):
    with ScalarEvents(tmp_path / "events", writes=False) as events:
        events.add("train/loss", 1.0, 1)
    assert not (tmp_path / "events").exists()
